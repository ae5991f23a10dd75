/* dockerfile.c - reads a Dockerfile as far as is needed to know which registries it names, see dockerfile.h.
 *
 * text -> logical lines (continuations joined, comments and here-documents dropped) -> words -> variables -> references. */
#include "worker/dockerfile.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"

enum { WORD_MAX = 1024, STAGES_MAX = 128, STAGE_NAME_MAX = 128, VARIABLES_MAX = 256, MARKER_MAX = 64,
       DOCUMENTS_MAX = 256 };       /* each look for a marker may read the whole text */

typedef struct {
    const char *at, *end;           /* what is left of the text */
    char escape;
    const json_t *build_args;
    json_t *variables;
    char stages [STAGES_MAX] [STAGE_NAME_MAX];
    int stage_count, document_count;
    dockerfile_hosts_t *hosts;
} reader_t;

void dockerfile_add_host (dockerfile_hosts_t *self, const char *host)
{
    for (int i = 0; i < self->count; i++)
        if (strcmp (self->names [i], host) == 0)
            return;
    if (self->count < DOCKERFILE_HOSTS_MAX && strlen (host) < REFERENCE_HOST_MAX)
        strcpy (self->names [self->count++], host);
}

/* Lines ------------------------------------------------------------------------------------------------------------- */

/* The next line as it stands, without its end; false at the end of the text. */
static bool next_raw_line (reader_t *self, const char **line, size_t *size)
{
    if (self->at >= self->end)
        return false;
    const char *feed = memchr (self->at, '\n', (size_t) (self->end - self->at));
    const char *stop = feed ? feed : self->end;
    *line = self->at;
    self->at = feed ? feed + 1 : self->end;
    while (stop > *line && isspace ((unsigned char) stop [-1]))
        stop--;
    *size = (size_t) (stop - *line);
    return true;
}

static void skip_blanks (const char **at, size_t *size)
{
    while (*size > 0 && isspace ((unsigned char) **at)) {
        (*at)++;
        (*size)--;
    }
}

/* Directives stand before everything else: "# escape=`". */
static void read_directives (reader_t *self)
{
    const char *before = self->at, *line;
    size_t size;
    while (next_raw_line (self, &line, &size)) {
        skip_blanks (&line, &size);
        const char *equals = size > 0 && *line == '#' ? memchr (line, '=', size) : NULL;
        if (!equals)
            break;
        const char *name = line + 1, *value = equals + 1;
        size_t name_size = (size_t) (equals - name), value_size = size - (size_t) (value - line);
        skip_blanks (&name, &name_size);
        skip_blanks (&value, &value_size);
        while (name_size > 0 && isspace ((unsigned char) name [name_size - 1]))
            name_size--;
        if (name_size == 6 && strncasecmp (name, "escape", 6) == 0 && value_size == 1 && (*value == '\\' || *value == '`'))
            self->escape = *value;
        before = self->at;
    }
    self->at = before;
}

/* One instruction: lines that end with the escape character are joined with the next, comments and empty lines between
 * them are dropped. False at the end of the text. */
static bool next_instruction (reader_t *self, buffer_t *out)
{
    const char *line;
    size_t size;
    bool is_continued = false;
    buffer_clear (out);
    while (next_raw_line (self, &line, &size)) {
        skip_blanks (&line, &size);
        if (size == 0 || *line == '#')
            continue;
        is_continued = line [size - 1] == self->escape;
        buffer_append (out, line, is_continued ? size - 1 : size);
        if (!is_continued)
            return true;
        buffer_append (out, " ", 1);
    }
    return out->size > 0;
}

/* Here-documents ---------------------------------------------------------------------------------------------------- */

/* Skip to behind the line that is the marker. Without one it was no here-document: nothing is skipped. */
static void skip_document (reader_t *self, const char *marker, bool strips_tabs)
{
    const char *before = self->at, *line;
    size_t size, marker_size = strlen (marker);
    while (next_raw_line (self, &line, &size)) {
        while (strips_tabs && size > 0 && *line == '\t') {
            line++;
            size--;
        }
        if (size == marker_size && memcmp (line, marker, size) == 0)
            return;
    }
    self->at = before;
}

static void skip_documents (reader_t *self, const char *instruction)
{
    const char *at = instruction;
    while ((at = strstr (at, "<<")) && self->document_count++ < DOCUMENTS_MAX) {
        char marker [MARKER_MAX];
        size_t size = 0;
        at += 2;
        bool strips_tabs = *at == '-';
        at += strips_tabs;
        char quote = *at == '"' || *at == '\'' ? *at : 0;
        at += quote != 0;
        while (size < MARKER_MAX - 1 && (isalnum ((unsigned char) *at) || *at == '_'))
            marker [size++] = *at++;
        marker [size] = 0;
        if (size > 0 && (!quote || *at == quote))
            skip_document (self, marker, strips_tabs);
    }
}

