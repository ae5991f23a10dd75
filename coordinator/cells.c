/* cells.c - see cells.h. */
#include "coordinator/cells.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"

/* A worker's words may hold control characters: each is six bytes of JSON, and nothing for a terminal. */
static json_t *one_line (const char *text)
{
    AUTO_FREE char *line = mem_strdup (text);
    for (char *c = line; *c; c++)
        if ((unsigned char) *c < ' ' || *c == 0x7f)
            *c = ' ';
    return json_string (line);
}

/* Cut at a character's beginning: UTF-8 stays whole. */
json_t *cell_text (const query_t *query, int column, size_t max)
{
    const char *text = query_get_text (query, column);
    if (!text)
        return json_null ();
    size_t size = strlen (text);
    if (size <= max)
        return one_line (text);
    while (max > 0 && ((unsigned char) text [max] & 0xc0) == 0x80)
        max--;
    AUTO_FREE char *cut = mem_printf ("%.*s…", (int) max, text);
    return one_line (cut);
}

json_t *cell_int (const query_t *query, int column)
{
    return query_is_null (query, column) ? json_null () : json_integer (query_get_int (query, column));
}

char *cells_tries (query_t query, const char *what)
{
    char *text = NULL;
    if (query_step (&query)) {
        long long tries = query_get_int (&query, 0);
        text = tries ? mem_printf ("%s, try %lld: %s", what, tries + 1, query_get_text (&query, 1)) : mem_strdup (what);
    }
    query_end (&query, NULL);
    return text;
}

/* As JSON: with quotes, and what stands behind a backslash. */
static size_t size_of_text (const char *text, size_t length)
{
    size_t size = 2 + length;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char) text [i];
        if (c == '"' || c == '\\')
            size += 1;
        else if (c < ' ')
            size += strchr ("\b\f\n\r\t", c) && c ? 1 : 5;
    }
    return size;
}

static size_t size_of_number (const json_t *value)
{
    char text [64];
    if (json_is_integer (value))
        return (size_t) snprintf (text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value (value));
    return json_dumpb (value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
}

static size_t size_of (const json_t *value)
{
    size_t i, size = 1;
    const char *name;
    json_t *item;
    if (json_is_string (value))
        return size_of_text (json_string_value (value), json_string_length (value));
    if (!json_is_object (value) && !json_is_array (value))
        return size_of_number (value);
    json_array_foreach (value, i, item)
        size += size_of (item) + 1;
    json_object_foreach ((json_t *) value, name, item)
        size += size_of_text (name, strlen (name)) + 1 + size_of (item) + 1;
    return size > 1 ? size : 2;                 /* the last one's comma is the closing bracket */
}

/* Of all that is listed, to know where a page ends: it is counted without being written. */
int cell_size (const json_t *value)
{
    return value ? (int) size_of (value) : 0;
}

int cells_page (query_t query, json_t *(*view) (const query_t *row), size_t max, json_t *out, bool *has_more, err_t *err)
{
    int size = 0;
    *has_more = false;
    while (!*has_more && query_step (&query)) {
        json_t *one = view (&query);
        size += cell_size (one);
        json_array_append_new (out, one);
        *has_more = size > LIST_MAX || json_array_size (out) == max;
    }
    return query_end (&query, err);
}
