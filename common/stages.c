/* stages.c - see stages.h. */
#include "common/stages.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { STAGES_MAX = 128, STAGE_NAME_MAX = 128, WORD_MAX = DOCKERFILE_WORD_MAX };

typedef struct {
    char name [STAGE_NAME_MAX];     /* "" for none */
    json_t *known;                  /* values of variables */
    json_t *set;                    /* names that an ENV has set, to what may be unknown */
} stage_t;

struct stages {
    const json_t *build_args;
    json_t *globals;                /* ARGs before the first FROM */
    stage_t items [STAGES_MAX];
    int count;
    bool has_base;
};

stages_t *stages_new (const json_t *build_args)
{
    stages_t *self = mem_alloc (sizeof *self);
    self->build_args = build_args;
    self->globals = json_object ();
    return self;
}

void stages_destroy (stages_t **self_p)
{
    stages_t *self = *self_p;
    if (!self)
        return;
    for (int i = 0; i < self->count; i++) {
        json_decref (self->items [i].known);
        json_decref (self->items [i].set);
    }
    json_decref (self->globals);
    free (self);
    *self_p = NULL;
}

static stage_t *current (stages_t *self)
{
    return self->count ? &self->items [self->count - 1] : NULL;
}

/* -- values -------------------------------------------------------------------------------------------------------- */

/* Quotes in pairs and nothing escaped: all builders see the same. */
static bool is_plain (const char *word)
{
    bool is_open = false;
    for (const char *at = word; *at; at++)
        is_open ^= *at == '"';
    return !is_open && !strpbrk (word, "'\\`");
}

static bool expand (const dockerfile_t *file, const json_t *known, const char *word, buffer_t *out)
{
    return is_plain (word) && dockerfile_expand (file, known, word, out);
}

bool stages_expand (const stages_t *self, const dockerfile_t *file, const char *word, buffer_t *out)
{
    return expand (file, self->count ? self->items [self->count - 1].known : NULL, word, out);
}

static bool is_name (const char *text)
{
    size_t size = strspn (text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    return size > 0 && text [size] == 0;
}

/* value NULL: not known from here on. */
static void know (json_t *known, const char *name, const char *value)
{
    json_object_del (known, name);
    if (value)
        json_object_set_new (known, name, json_string (value));
}

/* -- ENV ----------------------------------------------------------------------------------------------------------- */

static void set_variable (stage_t *stage, const char *name, const char *value)
{
    know (stage->known, name, value);
    json_object_set_new (stage->set, name, json_true ());
}

/* NAME=value; the values of one line see those of the lines before. */
static bool read_pair (stages_t *self, const dockerfile_t *file, const json_t *before, char *word)
{
    AUTO_BUFFER buffer_t value = { 0 };
    char *equals = strchr (word, '=');
    *equals = 0;
    if (!is_name (word))
        return false;
    bool is_known = expand (file, before, equals + 1, &value) && !json_object_get (self->build_args, word);
    set_variable (current (self), word, is_known ? (const char *) value.data : NULL);
    return true;
}

bool stages_env (stages_t *self, const dockerfile_t *file, const char *at)
{
    char word [WORD_MAX];
    if (!self->count || file->has_inner_comment || !dockerfile_next_word (&at, word))
        return false;
    if (!strchr (word, '=')) {              /* ENV NAME the rest of the line */
        if (!is_name (word))
            return false;
        set_variable (current (self), word, NULL);
        return true;
    }
    AUTO_JSON json_t *before = json_copy (current (self)->known);
    do
        if (!strchr (word, '=') || !read_pair (self, file, before, word))
            return false;
    while (dockerfile_next_word (&at, word));
    return true;
}

/* -- ARG ----------------------------------------------------------------------------------------------------------- */

/* What a builder gives an ARG of this name, as a pattern; "" where it may be nothing; NULL for other names. */
static const char *platform_value (const char *name)
{
    static const char *const names [] = { "TARGETOS", "TARGETARCH", "TARGETPLATFORM", "TARGETVARIANT", "BUILDOS", "BUILDARCH",
                                          "BUILDPLATFORM", "BUILDVARIANT" };
    static const char *const values [] = { "*", "*", "*/*", "", "*", "*", "*/*", "" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp (name, names [i]) == 0)
            return values [i];
    return NULL;
}

/* The value of an ARG, NULL where it is not known. text is for what is made here. */
static const char *argument_value (const stages_t *self, const dockerfile_t *file, const json_t *known, const char *name,
                                   const char *initial, buffer_t *text)
{
    const char *given = json_string_value (json_object_get (self->build_args, name)), *platform = platform_value (name);
    if (platform)
        return given || initial || !*platform ? NULL : platform;
    if (given)
        return given;
    if (initial)
        return expand (file, known, initial, text) ? (const char *) text->data : NULL;
    return json_string_value (json_object_get (self->globals, name));
}

/* NAME or NAME=default */
static bool declare (stages_t *self, const dockerfile_t *file, char *word)
{
    AUTO_BUFFER buffer_t text = { 0 };
    const stage_t *stage = current (self);
    json_t *known = stage ? stage->known : self->globals;
    char *equals = strchr (word, '=');
    if (equals)
        *equals = 0;
    if (!is_name (word))
        return false;
    if (!stage || (!json_object_get (stage->set, word) && strcmp (word, "PATH") != 0))
        know (known, word, argument_value (self, file, known, word, equals ? equals + 1 : NULL, &text));
    return true;
}

bool stages_arg (stages_t *self, const dockerfile_t *file, const char *at)
{
    char word [WORD_MAX];
    bool has_variable = strchr (at, '$');
    if (file->has_inner_comment)
        return false;
    for (int i = 0; dockerfile_next_word (&at, word); i++)
        if ((i > 0 && has_variable) || !declare (self, file, word))     /* one default may see another of its line, or not */
            return false;
    return true;
}

/* -- FROM ---------------------------------------------------------------------------------------------------------- */

static const stage_t *find (const stages_t *self, const char *name)
{
    for (int i = 0; i < self->count; i++)
        if (self->items [i].name [0] && strcasecmp (self->items [i].name, name) == 0)
            return &self->items [i];
    return NULL;
}

/* Of the parent's variables, those that went into its image. */
static void inherit (stage_t *stage, const stage_t *parent)
{
    const char *name;
    json_t *is_set;
    json_object_foreach (parent->set, name, is_set)
        set_variable (stage, name, json_string_value (json_object_get (parent->known, name)));
}

/* FROM [--platform=…] image [AS name] */
bool stages_from (stages_t *self, const char *at)
{
    char word [WORD_MAX] = "";
    while (dockerfile_next_word (&at, word) && strncmp (word, "--", 2) == 0)
        ;
    if (self->count == STAGES_MAX)
        return false;
    const stage_t *parent = find (self, word);
    stage_t *stage = &self->items [self->count++];
    *stage = (stage_t) { .known = json_object (), .set = json_object () };
    if (parent)
        inherit (stage, parent);
    else if (strcmp (word, "scratch") != 0)
        self->has_base = true;
    if (!dockerfile_next_word (&at, word) || strcasecmp (word, "as") != 0 || !dockerfile_next_word (&at, word))
        return true;
    if (find (self, word))
        return false;
    if (strlen (word) < STAGE_NAME_MAX)
        strcpy (stage->name, word);
    return true;
}

bool stages_have_base (const stages_t *self)
{
    return self->has_base;
}
