/* outcome.c - see outcome.h. */
#include "coordinator/outcome.h"

#include "common/mem.h"
#include "coordinator/builds.h"
#include "coordinator/tags.h"

typedef struct { int64_t live, done, failed_required; } tally_t;

static int count (engine_t *self, int64_t build, tally_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT coalesce (sum (state <> 'done' AND state <> 'failed' AND state <> 'cancelled'), 0), "
                              "coalesce (sum (state = 'done'), 0), coalesce (sum (state = 'failed' AND is_required), 0) "
                              "FROM jobs WHERE build = :build");
    query_int (&query, ":build", build);
    if (query_step (&query))
        *out = (tally_t) { query_get_int (&query, 0), query_get_int (&query, 1), query_get_int (&query, 2) };
    return query_end (&query, err);
}

/* The first that failed, of those that are required where one of them did, speaks for all. */
static int fail_for_the_first (engine_t *self, int64_t build, err_t *err)
{
    AUTO_FREE char *reason = NULL;
    fault_t fault = { .code = ERR_FARM, .exit_status = -1 };
    query_t query = db_query (self->db, "SELECT platform, code, reason FROM jobs WHERE build = :build AND state = 'failed' "
                              "ORDER BY is_required DESC, position LIMIT 1");
    query_int (&query, ":build", build);
    if (query_step (&query)) {
        reason = mem_printf ("%s: %s", query_get_text (&query, 0), query_get_text (&query, 2));
        fault.code = err_from_name (query_get_text (&query, 1));
    }
    if (query_end (&query, err) < 0)
        return -1;
    fault.reason = reason ? reason : "no image was made";
    return build_fail (self, build, &fault, err);
}

/* Are all of its jobs over? Then so is the build, or it is published. */
static int settle (engine_t *self, int64_t build, err_t *err)
{
    tally_t tally = { 0 };
    if (count (self, build, &tally, err) < 0)
        return -1;
    if (tally.live > 0)
        return 0;
    if (tally.failed_required > 0 || tally.done == 0)
        return fail_for_the_first (self, build, err);
    return tags_store_index (self, build, err);
}

static int goes_on (engine_t *self, const job_t *job, bool *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT builds.keep_going OR NOT jobs.is_required FROM jobs JOIN builds ON builds.id = jobs.build "
                              "WHERE jobs.id = :id");
    query_int (&query, ":id", job->id);
    *out = query_step (&query) && query_get_int (&query, 0) != 0;
    return query_end (&query, err);
}

int outcome_of_failure (engine_t *self, const job_t *job, const fault_t *fault, err_t *err)
{
    bool do_others_go_on;
    if (goes_on (self, job, &do_others_go_on, err) < 0)
        return -1;
    if (do_others_go_on)
        return settle (self, job->build, err);
    AUTO_FREE char *cause = mem_printf ("%s: %s", job->platform, fault->reason);
    fault_t of_build = *fault;
    of_build.reason = cause;
    if (jobs_cancel (self, job->build, "another platform failed", err) < 0)
        return -1;
    return build_fail (self, job->build, &of_build, err);
}

int outcome_of_success (engine_t *self, const job_t *job, err_t *err)
{
    return settle (self, job->build, err);
}

int outcome_note (engine_t *self, int64_t build, char **note, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    query_t query = db_query (self->db, "SELECT platform, reason FROM jobs WHERE build = :build AND state = 'failed' ORDER BY position");
    query_int (&query, ":build", build);
    while (query_step (&query))
        buffer_printf (&text, "%swithout %s: %.200s", text.size ? "; " : "", query_get_text (&query, 0),
                       query_is_null (&query, 1) ? "it failed" : query_get_text (&query, 1));
    *note = text.size ? mem_strdup ((const char *) text.data) : NULL;
    return query_end (&query, err);
}
