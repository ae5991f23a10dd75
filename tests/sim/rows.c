/* rows.c - see sim.h: what may never stand in the database, whatever happened. Dear, so looked at now and then, and at the end. */
#include "sim.h"

#include <string.h>

int64_t rows_count (world_t *self, const char *sql)
{
    query_t query = db_query (self->engine->db, sql);
    int64_t count = query_step (&query) ? query_get_int (&query, 0) : -1;
    query_end (&query, NULL);
    return count;
}

static const struct { const char *rule, *sql; } rules [] = {
    { "at most one result of a job is accepted", "SELECT count (*) FROM (SELECT 1 FROM attempts JOIN jobs ON jobs.id = attempts.job "
      "WHERE attempts.state = 'done' GROUP BY jobs.id HAVING count (*) > 1 + (jobs.first_worker IS NOT NULL))" },
    { "what is cross-checked is built by two workers", "SELECT count (*) FROM jobs WHERE is_cross_checked AND state = 'done' AND from_build IS NULL AND "
      "(SELECT count (DISTINCT worker) FROM attempts WHERE job = jobs.id AND state = 'done') <> 2" },
    { "never two live attempts of a job", "SELECT count (*) FROM attempts JOIN jobs ON jobs.id = attempts.job "
      "WHERE attempts.ended_ms IS NULL AND attempts.number <> jobs.attempt" },
    { "an attempt ends with what its job does", "SELECT count (*) FROM attempts JOIN jobs ON jobs.id = attempts.job "
      "WHERE attempts.ended_ms IS NULL AND jobs.state IN ('queued', 'done', 'failed', 'cancelled')" },
    { "a build ends with its jobs", "SELECT count (*) FROM jobs JOIN builds ON builds.id = jobs.build WHERE builds.state IN "
      "('failed', 'cancelled', 'publishing', 'published') AND jobs.state NOT IN ('done', 'failed', 'cancelled')" },
    { "no index without a required platform", "SELECT count (*) FROM jobs JOIN builds ON builds.id = jobs.build WHERE builds.state IN "
      "('publishing', 'published') AND jobs.state <> 'done' AND jobs.is_required" },
    { "the outbox has what is to be published", "SELECT count (*) FROM outbox JOIN builds ON builds.id = outbox.build "
      "WHERE builds.state <> 'publishing'" },
    { "the outbox has what is to be published", "SELECT count (*) FROM builds LEFT JOIN outbox ON outbox.build = builds.id "
      "WHERE builds.state = 'publishing' AND outbox.build IS NULL" },
    { "a request is one build", "SELECT count (*) - count (DISTINCT request) FROM builds" },
    { "no job is tried for ever", "SELECT count (*) FROM jobs WHERE failures > 3 OR attempt > 24" },
};

static void judge_rules (world_t *self)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        int64_t count = rows_count (self, rules [i].sql);
        if (count != 0)
            violation (self, rules [i].rule, "%lld rows", (long long) count);
    }
}

static void judge_jobs (world_t *self)
{
    query_t query = db_query (self->engine->db, "SELECT id, state, attempt FROM jobs ORDER BY id");
    while (query_step (&query)) {
        const job_entry_t *job = ledger_job (self, query_get_int (&query, 0));
        if (job && (strcmp (job_state_name (job->state), query_get_text (&query, 1)) != 0 || job->attempt != query_get_int (&query, 2)))
            violation (self, "each change of a state is an event", "job %lld is %s", (long long) job->id, query_get_text (&query, 1));
    }
    query_end (&query, NULL);
}

static bool may_be_forgotten (const world_t *self, const build_entry_t *build)
{
    bool is_old = self->settings.build_keep_ms && build->ended_ms + self->settings.build_keep_ms <= wall_ms (self);
    return build->ended_ms && (is_old || self->settings.builds_max);
}

/* Those that were acknowledged are there. */
static void judge_builds (world_t *self)
{
    int64_t seen = 0, known = 0;
    query_t query = db_query (self->engine->db, "SELECT id, state, digest FROM builds ORDER BY id");
    while (query_step (&query)) {
        const build_entry_t *build = ledger_build (self, query_get_int (&query, 0));
        const char *digest = query_is_null (&query, 2) ? "" : query_get_text (&query, 2);
        seen += build && !may_be_forgotten (self, build);
        if (build && strcmp (build_state_name (build->state), query_get_text (&query, 1)) != 0)
            violation (self, "each change of a state is an event", "build %lld is %s", (long long) build->id, query_get_text (&query, 1));
        if (build && build->state == BUILD_PUBLISHED && strcmp (build->index, digest) != 0)
            violation (self, "a build has one index", "build %lld: %s", (long long) build->id, digest);
    }
    query_end (&query, NULL);
    for (int64_t i = 1; i <= self->ledger.build_max; i++)
        known += self->ledger.builds [i].id != 0 && !may_be_forgotten (self, &self->ledger.builds [i]);
    if (seen != known)
        violation (self, "what was acknowledged is there", "%lld builds of %lld", (long long) seen, (long long) known);
}

void rows_judge (world_t *self)
{
    judge_rules (self);
    judge_jobs (self);
    judge_builds (self);
}
