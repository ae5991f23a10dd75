/* table.c - see hostile.h. */
#include "hostile.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

static void read_row (row_t *row, char *line, int number, int columns, const char *path)
{
    row->line = number;
    for (int i = 0; i < columns; i++)
        if (!(row->columns [i] = strsep (&line, "\t")))
            give_up ("%s:%d has %d columns, and not %d", path, number, i, columns);
    if (line)
        give_up ("%s:%d has more than %d columns", path, number, columns);
}

void table_read (table_t *self, const char *path, int columns)
{
    buffer_t text = { 0 };
    err_t err;
    int number = 0;
    *self = (table_t) { .count = 0 };
    if (file_read (path, 4 << 20, &text, &err) < 0)
        give_up ("%s", err.text);
    buffer_text (&text, "");
    self->text = (char *) text.data;
    for (char *at = self->text, *line; (line = strsep (&at, "\n")); ) {
        number++;
        if (!*line || *line == '#')
            continue;
        self->rows = mem_resize (self->rows, (self->count + 1) * sizeof *self->rows);
        read_row (&self->rows [self->count++], line, number, columns, path);
    }
}

void table_free (table_t *self)
{
    free (self->rows);
    free (self->text);
}

static const char *value_of (const scene_t *scene, const char *name, size_t size, const char *const *more)
{
    for (; more && *more; more += 2)
        if (strlen (more [0]) == size && strncmp (more [0], name, size) == 0)
            return more [1];
    for (int i = 0; i < scene->name_count; i++)
        if (strlen (scene->names [i]) == size && strncmp (scene->names [i], name, size) == 0)
            return scene->values [i];
    return NULL;
}

char *table_fill (const scene_t *scene, const char *text, const char *const *more)
{
    buffer_t out = { 0 };
    while (*text) {
        size_t size = 0;
        while (*text == '$' && isupper ((unsigned char) text [1 + size]))
            size++;
        const char *value = size ? value_of (scene, text + 1, size, more) : NULL;
        if (size && !value)
            give_up ("a table names $%.*s, which is nothing", (int) size, text + 1);
        if (value) {
            AUTO_FREE char *inner = table_fill (scene, value, more);
            buffer_text (&out, inner);
        } else
            buffer_append (&out, text, 1);
        text += value ? 1 + size : 1;
    }
    buffer_append (&out, "", 1);
    return (char *) out.data;
}
