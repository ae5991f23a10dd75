/* fuzz_reference.c - image references.
 *
 * covers: common/reference.c */
#include <string.h>

#include "common/mem.h"
#include "common/reference.h"
#include "fuzz.h"

static bool is_same (const reference_t *a, const reference_t *b)
{
    return strcmp (a->host, b->host) == 0 && strcmp (a->path, b->path) == 0 && strcmp (a->tag, b->tag) == 0
        && strcmp (a->digest, b->digest) == 0;
}

FUZZ_TARGET (reference)
{
    err_t err = { 0 };
    reference_t found, again;
    char whole [REFERENCE_MAX];
    fuzz_input_t input = { data, size };
    AUTO_FREE char *text = fuzz_rest (&input, NULL);
    reference_is_digest (text);
    if (reference_parse (&found, text, &err) < 0) {
        MUST (err.code == ERR_USAGE);
        return;
    }
    MUST (found.host [0] && found.path [0] && !strstr (found.path, "..") && !strstr (found.path, "//"));
    MUST (strcmp (found.host, "docker.io") != 0 || strchr (found.path, '/'));
    MUST (!found.digest [0] || reference_is_digest (found.digest));
    reference_format (&found, whole);
    MUST (!strpbrk (whole, " \t\r\n\"'\\?#%"));             /* it goes into paths of URLs, and into files for the builder */
    MUST (reference_parse (&again, whole, &err) == 0 && is_same (&found, &again));
}
