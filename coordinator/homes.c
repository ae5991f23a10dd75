/* homes.c - see homes.h. */
#include "coordinator/homes.h"

#include <stdlib.h>

#include "coordinator/boards.h"
#include "coordinator/lanes.h"

/* -- who has a context -------------------------------------------------------------------------------------------- */

/* Of the context of a build; 0: it cannot be read. */
static int context_of (engine_t *self, int64_t build, int64_t *context, err_t *err)
{
    query_t query = db_query (self->db, "SELECT CASE WHEN json_valid (spec) THEN substr (json_extract (spec, '$.context'), 1, 15) END "
                              "FROM builds WHERE id = :build");
    query_int (&query, ":build", build);
    *context = query_step (&query) && !query_is_null (&query, 0) ? strtoll (query_get_text (&query, 0), NULL, 16) : 0;
    return query_end (&query, err);
}

static int note_holder (engine_t *self, int64_t build, int64_t worker, err_t *err)
{
    int64_t context;
    if (context_of (self, build, &context, err) < 0)
        return -1;
    if (context == 0 || worker == 0)
        return 0;
    holder_t *holder = &self->holders [context % HOLDERS];
    self->holder_count += holder->worker == 0;
    *holder = (holder_t) { context, worker };
    return 0;
}

static int find_holder (engine_t *self, int64_t build, int64_t *worker, err_t *err)
{
    int64_t context;
    *worker = 0;
    if (self->holder_count == 0)                /* nothing has to be read for that */
        return 0;
    if (context_of (self, build, &context, err) < 0)
        return -1;
    if (context && self->holders [context % HOLDERS].context == context)
        *worker = self->holders [context % HOLDERS].worker;
    return 0;
}

/* -- homes ------------------------------------------------------------------------------------------------------- */

static bool is_usable (engine_t *self, const lane_t *lane, int64_t worker)
{
    const board_t *board = worker ? board_find (self, worker) : NULL;
    return board && lane && board_is_open (self, board) && lane_runs_on (lane, board) != RUNS_NOT;
}

/* Who has built it (0: nobody knows), and is that where it is at home already? */
static int find_author (engine_t *self, const job_t *job, int64_t *worker, bool *is_home, err_t *err)
{
    query_t query = db_query (self->db, "SELECT attempts.worker, homes.worker IS attempts.worker FROM builds "
                              "JOIN attempts ON attempts.job = :job AND attempts.number = :number LEFT JOIN homes "
                              "ON homes.repository = builds.repository AND homes.platform = :platform WHERE builds.id = :build");
    query_text (&query, ":platform", job->platform);
    query_int (&query, ":job", job->id);
    query_int (&query, ":number", job->attempt);
    query_int (&query, ":build", job->build);
    bool is_found = query_step (&query);
    *worker = is_found ? query_get_int (&query, 0) : 0;
    *is_home = is_found && query_get_int (&query, 1);
    return query_end (&query, err);
}

static int move_home (engine_t *self, const job_t *job, int64_t worker, err_t *err)
{
    query_t query = db_query (self->db, "INSERT OR REPLACE INTO homes (repository, platform, worker) SELECT repository, :platform, :worker "
                              "FROM builds WHERE id = :build");
    query_text (&query, ":platform", job->platform);
    query_int (&query, ":worker", worker);
    query_int (&query, ":build", job->build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int homes_note (engine_t *self, const job_t *job, err_t *err)
{
    int64_t worker;
    bool is_home;
    if (find_author (self, job, &worker, &is_home, err) < 0 || (worker && !is_home && move_home (self, job, worker, err) < 0))
        return -1;
    return note_holder (self, job->build, worker, err);
}

/* That of this platform before those of others. */
static int find_builder (engine_t *self, const job_t *job, const lane_t *lane, int64_t *worker, err_t *err)
{
    bool is_exact = false;
    query_t query = db_query (self->db, "SELECT homes.worker, homes.platform = :platform FROM builds JOIN homes "
                              "ON homes.repository = builds.repository WHERE builds.id = :build");
    *worker = 0;
    query_text (&query, ":platform", job->platform);
    query_int (&query, ":build", job->build);
    while (!is_exact && query_step (&query))
        if (is_usable (self, lane, query_get_int (&query, 0))) {
            is_exact = query_get_int (&query, 1) != 0;
            if (*worker == 0 || is_exact)
                *worker = query_get_int (&query, 0);
        }
    return query_end (&query, err);
}

int homes_find (engine_t *self, const job_t *job, const lane_t *lane, int64_t *worker, err_t *err)
{
    if (find_builder (self, job, lane, worker, err) < 0)
        return -1;
    if (*worker)
        return 0;
    if (find_holder (self, job->build, worker, err) < 0)
        return -1;
    if (!is_usable (self, lane, *worker))
        *worker = 0;
    return 0;
}

/* The wall clock may have been set: what it says is worth affinity_ms at most. */
bool homes_is_worth_waiting (engine_t *self, const job_t *job)
{
    int64_t limit = self->settings.affinity_ms, left = job->queued_ms + limit - self->wall_ms;
    if (wait_tries (self, WAIT_HOME, job->id) > 0)
        return wait_is_pending (self, WAIT_HOME, job->id);
    if (left <= 0 || limit <= 0)
        return false;
    wait_set (self, WAIT_HOME, job->id, left < limit ? left : limit);
    return true;
}
