/* slot.c - see slot.h. */
#include "worker/slot.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/quantity.h"

enum { PUSH_TRIES = 4, PUSH_WAIT_MS = 1000, FLUSH_MS = 10000, FLUSH_STOPPED_MS = 1500 };

struct slot {
    attempt_t attempt;
    atomic_int stop;            /* stop_t; what the builder looks at as is_cancelled */
    int64_t timeout_ms;
    zsock_t *pipe;
};

slot_t *slot_new (const attempt_parts_t *parts, json_t **assign)
{
    slot_t *self = mem_alloc (sizeof *self);
    self->timeout_ms = json_integer_value (json_object_get (*assign, "timeout_ms"));
    attempt_init (&self->attempt, parts, assign, &self->stop);
    return self;
}

/* One whose actor never ran has its assignment yet. */
void slot_destroy (slot_t **self)
{
    json_decref ((*self)->attempt.assign);
    auto_free (self);
    *self = NULL;
}

void slot_stop (slot_t *self, stop_t why)
{
    int not_yet = STOP_NOT;
    atomic_compare_exchange_strong (&self->stop, &not_yet, why);
}

/* -- reports ---------------------------------------------------------------------------------------------------- */

/* Takes more, the fields that this state has beside the common ones; NULL for none. */
static void report (slot_t *self, const char *state, json_t *more)
{
    AUTO_JSON json_t *header = more ? more : json_object ();
    json_object_set_new (header, "job", json_integer (self->attempt.job));
    json_object_set_new (header, "attempt", json_integer (self->attempt.number));
    json_object_set_new (header, "state", json_string (state));
    AUTO_FREE char *text = json_dumps (header, JSON_COMPACT);
    zstr_sendx (self->pipe, "REPORT", text, NULL);
}

static json_t *times (const slot_t *self)
{
    return json_pack ("{s:I, s:I}", "fetched_bytes", (json_int_t) self->attempt.fetched.wire_bytes, "builder_ms",
                      (json_int_t) self->attempt.builder_ms);
}

/* What a RUN step or a Dockerfile holds need not be UTF-8. */
static json_t *as_json (const char *text)
{
    err_t tidy;
    err_set (&tidy, ERR_NONE, "%s", text);
    return json_string (tidy.text);
}

static void report_failed (slot_t *self, const err_t *err)
{
    const builder_outcome_t *outcome = &self->attempt.outcome;
    json_t *more = times (self);
    json_object_set_new (more, "code", json_string (err_name (err->code)));
    json_object_set_new (more, "text", as_json (err->text));
    if ((err->code == ERR_BUILD || err->code == ERR_PRUNED) && outcome->failed_step [0])
        json_object_set_new (more, "step", as_json (outcome->failed_step));
    if (err->code == ERR_BUILD && outcome->exit_status)
        json_object_set_new (more, "exit_status", json_integer (outcome->exit_status));
    report (self, "failed", more);
}

/* How much of the context was here already: the same bytes twice in it came once. */
static void add_kept (const slot_t *self, json_t *more)
{
    uint64_t needed = self->attempt.checked_out.bytes, fetched = self->attempt.fetched.content_bytes;
    json_object_set_new (more, "context_bytes", json_integer ((json_int_t) needed));
    json_object_set_new (more, "kept_bytes", json_integer ((json_int_t) (needed > fetched ? needed - fetched : 0)));
}

static void report_pushed (slot_t *self)
{
    json_t *more = times (self);
    add_kept (self, more);
    json_object_set_new (more, "digest", json_string (self->attempt.digest));
    if (self->attempt.bases)
        json_object_set (more, "bases", self->attempt.bases);
    report (self, "pushed", more);
}

/* -- the way ---------------------------------------------------------------------------------------------------- */

static bool is_worth_a_try (const slot_t *self, const err_t *err)
{
    return err_is_farm_fault (err->code) && err->code != ERR_FULL && atomic_load (&self->stop) == STOP_NOT
           && clock_boot_ms () < self->attempt.deadline_ms;
}

/* Until the next try, or a STOP. */
static void wait_before_try (slot_t *self, int ms)
{
    zmq_pollitem_t item = { .socket = zsock_resolve (self->pipe), .events = ZMQ_POLLIN };
    zmq_poll (&item, 1, ms);
}

