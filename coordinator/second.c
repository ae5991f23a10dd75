/* second.c - see second.h. A job keeps what the first attempt made, and goes into a lane that is closed to the first worker: matching,
 * waiting and the end of patience are those of every lane. It is the worker's row that counts, not its name: that it may change. */
#include "coordinator/second.h"

#include <stdio.h>

#include "common/mem.h"
#include "coordinator/attempts.h"
#include "coordinator/boards.h"
#include "coordinator/lanes.h"

void second_prepare (json_t *spec, int64_t now_ms)
{
    if (!json_is_true (json_object_get (spec, "cross_check")))
        return;
    json_object_set_new (spec, "no_cache", json_true ());
    if (!json_object_get (spec, "timestamp"))
        json_object_set_new (spec, "timestamp", json_integer (now_ms / 1000));
}

bool second_is_due (const job_t *job)
{
    return job->is_cross_checked && !job->first_worker && !job->from_build;
}

/* -- the first is done ---------------------------------------------------------------------------------------------- */

static int worker_of_attempt (engine_t *self, const job_t *job, int64_t *worker, err_t *err)
{
    query_t query = db_query (self->db, "SELECT worker FROM attempts WHERE job = :job AND number = :number");
    query_int (&query, ":job", job->id);
    query_int (&query, ":number", job->attempt);
    *worker = query_step (&query) ? query_get_int (&query, 0) : 0;
    return query_end (&query, err);
}

/* The lane of those who ask the same, and want another than this worker. */
static int lane_without (engine_t *self, const job_t *job, int64_t worker, int64_t *out, err_t *err)
{
    const lane_t *now = lane_find (self, job->lane);
    if (!now)
        return err_set (err, ERR_FARM, "job %lld is in no lane", (long long) job->id);
    AUTO_JSON json_t *requires = json_incref (now->requires);
    lane_t wish = *now;
    wish.not_worker = worker;
    wish.requires = requires;
    return lane_of (self, &wish, out, err);
}

static int keep_first (engine_t *self, const job_t *job, int64_t lane, int64_t worker, const char *digest, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE jobs SET lane = :lane, first_worker = :worker, first_digest = :digest WHERE id = :id");
    query_int (&query, ":lane", lane);
    query_int (&query, ":worker", worker);
    query_text (&query, ":digest", digest);
    query_int (&query, ":id", job->id);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int second_begin (engine_t *self, const job_t *job, const char *digest, err_t *err)
{
    int64_t worker, lane;
    if (worker_of_attempt (self, job, &worker, err) < 0 || lane_without (self, job, worker, &lane, err) < 0
        || keep_first (self, job, lane, worker, digest, err) < 0 || attempt_end (self, job, "done", NULL, err) < 0)
        return -1;
    return job_move (self, job->build, job->id, job->attempt, JOB_VERIFYING, JOB_QUEUED, "verified; to be built by another worker too", err);
}

/* -- the second is to be compared ----------------------------------------------------------------------------------- */

int second_add (engine_t *self, int64_t job, json_t *task, err_t *err)
{
    query_t query = db_query (self->db, "SELECT jobs.first_digest, first.name, second.name FROM jobs JOIN workers AS first ON first.id = jobs.first_worker "
                              "JOIN attempts ON attempts.job = jobs.id AND attempts.number = jobs.attempt "
                              "JOIN workers AS second ON second.id = attempts.worker WHERE jobs.id = :id AND jobs.first_digest IS NOT NULL");
    query_int (&query, ":id", job);
    if (query_step (&query))
        json_object_set_new (task, "same_as", json_pack ("{s:s, s:s, s:s}", "digest", query_get_text (&query, 0), "worker", query_get_text (&query, 1),
                                                         "second", query_get_text (&query, 2)));
    return query_end (&query, err);
}

/* -- whether there will be one -------------------------------------------------------------------------------------- */

char *second_explain (const engine_t *self, const lane_t *lane)
{
    const board_t *only = NULL;
    lane_t any = *lane;
    any.not_worker = 0;
    for (size_t i = 0; i < self->board_count; i++) {
        const board_t *board = &self->boards [i];
        if (board->mode == MODE_FORGOTTEN || lane_runs_on (&any, board) == RUNS_NOT)
            continue;
        if (only)
            return NULL;
        only = board;
    }
    if (!only)
        return NULL;
    return mem_printf ("--cross-check wants two workers for %s, and %s is the only one that takes such jobs: enrol another (farm-worker join), "
                       "or submit without --cross-check", lane->platform, only->name);
}
