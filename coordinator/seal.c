/* seal.c - see seal.h. A sealed text is the nonce, then what the AEAD makes. */
#include "coordinator/seal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/base64.h"

enum { NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES };
_Static_assert (KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "one key");

struct seal {
    uint8_t key [KEY_SIZE];
};

seal_t *seal_new (const uint8_t key [KEY_SIZE])
{
    seal_t *self = sodium_malloc (sizeof *self);
    if (!self)
        mem_exhausted ();
    memcpy (self->key, key, KEY_SIZE);
    sodium_mprotect_readonly (self);
    return self;
}

void seal_destroy (seal_t **self)
{
    sodium_free (*self);
    *self = NULL;
}

char *seal_close (const seal_t *self, const char *about, const void *data, size_t size)
{
    AUTO_BUFFER buffer_t sealed = { 0 };
    unsigned long long length = 0;
    buffer_reserve (&sealed, NONCE + size + TAG);
    randombytes_buf (sealed.data, NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt (sealed.data + NONCE, &length, data, size, (const uint8_t *) about, strlen (about), NULL,
                                                sealed.data, self->key);
    sealed.size = NONCE + (size_t) length;
    return base64_encode (sealed.data, sealed.size);
}

int seal_open (const seal_t *self, const char *about, const char *base64, buffer_t *out, err_t *err)
{
    AUTO_BUFFER buffer_t sealed = { 0 };
    unsigned long long length = 0;
    bool is_whole = base64_decode (base64, &sealed) == 0 && sealed.size >= NONCE + TAG;
    buffer_clear (out);
    buffer_reserve (out, sealed.size + 1);
    if (is_whole && crypto_aead_xchacha20poly1305_ietf_decrypt (out->data, &length, NULL, sealed.data + NONCE, sealed.size - NONCE,
                                                                (const uint8_t *) about, strlen (about), sealed.data, self->key) == 0) {
        out->size = (size_t) length;
        return 0;
    }
    return err_set (err, ERR_FARM, "it was not sealed by this coordinator's secrets.key: restore the one that belongs to farm.db, or submit the build again");
}
