/* base_names.c - see base_names.h. One pass notes what each stage begins with or takes from; then the target's stage is followed back. */
#include "common/base_names.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/dockerfile.h"
#include "common/mem.h"

enum { STAGES_MAX = 128, STAGE_NAME_MAX = 128, USES_MAX = 256, NO_STAGE = -1, WORD_MAX = DOCKERFILE_WORD_MAX };

/* What a stage begins with, or takes something from. */
typedef struct {
    int by, of;                         /* stages; of NO_STAGE: an image of a registry */
    bool is_begin;
    base_name_t name;
} use_t;

typedef struct {
    char name [STAGE_NAME_MAX];         /* "" for none */
    char platform [PLATFORM_MAX];       /* "": not known */
} stage_t;

typedef struct {
    dockerfile_t file;
    const json_t *build_args;
    const char *platform;
    json_t *globals;                    /* ARGs before the first FROM, and what a builder adds to them */
    stage_t stages [STAGES_MAX];
    int stage_count;
    use_t uses [USES_MAX];
    int use_count;
    bool is_too_much;
} reader_t;

/* -- values -------------------------------------------------------------------------------------------------------- */

static void know (reader_t *self, const char *name, const char *value)
{
    json_object_set_new (self->globals, name, json_string (value));
}

/* TARGETPLATFORM and its parts. What the worker itself is (BUILDPLATFORM) nobody knows yet. A variant may be empty, or not set. */
static void know_platform (reader_t *self)
{
    platform_t platform;
    if (platform_parse (&platform, self->platform, NULL) < 0)
        return;
    know (self, "TARGETPLATFORM", self->platform);
    know (self, "TARGETOS", platform.os);
    know (self, "TARGETARCH", platform.architecture);
    if (*platform.variant)
        know (self, "TARGETVARIANT", platform.variant);
}

