/* hook_secret.c - see hook_secret.h. */
#include "coordinator/hook_secret.h"

#include <sodium.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/base64.h"

void hook_mac (const void *key, size_t key_size, const char *text, const void *body, size_t size, uint8_t out [HOOK_MAC])
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init (&state, key, key_size);
    crypto_auth_hmacsha256_update (&state, (const uint8_t *) text, strlen (text));
    crypto_auth_hmacsha256_update (&state, body, size);
    crypto_auth_hmacsha256_final (&state, out);
    sodium_memzero (&state, sizeof state);
}

static void derive (const uint8_t key [KEY_SIZE], const char *name, const char *salt, uint8_t out [HOOK_MAC])
{
    AUTO_FREE char *text = mem_printf ("hook/%s/%s", salt, name);
    hook_mac (key, KEY_SIZE, text, "", 0, out);
}

char *hook_secret_text (const uint8_t key [KEY_SIZE], const char *name, const char *salt)
{
    uint8_t secret [HOOK_MAC];
    derive (key, name, salt, secret);
    char *base64 = base64_encode (secret, sizeof secret), *text = mem_printf ("whsec_%s", base64);
    sodium_memzero (secret, sizeof secret);
    sodium_memzero (base64, strlen (base64));
    free (base64);
    return text;
}

char *hook_sign (const uint8_t key [KEY_SIZE], const char *name, const char *salt, const char *id, const char *seconds, const void *body, size_t size)
{
    uint8_t secret [HOOK_MAC], mac [HOOK_MAC];
    AUTO_FREE char *head = mem_printf ("%s.%s.", id, seconds);
    derive (key, name, salt, secret);
    hook_mac (secret, sizeof secret, head, body, size, mac);
    sodium_memzero (secret, sizeof secret);
    AUTO_FREE char *base64 = base64_encode (mac, sizeof mac);
    return mem_printf ("v1,%s", base64);
}
