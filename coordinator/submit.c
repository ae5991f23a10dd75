/* submit.c - see submit.h. */
#include "coordinator/submit.h"

#include <stdio.h>
#include <string.h>

#include "common/label.h"
#include "common/mem.h"
#include "common/quantity.h"
#include "coordinator/bases.h"
#include "coordinator/builds.h"
#include "coordinator/fetches.h"
#include "coordinator/holds.h"
#include "coordinator/lookups.h"
#include "coordinator/principals.h"
#include "coordinator/queue.h"
#include "coordinator/restores.h"
#include "coordinator/results.h"
#include "coordinator/second.h"
#include "coordinator/secrets.h"
#include "coordinator/spec.h"
#include "coordinator/waiting.h"

enum { QUEUE_TIMEOUT_MS = 600000 };

/* 0 when the principal has not asked this before. */
static int find_request (engine_t *self, const event_t *event, int64_t *id, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM builds WHERE principal = :principal AND request = :request");
    query_int (&query, ":principal", event->principal);
    query_text (&query, ":request", event_text (event, "request"));
    *id = query_step (&query) ? query_get_int (&query, 0) : 0;
    return query_end (&query, err);
}

/* lookup: that it waits for; 0 none (lookups.h) */
static int insert_build (engine_t *self, const event_t *event, const json_t *spec, const char *repository, int64_t lookup, err_t *err)
{
    AUTO_FREE char *text = json_dumps (spec, JSON_COMPACT), *tag_set = spec_tag_set (spec);
    query_t query = db_query (self->db, "INSERT INTO builds (principal, request, spec, repository, state, created_ms, keep_going, tag_set, lookup) "
                              "VALUES (:principal, :request, :spec, :repository, 'queued', :now, :keep_going, :tag_set, nullif (:lookup, 0))");
    query_int (&query, ":principal", event->principal);
    query_text (&query, ":request", event_text (event, "request"));
    query_text (&query, ":spec", text);
    query_text (&query, ":repository", repository);
    query_int (&query, ":keep_going", json_is_true (json_object_get (spec, "keep_going")));
    query_text (&query, ":tag_set", tag_set);
    query_int (&query, ":lookup", lookup);
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

static bool wants_at_once (const json_t *asked)
{
    const json_t *timeout = json_object_get (asked, "queue_timeout_ms");
    return timeout && json_integer_value (timeout) == 0;
}

/* 0 is for the submit alone: once it is accepted, a worker that is away for a moment ends nothing. */
static int64_t timeout_of (const json_t *asked)
{
    const json_t *timeout = json_object_get (asked, "queue_timeout_ms");
    return timeout && !wants_at_once (asked) ? json_integer_value (timeout) : QUEUE_TIMEOUT_MS;
}

static int64_t number_of (const json_t *asked, const char *field)
{
    return json_integer_value (json_object_get (asked, field));
}

/* Is something to be fetched or looked up before it can begin? Then its jobs rest (holds.h). */
static bool rests_first (const engine_t *self, const json_t *spec, int64_t former)
{
    return fetches_needs (spec) || (!former && self->settings.looks_up);
}

/* What is required of a worker: what was asked for, and that it can do such a build. Were that found out by the worker, each try would count
 * against it. The caller frees. */
static json_t *requirements_of (const json_t *spec)
{
    const char *network = json_string_value (json_object_get (spec, "network"));
    json_t *asked = json_object_get (spec, "require"), *all = asked ? json_copy (asked) : json_array ();
    if (network && strcmp (network, "host") == 0)
        json_array_append_new (all, json_string (LABEL_NETWORK_HOST));
    if (network && strcmp (network, "none") == 0)
        json_array_append_new (all, json_string (LABEL_NETWORK_NONE));
    if (json_is_true (json_object_get (spec, "cross_check")) || json_object_get (spec, "timestamp"))
        json_array_append_new (all, json_string ("!" LABEL_NO_TIMESTAMP));
    return all;
}

static int insert_parts (engine_t *self, int64_t build, int64_t principal, const json_t *spec, bool is_resting, err_t *err)
{
    size_t i;
    json_t *item;
    AUTO_JSON json_t *requires = requirements_of (spec);
    job_plan_t plan = { .principal = principal, .may_emulate = may_emulate (spec), .requires = requires,
                        .memory_bytes = number_of (spec, "memory_bytes"), .cpu_percent = number_of (spec, "cpu_percent"),
                        .limit_ms = number_of (spec, "timeout_ms"), .is_cross_checked = json_is_true (json_object_get (spec, "cross_check")),
                        .class = class_of (json_string_value (json_object_get (spec, "priority"))), .timeout_ms = timeout_of (spec), .is_resting = is_resting };
    json_array_foreach (json_object_get (spec, "platforms"), i, item) {
        plan.position = (int) i;
        plan.platform = json_string_value (item);
        plan.is_required = spec_requires (spec, plan.platform);
        if (job_insert (self, build, &plan, err) < 0)
            return -1;
    }
    json_array_foreach (json_object_get (spec, "tags"), i, item)
        if (insert_tag (self, build, (int) i, json_string_value (item), err) < 0)
            return -1;
    return 0;
}

/* Why its job for this platform would wait; NULL where a worker takes such jobs now. The caller frees. */
static char *why_platform_waits (const engine_t *self, const json_t *asked, const char *platform)
{
    AUTO_JSON json_t *requires = requirements_of (asked);
    lane_t lane = { .may_emulate = may_emulate (asked), .requires = requires,
                    .memory_bytes = number_of (asked, "memory_bytes"), .cpu_percent = number_of (asked, "cpu_percent") };
    snprintf (lane.platform, sizeof lane.platform, "%s", platform);
    if (!waiting_may_be_served (self, &lane))
        return waiting_explain (self, &lane);
    return json_is_true (json_object_get (asked, "cross_check")) ? second_explain (self, &lane) : NULL;
}

/* The same for the first platform of which that is so. */
static char *why_waiting (const engine_t *self, const json_t *asked)
{
    size_t i;
    json_t *item;
    char *why = NULL;
    json_array_foreach (json_object_get (asked, "platforms"), i, item)
        if (!why)
            why = why_platform_waits (self, asked, json_string_value (item));
    return why;
}

/* Whoever will not wait is told at once. */
static int check_workers (const engine_t *self, const json_t *asked, err_t *err)
{
    AUTO_FREE char *why = wants_at_once (asked) ? why_waiting (self, asked) : NULL;
    return why ? err_set (err, ERR_NO_WORKER, "%s", why) : 0;
}

/* But not for platforms whose image is known. */
static int check_unknown (engine_t *self, const json_t *spec, const char *repository, int64_t former, err_t *err)
{
    size_t i;
    json_t *item;
    json_array_foreach (json_object_get (spec, "platforms"), i, item) {
        bool is_known = false;
        job_plan_t plan = { .platform = json_string_value (item), .may_emulate = may_emulate (spec) };
        AUTO_FREE char *why = why_platform_waits (self, spec, plan.platform);
        if (why && results_would (self, spec, repository, &plan, former, &is_known, err) < 0)
            return -1;
        if (why && !is_known)
            return err_set (err, ERR_NO_WORKER, "%s", why);
    }
    return 0;
}

static int check_queue (const engine_t *self, err_t *err)
{
    if (self->live_builds < self->settings.queue_max)
        return 0;
    return err_set (err, ERR_FULL, "the queue is full: %d builds are queued or running; try again when some have ended, or raise queue/limit",
                    self->live_builds);
}

static int check_limit (const engine_t *self, const json_t *asked, err_t *err)
{
    char wanted [QUANTITY_SIZE], most [QUANTITY_SIZE];
    if (number_of (asked, "timeout_ms") <= self->settings.job_timeout_max_ms)
        return 0;
    return err_set (err, ERR_USAGE, "a job of this farm may take %s, and not %s (--timeout): ask for less, or have job/timeout-max-ms of the coordinator raised",
                    quantity_duration (self->settings.job_timeout_max_ms, most), quantity_duration (number_of (asked, "timeout_ms"), wanted));
}

/* The header has what the checks look at in a spec. */
int submit_on_check (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_JSON json_t *asked = json_deep_copy (event->header);
    if (check_queue (self, err) < 0 || spec_normalise_wishes (asked, err) < 0 || check_limit (self, asked, err) < 0 || check_workers (self, asked, err) < 0)
        return -1;
    AUTO_FREE char *why = why_waiting (self, asked);
    engine_answer (self, event, "fine", why ? json_pack ("{s:s}", "waiting", why) : NULL);
    return 0;
}

/* What another build has done may be used by one of the same inputs, of the same user or by an admin. */
static int check_former (engine_t *self, const event_t *event, const json_t *spec, const char *repository, err_t *err)
{
    int64_t former = event_int (event, "reuse");
    char other [512];
    if (!former)
        return 0;
    if (build_check_owner (self, event, former, err) < 0)
        return -1;
    AUTO_JSON json_t *theirs = build_spec (self, former, other, err);
    if (!theirs)
        return -1;
    if (strcmp (other, repository) == 0 && spec_same_inputs (spec, theirs))
        return 0;
    return err_set (err, ERR_USAGE, "build %lld has other inputs: its images cannot be used for this one", (long long) former);
}

/* One that ended before its base images were known has nothing to be used: then they are looked up, as they are for any build. *former is 0. */
static int find_former (engine_t *self, const event_t *event, int64_t *former, err_t *err)
{
    *former = event_int (event, "reuse");
    if (!*former || !self->settings.looks_up)
        return 0;
    query_t query = db_query (self->db, "SELECT 1 WHERE EXISTS (SELECT 1 FROM bases WHERE build = :build) "
                              "OR EXISTS (SELECT 1 FROM jobs WHERE build = :build AND (state = 'done' OR attempt > 0))");
    query_int (&query, ":build", *former);
    if (!query_step (&query))
        *former = 0;
    return query_end (&query, err);
}

/* The user's next build behind that one that waits for the same tags; 0: none. They are among those of any of its tags that came after the oldest one that lives. */
static int next_older (engine_t *self, int64_t build, int64_t principal, const json_t *spec, const char *tag_set, int64_t *older, err_t *err)
{
    query_t query = db_query (self->db, "SELECT builds.id FROM build_tags AS theirs CROSS JOIN builds ON builds.id = theirs.build "
                              "WHERE theirs.reference = :tag AND theirs.build > max (:older, (SELECT min (id) FROM builds WHERE ended_ms IS NULL) - 1) "
                              "AND theirs.build < :build AND state = 'queued' AND tag_set = :tag_set AND principal = :principal "
                              "ORDER BY theirs.build LIMIT 1");
    query_text (&query, ":tag", json_string_value (json_array_get (json_object_get (spec, "tags"), 0)));
    query_text (&query, ":tag_set", tag_set);
    query_int (&query, ":principal", principal);
    query_int (&query, ":older", *older);
    query_int (&query, ":build", build);
    *older = query_step (&query) ? query_get_int (&query, 0) : 0;
    return query_end (&query, err);
}

/* Those of the user's builds that wait for the same tags have nobody who waits for them any more. */
static int supersede (engine_t *self, int64_t build, int64_t principal, const json_t *spec, err_t *err)
{
    AUTO_FREE char *cause = mem_printf ("superseded by %lld", (long long) build), *tag_set = spec_tag_set (spec);
    int64_t older = 0;
    do {
        if (next_older (self, build, principal, spec, tag_set, &older, err) < 0 || (older && build_cancel (self, older, cause, err) < 0))
            return -1;
    } while (older);
    return 0;
}

/* The context was sent, or was there: whatever waits for it goes on, before there are jobs that rest for another reason. */
static int note_context (engine_t *self, const json_t *spec, err_t *err)
{
    const json_t *dockerfile = json_object_get (json_object_get (spec, "dockerfile"), "digest");
    if (restores_end (self, json_string_value (json_object_get (spec, "context")), err) < 0)
        return -1;
    return restores_end (self, json_string_value (dockerfile), err);
}

/* Before anything is written: what is taken back again costs a look through the whole queue (engine.c, undo). Where it rests first nothing can be known of its
 * images yet. */
static int check_early (engine_t *self, const event_t *event, const json_t *spec, const char *repository, int64_t former, err_t *err)
{
    if (secrets_check (self, event->principal, event_text (event, "request"), spec, err) < 0)
        return -1;
    if (!wants_at_once (spec))
        return 0;
    return rests_first (self, spec, former) ? check_workers (self, spec, err) : check_unknown (self, spec, repository, former, err);
}

/* Those of its jobs that no known image answers after all. */
static int check_queued (engine_t *self, int64_t build, err_t *err)
{
    AUTO_FREE job_t *jobs = mem_alloc (JOBS_OF_BUILD_MAX * sizeof *jobs);
    int count = jobs_load_live (self, build, jobs, JOBS_OF_BUILD_MAX, err);
    for (int i = 0; i < count; i++) {
        const lane_t *lane = lane_find (self, jobs [i].lane);
        if (jobs [i].state != JOB_QUEUED || !lane)
            continue;
        AUTO_FREE char *why = !waiting_may_be_served (self, lane) ? waiting_explain (self, lane) : jobs [i].is_cross_checked ? second_explain (self, lane) : NULL;
        if (!why)
            continue;
        return err_set (err, ERR_NO_WORKER, "%s", why);
    }
    return count < 0 ? -1 : 0;
}

/* A whole one, or one that is to be fetched. */
static int check_context (engine_t *self, int64_t principal, const json_t *spec, err_t *err)
{
    if (fetches_needs (spec))
        return fetches_check (self, principal, spec, err);
    if (json_object_get (spec, "context") && json_object_get (json_object_get (spec, "dockerfile"), "digest"))
        return 0;
    return err_set (err, ERR_PROTOCOL, "submit: a spec has a context and a Dockerfile, or a source");
}

static int note_submit (engine_t *self, const event_t *event, const char *schedule, int64_t id, err_t *err)
{
    principal_t who;
    int64_t former = event_int (event, "reuse");
    if (principal_load (self, event->principal, &who, err) < 0 || (former && build_note_foreign (self, event, former, err) < 0))
        return -1;
    AUTO_FREE char *by = schedule ? mem_printf ("by schedule %s of %s", schedule, who.name) : mem_printf ("by %s", who.name);
    AUTO_FREE char *how = former ? mem_printf ("submitted %s, with what build %lld has done", by, (long long) former) : mem_printf ("submitted %s", by);
    return build_submitted (self, id, how, err);
}

/* What is built anew stands on the same base images as what is there. */
static int reuse (engine_t *self, int64_t build, int64_t former, err_t *err)
{
    return bases_copy (self, build, former, err) < 0 ? -1 : results_reuse (self, build, former, err);
}

/* What it is to begin with: what was asked already is waited for. */
static int begin (engine_t *self, int64_t build, const event_t *event, const json_t *spec, const char *repository, int64_t lookup, int64_t former, err_t *err)
{
    if (fetches_needs (spec))
        return fetches_add (self, build, event->principal, spec, err);
    if (former)
        return reuse (self, build, former, err);
    return lookup ? 0 : lookups_begin (self, build, spec, repository, err);
}

static int accept (engine_t *self, const event_t *event, const char *schedule, int64_t *id, err_t *err)
{
    char repository [REFERENCE_MAX];
    int64_t lookup = 0, former;
    json_t *normalised = NULL;
    if (check_queue (self, err) < 0 || spec_normalise (json_object_get (event->header, "spec"), &normalised, repository, err) < 0)
        return -1;
    AUTO_JSON json_t *spec = normalised;
    if (self->settings.staging && spec_stage (repository, self->settings.staging, err) < 0)
        return -1;
    second_prepare (spec, self->wall_ms);
    if (check_context (self, event->principal, spec, err) < 0 || check_limit (self, spec, err) < 0 || holds_check (self, event->principal, spec, err) < 0 || check_former (self, event, spec, repository, err) < 0
        || find_former (self, event, &former, err) < 0 || check_early (self, event, spec, repository, former, err) < 0)
        return -1;
    bool is_fetched = fetches_needs (spec);
    if ((!is_fetched && !former && lookups_find_or_add (self, spec, repository, &lookup, err) < 0)
        || insert_build (self, event, spec, repository, lookup, err) < 0)
        return -1;
    *id = db_last_id (self->db);
    self->live_builds++;
    engine_tell (self, "build %lld accepted, for %.300s", (long long) *id, repository);
    if (note_submit (self, event, schedule, *id, err) < 0 || (!is_fetched && note_context (self, spec, err) < 0)
        || insert_parts (self, *id, event->principal, spec, rests_first (self, spec, former), err) < 0
        || secrets_bind (self, *id, event->principal, event_text (event, "request"), spec, err) < 0)
        return -1;
    if (json_is_true (json_object_get (spec, "supersede")) && supersede (self, *id, event->principal, spec, err) < 0)
        return -1;
    if (holds_add (self, *id, event->principal, err) < 0)
        return -1;
    int rc = begin (self, *id, event, spec, repository, lookup, former, err);
    return rc == 0 && wants_at_once (spec) ? check_queued (self, *id, err) : rc;
}

int submit_build (engine_t *self, const event_t *event, const char *schedule, int64_t *build, err_t *err)
{
    *build = 0;
    if (find_request (self, event, build, err) < 0)
        return -1;
    return *build ? 0 : accept (self, event, schedule, build, err);
}

int submit_on_submit (engine_t *self, const event_t *event, err_t *err)
{
    int64_t id;
    if (submit_build (self, event, NULL, &id, err) < 0)
        return -1;
    engine_answer (self, event, "accepted", json_pack ("{s:I}", "build", (json_int_t) id));
    return 0;
}
