/* attempts.c - see attempts.h. The number of an attempt is its fencing token: what an older one says changes nothing. */
#include "coordinator/attempts.h"

#include <string.h>

#include "common/mem.h"
#include "coordinator/audit.h"
#include "coordinator/bases.h"
#include "coordinator/boards.h"
#include "coordinator/builds.h"
#include "coordinator/homes.h"
#include "coordinator/outcome.h"
#include "coordinator/principals.h"
#include "coordinator/restores.h"
#include "coordinator/results.h"
#include "coordinator/second.h"
#include "coordinator/verify_level.h"

/* -- begin ------------------------------------------------------------------------------------------------------ */

void attempt_open_log (engine_t *self, const lease_t *lease, const json_t *spec)
{
    const board_t *board = board_find (self, lease->worker);
    const json_t *dockerfile = json_object_get (json_object_get (spec, "dockerfile"), "digest");
    engine_act (self, ACTION_OPEN_LOG, json_pack ("{s:I, s:I, s:I, s:O*, s:O*}", "job", (json_int_t) lease->job, "attempt",
                                                  (json_int_t) lease->attempt, "principal",
                                                  (json_int_t) (board ? board->principal : 0), "context",
                                                  json_object_get (spec, "context"), "dockerfile", dockerfile));
}

static int insert (engine_t *self, const job_t *job, int64_t number, const board_t *board, bool is_emulated, err_t *err)
{
    query_t query = db_query (self->db, "INSERT INTO attempts (job, number, worker, is_emulated, state, assigned_ms) "
                              "VALUES (:job, :number, :worker, :emulated, 'assigned', :now)");
    query_int (&query, ":job", job->id);
    query_int (&query, ":number", number);
    query_int (&query, ":worker", board->id);
    query_int (&query, ":emulated", is_emulated);
    query_int (&query, ":now", self->wall_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* Takes spec. */
static void send_assign (engine_t *self, const job_t *job, int64_t number, const board_t *board, bool is_emulated, const char *repository,
                         json_t *spec)
{
    json_object_del (spec, "timeout_ms");           /* stands beside it, also where nobody asked for one */
    json_object_del (spec, "verify");               /* a worker that lies needs not know */
    json_object_del (spec, "cross_check");
    json_object_del (spec, "source");
    json_t *bases = bases_of (self, job->build);
    engine_send (self, board->peer, "assign",
                 json_pack ("{s:I, s:I, s:I, s:s, s:b, s:s, s:o, s:I, s:o}", "job", (json_int_t) job->id,
                            "attempt", (json_int_t) number, "build", (json_int_t) job->build, "platform", job->platform,
                            "emulated", is_emulated, "repository", repository, "spec", spec,
                            "timeout_ms", (json_int_t) job->limit_ms, "bases", bases));
}

/* The others go on. Where the read error has ended the transaction, nothing may be written. */
static int fail_unreadable (engine_t *self, const job_t *job, const err_t *why, err_t *err)
{
    fault_t fault = { .code = ERR_FARM, .reason = why->text, .exit_status = -1 };
    if (db_in_transaction (self->db))
        return job_fail (self, job, &fault, err);
    *err = *why;
    return -1;
}

int attempt_start (engine_t *self, const job_t *job, const board_t *board, bool is_emulated, err_t *err)
{
    err_t why = { 0 };
    char repository [512];
    int64_t number = job->attempt + 1;
    AUTO_JSON json_t *spec = build_spec (self, job->build, repository, &why);
    if (!spec)
        return fail_unreadable (self, job, &why, err);
    AUTO_FREE char *cause = mem_printf ("assigned to %s%s", board->name, is_emulated ? " (emulated)" : "");
    if (insert (self, job, number, board, is_emulated, err) < 0
        || job_move (self, job->build, job->id, number, JOB_QUEUED, JOB_ASSIGNED, cause, err) < 0
        || build_begin (self, job->build, err) < 0)
        return -1;
    engine_count (self, "farm_job_wait_seconds", (double) (self->wall_ms - job->queued_ms) / 1000, job->platform, NULL, NULL);
    lease_add (self, job->build, job->id, number, board->id, job->limit_ms);
    attempt_open_log (self, lease_find (self, job->id), spec);
    send_assign (self, job, number, board, is_emulated, repository, take (&spec));
    return 1;
}

/* -- end -------------------------------------------------------------------------------------------------------- */

static void close_log (engine_t *self, int64_t job, int64_t attempt)
{
    engine_act (self, ACTION_CLOSE_LOG, json_pack ("{s:I, s:I}", "job", (json_int_t) job, "attempt", (json_int_t) attempt));
}

/* The worker has nothing more to do with it. */
static void release (engine_t *self, const job_t *job)
{
    if (!lease_find (self, job->id))
        return;
    lease_drop (self, job->id);
    close_log (self, job->id, job->attempt);
}

/* What each of its phases took, as far as it came: from its beginning to that of the next one that it came to. */
static void count_phases (engine_t *self, const job_t *job, const query_t *row)
{
    static const char *const phases [] = { "assigned", "fetching", "building", "pushing", "verifying" };
    int begun = 0;
    for (int column = 1; column <= 5; column++) {
        if (query_is_null (row, column))
            continue;
        engine_count (self, "farm_attempt_phase_seconds", (double) (query_get_int (row, column) - query_get_int (row, begun)) / 1000, job->platform,
                      phases [begun], NULL);
        begun = column;
    }
}

/* What the metrics count of one that has ended. */
static int count_end (engine_t *self, const job_t *job, const char *state, const fault_t *fault, err_t *err)
{
    query_t query = db_query (self->db, "SELECT assigned_ms, fetching_ms, building_ms, pushing_ms, verifying_ms, ended_ms, fetched_bytes "
                              "FROM attempts WHERE job = :job AND number = :number");
    query_int (&query, ":job", job->id);
    query_int (&query, ":number", job->attempt);
    if (query_step (&query)) {
        engine_count (self, "farm_attempts_total", 1, job->platform, state, fault ? err_name (fault->code) : "none");
        if (!fault)
            count_phases (self, job, &query);
        engine_count (self, "farm_attempt_fetched_bytes_total", (double) query_get_int (&query, 6), job->platform, NULL, NULL);
    }
    return query_end (&query, err);
}

int attempt_end (engine_t *self, const job_t *job, const char *state, const fault_t *fault, err_t *err)
{
    release (self, job);
    query_t query = db_query (self->db, "UPDATE attempts SET state = :state, code = :code, reason = :reason, step = :step, "
                              "exit_status = nullif (:status, -1), ended_ms = :now "
                              "WHERE job = :job AND number = :number AND ended_ms IS NULL");
    query_text (&query, ":state", state);
    query_text (&query, ":code", fault ? err_name (fault->code) : NULL);
    query_text (&query, ":reason", fault ? fault->reason : NULL);
    query_text (&query, ":step", fault ? fault->step : NULL);
    query_int (&query, ":status", fault ? fault->exit_status : -1);
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":job", job->id);
    query_int (&query, ":number", job->attempt);
    int changed = query_run (&query, err);
    return changed > 0 ? count_end (self, job, state, fault, err) : changed;
}

void attempt_abort (engine_t *self, const job_t *job, const char *reason)
{
    const lease_t *lease = lease_find (self, job->id);
    const board_t *board = lease ? board_find (self, lease->worker) : NULL;
    if (!board || !board->peer)
        return;
    halt_add (self, board->id, job->id, job->attempt);
    engine_send (self, board->peer, "abort", json_pack ("{s:I, s:I, s:s}", "job", (json_int_t) job->id, "attempt",
                                                        (json_int_t) job->attempt, "reason", reason));
}

/* Whose key was taken back or replaced is not at fault, and its successor is not to be quarantined for it. */
static bool was_not_sent_away (engine_t *self, const board_t *board)
{
    principal_t who;
    return principal_load (self, board->principal, &who, NULL) == 0;
}

/* An assignment that never reached its worker is nobody's failure. */
int attempt_lose (engine_t *self, const lease_t *lease, bool may_run, const char *why, err_t *err)
{
    job_t job;
    board_t *board = board_find (self, lease->worker);
    AUTO_FREE char *reason = mem_printf ("%s: %s", board ? board->name : "a worker", why);
    fault_t fault = { .code = ERR_NETWORK, .reason = reason, .exit_status = -1 };
    bool has_begun;
    if (job_load (self, lease->job, &job, err) < 0)
        return -1;
    has_begun = job.state != JOB_ASSIGNED;
    if (may_run)
        attempt_abort (self, &job, why);
    if (has_begun && board && was_not_sent_away (self, board) && board_note_fault (self, board, err) < 0)
        return -1;
    return job_retry (self, &job, &fault, has_begun ? RETRY_AT_ONCE : RETRY_FREE, err);
}

/* Is there such an attempt, and not of this worker, which may be none? */
static int is_anothers (engine_t *self, const board_t *board, int64_t job, int64_t attempt, bool *is, err_t *err)
{
    query_t query = db_query (self->db, "SELECT 1 FROM attempts WHERE job = :job AND number = :attempt AND worker <> :worker");
    query_int (&query, ":job", job);
    query_int (&query, ":attempt", attempt);
    query_int (&query, ":worker", board ? board->id : 0);
    *is = query_step (&query);
    return query_end (&query, err);
}

const lease_t *attempt_of_speaker (engine_t *self, int64_t principal, int64_t job, int64_t attempt, const char *so, err_t *err)
{
    bool is;
    const board_t *board = board_of_principal (self, principal);
    const lease_t *lease = lease_find (self, job);
    if (board && lease && lease->worker == board->id && lease->attempt == attempt)
        return lease;
    if (is_anothers (self, board, job, attempt, &is, err) == 0)
        err_set (err, is ? ERR_DENIED : ERR_STALE, "job %lld, attempt %lld is %s: %s", (long long) job, (long long) attempt,
                 is ? "another worker's" : "not this worker's (any more)", so);
    return NULL;
}

int attempt_is_wanted (engine_t *self, int64_t worker, int64_t job, int64_t attempt, bool *is_wanted, err_t *err)
{
    const lease_t *lease = lease_find (self, job);
    *is_wanted = lease && lease->worker == worker && lease->attempt == attempt;
    if (*is_wanted)
        return 0;
    query_t query = db_query (self->db, "SELECT 1 FROM jobs JOIN attempts ON attempts.job = jobs.id "
                              "AND attempts.number = jobs.attempt WHERE jobs.id = :job AND jobs.attempt = :attempt "
                              "AND attempts.worker = :worker AND jobs.state IN ('verifying', 'done')");
    query_int (&query, ":job", job);
    query_int (&query, ":attempt", attempt);
    query_int (&query, ":worker", worker);
    *is_wanted = query_step (&query);
    return query_end (&query, err);
}

/* -- reports ---------------------------------------------------------------------------------------------------- */

/* When the attempt came into a state; and what a `pushed` tells. */
static int note_progress (engine_t *self, const event_t *event, const char *state, err_t *err)
{
    AUTO_FREE char *bases = json_dumps (json_object_get (event->header, "bases"), JSON_COMPACT);
    query_t query = db_query (self->db, "UPDATE attempts SET state = :state, "
        "fetching_ms  = CASE WHEN :state = 'fetching'  THEN coalesce (fetching_ms, :now)  ELSE fetching_ms END, "
        "building_ms  = CASE WHEN :state = 'building'  THEN coalesce (building_ms, :now)  ELSE building_ms END, "
        "pushing_ms   = CASE WHEN :state = 'pushing'   THEN coalesce (pushing_ms, :now)   ELSE pushing_ms END, "
        "verifying_ms = CASE WHEN :state = 'verifying' THEN coalesce (verifying_ms, :now) ELSE verifying_ms END, "
        "digest = coalesce (:digest, digest), builder_ms = coalesce (nullif (:builder_ms, 0), builder_ms), "
        "fetched_bytes = coalesce (nullif (:fetched, 0), fetched_bytes), bases = coalesce (:bases, bases) WHERE job = :job AND number = :number");
    query_text (&query, ":state", state);
    query_int (&query, ":now", self->wall_ms);
    query_text (&query, ":digest", event_text (event, "digest"));
    query_int (&query, ":builder_ms", event_int (event, "builder_ms"));
    query_int (&query, ":fetched", event_int (event, "fetched_bytes"));
    query_text (&query, ":bases", bases);
    query_int (&query, ":job", event_int (event, "job"));
    query_int (&query, ":number", event_int (event, "attempt"));
    return query_run (&query, err) < 0 ? -1 : 0;
}

static int on_progress (engine_t *self, const event_t *event, const job_t *job, job_state to, err_t *err)
{
    if (!job_may_move (job->state, to))
        return 0;                               /* overtaken by a later report */
    if (note_progress (self, event, job_state_name (to), err) < 0)
        return -1;
    return job_move (self, job->build, job->id, job->attempt, job->state, to, "reported", err);
}

static void count_context (engine_t *self, const event_t *event, const job_t *job)
{
    int64_t all = event_int (event, "context_bytes"), kept = event_int (event, "kept_bytes");
    engine_count (self, "farm_attempt_context_bytes_total", (double) kept, job->platform, "kept", NULL);
    engine_count (self, "farm_attempt_context_bytes_total", (double) (all > kept ? all - kept : 0), job->platform, "fetched", NULL);
}

/* What was made on other base images than the build has does not belong to its other images: 1, and it is made again. */
static int check_bases (engine_t *self, const event_t *event, const job_t *job, err_t *err)
{
    err_t why = { 0 };
    const json_t *bases = json_object_get (event->header, "bases");
    int rc = bases_check (bases, &why) < 0 ? 1 : bases_put (self, job->build, bases, &why, err);
    if (rc <= 0)
        return rc;
    fault_t fault = { .code = ERR_FARM, .reason = why.text, .exit_status = -1 };
    return job_retry (self, job, &fault, RETRY_LATER, err) < 0 ? -1 : 1;
}

static int on_pushed (engine_t *self, const event_t *event, const job_t *job, err_t *err)
{
    if (!event_text (event, "digest"))
        return err_set (err, ERR_PROTOCOL, "report pushed: a digest is missing");
    int is_refused = check_bases (self, event, job, err);
    if (is_refused != 0)
        return is_refused < 0 ? -1 : 0;
    if (on_progress (self, event, job, JOB_VERIFYING, err) < 0)
        return -1;
    count_context (self, event, job);
    release (self, job);
    if (board_note_work (self, board_of_principal (self, event->principal), err) < 0)
        return -1;
    wait_set (self, WAIT_VERIFY, job->id, 0);
    return attempt_hand_out (self, job->id, err);
}

/* A registry in trouble is no worker's fault, nor does it say that the worker is well. */
static int note_end (engine_t *self, board_t *board, err_code code, err_t *err)
{
    if (code == ERR_REGISTRY)
        return 0;
    return err_is_farm_fault (code) ? board_note_fault (self, board, err) : board_note_work (self, board, err);
}

/* The user's faults end the job. So does what the registry refuses for good; the rest is tried again, on another worker
 * where there is one. A worker that is being stopped has not failed, and gets nothing more until its next heartbeat says
 * otherwise. */
static int on_failed (engine_t *self, const event_t *event, const job_t *job, err_t *err)
{
    const char *text = event_text (event, "text");
    const json_t *status = json_object_get (event->header, "exit_status");
    fault_t fault = {
        .code = err_from_name (event_text (event, "code")), .reason = text && *text ? text : "the worker gave no reason",
        .step = event_text (event, "step"), .exit_status = status ? (int) json_integer_value (status) : -1,
    };
    if (fault.code == ERR_STALE)
        fault.code = ERR_FARM;
    if (note_progress (self, event, "failed", err) < 0)
        return -1;
    bool has_stopped = fault.code == ERR_CANCELLED || fault.code == ERR_INTERRUPTED;
    board_t *board = board_of_principal (self, event->principal);
    if (fault.code == ERR_INTERRUPTED)
        board->is_stopping = self->must_look = true;
    restore_state restore = RESTORE_NONE;
    bool had_context = job->state != JOB_ASSIGNED && job->state != JOB_FETCHING;
    if (!had_context && err_is_farm_fault (fault.code) && restores_find (self, job->id, &restore, err) < 0)
        return -1;
    if (restore != RESTORE_NONE)
        return restores_take (self, job, restore, &fault, err);
    if (!has_stopped && note_end (self, board, fault.code, err) < 0)
        return -1;
    if (has_stopped || err_is_farm_fault (fault.code))
        return job_retry (self, job, &fault, has_stopped ? RETRY_FREE : RETRY_LATER, err);
    return job_fail (self, job, &fault, err);
}

static int on_state (engine_t *self, const event_t *event, const job_t *job, err_t *err)
{
    const char *state = event_text (event, "state");
    if (strcmp (state, "pushed") == 0)
        return on_pushed (self, event, job, err);
    if (strcmp (state, "failed") == 0)
        return on_failed (self, event, job, err);
    return on_progress (self, event, job, job_state_of (state), err);
}

int attempt_note_foreign (engine_t *self, const event_t *event, int64_t job, int64_t attempt, err_t *err)
{
    err_t why = { 0 };
    attempt_of_speaker (self, event->principal, job, attempt, "what it says of it is not heard", &why);
    if (why.code == ERR_DENIED)
        return audit_denied_event (self, event, &why, err);
    return why.code == ERR_STALE ? 0 : err_set (err, why.code, "%s", why.text);
}

int attempts_on_report (engine_t *self, const event_t *event, err_t *err)
{
    const board_t *board = board_of_principal (self, event->principal);
    int64_t id = event_int (event, "job"), attempt = event_int (event, "attempt");
    const lease_t *lease = lease_find (self, id);
    bool is_live = board && lease && lease->worker == board->id && lease->attempt == attempt, is_wanted = is_live;
    if ((board && !is_live && attempt_is_wanted (self, board->id, id, attempt, &is_wanted, err) < 0) || (!is_wanted && attempt_note_foreign (self, event, id, attempt, err) < 0))
        return -1;
    if (board && (strcmp (event_text (event, "state"), "failed") == 0 || strcmp (event_text (event, "state"), "pushed") == 0))
        halt_drop (self, board->id, id, attempt);
    json_t *answer = is_wanted ? NULL : json_pack ("{s:b}", "stale", 1);
    if (is_live) {
        job_t job;
        if (job_load (self, id, &job, err) < 0 || on_state (self, event, &job, err) < 0)
            return -1;
    }
    engine_answer (self, event, "noted", answer);
    return 0;
}

/* -- verifying -------------------------------------------------------------------------------------------------- */

int attempt_hand_out (engine_t *self, int64_t id, err_t *err)
{
    bool is_known = false;
    if (results_hand_out (self, id, &is_known, err) < 0)
        return -1;
    if (is_known)
        return 0;
    query_t query = db_query (self->db, "SELECT jobs.build, jobs.platform, jobs.attempt, attempts.digest, builds.repository, " BUILD_VERIFY " "
                              "FROM jobs JOIN attempts ON attempts.job = jobs.id AND attempts.number = jobs.attempt "
                              "JOIN builds ON builds.id = jobs.build WHERE jobs.id = :id AND jobs.state = 'verifying'");
    query_int (&query, ":id", id);
    if (query_step (&query)) {
        json_t *task = json_pack ("{s:I, s:I, s:s, s:I, s:s, s:s}", "job", (json_int_t) id, "build",
                                  (json_int_t) query_get_int (&query, 0), "platform", query_get_text (&query, 1), "attempt",
                                  (json_int_t) query_get_int (&query, 2), "digest", query_get_text (&query, 3), "repository",
                                  query_get_text (&query, 4));
        verify_level_put (task, query_get_text (&query, 5), (verify_level) self->settings.verify_least);
        if (second_add (self, id, task, err) < 0) {
            json_decref (task);
            query_end (&query, NULL);
            return -1;
        }
        engine_act (self, ACTION_VERIFY, task);
        wait_note_under_way (self, WAIT_VERIFY, id);
    }
    return query_end (&query, err);
}

/* Of a known image. 1: it stands on other base images than the build, and is not used after all. */
static int check_known_bases (engine_t *self, const job_t *job, err_t *err)
{
    err_t why = { 0 };
    int rc = job->from_build ? results_pin (self, job, &why, err) : 0;
    return rc <= 0 ? rc : results_drop (self, job, why.text, err) < 0 ? -1 : 1;
}

static int accept (engine_t *self, const event_t *event, const job_t *job, err_t *err)
{
    int is_refused = check_known_bases (self, job, err);
    if (is_refused != 0)
        return is_refused < 0 ? -1 : 0;
    query_t query = db_query (self->db, "UPDATE jobs SET media_type = :type, digest = :digest, size = :size WHERE id = :id");
    query_text (&query, ":type", event_text (event, "media_type"));
    query_text (&query, ":digest", event_text (event, "digest"));
    query_int (&query, ":size", event_int (event, "size"));
    query_int (&query, ":id", job->id);
    if (query_run (&query, err) < 0)
        return -1;
    if (second_is_due (job))
        return second_begin (self, job, event_text (event, "digest"), err);
    if (job_move (self, job->build, job->id, job->attempt, JOB_VERIFYING, JOB_DONE, "verified", err) < 0
        || attempt_end (self, job, "done", NULL, err) < 0 || build_begin (self, job->build, err) < 0
        || (!job->from_build && (results_keep (self, job, err) < 0 || homes_note (self, job, err) < 0)))
        return -1;
    engine_count (self, "farm_images_total", 1, job->from_build ? "known" : "built", NULL, NULL);
    return outcome_of_success (self, job, err);
}

int attempts_on_verified (engine_t *self, const event_t *event, err_t *err)
{
    job_t job;
    if (job_load (self, event_int (event, "job"), &job, err) < 0)
        return -1;
    if (job.state != JOB_VERIFYING || job.attempt != event_int (event, "attempt"))
        return 0;                               /* cancelled, or said twice */
    if (json_is_true (json_object_get (event->header, "ok")))
        return accept (self, event, &job, err);
    if (job.from_build)
        return results_drop (self, &job, event_text (event, "text"), err);
    fault_t fault = { .code = err_from_name (event_text (event, "code")), .reason = event_text (event, "text"), .exit_status = -1 };
    int tries = wait_tries (self, WAIT_VERIFY, job.id);
    if (err_is_farm_fault (fault.code) && tries < engine_registry_tries (self)) {
        wait_set (self, WAIT_VERIFY, job.id, self->settings.retry_ms << (tries - 1));
        return 0;
    }
    return job_fail (self, &job, &fault, err);
}
