/* fuzz_join.c - join strings: as they are, or, without "farm1." in front, what is inside them.
 *
 * covers: common/keys.c */
#include <sodium.h>
#include <string.h>

#include "common/keys.h"
#include "common/mem.h"
#include "fuzz.h"

static char *wrap (const char *text, size_t size)
{
    const int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    AUTO_FREE char *encoded = mem_alloc (sodium_base64_encoded_len (size, variant));
    sodium_bin2base64 (encoded, sodium_base64_encoded_len (size, variant), (const uint8_t *) text, size, variant);
    return mem_printf ("farm1.%s", encoded);
}

static bool is_same (const invitation_t *a, const invitation_t *b)
{
    return strcmp (a->control, b->control) == 0 && strcmp (a->objects, b->objects) == 0
        && memcmp (a->server_key, b->server_key, KEY_SIZE) == 0 && memcmp (a->invitation, b->invitation, KEY_SIZE) == 0;
}

FUZZ_TARGET (join)
{
    err_t err = { 0 };
    invitation_t found, again;
    fuzz_input_t input = { data, size };
    AUTO_FREE char *text = fuzz_rest (&input, NULL);
    AUTO_FREE char *whole = strncmp (text, "farm1.", 6) == 0 ? mem_strdup (text) : wrap (text, size);
    if (invitation_decode (&found, whole, &err) < 0) {
        MUST (err.code == ERR_USAGE);
        return;
    }
    MUST (strncmp (found.control, "tcp://", 6) == 0 && strncmp (found.objects, "tcp://", 6) == 0);
    MUST (!strpbrk (found.control, "\"'\n#= ") && !strpbrk (found.objects, "\"'\n#= "));       /* they go into a settings file */
    AUTO_FREE char *encoded = invitation_encode (&found);
    MUST (invitation_decode (&again, encoded, &err) == 0 && is_same (&found, &again));
}
