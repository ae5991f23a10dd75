/* digest.h - the names of objects (BLAKE2b-256) and of the registry's content (SHA-256). */
#ifndef FARM_DIGEST_H
#define FARM_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum { DIGEST_SIZE = 32, DIGEST_HEX_SIZE = 64, OCI_DIGEST_SIZE = 72 };

typedef struct { uint8_t bytes [DIGEST_SIZE]; } digest_t;

digest_t digest_of (const void *data, size_t size);             /* BLAKE2b-256 */
bool digest_equal (const digest_t *a, const digest_t *b);
void digest_to_hex (const digest_t *self, char hex [DIGEST_HEX_SIZE + 1]);
int digest_from_hex (digest_t *self, const char *hex, err_t *err);

/* "sha256:<hex>" of bytes, by libcrypto; and of a stream. */
void oci_digest_of (const void *data, size_t size, char text [OCI_DIGEST_SIZE]);
typedef struct oci_hash oci_hash_t;
oci_hash_t *oci_hash_new (void);
void oci_hash_add (oci_hash_t *self, const void *data, size_t size);
void oci_hash_end (oci_hash_t *self, char text [OCI_DIGEST_SIZE]);
void oci_hash_destroy (oci_hash_t **self);

#endif
