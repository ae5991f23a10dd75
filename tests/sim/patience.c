/* patience.c - see sim.h: how long a job waits. Beside a free slot that fits it no longer than affinity is worth; after a fault of the
 * farm's as long as its delay, which doubles; in a class no longer than ageing leaves it there; and where no worker takes such jobs as
 * long as its submitter said, neither less nor more. */
#include "sim.h"

#include <string.h>

#include "common/label.h"
#include "coordinator/lookups.h"

enum { SLACK_MS = 2000, UNASKED_MS = 600000 };

/* -- lanes that nobody serves --------------------------------------------------------------------------------------------- */

/* Workers as bits, for each thing that a lane may ask. */
typedef struct { unsigned runs [PLATFORMS] [2], meets [REQUIRES + 1], gives [MEMORIES]; } servers_t;

static void find_servers (const world_t *self, const bool open [WORKERS], servers_t *out)
{
    *out = (servers_t) { .meets = { 0 } };
    for (int i = 0; i < WORKERS; i++) {
        unsigned bit = open [i] ? 1u << i : 0;
        for (int platform = 0; platform < PLATFORMS; platform++)
            for (int emulates = 0; emulates < 2; emulates++)
                out->runs [platform] [emulates] |= worker_runs (self, i, platform, emulates) != RUNS_NOT ? bit : 0;
        for (int requires = -1; bit && requires < REQUIRES; requires++)
            out->meets [requires + 1] |= requires < 0 || requirement_holds (requirement (requires), self->seats [i].labels) ? bit : 0;
        for (int memory = 0; memory < MEMORIES; memory++)
            out->gives [memory] |= worker_gives (self, i, memory) ? bit : 0;
    }
}

/* kind: of lanes, all but who has built the job first. */
static unsigned servers_of (const servers_t *servers, int kind)
{
    int needs = kind / MEMORIES;
    return servers->runs [needs / (REQUIRES + 1) / 2] [needs / (REQUIRES + 1) % 2] & servers->meets [needs % (REQUIRES + 1)] & servers->gives [kind % MEMORIES];
}

/* After a start workers have the time of a lease to come back. */
static int64_t settled_ms (const world_t *self)
{
    int64_t settled = self->patience.restarted_ms + self->settings.lease_ms;
    return settled > wall_ms (self) ? settled : wall_ms (self);
}

static void note_lane (world_t *self, int lane, unsigned servers, bool has_run)
{
    int64_t *since_ms = &self->patience.since_ms [lane], *since_start_ms = &self->patience.since_start_ms [lane];
    if (servers) {
        *since_ms = *since_start_ms = 0;
        return;
    }
    *since_ms = *since_ms ? *since_ms : wall_ms (self);
    if (has_run && *since_start_ms == 0)
        *since_start_ms = settled_ms (self);
}

void patience_look (world_t *self, bool has_run)
{
    patience_t *patience = &self->patience;
    bool open [WORKERS];
    int64_t seen = 2 * self->labels_changed;
    for (int i = 0; i < WORKERS; i++) {
        open [i] = seat_is_open (self, i);
        seen = 2 * seen + open [i];
    }
    if (seen == patience->seen)
        return;
    patience->seen = has_run ? seen : 0;
    servers_t servers;
    find_servers (self, open, &servers);
    for (int kind = 0; kind < LANES_MAX / (WORKERS + 1); kind++) {
        unsigned all = servers_of (&servers, kind);
        for (int first = 0; first <= WORKERS; first++)
            note_lane (self, kind * (WORKERS + 1) + first, first ? all & ~(1u << (first - 1)) : all, has_run);
    }
}

/* It counts anew, perhaps: a lane may have been served for the moment of a batch that was lost. */
void patience_restart (world_t *self)
{
    memset (self->patience.since_start_ms, 0, sizeof self->patience.since_start_ms);
    self->patience.seen = 0;
}

