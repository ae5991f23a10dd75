/* oci_digest.c - the names of the registry's content; see digest.h. libcrypto does SHA-256 because it uses the CPU's instructions
 * for it. In a file of its own: farmctl does without libcrypto. */
#include "common/digest.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

struct oci_hash {
    EVP_MD_CTX *context;
};

oci_hash_t *oci_hash_new (void)
{
    oci_hash_t *self = mem_alloc (sizeof *self);
    self->context = EVP_MD_CTX_new ();
    EVP_DigestInit_ex (self->context, EVP_sha256 (), NULL);
    return self;
}

void oci_hash_add (oci_hash_t *self, const void *data, size_t size)
{
    EVP_DigestUpdate (self->context, data, size);
}

void oci_hash_end (oci_hash_t *self, char text [OCI_DIGEST_SIZE])
{
    uint8_t bytes [32];
    EVP_DigestFinal_ex (self->context, bytes, NULL);
    memcpy (text, "sha256:", 7);
    sodium_bin2hex (text + 7, OCI_DIGEST_SIZE - 7, bytes, sizeof bytes);
}

void oci_hash_destroy (oci_hash_t **self_p)
{
    if (!*self_p)
        return;
    EVP_MD_CTX_free ((*self_p)->context);
    free (*self_p);
    *self_p = NULL;
}

void oci_digest_of (const void *data, size_t size, char text [OCI_DIGEST_SIZE])
{
    AUTO (oci_hash) oci_hash_t *hash = oci_hash_new ();
    oci_hash_add (hash, data, size);
    oci_hash_end (hash, text);
}
