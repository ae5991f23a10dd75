/* fuzz_keyfile.c - key files.
 *
 * covers: common/keys.c */
#include <string.h>

#include "common/keys.h"
#include "fuzz.h"

FUZZ_TARGET (keyfile)
{
    err_t err = { 0 };
    keypair_t pair, same;
    char public_hex [KEY_HEX_SIZE + 1];
    if (keypair_load (&pair, fuzz_file (data, size), &err) < 0) {
        MUST (err.code == ERR_USAGE);
        return;
    }
    keypair_from_secret (&same, pair.secret_key);
    MUST (memcmp (&pair, &same, sizeof pair) == 0);
    key_to_hex (pair.public_key, public_hex);
    MUST (size > 7 + KEY_HEX_SIZE && strncasecmp ((const char *) data + 7, public_hex, KEY_HEX_SIZE) == 0);
}
