/* fuzz_ignore.c - .dockerignore: a path to ask about in a first line, then the file.
 *
 * covers: common/ignore.c common/pattern.c */
#include <limits.h>
#include <string.h>

#include "common/ignore.h"
#include "common/mem.h"
#include "fuzz.h"

/* A folder that nothing re-enters need not be walked: so all that is below it is out. */
static void check (const ignore_t *ignore, const char *path)
{
    AUTO_FREE char *below = mem_printf ("%s/x", path);
    bool is_out = ignore_matches (ignore, path);
    if (is_out && !ignore_may_reenter (ignore, path))
        MUST (ignore_matches (ignore, below));
}

FUZZ_TARGET (ignore)
{
    size_t length;
    err_t err = { 0 };
    fuzz_input_t input = { data, size };
    AUTO_FREE char *path = fuzz_line (&input, NULL);
    AUTO_FREE char *text = fuzz_rest (&input, &length);
    AUTO (ignore) ignore_t *ignore = ignore_parse (text, length, &err);
    MUST (ignore || err.code == ERR_USAGE);
    if (ignore && *path && strlen (path) < PATH_MAX)
        check (ignore, path);
}
