/* pattern.c - a pattern becomes a row of tokens; a path is matched against them by trying. What Docker does is what
 * moby/patternmatcher's translation to a regular expression does, odd corners included: `**` also eats the slash behind
 * it, a class may match a slash, and `**name` without other signs is a plain suffix. */
#include "farmctl/pattern.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

typedef enum { LITERAL, ONE, STAR, FOLDERS, ANYTHING, CLASS } token_kind;

typedef struct {
    token_kind kind;
    const char *text;           /* LITERAL: the bytes; CLASS: what is between the brackets */
    size_t size;
} token_t;

struct pattern {
    char *text;
    buffer_t tokens;
    const char *suffix;         /* NULL, or the pattern is "**" and this */
};

/* One character: a code point of UTF-8, or a byte that is not part of one. Returns its length. */
static size_t read_rune (const char *text, size_t size, uint32_t *rune)
{
    const uint8_t *bytes = (const uint8_t *) text;
    size_t length = bytes [0] < 0x80 ? 1 : bytes [0] >= 0xf0 ? 4 : bytes [0] >= 0xe0 ? 3 : bytes [0] >= 0xc2 ? 2 : 1;
    *rune = bytes [0];
    if (length == 1 || length > size)
        return 1;
    uint32_t value = bytes [0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((bytes [i] & 0xc0) != 0x80)
            return 1;
        value = value << 6 | (bytes [i] & 0x3f);
    }
    *rune = value;
    return length;
}

/* -- reading a pattern ------------------------------------------------------------------------------------------ */

static void add (pattern_t *self, token_kind kind, const char *text, size_t size)
{
    token_t token = { kind, text, size };
    buffer_append (&self->tokens, &token, sizeof token);
}

/* One end of a range in a class; NULL where filepath.Match finds none. */
static const char *class_rune (const char *at, uint32_t *rune)
{
    if (*at == '\\')
        at++;
    else if (*at == '-' || *at == ']')
        return NULL;
    return *at ? at + read_rune (at, strlen (at), rune) : NULL;
}

/* The ']' that ends the class whose inside begins here, or NULL for a bad one. */
static const char *class_end (const char *at)
{
    uint32_t rune;
    if (*at == '^')
        at++;
    for (int ranges = 0; *at != ']' || ranges == 0; ranges++) {
        at = class_rune (at, &rune);
        if (at && *at == '-')
            at = class_rune (at + 1, &rune);
        if (!at)
            return NULL;
    }
    return at;
}

static const char *add_stars (pattern_t *self, const char *at)
{
    if (at [1] != '*') {
        add (self, STAR, NULL, 0);
        return at + 1;
    }
    at += 2;
    if (*at == '/')
        at++;
    add (self, *at ? FOLDERS : ANYTHING, NULL, 0);
    return at;
}

/* The token at `at`; returns what is behind it, NULL for a bad one. */
static const char *add_token (pattern_t *self, const char *at)
{
    if (*at == '*')
        return add_stars (self, at);
    if (*at == '?') {
        add (self, ONE, NULL, 0);
        return at + 1;
    }
    if (*at == '[') {
        const char *end = class_end (at + 1);
        if (end)
            add (self, CLASS, at + 1, (size_t) (end - at - 1));
        return end ? end + 1 : NULL;
    }
    if (*at == '\\')
        at++;
    if (!*at)
        return NULL;
    size_t plain = at [-(at > self->text)] == '\\' ? 1 : strcspn (at, "*?[\\");
    add (self, LITERAL, at, plain);
    return at + plain;
}

static void note_suffix (pattern_t *self)
{
    if (strncmp (self->text, "**", 2) == 0 && !strpbrk (self->text + 2, "*?[]\\"))
        self->suffix = self->text + 2;
}

pattern_t *pattern_parse (const char *pattern)
{
    AUTO (pattern) pattern_t *self = mem_alloc (sizeof *self);
    self->text = mem_strdup (pattern);
    for (const char *at = self->text; *at;) {
        at = add_token (self, at);
        if (!at)
            return NULL;
    }
    note_suffix (self);
    return take (&self);
}

void pattern_destroy (pattern_t **self_p)
{
    pattern_t *self = *self_p;
    if (!self)
        return;
    buffer_free (&self->tokens);
    free (self->text);
    free (self);
    *self_p = NULL;
}

/* -- matching --------------------------------------------------------------------------------------------------- */

static bool class_has (const token_t *token, uint32_t rune)
{
    const char *at = token->text, *end = at + token->size;
    bool is_negated = at < end && *at == '^', is_in = false;
    if (is_negated)
        at++;
    while (at < end) {
        uint32_t low = 0, high = 0;
        at = class_rune (at, &low);
        high = low;
        if (*at == '-')
            at = class_rune (at + 1, &high);
        is_in |= low <= rune && rune <= high;
    }
    return is_in != is_negated;
}

static bool match (const token_t *token, const token_t *end, const char *path, size_t size);

/* Nothing, or everything up to and with any of the slashes. */
static bool match_folders (const token_t *token, const token_t *end, const char *path, size_t size)
{
    if (match (token + 1, end, path, size))
        return true;
    for (size_t i = 0; i < size && path [i] != '\n'; i++)
        if (path [i] == '/' && match (token + 1, end, path + i + 1, size - i - 1))
            return true;
    return false;
}

static bool match_star (const token_t *token, const token_t *end, const char *path, size_t size)
{
    for (size_t i = 0; ; i++) {
        if (match (token + 1, end, path + i, size - i))
            return true;
        if (i == size || path [i] == '/')
            return false;
    }
}

static bool match (const token_t *token, const token_t *end, const char *path, size_t size)
{
    for (; token < end; token++) {
        uint32_t rune = 0;
        size_t length = token->size;
        if (token->kind == STAR)
            return match_star (token, end, path, size);
        if (token->kind == FOLDERS)
            return match_folders (token, end, path, size);
        if (token->kind == ANYTHING)
            return !memchr (path, '\n', size);
        if (token->kind == LITERAL && (size < length || memcmp (path, token->text, length) != 0))
            return false;
        if (token->kind != LITERAL) {
            if (size == 0)
                return false;
            length = read_rune (path, size, &rune);
            if (token->kind == ONE ? rune == '/' : !class_has (token, rune))
                return false;
        }
        path += length;
        size -= length;
    }
    return size == 0;
}

bool pattern_matches (const pattern_t *self, const char *path, size_t size)
{
    const token_t *tokens = (const token_t *) self->tokens.data;
    if (!self->suffix)
        return match (tokens, tokens + self->tokens.size / sizeof *tokens, path, size);
    size_t length = strlen (self->suffix);
    if (length <= size && memcmp (path + size - length, self->suffix, length) == 0)
        return true;
    return *self->suffix == '/' && length - 1 == size && memcmp (path, self->suffix + 1, size) == 0;
}
