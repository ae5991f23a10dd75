/* publisher.c - turns tasks of the engine into calls of verify and publish, and their outcome into events. */
#include "coordinator/publisher.h"

#include <jansson.h>
#include <sodium.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "coordinator/publish.h"
#include "coordinator/verify.h"

static void add_error (json_t *event, const err_t *err)
{
    json_object_set_new (event, "code", json_string (err_name (err->code)));
    json_object_set_new (event, "text", json_string (err->text));
}

/* -- verify ----------------------------------------------------------------------------------------------------- */

/* A known image is only as good as its base images: their tags must still mean what they meant. */
static int check_bases (registry_t *registry, const json_t *bases, err_t *err)
{
    size_t i;
    json_t *base;
    json_array_foreach ((json_t *) bases, i, base) {
        reference_t reference;
        manifest_t manifest = { .media_type = "" };
        const char *text = json_string_value (json_object_get (base, "reference"));
        const char *digest = json_string_value (json_object_get (base, "digest"));
        if (!text || !digest || reference_parse (&reference, text, err) < 0
            || registry_get_manifest (registry, &reference, &manifest, err) < 0)
            return -1;
        bool is_same = strcmp (manifest.digest, digest) == 0;
        manifest_free (&manifest);
        if (!is_same)
            return err_set (err, ERR_STALE, "the base image %s has changed", text);
    }
    return 0;
}

static int verify_task (registry_t *registry, const json_t *task, descriptor_t *out, err_t *err)
{
    const char *repository_text, *digest, *platform_text;
    reference_t repository;
    platform_t platform;
    if (json_unpack ((json_t *) task, "{s:s, s:s, s:s}", "repository", &repository_text, "digest", &digest,
                     "platform", &platform_text) != 0)
        return err_set (err, ERR_FARM, "a task to verify that is none");
    if (reference_parse (&repository, repository_text, err) < 0 || platform_parse (&platform, platform_text, err) < 0)
        return -1;
    if (check_bases (registry, json_object_get (task, "bases"), err) < 0)
        return -1;
    return verify_image (registry, &repository, digest, &platform, out, err);
}

static json_t *on_verify (registry_t *registry, const json_t *task)
{
    descriptor_t image;
    err_t err = { 0 };
    int rc = verify_task (registry, task, &image, &err);
    json_t *event = json_pack ("{s:O, s:O, s:b}", "job", json_object_get (task, "job"),
                               "attempt", json_object_get (task, "attempt"), "ok", rc == 0);
    if (rc < 0)
        add_error (event, &err);
    else
        json_object_update_new (event, json_pack ("{s:s, s:s, s:I}", "media_type", image.media_type, "digest",
                                                  image.digest, "size", (json_int_t) image.size_bytes));
    return event;
}

/* -- publish ---------------------------------------------------------------------------------------------------- */

/* What a task says, in the types that publish_index takes. */
typedef struct {
    reference_t source;
    descriptor_t *children;
    reference_t *tags;
    manifest_t index;
} publish_task_t;

static void publish_task_free (publish_task_t *self)
{
    free (self->children);
    free (self->tags);
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
    buffer_reserve (&index->bytes, strlen (base64) + 1);
    if (sodium_base642bin (index->bytes.data, index->bytes.capacity, base64, strlen (base64), NULL, &index->bytes.size,
                           NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return err_set (err, ERR_FARM, "an index that is no base64");
    return 0;
}

static int read_publish_task (publish_task_t *self, const json_t *task, err_t *err)
{
    const json_t *children = json_object_get (task, "children"), *tags = json_object_get (task, "tags");
    const char *source = json_string_value (json_object_get (task, "repository"));
    self->children = mem_alloc ((json_array_size (children) + 1) * sizeof *self->children);
    self->tags = mem_alloc ((json_array_size (tags) + 1) * sizeof *self->tags);
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

static int publish_task (registry_t *registry, const json_t *task, err_t *err)
{
    publish_task_t read = { 0 };
    int rc = read_publish_task (&read, task, err);
    if (rc == 0) {
        publication_t publication = {
            .source = read.source, .index = &read.index,
            .children = read.children, .child_count = json_array_size (json_object_get (task, "children")),
            .tags = read.tags, .tag_count = json_array_size (json_object_get (task, "tags")),
        };
        rc = publish_index (registry, &publication, err);
    }
    publish_task_free (&read);
    return rc;
}

static json_t *on_publish (registry_t *registry, const json_t *task)
{
    err_t err = { 0 };
    int rc = publish_task (registry, task, &err);
    json_t *event = json_pack ("{s:O, s:b}", "build", json_object_get (task, "build"), "ok", rc == 0);
    if (rc < 0)
        add_error (event, &err);
    return event;
}

/* -- the actor -------------------------------------------------------------------------------------------------- */

static void on_task (zsock_t *pipe, registry_t *registry, const char *kind, const char *text)
{
    bool is_verify = streq (kind, "verify");
    AUTO_JSON json_t *task = json_loads (text, 0, NULL);
    AUTO_JSON json_t *event = is_verify ? on_verify (registry, task) : on_publish (registry, task);
    AUTO_FREE char *answer = json_dumps (event, JSON_COMPACT);
    if (!json_is_true (json_object_get (event, "ok")))
        log_warn ("publisher", "%s: %s", kind, json_string_value (json_object_get (event, "text")));
    zstr_sendx (pipe, is_verify ? "verified" : "published", answer, NULL);
}

void publisher_actor (zsock_t *pipe, void *registry_settings)
{
    registry_t *registry = registry_new (registry_settings);
    zsock_signal (pipe, 0);
    bool goes_on = true;
    while (goes_on) {
        char *kind = NULL, *text = NULL;
        if (zstr_recvx (pipe, &kind, &text, NULL) < 0)
            goes_on = errno == EINTR;
        else if (streq (kind, "$TERM"))
            goes_on = false;
        else
            on_task (pipe, registry, kind, text);
        zstr_free (&kind);
        zstr_free (&text);
    }
    registry_destroy (&registry);
}
