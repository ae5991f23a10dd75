/* seal.h - secrets at rest: sealed by a key that only the coordinator has (secrets.key of its state folder), so that farm.db, its log, its
 * freed pages and its copies tell nothing without that file.
 *
 * XChaCha20-Poly1305 of libsodium, a nonce of its own for each. `about` says what is sealed (whose, of which build's request, which part):
 * what is put in another's place does not open. */
#ifndef FARM_SEAL_H
#define FARM_SEAL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/keys.h"
#include "common/mem.h"

typedef struct seal seal_t;

seal_t *seal_new (const uint8_t key [KEY_SIZE]);        /* copied into locked memory */
void seal_destroy (seal_t **self);

/* Base64, for the headers of the engine's events; the caller frees. */
char *seal_close (const seal_t *self, const char *about, const void *data, size_t size);

/* The bytes again, in *out (replaced; the caller wipes it). ERR_FARM for what this key has not sealed, or not about that. */
int seal_open (const seal_t *self, const char *about, const char *base64, buffer_t *out, err_t *err);

#endif