/* Words and variables ----------------------------------------------------------------------------------------------- */

/* The next word, quotes kept inside it; false at the end. One that is too long is given as "". */
static bool next_word (const char **at, char out [WORD_MAX])
{
    size_t size = 0;
    char quote = 0;
    while (isspace ((unsigned char) **at))
        (*at)++;
    if (!**at)
        return false;
    for (; **at && (quote || !isspace ((unsigned char) **at)); (*at)++) {
        if (quote ? **at == quote : **at == '"' || **at == '\'')
            quote = quote ? 0 : **at;
        if (size < WORD_MAX)
            out [size] = **at;
        size++;
    }
    out [size < WORD_MAX ? size : 0] = 0;
    return true;
}

static size_t name_size (const char *at)
{
    size_t size = 0;
    while (isalnum ((unsigned char) at [size]) || at [size] == '_')
        size++;
    return size;
}

static void expand (const reader_t *self, const char *word, size_t size, buffer_t *out, int depth);

/* "${NAME}", "${NAME:-other}", "${NAME:+other}" or "$NAME" at word; returns how long it is. A name that nobody has set
 * becomes "x": the builder may know it (TARGETARCH), and it seldom stands in the host. */
static size_t expand_variable (const reader_t *self, const char *word, size_t size, buffer_t *out, int depth)
{
    bool has_braces = size > 1 && word [1] == '{';
    const char *name = word + 1 + has_braces;
    size_t length = name_size (name), whole = 1 + length;
    const char *other = name + length, *stop = other;
    if (length == 0 && !has_braces) {
        buffer_text (out, "$");
        return 1;
    }
    if (has_braces) {
        for (int level = 1; stop < word + size; stop++)
            if ((*stop == '{' && level++ < 0) || (*stop == '}' && --level == 0))
                break;
        if (stop == word + size)
            return 1;
        whole = (size_t) (stop - word) + 1;
    }
    AUTO_FREE char *key = mem_strndup (name, length);
    const char *value = length ? json_string_value (json_object_get (self->variables, key)) : NULL;
    bool has_value = value && *value;
    char kind = has_braces && other + 1 < stop && *other == ':' ? other [1] : has_braces && *other == '-' ? '-' : 0;
    if (kind)
        other += *other == ':' ? 2 : 1;
    if (kind == '+' ? has_value : kind == '-' && !has_value)
        expand (self, other, (size_t) (stop - other), out, depth + 1);
    else if (kind != '+')
        buffer_text (out, has_value ? value : "x");
    return whole;
}

/* Append the word with its quotes taken off and its variables substituted. */
static void expand (const reader_t *self, const char *word, size_t size, buffer_t *out, int depth)
{
    bool is_literal = false;
    for (size_t i = 0; i < size && depth < 8 && out->size < 4 * WORD_MAX; i++)
        if (word [i] == '\'')
            is_literal = !is_literal;
        else if (word [i] == '"')
            continue;
        else if (word [i] == '$' && !is_literal)
            i += expand_variable (self, word + i, size - i, out, depth) - 1;
        else if (word [i] == self->escape && i + 1 < size)
            buffer_append (out, &word [++i], 1);
        else
            buffer_append (out, &word [i], 1);
}

/* Instructions ------------------------------------------------------------------------------------------------------ */

static bool is_stage (const reader_t *self, const char *name, bool may_be_number)
{
    for (int i = 0; i < self->stage_count; i++)
        if (strcasecmp (self->stages [i], name) == 0)
            return true;
    return may_be_number && name [strspn (name, "0123456789")] == 0;
}

/* "alpine:3" -> alpine, unless the text names docker.io itself. */
static void add_short_name (dockerfile_hosts_t *hosts, const char *text, const reference_t *reference)
{
    const char *path = reference->path;
    size_t size = strlen (path);
    if (strncmp (path, "library/", 8) == 0 && strncmp (text, path, size) != 0) {
        path += 8;
        size -= 8;
    }
    if (strncmp (text, path, size) != 0 || (text [size] && text [size] != ':' && text [size] != '@'))
        return;
    for (int i = 0; i < hosts->short_name_count; i++)
        if (strcmp (hosts->short_names [i], path) == 0)
            return;
    if (hosts->short_name_count < DOCKERFILE_SHORT_NAMES_MAX)
        strcpy (hosts->short_names [hosts->short_name_count++], path);
}

