/* states.c - see states.h. */
#include "coordinator/states.h"

#include <string.h>

#include "coordinator/fetches.h"
#include "coordinator/firings.h"
#include "coordinator/holds.h"
#include "coordinator/lookups.h"
#include "coordinator/news.h"
#include "coordinator/queue.h"
#include "coordinator/secrets.h"

static const char *const job_names [] = { "queued", "assigned", "fetching", "building", "pushing", "verifying", "done",
                                          "failed", "cancelled" };
static const char *const build_names [] = { "queued", "running", "publishing", "published", "failed", "cancelled" };

#define BIT(state) (1u << (state))
#define ENDED (BIT (JOB_FAILED) | BIT (JOB_CANCELLED))
#define BACK BIT (JOB_QUEUED)

/* Where each may go. A worker's report may overtake an earlier one, so steps ahead may be skipped; never back but to queued.
 * From queued to verifying and back: an image that is known already (results.h). */
static const unsigned job_moves [JOB_STATES] = {
    [JOB_QUEUED]    = BIT (JOB_ASSIGNED) | BIT (JOB_VERIFYING) | ENDED,
    [JOB_ASSIGNED]  = BIT (JOB_FETCHING) | BIT (JOB_BUILDING) | BIT (JOB_PUSHING) | BIT (JOB_VERIFYING) | BACK | ENDED,
    [JOB_FETCHING]  = BIT (JOB_BUILDING) | BIT (JOB_PUSHING) | BIT (JOB_VERIFYING) | BACK | ENDED,
    [JOB_BUILDING]  = BIT (JOB_PUSHING) | BIT (JOB_VERIFYING) | BACK | ENDED,
    [JOB_PUSHING]   = BIT (JOB_VERIFYING) | BACK | ENDED,
    [JOB_VERIFYING] = BIT (JOB_DONE) | BACK | ENDED,
};

static const unsigned build_moves [BUILD_STATES] = {
    [BUILD_QUEUED]     = BIT (BUILD_RUNNING) | BIT (BUILD_FAILED) | BIT (BUILD_CANCELLED),
    [BUILD_RUNNING]    = BIT (BUILD_PUBLISHING) | BIT (BUILD_FAILED) | BIT (BUILD_CANCELLED),
    [BUILD_PUBLISHING] = BIT (BUILD_PUBLISHED) | BIT (BUILD_FAILED),
};

const char *job_state_name (job_state state)
{
    return job_names [state];
}

const char *build_state_name (build_state state)
{
    return build_names [state];
}

job_state job_state_of (const char *name)
{
    int state = 0;
    while (state < JOB_STATES && strcmp (job_names [state], name) != 0)
        state++;
    return state;
}

build_state build_state_of (const char *name)
{
    int state = 0;
    while (state < BUILD_STATES && strcmp (build_names [state], name) != 0)
        state++;
    return state;
}

bool job_may_move (job_state from, job_state to)
{
    return from < JOB_STATES && to < JOB_STATES && (job_moves [from] & BIT (to));
}

bool build_may_move (build_state from, build_state to)
{
    return from < BUILD_STATES && to < BUILD_STATES && (build_moves [from] & BIT (to));
}

bool job_state_is_held (job_state state)
{
    return state >= JOB_ASSIGNED && state <= JOB_PUSHING;
}

bool job_state_is_over (job_state state)
{
    return state >= JOB_DONE;
}

bool build_state_is_over (build_state state)
{
    return state >= BUILD_PUBLISHED;
}

/* job and attempt 0: the event is of the build. */
static int add_event (engine_t *engine, int64_t build, int64_t job, int64_t attempt, const char *from, const char *to,
                      const char *cause, err_t *err)
{
    query_t query = db_query (engine->db, "INSERT INTO events (at_ms, build, job, attempt, from_state, to_state, cause) "
                              "VALUES (:at, :build, nullif (:job, 0), nullif (:attempt, 0), :from, :to, :cause)");
    query_int (&query, ":at", engine->wall_ms);
    query_int (&query, ":build", build);
    query_int (&query, ":job", job);
    query_int (&query, ":attempt", attempt);
    query_text (&query, ":from", from);
    query_text (&query, ":to", to);
    query_text (&query, ":cause", cause ? cause : "");
    return query_run (&query, err) < 0 ? -1 : 0;
}

