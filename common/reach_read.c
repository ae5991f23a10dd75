/* reach_read.c - finds what the instructions of a Dockerfile read. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/reach_private.h"
#include "common/stages.h"

enum { WORD_MAX = DOCKERFILE_WORD_MAX };

typedef struct {
    reach_t *reach;
    dockerfile_t file;
    stages_t *stages;
    bool has_variables;             /* in sources */
    bool is_sure;
} reader_t;

static void doubt (reader_t *self)
{
    self->is_sure = false;
}

/* -- sources ------------------------------------------------------------------------------------------------------- */

static void add_path (reader_t *self, const char *path)
{
    if (!reach_add (self->reach, path))
        doubt (self);
}

/* Blanks in a value make two words of it, or do not. */
static void add_source (reader_t *self, const char *word)
{
    AUTO_BUFFER buffer_t path = { 0 };
    self->has_variables |= strchr (word, '$') != NULL;
    if (stages_expand (self->stages, &self->file, word, &path) && !strpbrk ((const char *) path.data, " \t\r\n\v\f"))
        add_path (self, (const char *) path.data);
    else
        doubt (self);
}

static bool is_url (const char *word)
{
    return strncmp (word, "http://", 7) == 0 || strncmp (word, "https://", 8) == 0;
}

/* The sources as JSON: false where it is none, then builders take it for words. */
static bool add_json_sources (reader_t *self, const char *text, bool is_add)
{
    AUTO_JSON json_t *words = *text == '[' ? json_loads (text, 0, NULL) : NULL;
    size_t count = json_array_size (words);
    if (!words)
        return false;
    if (count < 2)
        doubt (self);
    for (size_t i = 0; i + 1 < count; i++) {
        const char *word = json_string_value (json_array_get (words, i));
        if (word && is_add && is_url (word))
            continue;
        if (word && !strpbrk (word, "\"'\\`$"))
            add_path (self, word);
        else if (word && !strpbrk (word, "\"'\\`"))
            add_source (self, word);
        else
            doubt (self);
    }
    return true;
}

/* All words but the last, which is where they go. */
static void add_sources (reader_t *self, const char *at, bool is_add)
{
    char word [WORD_MAX], next [WORD_MAX];
    if (strpbrk (at, "'\\`") || !dockerfile_next_word (&at, word) || !dockerfile_next_word (&at, next)) {
        doubt (self);
        return;
    }
    do {
        if (strncmp (word, "<<", 2) != 0 && !(is_add && is_url (word)))
            add_source (self, word);
        strcpy (word, next);
    } while (dockerfile_next_word (&at, next));
}

/* A variable may be empty, and then the sources are in the context. */
static bool is_given (const char *from)
{
    return *from && !strchr ("$\"'\\`", *from);
}

/* The flags of COPY and ADD; at is moved behind them. True where the sources are in the context. */
static bool read_flags (reader_t *self, const char **at)
{
    static const char *const harmless [] = { "--chown=", "--chmod=", "--link", "--exclude=", "--checksum=", "--keep-git-dir", "--unpack" };
    char word [WORD_MAX];
    bool is_context = true;
    for (const char *next = *at; dockerfile_next_word (&next, word) && strncmp (word, "--", 2) == 0; *at = next) {
        bool is_known = strncmp (word, "--from=", 7) == 0 && is_given (word + 7);
        is_context = is_context && !is_known;
        for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
            is_known |= strncmp (word, harmless [i], strlen (harmless [i])) == 0;
        if (!is_known)
            doubt (self);
    }
    return is_context;
}

static void on_copy (reader_t *self, const char *at, bool is_add)
{
    if (!read_flags (self, &at))
        return;
    if (self->file.has_inner_comment)
        doubt (self);
    while (isspace ((unsigned char) *at))
        at++;
    if (!add_json_sources (self, at, is_add))
        add_sources (self, at, is_add);
}

/* -- mounts -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *type, *from, *source;
} mount_t;

static bool read_mount_field (mount_t *self, char *field)
{
    char *value = strchr (field, '=');
    if (!value)
        return true;            /* "ro" */
    *value++ = 0;
    const char **place = strcasecmp (field, "type") == 0 ? &self->type : strcasecmp (field, "from") == 0 ? &self->from
                       : strcasecmp (field, "source") == 0 || strcasecmp (field, "src") == 0 ? &self->source : NULL;
    if (place && (*place || !*value))
        return false;           /* twice, or empty */
    if (place)
        *place = value;
    return true;
}

