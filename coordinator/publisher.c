/* publisher.c - turns tasks of the engine into calls of verify and publish, and their outcome into events. */
#include "coordinator/publisher.h"

#include <jansson.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "coordinator/base64.h"
#include "coordinator/publish.h"
#include "coordinator/resolve.h"
#include "coordinator/verify.h"

/* A base image is only asked for to save a build. */
enum { BASES_MS = 5000 };

typedef struct {
    const publisher_settings_t *settings;
    registry_t *registry, *bases;
    resolver_t *resolver;           /* NULL until something is to be resolved */
} publisher_t;

static void add_error (json_t *event, const err_t *err)
{
    json_object_set_new (event, "code", json_string (err_name (err->code)));
    json_object_set_new (event, "text", json_string (err->text));
}

/* -- verify ----------------------------------------------------------------------------------------------------- */

static int read_base (base_t *base, const json_t *item, err_t *err)
{
    const char *text, *digest;
    if (json_unpack ((json_t *) item, "{s:s, s:s}", "reference", &text, "digest", &digest) != 0)
        return err_set (err, ERR_FARM, "a base image that is none");
    snprintf (base->digest, sizeof base->digest, "%s", digest);
    return reference_parse (&base->reference, text, err);
}

static int read_bases (const json_t *list, base_t **out, size_t *count, err_t *err)
{
    *count = json_array_size (list);
    *out = mem_alloc ((*count + 1) * sizeof **out);
    for (size_t i = 0; i < *count; i++)
        if (read_base (&(*out) [i], json_array_get (list, i), err) < 0)
            return -1;
    return 0;
}

/* Names are borrowed of the task. */
static int read_first (verification_t *self, const json_t *task, err_t *err)
{
    const char *digest;
    const json_t *first = json_object_get (task, "same_as");
    if (!first)
        return 0;
    if (json_unpack ((json_t *) first, "{s:s, s:s, s:s}", "digest", &digest, "worker", &self->first.name, "second", &self->second.name) != 0)
        return err_set (err, ERR_FARM, "a task to compare that is none");
    snprintf (self->first.digest, sizeof self->first.digest, "%s", digest);
    return 0;
}

/* bases: they are freed by the caller, whatever is returned. */
static int read_image (verification_t *self, base_t **bases, const json_t *task, err_t *err)
{
    const char *repository, *digest, *platform;
    if (json_unpack ((json_t *) task, "{s:s, s:s, s:s}", "repository", &repository, "digest", &digest, "platform", &platform) != 0)
        return err_set (err, ERR_FARM, "a task to verify that is none");
    if (read_first (self, task, err) < 0 || reference_parse (&self->reference, repository, err) < 0 || platform_parse (&self->platform, platform, err) < 0
        || read_bases (json_object_get (task, "bases"), bases, &self->base_count, err) < 0)
        return -1;
    self->level = verify_level_of (json_string_value (json_object_get (task, "verify")));
    self->is_known = json_object_get (task, "bases") != NULL;
    self->bases = *bases;
    self->reference.tag [0] = 0;
    snprintf (self->reference.digest, sizeof self->reference.digest, "%s", digest);
    return 0;
}

static json_t *verified_event (const verification_t *self, const json_t *task)
{
    bool is_good = self->err.code == ERR_NONE;
    json_t *event = json_pack ("{s:O, s:O, s:b}", "job", json_object_get (task, "job"),
                               "attempt", json_object_get (task, "attempt"), "ok", is_good);
    if (is_good)
        json_object_update_new (event, json_pack ("{s:s, s:s, s:I}", "media_type", self->image.media_type, "digest",
                                                  self->image.digest, "size", (json_int_t) self->image.size_bytes));
    else
        add_error (event, &self->err);
    return event;
}

static reading_t new_reading (const publisher_settings_t *settings)
{
    return (reading_t) { .unpacked_max = settings->unpacked_max, .is_stopped = &settings->is_stopped,
                         .deadline_ms = settings->reading_ms ? clock_boot_ms () + settings->reading_ms : 0 };
}