int build_submitted (engine_t *engine, int64_t build, const char *how, err_t *err)
{
    return add_event (engine, build, 0, 0, "", build_names [BUILD_QUEUED], how, err);
}

/* -- jobs ------------------------------------------------------------------------------------------------------- */

/* What comes back to the queue rests there when its build is held (holds.h), as it did before. Nobody rests anywhere else: most moves change
 * the state alone, and indexes of what waits are left in peace. */
static query_t query_of_move (engine_t *engine, int64_t attempt, job_state from, job_state to)
{
    if (from != JOB_QUEUED && to != JOB_QUEUED)
        return db_query (engine->db, "UPDATE jobs SET state = :to WHERE id = :id AND state = :from");
    if (to == JOB_ASSIGNED) {
        query_t query = db_query (engine->db, "UPDATE jobs SET state = :to, is_resting = 0, attempt = :attempt WHERE id = :id AND state = :from");
        query_int (&query, ":attempt", attempt);
        return query;
    }
    if (to != JOB_QUEUED)
        return db_query (engine->db, "UPDATE jobs SET state = :to, is_resting = 0 WHERE id = :id AND state = :from");
    query_t query = db_query (engine->db, "UPDATE jobs SET state = :to, is_resting = EXISTS (SELECT 1 FROM builds WHERE builds.id = jobs.build "
                              "AND held = 1 AND ended_ms IS NULL), queued_ms = :now WHERE id = :id AND state = :from");
    query_int (&query, ":now", engine->wall_ms);
    return query;
}

#define WHY "code = :code, reason = :reason, step = :step, exit_status = nullif (:status, -1)"

static query_t query_of_end (engine_t *engine, job_state from, const fault_t *fault)
{
    query_t query = from == JOB_QUEUED ? db_query (engine->db, "UPDATE jobs SET state = :to, is_resting = 0, " WHY " WHERE id = :id AND state = :from")
                                       : db_query (engine->db, "UPDATE jobs SET state = :to, " WHY " WHERE id = :id AND state = :from");
    query_text (&query, ":code", err_name (fault->code));
    query_text (&query, ":reason", fault->reason);
    query_text (&query, ":step", fault->step);
    query_int (&query, ":status", fault->exit_status);
    return query;
}

static int check_job_move (int64_t job, job_state from, job_state to, err_t *err)
{
    return job_may_move (from, to) ? 0 : err_set (err, ERR_FARM, "job %lld may not go from %s to %s", (long long) job, job_names [from], job_names [to]);
}

/* What it waited for in the state that it leaves. */
static void forget_waits (engine_t *engine, int64_t job, job_state left)
{
    if (left == JOB_QUEUED) {
        wait_drop (engine, WAIT_MATCH, job);
        wait_drop (engine, WAIT_HOME, job);
    } else if (left == JOB_VERIFYING)
        wait_drop (engine, WAIT_VERIFY, job);
}

static int move_job (engine_t *engine, query_t query, int64_t build, int64_t job, int64_t attempt, job_state from, job_state to,
                     const char *cause, err_t *err)
{
    query_int (&query, ":id", job);
    query_text (&query, ":from", job_names [from]);
    query_text (&query, ":to", job_names [to]);
    int changed = query_run (&query, err);
    if (changed != 1)
        return changed < 0 ? -1 : err_set (err, ERR_FARM, "job %lld is not %s", (long long) job, job_names [from]);
    forget_waits (engine, job, from);
    engine_note_change (engine, build);
    if (to == JOB_QUEUED && queue_enter (engine, job, err) < 0)
        return -1;
    return add_event (engine, build, job, attempt, job_names [from], job_names [to], cause, err);
}

int job_move (engine_t *engine, int64_t build, int64_t job, int64_t attempt, job_state from, job_state to,
              const char *cause, err_t *err)
{
    if (check_job_move (job, from, to, err) < 0)
        return -1;
    return move_job (engine, query_of_move (engine, attempt, from, to), build, job, attempt, from, to, cause, err);
}

