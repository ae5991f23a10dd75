/* fairness.c - see sim.h: who is given a slot, and who has to wait for it.
 *
 * A worker that is given a job of one user has none of a higher class to give, nor one of the same class of a user whom it has
 * served longer ago. Save those that it could not be given in that moment: a job that waits for its home, for as long as that is worth
 * it, and one that another worker with a free slot is about to get. A job goes to the best of those with a free slot. */
#include "sim.h"

#include <string.h>

typedef struct { int free [WORKERS]; } slots_t;

/* Before this batch gave any away. */
static void count_slots (const world_t *self, const actions_t *actions, slots_t *out)
{
    *out = (slots_t) { { 0 } };
    for (int i = 0; i < WORKERS; i++) {
        const board_t *board = board_of_worker (self, i);
        out->free [i] = board ? board->slots - board->busy : 0;
    }
    for (size_t i = 0; i < actions->count; i++)
        for (int worker = 0; worker < WORKERS; worker++)
            if (strcmp (actions->items [i].verb, "assign") == 0 && self->seats [worker].peer == actions->items [i].peer)
                out->free [worker]++;
}

static bool has_other (const world_t *self, const slots_t *slots, int worker, const job_entry_t *job)
{
    for (int i = 0; i < WORKERS; i++)
        if (i != worker && slots->free [i] > 0 && seat_is_open (self, i) && seat_serves (self, i, job))
            return true;
    return false;
}

static int class_of_job (world_t *self, int64_t job)
{
    query_t query = db_query (self->engine->db, "SELECT class FROM jobs WHERE id = :id");
    query_int (&query, ":id", job);
    int class = query_step (&query) ? (int) query_get_int (&query, 0) : 0;
    query_end (&query, NULL);
    return class;
}

/* Each user's oldest job of a class that the worker could be given. */
static void find_waiting (world_t *self, int worker, job_entry_t *out [CLASSES] [USERS])
{
    memset (out, 0, CLASSES * sizeof *out);
    for (int i = 0; i < self->ledger.queue_count; i++) {
        const queue_row_t *row = &self->ledger.queue [i];
        job_entry_t *job = ledger_job (self, row->job), **first = &out [row->class] [row->user];
        if (seat_serves (self, worker, job) && (!*first || job->id < (*first)->id))
            *first = job;
    }
}

static void judge_one (world_t *self, int worker, const job_entry_t *given, const slots_t *slots)
{
    job_entry_t *waiting [CLASSES] [USERS];
    int class = class_of_job (self, given->id), user = self->submissions [given->submission].user;
    const int64_t *served = self->seats [worker].last_served;
    if (class > self->submissions [given->submission].class)        /* it only rises */
        violation (self, "a job has the class that was asked for", "job %lld has class %d", (long long) given->id, class);
    find_waiting (self, worker, waiting);
    for (int i = 0; i < (class + 1) * USERS; i++) {
        const job_entry_t *job = waiting [i / USERS] [i % USERS];
        bool is_first = i / USERS < class || served [i % USERS] < served [user];
        if (!job || !is_first || job->queued_ms + self->settings.affinity_ms > wall_ms (self) || has_other (self, slots, worker, job))
            continue;
        violation (self, "users take turns, in the order of classes", "%s was given job %lld of user %d (class %d), while job %lld of user %d "
                   "(class %d) waits", worker_name (worker), (long long) given->id, user, class, (long long) job->id, i % USERS, i / USERS);
    }
}

static bool has_failed_at (world_t *self, int worker, const job_entry_t *job)
{
    query_t query = db_query (self->engine->db, "SELECT 1 FROM attempts JOIN workers ON workers.id = worker JOIN jobs ON jobs.id = job "
                              "WHERE job = :job AND workers.name = :name AND attempts.state = 'failed' AND failures > 0");
    query_int (&query, ":job", job->id);
    query_text (&query, ":name", worker_name (worker));
    bool is = query_step (&query);
    query_end (&query, NULL);
    return is;
}

/* Who has built the repository and platform last; -1: nobody. */
static int home_of (world_t *self, const job_entry_t *job)
{
    query_t query = db_query (self->engine->db, "SELECT workers.name FROM builds JOIN homes ON homes.repository = builds.repository "
                              "JOIN workers ON workers.id = worker WHERE builds.id = :build AND homes.platform = :platform");
    query_int (&query, ":build", job->build);
    query_text (&query, ":platform", platform_names [job->platform]);
    int home = query_step (&query) ? worker_named (query_get_text (&query, 0)) : -1;
    query_end (&query, NULL);
    return home;
}

/* It may be where the repository, or the context, is at home. */
static bool is_near (const world_t *self, int worker, const job_entry_t *job)
{
    const submission_t *wish = &self->submissions [job->submission];
    return self->seats [worker].repositories >> wish->repository & 1 || self->seats [worker].inputs >> wish->inputs & 1;
}

static double load_of (const world_t *self, int worker, const slots_t *slots)
{
    return 1 - (double) slots->free [worker] / worker_slots (self, worker);
}

typedef struct { const job_entry_t *job; const slots_t *slots; int worker, home; runs_t runs; bool has_failed, is_near; } choice_t;

/* NULL: this other one, with a free slot, is no better. */
static const char *why_better (world_t *self, const choice_t *choice, int other)
{
    runs_t runs = worker_runs (self, other, choice->job->platform, true);
    if (runs != choice->runs)
        return runs < choice->runs ? "natives come first" : NULL;
    bool has_failed = choice->job->attempt > 1 && has_failed_at (self, other, choice->job);
    if (has_failed != choice->has_failed)
        return choice->has_failed ? "a job that a worker has failed at goes to another" : NULL;
    if (other == choice->home)
        return "a job goes home";
    bool is_busier = load_of (self, choice->worker, choice->slots) > load_of (self, other, choice->slots);
    return !choice->is_near && is_busier ? "the least busy worker gets the job" : NULL;
}

static void judge_choice (world_t *self, int worker, const job_entry_t *job, const slots_t *slots)
{
    choice_t choice = { .job = job, .slots = slots, .worker = worker, .home = home_of (self, job), .runs = worker_runs (self, worker, job->platform, true),
                        .has_failed = job->attempt > 1 && has_failed_at (self, worker, job), .is_near = is_near (self, worker, job) };
    for (int i = 0; i < WORKERS; i++) {
        bool is_free = i != worker && slots->free [i] > 0 && seat_is_open (self, i) && seat_serves (self, i, job);
        const char *rule = is_free ? why_better (self, &choice, i) : NULL;
        if (rule)
            violation (self, rule, "job %lld for %s was given to %s, and not to %s, which has a free slot", (long long) job->id,
                       platform_names [job->platform], worker_name (worker), worker_name (i));
    }
}

void fairness_judge (world_t *self, const actions_t *actions)
{
    slots_t slots;
    count_slots (self, actions, &slots);
    for (size_t i = 0; i < actions->count; i++) {
        const job_entry_t *job = ledger_job (self, number_of (actions->items [i].header, "job"));
        if (strcmp (actions->items [i].verb, "assign") != 0 || !job || job->worker < 0)
            continue;
        judge_one (self, job->worker, job, &slots);
        judge_choice (self, job->worker, job, &slots);
        self->seats [job->worker].repositories |= 1u << self->submissions [job->submission].repository;
        self->seats [job->worker].inputs |= 1u << self->submissions [job->submission].inputs;
        slots.free [job->worker]--;
        self->seats [job->worker].last_served [self->submissions [job->submission].user] = ++self->last_turn;
    }
}
