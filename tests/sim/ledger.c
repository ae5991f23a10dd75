/* ledger.c - see sim.h: jobs and builds as they were committed. The engine writes an event row with each change of state; what has been
 * added since the last batch is read, and held against what was known. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

job_entry_t *ledger_job (world_t *self, int64_t job)
{
    const ledger_t *ledger = &self->ledger;
    return job > 0 && job <= ledger->job_max && ledger->jobs [job].id ? &ledger->jobs [job] : NULL;
}

static build_entry_t *find (world_t *self, int64_t build)
{
    const ledger_t *ledger = &self->ledger;
    return build > 0 && build <= ledger->build_max && ledger->builds [build].id ? &ledger->builds [build] : NULL;
}

int lane_of_job (const world_t *self, const job_entry_t *job)
{
    const submission_t *submission = &self->submissions [job->submission];
    int lane = ((job->platform * 2 + submission->may_emulate) * (REQUIRES + 1) + submission->requires + 1) * MEMORIES + submission->memory;
    return lane * (WORKERS + 1) + job->first;
}

/* -- new ones --------------------------------------------------------------------------------------------------------- */

static void *grow (void *items, size_t *capacity, int64_t needed, size_t size)
{
    size_t former = *capacity;
    if ((size_t) needed < former)
        return items;
    *capacity = former ? 2 * former : 128;
    while (*capacity <= (size_t) needed)
        *capacity *= 2;
    items = mem_resize (items, *capacity * size);
    memset ((char *) items + former * size, 0, (*capacity - former) * size);
    return items;
}

static void add_job (world_t *self, int64_t id, const build_entry_t *build, int64_t queued_ms, const char *platform)
{
    ledger_t *ledger = &self->ledger;
    ledger->jobs = grow (ledger->jobs, &ledger->job_capacity, id, sizeof *ledger->jobs);
    job_entry_t *job = &ledger->jobs [id];
    *job = (job_entry_t) { .id = id, .build = build->id, .submission = build->submission, .worker = -1, .queued_ms = queued_ms };
    while (job->platform < PLATFORMS - 1 && strcmp (platform_names [job->platform], platform) != 0)
        job->platform++;
    if (id > ledger->job_max)
        ledger->job_max = id;
}

static void add_jobs (world_t *self, build_entry_t *build)
{
    query_t query = db_query (self->engine->db, "SELECT jobs.id, platform, created_ms FROM jobs JOIN builds ON builds.id = build "
                              "WHERE build = :build ORDER BY position");
    query_int (&query, ":build", build->id);
    while (query_step (&query)) {
        add_job (self, query_get_int (&query, 0), build, query_get_int (&query, 2), query_get_text (&query, 1));
        build->first_job = query_get_int (&query, 0) - build->job_count++;
    }
    query_end (&query, NULL);
}

/* A request's number tells the submission. */
static build_entry_t *add_build (world_t *self, int64_t id)
{
    ledger_t *ledger = &self->ledger;
    int64_t submission = 0;
    query_t query = db_query (self->engine->db, "SELECT request FROM builds WHERE id = :id");
    query_int (&query, ":id", id);
    if (query_step (&query))
        submission = strtoll (query_get_text (&query, 0), NULL, 16);
    query_end (&query, NULL);
    if (submission < 1 || submission > self->submission_count)
        return NULL;
    ledger->builds = grow (ledger->builds, &ledger->build_capacity, id, sizeof *ledger->builds);
    ledger->builds [id] = (build_entry_t) { .id = id, .submission = (int) submission - 1 };
    if (id > ledger->build_max)
        ledger->build_max = id;
    ledger->tallies [BUILD_QUEUED]++;
    add_jobs (self, &ledger->builds [id]);
    return &ledger->builds [id];
}

build_entry_t *ledger_build (world_t *self, int64_t build)
{
    build_entry_t *found = find (self, build);
    return found || build < 1 ? found : add_build (self, build);
}

/* -- changes ---------------------------------------------------------------------------------------------------------- */

