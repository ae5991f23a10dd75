/* results.c - see results.h. */
#include "coordinator/results.h"

#include <string.h>

#include "common/digest.h"
#include "common/mem.h"
#include "coordinator/bases.h"
#include "coordinator/builds.h"
#include "coordinator/verify_level.h"

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
    static const char *const fields [] = { "context", "build_args", "labels", "target", "network", "require" };
    AUTO_JSON json_t *inputs = json_object ();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        copy_field (inputs, spec, fields [i]);
    copy_field (inputs, json_object_get (spec, "dockerfile"), "digest");
    json_object_set_new (inputs, "platform", json_string (platform));
    json_object_set_new (inputs, "repository", json_string (repository));
    AUTO_FREE char *text = json_dumps (inputs, JSON_COMPACT | JSON_SORT_KEYS);
    oci_digest_of (text, strlen (text), key);
}

/* What a secret said, or who was met with a key, went into the image, or decided on it, and is known no more. */
static bool has_secrets (const json_t *spec)
{
    return json_array_size (json_object_get (spec, "secrets")) > 0 || json_array_size (json_object_get (spec, "ssh")) > 0;
}

static bool may_use (const engine_t *self, const json_t *spec)
{
    return !has_secrets (spec) && self->settings.result_keep_ms > 0 && !json_is_true (json_object_get (spec, "no_cache"))
           && !json_is_true (json_object_get (spec, "pull")) && !json_is_true (json_object_get (spec, "no_result_cache"));
}

/* -- using ------------------------------------------------------------------------------------------------------ */

/* Mostly nothing is known, and that is soon seen. */
static int has_result (engine_t *self, const char *key, err_t *err)
{
    query_t query = db_query (self->db, "SELECT 1 FROM results WHERE key = :key LIMIT 1");
    query_text (&query, ":key", key);
    int found = query_step (&query);
    return query_end (&query, err) < 0 ? -1 : found;
}

/* Results of builders that are still there, for a build, which may be none yet (0). */
#define FITS "FROM results WHERE key = :key AND made_ms > :since AND (:emulate OR NOT is_emulated) AND EXISTS " \
             "(SELECT 1 FROM workers, json_each (workers.platforms) AS each WHERE workers.builder = results.builder " \
             "AND workers.mode <> 'forgotten' AND json_extract (each.value, '$.platform') = :platform) AND " BASES_AGREE ("results.bases", ":build") " "

static void bind_fit (const engine_t *self, query_t *query, int64_t build, const char *key, const char *platform, bool may_emulate)
{
    query_text (query, ":key", key);
    query_int (query, ":build", build);
    query_int (query, ":since", self->wall_ms - self->settings.result_keep_ms);
    query_int (query, ":emulate", may_emulate);
    query_text (query, ":platform", platform);
}

/* Native ones before emulated ones, the youngest first. 1 when there is one. */
static int stand_on_result (engine_t *self, const job_t *job, const char *key, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE jobs SET (from_build, from_emulated, known_digest, known_bases) = "
                              "(found.build, found.is_emulated, found.digest, found.bases) FROM (SELECT build, is_emulated, digest, bases "
                              FITS "ORDER BY is_emulated, made_ms DESC LIMIT 1) AS found WHERE jobs.id = :id");
    bind_fit (self, &query, job->build, key, job->platform, job->may_emulate);
    query_int (&query, ":id", job->id);
    return query_run (&query, err);
}

/* Its image in that build, of which nothing is known but that it was verified, and whether it was emulated. 1 when there is one. */
static int stand_on_build (engine_t *self, const job_t *job, int64_t build, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE jobs SET (from_build, from_emulated, known_digest) = (found.build, found.is_emulated, "
                              "found.digest) FROM (SELECT jobs.build, coalesce (attempts.is_emulated, jobs.from_emulated) AS is_emulated, "
                              "jobs.digest FROM jobs LEFT JOIN attempts ON attempts.job = jobs.id AND attempts.number = jobs.attempt "
                              "WHERE jobs.build = :build AND jobs.platform = :platform AND jobs.state = 'done') AS found "
                              "WHERE jobs.id = :id AND (:emulate OR NOT found.is_emulated)");
    query_int (&query, ":build", build);
    query_text (&query, ":platform", job->platform);
    query_int (&query, ":emulate", job->may_emulate);
    query_int (&query, ":id", job->id);
    return query_run (&query, err);
}

