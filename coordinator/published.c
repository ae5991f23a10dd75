/* published.c - see published.h. */
#include "coordinator/published.h"

#include "common/mem.h"
#include "coordinator/builds.h"
#include "coordinator/outcome.h"

/* -- published -------------------------------------------------------------------------------------------------- */

/* "superseded by 57" when newer builds kept tags; which tags, where it is not all of them. */
static int superseded_note (engine_t *self, int64_t build, char **note, err_t *err)
{
    AUTO_BUFFER buffer_t kept = { 0 };
    int64_t newest = 0, count = 0, all = 0;
    query_t query = db_query (self->db, "SELECT build_tags.reference, tags.build FROM build_tags LEFT JOIN tags "
                              "ON tags.reference = build_tags.reference AND tags.build > :build "
                              "WHERE build_tags.build = :build ORDER BY position");
    query_int (&query, ":build", build);
    for (; query_step (&query); all++) {
        if (query_is_null (&query, 1))
            continue;
        newest = query_get_int (&query, 1) > newest ? query_get_int (&query, 1) : newest;
        buffer_printf (&kept, "%s%s", count++ ? ", " : "", query_get_text (&query, 0));
    }
    if (query_end (&query, err) < 0)
        return -1;
    if (count == all)
        *note = count ? mem_printf ("superseded by %lld", (long long) newest) : NULL;
    else
        *note = count ? mem_printf ("superseded by %lld: %.300s", (long long) newest, (const char *) kept.data) : NULL;
    return 0;
}

/* "unchanged, from build 41" when nothing was built at all. */
static int unchanged_note (engine_t *self, int64_t build, char **note, err_t *err)
{
    query_t query = db_query (self->db, "SELECT max (from_build) FROM jobs WHERE build = :build AND state = 'done' "
                              "HAVING count (from_build) = count (*)");
    query_int (&query, ":build", build);
    if (query_step (&query))
        *note = mem_printf ("unchanged, from build %lld", (long long) query_get_int (&query, 0));
    return query_end (&query, err);
}

/* Each that there is something to say about, one after the other; NULL for nothing. */
static int find_note (engine_t *self, int64_t build, char **note, err_t *err)
{
    AUTO_FREE char *unchanged = NULL, *without = NULL, *superseded = NULL;
    AUTO_BUFFER buffer_t text = { 0 };
    if (unchanged_note (self, build, &unchanged, err) < 0 || outcome_note (self, build, &without, err) < 0
        || superseded_note (self, build, &superseded, err) < 0)
        return -1;
    const char *const parts [] = { unchanged, without, superseded };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts [i])
            buffer_printf (&text, "%s%s", text.size ? "; " : "", parts [i]);
    *note = text.size ? mem_strdup ((const char *) text.data) : NULL;
    return 0;
}

/* One of the build's tags, or with NULL all of them, is this build's now, unless a newer one has it. */
static int move_tags (engine_t *self, int64_t build, const char *reference, err_t *err)
{
    query_t query = db_query (self->db, "INSERT INTO tags (reference, build, digest) "
                              "SELECT reference, build, (SELECT digest FROM outbox WHERE outbox.build = :build) FROM build_tags "
                              "WHERE build_tags.build = :build AND reference = coalesce (:reference, reference) "
                              "ON CONFLICT (reference) DO UPDATE "
                              "SET build = excluded.build, digest = excluded.digest WHERE excluded.build >= tags.build");
    query_int (&query, ":build", build);
    query_text (&query, ":reference", reference);
    return query_run (&query, err) < 0 ? -1 : 0;
}

static int note_published (engine_t *self, int64_t build, const char *note, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE builds SET note = :note, "
                              "digest = (SELECT digest FROM outbox WHERE build = :build) WHERE id = :build");
    query_text (&query, ":note", note);
    query_int (&query, ":build", build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

static int drop_index (engine_t *self, int64_t build, err_t *err)
{
    query_t query = db_query (self->db, "DELETE FROM outbox WHERE build = :build");
    query_int (&query, ":build", build);
    wait_drop (self, WAIT_PUBLISH, build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

static int succeed (engine_t *self, int64_t build, err_t *err)
{
    AUTO_FREE char *note = NULL;
    if (find_note (self, build, &note, err) < 0 || move_tags (self, build, NULL, err) < 0
        || note_published (self, build, note, err) < 0 || drop_index (self, build, err) < 0)
        return -1;
    return build_move (self, build, BUILD_PUBLISHING, BUILD_PUBLISHED, note ? note : "published", err);
}

/* -- not published ---------------------------------------------------------------------------------------------- */

/* What the publisher did move before it failed. */
static int move_some (engine_t *self, int64_t build, const json_t *moved, err_t *err)
{
    size_t i;
    json_t *tag;
    json_array_foreach (moved, i, tag)
        if (move_tags (self, build, json_string_value (tag), err) < 0)
            return -1;
    return 0;
}

static int take_back (engine_t *self, int64_t build, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE outbox SET is_handed_out = 0, is_unsure = 0 WHERE build = :build");
    query_int (&query, ":build", build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* A failed build that has tags says which. */
static int note_moved (engine_t *self, int64_t build, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE builds SET note = 'moved before it failed: ' || "
                              "(SELECT substr (group_concat (reference, ', '), 1, 300) FROM tags WHERE tags.build = builds.id) "
                              "WHERE id = :build AND EXISTS (SELECT 1 FROM tags WHERE tags.build = builds.id)");
    query_int (&query, ":build", build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* The registry's trouble may pass; its final no will not. */
static int fail (engine_t *self, const event_t *event, int64_t build, int tries, err_t *err)
{
    fault_t fault = { .code = err_from_name (event_text (event, "code")), .reason = event_text (event, "text"), .exit_status = -1 };
    if (move_some (self, build, json_object_get (event->header, "moved"), err) < 0)
        return -1;
    if (err_is_farm_fault (fault.code) && tries < engine_registry_tries (self)) {
        wait_set (self, WAIT_PUBLISH, build, self->settings.retry_ms << (tries - 1));
        return take_back (self, build, err);
    }
    if (note_moved (self, build, err) < 0 || drop_index (self, build, err) < 0)
        return -1;
    return build_fail (self, build, &fault, err);
}

/* How often it was handed out; 0 when no publisher has it. */
static int count_tries (engine_t *self, int64_t build, int *tries, err_t *err)
{
    query_t query = db_query (self->db, "SELECT tries FROM outbox WHERE build = :build AND is_handed_out");
    query_int (&query, ":build", build);
    *tries = query_step (&query) ? (int) query_get_int (&query, 0) : 0;
    return query_end (&query, err);
}

int published_on_published (engine_t *self, const event_t *event, err_t *err)
{
    int64_t build = event_int (event, "build");
    int tries = 0;
    if (count_tries (self, build, &tries, err) < 0)
        return -1;
    if (tries == 0)
        return 0;
    self->must_publish = true;
    if (json_is_true (json_object_get (event->header, "ok")))
        return succeed (self, build, err);
    return fail (self, event, build, tries, err);
}
