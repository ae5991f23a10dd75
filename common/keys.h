/* keys.h - CURVE key pairs (https://rfc.zeromq.org/spec/26/) in files, and join strings.
 *
 * A key file is mode 0600 and holds "public <hex>\nsecret <hex>\n". One that others can read is refused.
 * Keys are 32 bytes, shown as 64 hex digits: no character that a shell would take for its own. */
#ifndef FARM_KEYS_H
#define FARM_KEYS_H

#include <stdint.h>

#include "common/err.h"

enum { KEY_SIZE = 32, KEY_HEX_SIZE = 64 };

typedef struct {
    uint8_t public_key [KEY_SIZE];
    uint8_t secret_key [KEY_SIZE];
} keypair_t;

/* What a join string carries: where the coordinator is, its key, and the invitation: a key pair that may only join. */
typedef struct {
    char control [256];             /* tcp://host:port */
    char objects [256];
    uint8_t server_key [KEY_SIZE];
    uint8_t invitation [KEY_SIZE];  /* secret key; the public one follows from it */
} invitation_t;

void keypair_make (keypair_t *self);
/* The pair of a secret key (X25519 base point). */
void keypair_from_secret (keypair_t *self, const uint8_t secret [KEY_SIZE]);
int keypair_load (keypair_t *self, const char *path, err_t *err);
int keypair_save (const keypair_t *self, const char *path, err_t *err);
/* Load it, or make and save it where there is none. *is_new (may be NULL) says which. */
int keypair_load_or_make (keypair_t *self, const char *path, int *is_new, err_t *err);

void key_to_hex (const uint8_t key [KEY_SIZE], char hex [KEY_HEX_SIZE + 1]);
int key_from_hex (uint8_t key [KEY_SIZE], const char *hex, err_t *err);

/* "farm1." + URL-safe base64 of a JSON object; the caller frees. */
char *invitation_encode (const invitation_t *self);
/* ERR_USAGE for what is not a whole join string. */
int invitation_decode (invitation_t *self, const char *text, err_t *err);

#endif
