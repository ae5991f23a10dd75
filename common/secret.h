/* secret.h - what a build is given in confidence (farmctl submit --secret): limits, and a list of them in memory that is locked, wiped
 * when it is freed, and guarded at both ends (sodium_malloc).
 *
 * Secrets travel in parts, one to a message. The limit of one is docker buildx's. */
#ifndef FARM_SECRET_H
#define FARM_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum { SECRET_BYTES_MAX = 500 * 1024, SECRETS_MAX = 32, SECRET_ID_MAX = 63, SECRET_PART_MAX = 256 * 1024, SECRET_PARTS_MAX = 2 };

typedef struct {
    char id [SECRET_ID_MAX + 1];
    size_t size;
    uint8_t *data;                  /* NULL where size is 0 */
} secret_t;

/* {0} is an empty one. */
typedef struct {
    secret_t items [SECRETS_MAX];
    size_t count;
} secrets_t;

/* Letters, digits, '.', '_' and '-', not first '.' or '-'; 63 at most: it is a file name in /run/secrets. ERR_USAGE. */
int secret_check_id (const char *id, err_t *err);

/* Make room for one more; its bytes are to be filled in. NULL with ERR_USAGE: an id that is none or was given already, too long a
 * secret, too many. Borrowed until the list is freed. */
secret_t *secrets_add (secrets_t *self, const char *id, size_t size, err_t *err);
const secret_t *secrets_find (const secrets_t *self, const char *id);       /* NULL: none has this id */
void secrets_free (secrets_t *self);
#define AUTO_SECRETS __attribute__ ((cleanup (secrets_free)))

/* Such memory, for what is read before it is known how long it is; never NULL. Freed by sodium_free. */
void *secret_memory (size_t size);

/* In how many parts it travels (an empty one in one), and one of them; borrowed. */
int secret_parts (const secret_t *self);
const uint8_t *secret_part (const secret_t *self, int part, size_t *size);

/* This process has secrets: it leaves no core file, and other processes of its user cannot look into its memory. */
void secret_guard_process (void);

#endif
