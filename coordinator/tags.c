/* tags.c - see tags.h. The outbox: what stands in it is put into the registry, again after a crash, byte for byte, until the
 * publisher says that it is done or will not be (published.c). */
#include "coordinator/tags.h"

#include <stdio.h>
#include <string.h>

#include "common/manifest.h"
#include "common/mem.h"
#include "coordinator/base64.h"
#include "coordinator/bases.h"
#include "coordinator/builds.h"

enum { OUTBOX_BATCH = 64 };

/* -- the index -------------------------------------------------------------------------------------------------- */

static int read_child (const query_t *query, descriptor_t *child, err_t *err)
{
    snprintf (child->media_type, sizeof child->media_type, "%s", query_get_text (query, 0));
    snprintf (child->digest, sizeof child->digest, "%s", query_get_text (query, 1));
    child->size_bytes = query_get_int (query, 2);
    return platform_parse (&child->platform, query_get_text (query, 3), err);
}

static int read_children (engine_t *self, int64_t build, descriptor_t *children, size_t *count, err_t *err)
{
    int rc = 0;
    query_t query = db_query (self->db, "SELECT media_type, digest, size, platform FROM jobs "
                              "WHERE build = :build AND state = 'done' ORDER BY position");
    query_int (&query, ":build", build);
    *count = 0;
    while (rc == 0 && *count < INDEX_CHILDREN_MAX && query_step (&query))
        rc = read_child (&query, &children [(*count)++], err);
    return query_end (&query, rc == 0 ? err : NULL) < 0 ? -1 : rc;
}

static int insert (engine_t *self, int64_t build, const char *media_type, const char *digest, const buffer_t *bytes, err_t *err)
{
    query_t query = db_query (self->db, "INSERT INTO outbox (build, media_type, digest, bytes) "
                              "VALUES (:build, :type, :digest, :bytes)");
    query_int (&query, ":build", build);
    query_text (&query, ":type", media_type);
    query_text (&query, ":digest", digest);
    query_blob (&query, ":bytes", bytes->data, bytes->size);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int tags_store_index (engine_t *self, int64_t build, err_t *err)
{
    AUTO_FREE descriptor_t *children = mem_alloc (INDEX_CHILDREN_MAX * sizeof *children);
    AUTO_BUFFER buffer_t bytes = { 0 };
    char media_type [128], digest [OCI_DIGEST_SIZE];
    last_base_t last = { .reference = "" };
    size_t count;
    if (read_children (self, build, children, &count, err) < 0)
        return -1;
    base_image_t base = { last.reference, last.digest };
    manifest_compose_index (children, count, bases_last (self, build, &last) ? &base : NULL, &bytes, media_type);
    oci_digest_of (bytes.data, bytes.size, digest);
    if (insert (self, build, media_type, digest, &bytes, err) < 0
        || build_move (self, build, BUILD_RUNNING, BUILD_PUBLISHING, "all images are verified", err) < 0)
        return -1;
    self->must_publish = true;
    return 0;
}

/* -- which tags may move ---------------------------------------------------------------------------------------- */

/* Some other build is moving one of this one's tags just now; or a newer one has tried to, and is to try again: it may have
 * moved the tag before its publisher or the registry failed. */
static int is_blocked (engine_t *self, int64_t build, bool *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT 1 FROM build_tags AS ours CROSS JOIN build_tags AS theirs ON theirs.reference = ours.reference "
                              "AND theirs.build >= (SELECT min (build) FROM outbox) CROSS JOIN outbox ON outbox.build = theirs.build "
                              "WHERE ours.build = :build AND (outbox.is_handed_out "
                              "OR (outbox.tries > 0 AND outbox.build > :build)) LIMIT 1");
    query_int (&query, ":build", build);
    *out = query_step (&query);
    return query_end (&query, err);
}

/* The tags that no newer build has published. The outcome stays the same while the build is handed out: see is_blocked. */
static json_t *movable_tags (engine_t *self, int64_t build, err_t *err)
{
    json_t *all = json_array ();
    query_t query = db_query (self->db, "SELECT reference FROM build_tags WHERE build = :build AND NOT EXISTS "
                              "(SELECT 1 FROM tags WHERE tags.reference = build_tags.reference AND tags.build > :build) "
                              "ORDER BY position");
    query_int (&query, ":build", build);
    while (query_step (&query))
        json_array_append_new (all, json_string (query_get_text (&query, 0)));
    if (query_end (&query, err) == 0)
        return all;
    json_decref (all);
    return NULL;
}

