/* referee.c - see sim.h: after each batch that was committed, before anybody hears of it. What follows from memory is looked at each
 * time, what needs the database when something has changed, and its rows as a whole now and then. */
#include "sim.h"

#include <string.h>

#include "disk.h"

enum { QUEUE_EVERY = 8, ROWS_EVERY = 1024 };

/* -- answers --------------------------------------------------------------------------------------------------------------- */

static const heard_event_t *event_of (const heard_event_t *events, size_t count, const action_t *answer)
{
    for (size_t i = 0; i < count; i++)
        if (events [i].peer == answer->peer && number_of (events [i].header, "seq") == number_of (answer->header, "re"))
            return &events [i];
    return NULL;
}

/* The build is there, is the one of this request, and was the same the last time. */
static void judge_accepted (world_t *self, const heard_event_t *event, int64_t id)
{
    const build_entry_t *build = ledger_build (self, id);
    int64_t index = number_of (event ? event->header : NULL, "seq") - 1000000;
    if (index < 0 || index >= self->submission_count)
        return;
    submission_t *submission = &self->submissions [index];
    if (!build || build->submission != index)
        violation (self, "what was acknowledged is there", "build %lld", (long long) id);
    if (submission->build && submission->build != id)
        violation (self, "a request is one build", "build %lld, and now %lld", (long long) submission->build, (long long) id);
    submission->build = id;
}

/* What is refused is refused for a reason that lies with somebody: a `farm` without a fault of the disk is a bug. */
static void judge_error (world_t *self, const action_t *action)
{
    const char *code = text_of (action->header, "code");
    bool is_good = disk_is_fine () && self->now > self->ledger.paused_until;
    if (strcmp (code, "farm") == 0 || (is_good && strcmp (code, "full") == 0 && self->settings.queue_max > 1000))
        if (is_good)
            violation (self, "the engine does not fail by itself", "%s", text_of (action->header, "text"));
}

/* After all answers of the batch: what was sent twice may have been refused first and accepted then. */
static void judge_refused (world_t *self, const heard_event_t *event)
{
    int64_t index = event && strcmp (event->verb, "submit") == 0 ? number_of (event->header, "seq") - 1000000 : -1;
    if (index < 0 || index >= self->submission_count || self->submissions [index].build)
        return;
    query_t query = db_query (self->engine->db, "SELECT id FROM builds WHERE principal = :principal AND request = :request");
    query_int (&query, ":principal", network_principal (self, event->who));
    query_text (&query, ":request", text_of (event->header, "request"));
    if (query_step (&query))
        violation (self, "a refused submit leaves no build behind", "build %lld", (long long) query_get_int (&query, 0));
    query_end (&query, NULL);
}

static void judge_pinned (world_t *self, const heard_event_t *event, const json_t *answer)
{
    const job_entry_t *job = event ? ledger_job (self, number_of (event->header, "job")) : NULL;
    if (job)
        assigns_judge_base (self, job->build, base_of (answer));
}

static void judge_sent (world_t *self, const heard_event_t *events, size_t count, const action_t *action)
{
    if (strcmp (action->verb, "accepted") == 0)
        judge_accepted (self, event_of (events, count, action), number_of (action->header, "build"));
    else if (strcmp (action->verb, "assign") == 0)
        assigns_judge (self, action);
    else if (strcmp (action->verb, "abort") == 0)
        tenure_judge_abort (self, action);
    else if (strcmp (action->verb, "pinned") == 0)
        judge_pinned (self, event_of (events, count, action), action->header);
    else if (strcmp (action->verb, "error") == 0)
        judge_error (self, action);
}

/* -- logs and leases -------------------------------------------------------------------------------------------------------- */

static void judge_log (world_t *self, const action_t *action, bool is_open)
{
    job_entry_t *job = ledger_job (self, number_of (action->header, "job"));
    if (!job)
        return;
    if (job->is_open == is_open)
        violation (self, "a log is opened and closed once", "job %lld", (long long) job->id);
    job->is_open = is_open;
    self->ledger.open_logs += is_open ? 1 : -1;
}

