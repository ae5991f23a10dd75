/* tenure.c - see sim.h: what a worker has is its own. Nobody takes it away before it says that it has ended it or has it no more, was silent
 * for the time of a lease, was away for longer than the end of its connection leaves it, or is far behind the time limit. After a moment in
 * which the coordinator did not listen nobody was silent or away. */
#include "sim.h"

#include <string.h>

enum { OVERDUE_MS = 300000 };

static const char *const RULE = "nothing is taken from a worker that is back in time";

void tenure_restart (world_t *self)
{
    ledger_read (self);
    self->tenure.count = 0;
}

/* -- what was taken, and what was heard of it ------------------------------------------------------------------------------- */

static int64_t limit_of (const world_t *self, const job_entry_t *job)
{
    int64_t asked_ms = number_of (json_object_get (self->submissions [job->submission].header, "spec"), "timeout_ms");
    return job->given_at + (asked_ms ? asked_ms : self->settings.job_timeout_ms) + OVERDUE_MS;
}

void tenure_note_taken (world_t *self, const job_entry_t *job)
{
    tenure_t *tenure = &self->tenure;
    if (tenure->count < TAKEN_MAX && job->worker >= 0)
        tenure->items [tenure->count++] = (taken_t) { .job = job->id, .attempt = job->attempt, .given_at = job->given_at,
                                                      .kept_from = job->kept_from, .limit_at = limit_of (self, job), .worker = job->worker };
}

static bool do_name (const json_t *attempts, const taken_t *taken)
{
    size_t i;
    json_t *item;
    json_array_foreach ((json_t *) attempts, i, item)
        if (number_of (item, "job") == taken->job && number_of (item, "attempt") == taken->attempt)
            return true;
    return false;
}

void tenure_hear_word (world_t *self, int worker, const json_t *attempts, int64_t fresh_at)
{
    for (int i = 0; i < self->tenure.count; i++) {
        taken_t *taken = &self->tenure.items [i];
        if (taken->worker != worker)
            continue;
        if (do_name (attempts, taken))
            taken->kept_from = self->now;
        else
            taken->is_given_up |= taken->given_at <= fresh_at;
    }
}

void tenure_hear_end (world_t *self, int worker, int64_t job, int64_t attempt)
{
    for (int i = 0; i < self->tenure.count; i++) {
        taken_t *taken = &self->tenure.items [i];
        taken->is_given_up |= taken->worker == worker && taken->job == job && taken->attempt == attempt;
    }
}

void tenure_part (world_t *self, int worker, int64_t grace_ms)
{
    int64_t *back_until = &self->seats [worker].back_until;
    if (*back_until == 0 || *back_until > self->now + grace_ms)
        *back_until = self->now + grace_ms;
}

/* -- the rule --------------------------------------------------------------------------------------------------------------- */

static int64_t kept_until (const world_t *self, const taken_t *taken)
{
    int64_t until = taken->kept_from + self->settings.lease_ms, back_until = self->seats [taken->worker].back_until;
    if (back_until && back_until < until)
        until = back_until;
    return until < self->patient_until ? self->patient_until : until;
}

void tenure_judge (world_t *self)
{
    for (int i = 0; i < self->tenure.count; i++) {
        const taken_t *taken = &self->tenure.items [i];
        int64_t until = kept_until (self, taken);
        if (!taken->is_given_up && self->now < until && self->now < taken->limit_at)
            violation (self, RULE, "job %lld, attempt %lld of %s, %lld ms too early", (long long) taken->job, (long long) taken->attempt,
                       worker_name (taken->worker), (long long) (until - self->now));
    }
    self->tenure.count = 0;
}

void tenure_judge_abort (world_t *self, const action_t *action)
{
    const job_entry_t *job = ledger_job (self, number_of (action->header, "job"));
    if (job && job->worker >= 0 && self->seats [job->worker].peer == action->peer && job->attempt == number_of (action->header, "attempt")
        && job_state_is_held (job->state))
        violation (self, RULE, "job %lld, attempt %lld: %s is told to end it", (long long) job->id, (long long) job->attempt, worker_name (job->worker));
}