int job_end (engine_t *engine, int64_t build, int64_t job, int64_t attempt, job_state from, job_state to, const fault_t *fault, err_t *err)
{
    if (check_job_move (job, from, to, err) < 0)
        return -1;
    return move_job (engine, query_of_end (engine, from, fault), build, job, attempt, from, to, fault->reason, err);
}

/* -- builds ----------------------------------------------------------------------------------------------------- */

static int count_end (engine_t *engine, int64_t build, const char *outcome, err_t *err)
{
    query_t query = db_query (engine->db, "SELECT created_ms FROM builds WHERE id = :id");
    query_int (&query, ":id", build);
    int64_t created_ms = query_step (&query) ? query_get_int (&query, 0) : engine->wall_ms;
    engine_count (engine, "farm_builds_total", 1, outcome, NULL, NULL);
    engine_count (engine, "farm_build_duration_seconds", (double) (engine->wall_ms - created_ms) / 1000, outcome, NULL, NULL);
    return query_end (&query, err);
}

/* All that goes with a build that is over. */
static int on_over (engine_t *engine, int64_t build, build_state to, const char *cause, err_t *err)
{
    if (engine->live_builds > 0)
        engine->live_builds--;
    if (count_end (engine, build, build_names [to], err) < 0 || secrets_forget (engine, build, err) < 0 || fetches_end (engine, build, err) < 0
        || lookups_end (engine, build, err) < 0)
        return -1;
    engine_tell (engine, "build %lld %s: %.300s", (long long) build, build_names [to], cause);
    return firings_on_end (engine, build, to == BUILD_PUBLISHED, err) < 0 ? -1 : news_on_build (engine, build, to, err);
}

static int check_build_move (int64_t build, build_state from, build_state to, err_t *err)
{
    return build_may_move (from, to) ? 0 : err_set (err, ERR_FARM, "build %lld may not go from %s to %s", (long long) build, build_names [from], build_names [to]);
}

static int move_build (engine_t *engine, query_t query, int64_t build, build_state from, build_state to, const char *cause, err_t *err)
{
    bool is_over = build_state_is_over (to);
    query_int (&query, ":id", build);
    query_text (&query, ":from", build_names [from]);
    query_text (&query, ":to", build_names [to]);
    int changed = query_run (&query, err);
    if (changed != 1)
        return changed < 0 ? -1 : err_set (err, ERR_FARM, "build %lld is not %s", (long long) build, build_names [from]);
    engine_note_change (engine, build);
    if ((is_over && on_over (engine, build, to, cause, err) < 0) || add_event (engine, build, 0, 0, build_names [from], build_names [to], cause, err) < 0)
        return -1;
    return is_over ? holds_end (engine, build, err) : 0;
}

/* As long as it lives, indexes of builds that have ended or not are left in peace. */
int build_move (engine_t *engine, int64_t build, build_state from, build_state to, const char *cause, err_t *err)
{
    if (check_build_move (build, from, to, err) < 0)
        return -1;
    if (!build_state_is_over (to))
        return move_build (engine, db_query (engine->db, "UPDATE builds SET state = :to WHERE id = :id AND state = :from"), build, from, to, cause, err);
    query_t query = db_query (engine->db, "UPDATE builds SET state = :to, ended_ms = :now WHERE id = :id AND state = :from");
    query_int (&query, ":now", engine->wall_ms);
    return move_build (engine, query, build, from, to, cause, err);
}

int build_end (engine_t *engine, int64_t build, build_state from, build_state to, const fault_t *fault, err_t *err)
{
    if (check_build_move (build, from, to, err) < 0)
        return -1;
    query_t query = db_query (engine->db, "UPDATE builds SET state = :to, ended_ms = :now, code = :code, reason = :reason WHERE id = :id AND state = :from");
    query_int (&query, ":now", engine->wall_ms);
    query_text (&query, ":code", err_name (fault->code));
    query_text (&query, ":reason", fault->reason);
    return move_build (engine, query, build, from, to, fault->reason, err);
}
