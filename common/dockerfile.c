/* dockerfile.c - text -> logical lines (continuations joined, comments and here-documents dropped) -> words -> values. */
#include "common/dockerfile.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MARKER_MAX = 64, DOCUMENTS_MAX = 256,        /* each look for a marker may read the whole text */
       DEPTH_MAX = 8, VALUE_MAX = 4 * DOCKERFILE_WORD_MAX };

/* -- lines --------------------------------------------------------------------------------------------------------- */

/* The next line as it stands, without its end; false at the end of the text. */
static bool next_line (dockerfile_t *self, const char **line, size_t *size)
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

static bool is_word (const char *text, size_t size, const char *word)
{
    return size == strlen (word) && strncasecmp (text, word, size) == 0;
}

/* Dockerfiles of Docker's own form name its frontend; any other may mean something else by the same words. */
static bool is_own_frontend (const char *value, size_t size)
{
    static const char *const names [] = { "docker/dockerfile", "docker.io/docker/dockerfile" };
    for (int i = 0; i < 2; i++) {
        size_t length = strlen (names [i]);
        if (size >= length && memcmp (value, names [i], length) == 0 && (size == length || value [length] == ':'))
            return true;
    }
    return false;
}

/* False for what is no directive: then there are no more. */
static bool read_directive (dockerfile_t *self, const char *line, size_t size, bool is_first)
{
    skip_blanks (&line, &size);
    const char *equals = size > 0 && *line == '#' ? memchr (line, '=', size) : NULL;
    if (!equals)
        return false;
    const char *name = line + 1, *value = equals + 1;
    size_t name_size = (size_t) (equals - name), value_size = size - (size_t) (value - line);
    skip_blanks (&name, &name_size);
    skip_blanks (&value, &value_size);
    while (name_size > 0 && isspace ((unsigned char) name [name_size - 1]))
        name_size--;
    if (is_word (name, name_size, "syntax")) {
        self->is_doubtful |= !is_own_frontend (value, value_size);
        self->syntax = value;
        self->syntax_size = value_size;
    } else if (is_word (name, name_size, "escape") && value_size == 1 && (*value == '\\' || *value == '`')) {
        self->escape = *value;
        self->is_doubtful |= !is_first && *value == '`';        /* old builders look for it in the first line only */
    } else
        return is_word (name, name_size, "check");
    return true;
}

static void read_directives (dockerfile_t *self)
{
    const char *before = self->at, *line;
    size_t size;
    for (bool is_first = true; next_line (self, &line, &size) && read_directive (self, line, size, is_first); is_first = false)
        before = self->at;
    self->at = before;
}

/* Lines that end with the escape character are joined with the next as they stand, comments and empty lines between them are
 * dropped. False at the end of the text. */
static bool join_lines (dockerfile_t *self)
{
    const char *line;
    size_t size;
    bool is_continued = false;
    self->has_inner_comment = false;
    buffer_clear (&self->instruction);
    while (next_line (self, &line, &size)) {
        const char *text = line;
        size_t text_size = size;
        skip_blanks (&text, &text_size);
        if (text_size == 0 || *text == '#') {
            self->has_inner_comment |= is_continued && text_size > 0 && text > line;
            continue;
        }
        if (!is_continued) {
            line = text;
            size = text_size;
        }
        is_continued = line [size - 1] == self->escape;
        self->is_doubtful |= is_continued && size > 1 && line [size - 2] == self->escape;
        buffer_append (&self->instruction, line, is_continued ? size - 1 : size);
        if (!is_continued)
            break;
    }
    return self->instruction.size > 0;
}

/* -- here-documents ------------------------------------------------------------------------------------------------ */

/* A line of a here-document that a builder which knows none would take for an instruction. */
static bool is_instruction (const char *line, size_t size)
{
    static const char *const words [] = { "from", "arg", "env", "copy", "add", "run", "onbuild" };
    size_t length = 0;
    skip_blanks (&line, &size);
    while (length < size && !isspace ((unsigned char) line [length]))
        length++;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_word (line, length, words [i]))
            return true;
    return false;
}

/* Skip to behind the line that is the marker. Without one it was no here-document: nothing is skipped. */
static void skip_document (dockerfile_t *self, const char *marker, bool strips_tabs)
{
    const char *before = self->at, *line;
    size_t size, marker_size = strlen (marker);
    bool is_doubtful = self->is_doubtful;
    while (next_line (self, &line, &size)) {
        while (strips_tabs && size > 0 && *line == '\t') {
            line++;
            size--;
        }
        if (size == marker_size && memcmp (line, marker, size) == 0) {
            self->is_doubtful = is_doubtful;
            return;
        }
        is_doubtful |= is_instruction (line, size);
    }
    self->at = before;
}

/* The word behind "<<"; false where it is none that all builders would see. "<<<" begins no document. */
static bool read_marker (const char **at, char marker [MARKER_MAX], bool *strips_tabs)
{
    size_t size = 0;
    *strips_tabs = **at == '-';
    *at += *strips_tabs;
    char quote = **at == '"' || **at == '\'' ? *(*at)++ : 0;
    while (size < MARKER_MAX - 1 && (isalnum ((unsigned char) **at) || **at == '_'))
        marker [size++] = *(*at)++;
    marker [size] = 0;
    if (quote && **at == quote)
        quote = *(*at)++ == 0;
    return size > 0 && !quote && (**at == 0 || isspace ((unsigned char) **at));
}

