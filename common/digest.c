/* digest.c - the names of objects; see digest.h. */
#include "common/digest.h"

#include <sodium.h>
#include <string.h>

digest_t digest_of (const void *data, size_t size)
{
    digest_t self;
    crypto_generichash (self.bytes, DIGEST_SIZE, data, size, NULL, 0);
    return self;
}

bool digest_equal (const digest_t *a, const digest_t *b)
{
    return memcmp (a->bytes, b->bytes, DIGEST_SIZE) == 0;
}

void digest_to_hex (const digest_t *self, char hex [DIGEST_HEX_SIZE + 1])
{
    sodium_bin2hex (hex, DIGEST_HEX_SIZE + 1, self->bytes, DIGEST_SIZE);
}

int digest_from_hex (digest_t *self, const char *hex, err_t *err)
{
    size_t used = 0;
    if (!hex || strspn (hex, "0123456789abcdef") != DIGEST_HEX_SIZE || hex [DIGEST_HEX_SIZE]
        || sodium_hex2bin (self->bytes, DIGEST_SIZE, hex, DIGEST_HEX_SIZE, NULL, &used, NULL) != 0)
        return err_set (err, ERR_PROTOCOL, "a digest is %d lower-case hex digits", DIGEST_HEX_SIZE);
    return 0;
}