static void read_attempt (world_t *self, job_entry_t *job)
{
    query_t query = db_query (self->engine->db, "SELECT workers.name FROM attempts JOIN workers ON workers.id = worker "
                              "WHERE job = :job AND number = :number");
    query_int (&query, ":job", job->id);
    query_int (&query, ":number", job->attempt);
    job->worker = query_step (&query) ? worker_named (query_get_text (&query, 0)) : -1;
    job->told_count = 0;
    query_end (&query, NULL);
}

/* A job is built once, and where two are to agree twice, by two. */
static void judge_second (world_t *self, job_entry_t *job, job_state from, job_state to)
{
    bool is_crossed = self->submissions [job->submission].cross_check;
    bool is_again = from == JOB_VERIFYING && to == JOB_QUEUED && !job->is_known;
    bool is_done_once = to == JOB_DONE && !job->is_known && is_crossed && (!job->first || job->first == job->worker + 1);
    if (is_done_once || (is_again && (!is_crossed || job->first)))
        violation (self, "what is cross-checked is built by two workers", "job %lld goes from %s to %s", (long long) job->id, job_state_name (from),
                   job_state_name (to));
    if (is_again)
        job->first = job->worker + 1;
}

static void move_job (world_t *self, int64_t id, int64_t attempt, job_state from, job_state to)
{
    job_entry_t *job = ledger_job (self, id);
    if (!job || job->state != from || job_state_is_over (from)) {
        violation (self, "a job's states follow each other", "job %lld goes from %s to %s, but was %s", (long long) id, job_state_name (from),
                   job_state_name (to), job ? job_state_name (job->state) : "not there");
        return;
    }
    judge_second (self, job, from, to);
    self->ledger.held += job_state_is_held (to) - job_state_is_held (from);
    if (job_state_is_held (from) && (to == JOB_QUEUED || to == JOB_FAILED))
        tenure_note_taken (self, job);
    if (from == JOB_QUEUED && to == JOB_FAILED)
        patience_judge_end (self, job);
    if (to == JOB_ASSIGNED && attempt != job->attempt + 1)
        violation (self, "attempts are numbered one after the other", "job %lld: %lld after %lld", (long long) id, (long long) attempt,
                   (long long) job->attempt);
    job->state = to;
    job->judged_at = from == JOB_VERIFYING ? self->now : job->judged_at;
    job->free_since = 0;
    job->is_known = (to == JOB_VERIFYING && from == JOB_QUEUED) || (to == JOB_DONE && job->is_known);
    if (to == JOB_QUEUED) {
        job->queued_ms = wall_ms (self);
        job->class_since = 0;
    }
    if (to == JOB_ASSIGNED) {
        job->attempt = attempt;
        job->renewed_at = job->given_at = job->kept_from = self->now;
        read_attempt (self, job);
    }
}

/* Once, before all else. */
static void begin_build (world_t *self, build_entry_t *build, const char *to)
{
    if (build->has_begun || strcmp (to, "queued") != 0)
        violation (self, "each change of a state is an event", "build %lld begins %s as %s", (long long) build->id, build->has_begun ? "again" : "", to);
    build->has_begun = build->is_new = true;
}

static void move_build (world_t *self, build_entry_t *build, build_state from, build_state to)
{
    if (!build->has_begun || build->state != from || build_state_is_over (from)) {
        violation (self, "a build stays as it ended", "build %lld goes from %s to %s, but was %s", (long long) build->id,
                   build_state_name (from), build_state_name (to), build_state_name (build->state));
        return;
    }
    if (to == BUILD_PUBLISHED)
        publishing_judge_end (self, build);
    self->ledger.tallies [from]--;
    self->ledger.tallies [to]++;
    build->state = to;
    build->ended_ms = wall_ms (self);
}

