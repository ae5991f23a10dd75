/* fuzz_error.c - what others say, in the text of an error: the words of a caller in a first line, then theirs.
 *
 * covers: common/err.c */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "fuzz.h"

/* A line of UTF-8 that does nothing to a terminal, and that JSON can have. */
static void check (const err_t *err)
{
    AUTO_JSON json_t *text = json_string (err->text);
    MUST (text && memchr (err->text, 0, sizeof err->text));
    for (const char *c = err->text; *c; c++)
        MUST ((unsigned char) *c >= ' ' && *c != 0x7f && !((unsigned char) c [0] == 0xc2 && (unsigned char) c [1] < 0xa0));
}

FUZZ_TARGET (error)
{
    err_t err = { 0 };
    fuzz_input_t input = { data, size };
    AUTO_FREE char *caller = fuzz_line (&input, NULL);
    AUTO_FREE char *text = fuzz_rest (&input, NULL);
    err_set (&err, ERR_REGISTRY, "it says \"%s\"", text);
    check (&err);
    err_set (&err, ERR_REGISTRY, "it says \"%.64s\"", text);        /* in the middle of a character */
    check (&err);
    for (int i = 0; i < 8; i++) {
        err_wrap (&err, "%s", caller);
        check (&err);
    }
    err_sys (&err, ENOSPC, "%s", text);
    check (&err);
    MUST (err.code == ERR_FULL && err_from_name (err_name (err.code)) == ERR_FULL);
    err_from_name (text);
}
