/* output.c - results, notes, tables and errors of farmctl. */
#include "farmctl/output.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "common/clock.h"
#include "common/mem.h"

static bool is_json_wanted, is_quiet_wanted;
static json_t *details;

void output_set_json (bool is_json)
{
    is_json_wanted = is_json;
}

bool output_is_json (void)
{
    return is_json_wanted;
}

void output_set_quiet (bool is_quiet)
{
    is_quiet_wanted = is_quiet;
}

int output_json (json_t *document, err_t *err)
{
    if (details)
        json_object_update (document, details);
    json_decref (details);
    details = NULL;
    int rc = json_dumpf (document, stdout, JSON_INDENT (2) | JSON_REAL_PRECISION (6));
    json_decref (document);
    if (rc < 0)
        return err_sys (err, errno ? errno : EIO, "write to standard output");
    putchar ('\n');
    return 0;
}

void output_line (const char *format, ...)
{
    if (is_json_wanted)
        return;
    va_list args;
    va_start (args, format);
    vprintf (format, args);
    va_end (args);
    putchar ('\n');
}

void output_note (const char *format, ...)
{
    if (is_quiet_wanted)
        return;
    va_list args;
    va_start (args, format);
    vfprintf (stderr, format, args);
    va_end (args);
    fputc ('\n', stderr);
}

void output_detail (const char *name, json_t *value)
{
    if (!is_json_wanted) {
        json_decref (value);
        return;
    }
    if (!details)
        details = json_object ();
    json_object_set_new (details, name, value);
}

void output_error (const err_t *err)
{
    fprintf (stderr, "farmctl: %s\n", err->text);
    json_t *document = json_pack ("{s:{s:s, s:s}}", "error", "code", err_name (err->code), "text", err->text);
    if (is_json_wanted)
        output_json (document, NULL);
    else
        json_decref (document);
}

bool output_is_unread (void)
{
    struct pollfd output = { STDOUT_FILENO, POLLOUT, 0 };
    return ferror (stdout) && poll (&output, 1, 0) > 0 && (output.revents & POLLERR);
}

int output_flush (err_t *err)
{
    if (fflush (stdout) != 0 || ferror (stdout))
        return err_sys (err, errno ? errno : EIO, "write to standard output");
    return 0;
}

/* -- tables ----------------------------------------------------------------------------------------------------------- */

struct output_table {
    size_t columns, count;
    char **cells;
};

output_table_t *output_table_new (size_t columns)
{
    output_table_t *self = mem_alloc (sizeof *self);
    self->columns = columns;
    return self;
}

void output_table_add (output_table_t *self, const char *const *cells)
{
    self->cells = mem_resize (self->cells, (self->count + self->columns) * sizeof *self->cells);
    for (size_t i = 0; i < self->columns; i++)
        self->cells [self->count++] = output_clean (mem_strdup (cells [i] ? cells [i] : ""));
}

static size_t width_of (const char *text)
{
    wchar_t wide [1024];
    size_t length = mbstowcs (wide, text, 1023);
    if (length == (size_t) -1)
        return strlen (text);
    int width = wcswidth (wide, length);
    return width < 0 ? length : (size_t) width;
}

static size_t column_width (const output_table_t *self, size_t column)
{
    size_t widest = 0;
    for (size_t i = column; i < self->count; i += self->columns) {
        size_t width = width_of (self->cells [i]);
        widest = width > widest ? width : widest;
    }
    return widest;
}

/* Is nothing to be printed behind this cell in its row? */
static bool is_end (const output_table_t *self, size_t i)
{
    while (++i % self->columns)
        if (*self->cells [i])
            return false;
    return true;
}

void output_table_print (output_table_t *self)
{
    AUTO_FREE size_t *widths = mem_alloc (self->columns * sizeof *widths);
    for (size_t i = 0; i < self->columns; i++)
        widths [i] = column_width (self, i);
    for (size_t i = 0; i < self->count; i++) {
        size_t column = i % self->columns;
        int gap = is_end (self, i) ? 0 : (int) (widths [column] - width_of (self->cells [i])) + 2;
        printf ("%s%*s%s", self->cells [i], gap, "", column == self->columns - 1 ? "\n" : "");
    }
}

void output_table_destroy (output_table_t **self_p)
{
    output_table_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free (self->cells [i]);
    free (self->cells);
    free (self);
    *self_p = NULL;
}

void output_table_of (const char *const *heads, size_t columns, const json_t *rows, void (*add) (output_table_t *table, const json_t *row))
{
    AUTO (output_table) output_table_t *table = output_table_new (columns);
    size_t i;
    json_t *row;
    output_table_add (table, heads);
    json_array_foreach ((json_t *) rows, i, row)
        add (table, row);
    output_table_print (table);
}

/* -- texts ------------------------------------------------------------------------------------------------------------ */

char *output_clean (char *text)
{
    mbstate_t state = { 0 };
    size_t left = strlen (text);
    for (char *c = text; left; ) {
        wchar_t wide;
        size_t length = mbrtowc (&wide, c, left, &state);
        bool is_broken = length == 0 || length > left;
        if (is_broken) {
            length = 1;
            state = (mbstate_t) { 0 };
        }
        /* glibc reads them, JSON has none. */
        bool is_no_character = !is_broken && ((wide >= 0xd800 && wide < 0xe000) || wide > 0x10ffff);
        if (is_broken || is_no_character || (wide < ' ' && wide != '\t') || (wide >= 0x7f && wide < 0xa0))
            memset (c, '?', length);
        c += length;
        left -= length;
    }
    return text;
}

/* Several results may stand in one printf. */
static char *next_buffer (void)
{
    static char buffers [8][40];
    static unsigned at;
    return buffers [at++ % 8];
}

const char *output_bytes (uint64_t bytes)
{
    static const char *const units [] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
    char *text = next_buffer ();
    double value = (double) bytes;
    int unit = 0;
    for (; value >= 999.5; unit++)
        value /= 1000;
    snprintf (text, 40, unit && value < 9.95 ? "%.1f %s" : "%.0f %s", value, units [unit]);
    return text;
}

const char *output_duration (int64_t ms)
{
    char *text = next_buffer ();
    long long seconds = ms / 1000;
    if (ms < 59950)
        snprintf (text, 40, "%.1f s", (double) ms / 1000);
    else if (seconds < 3600)
        snprintf (text, 40, "%lld min %lld s", seconds / 60, seconds % 60);
    else
        snprintf (text, 40, "%lld h %lld min", seconds / 3600, seconds / 60 % 60);
    return text;
}

const char *output_count (uint64_t count)
{
    char digits [24];
    char *text = next_buffer (), *to = text;
    int length = snprintf (digits, sizeof digits, "%llu", (unsigned long long) count);
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits [i];
    }
    *to = 0;
    return text;
}

const char *output_ago (int64_t when_ms)
{
    char *text = next_buffer ();
    long long seconds = (clock_wall_ms () - when_ms) / 1000;
    if (seconds < 60)
        snprintf (text, 40, "%lld s ago", seconds < 0 ? 0 : seconds);
    else if (seconds < 3600)
        snprintf (text, 40, "%lld min ago", seconds / 60);
    else if (seconds < 2 * 86400)
        snprintf (text, 40, "%lld h ago", seconds / 3600);
    else
        snprintf (text, 40, "%lld days ago", seconds / 86400);
    return text;
}
