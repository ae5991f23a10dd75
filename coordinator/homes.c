/* homes.c - see homes.h. */
#include "coordinator/homes.h"

int homes_note (engine_t *self, const job_t *job, err_t *err)
{
    query_t query = db_query (self->db, "INSERT OR REPLACE INTO homes (repository, platform, worker) SELECT builds.repository, "
                              ":platform, attempts.worker FROM builds JOIN attempts ON attempts.job = :job AND attempts.number = :number "
                              "WHERE builds.id = :build");
    query_text (&query, ":platform", job->platform);
    query_int (&query, ":job", job->id);
    query_int (&query, ":number", job->attempt);
    query_int (&query, ":build", job->build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int homes_find (engine_t *self, const job_t *job, int64_t *worker, err_t *err)
{
    query_t query = db_query (self->db, "SELECT homes.worker FROM builds JOIN homes ON homes.repository = builds.repository "
                              "AND homes.platform = :platform WHERE builds.id = :build");
    query_text (&query, ":platform", job->platform);
    query_int (&query, ":build", job->build);
    *worker = query_step (&query) ? query_get_int (&query, 0) : 0;
    return query_end (&query, err);
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
