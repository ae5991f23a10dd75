/* reach.c - see reach.h. */
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/reach_private.h"

/* -- make ---------------------------------------------------------------------------------------------------------- */

reach_t *reach_new (const char *text, size_t size, const json_t *build_args)
{
    AUTO (reach) reach_t *self = mem_alloc (sizeof *self);
    self->own = json_object ();
    return reach_read_file (self, text, size, build_args) ? take (&self) : NULL;
}

void reach_destroy (reach_t **self_p)
{
    reach_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free (self->sources [i].path);
    free (self->sources);
    json_decref (self->own);
    free (self);
    *self_p = NULL;
}

static int compare_sources (const void *a, const void *b)
{
    const reach_source_t *one = a, *other = b;
    int order = strcmp (one->path, other->path);
    return order ? order : (one->depth > other->depth) - (one->depth < other->depth);
}

/* Takes source's path. */
static bool insert (reach_t *self, reach_source_t *source)
{
    size_t at = 0;
    int order = -1;
    while (at < self->count && (order = compare_sources (&self->sources [at], source)) < 0)
        at++;
    if ((at < self->count && order == 0) || self->count == REACH_SOURCES_MAX) {
        free (source->path);
        return self->count < REACH_SOURCES_MAX || order == 0;
    }
    self->sources = mem_resize (self->sources, (self->count + 1) * sizeof *self->sources);
    memmove (self->sources + at + 1, self->sources + at, (self->count - at) * sizeof *self->sources);
    self->sources [at] = *source;
    self->count++;
    return true;
}

/* The names of a path without empty ones and "."; NULL where one is "..": what that leads to may depend on links. The caller frees. */
static char *clean (const char *text, int *depth)
{
    AUTO_BUFFER buffer_t out = { 0 };
    *depth = 0;
    buffer_text (&out, "");
    while (*text) {
        size_t size = strcspn (text, "/");
        if (size == 2 && memcmp (text, "..", 2) == 0)
            return NULL;
        if (size > 1 || (size == 1 && *text != '.')) {
            if ((*depth)++)
                buffer_text (&out, "/");
            buffer_append (&out, text, size);
        }
        text += size + (text [size] == '/');
    }
    return mem_strndup ((const char *) out.data, out.size);
}

bool reach_add (reach_t *self, const char *text)
{
    reach_source_t source = { .path = NULL };
    int depth;
    char *path = source.path = clean (text, &depth);
    if (!path)
        return false;
    source.size = strcspn (path, "*?[\\");
    if (path [source.size])
        source.depth = strstr (path, "**") ? INT_MAX : depth;
    path [source.size] = 0;
    if (source.size == 0) {
        free (path);
        return false;
    }
    return insert (self, &source);
}

/* -- ask ----------------------------------------------------------------------------------------------------------- */

/* Is path equal to the first size bytes of folder, or below? */
static bool is_same_or_below (const char *path, const char *folder, size_t size)
{
    return strncmp (path, folder, size) == 0 && (path [size] == 0 || path [size] == '/');
}

static bool holds (const reach_source_t *source, const char *path)
{
    return source->depth ? strncmp (path, source->path, source->size) == 0 : is_same_or_below (path, source->path, source->size);
}

static bool leads_through (const reach_source_t *source, const char *path)
{
    size_t size = strlen (path);
    return size < source->size && is_same_or_below (source->path, path, size);
}

reach_kind reach_path (const reach_t *self, const char *path)
{
    reach_kind kind = REACH_NONE;
    for (size_t i = 0; i < self->count; i++)
        if (holds (&self->sources [i], path))
            return REACH_WHOLE;
        else if (leads_through (&self->sources [i], path))
            kind = REACH_PASSAGE;
    return kind;
}

static int depth_of (const char *path)
{
    int depth = 1;
    while ((path = strchr (path, '/'))) {
        depth++;
        path++;
    }
    return depth;
}

bool reach_follows (const reach_t *self, const char *path)
{
    for (size_t i = 0; i < self->count; i++) {
        const reach_source_t *source = &self->sources [i];
        if (leads_through (source, path) || (source->depth ? holds (source, path) && depth_of (path) <= source->depth
                                                           : strcmp (path, source->path) == 0))
            return true;
    }
    return false;
}

void reach_write (const reach_t *self, buffer_t *out)
{
    for (size_t i = 0; i < self->count; i++) {
        buffer_append (out, self->sources [i].path, self->sources [i].size + 1);
        buffer_printf (out, "%d ", self->sources [i].depth);
    }
}

/* -- instructions -------------------------------------------------------------------------------------------------- */

/* Blanks squeezed: builders show them differently. The caller frees. */
static char *squeeze (const char *text)
{
    char *out = mem_strdup (text), *to = out;
    for (const char *at = text; *at; at++)
        if (!isspace ((unsigned char) *at))
            *to++ = *at;
        else if (to > out && to [-1] != ' ')
            *to++ = ' ';
    while (to > out && to [-1] == ' ')
        to--;
    *to = 0;
    return out;
}

/* It may be in another encoding than UTF-8. */
void reach_add_own (reach_t *self, const char *instruction)
{
    AUTO_FREE char *text = squeeze (instruction);
    json_object_set_new_nocheck (self->own, text, json_true ());
}

/* Named by an instruction of the Dockerfile too: what lies in a folder that is read would not do, for a link there is not followed. */
static bool is_named (const reach_t *self, const reach_source_t *source)
{
    for (size_t i = 0; i < self->count; i++)
        if (compare_sources (&self->sources [i], source) == 0)
            return true;
    return false;
}

bool reach_covers (const reach_t *self, const char *instruction)
{
    AUTO (reach) reach_t *read = mem_alloc (sizeof *read);
    AUTO_FREE char *text = squeeze (instruction);
    if (json_object_get (self->own, text))
        return true;
    if (!reach_read_instruction (read, instruction))
        return false;
    for (size_t i = 0; i < read->count; i++)
        if (!is_named (self, &read->sources [i]))
            return false;
    return true;
}