/* -- handing out ------------------------------------------------------------------------------------------------ */

/* Is that what was published under all of them last? Then it may still stand there. */
static int was_published (engine_t *self, int64_t build, size_t tags, bool *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT count (*) FROM build_tags JOIN outbox ON outbox.build = build_tags.build "
                              "JOIN tags ON tags.reference = build_tags.reference AND tags.digest = outbox.digest "
                              "WHERE build_tags.build = :build AND tags.build <= :build");
    query_int (&query, ":build", build);
    *out = query_step (&query) && tags > 0 && query_get_int (&query, 0) == (int64_t) tags;
    return query_end (&query, err);
}

static int children_json (engine_t *self, int64_t build, json_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT media_type, digest, size, platform FROM jobs "
                              "WHERE build = :build AND state = 'done' ORDER BY position");
    query_int (&query, ":build", build);
    while (query_step (&query))
        json_array_append_new (out, json_pack ("{s:s, s:s, s:I, s:s}", "media_type", query_get_text (&query, 0), "digest",
                                               query_get_text (&query, 1), "size", (json_int_t) query_get_int (&query, 2),
                                               "platform", query_get_text (&query, 3)));
    return query_end (&query, err);
}

static int add_index (engine_t *self, int64_t build, json_t *task, err_t *err)
{
    query_t query = db_query (self->db, "SELECT outbox.media_type, outbox.digest, outbox.bytes, builds.repository FROM outbox "
                              "JOIN builds ON builds.id = outbox.build WHERE outbox.build = :build");
    query_int (&query, ":build", build);
    if (query_step (&query)) {
        size_t size;
        const void *bytes = query_get_blob (&query, 2, &size);
        AUTO_FREE char *index = base64_encode (bytes, size);
        json_object_set_new (task, "index_media_type", json_string (query_get_text (&query, 0)));
        json_object_set_new (task, "index_digest", json_string (query_get_text (&query, 1)));
        json_object_set_new (task, "index", json_string (index));
        json_object_set_new (task, "repository", json_string (query_get_text (&query, 3)));
    }
    return query_end (&query, err);
}

static int is_unsure (engine_t *self, int64_t build, bool *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT 1 FROM outbox WHERE build = :build AND is_unsure");
    query_int (&query, ":build", build);
    *out = query_step (&query);
    return query_end (&query, err);
}

static int mark_handed_out (engine_t *self, int64_t build, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE outbox SET is_handed_out = 1, tries = tries + 1 WHERE build = :build");
    query_int (&query, ":build", build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

static int hand_out (engine_t *self, int64_t build, err_t *err)
{
    AUTO_JSON json_t *task = json_pack ("{s:I, s:[]}", "build", (json_int_t) build, "children");
    json_t *tags = movable_tags (self, build, err);
    if (!tags)
        return -1;
    bool is_again = false, must_look = false;
    json_object_set_new (task, "tags", tags);
    if (was_published (self, build, json_array_size (tags), &is_again, err) < 0 || is_unsure (self, build, &must_look, err) < 0)
        return -1;
    json_object_set_new (task, "was_published", json_boolean (is_again));
    json_object_set_new (task, "is_unsure", json_boolean (must_look));
    if (children_json (self, build, json_object_get (task, "children"), err) < 0 || add_index (self, build, task, err) < 0
        || mark_handed_out (self, build, err) < 0)
        return -1;
    engine_act (self, ACTION_PUBLISH, take (&task));
    return 0;
}

static int waiting_indexes (engine_t *self, int64_t after, int64_t out [OUTBOX_BATCH], err_t *err)
{
    int count = 0;
    query_t query = db_query (self->db, "SELECT build FROM outbox WHERE NOT is_handed_out AND build > :after ORDER BY build LIMIT 64");
    query_int (&query, ":after", after);
    while (count < OUTBOX_BATCH && query_step (&query))
        out [count++] = query_get_int (&query, 0);
    return query_end (&query, err) < 0 ? -1 : count;
}

int tags_hand_out (engine_t *self, err_t *err)
{
    int64_t builds [OUTBOX_BATCH], after = 0;
    int count;
    while ((count = waiting_indexes (self, after, builds, err)) > 0)
        for (int i = 0; i < count; i++) {
            bool must_wait = wait_is_pending (self, WAIT_PUBLISH, builds [i]);
            after = builds [i];
            if (!must_wait && is_blocked (self, builds [i], &must_wait, err) < 0)
                return -1;
            if (!must_wait && hand_out (self, builds [i], err) < 0)
                return -1;
        }
    return count < 0 ? -1 : 0;
}
