/* jobs.c - see jobs.h. */
#include "coordinator/jobs.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/attempts.h"
#include "coordinator/builds.h"
#include "coordinator/lanes.h"
#include "coordinator/outcome.h"
#include "coordinator/queue.h"

enum { ATTEMPTS_FREE = 20 };     /* attempts, from which on each counts: something is wrong for good */

/* -- reading ---------------------------------------------------------------------------------------------------- */

#define COLUMNS "id, build, attempt, position, failures, may_emulate, state, platform, from_build, principal, lane, queued_ms, limit_ms, " \
                "is_cross_checked, first_worker"

static void read_row (const engine_t *self, const query_t *query, job_t *out)
{
    out->id = query_get_int (query, 0);
    out->build = query_get_int (query, 1);
    out->attempt = query_get_int (query, 2);
    out->position = (int) query_get_int (query, 3);
    out->failures = (int) query_get_int (query, 4);
    out->may_emulate = query_get_int (query, 5) != 0;
    out->state = job_state_of (query_get_text (query, 6));
    snprintf (out->platform, sizeof out->platform, "%s", query_get_text (query, 7));
    out->from_build = query_get_int (query, 8);
    out->principal = query_get_int (query, 9);
    out->lane = query_get_int (query, 10);
    out->queued_ms = query_get_int (query, 11);
    out->is_cross_checked = query_get_int (query, 13) != 0;
    out->first_worker = query_get_int (query, 14);
    out->limit_ms = query_get_int (query, 12) ? query_get_int (query, 12) : self->settings.job_timeout_ms;
}

int job_load (engine_t *self, int64_t id, job_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT " COLUMNS " FROM jobs WHERE id = :id");
    query_int (&query, ":id", id);
    bool is_found = query_step (&query);
    if (is_found)
        read_row (self, &query, out);
    if (query_end (&query, err) < 0)
        return -1;
    return is_found ? 0 : err_set (err, ERR_NOT_FOUND, "there is no job %lld", (long long) id);
}

int jobs_load_live (engine_t *self, int64_t build, job_t *out, int max, err_t *err)
{
    int count = 0;
    query_t query = db_query (self->db, "SELECT " COLUMNS " FROM jobs WHERE build = :build "
                              "AND state <> 'done' AND state <> 'failed' AND state <> 'cancelled' ORDER BY position");
    query_int (&query, ":build", build);
    while (count < max && query_step (&query))
        read_row (self, &query, &out [count++]);
    return query_end (&query, err) < 0 ? -1 : count;
}

/* -- writing ---------------------------------------------------------------------------------------------------- */

int job_insert (engine_t *self, int64_t build, const job_plan_t *plan, err_t *err)
{
    int64_t lane;
    lane_t wish = { .may_emulate = plan->may_emulate, .requires = (json_t *) plan->requires, .memory_bytes = plan->memory_bytes,
                    .cpu_percent = plan->cpu_percent };
    snprintf (wish.platform, sizeof wish.platform, "%s", plan->platform);
    if (lane_of (self, &wish, &lane, err) < 0)
        return -1;
    query_t query = db_query (self->db, "INSERT INTO jobs (build, position, platform, may_emulate, state, lane, class, principal, queued_ms, rises_ms, timeout_ms, "
                              "is_required, limit_ms, is_cross_checked, is_resting) VALUES (:build, :position, :platform, :emulate, 'queued', :lane, :class, :principal, :now, :now + :ageing, :timeout, :required, :limit, :crossed, :resting)");
    query_int (&query, ":build", build);
    query_int (&query, ":position", plan->position);
    query_text (&query, ":platform", plan->platform);
    query_int (&query, ":emulate", plan->may_emulate);
    query_int (&query, ":lane", lane);
    query_int (&query, ":class", plan->class);
    query_int (&query, ":principal", plan->principal);
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":ageing", self->settings.ageing_ms);
    query_int (&query, ":timeout", plan->timeout_ms);
    query_int (&query, ":required", plan->is_required);
    query_int (&query, ":limit", plan->limit_ms);
    query_int (&query, ":crossed", plan->is_cross_checked);
    query_int (&query, ":resting", plan->is_resting);
    if (query_run (&query, err) < 0)
        return -1;
    return plan->is_resting ? 0 : queue_enter (self, db_last_id (self->db), err);
}

int job_fail (engine_t *self, const job_t *job, const fault_t *fault, err_t *err)
{
    if (attempt_end (self, job, "failed", fault, err) < 0
        || job_end (self, job->build, job->id, job->attempt, job->state, JOB_FAILED, fault, err) < 0)
        return -1;
    return outcome_of_failure (self, job, fault, err);
}

int job_retry (engine_t *self, const job_t *job, const fault_t *fault, retry_t retry, err_t *err)
{
    bool is_counted = retry != RETRY_FREE || job->attempt >= ATTEMPTS_FREE;
    int failures = job->failures + is_counted;
    if (failures >= self->settings.attempts_max)
        return job_fail (self, job, fault, err);
    if (attempt_end (self, job, "failed", fault, err) < 0
        || job_move (self, job->build, job->id, job->attempt, job->state, JOB_QUEUED, fault->reason, err) < 0)
        return -1;
    query_t query = db_query (self->db, "UPDATE jobs SET failures = :failures WHERE id = :id");
    query_int (&query, ":failures", failures);
    query_int (&query, ":id", job->id);
    if (query_run (&query, err) < 0)
        return -1;
    return is_counted && retry != RETRY_AT_ONCE ? queue_rest (self, job->id, self->settings.retry_ms << (failures - 1), err) : 0;
}

static int cancel_one (engine_t *self, const job_t *job, const char *cause, err_t *err)
{
    fault_t fault = { .code = ERR_CANCELLED, .reason = cause, .exit_status = -1 };
    if (job_state_is_held (job->state))
        attempt_abort (self, job, cause);
    if (attempt_end (self, job, "cancelled", &fault, err) < 0)
        return -1;
    return job_end (self, job->build, job->id, job->attempt, job->state, JOB_CANCELLED, &fault, err);
}

/* The first that fails takes the others along, but where they go on without it. */
int jobs_fail (engine_t *self, int64_t build, const fault_t *fault, err_t *err)
{
    AUTO_FREE job_t *jobs = mem_alloc (JOBS_OF_BUILD_MAX * sizeof *jobs);
    int count = jobs_load_live (self, build, jobs, JOBS_OF_BUILD_MAX, err);
    for (int i = 0; i < count; i++) {
        job_t job;
        if (job_load (self, jobs [i].id, &job, err) < 0 || (!job_state_is_over (job.state) && job_fail (self, &job, fault, err) < 0))
            return -1;
    }
    return count < 0 ? -1 : 0;
}

int jobs_cancel (engine_t *self, int64_t build, const char *cause, err_t *err)
{
    AUTO_FREE job_t *jobs = mem_alloc (JOBS_OF_BUILD_MAX * sizeof *jobs);
    int count = jobs_load_live (self, build, jobs, JOBS_OF_BUILD_MAX, err);
    for (int i = 0; i < count; i++)
        if (cancel_one (self, &jobs [i], cause, err) < 0)
            return -1;
    return count < 0 ? -1 : 0;
}
