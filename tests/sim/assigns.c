/* assigns.c - see sim.h: may this worker be given this job? */
#include "sim.h"

#include <string.h>

static const char *why_not_open (const world_t *self, int worker)
{
    const seat_t *seat = &self->seats [worker];
    if (!seat->peer)
        return "its connection has ended";
    if (!seat->is_there || seat_is_silent (self, seat))
        return "it is lost";
    if (seat->is_unfit)
        return "it has said that it cannot";
    if (seat->quarantined_until_ms > wall_ms (self))
        return "it is quarantined";
    return seat->mode != MODE_ACTIVE ? "an admin has taken it out" : NULL;
}

static void judge_worker (world_t *self, int worker, const job_entry_t *job, bool is_emulated)
{
    const char *name = worker_name (worker), *why = why_not_open (self, worker);
    long long id = (long long) job->id;
    bool may_emulate = self->submissions [job->submission].may_emulate;
    runs_t runs = worker_runs (self, worker, job->platform, true);
    if (why)
        violation (self, "only open workers get jobs", "job %lld was given to %s: %s", id, name, why);
    if (runs == RUNS_NOT || is_emulated != (runs == RUNS_EMULATED))
        violation (self, "a worker gets what it runs", "job %lld for %s was given to %s", id, platform_names [job->platform], name);
    else if (is_emulated && !may_emulate)
        violation (self, "nothing is emulated unasked", "job %lld for %s was given to %s", id, platform_names [job->platform], name);
    else if (!seat_serves (self, worker, job))
        violation (self, "a worker has the labels that a build requires, and the memory", "job %lld was given to %s", id, name);
}

static int worker_of_peer (const world_t *self, uint64_t peer)
{
    for (int i = 0; i < WORKERS; i++)
        if (self->seats [i].peer == peer)
            return i;
    return -1;
}

void assigns_judge_base (world_t *self, int64_t id, int version)
{
    build_entry_t *build = ledger_build (self, id);
    if (!build || version < 0)
        return;
    if (build->base && build->base != version + 1)
        violation (self, "all jobs of a build are given the same base images", "build %lld: version %d, and %d before", (long long) id, version, build->base - 1);
    build->base = version + 1;
}

void assigns_judge (world_t *self, const action_t *action)
{
    int64_t id = number_of (action->header, "job"), attempt = number_of (action->header, "attempt");
    const job_entry_t *job = ledger_job (self, id);
    int worker = worker_of_peer (self, action->peer);
    if (!job || job->state != JOB_ASSIGNED || job->attempt != attempt) {
        violation (self, "what is assigned was committed", "job %lld, attempt %lld", (long long) id, (long long) attempt);
        return;
    }
    if (worker < 0 || worker != job->worker) {
        violation (self, "only open workers get jobs", "job %lld was sent to a connection that is no worker's", (long long) id);
        return;
    }
    patience_judge_start (self, job);
    assigns_judge_base (self, job->build, base_of (json_array_get (json_object_get (action->header, "bases"), 0)));
    judge_worker (self, worker, job, json_is_true (json_object_get (action->header, "emulated")));
    seat_name (&self->seats [worker], id, attempt, self->now);
    if (self->seats [worker].named_count > worker_slots (self, worker))
        violation (self, "no slot is taken twice", "%s has %d slots, and %d attempts with job %lld", worker_name (worker),
                   worker_slots (self, worker), self->seats [worker].named_count, (long long) id);
}