/* Surely known, and set in one way. The caller frees; NULL otherwise. */
static char *value_of (const reader_t *self, const char *word)
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
static void on_arg (reader_t *self, const char *at)
{
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

/* -- stages -------------------------------------------------------------------------------------------------------- */

static int find_stage (const reader_t *self, const char *name, bool may_be_number)
{
    for (int i = self->stage_count - 1; i >= 0; i--)
        if (strcasecmp (self->stages [i].name, name) == 0)
            return i;
    bool is_number = may_be_number && *name && strlen (name) < 4 && name [strspn (name, "0123456789")] == 0;
    return is_number && atoi (name) < self->stage_count ? atoi (name) : NO_STAGE;
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

/* False where it is no image of a registry. */
static bool read_image (const char *name, reference_t *out)
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

/* By the stage that is being read. */
static void add_use (reader_t *self, const char *name, bool is_begin)
{
    use_t use = { .by = self->stage_count - 1, .is_begin = is_begin };
    use.of = find_stage (self, name, !is_begin);
    if (use.of == use.by)
        return;                         /* a stage of itself: the builder's to refuse */
    if (use.by < 0 || (use.of == NO_STAGE && !read_image (name, &use.name.reference)))
        return;
    strcpy (use.name.platform, self->stages [use.by].platform);
    if (self->use_count == USES_MAX)
        self->is_too_much = true;
    else
        self->uses [self->use_count++] = use;
}

/* FROM's --platform, or the job's. */
static void read_platform (const reader_t *self, const char *flag, char out [PLATFORM_MAX])
{
    platform_t platform;
    AUTO_FREE char *value = value_of (self, flag);
    out [0] = 0;
    if (value && platform_parse (&platform, value, NULL) == 0)
        platform_format (&platform, out);
}

/* FROM [--platform=…] image [AS name]. The stage's own name is not known yet when its image is looked for. */
static void on_from (reader_t *self, const char *at)
{
    char word [WORD_MAX];
    if (self->stage_count == STAGES_MAX) {
        self->is_too_much = true;
        return;
    }
    stage_t *stage = &self->stages [self->stage_count++];
    *stage = (stage_t) { .name = "" };
    snprintf (stage->platform, sizeof stage->platform, "%s", self->platform);
    bool has_word;
    while ((has_word = dockerfile_next_word (&at, word)) && strncmp (word, "--", 2) == 0)
        if (strncmp (word, "--platform=", 11) == 0)
            read_platform (self, word + 11, stage->platform);
    AUTO_FREE char *image = has_word ? value_of (self, word) : NULL;
    if (image && *image)
        add_use (self, image, true);
    if (dockerfile_next_word (&at, word) && strcasecmp (word, "as") == 0 && dockerfile_next_word (&at, word) && strlen (word) < STAGE_NAME_MAX)
        strcpy (stage->name, word);
}

/* Builders do not agree on variables and quotes here. */
static void add_source (reader_t *self, const char *name)
{
    if (*name && !strpbrk (name, "$\"'\\`"))
        add_use (self, name, false);
}

/* COPY --from=image … */
static void on_copy (reader_t *self, const char *at)
{
    char word [WORD_MAX];
    while (dockerfile_next_word (&at, word) && strncmp (word, "--", 2) == 0)
        if (strncmp (word, "--from=", 7) == 0)
            add_source (self, word + 7);
}

/* RUN --mount=type=bind,from=image,… */
static void on_run (reader_t *self, const char *at)
{
    char word [WORD_MAX];
    while (dockerfile_next_word (&at, word) && strncmp (word, "--", 2) == 0) {
        char *rest = strncmp (word, "--mount=", 8) == 0 && !strpbrk (word, "\"'\\`") ? word + 8 : NULL;
        for (char *part = strsep (&rest, ","); part; part = strsep (&rest, ","))
            if (strncmp (part, "from=", 5) == 0)
                add_source (self, part + 5);
    }
}

static void on_instruction (reader_t *self, const char *text)
{
    static const struct { const char *verb; void (*read) (reader_t *self, const char *at); } verbs [] = {
        { "from", on_from }, { "arg", on_arg }, { "copy", on_copy }, { "add", on_copy }, { "run", on_run } };
    char verb [WORD_MAX];
    const char *at = text;
    if (!dockerfile_next_word (&at, verb))
        return;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcasecmp (verbs [i].verb, verb) == 0)
            verbs [i].read (self, at);
}

/* -- what the target needs ----------------------------------------------------------------------------------------- */

static void add_name (base_names_t *out, const base_name_t *name, bool is_last)
{
    for (size_t i = 0; i < out->count; i++) {
        base_name_t *known = &out->items [i];
        if (memcmp (&known->reference, &name->reference, sizeof known->reference) == 0 && strcmp (known->platform, name->platform) == 0) {
            known->is_last |= is_last;
            return;
        }
    }
    if (out->count == BASE_NAMES_MAX)
        return;
    out->items [out->count] = *name;
    out->items [out->count++].is_last = is_last;
}

/* A stage needs only stages before it. */
static void follow (const reader_t *self, int target, base_names_t *out)
{
    bool is_needed [STAGES_MAX] = { false }, is_trunk [STAGES_MAX] = { false };
    is_needed [target] = is_trunk [target] = true;
    for (int stage = target; stage >= 0; stage--)
        for (int i = 0; i < self->use_count; i++) {
            const use_t *use = &self->uses [i];
            if (use->by != stage || use->of == NO_STAGE || !is_needed [stage])
                continue;
            is_needed [use->of] = true;
            is_trunk [use->of] |= use->is_begin && is_trunk [stage];
        }
    for (int i = 0; i < self->use_count; i++)
        if (self->uses [i].of == NO_STAGE && is_needed [self->uses [i].by])
            add_name (out, &self->uses [i].name, self->uses [i].is_begin && is_trunk [self->uses [i].by]);
}

void base_names_find (const char *text, size_t size, const json_t *build_args, const char *target, const char *platform, base_names_t *out)
{
    AUTO_FREE reader_t *self = mem_alloc (sizeof *self);
    *self = (reader_t) { .build_args = build_args, .platform = platform, .globals = json_object () };
    memset (out, 0, sizeof *out);
    know_platform (self);
    dockerfile_begin (&self->file, text, size);
    for (const char *instruction; (instruction = dockerfile_next (&self->file));)
        on_instruction (self, instruction);
    bool is_doubtful = self->file.is_doubtful || self->is_too_much;
    dockerfile_end (&self->file);
    json_decref (self->globals);
    int stage = target && *target ? find_stage (self, target, true) : self->stage_count - 1;
    if (!is_doubtful && stage >= 0)
        follow (self, stage, out);
}
