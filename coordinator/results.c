/* results.c - see results.h. */
#include "coordinator/results.h"

#include <string.h>

#include "common/digest.h"
#include "common/mem.h"
#include "coordinator/builds.h"

enum { JOBS_OF_BUILD_MAX = 64 };

/* -- keys ------------------------------------------------------------------------------------------------------- */

static void copy_field (json_t *to, const json_t *spec, const char *name)
{
    json_t *value = json_object_get (spec, name);
    if (value)
        json_object_set (to, name, value);
}

/* One text for the same inputs: keys sorted, what shapes nothing left out. */
static void key_of (const json_t *spec, const char *platform, const char *repository, char key [OCI_DIGEST_SIZE])
{
    static const char *const fields [] = { "context", "build_args", "labels", "target" };
    AUTO_JSON json_t *inputs = json_object ();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        copy_field (inputs, spec, fields [i]);
    copy_field (inputs, json_object_get (spec, "dockerfile"), "digest");
    json_object_set_new (inputs, "platform", json_string (platform));
    json_object_set_new (inputs, "repository", json_string (repository));
    AUTO_FREE char *text = json_dumps (inputs, JSON_COMPACT | JSON_SORT_KEYS);
    oci_digest_of (text, strlen (text), key);
}

static bool may_use (const engine_t *self, const json_t *spec)
{
    return self->settings.result_keep_ms > 0 && !json_is_true (json_object_get (spec, "no_cache"))
           && !json_is_true (json_object_get (spec, "pull")) && !json_is_true (json_object_get (spec, "no_result_cache"));
}

/* -- using ------------------------------------------------------------------------------------------------------ */

/* Results of builders that are still there, native ones before emulated ones, the youngest first. */
static int find (engine_t *self, const job_t *job, const char *key, int64_t *build, bool *is_emulated, err_t *err)
{
    query_t query = db_query (self->db, "SELECT build, is_emulated FROM results WHERE key = :key AND made_ms > :since "
                              "AND (:emulate OR NOT is_emulated) AND EXISTS (SELECT 1 FROM workers "
                              "WHERE workers.builder = results.builder) ORDER BY is_emulated, made_ms DESC LIMIT 1");
    query_text (&query, ":key", key);
    query_int (&query, ":since", self->wall_ms - self->settings.result_keep_ms);
    query_int (&query, ":emulate", job->may_emulate);
    *build = 0;
    if (query_step (&query)) {
        *build = query_get_int (&query, 0);
        *is_emulated = query_get_int (&query, 1) != 0;
    }
    return query_end (&query, err);
}

static int stand_on (engine_t *self, int64_t job, int64_t build, bool is_emulated, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE jobs SET from_build = nullif (:build, 0), from_emulated = :emulated WHERE id = :id");
    query_int (&query, ":build", build);
    query_int (&query, ":emulated", is_emulated);
    query_int (&query, ":id", job);
    return query_run (&query, err) < 0 ? -1 : 0;
}

static int try_one (engine_t *self, const job_t *job, const json_t *spec, const char *repository, err_t *err)
{
    char key [OCI_DIGEST_SIZE];
    int64_t build;
    bool is_emulated = false, is_known;
    key_of (spec, job->platform, repository, key);
    if (find (self, job, key, &build, &is_emulated, err) < 0)
        return -1;
    if (build == 0)
        return 0;
    AUTO_FREE char *cause = mem_printf ("known from build %lld", (long long) build);
    if (stand_on (self, job->id, build, is_emulated, err) < 0
        || job_move (self, job->build, job->id, 0, JOB_QUEUED, JOB_VERIFYING, cause, err) < 0)
        return -1;
    wait_set (self, WAIT_VERIFY, job->id, 0);
    return results_hand_out (self, job->id, &is_known, err);
}

