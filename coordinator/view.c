/* view.c - see view.h. A header has at most 64 KiB, so texts are cut further, and earlier attempts left out, where a build has many
 * of them. */
#include "coordinator/view.h"

#include <string.h>

#include "common/mem.h"
#include "coordinator/bases.h"
#include "coordinator/builds.h"
#include "coordinator/cells.h"
#include "coordinator/fetches.h"
#include "coordinator/holds.h"
#include "coordinator/lookups.h"
#include "coordinator/principals.h"
#include "coordinator/restores.h"
#include "coordinator/rights.h"
#include "coordinator/waiting.h"

enum { VIEW_MAX = 56 * 1024, PAGE_MAX = 50 };

/* How much of a build is shown: bytes of each text, and of each job's attempts so many. */
typedef struct { size_t text; int attempts; } extent_t;

/* -- attempts and jobs ------------------------------------------------------------------------------------------ */

static json_t *attempt_of (const query_t *query, size_t max)
{
    return json_pack ("{s:I, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                      "attempt", (json_int_t) query_get_int (query, 0), "worker", cell_text (query, 1, 64),
                      "state", cell_text (query, 2, 32), "emulated", (int) query_get_int (query, 3),
                      "code", cell_text (query, 4, 32), "reason", cell_text (query, 5, max),
                      "assigned_ms", cell_int (query, 6), "building_ms", cell_int (query, 7),
                      "pushing_ms", cell_int (query, 8), "verifying_ms", cell_int (query, 9),
                      "ended_ms", cell_int (query, 10), "builder_ms", cell_int (query, 11), "fetching_ms", cell_int (query, 12),
                      "exit_status", cell_int (query, 13), "digest", cell_text (query, 14, 80), "fetched_bytes", cell_int (query, 15),
                      "log_removed_ms", cell_int (query, 16));
}

/* Oldest first; of many the last ones. */
static int add_attempts (engine_t *self, json_t *job, extent_t extent, err_t *err)
{
    json_t *all = json_array ();
    query_t query = db_query (self->db, "SELECT number, workers.name, state, is_emulated, code, reason, assigned_ms, building_ms, "
                              "pushing_ms, verifying_ms, ended_ms, builder_ms, fetching_ms, exit_status, digest, fetched_bytes, log_removed_ms FROM attempts JOIN workers "
                              "ON workers.id = attempts.worker WHERE job = :job ORDER BY number DESC LIMIT :limit");
    query_int (&query, ":job", json_integer_value (json_object_get (job, "id")));
    query_int (&query, ":limit", extent.attempts);
    while (query_step (&query))
        json_array_insert_new (all, 0, attempt_of (&query, extent.text / 4));
    json_object_set_new (job, "attempts", all);
    return query_end (&query, err);
}

static json_t *waiting_of (engine_t *self, const query_t *query, int64_t build)
{
    const lane_t *lane = lane_find (self, query_get_int (query, 6));
    if (strcmp (query_get_text (query, 2), "queued") != 0 || !lane)
        return json_null ();
    restore_state restore = RESTORE_NONE;
    restores_find (self, query_get_int (query, 0), &restore, NULL);
    if (restore == RESTORE_ASKED)
        return json_string ("its context was damaged on the coordinator's disk: the workers are asked for it");
    if (wait_is_pending (self, WAIT_MATCH, query_get_int (query, 0)))
        return json_string ("a moment before the next attempt");
    if (wait_is_pending (self, WAIT_HOME, query_get_int (query, 0)))
        return json_string ("a moment for the worker that has built this or its context before (queue/affinity-ms of the coordinator)");
    AUTO_FREE char *fetching = fetches_explain (self, build);
    if (fetching)
        return json_string (fetching);
    AUTO_FREE char *looking = lookups_explain (self, build);
    if (looking)
        return json_string (looking);
    AUTO_FREE char *held = holds_explain (self, build);
    AUTO_FREE char *text = held ? take (&held) : waiting_explain (self, lane);
    return json_string (text);
}

