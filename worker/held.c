/* held.c - see held.h. */
#include "worker/held.h"

#include <stdlib.h>

#include "common/actor.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

enum { REPEAT_MS = 1000, REPEAT_MAX_MS = 32000, TIMEOUT_SLACK_MS = 10000 };

static held_t *make (const json_t *assign)
{
    held_t *self = mem_alloc (sizeof *self);
    self->job = json_integer_value (json_object_get (assign, "job"));
    self->attempt = json_integer_value (json_object_get (assign, "attempt"));
    self->timeout_at = INT64_MAX;
    return self;
}

held_t *held_start (const attempt_parts_t *parts, json_t **assign, err_t *err)
{
    held_t *self = make (*assign);
    self->timeout_at = clock_boot_ms () + json_integer_value (json_object_get (*assign, "timeout_ms")) + TIMEOUT_SLACK_MS;
    self->slot = slot_new (parts, assign);
    self->actor = actor_new (slot_actor, self->slot, err);
    if (!self->actor)
        held_destroy (&self);
    return self;
}

static void set_report (held_t *self, json_t *report)
{
    const char *state = json_string_value (json_object_get (report, "state"));
    if (streq (state, "pushed") || streq (state, "failed"))
        self->has_ended = true;
    json_decref (self->report);
    self->report = self->is_unwanted && !self->has_ended ? NULL : json_incref (report);
    self->repeat_ms = REPEAT_MS;
}

held_t *held_refuse (const json_t *assign, const err_t *why)
{
    held_t *self = make (assign);
    AUTO_JSON json_t *report = json_pack ("{s:I, s:I, s:s, s:s, s:s}", "job", (json_int_t) self->job, "attempt",
                                          (json_int_t) self->attempt, "state", "failed", "code", err_name (why->code), "text",
                                          why->text);
    set_report (self, report);
    return self;
}

static void end_thread (held_t *self)
{
    actor_destroy (&self->actor);
    if (self->slot)
        slot_destroy (&self->slot);
}

void held_destroy (held_t **self_p)
{
    held_t *self = *self_p;
    if (!self)
        return;
    end_thread (self);
    json_decref (self->report);
    free (self);
    *self_p = NULL;
}

bool held_is_busy (const held_t *self)
{
    return self->actor && !self->has_ended;
}

bool held_is_done (const held_t *self)
{
    return !self->actor && !self->report;
}

bool held_take (held_t *self)
{
    char *verb = NULL, *text = NULL;
    if (!self->actor || !(zsock_events (self->actor) & ZMQ_POLLIN) || zstr_recvx (self->actor, &verb, &text, NULL) < 1)
        return false;
    bool is_over = streq (verb, "OVER");
    AUTO_JSON json_t *report = is_over ? NULL : json_loads (text, 0, NULL);
    zstr_free (&verb);
    zstr_free (&text);
    if (is_over)
        end_thread (self);
    else
        set_report (self, report);
    return !is_over;
}

void held_stop (held_t *self, stop_t why)
{
    self->timeout_at = INT64_MAX;
    if (!self->actor)
        return;
    slot_stop (self->slot, why);
    zstr_send (self->actor, "STOP");
}

void held_drop (held_t *self)
{
    self->is_unwanted = true;
    if (!self->has_ended)
        held_noted (self);
    held_stop (self, STOP_ABORTED);
}

/* -- reports ---------------------------------------------------------------------------------------------------- */

void held_send (held_t *self, connection_t *connection, int64_t seq)
{
    err_t err;
    if (!self->report)
        return;
    json_t *header = json_copy (self->report);
    json_object_set_new (header, "seq", json_integer (seq));
    msg_t *message = msg_new ("report", header, NULL, 0);
    if (connection_send (connection, &message, &err) < 0)
        log_debug ("link", "report of job %lld: %s", (long long) self->job, err.text);
    self->seq = seq;
    self->repeat_at = clock_boot_ms () + self->repeat_ms;
    self->repeat_ms = self->repeat_ms < REPEAT_MAX_MS / 2 ? 2 * self->repeat_ms : REPEAT_MAX_MS;
}

int64_t held_repeat_at (const held_t *self)
{
    return self->report ? self->repeat_at : INT64_MAX;
}

void held_noted (held_t *self)
{
    json_decref (self->report);
    self->report = NULL;
}