/* What has ended, or is published, has no job that is not over; what goes on has none that had to end it. */
static void judge_jobs (world_t *self, const build_entry_t *build)
{
    const submission_t *wish = &self->submissions [build->submission];
    for (int i = 0; build->state < BUILD_PUBLISHING && !wish->keep_going && i < build->job_count; i++) {
        const job_entry_t *job = &self->ledger.jobs [build->first_job + i];
        if (job->state == JOB_FAILED && wish->required >> job->platform & 1)
            violation (self, "a failed job ends its build", "build %lld is %s, job %lld failed", (long long) build->id, build_state_name (build->state),
                       (long long) job->id);
    }
    for (int i = 0; build->state >= BUILD_PUBLISHING && i < build->job_count; i++)
        if (!job_state_is_over (self->ledger.jobs [build->first_job + i].state))
            violation (self, "a build ends with its jobs", "build %lld is %s, job %lld %s", (long long) build->id,
                       build_state_name (build->state), (long long) build->first_job + i,
                       job_state_name (self->ledger.jobs [build->first_job + i].state));
}

/* Older ones of the same user for the same tags wait no more. */
static void judge_superseded (world_t *self, build_entry_t *build)
{
    const submission_t *wish = &self->submissions [build->submission];
    bool does_supersede = build->is_new && json_is_true (json_object_get (json_object_get (wish->header, "spec"), "supersede"));
    build->is_new = false;
    for (int64_t i = 1; does_supersede && i < build->id; i++) {
        const build_entry_t *older = &self->ledger.builds [i];
        const submission_t *theirs = &self->submissions [older->submission];
        if (older->id && older->state == BUILD_QUEUED && theirs->user == wish->user && theirs->tags == wish->tags)
            violation (self, "a newer build supersedes those that wait", "build %lld is queued, build %lld was to supersede it", (long long) i,
                       (long long) build->id);
    }
}

/* One more build has changed, or the same again. */
static void note_change (ledger_t *ledger, int64_t build)
{
    size_t count = ledger->changed.size / sizeof build;
    if (count == 0 || ((const int64_t *) ledger->changed.data) [count - 1] != build)
        buffer_append (&ledger->changed, &build, sizeof build);
}

static void judge_changed (world_t *self)
{
    const int64_t *changed = (const int64_t *) self->ledger.changed.data;
    for (size_t i = 0; i < self->ledger.changed.size / sizeof *changed; i++) {
        build_entry_t *build = ledger_build (self, changed [i]);
        if (!build)
            continue;
        judge_jobs (self, build);
        judge_superseded (self, build);
    }
    buffer_clear (&self->ledger.changed);
}

static void read_event (world_t *self, const query_t *query)
{
    int64_t id = query_get_int (query, 1), job = query_get_int (query, 2);
    const char *from = query_get_text (query, 4), *to = query_get_text (query, 5);
    build_entry_t *build = ledger_build (self, id);
    self->ledger.last_event = query_get_int (query, 0);
    note_change (&self->ledger, id);
    if (!build)
        violation (self, "a build is somebody's", "build %lld was never submitted", (long long) id);
    else if (!*from)
        begin_build (self, build, to);
    else if (job)
        move_job (self, job, query_get_int (query, 3), job_state_of (from), job_state_of (to));
    else
        move_build (self, build, build_state_of (from), build_state_of (to));
}

void ledger_read (world_t *self)
{
    if (!self->ledger.has_new_events)
        return;
    self->ledger.has_new_events = false;
    query_t query = db_query (self->engine->db, "SELECT id, build, job, attempt, from_state, to_state FROM events WHERE id > :last "
                              "ORDER BY id");
    query_int (&query, ":last", self->ledger.last_event);
    while (query_step (&query))
        read_event (self, &query);
    query_end (&query, NULL);
    judge_changed (self);
}

/* All logs are closed, all leases begin anew, and what is due is done with the first tick. */
void ledger_restart (world_t *self)
{
    ledger_watch_queue (self);
    self->ledger.open_logs = 0;
    for (int64_t i = 1; i <= self->ledger.job_max; i++) {
        job_entry_t *job = &self->ledger.jobs [i];
        job->is_open = false;
        job->renewed_at = job->given_at = job->kept_from = self->now;
        job->class_since = 0;
    }
}

void ledger_free (world_t *self)
{
    free (self->ledger.jobs);
    free (self->ledger.builds);
    free (self->ledger.queue);
    buffer_free (&self->ledger.changed);
}