static json_t *job_of (engine_t *self, const query_t *query, int64_t build, size_t max)
{
    return json_pack ("{s:I, s:o, s:o, s:I, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                      "id", (json_int_t) query_get_int (query, 0), "platform", cell_text (query, 1, PLATFORM_MAX),
                      "state", cell_text (query, 2, 32), "attempt", (json_int_t) query_get_int (query, 3),
                      "worker", cell_text (query, 4, 64), "emulated", (int) query_get_int (query, 5),
                      "digest", cell_text (query, 7, 80), "waiting", waiting_of (self, query, build),
                      "code", cell_text (query, 8, 32), "reason", cell_text (query, 9, max),
                      "step", cell_text (query, 10, max), "exit_status", cell_int (query, 11),
                      "from_build", cell_int (query, 12));
}

/* Without attempts there is no such field. */
static int add_jobs (engine_t *self, json_t *build, extent_t extent, err_t *err)
{
    json_t *all = json_array (), *job;
    size_t i;
    int64_t id = json_integer_value (json_object_get (build, "id"));
    json_object_set_new (build, "jobs", all);
    query_t query = db_query (self->db, "SELECT jobs.id, jobs.platform, jobs.state, jobs.attempt, workers.name, "
                              "coalesce (attempts.is_emulated, jobs.from_emulated), jobs.lane, jobs.digest, jobs.code, jobs.reason, "
                              "jobs.step, jobs.exit_status, jobs.from_build FROM jobs LEFT JOIN attempts ON attempts.job = jobs.id AND "
                              "attempts.number = jobs.attempt AND jobs.state <> 'queued' LEFT JOIN workers "
                              "ON workers.id = attempts.worker WHERE jobs.build = :build ORDER BY jobs.position");
    query_int (&query, ":build", id);
    while (query_step (&query))
        json_array_append_new (all, job_of (self, &query, id, extent.text));
    if (query_end (&query, err) < 0)
        return -1;
    json_array_foreach (all, i, job)
        if (extent.attempts > 0 && add_attempts (self, job, extent, err) < 0)
            return -1;
    return 0;
}

/* -- builds ----------------------------------------------------------------------------------------------------- */

#define BUILD_COLUMNS "builds.id, builds.state, principals.name, builds.spec, builds.created_ms, builds.ended_ms, builds.digest, " \
                      "builds.code, builds.reason, builds.note, (SELECT schedules.name FROM firings JOIN schedules ON schedules.id = firings.schedule " \
                      "WHERE firings.build = builds.id AND (firings.outcome = 'running' OR firings.outcome = 'built')) FROM builds JOIN principals ON principals.id = builds.principal "

/* A spec that cannot be read any more hides nothing else. */
static json_t *spec_of (const query_t *query)
{
    const char *text = query_get_text (query, 3);
    json_t *spec = text ? json_loads (text, 0, NULL) : NULL;
    return spec ? spec : json_pack ("{s:[], s:[], s:s}", "tags", "platforms", "context", "");
}

/* What a job of it may take of its worker; null: what that one gives. */
static json_t *limits_of (const engine_t *self, const json_t *spec)
{
    const json_t *limit = json_object_get (spec, "timeout_ms");
    int64_t limit_ms = limit ? json_integer_value (limit) : self->settings.job_timeout_ms;
    return json_pack ("{s:O?, s:O?, s:I}", "memory_bytes", json_object_get (spec, "memory_bytes"), "cpu_percent",
                      json_object_get (spec, "cpu_percent"), "timeout_ms", (json_int_t) limit_ms);
}

static json_t *build_of (engine_t *self, const query_t *query, size_t max)
{
    AUTO_JSON json_t *spec = spec_of (query);
    return json_pack ("{s:I, s:o, s:o, s:O, s:O, s:O?, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:O?, s:o}",
                      "id", (json_int_t) query_get_int (query, 0), "state", cell_text (query, 1, 32),
                      "user", cell_text (query, 2, 64), "tags", json_object_get (spec, "tags"),
                      "platforms", json_object_get (spec, "platforms"), "context", json_object_get (spec, "context"),
                      "created_ms", cell_int (query, 4), "ended_ms", cell_int (query, 5),
                      "digest", cell_text (query, 6, 80), "code", cell_text (query, 7, 32),
                      "reason", cell_text (query, 8, max), "note", cell_text (query, 9, max), "limits", limits_of (self, spec),
                      "schedule", cell_text (query, 10, 64), "source", json_object_get (spec, "source"), "fetch", fetches_view (self, query_get_int (query, 0)));
}