static int64_t overdue_ms (const world_t *self, const job_entry_t *job, int64_t since_ms)
{
    int64_t from = job->queued_ms > since_ms ? job->queued_ms : since_ms, timeout_ms = self->submissions [job->submission].timeout_ms;
    return wall_ms (self) - from - (timeout_ms ? timeout_ms : UNASKED_MS);        /* 0 is for the submit alone */
}

static bool is_for_want_of_workers (world_t *self, int64_t job)
{
    query_t query = db_query (self->engine->db, "SELECT code = 'no-worker' FROM jobs WHERE id = :id");
    query_int (&query, ":id", job);
    bool is = query_step (&query) && query_get_int (&query, 0);
    query_end (&query, NULL);
    return is;
}

/* Its build never began. */
static bool has_no_base (world_t *self, const job_entry_t *job)
{
    query_t query = db_query (self->engine->db, "SELECT attempt = 0 AND reason LIKE 'a base image cannot be looked up%' FROM jobs WHERE id = :id");
    query_int (&query, ":id", job->id);
    bool has = query_step (&query) && query_get_int (&query, 0);
    query_end (&query, NULL);
    return has && self->settings.looks_up;
}

static bool was_context_lost (const world_t *self, const job_entry_t *job)
{
    return self->depot.was_lost [self->submissions [job->submission].inputs];
}

/* Or its context is lost. */
void patience_judge_end (world_t *self, const job_entry_t *job)
{
    if (!is_for_want_of_workers (self, job->id)) {
        if (!was_context_lost (self, job) && !has_no_base (self, job))
            violation (self, "a job fails in the queue when no worker takes it", "job %lld: it had another reason", (long long) job->id);
        return;
    }
    int64_t since_ms = self->patience.since_ms [lane_of_job (self, job)];
    self->patience.ended = job->id;
    if (since_ms == 0)
        violation (self, "a job fails in the queue when no worker takes it", "job %lld: one does", (long long) job->id);
    else if (overdue_ms (self, job, since_ms) < 0)
        violation (self, "a job fails in the queue after its time", "job %lld: %lld ms too early, for %s, unserved since %lld", (long long) job->id,
                   (long long) -overdue_ms (self, job, since_ms), platform_names [job->platform],
                   (long long) (since_ms - wall_ms (self) + self->now));
}

void patience_judge_ended (world_t *self)
{
    const job_entry_t *job = self->patience.ended ? ledger_job (self, self->patience.ended) : NULL;
    self->patience.ended = 0;
    if (job && self->patience.since_ms [lane_of_job (self, job)] == 0)
        violation (self, "a job fails in the queue when no worker takes it", "job %lld: one is back", (long long) job->id);
}

static void judge_overdue (world_t *self, const job_entry_t *job)
{
    int64_t since_ms = self->patience.since_start_ms [lane_of_job (self, job)];
    int64_t latest = self->ledger.paused_until > job->entered_at ? self->ledger.paused_until : job->entered_at;
    if (since_ms && overdue_ms (self, job, since_ms) > SLACK_MS && self->now > latest + SLACK_MS)
        violation (self, "a job fails in the queue after its time", "job %lld: %lld ms too late, for %s%s%s, unserved since %lld",
                   (long long) job->id, (long long) overdue_ms (self, job, since_ms), platform_names [job->platform],
                   self->submissions [job->submission].may_emulate ? " or emulated " : " ", requirement (self->submissions [job->submission].requires),
                   (long long) (since_ms - wall_ms (self) + self->now));
}

/* -- free slots ------------------------------------------------------------------------------------------------------------ */

typedef struct { bool is_free [WORKERS]; } free_slots_t;

static free_slots_t find_slots (const world_t *self)
{
    free_slots_t slots = { { false } };
    for (int i = 0; i < WORKERS; i++) {
        const board_t *board = seat_is_open (self, i) ? board_of_worker (self, i) : NULL;
        slots.is_free [i] = board && board->busy < board->slots;
    }
    return slots;
}

static int find_free (const world_t *self, const free_slots_t *slots, const job_entry_t *job)
{
    for (int i = 0; i < WORKERS; i++)
        if (slots->is_free [i] && seat_serves (self, i, job))
            return i;
    return -1;
}