/* Each lease is of a job that a worker has, and each such job has one, with an open log. */
static void judge_leases (world_t *self)
{
    const engine_t *engine = self->engine;
    if ((int) engine->lease_count != self->ledger.held || self->ledger.open_logs != self->ledger.held)
        violation (self, "each job that a worker has is under one lease", "%d jobs, %d leases, %d open logs", self->ledger.held,
                   (int) engine->lease_count, self->ledger.open_logs);
    for (size_t i = 0; i < engine->lease_count; i++) {
        const job_entry_t *job = ledger_job (self, engine->leases [i].job);
        if (!job || !job_state_is_held (job->state) || job->attempt != engine->leases [i].attempt || !job->is_open)
            violation (self, "each job that a worker has is under one lease", "job %lld", (long long) engine->leases [i].job);
        else if (self->now - job->renewed_at > self->settings.lease_ms && self->now > self->ledger.paused_until && self->now >= self->patient_until)
            violation (self, "a lease ends when its worker is silent", "job %lld: for %lld ms", (long long) job->id,
                       (long long) (self->now - job->renewed_at));
    }
}

static void judge_slots (world_t *self)
{
    const engine_t *engine = self->engine;
    for (size_t i = 0; i < engine->board_count; i++) {
        const board_t *board = &engine->boards [i];
        int leases = 0, halts = 0;
        for (size_t j = 0; j < engine->lease_count; j++)
            leases += engine->leases [j].worker == board->id;
        for (size_t j = 0; j < engine->halt_count; j++)
            halts += engine->halts [j].worker == board->id;
        if (leases + halts != board->busy || leases > board->slots)
            violation (self, "slots are counted right", "%s: %d leases, %d halts, busy %d of %d", board->name, leases, halts, board->busy,
                       board->slots);
    }
}

/* -- a batch ------------------------------------------------------------------------------------------------------------------ */

static bool judge_actions (world_t *self, const heard_event_t *events, size_t count, const actions_t *actions)
{
    bool has_assigned = false;
    for (size_t i = 0; i < actions->count; i++) {
        const action_t *action = &actions->items [i];
        if (action->type == ACTION_SEND)
            judge_sent (self, events, count, action);
        else if (action->type == ACTION_VERIFY)
            publishing_judge_verify (self, action->header);
        else if (action->type == ACTION_PUBLISH)
            publishing_judge (self, action->header);
        else if (action->type == ACTION_OPEN_LOG || action->type == ACTION_CLOSE_LOG)
            judge_log (self, action, action->type == ACTION_OPEN_LOG);
        has_assigned |= action->type == ACTION_SEND && strcmp (action->verb, "assign") == 0;
    }
    for (size_t i = 0; i < actions->count; i++)
        if (actions->items [i].type == ACTION_SEND && strcmp (actions->items [i].verb, "error") == 0)
            judge_refused (self, event_of (events, count, &actions->items [i]));
    return has_assigned;
}

void referee_judge (world_t *self, const heard_event_t *events, size_t count, const actions_t *actions)
{
    ledger_read (self);
    if (self->ledger.has_new_workers)
        seats_read (self);
    seats_hear (self, events, count, actions);
    tenure_judge (self);
    bool has_assigned = judge_actions (self, events, count, actions);
    judge_leases (self);
    judge_slots (self);
    patience_look (self, count > 0);        /* at its start the engine has not looked yet, and may be frozen before it does */
    patience_judge_ended (self);
    if (has_assigned || patience_is_pending (self) || self->judged++ % QUEUE_EVERY == 0) {
        ledger_read_queue (self);
        fairness_judge (self, actions);
        patience_judge (self);
    }
    if (self->judged % ROWS_EVERY == 0)
        rows_judge (self);
}

/* -- the end -------------------------------------------------------------------------------------------------------------------- */

void referee_judge_end (world_t *self)
{
    const engine_t *engine = self->engine;
    for (int64_t i = 1; i <= self->ledger.build_max; i++) {
        const build_entry_t *build = &self->ledger.builds [i];
        if (build->id && !build_state_is_over (build->state))
            violation (self, "an acknowledged build comes to its end", "build %lld is %s", (long long) i, build_state_name (build->state));
    }
    if (engine->lease_count || engine->halt_count || self->ledger.open_logs || rows_count (self, "SELECT (SELECT count (*) FROM outbox) + (SELECT count (*) FROM lookups)"))
        violation (self, "nothing is left in the end", "%d leases, %d halts, %d open logs", (int) engine->lease_count,
                   (int) engine->halt_count, self->ledger.open_logs);
    if (engine->wait_count)
        violation (self, "nothing is left in the end", "%d waits, the first of kind %d for %lld", (int) engine->wait_count,
                   (int) engine->waits [0].kind, (long long) engine->waits [0].id);
    rows_judge (self);
}