/* Of many the first. */
static json_t *some_bases (engine_t *self, int64_t build, size_t text)
{
    json_t *bases = bases_of (self, build);
    while (json_array_size (bases) > text / 32)
        json_array_remove (bases, json_array_size (bases) - 1);
    return bases;
}

static json_t *view_build_cut (engine_t *self, int64_t build, extent_t extent, err_t *err)
{
    AUTO_JSON json_t *view = NULL;
    query_t query = db_query (self->db, "SELECT " BUILD_COLUMNS "WHERE builds.id = :id");
    query_int (&query, ":id", build);
    if (query_step (&query))
        view = build_of (self, &query, extent.text);
    if (view)
        json_object_set_new (view, "bases", some_bases (self, build, extent.text));
    if (query_end (&query, err) < 0)
        return NULL;
    if (!view) {
        err_set (err, ERR_NOT_FOUND, "there is no build %lld: farmctl ls shows which there are", (long long) build);
        return NULL;
    }
    return add_jobs (self, view, extent, err) < 0 ? NULL : take (&view);
}

json_t *view_build (engine_t *self, int64_t build, err_t *err)
{
    static const extent_t extents [] = { { 2048, 10 }, { 512, 10 }, { 128, 10 }, { 128, 3 }, { 32, 1 }, { 32, 0 } };
    json_t *view = NULL;
    for (size_t i = 0; i < sizeof extents / sizeof *extents; i++) {
        json_decref (view);
        view = view_build_cut (self, build, extents [i], err);
        if (!view || cell_size (view) <= VIEW_MAX)
            break;
    }
    return view;
}

bool engine_may_look (engine_t *self, const char *key_hex, int64_t build)
{
    principal_t by;
    if (engine_find_principal (self, key_hex, &by, NULL) < 0)
        return false;
    event_t event = { .principal = by.id };
    return rights_may (by.role, "watch") && build_check_reader (self, &event, build, NULL) == 0;
}

static int answer_build (engine_t *self, const event_t *event, err_t *err)
{
    if (build_check_reader (self, event, event_int (event, "build"), err) < 0)
        return -1;
    json_t *view = view_build (self, event_int (event, "build"), err);
    if (!view)
        return -1;
    engine_answer (self, event, "build", json_pack ("{s:o}", "build", view));
    return 0;
}

int view_on_inspect (engine_t *self, const event_t *event, err_t *err)
{
    return answer_build (self, event, err);
}

int view_on_watch (engine_t *self, const event_t *event, err_t *err)
{
    if (answer_build (self, event, err) < 0)
        return -1;
    if (!builds_is_over (self, event_int (event, "build")))
        engine_watch (self, event_int (event, "build"));
    return 0;
}

static int read_page (engine_t *self, const event_t *event, json_t *page, err_t *err)
{
    int64_t limit = event_int (event, "limit"), before = event_int (event, "before");
    int64_t only = principal_sees (self, event->principal, err);
    if (only < 0)
        return -1;
    query_t query = only == 0
        ? db_query (self->db, "SELECT " BUILD_COLUMNS "WHERE builds.id < :before ORDER BY builds.id DESC LIMIT :limit")
        : db_query (self->db, "SELECT " BUILD_COLUMNS "WHERE builds.principal = :own AND builds.id < :before ORDER BY builds.id DESC LIMIT :limit");
    if (only)
        query_int (&query, ":own", only);
    query_int (&query, ":before", before ? before : INT64_MAX);
    query_int (&query, ":limit", limit ? limit : PAGE_MAX);
    while (query_step (&query))
        json_array_append_new (page, build_of (self, &query, 256));
    return query_end (&query, err);
}

/* As many as fit: whoever asks goes on below the last one. */
int view_on_list (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_JSON json_t *page = json_array ();
    json_t *shown = json_array (), *build;
    size_t i;
    int size = 0;
    if (read_page (self, event, page, err) < 0) {
        json_decref (shown);
        return -1;
    }
    json_array_foreach (page, i, build) {
        if (add_jobs (self, build, (extent_t) { .text = 128 }, err) < 0) {
            json_decref (shown);
            return -1;
        }
        size += cell_size (build);
        if (i > 0 && size > LIST_MAX)
            break;
        json_array_append (shown, build);
    }
    engine_answer (self, event, "builds", json_pack ("{s:o}", "builds", shown));
    return 0;
}
