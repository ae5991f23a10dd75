/* base_words.c - see base_words.h. */
#include "common/base_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"

enum { WORD_MAX = DOCKERFILE_WORD_MAX };

/* -- values -------------------------------------------------------------------------------------------------------- */

static void know (base_words_t *self, const char *name, const char *value)
{
    json_object_set_new (self->globals, name, json_string (value));
}

static void know_part (base_words_t *self, const char *whose, const char *part, const char *value)
{
    char name [32];
    snprintf (name, sizeof name, "%s%s", whose, part);
    know (self, name, value);
}

/* TARGETPLATFORM, or BUILDPLATFORM, and its parts. A variant may be empty, or not set. */
static void know_platform (base_words_t *self, const char *whose, const char *text)
{
    platform_t platform;
    if (!text || platform_parse (&platform, text, NULL) < 0)
        return;
    know_part (self, whose, "PLATFORM", text);
    know_part (self, whose, "OS", platform.os);
    know_part (self, whose, "ARCH", platform.architecture);
    if (*platform.variant)
        know_part (self, whose, "VARIANT", platform.variant);
}

/* Surely known, and set in one way. The caller frees; NULL otherwise. */
static char *value_of (const base_words_t *self, const char *word)
{
    AUTO_BUFFER buffer_t value = { 0 };
    if (!dockerfile_expand (&self->file, self->globals, word, &value))
        return NULL;
    return mem_strndup ((const char *) value.data, value.size);
}

