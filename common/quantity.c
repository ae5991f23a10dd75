/* quantity.c - see quantity.h. */
#include "common/quantity.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char byte_units [] = "KMGT";
static const struct { char name; int64_t ms; } time_units [] = { { 'd', 86400000 }, { 'h', 3600000 }, { 'm', 60000 }, { 's', 1000 } };
enum { TIME_UNITS = sizeof time_units / sizeof *time_units, DIGITS_MAX = 19 };

/* The digits at *at, which goes behind them. */
static int read_digits (const char **at, int64_t *out)
{
    char *end;
    size_t digits = strspn (*at, "0123456789");
    if (digits < 1 || digits > DIGITS_MAX)
        return -1;
    errno = 0;
    *out = strtoll (*at, &end, 10);
    *at = end;
    return errno ? -1 : 0;
}

/* -- reading ---------------------------------------------------------------------------------------------------- */

int quantity_read_bytes (const char *text, int64_t *bytes)
{
    if (read_digits (&text, bytes) < 0)
        return -1;
    if (!*text)
        return 0;
    const char *unit = strchr (byte_units, toupper ((unsigned char) *text));
    int shift = unit ? 10 * (int) (unit - byte_units + 1) : 0;
    if (!unit || text [1] || *bytes > INT64_MAX >> shift)
        return -1;
    *bytes <<= shift;
    return 0;
}

static int64_t unit_ms (char name)
{
    for (int i = 0; i < TIME_UNITS; i++)
        if (time_units [i].name == name)
            return time_units [i].ms;
    return 0;
}

/* Units become smaller: "30m1h" is a slip. */
int quantity_read_duration (const char *text, int64_t *ms)
{
    int64_t last = INT64_MAX, number;
    *ms = 0;
    do {
        if (read_digits (&text, &number) < 0)
            return -1;
        int64_t unit = *text ? unit_ms (*text++) : last == INT64_MAX ? 1000 : 0;
        if (unit == 0 || unit >= last || number > (INT64_MAX - *ms) / unit)
            return -1;
        *ms += number * unit;
        last = unit;
    } while (*text);
    return 0;
}

int quantity_read_cpus (const char *text, int64_t *percent)
{
    if (read_digits (&text, percent) < 0 || *percent > INT64_MAX / 1000)
        return -1;
    *percent *= 100;
    if (!*text)
        return 0;
    size_t decimals = *text == '.' ? strspn (text + 1, "0123456789") : 0;
    if (decimals < 1 || decimals > 2 || text [decimals + 1])
        return -1;
    *percent += 10 * (text [1] - '0') + (decimals == 2 ? text [2] - '0' : 0);
    return 0;
}

/* -- saying ----------------------------------------------------------------------------------------------------- */

const char *quantity_bytes (int64_t bytes, char out [QUANTITY_SIZE])
{
    int unit = 0;
    for (; bytes && bytes % 1024 == 0 && byte_units [unit]; unit++)
        bytes /= 1024;
    snprintf (out, QUANTITY_SIZE, unit ? "%lld%c" : "%lld", (long long) bytes, unit ? byte_units [unit - 1] : 0);
    return out;
}

const char *quantity_duration (int64_t ms, char out [QUANTITY_SIZE])
{
    size_t size = 0;
    int64_t left = ms / 1000 * 1000;
    out [0] = 0;
    for (int i = 0; i < TIME_UNITS; i++) {
        if (left >= time_units [i].ms)
            size += (size_t) snprintf (out + size, QUANTITY_SIZE - size, "%lld%c", (long long) (left / time_units [i].ms), time_units [i].name);
        left %= time_units [i].ms;
    }
    return size ? out : strcpy (out, "0s");
}

const char *quantity_cpus (int64_t percent, char out [QUANTITY_SIZE])
{
    long long whole = percent / 100;
    int part = (int) (percent % 100);
    const char *unit = percent == 100 ? "cpu" : "cpus";
    if (part == 0)
        snprintf (out, QUANTITY_SIZE, "%lld %s", whole, unit);
    else if (part % 10 == 0)
        snprintf (out, QUANTITY_SIZE, "%lld.%d %s", whole, part / 10, unit);
    else
        snprintf (out, QUANTITY_SIZE, "%lld.%02d %s", whole, part, unit);
    return out;
}