static int stand_on_nothing (engine_t *self, int64_t job, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE jobs SET from_build = NULL, from_emulated = 0, known_digest = NULL, known_bases = NULL "
                              "WHERE id = :id");
    query_int (&query, ":id", job);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* It stands on an image now, which has to be looked at. */
static int begin (engine_t *self, int64_t id, err_t *err)
{
    job_t job;
    bool is_known;
    if (job_load (self, id, &job, err) < 0)
        return -1;
    AUTO_FREE char *cause = mem_printf ("known from build %lld", (long long) job.from_build);
    if (job_move (self, job.build, job.id, 0, JOB_QUEUED, JOB_VERIFYING, cause, err) < 0)
        return -1;
    wait_set (self, WAIT_VERIFY, job.id, 0);
    return results_hand_out (self, job.id, &is_known, err);
}

static int each_job (engine_t *self, int64_t build, int (*stand) (engine_t *, const job_t *, const void *, err_t *),
                     const void *argument, err_t *err)
{
    AUTO_FREE job_t *jobs = mem_alloc (JOBS_OF_BUILD_MAX * sizeof *jobs);
    int count = jobs_load_live (self, build, jobs, JOBS_OF_BUILD_MAX, err);
    for (int i = 0; i < count; i++) {
        int found = stand (self, &jobs [i], argument, err);
        if (found < 0 || (found > 0 && begin (self, jobs [i].id, err) < 0))
            return -1;
    }
    return count < 0 ? -1 : 0;
}

typedef struct { const json_t *spec; const char *repository; } inputs_t;

static int try_result (engine_t *self, const job_t *job, const void *argument, err_t *err)
{
    const inputs_t *inputs = argument;
    char key [OCI_DIGEST_SIZE];
    key_of (inputs->spec, job->platform, inputs->repository, key);
    int found = has_result (self, key, err);
    return found > 0 ? stand_on_result (self, job, key, err) : found;
}

int results_try (engine_t *self, int64_t build, const json_t *spec, const char *repository, err_t *err)
{
    inputs_t inputs = { spec, repository };
    return may_use (self, spec) ? each_job (self, build, try_result, &inputs, err) : 0;
}

static int try_build (engine_t *self, const job_t *job, const void *argument, err_t *err)
{
    return stand_on_build (self, job, *(const int64_t *) argument, err);
}

int results_reuse (engine_t *self, int64_t build, int64_t former, err_t *err)
{
    return each_job (self, build, try_build, &former, err);
}

static int would_of_inputs (engine_t *self, const json_t *spec, const char *repository, const job_plan_t *plan, bool *would, err_t *err)
{
    char key [OCI_DIGEST_SIZE];
    key_of (spec, plan->platform, repository, key);
    query_t query = db_query (self->db, "SELECT 1 " FITS "LIMIT 1");
    bind_fit (self, &query, 0, key, plan->platform, plan->may_emulate);
    *would = query_step (&query);
    return query_end (&query, err);
}

static int would_of_build (engine_t *self, int64_t build, const job_plan_t *plan, bool *would, err_t *err)
{
    query_t query = db_query (self->db, "SELECT 1 FROM jobs LEFT JOIN attempts ON attempts.job = jobs.id AND attempts.number = jobs.attempt WHERE jobs.build = :build "
                              "AND jobs.platform = :platform AND jobs.state = 'done' AND (:emulate OR NOT coalesce (attempts.is_emulated, jobs.from_emulated))");
    query_int (&query, ":build", build);
    query_text (&query, ":platform", plan->platform);
    query_int (&query, ":emulate", plan->may_emulate);
    *would = query_step (&query);
    return query_end (&query, err);
}