static json_t *on_verify (publisher_t *self, const json_t *tasks)
{
    size_t count = json_array_size (tasks);
    AUTO_FREE verification_t *images = mem_alloc ((count + 1) * sizeof *images);
    AUTO_FREE base_t **bases = mem_alloc ((count + 1) * sizeof *bases);
    json_t *events = json_array ();
    for (size_t i = 0; i < count; i++) {
        images [i].reading = new_reading (self->settings);
        read_image (&images [i], &bases [i], json_array_get (tasks, i), &images [i].err);
    }
    verify_images (self->registry, self->bases, images, count);
    bool is_stopped = atomic_load (&self->settings->is_stopped);
    for (size_t i = 0; i < count; i++) {
        if (!is_stopped || images [i].err.code != ERR_INTERRUPTED)
            json_array_append_new (events, verified_event (&images [i], json_array_get (tasks, i)));
        free (bases [i]);
    }
    return events;
}

/* -- publish ---------------------------------------------------------------------------------------------------- */

/* What a task says, in the types that publish_index takes. */
typedef struct {
    reference_t source;
    descriptor_t *children;
    reference_t *tags;
    bool *moved;
    manifest_t index;
} publish_task_t;

static void publish_task_free (publish_task_t *self)
{
    free (self->children);
    free (self->tags);
    free (self->moved);
    manifest_free (&self->index);
}

static int read_child (descriptor_t *child, const json_t *item, err_t *err)
{
    const char *media_type, *digest, *platform;
    json_int_t size;
    if (json_unpack ((json_t *) item, "{s:s, s:s, s:I, s:s}", "media_type", &media_type, "digest", &digest,
                     "size", &size, "platform", &platform) != 0)
        return err_set (err, ERR_FARM, "a child of an index that is none");
    snprintf (child->media_type, sizeof child->media_type, "%s", media_type);
    snprintf (child->digest, sizeof child->digest, "%s", digest);
    child->size_bytes = size;
    return platform_parse (&child->platform, platform, err);
}

static int read_index (manifest_t *index, const json_t *task, err_t *err)
{
    const char *media_type, *digest, *base64;
    if (json_unpack ((json_t *) task, "{s:s, s:s, s:s}", "index_media_type", &media_type, "index_digest", &digest,
                     "index", &base64) != 0)
        return err_set (err, ERR_FARM, "a task to publish without an index");
    snprintf (index->media_type, sizeof index->media_type, "%s", media_type);
    snprintf (index->digest, sizeof index->digest, "%s", digest);
    if (base64_decode (base64, &index->bytes) < 0)
        return err_set (err, ERR_FARM, "an index that is no base64");
    return 0;
}

static int read_publish_task (publish_task_t *self, const json_t *task, err_t *err)
{
    const json_t *children = json_object_get (task, "children"), *tags = json_object_get (task, "tags");
    const char *source = json_string_value (json_object_get (task, "repository"));
    self->children = mem_alloc ((json_array_size (children) + 1) * sizeof *self->children);
    self->tags = mem_alloc ((json_array_size (tags) + 1) * sizeof *self->tags);
    self->moved = mem_alloc ((json_array_size (tags) + 1) * sizeof *self->moved);
    if (!source || reference_parse (&self->source, source, err) < 0)
        return err_wrap (err, "repository of a task to publish");
    for (size_t i = 0; i < json_array_size (children); i++)
        if (read_child (&self->children [i], json_array_get (children, i), err) < 0)
            return -1;
    for (size_t i = 0; i < json_array_size (tags); i++)
        if (reference_parse (&self->tags [i], json_string_value (json_array_get (tags, i)), err) < 0)
            return -1;
    return read_index (&self->index, task, err);
}

/* moved gets the tags that were, or may have been, moved before it failed. */
static int publish_task (registry_t *registry, const json_t *task, json_t *moved, err_t *err)
{
    publish_task_t read = { 0 };
    const json_t *tags = json_object_get (task, "tags");
    int rc = read_publish_task (&read, task, err);
    if (rc == 0) {
        publication_t publication = {
            .source = read.source, .index = &read.index,
            .children = read.children, .child_count = json_array_size (json_object_get (task, "children")),
            .tags = read.tags, .tag_count = json_array_size (tags), .moved = read.moved,
            .was_published = json_is_true (json_object_get (task, "was_published")),
            .is_unsure = json_is_true (json_object_get (task, "is_unsure")),
        };
        rc = publish_index (registry, &publication, err);
    }
    for (size_t i = 0; rc < 0 && i < json_array_size (tags); i++)
        if (read.moved [i])
            json_array_append (moved, json_array_get (tags, i));
    publish_task_free (&read);
    return rc;
}

