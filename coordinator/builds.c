/* builds.c - see builds.h. */
#include "coordinator/builds.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/principals.h"
#include "coordinator/queue.h"
#include "coordinator/results.h"
#include "coordinator/spec.h"
#include "coordinator/view.h"
#include "coordinator/waiting.h"

enum { QUEUE_TIMEOUT_MS = 600000 };

/* -- submit ----------------------------------------------------------------------------------------------------- */

/* 0 when the principal has not asked this before. */
static int find_request (engine_t *self, const event_t *event, int64_t *id, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM builds WHERE principal = :principal AND request = :request");
    query_int (&query, ":principal", event->principal);
    query_text (&query, ":request", event_text (event, "request"));
    *id = query_step (&query) ? query_get_int (&query, 0) : 0;
    return query_end (&query, err);
}

static int insert_build (engine_t *self, const event_t *event, const char *spec, const char *repository, err_t *err)
{
    query_t query = db_query (self->db, "INSERT INTO builds (principal, request, spec, repository, state, created_ms) "
                              "VALUES (:principal, :request, :spec, :repository, 'queued', :now)");
    query_int (&query, ":principal", event->principal);
    query_text (&query, ":request", event_text (event, "request"));
    query_text (&query, ":spec", spec);
    query_text (&query, ":repository", repository);
    query_int (&query, ":now", self->wall_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}

static int insert_tag (engine_t *self, int64_t build, int position, const char *tag, err_t *err)
{
    query_t query = db_query (self->db, "INSERT INTO build_tags (build, position, reference) VALUES (:build, :position, :tag)");
    query_int (&query, ":build", build);
    query_int (&query, ":position", position);
    query_text (&query, ":tag", tag);
    return query_run (&query, err) < 0 ? -1 : 0;
}

static bool may_emulate (const json_t *spec)
{
    const char *emulation = json_string_value (json_object_get (spec, "emulation"));
    return emulation && strcmp (emulation, "allow") == 0;
}

static int64_t timeout_of (const json_t *asked)
{
    const json_t *timeout = json_object_get (asked, "queue_timeout_ms");
    return timeout ? json_integer_value (timeout) : QUEUE_TIMEOUT_MS;
}

static int insert_parts (engine_t *self, int64_t build, int64_t principal, const json_t *spec, err_t *err)
{
    size_t i;
    json_t *item;
    job_plan_t plan = { .principal = principal, .may_emulate = may_emulate (spec), .requires = json_object_get (spec, "require"),
                        .class = class_of (json_string_value (json_object_get (spec, "priority"))), .timeout_ms = timeout_of (spec) };
    json_array_foreach (json_object_get (spec, "platforms"), i, item) {
        plan.position = (int) i;
        plan.platform = json_string_value (item);
        if (job_insert (self, build, &plan, err) < 0)
            return -1;
    }
    json_array_foreach (json_object_get (spec, "tags"), i, item)
        if (insert_tag (self, build, (int) i, json_string_value (item), err) < 0)
            return -1;
    return 0;
}

/* Why its jobs would wait, for the first platform that no worker takes jobs for now; NULL where there is none. The caller frees. */
static char *why_waiting (const engine_t *self, const json_t *asked)
{
    size_t i;
    json_t *item;
    json_array_foreach (json_object_get (asked, "platforms"), i, item) {
        AUTO_JSON json_t *none = json_array ();
        json_t *requires = json_object_get (asked, "require");
        lane_t lane = { .may_emulate = may_emulate (asked), .requires = requires ? requires : none };
        snprintf (lane.platform, sizeof lane.platform, "%s", json_string_value (item));
        if (!waiting_is_served (self, &lane))
            return waiting_explain (self, &lane);
    }
    return NULL;
}

/* Whoever will not wait is told at once. */
static int check_workers (const engine_t *self, const json_t *asked, err_t *err)
{
    AUTO_FREE char *why = timeout_of (asked) == 0 ? why_waiting (self, asked) : NULL;
    return why ? err_set (err, ERR_NO_WORKER, "%s", why) : 0;
}

static int check_queue (const engine_t *self, err_t *err)
{
    if (self->live_builds < self->settings.queue_max)
        return 0;
    return err_set (err, ERR_FULL, "the queue is full: %d builds are queued or running; try again when some have ended, or raise queue/limit",
                    self->live_builds);
}

/* The header has what the checks look at in a spec. */
int builds_on_check (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_JSON json_t *asked = json_deep_copy (event->header);
    if (check_queue (self, err) < 0 || spec_normalise_wishes (asked, err) < 0 || check_workers (self, asked, err) < 0)
        return -1;
    AUTO_FREE char *why = why_waiting (self, asked);
    engine_answer (self, event, "fine", why ? json_pack ("{s:s}", "waiting", why) : NULL);
    return 0;
}

static int accept (engine_t *self, const event_t *event, int64_t *id, err_t *err)
{
    char repository [REFERENCE_MAX];
    json_t *normalised = NULL;
    if (check_queue (self, err) < 0 || spec_normalise (json_object_get (event->header, "spec"), &normalised, repository, err) < 0)
        return -1;
    AUTO_JSON json_t *spec = normalised;
    AUTO_FREE char *text = json_dumps (spec, JSON_COMPACT);
    if (check_workers (self, spec, err) < 0 || insert_build (self, event, text, repository, err) < 0)
        return -1;
    *id = db_last_id (self->db);
    self->live_builds++;
    engine_tell (self, "build %lld accepted, for %.300s", (long long) *id, repository);
    if (insert_parts (self, *id, event->principal, spec, err) < 0)
        return -1;
    return results_try (self, *id, spec, repository, err);
}

int builds_on_submit (engine_t *self, const event_t *event, err_t *err)
{
    int64_t id = 0;
    if (find_request (self, event, &id, err) < 0 || (id == 0 && accept (self, event, &id, err) < 0))
        return -1;
    engine_answer (self, event, "accepted", json_pack ("{s:I}", "build", (json_int_t) id));
    return 0;
}

/* -- states ----------------------------------------------------------------------------------------------------- */

build_state build_state_now (engine_t *self, int64_t build)
{
    build_state state = BUILD_STATES;
    query_t query = db_query (self->db, "SELECT state FROM builds WHERE id = :id");
    query_int (&query, ":id", build);
    if (query_step (&query))
        state = build_state_of (query_get_text (&query, 0));
    query_end (&query, NULL);
    return state;
}

bool builds_is_over (engine_t *self, int64_t build)
{
    return build_state_is_over (build_state_now (self, build));
}

int build_begin (engine_t *self, int64_t build, err_t *err)
{
    if (build_state_now (self, build) != BUILD_QUEUED)
        return 0;
    return build_move (self, build, BUILD_QUEUED, BUILD_RUNNING, "the first job has begun", err);
}

static int note_reason (engine_t *self, int64_t build, err_code code, const char *reason, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE builds SET code = :code, reason = :reason WHERE id = :id");
    query_text (&query, ":code", err_name (code));
    query_text (&query, ":reason", reason);
    query_int (&query, ":id", build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int build_fail (engine_t *self, int64_t build, const fault_t *fault, err_t *err)
{
    build_state state = build_state_now (self, build);
    if (build_state_is_over (state))
        return 0;
    if (note_reason (self, build, fault->code, fault->reason, err) < 0)
        return -1;
    return build_move (self, build, state, BUILD_FAILED, fault->reason, err);
}

json_t *build_spec (engine_t *self, int64_t build, char repository [512], err_t *err)
{
    json_t *spec = NULL;
    query_t query = db_query (self->db, "SELECT spec, repository FROM builds WHERE id = :id");
    query_int (&query, ":id", build);
    if (query_step (&query)) {
        spec = json_loads (query_get_text (&query, 0), 0, NULL);
        snprintf (repository, 512, "%s", query_get_text (&query, 1));
    }
    if (query_end (&query, err) < 0) {
        json_decref (spec);
        return NULL;
    }
    if (!spec)
        err_set (err, ERR_FARM, "the spec of build %lld cannot be read", (long long) build);
    return spec;
}

int engine_each_root (engine_t *self, int64_t since_ms, void (*each) (void *argument, const char *digest_hex), void *argument,
                      err_t *err)
{
    query_t query = db_query (self->db, "SELECT json_extract (spec, '$.context'), json_extract (spec, '$.dockerfile.digest') "
                              "FROM builds WHERE state IN ('queued', 'running', 'publishing') OR ended_ms > :since");
    query_int (&query, ":since", since_ms);
    while (query_step (&query))
        for (int column = 0; column < 2; column++)
            if (query_get_text (&query, column))
                each (argument, query_get_text (&query, column));
    return query_end (&query, err);
}

/* -- cancel ----------------------------------------------------------------------------------------------------- */

static int owner_of (engine_t *self, int64_t build, int64_t *owner, err_t *err)
{
    query_t query = db_query (self->db, "SELECT principal FROM builds WHERE id = :id");
    query_int (&query, ":id", build);
    *owner = query_step (&query) ? query_get_int (&query, 0) : 0;
    if (query_end (&query, err) < 0)
        return -1;
    return *owner ? 0 : err_set (err, ERR_NOT_FOUND, "there is no build %lld", (long long) build);
}

static int check_cancel (engine_t *self, int64_t build, int64_t owner, const principal_t *by, err_t *err)
{
    build_state state = build_state_now (self, build);
    if (owner != by->id && strcmp (by->role, "admin") != 0)
        return err_set (err, ERR_DENIED, "build %lld belongs to somebody else: only they or an admin may cancel it",
                        (long long) build);
    if (state == BUILD_PUBLISHING)
        return err_set (err, ERR_USAGE, "build %lld is being published: it is too late to cancel it", (long long) build);
    if (build_state_is_over (state))
        return err_set (err, ERR_USAGE, "build %lld is %s already: there is nothing to cancel", (long long) build,
                        build_state_name (state));
    return 0;
}

static int cancel (engine_t *self, int64_t build, const principal_t *by, err_t *err)
{
    AUTO_FREE char *cause = mem_printf ("cancelled by %s", by->name);
    build_state state = build_state_now (self, build);
    if (jobs_cancel (self, build, cause, err) < 0 || note_reason (self, build, ERR_CANCELLED, cause, err) < 0)
        return -1;
    return build_move (self, build, state, BUILD_CANCELLED, cause, err);
}

int builds_on_cancel (engine_t *self, const event_t *event, err_t *err)
{
    int64_t build = event_int (event, "build"), owner;
    principal_t by;
    if (principal_load (self, event->principal, &by, err) < 0 || owner_of (self, build, &owner, err) < 0
        || check_cancel (self, build, owner, &by, err) < 0 || cancel (self, build, &by, err) < 0)
        return -1;
    json_t *view = view_build (self, build, err);
    if (!view)
        return -1;
    engine_answer (self, event, "build", json_pack ("{s:o}", "build", view));
    return 0;
}