static void judge_idle (world_t *self, const free_slots_t *slots, job_entry_t *job)
{
    int worker = find_free (self, slots, job);
    if (worker < 0 || self->winds_down_until || self->now <= self->ledger.paused_until) {
        job->free_since = 0;
        return;
    }
    self->patience.is_pending = true;
    if (job->free_since == 0)
        job->free_since = self->now;
    if (self->now - job->free_since > self->settings.affinity_ms)
        violation (self, "no job waits beside a free slot", "job %lld has waited for %lld ms while %s has one", (long long) job->id,
                   (long long) (self->now - job->free_since), worker_name (worker));
}

/* -- rests ------------------------------------------------------------------------------------------------------------------ */

/* One that waits for its context is looked at in the end. */
static void judge_rest (world_t *self, job_entry_t *job, int64_t failures)
{
    int64_t longest = self->settings.retry_ms << (failures ? failures - 1 : self->settings.attempts_max - 1);
    if (failures && !was_context_lost (self, job))
        job->rests_until = job->queued_ms + longest;
    if (job->rests_since == 0 || job->rests_attempt != job->attempt)
        job->rests_since = self->now;
    job->rests_attempt = job->attempt;
    int64_t from = job->rests_since > self->ledger.paused_until ? job->rests_since : self->ledger.paused_until;
    if (self->now - from > longest + SLACK_MS && !was_context_lost (self, job))
        violation (self, "a job rests no longer than its delay", "job %lld rests for %lld ms", (long long) job->id, (long long) (self->now - job->rests_since));
}

static void judge_rests (world_t *self)
{
    query_t query = db_query (self->engine->db, "SELECT id, failures FROM jobs WHERE is_resting AND NOT " LOOKING_JOBS);
    while (query_step (&query)) {
        job_entry_t *job = ledger_job (self, query_get_int (&query, 0));
        if (job)
            judge_rest (self, job, query_get_int (&query, 1));
    }
    query_end (&query, NULL);
}

/* A restart is rest enough, and so is a context that comes back. */
void patience_judge_start (world_t *self, const job_entry_t *job)
{
    if (job->rests_until > wall_ms (self) && self->patience.restarted_ms < job->queued_ms && !was_context_lost (self, job))
        violation (self, "a job rests as long as its delay", "job %lld begins %lld ms too early", (long long) job->id,
                   (long long) (job->rests_until - wall_ms (self)));
}

/* -- age -------------------------------------------------------------------------------------------------------------------- */

static void judge_age (world_t *self, job_entry_t *job, int class)
{
    if (job->class_since == 0 || job->class != class)
        job->class_since = self->now;
    job->class = class;
    int64_t from = job->class_since > job->entered_at ? job->class_since : job->entered_at;
    if (from < self->ledger.paused_until)
        from = self->ledger.paused_until;
    if (class > CLASS_HIGH && !self->winds_down_until && self->now - from > self->settings.ageing_ms + SLACK_MS)
        violation (self, "what waits rises", "job %lld has had class %d for %lld ms", (long long) job->id, class, (long long) (self->now - from));
}

/* -- the queue -------------------------------------------------------------------------------------------------------------- */

bool patience_is_pending (const world_t *self)
{
    return self->patience.is_pending;
}

/* It may have rested until now, for the context that it needs, and its time be over. */
static void note_entry (world_t *self, job_entry_t *job)
{
    if (job->looks != self->patience.looks - 1)
        job->entered_at = self->now;
    job->looks = self->patience.looks;
    job->rests_since = 0;
}

void patience_judge (world_t *self)
{
    self->patience.is_pending = false;
    self->patience.looks++;
    free_slots_t slots = find_slots (self);
    for (int i = 0; i < self->ledger.queue_count; i++) {
        job_entry_t *job = ledger_job (self, self->ledger.queue [i].job);
        note_entry (self, job);
        judge_idle (self, &slots, job);
        judge_overdue (self, job);
        judge_age (self, job, self->ledger.queue [i].class);
    }
    judge_rests (self);
}