static json_t *on_publish (publisher_t *self, const json_t *tasks)
{
    const json_t *task = json_array_get (tasks, 0);
    err_t err = { 0 };
    AUTO_JSON json_t *moved = json_array ();
    int rc = publish_task (self->registry, task, moved, &err);
    json_t *event = json_pack ("{s:O, s:b}", "build", json_object_get (task, "build"), "ok", rc == 0);
    if (rc < 0) {
        add_error (event, &err);
        json_object_set (event, "moved", moved);
    }
    return json_pack ("[o]", event);
}

/* -- look ------------------------------------------------------------------------------------------------------- */

static json_t *on_look (publisher_t *self, const json_t *tasks)
{
    const json_t *task = json_array_get (tasks, 0);
    AUTO_FREE base_t *bases = NULL;
    size_t count;
    err_t err = { 0 };
    int rc = read_bases (json_object_get (task, "bases"), &bases, &count, &err);
    if (rc == 0)
        rc = verify_bases (self->bases, bases, count, &err);
    json_t *event = json_pack ("{s:O, s:O, s:b}", "schedule", json_object_get (task, "schedule"), "scheduled_ms",
                               json_object_get (task, "scheduled_ms"), "ok", rc == 0);
    if (rc < 0)
        add_error (event, &err);
    return json_pack ("[o]", event);
}

/* -- resolve ---------------------------------------------------------------------------------------------------- */

static json_t *on_resolve (publisher_t *self, const json_t *tasks)
{
    const json_t *task = json_array_get (tasks, 0);
    err_t err = { 0 };
    if (!self->resolver)
        self->resolver = resolver_new (self->settings->registry, self->settings->depot);
    json_t *bases = resolver_ask (self->resolver, json_object_get (task, "question"), &err);
    json_t *event = json_pack ("{s:O, s:b, s:o*}", "lookup", json_object_get (task, "lookup"), "ok", bases != NULL, "bases", bases);
    if (!bases)
        add_error (event, &err);
    return json_pack ("[o]", event);
}

/* -- the actor -------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *task, *outcome;     /* verbs */
    json_t *(*run) (publisher_t *self, const json_t *tasks);
    bool is_quiet;                  /* a no is no trouble: that a base image has changed */
} kind_t;

static const kind_t *kind_of (const char *task)
{
    static const kind_t kinds [] = { { "verify", "verified", on_verify, false }, { "publish", "published", on_publish, false }, { "look", "looked", on_look, true },
                                     { "resolve", "resolved", on_resolve, true } };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (streq (kinds [i].task, task))
            return &kinds [i];
    assert (false);                 /* ours: publishers.h has them all */
    return NULL;
}

static void on_tasks (zsock_t *pipe, publisher_t *self, const char *task, const char *text)
{
    const kind_t *kind = kind_of (task);
    AUTO_JSON json_t *tasks = json_loads (text, 0, NULL);
    AUTO_JSON json_t *events = kind->run (self, tasks);
    AUTO_FREE char *answer = json_dumps (events, JSON_COMPACT);
    for (size_t i = 0; i < json_array_size (events); i++) {
        const json_t *event = json_array_get (events, i);
        if (!kind->is_quiet && !json_is_true (json_object_get (event, "ok")))
            log_warn ("publisher", "%s: %s", task, json_string_value (json_object_get (event, "text")));
    }
    zstr_sendx (pipe, kind->outcome, answer, NULL);
}

static registry_t *new_for_bases (const registry_settings_t *settings)
{
    registry_settings_t brief = *settings;
    brief.is_brief = true;
    if (brief.timeout_ms <= 0 || brief.timeout_ms > BASES_MS)
        brief.timeout_ms = BASES_MS;
    return registry_new (&brief);
}

void publisher_actor (zsock_t *pipe, void *settings)
{
    const publisher_settings_t *given = settings;
    publisher_t self = { given, registry_new (given->registry), new_for_bases (given->registry), NULL };
    zsock_signal (pipe, 0);
    bool goes_on = true;
    while (goes_on) {
        char *kind = NULL, *text = NULL;
        if (zstr_recvx (pipe, &kind, &text, NULL) < 0)
            goes_on = errno == EINTR;
        else if (streq (kind, "$TERM"))
            goes_on = false;
        else
            on_tasks (pipe, &self, kind, text);
        zstr_free (&kind);
        zstr_free (&text);
    }
    registry_destroy (&self.registry);
    registry_destroy (&self.bases);
    resolver_destroy (&self.resolver);
}
