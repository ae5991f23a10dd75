/* cells.c - see cells.h. */
#include "coordinator/cells.h"

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

int cell_size (const json_t *value)
{
    AUTO_FREE char *text = json_dumps (value, JSON_COMPACT);
    return text ? (int) strlen (text) : 0;
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