static void skip_documents (dockerfile_t *self)
{
    const char *at = (const char *) self->instruction.data;
    while ((at = strstr (at, "<<"))) {
        char marker [MARKER_MAX];
        bool strips_tabs;
        at += strspn (at, "<");
        if (at [-3] == '<')
            continue;
        if (!read_marker (&at, marker, &strips_tabs) || ++self->documents > DOCUMENTS_MAX)
            self->is_doubtful = true;
        if (*marker && self->documents <= DOCUMENTS_MAX)
            skip_document (self, marker, strips_tabs);
    }
}

/* -- instructions -------------------------------------------------------------------------------------------------- */

void dockerfile_begin (dockerfile_t *self, const char *text, size_t size)
{
    if (size >= 3 && memcmp (text, "\xef\xbb\xbf", 3) == 0) {       /* a byte-order mark */
        text += 3;
        size -= 3;
    }
    *self = (dockerfile_t) { .at = text, .end = text + size, .escape = '\\' };
    self->is_doubtful = size > 0 && memchr (text, 0, size);
    read_directives (self);
}

void dockerfile_end (dockerfile_t *self)
{
    buffer_free (&self->instruction);
}

const char *dockerfile_next (dockerfile_t *self)
{
    char verb [DOCKERFILE_WORD_MAX];
    if (!join_lines (self))
        return NULL;
    buffer_text (&self->instruction, "");
    const char *at = (const char *) self->instruction.data;
    if (dockerfile_next_word (&at, verb) && (strcasecmp (verb, "run") == 0 || strcasecmp (verb, "copy") == 0 || strcasecmp (verb, "add") == 0))
        skip_documents (self);
    return (const char *) self->instruction.data;
}

bool dockerfile_next_word (const char **at, char out [DOCKERFILE_WORD_MAX])
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
        if (size < DOCKERFILE_WORD_MAX)
            out [size] = **at;
        size++;
    }
    out [size < DOCKERFILE_WORD_MAX ? size : 0] = 0;
    return true;
}

/* -- variables ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const json_t *variables;
    char escape;
    bool is_sure;
    buffer_t *out;
} expansion_t;

static void expand (expansion_t *self, const char *word, size_t size, int depth);

static size_t name_size (const char *at, const char *end)
{
    size_t size = 0;
    while (at + size < end && (isalnum ((unsigned char) at [size]) || at [size] == '_'))
        size++;
    return size;
}

/* How long "{…}" is from its first brace to its last; 0 when it does not end. */
static size_t braces_size (const char *at, const char *end)
{
    int level = 0;
    for (const char *from = at; at < end; at++)
        if (*at == '{')
            level++;
        else if (*at == '}' && --level == 0)
            return (size_t) (at - from) + 1;
    return 0;
}

/* rest is what stands between the name and the closing brace. */
static void substitute (expansion_t *self, const char *name, size_t name_length, const char *rest, size_t rest_size, int depth)
{
    AUTO_FREE char *key = mem_strndup (name, name_length);
    const char *value = json_string_value (json_object_get (self->variables, key));
    bool has_value = value && *value, has_colon = rest_size > 0 && *rest == ':';
    char kind = rest_size > has_colon ? rest [has_colon] : 0;
    if (!value || (rest_size && !(has_colon && (kind == '-' || kind == '+'))))      /* forms that not every builder knows */
        self->is_sure = false;
    if (kind == '+' ? has_value : kind == '-' && !has_value)
        expand (self, rest + has_colon + 1, rest_size - has_colon - 1, depth + 1);
    else if (kind != '+')
        buffer_text (self->out, value && (has_value || !kind) ? value : "x");
}

/* What begins with '$' at word; returns how long it is. */
static size_t expand_variable (expansion_t *self, const char *word, size_t size, int depth)
{
    const char *end = word + size, *name = word + 1;
    bool has_braces = name < end && *name == '{';
    size_t whole = has_braces ? braces_size (name, end) : name_size (name, end);
    if (whole == 0) {
        self->is_sure = false;
        if (!has_braces)
            buffer_text (self->out, "$");
        return 1;
    }
    size_t length = has_braces ? name_size (name + 1, name + whole - 1) : whole;
    if (has_braces)
        substitute (self, name + 1, length, name + 1 + length, whole - 2 - length, depth);
    else
        substitute (self, name, length, NULL, 0, depth);
    return 1 + whole;
}

static void expand (expansion_t *self, const char *word, size_t size, int depth)
{
    bool is_literal = false;
    if (depth >= DEPTH_MAX)
        self->is_sure = false;
    for (size_t i = 0; i < size && depth < DEPTH_MAX && self->out->size < VALUE_MAX; i++)
        if (word [i] == '\'')
            is_literal = !is_literal;
        else if (word [i] == '"')
            continue;
        else if (word [i] == '$' && !is_literal)
            i += expand_variable (self, word + i, size - i, depth) - 1;
        else if (word [i] == self->escape && i + 1 < size)
            buffer_append (self->out, &word [++i], 1);
        else
            buffer_append (self->out, &word [i], 1);
}

bool dockerfile_expand (const dockerfile_t *self, const json_t *variables, const char *word, buffer_t *out)
{
    expansion_t expansion = { .variables = variables, .escape = self->escape, .is_sure = true, .out = out };
    expand (&expansion, word, strlen (word), 0);
    buffer_text (out, "");
    if (out->size >= VALUE_MAX)
        expansion.is_sure = false;
    return expansion.is_sure;
}
