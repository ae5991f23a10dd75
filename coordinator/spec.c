/* spec.c - see spec.h. */
#include "coordinator/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/label.h"
#include "common/mem.h"
#include "common/platform.h"
#include "coordinator/cells.h"

enum { TAG_TEXT_MAX = 512 };        /* schema/messages.json, to which an assignment has to fit too */

static int holds (const json_t *texts, const char *text)
{
    size_t i;
    json_t *item;
    json_array_foreach ((json_t *) texts, i, item)
        if (strcmp (json_string_value (item), text) == 0)
            return 1;
    return 0;
}

static void add_once (json_t *texts, const char *text)
{
    if (!holds (texts, text))
        json_array_append_new (texts, json_string (text));
}

static int normalise_platforms (json_t *spec, const char *field, err_t *err)
{
    AUTO_JSON json_t *all = json_array ();
    size_t i;
    json_t *item;
    json_array_foreach (json_object_get (spec, field), i, item) {
        platform_t platform;
        char name [PLATFORM_MAX];
        if (platform_parse (&platform, json_string_value (item), err) < 0)
            return -1;
        platform_format (&platform, name);
        add_once (all, name);
    }
    return json_object_set (spec, field, all);
}

static int read_tag (const char *text, reference_t *tag, err_t *err)
{
    if (reference_parse (tag, text, err) < 0)
        return err_wrap (err, "tag %s", text);
    if (tag->digest [0])
        return err_set (err, ERR_USAGE, "tag %s: a tag to publish has no digest", text);
    if (!tag->tag [0])
        strcpy (tag->tag, "latest");
    return 0;
}

static int normalise_tags (json_t *spec, char repository [REFERENCE_MAX], err_t *err)
{
    AUTO_JSON json_t *all = json_array ();
    reference_t first = { .host = "" };
    size_t i;
    json_t *item;
    json_array_foreach (json_object_get (spec, "tags"), i, item) {
        reference_t tag;
        char text [REFERENCE_MAX];
        if (read_tag (json_string_value (item), &tag, err) < 0)
            return -1;
        if (i == 0)
            first = tag;
        if (strcmp (tag.host, first.host) != 0)
            return err_set (err, ERR_USAGE, "tags in two registries, %s and %s: submit once for each", first.host, tag.host);
        reference_format (&tag, text);
        if (strlen (text) > TAG_TEXT_MAX)
            return err_set (err, ERR_USAGE, "tag %s has more than %d characters: take a shorter name", text, TAG_TEXT_MAX);
        add_once (all, text);
    }
    first.tag [0] = 0;
    reference_format (&first, repository);
    return json_object_set (spec, "tags", all);
}

static int compare_texts (const void *a, const void *b)
{
    return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* A new array, each text once. */
static json_t *sorted (const json_t *texts)
{
    size_t i, count = json_array_size (texts);
    AUTO_FREE const char **items = mem_alloc ((count + 1) * sizeof *items);
    json_t *all = json_array (), *item;
    json_array_foreach ((json_t *) texts, i, item)
        items [i] = json_string_value (item);
    qsort (items, count, sizeof *items, compare_texts);
    for (i = 0; i < count; i++)
        add_once (all, items [i]);
    return all;
}

/* Sorted and each once, so that the same requirements are one lane. */
static int normalise_requirements (json_t *spec, err_t *err)
{
    const json_t *given = json_object_get (spec, "require");
    size_t i;
    json_t *item;
    json_array_foreach ((json_t *) given, i, item)
        if (requirement_check (json_string_value (item), err) < 0)
            return -1;
    return given ? json_object_set_new (spec, "require", sorted (given)) : 0;
}

int spec_normalise_wishes (json_t *spec, err_t *err)
{
    return normalise_platforms (spec, "platforms", err) < 0 ? -1 : normalise_requirements (spec, err);
}

static int normalise_required (json_t *spec, err_t *err)
{
    size_t i;
    json_t *item;
    if (!json_object_get (spec, "required_platforms"))
        return 0;
    if (normalise_platforms (spec, "required_platforms", err) < 0)
        return -1;
    json_array_foreach (json_object_get (spec, "required_platforms"), i, item)
        if (!holds (json_object_get (spec, "platforms"), json_string_value (item)))
            return err_set (err, ERR_USAGE, "%s is required, but is none of the build's platforms", json_string_value (item));
    return 0;
}

int spec_normalise (const json_t *spec, json_t **out, char repository [REFERENCE_MAX], err_t *err)
{
    AUTO_JSON json_t *self = json_deep_copy (spec);
    if (spec_normalise_wishes (self, err) < 0 || normalise_required (self, err) < 0 || normalise_tags (self, repository, err) < 0)
        return -1;
    if (cell_size (self) > SPEC_TEXT_MAX)
        return err_set (err, ERR_USAGE, "build arguments, labels and tags have more than %d KiB together", SPEC_TEXT_MAX / 1024);
    *out = take (&self);
    return 0;
}

int spec_stage (char repository [REFERENCE_MAX], const char *staging, err_t *err)
{
    reference_t parsed;
    const char *path = strchr (repository, '/');
    AUTO_FREE char *staged = mem_printf ("%.*s/%s%s", (int) (path - repository), repository, staging, path);
    if (strlen (staged) > TAG_TEXT_MAX || reference_parse (&parsed, staged, NULL) < 0)
        return err_set (err, ERR_USAGE, "repository %s: workers push to %s before it is verified (registry/staging of the coordinator), and that is too long a "
                        "name: take a shorter one", repository, staged);
    strcpy (repository, staged);
    return 0;
}

char *spec_tag_set (const json_t *spec)
{
    AUTO_JSON json_t *tags = sorted (json_object_get (spec, "tags"));
    return json_dumps (tags, JSON_COMPACT);
}

bool spec_requires (const json_t *spec, const char *platform)
{
    const json_t *required = json_object_get (spec, "required_platforms");
    return !required || holds (required, platform);
}

bool spec_same_inputs (const json_t *a, const json_t *b)
{
    static const char *const fields [] = { "context", "dockerfile", "build_args", "labels", "target", "require", "secrets", "ssh", "cross_check" };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const json_t *one = json_object_get (a, fields [i]), *other = json_object_get (b, fields [i]);
        if ((one || other) && !json_equal (one, other))
            return false;
    }
    return true;
}