/* The image is built; a registry that stumbles does not cost that. */
static int push (slot_t *self, err_t *err)
{
    attempt_t *attempt = &self->attempt;
    int wait_ms = attempt->parts->push_wait_ms ? attempt->parts->push_wait_ms : PUSH_WAIT_MS;
    for (int i = 1; attempt_push (attempt, err) < 0; i++) {
        if (i == PUSH_TRIES || !is_worth_a_try (self, err))
            return -1;
        joblog_say (attempt->log, "%s; push %d of %d in %d ms", err->text, i + 1, PUSH_TRIES, wait_ms);
        wait_before_try (self, wait_ms);
        wait_ms *= 2;
    }
    joblog_say (attempt->log, "pushed %s to %s/%s", attempt->digest, attempt->task.repository.host, attempt->task.repository.path);
    return 0;
}

static int run (slot_t *self, err_t *err)
{
    attempt_t *attempt = &self->attempt;
    report (self, "fetching", NULL);
    if (attempt_prepare (attempt, err) < 0 || attempt_fetch (attempt, err) < 0 || attempt_ask_secrets (attempt, err) < 0
        || attempt_open_agents (attempt, err) < 0)
        return -1;
    report (self, "building", times (self));
    if (attempt_build (attempt, err) < 0)
        return -1;
    report (self, "pushing", times (self));
    return push (self, err);
}

static void tell_time (const slot_t *self, err_t *err)
{
    char limit [QUANTITY_SIZE];
    const json_t *assign = self->attempt.assign;
    const char *platform = json_string_value (json_object_get (assign, "platform"));
    err_set (err, ERR_TIMEOUT, "job %lld/%s was stopped at its time limit of %s; raise --timeout, or make the build faster",
             (long long) json_integer_value (json_object_get (assign, "build")), platform ? platform : "",
             quantity_duration (self->timeout_ms, limit));
}

/* A stopped attempt fails for the reason of its stop, whatever that broke. */
static void judge_stop (const slot_t *self, err_t *err)
{
    switch (atomic_load (&self->stop)) {
        case STOP_ABORTED:
            err_set (err, ERR_CANCELLED, "stopped as the coordinator asked");
            break;
        case STOP_WORKER:
            err_set (err, ERR_INTERRUPTED, "worker %s is being stopped", self->attempt.parts->worker_name);
            break;
        case STOP_TIMEOUT:
            tell_time (self, err);
            break;
        default:
            if (err->code == ERR_TIMEOUT)           /* of the builder, which looks at the clock itself */
                tell_time (self, err);
            break;
    }
}

/* All of the log before the last report, so that who follows it sees its end. An aborted attempt's log is closed already. */
static void flush (slot_t *self)
{
    int stop = atomic_load (&self->stop);
    if (!self->attempt.log || stop == STOP_ABORTED)
        return;
    if (!joblog_flush (self->attempt.log, stop == STOP_WORKER ? FLUSH_STOPPED_MS : FLUSH_MS))
        log_warn ("slot", "the log of job %lld, attempt %d is not whole at the coordinator: it does not take it",
                  (long long) self->attempt.job, self->attempt.number);
}

/* With the last report the slot is free: the next attempt comes at once, and should find the checkout. */
static void finish (slot_t *self, int rc, err_t *err)
{
    attempt_give_back (&self->attempt);
    if (rc < 0) {
        judge_stop (self, err);
        if (self->attempt.log)
            joblog_say (self->attempt.log, "failed (%s): %s", err_name (err->code), err->text);
    }
    flush (self);
    if (rc < 0)
        report_failed (self, err);
    else
        report_pushed (self);
}

void slot_actor (zsock_t *pipe, void *slot)
{
    slot_t *self = slot;
    err_t err = { 0 };
    self->pipe = pipe;
    zsock_signal (pipe, 0);
    int rc = run (self, &err);
    finish (self, rc, &err);
    attempt_clean (&self->attempt);
    zstr_send (pipe, "OVER");
    bool is_ended = false;
    while (!is_ended) {         /* a STOP may still have come */
        AUTO_FREE char *command = zstr_recv (pipe);
        is_ended = !command || streq (command, "$TERM");
    }
}
