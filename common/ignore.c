/* ignore.c - the lines of .dockerignore: cleaned as BuildKit's ignorefile does it (trim, comments, Go's filepath.Clean),
 * applied in their order. pattern.c matches one of them. */
#include "common/ignore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/pattern.h"

typedef struct {
    pattern_t *pattern;
    char *plain;                /* the parts at its beginning that hold no sign, "" if there are none */
    bool is_exception;
} line_t;

struct ignore {
    line_t *lines;
    size_t count;
};

static bool is_space (char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void trim (const char **text, size_t *size)
{
    for (; *size && is_space (**text); (*size)--)
        (*text)++;
    while (*size && is_space ((*text) [*size - 1]))
        (*size)--;
}

/* One part of a path that is being cleaned; at is where the next may go, floor what ".." must not take away. */
static void clean_part (char *out, size_t *at, size_t *floor, bool is_rooted, const char *part, size_t size)
{
    bool is_up = size == 2 && memcmp (part, "..", 2) == 0;
    if (size == 0 || (size == 1 && *part == '.') || (is_up && is_rooted && *at == 1))
        return;
    if (is_up && *at > *floor) {
        do
            (*at)--;
        while (*at > *floor && out [*at] != '/');
        return;
    }
    if (*at > (size_t) is_rooted)
        out [(*at)++] = '/';
    memcpy (out + *at, part, size);
    *at += size;
    if (is_up)
        *floor = *at;
}

/* filepath.Clean, and without a leading slash. The caller frees. */
static char *clean (const char *text, size_t size)
{
    char *out = mem_alloc (size + 2);
    bool is_rooted = size && *text == '/';
    size_t at = is_rooted, floor = is_rooted;
    out [0] = '/';
    for (size_t from = 0; from < size;) {
        const char *slash = memchr (text + from, '/', size - from);
        size_t length = slash ? (size_t) (slash - text) - from : size - from;
        clean_part (out, &at, &floor, is_rooted, text + from, length);
        from += length + 1;
    }
    if (at == 0)
        out [at++] = '.';
    out [at] = 0;
    if (is_rooted && at > 1)
        memmove (out, out + 1, at);
    return out;
}

static char *plain_parts (const char *pattern)
{
    size_t size = strcspn (pattern, "*?[\\");
    if (pattern [size])
        while (size && pattern [size - 1] != '/')
            size--;
    while (size && pattern [size - 1] == '/')
        size--;
    return mem_strndup (pattern, size);
}

static int add_line (ignore_t *self, const char *text, size_t size, size_t number, err_t *err)
{
    if (size && *text == '#')
        return 0;
    trim (&text, &size);
    if (size == 0)
        return 0;
    bool is_exception = *text == '!';
    if (is_exception) {
        text++;
        size--;
        trim (&text, &size);
    }
    AUTO_FREE char *cleaned = clean (text, size);
    bool is_empty = size == 0 || strcmp (cleaned, "/") == 0;
    if (is_exception && is_empty)
        return err_set (err, ERR_USAGE, "line %zu: nothing follows the '!'", number);
    pattern_t *pattern = memchr (text, 0, size) ? NULL : pattern_parse (cleaned);
    if (!pattern)
        return err_set (err, ERR_USAGE, "line %zu: \"%s\" is no pattern (an open '[', or nothing behind a '\\')", number, cleaned);
    self->lines = mem_resize (self->lines, (self->count + 1) * sizeof *self->lines);
    self->lines [self->count++] = (line_t) { pattern, plain_parts (cleaned), is_exception };
    return 0;
}

ignore_t *ignore_parse (const char *text, size_t size, err_t *err)
{
    AUTO (ignore) ignore_t *self = mem_alloc (sizeof *self);
    size_t number = 1;
    if (size >= 3 && memcmp (text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        size -= 3;
    }
    for (size_t from = 0; from < size; number++) {
        const char *end = memchr (text + from, '\n', size - from);
        size_t length = end ? (size_t) (end - text) - from : size - from;
        if (add_line (self, text + from, length, number, err) < 0)
            return NULL;
        from += length + 1;
    }
    return take (&self);
}

void ignore_destroy (ignore_t **self_p)
{
    ignore_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++) {
        pattern_destroy (&self->lines [i].pattern);
        free (self->lines [i].plain);
    }
    free (self->lines);
    free (self);
    *self_p = NULL;
}

/* The path itself, or a folder above it. */
static bool covers (const line_t *line, const char *path, size_t size)
{
    if (pattern_matches (line->pattern, path, size))
        return true;
    for (size_t i = 1; i < size; i++)
        if (path [i] == '/' && pattern_matches (line->pattern, path, i))
            return true;
    return false;
}

bool ignore_matches (const ignore_t *self, const char *path)
{
    bool is_out = false;
    size_t size = strlen (path);
    for (size_t i = 0; i < self->count; i++)
        if (self->lines [i].is_exception == is_out && covers (&self->lines [i], path, size))
            is_out = !is_out;
    return is_out;
}

static bool is_same_or_below (const char *path, const char *folder)
{
    size_t size = strlen (folder);
    return size == 0 || (strncmp (path, folder, size) == 0 && (path [size] == 0 || path [size] == '/'));
}

bool ignore_may_reenter (const ignore_t *self, const char *folder)
{
    for (size_t i = 0; i < self->count; i++) {
        const line_t *line = &self->lines [i];
        if (line->is_exception && (is_same_or_below (line->plain, folder) || is_same_or_below (folder, line->plain)))
            return true;
    }
    return false;
}

int ignore_find (const char *context, const char *dockerfile, char **path, err_t *err)
{
    struct stat info;
    for (int i = dockerfile ? 0 : 1; i < 2; i++) {
        AUTO_FREE char *candidate = i == 0 ? mem_printf ("%s.dockerignore", dockerfile) : file_join (context, ".dockerignore");
        *path = NULL;
        if (stat (candidate, &info) == 0) {
            *path = take (&candidate);
            return 0;
        }
        if (errno != ENOENT && errno != ENOTDIR) {
            err_sys (err, errno, "look for %s", candidate);
            if (err)
                err->code = ERR_USAGE;
            return -1;
        }
    }
    return 0;
}
