/* mishaps.c - see sim.h: what befalls boards in a cupboard, one by one: they die, are stopped, lose their connection, hang, forget what they
 * had, are cut off; and some have bugs, and tell what is not so. */
#include "sim.h"

static void plan_return (world_t *self, int who)
{
    int64_t ms = chance (self, 8) ? draw_ms (self, 600000) : draw_ms (self, 40000);
    self->workers [who].has_greeted = false;
    agenda_add (self, ms, (chore_t) { .kind = CHORE_BACK, .who = who, .token = self->workers [who].start });
}

void worker_die (world_t *self, int who)
{
    self->deaths++;
    self->workers [who].is_up = self->workers [who].is_stopping = false;
    self->workers [who].held_count = 0;
    network_leave (self, who, chance (self, 4) ? NULL : chance (self, 8) ? "gone" : "ended");      /* NULL: the power went */
    plan_return (self, who);
}

/* Told to end: what it has may go on for a while, or not. */
static void begin_stop (world_t *self, int who)
{
    worker_t *worker = &self->workers [who];
    worker->stop_until = self->now + (chance (self, 2) ? draw_ms (self, 60000) : 0);
    worker->is_stopping = true;
}

/* In good order: it says what it gives up. */
bool worker_ends (world_t *self, int who)
{
    worker_t *worker = &self->workers [who];
    if (!worker->is_stopping || (worker->held_count && self->now < worker->stop_until))
        return false;
    for (int i = 0; i < worker->held_count; i++) {
        worker_give_up (&worker->held [i], "interrupted");
        worker_post_report (self, who, &worker->held [i], ++self->last_seq);
    }
    worker_die (self, who);
    return true;
}

static void lose_something (world_t *self, int who)
{
    worker_t *worker = &self->workers [who];
    if (worker->held_count)
        worker_drop (worker, &worker->held [draw (self, (uint64_t) worker->held_count)]);
}

/* true: it is gone, or its connection is */
bool worker_has_mishap (world_t *self, int who)
{
    worker_t *worker = &self->workers [who];
    if (mishap (self, 60))
        worker_die (self, who);
    else if (mishap (self, 150))
        begin_stop (self, who);
    else if (mishap (self, 50)) {
        network_leave (self, who, chance (self, 4) ? NULL : chance (self, 8) ? "ended" : "gone");
        plan_return (self, who);
    } else if (mishap (self, 80))
        worker->silent_until = self->now + draw_ms (self, 90000);
    else if (mishap (self, 100))
        lose_something (self, who);
    else if (mishap (self, 100))
        worker->end.cut_until = self->now + draw_ms (self, chance (self, 4) ? 300000 : 60000);
    return !worker->is_up || !worker->end.peer;
}

/* -- lies ------------------------------------------------------------------------------------------------------------ */

/* Of an attempt that somebody has, or had, or will have. */
void worker_lie (world_t *self, int who)
{
    static const char *const codes [] = { "build", "cancelled", "network", "registry-denied", "interrupted" };
    if (self->ledger.job_max == 0)
        return;
    job_entry_t *job = ledger_job (self, 1 + (int64_t) draw (self, (uint64_t) self->ledger.job_max));
    if (!job || job->submission < 0)
        return;
    held_t claim = { .job = job->id, .submission = job->submission, .platform = job->platform, .stage = (int) draw (self, 5),
                     .code = codes [draw (self, 5)], .attempt = job->attempt + (int64_t) draw (self, 3) - 1 };
    if (claim.attempt < 1)
        claim.attempt = 1;
    if (claim.stage == STAGE_PUSHED)
        claim.image = chance (self, 2) && self->registry.image_count ? (int) draw (self, (uint64_t) self->registry.image_count)
                                                                     : registry_push (self, claim.platform, -1, self->registry.base, false);
    worker_post_report (self, who, &claim, ++self->last_seq);
}
