/* err.c - error values, and the one table of what each code means to others. */
#include "common/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int exit_code;
    int http_status;
    int is_farm_fault;
} table [ERR_COUNT] = {
    [ERR_NONE]            = { "none",            0,   200, 0 },
    [ERR_FARM]            = { "farm",            1,   500, 1 },
    [ERR_NETWORK]         = { "network",         1,   502, 1 },
    [ERR_FULL]            = { "full",            1,   507, 1 },
    [ERR_PROTOCOL]        = { "protocol",        1,   400, 1 },
    [ERR_STALE]           = { "stale",           1,   409, 0 },
    [ERR_DENIED]          = { "denied",          1,   403, 0 },
    [ERR_NOT_FOUND]       = { "not-found",       2,   404, 0 },
    [ERR_USAGE]           = { "usage",           2,   400, 0 },
    [ERR_BUILD]           = { "build",           3,   422, 0 },
    [ERR_PRUNED]          = { "pruned",          3,   422, 0 },
    [ERR_CANCELLED]       = { "cancelled",       3,   409, 0 },
    [ERR_NO_WORKER]       = { "no-worker",       4,   503, 0 },
    [ERR_REGISTRY]        = { "registry",        5,   502, 1 },
    [ERR_REGISTRY_DENIED] = { "registry-denied", 5,   403, 0 },
    [ERR_VERIFY]          = { "verify",          6,   422, 0 },
    [ERR_TIMEOUT]         = { "timeout",         124, 504, 0 },
    [ERR_INTERRUPTED]     = { "interrupted",     130, 503, 0 },
};

/* Length of the UTF-8 sequence at c (RFC 3629), 0 where there is none. Surrogates and overlong forms are not caught by the
 * lengths alone, so the first continuation byte's range is looked at too. */
static int utf8_length (const unsigned char *c)
{
    if (c [0] < 0x80)
        return 1;
    int length = c [0] >= 0xc2 && c [0] < 0xe0 ? 2 : (c [0] & 0xf0) == 0xe0 ? 3 : c [0] >= 0xf0 && c [0] < 0xf5 ? 4 : 0;
    for (int i = 1; i < length; i++)
        if ((c [i] & 0xc0) != 0x80)
            return 0;
    if ((c [0] == 0xe0 && c [1] < 0xa0) || (c [0] == 0xed && c [1] >= 0xa0))
        return 0;
    if ((c [0] == 0xf0 && c [1] < 0x90) || (c [0] == 0xf4 && c [1] >= 0x90))
        return 0;
    return length;
}

/* Below a space, 127, and U+0080 to U+009F, among which a terminal finds another "escape [". */
static int is_control (const unsigned char *c)
{
    return *c < ' ' || *c == 127 || (c [0] == 0xc2 && c [1] < 0xa0);
}

/* Keep the text one printable line of UTF-8 (a path may be anything), and show where it was cut. */
static void tidy (err_t *err, int wanted)
{
    if (wanted >= ERR_TEXT_MAX)
        memcpy (err->text + ERR_TEXT_MAX - 4, "...", 4);
    int length;
    for (unsigned char *c = (unsigned char *) err->text; *c; c += length) {
        length = utf8_length (c);
        if (length == 0)
            *c = '?';
        else if (is_control (c))
            memset (c, ' ', (size_t) length);
        length += length == 0;
    }
}

/* Beside the text, then over it: the text that stands there may be among the arguments. */
static void set_text (err_t *err, err_code code, const char *format, va_list args)
{
    char text [ERR_TEXT_MAX];
    int wanted = vsnprintf (text, sizeof text, format, args);
    err->code = code;
    memcpy (err->text, text, sizeof text);
    tidy (err, wanted);
}

int err_set (err_t *err, err_code code, const char *format, ...)
{
    if (!err)
        return -1;
    va_list args;
    va_start (args, format);
    set_text (err, code, format, args);
    va_end (args);
    return -1;
}

int err_is_full (int errnum)
{
    return errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG;
}

int err_sys (err_t *err, int errnum, const char *format, ...)
{
    if (!err)
        return -1;
    va_list args;
    va_start (args, format);
    set_text (err, err_is_full (errnum) ? ERR_FULL : ERR_FARM, format, args);
    va_end (args);
    size_t used = strlen (err->text);
    int more = snprintf (err->text + used, sizeof err->text - used, ": %s", strerror (errnum));
    tidy (err, (int) used + more);
    return -1;
}

int err_wrap (err_t *err, const char *format, ...)
{
    if (!err)
        return -1;
    char inner [ERR_TEXT_MAX];
    memcpy (inner, err->text, sizeof inner);
    va_list args;
    va_start (args, format);
    set_text (err, err->code, format, args);
    va_end (args);
    size_t used = strlen (err->text);
    int more = snprintf (err->text + used, sizeof err->text - used, ": %s", inner);
    tidy (err, (int) used + more);
    return -1;
}

static int known (err_code code)
{
    return code >= ERR_NONE && code < ERR_COUNT;
}

const char *err_name (err_code code)
{
    return table [known (code) ? code : ERR_FARM].name;
}

err_code err_from_name (const char *name)
{
    for (int code = ERR_NONE + 1; name && code < ERR_COUNT; code++)
        if (strcmp (table [code].name, name) == 0)
            return code;
    return ERR_FARM;
}

int err_exit_code (err_code code)
{
    return table [known (code) ? code : ERR_FARM].exit_code;
}

int err_http_status (err_code code)
{
    return table [known (code) ? code : ERR_FARM].http_status;
}

int err_is_farm_fault (err_code code)
{
    return table [known (code) ? code : ERR_FARM].is_farm_fault;
}