static bool is_without_context (const char *type)
{
    static const char *const types [] = { "cache", "tmpfs", "secret", "ssh" };
    for (size_t i = 0; type && i < sizeof types / sizeof *types; i++)
        if (strcmp (type, types [i]) == 0)
            return true;
    return false;
}

static void on_mount (reader_t *self, char *fields)
{
    mount_t mount = { .type = NULL };
    bool is_sure = !strpbrk (fields, "\"'\\`");
    for (char *field = strsep (&fields, ","); field; field = strsep (&fields, ","))
        is_sure = read_mount_field (&mount, field) && is_sure;
    if (is_sure && is_without_context (mount.type))
        return;
    if (mount.type && strcmp (mount.type, "bind") != 0)
        is_sure = false;
    if (is_sure && mount.from && is_given (mount.from))
        return;
    if (is_sure && !mount.from && mount.source && !strchr (mount.source, '$'))
        add_source (self, mount.source);
    else
        doubt (self);
}

/* RUN [--mount=…] … */
static void on_run (reader_t *self, const char *at)
{
    char word [WORD_MAX];
    while (dockerfile_next_word (&at, word) && (!*word || strncmp (word, "--", 2) == 0))
        if (!*word || strcmp (word, "--mount") == 0)
            doubt (self);
        else if (strncmp (word, "--mount=", 8) == 0)
            on_mount (self, word + 8);
}

/* -- instructions -------------------------------------------------------------------------------------------------- */

static bool is_without_sources (const char *verb)
{
    static const char *const verbs [] = { "cmd", "entrypoint", "label", "expose", "volume", "user", "workdir", "stopsignal", "healthcheck",
                                          "shell", "maintainer" };
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcasecmp (verb, verbs [i]) == 0)
            return true;
    return false;
}

/* COPY, ADD and RUN; false for others. */
static bool read_reader (reader_t *self, const char *text)
{
    char verb [WORD_MAX];
    const char *at = text;
    bool is_add, is_read = dockerfile_next_word (&at, verb);
    if (is_read && ((is_add = strcasecmp (verb, "add") == 0) || strcasecmp (verb, "copy") == 0))
        on_copy (self, at, is_add);
    else if (is_read && strcasecmp (verb, "run") == 0)
        on_run (self, at);
    else
        return false;
    if (self->reach->own)
        reach_add_own (self->reach, text);
    return true;
}

/* A trigger runs in another stage, with variables that are not these. */
static void on_trigger (reader_t *self, const char *at)
{
    while (isspace ((unsigned char) *at))
        at++;
    char verb [WORD_MAX];
    const char *next = at;
    if (strchr (at, '$') && strncasecmp (at, "run", 3) != 0)
        doubt (self);
    if (!read_reader (self, at) && !(dockerfile_next_word (&next, verb) && is_without_sources (verb)))
        doubt (self);
}

static void on_instruction (reader_t *self, const char *text)
{
    char verb [WORD_MAX];
    const char *at = text;
    if (read_reader (self, text) || !dockerfile_next_word (&at, verb))
        return;
    if (strcasecmp (verb, "onbuild") == 0)
        on_trigger (self, at);
    else if (!(strcasecmp (verb, "from") == 0 ? stages_from (self->stages, at)
             : strcasecmp (verb, "arg") == 0 ? stages_arg (self->stages, &self->file, at)
             : strcasecmp (verb, "env") == 0 ? stages_env (self->stages, &self->file, at) : is_without_sources (verb)))
        doubt (self);
}

static void reader_begin (reader_t *self, reach_t *reach, const char *text, size_t size, const json_t *build_args)
{
    *self = (reader_t) { .reach = reach, .stages = stages_new (build_args), .is_sure = true };
    dockerfile_begin (&self->file, text, size);
}

static bool reader_end (reader_t *self)
{
    bool is_sure = self->is_sure && !self->file.is_doubtful;
    dockerfile_end (&self->file);
    stages_destroy (&self->stages);
    return is_sure;
}

bool reach_read_file (reach_t *reach, const char *text, size_t size, const json_t *build_args)
{
    reader_t self;
    reader_begin (&self, reach, text, size, build_args);
    for (const char *instruction; self.is_sure && (instruction = dockerfile_next (&self.file));)
        on_instruction (&self, instruction);
    if (self.has_variables && stages_have_base (self.stages))
        doubt (&self);          /* a trigger of the base image with the same text may read something else: reach_covers cannot tell */
    return reader_end (&self);
}

bool reach_read_instruction (reach_t *reach, const char *instruction)
{
    reader_t self;
    reader_begin (&self, reach, "", 0, NULL);
    read_reader (&self, instruction);
    return reader_end (&self);
}