int results_try (engine_t *self, int64_t build, const json_t *spec, const char *repository, err_t *err)
{
    AUTO_FREE job_t *jobs = mem_alloc (JOBS_OF_BUILD_MAX * sizeof *jobs);
    if (!may_use (self, spec))
        return 0;
    int count = jobs_load_live (self, build, jobs, JOBS_OF_BUILD_MAX, err);
    for (int i = 0; i < count; i++)
        if (try_one (self, &jobs [i], spec, repository, err) < 0)
            return -1;
    return count < 0 ? -1 : 0;
}

/* The result's row, by what a job says of it. */
#define RESULT_OF_JOB "FROM jobs JOIN builds ON builds.id = jobs.build JOIN results ON results.build = jobs.from_build " \
                      "AND results.is_emulated = jobs.from_emulated AND results.key = :key "

static int key_of_job (engine_t *self, const job_t *job, char key [OCI_DIGEST_SIZE], err_t *err)
{
    char repository [512];
    AUTO_JSON json_t *spec = build_spec (self, job->build, repository, err);
    if (!spec)
        return -1;
    key_of (spec, job->platform, repository, key);
    return 0;
}

static json_t *task_of (const query_t *query, const job_t *job)
{
    return json_pack ("{s:I, s:I, s:I, s:s, s:s, s:s, s:o}", "job", (json_int_t) job->id, "build", (json_int_t) job->build,
                      "attempt", (json_int_t) job->attempt, "platform", job->platform, "digest", query_get_text (query, 0),
                      "repository", query_get_text (query, 1), "bases", json_loads (query_get_text (query, 2), 0, NULL));
}

int results_hand_out (engine_t *self, int64_t id, bool *is_known, err_t *err)
{
    job_t job;
    char key [OCI_DIGEST_SIZE];
    json_t *task = NULL;
    if (job_load (self, id, &job, err) < 0)
        return -1;
    *is_known = job.state == JOB_VERIFYING && job.from_build;
    if (!*is_known)
        return 0;
    if (key_of_job (self, &job, key, err) < 0)
        return -1;
    query_t query = db_query (self->db, "SELECT results.digest, builds.repository, results.bases " RESULT_OF_JOB
                              "WHERE jobs.id = :id");
    query_text (&query, ":key", key);
    query_int (&query, ":id", id);
    if (query_step (&query))
        task = task_of (&query, &job);
    if (query_end (&query, err) < 0) {
        json_decref (task);
        return -1;
    }
    if (!task)
        return results_drop (self, &job, "the known image has been replaced", err);
    wait_note_under_way (self, WAIT_VERIFY, id);
    engine_act (self, ACTION_VERIFY, task);
    return 0;
}

int results_drop (engine_t *self, const job_t *job, const char *why, err_t *err)
{
    wait_drop (self, WAIT_VERIFY, job->id);
    if (stand_on (self, job->id, 0, false, err) < 0)
        return -1;
    return job_move (self, job->build, job->id, job->attempt, JOB_VERIFYING, JOB_QUEUED, why, err);
}

/* -- keeping ---------------------------------------------------------------------------------------------------- */

static int forget_old (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "DELETE FROM results WHERE made_ms <= :before");
    query_int (&query, ":before", self->wall_ms - self->settings.result_keep_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int results_keep (engine_t *self, const job_t *job, err_t *err)
{
    char key [OCI_DIGEST_SIZE];
    if (self->settings.result_keep_ms <= 0)
        return 0;
    if (key_of_job (self, job, key, err) < 0 || forget_old (self, err) < 0)
        return -1;
    query_t query = db_query (self->db, "INSERT OR REPLACE INTO results (key, builder, is_emulated, build, digest, bases, made_ms) "
                              "SELECT :key, workers.builder, attempts.is_emulated, jobs.build, jobs.digest, attempts.bases, :now "
                              "FROM jobs JOIN attempts ON attempts.job = jobs.id AND attempts.number = jobs.attempt "
                              "JOIN workers ON workers.id = attempts.worker "
                              "WHERE jobs.id = :id AND attempts.bases IS NOT NULL");
    query_text (&query, ":key", key);
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":id", job->id);
    return query_run (&query, err) < 0 ? -1 : 0;
}
