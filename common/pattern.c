/* pattern.c - a pattern becomes a row of tokens; a path is matched against them in all ways at once. What Docker does is what
 * moby/patternmatcher's translation to a regular expression does, odd corners included: `**` also eats the slash behind
 * it, a class may match a slash, and `**name` without other signs is a plain suffix. */
#include "common/pattern.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

enum { FEW = 256 };

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

static bool is_star (token_kind kind)
{
    return kind == STAR || kind == FOLDERS || kind == ANYTHING;
}

/* Two stars of a kind are one. */
static void add (pattern_t *self, token_kind kind, const char *text, size_t size)
{
    token_t token = { kind, text, size };
    const token_t *last = self->tokens.size ? (const token_t *) (self->tokens.data + self->tokens.size) - 1 : NULL;
    if (last && last->kind == kind && is_star (kind))
        return;
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

/* How long what the token takes at the path's beginning is; 0 where it takes nothing. Not for stars. */
static size_t step_size (const token_t *token, const char *path, size_t size)
{
    uint32_t rune = 0;
    if (token->kind == LITERAL)
        return size >= token->size && memcmp (path, token->text, token->size) == 0 ? token->size : 0;
    size_t length = size ? read_rune (path, size, &rune) : 0;
    bool is_fit = length && (token->kind == ONE ? rune != '/' : class_has (token, rune));
    return is_fit ? length : 0;
}

/* at [i]: the tokens so far may have taken the first i bytes of the path. Each of these moves all of them over one token; from the
 * end, so that what was moved is not moved again. False when none is left. */
static bool move_step (const token_t *token, bool *at, const char *path, size_t size)
{
    bool is_any = false;
    for (size_t i = size + 1; i-- > 0;) {
        size_t length = at [i] ? step_size (token, path + i, size - i) : 0;
        at [i] = false;
        at [i + length] |= length > 0;
        is_any |= length > 0;
    }
    return is_any;
}

/* On to the next slash. */
static void move_star (bool *at, const char *path, size_t size)
{
    bool is_on = false;
    for (size_t i = 0; i <= size; i++) {
        at [i] = is_on |= at [i];
        is_on &= i < size && path [i] != '/';
    }
}

/* Nothing, or everything up to and with any of the slashes. */
static void move_folders (bool *at, const char *path, size_t size)
{
    bool is_on = false;
    for (size_t i = 0; i <= size; i++) {
        at [i] |= is_on && path [i - 1] == '/';
        is_on |= at [i];
        is_on &= i < size && path [i] != '\n';
    }
}

static void move_anything (bool *at, const char *path, size_t size)
{
    bool is_on = false;
    for (size_t i = 0; i < size; i++) {
        is_on |= at [i];
        is_on &= path [i] != '\n';
    }
    at [size] |= is_on;
}

/* All ways at once: a pattern of many stars has more of them than anyone could try one by one. */
static bool match_all_ways (const token_t *token, const token_t *end, bool *at, const char *path, size_t size)
{
    at [0] = true;
    for (; token < end; token++)
        if (token->kind == STAR)
            move_star (at, path, size);
        else if (token->kind == FOLDERS)
            move_folders (at, path, size);
        else if (token->kind == ANYTHING)
            move_anything (at, path, size);
        else if (!move_step (token, at, path, size))
            return false;
    return at [size];
}

/* Up to the first star there is one way only; what a path ends with is soon seen too. */
static bool match (const token_t *token, const token_t *end, const char *path, size_t size)
{
    bool few [FEW] = { false };
    for (; token < end && !is_star (token->kind); token++) {
        size_t length = step_size (token, path, size);
        if (length == 0)
            return false;
        path += length;
        size -= length;
    }
    if (token == end)
        return size == 0;
    if (end [-1].kind == LITERAL && (size < end [-1].size || memcmp (path + size - end [-1].size, end [-1].text, end [-1].size) != 0))
        return false;
    AUTO_FREE bool *many = size < FEW ? NULL : mem_alloc (size + 1);
    return match_all_ways (token, end, many ? many : few, path, size);
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