static bool is_given_by_builder (const char *name)
{
    static const char *const names [] = { "TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT", "BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp (name, names [i]) == 0)
            return true;
    return false;
}

/* ARG NAME[=default] …, of which only those before the first FROM count for one. */
static void on_arg (base_words_t *self, base_word_t *found, const char *at)
{
    (void) found;
    char word [WORD_MAX];
    while (self->stage_count == 0 && dockerfile_next_word (&at, word)) {
        char *equals = strchr (word, '=');
        if (equals)
            *equals = 0;
        const char *given = json_string_value (json_object_get (self->build_args, word));
        if (is_given_by_builder (word) && !given && !equals)
            continue;
        AUTO_FREE char *value = is_given_by_builder (word) ? NULL : given ? mem_strdup (given) : equals ? value_of (self, equals + 1) : NULL;
        json_object_del (self->globals, word);
        if (value)
            know (self, word, value);
    }
}

/* -- names --------------------------------------------------------------------------------------------------------- */

int base_words_find_stage (const base_words_t *self, const char *name, bool may_be_number)
{
    for (int i = self->stage_count - 1; i >= 0; i--)
        if (strcasecmp (self->stages [i].name, name) == 0)
            return i;
    bool is_number = may_be_number && *name && strlen (name) < 4 && name [strspn (name, "0123456789")] == 0;
    return is_number && atoi (name) < self->stage_count ? atoi (name) : BASE_NO_STAGE;
}

bool base_name_is_elsewhere (const char *name)
{
    static const char *const transports [] = { "oci:", "oci-archive:", "dir:", "docker-archive:", "docker-daemon:", "containers-storage:", "ostree:",
                                               "sif:", "tarball:", "sha256:" };
    for (size_t i = 0; i < sizeof transports / sizeof *transports; i++)
        if (strncasecmp (name, transports [i], strlen (transports [i])) == 0)
            return true;
    return name [strspn (name, "0123456789abcdef")] == 0;
}

bool base_words_image (const char *name, reference_t *out)
{
    if (strncmp (name, "docker://", 9) == 0)
        name += 9;
    if (strcasecmp (name, "scratch") == 0 || base_name_is_elsewhere (name) || reference_parse (out, name, NULL) < 0)
        return false;
    if (!*out->tag && !*out->digest)
        strcpy (out->tag, "latest");
    if (*out->digest)
        memset (out->tag, 0, sizeof out->tag);         /* builders ask for the digest */
    return true;
}

/* -- instructions -------------------------------------------------------------------------------------------------- */

static void tell (base_words_t *self, base_word_t *found, const char *word, const char *name, bool is_begin)
{
    found->by = self->stage_count - 1;
    found->of = name ? base_words_find_stage (self, name, !is_begin) : BASE_NO_STAGE;
    found->is_begin = is_begin;
    found->word = word;
    found->name = name;
    found->platform = self->stage_count > 0 ? self->stages [self->stage_count - 1].platform : "";
    self->on_word (self->argument, found);
}

/* FROM's --platform, or the job's. */
static void read_platform (const base_words_t *self, const char *flag, char out [PLATFORM_MAX])
{
    platform_t platform;
    AUTO_FREE char *value = value_of (self, flag);
    out [0] = 0;
    if (value && platform_parse (&platform, value, NULL) == 0)
        platform_format (&platform, out);
}

/* FROM [--platform=…] image [AS name]. The stage's own name is not known yet when its image is looked for. */
static void on_from (base_words_t *self, base_word_t *found, const char *at)
{
    char word [WORD_MAX];
    if (self->stage_count == BASE_STAGES_MAX) {
        self->is_doubtful = true;
        return;
    }
    base_stage_t *stage = &self->stages [self->stage_count++];
    *stage = (base_stage_t) { .name = "" };
    snprintf (stage->platform, sizeof stage->platform, "%s", self->platform);
    bool has_word;
    while ((has_word = dockerfile_next_word (&at, word)) && strncmp (word, "--", 2) == 0)
        if (strncmp (word, "--platform=", 11) == 0)
            read_platform (self, word + 11, stage->platform);
    AUTO_FREE char *image = has_word ? value_of (self, word) : NULL;
    if (has_word && !(image && !*image))
        tell (self, found, word, image, true);
    if (!dockerfile_next_word (&at, word) || strcasecmp (word, "as") != 0 || !dockerfile_next_word (&at, word))
        return;
    if (*word && strlen (word) < BASE_STAGE_NAME_MAX)
        strcpy (stage->name, word);
    else
        self->is_doubtful = true;
}

/* Builders do not agree on variables and quotes here. */
static void on_source (base_words_t *self, base_word_t *found, const char *word)
{
    if (*word)
        tell (self, found, word, strpbrk (word, "$\"'\\`") ? NULL : word, false);
}

/* The next option; one that is too long to be read may name an image too. */
static bool next_option (base_words_t *self, base_word_t *found, const char **at, char word [WORD_MAX])
{
    const char *before = *at + strspn (*at, " \t");
    if (!dockerfile_next_word (at, word) || strncmp (before, "--", 2) != 0)
        return false;
    if (!*word)
        tell (self, found, "an option of more than a thousand letters", NULL, false);
    return true;
}

/* COPY --from=image … */
static void on_copy (base_words_t *self, base_word_t *found, const char *at)
{
    char word [WORD_MAX];
    while (next_option (self, found, &at, word))
        if (strncmp (word, "--from=", 7) == 0)
            on_source (self, found, word + 7);
}

/* RUN --mount=type=bind,from=image,… */
static void on_run (base_words_t *self, base_word_t *found, const char *at)
{
    char word [WORD_MAX];
    while (next_option (self, found, &at, word)) {
        bool is_mount = strncmp (word, "--mount=", 8) == 0, is_quoted = strpbrk (word, "\"'\\`");
        if (is_mount && is_quoted && strcasestr (word, "from"))
            tell (self, found, word, NULL, false);
        char *rest = is_mount && !is_quoted ? word + 8 : NULL;
        for (char *part = strsep (&rest, ","); part; part = strsep (&rest, ","))
            if (strncmp (part, "from=", 5) == 0)
                on_source (self, found, part + 5);
    }
}

static void on_instruction (base_words_t *self, base_word_t *found, const char *text)
{
    static const struct { const char *verb; void (*read) (base_words_t *self, base_word_t *found, const char *at); } verbs [] = {
        { "from", on_from }, { "arg", on_arg }, { "copy", on_copy }, { "add", on_copy }, { "run", on_run } };
    char verb [WORD_MAX];
    const char *at = text;
    if (!dockerfile_next_word (&at, verb))
        return;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcasecmp (verbs [i].verb, verb) == 0)
            verbs [i].read (self, found, at);
}

void base_words_read (base_words_t *self, const char *text, size_t size)
{
    self->globals = json_object ();
    know_platform (self, "TARGET", self->platform);
    know_platform (self, "BUILD", self->build_platform);
    dockerfile_begin (&self->file, text, size);
    for (;;) {
        base_word_t found = { .from = self->file.at };
        const char *instruction = dockerfile_next (&self->file);
        if (!instruction)
            break;
        found.to = self->file.at;
        on_instruction (self, &found, instruction);
    }
    self->is_doubtful |= self->file.is_doubtful;
    dockerfile_end (&self->file);
    json_decref (take (&self->globals));
}
