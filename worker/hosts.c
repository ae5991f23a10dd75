/* hosts.c - reads a Dockerfile as far as is needed to know which registries it names, see hosts.h. */
#include "worker/hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base_words.h"
#include "common/dockerfile.h"
#include "common/mem.h"

enum { STAGES_MAX = 128, STAGE_NAME_MAX = 128, VARIABLES_MAX = 256 };

typedef struct {
    dockerfile_t file;
    const json_t *build_args;
    json_t *variables;
    char stages [STAGES_MAX] [STAGE_NAME_MAX];
    int stage_count;
    hosts_t *hosts;
} reader_t;

void hosts_add (hosts_t *self, const char *host)
{
    for (int i = 0; i < self->count; i++)
        if (strcmp (self->names [i], host) == 0)
            return;
    if (self->count < HOSTS_MAX && strlen (host) < REFERENCE_HOST_MAX)
        strcpy (self->names [self->count++], host);
}

static bool is_stage (const reader_t *self, const char *name, bool may_be_number)
{
    for (int i = 0; i < self->stage_count; i++)
        if (strcasecmp (self->stages [i], name) == 0)
            return true;
    return may_be_number && name [strspn (name, "0123456789")] == 0;
}

static void add_repository (hosts_t *self, const char *host, const char *path)
{
    for (int i = 0; i < self->image_count; i++)
        if (strcmp (self->images [i].host, host) == 0 && strcmp (self->images [i].path, path) == 0)
            return;
    if (self->image_count == IMAGES_MAX)
        return;
    strcpy (self->images [self->image_count].host, host);
    strcpy (self->images [self->image_count++].path, path);
}

/* "alpine:3" -> alpine, unless the text names docker.io itself. */
static void add_short_name (hosts_t *hosts, const char *text, const reference_t *reference)
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
    if (hosts->short_name_count < SHORT_NAMES_MAX)
        strcpy (hosts->short_names [hosts->short_name_count++], path);
}

static void add_image (reader_t *self, const char *word, bool may_be_number)
{
    AUTO_BUFFER buffer_t name = { 0 };
    reference_t reference;
    bool is_sure = dockerfile_expand (&self->file, self->variables, word, &name);
    if (name.size == 0)
        return;
    const char *text = (const char *) name.data;
    if (strncmp (text, "docker://", 9) == 0)
        text += 9;
    if (strcasecmp (text, "scratch") == 0 || is_stage (self, text, may_be_number))
        return;
    if (!self->hosts->elsewhere [0] && base_name_is_elsewhere (text))
        snprintf (self->hosts->elsewhere, sizeof self->hosts->elsewhere, "%s", text);
    if (reference_parse (&reference, text, NULL) == 0) {
        hosts_add (self->hosts, reference.host);
        add_repository (self->hosts, reference.host, is_sure ? reference.path : "");
        add_short_name (self->hosts, text, &reference);
    }
}

/* FROM [--platform=…] image [AS name] */
static void on_from (reader_t *self, const char *at)
{
    char word [DOCKERFILE_WORD_MAX];
    do
        if (!dockerfile_next_word (&at, word))
            return;
    while (strncmp (word, "--", 2) == 0);
    add_image (self, word, false);
    if (dockerfile_next_word (&at, word) && strcasecmp (word, "as") == 0 && dockerfile_next_word (&at, word)
        && self->stage_count < STAGES_MAX && strlen (word) < STAGE_NAME_MAX)
        strcpy (self->stages [self->stage_count++], word);
}

/* ARG NAME[=default] …: build arguments go before the default. */
static void on_arg (reader_t *self, const char *at)
{
    char word [DOCKERFILE_WORD_MAX];
    while (dockerfile_next_word (&at, word)) {
        AUTO_BUFFER buffer_t value = { 0 };
        char *equals = strchr (word, '=');
        if (equals) {
            *equals = 0;
            dockerfile_expand (&self->file, self->variables, equals + 1, &value);
        }
        const char *given = json_string_value (json_object_get (self->build_args, word));
        const char *text = given ? given : equals ? (const char *) value.data : NULL;
        if (text && json_object_size (self->variables) < VARIABLES_MAX)
            json_object_set_new (self->variables, word, json_string (text));
    }
}

/* COPY --from=image … */
static void on_copy (reader_t *self, const char *at)
{
    char word [DOCKERFILE_WORD_MAX];
    while (dockerfile_next_word (&at, word) && strncmp (word, "--", 2) == 0)
        if (strncmp (word, "--from=", 7) == 0)
            add_image (self, word + 7, true);
}

/* ADD https://… or git@…: what comes from there may be another thing each time. */
static void on_add (reader_t *self, const char *at)
{
    char word [DOCKERFILE_WORD_MAX];
    while (dockerfile_next_word (&at, word))
        if (!*word || strstr (word, "://") || strstr (word, "git@") || strchr (word, '$'))
            self->hosts->may_fetch = true;
}

static bool is_other_than_bind (const char *type)
{
    static const char *const others [] = { "cache", "tmpfs", "secret", "ssh" };
    size_t size = strcspn (type, "\"'");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strlen (others [i]) == size && strncmp (type, others [i], size) == 0)
            return true;
    return false;
}

/* type=bind,from=image,…; a bind is also what has no type, and what has several of which one may be that. */
static void on_mount (reader_t *self, char *options)
{
    bool has_type = false, binds = false;
    for (char *part = strsep (&options, ","); part; part = strsep (&options, ",")) {
        part += strspn (part, "\"'");
        if (strncmp (part, "type=", 5) == 0) {
            has_type = true;
            binds |= !is_other_than_bind (part + 5);
        }
        if (strncmp (part, "from=", 5) == 0)
            add_image (self, part + 5, true);
    }
    self->hosts->binds |= binds || !has_type;
}

/* RUN --mount=… …; a word that is too long comes out empty. */
static void on_run (reader_t *self, const char *at)
{
    char word [DOCKERFILE_WORD_MAX] = "";
    while (dockerfile_next_word (&at, word) && strncmp (word, "--", 2) == 0)
        if (strncmp (word, "--mount=", 8) == 0)
            on_mount (self, word + 8);
    self->hosts->binds |= !*word;
}

static void on_instruction (reader_t *self, const char *text)
{
    char verb [DOCKERFILE_WORD_MAX];
    const char *at = text;
    if (!dockerfile_next_word (&at, verb))
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
}

void hosts_find (const char *text, size_t size, const json_t *build_args, hosts_t *out)
{
    AUTO_FREE reader_t *self = mem_alloc (sizeof *self);
    *self = (reader_t) { .build_args = build_args, .variables = json_object (), .hosts = out };
    memset (out, 0, sizeof *out);
    dockerfile_begin (&self->file, text, size);
    for (const char *instruction; (instruction = dockerfile_next (&self->file));)
        on_instruction (self, instruction);
    dockerfile_end (&self->file);
    json_decref (self->variables);
}