int results_would (engine_t *self, const json_t *spec, const char *repository, const job_plan_t *plan, int64_t former, bool *would, err_t *err)
{
    *would = false;
    if (former)
        return would_of_build (self, former, plan, would, err);
    return may_use (self, spec) ? would_of_inputs (self, spec, repository, plan, would, err) : 0;
}

/* Those that the build has are the same (stand_on_result), whatever their tags mean by now. To the caller. */
static json_t *unknown_bases (engine_t *self, int64_t build, const json_t *bases)
{
    size_t i, j;
    json_t *base, *known, *rest = json_array ();
    AUTO_JSON json_t *all = bases_of (self, build);
    json_array_foreach ((json_t *) bases, i, base) {
        bool is_known = false;
        json_array_foreach (all, j, known)
            is_known |= json_equal (known, base);
        if (!is_known)
            json_array_append (rest, base);
    }
    return rest;
}

static json_t *task_of (engine_t *self, const query_t *query, const job_t *job)
{
    json_t *task = json_pack ("{s:I, s:I, s:I, s:s, s:s, s:s}", "job", (json_int_t) job->id, "build", (json_int_t) job->build,
                              "attempt", (json_int_t) job->attempt, "platform", job->platform, "digest", query_get_text (query, 0),
                              "repository", query_get_text (query, 1));
    AUTO_JSON json_t *bases = query_is_null (query, 2) ? NULL : json_loads (query_get_text (query, 2), 0, NULL);
    json_object_set_new (task, "bases", unknown_bases (self, job->build, bases));
    verify_level_put (task, query_get_text (query, 3), (verify_level) self->settings.verify_least);
    return task;
}

int results_hand_out (engine_t *self, int64_t id, bool *is_known, err_t *err)
{
    job_t job;
    json_t *task = NULL;
    if (job_load (self, id, &job, err) < 0)
        return -1;
    *is_known = job.state == JOB_VERIFYING && job.from_build;
    if (!*is_known)
        return 0;
    query_t query = db_query (self->db, "SELECT jobs.known_digest, builds.repository, jobs.known_bases, " BUILD_VERIFY " FROM jobs JOIN builds "
                              "ON builds.id = jobs.build WHERE jobs.id = :id AND jobs.known_digest IS NOT NULL");
    query_int (&query, ":id", id);
    if (query_step (&query))
        task = task_of (self, &query, &job);
    if (query_end (&query, err) < 0) {
        json_decref (task);
        return -1;
    }
    if (!task)
        return results_drop (self, &job, "the known image is not known any more", err);
    wait_note_under_way (self, WAIT_VERIFY, id);
    engine_act (self, ACTION_VERIFY, task);
    return 0;
}

int results_drop (engine_t *self, const job_t *job, const char *why, err_t *err)
{
    if (stand_on_nothing (self, job->id, err) < 0)
        return -1;
    return job_move (self, job->build, job->id, job->attempt, JOB_VERIFYING, JOB_QUEUED, why, err);
}

int results_pin (engine_t *self, const job_t *job, err_t *why, err_t *err)
{
    AUTO_JSON json_t *bases = NULL;
    query_t query = db_query (self->db, "SELECT known_bases FROM jobs WHERE id = :id AND known_bases IS NOT NULL");
    query_int (&query, ":id", job->id);
    if (query_step (&query))
        bases = json_loads (query_get_text (&query, 0), 0, NULL);
    return query_end (&query, err) < 0 ? -1 : bases_put (self, job->build, bases, why, err);
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
    char key [OCI_DIGEST_SIZE], repository [512];
    if (self->settings.result_keep_ms <= 0)
        return 0;
    AUTO_JSON json_t *spec = build_spec (self, job->build, repository, NULL);
    if (!spec || has_secrets (spec))
        return 0;                               /* the image is as good without it */
    if (forget_old (self, err) < 0)
        return -1;
    key_of (spec, job->platform, repository, key);
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
