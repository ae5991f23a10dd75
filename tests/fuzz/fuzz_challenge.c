/* fuzz_challenge.c - the value of WWW-Authenticate.
 *
 * covers: common/challenge.c */
#include <string.h>

#include "common/challenge.h"
#include "common/mem.h"
#include "fuzz.h"

static void add (buffer_t *out, const char *name, const char *value)
{
    buffer_printf (out, "%s%s=\"", strchr ((const char *) out->data, '=') ? ", " : " ", name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            buffer_text (out, "\\");
        buffer_append (out, value, 1);
    }
    buffer_text (out, "\"");
}

/* Quoted, the values are read as they were. */
static void check (const challenge_t *found)
{
    static challenge_t again;
    err_t err = { 0 };
    AUTO_BUFFER buffer_t text = { 0 };
    MUST (found->scheme == CHALLENGE_BASIC || (found->scheme == CHALLENGE_BEARER && found->realm [0]));
    buffer_text (&text, found->scheme == CHALLENGE_BEARER ? "Bearer" : "Basic");
    add (&text, "realm", found->realm);
    add (&text, "service", found->service);
    add (&text, "scope", found->scope);
    MUST (challenge_parse (&again, (const char *) text.data, &err) == 0 && again.scheme == found->scheme);
    MUST (strcmp (again.realm, found->realm) == 0 && strcmp (again.service, found->service) == 0);
    MUST (strcmp (again.scope, found->scope) == 0);
}

FUZZ_TARGET (challenge)
{
    static challenge_t found;
    err_t err = { 0 };
    fuzz_input_t input = { data, size };
    AUTO_FREE char *text = fuzz_rest (&input, NULL);
    if (challenge_parse (&found, text, &err) == 0)
        check (&found);
    else
        MUST (err.code == ERR_REGISTRY);
}