static void add_image (reader_t *self, const char *word, bool may_be_number)
{
    AUTO_BUFFER buffer_t name = { 0 };
    reference_t reference;
    expand (self, word, strlen (word), &name, 0);
    if (name.size == 0 || strlen ((char *) name.data) != name.size)
        return;
    const char *text = (const char *) name.data;
    if (strncmp (text, "docker://", 9) == 0)
        text += 9;
    if (strcasecmp (text, "scratch") == 0 || is_stage (self, text, may_be_number))
        return;
    if (reference_parse (&reference, text, NULL) == 0) {
        dockerfile_add_host (self->hosts, reference.host);
        add_short_name (self->hosts, text, &reference);
    }
}

/* FROM [--platform=…] image [AS name] */
static void on_from (reader_t *self, const char *at)
{
    char word [WORD_MAX];
    do
        if (!next_word (&at, word))
            return;
    while (strncmp (word, "--", 2) == 0);
    add_image (self, word, false);
    if (next_word (&at, word) && strcasecmp (word, "as") == 0 && next_word (&at, word)
        && self->stage_count < STAGES_MAX && strlen (word) < STAGE_NAME_MAX)
        strcpy (self->stages [self->stage_count++], word);
}

/* ARG NAME[=default] …: build arguments go before the default. */
static void on_arg (reader_t *self, const char *at)
{
    char word [WORD_MAX];
    while (next_word (&at, word)) {
        AUTO_BUFFER buffer_t value = { 0 };
        char *equals = strchr (word, '=');
        if (equals) {
            *equals = 0;
            expand (self, equals + 1, strlen (equals + 1), &value, 0);
        }
        const char *given = json_string_value (json_object_get (self->build_args, word));
        const char *text = given ? given : equals && value.data ? (const char *) value.data : NULL;
        if (text && json_object_size (self->variables) < VARIABLES_MAX)
            json_object_set_new (self->variables, word, json_string (text));
    }
}

/* COPY --from=image … */
static void on_copy (reader_t *self, const char *at)
{
    char word [WORD_MAX];
    while (next_word (&at, word) && strncmp (word, "--", 2) == 0)
        if (strncmp (word, "--from=", 7) == 0)
            add_image (self, word + 7, true);
}

/* ADD https://… or git@…: what comes from there may be another thing each time. */
static void on_add (reader_t *self, const char *at)
{
    char word [WORD_MAX];
    while (next_word (&at, word))
        if (!*word || strstr (word, "://") || strstr (word, "git@") || strchr (word, '$'))
            self->hosts->may_fetch = true;
}

/* RUN --mount=type=bind,from=image,… */
static void on_run (reader_t *self, const char *at)
{
    char word [WORD_MAX];
    while (next_word (&at, word) && strncmp (word, "--", 2) == 0) {
        if (strncmp (word, "--mount=", 8) != 0)
            continue;
        char *rest = word + 8;
        for (char *part = strsep (&rest, ","); part; part = strsep (&rest, ","))
            if (strncmp (part + strspn (part, "\"'"), "from=", 5) == 0)
                add_image (self, part + strspn (part, "\"'") + 5, true);
    }
}

static void on_instruction (reader_t *self, const char *text)
{
    char verb [WORD_MAX];
    const char *at = text;
    if (!next_word (&at, verb))
        return;
    if (strcasecmp (verb, "from") == 0)
        on_from (self, at);
    else if (strcasecmp (verb, "arg") == 0)
        on_arg (self, at);
    else if (strcasecmp (verb, "copy") == 0 || strcasecmp (verb, "add") == 0)
        on_copy (self, at);
    else if (strcasecmp (verb, "run") == 0)
        on_run (self, at);
    if (strcasecmp (verb, "add") == 0)
        on_add (self, at);
    if (strcasecmp (verb, "run") == 0 || strcasecmp (verb, "copy") == 0 || strcasecmp (verb, "add") == 0)
        skip_documents (self, at);
}

void dockerfile_find_hosts (const char *text, size_t size, const json_t *build_args, dockerfile_hosts_t *out)
{
    AUTO_FREE reader_t *self = mem_alloc (sizeof *self);
    AUTO_BUFFER buffer_t instruction = { 0 };
    if (size >= 3 && memcmp (text, "\xef\xbb\xbf", 3) == 0) {       /* a byte-order mark */
        text += 3;
        size -= 3;
    }
    *self = (reader_t) { .at = text, .end = text + size, .escape = '\\', .build_args = build_args, .hosts = out };
    self->variables = json_object ();
    memset (out, 0, sizeof *out);
    read_directives (self);
    while (next_instruction (self, &instruction))
        on_instruction (self, (const char *) instruction.data);
    json_decref (self->variables);
}
