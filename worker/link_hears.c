/* link_hears.c - what the coordinator says: welcome, assign, abort, restore, noted, error. */
#include "worker/link_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

static void on_welcome (link_t *self, const msg_t *message)
{
    if (msg_int (message, "re") != self->hello_seq)
        return;
    self->hello_seq = 0;
    self->is_welcome = true;
    self->heartbeat_ms = msg_int (message, "heartbeat_ms");
    self->lease_ms = msg_int (message, "lease_ms");
    self->beat_at = clock_boot_ms () + (self->stage == STAGE_WORKS ? self->heartbeat_ms : 0);
    self->said = CONNECTION_UP;
    auto_free (&self->refusal);
    log_info ("link", "coordinator %s (version %s) takes this worker as %s", self->settings.control, msg_text (message, "version"),
              msg_text (message, "principal"));
}

static void refuse (link_t *self, const json_t *assign, err_code code, const char *text)
{
    err_t why;
    err_set (&why, code, "worker %s: %s", self->settings.parts.worker_name, text);
    held_t *held = held_refuse (assign, &why);
    log_warn ("link", "job %lld, attempt %lld is not taken: %s", (long long) held->job, (long long) held->attempt, text);
    zlistx_add_end (self->held, held);
    link_send_report (self, held);
}

static void on_assign (link_t *self, const msg_t *message)
{
    int64_t job = msg_int (message, "job"), attempt = msg_int (message, "attempt");
    if (link_find (self, job, attempt))
        return;
    bool is_stopping = self->stage != STAGE_WORKS;
    if (is_stopping || link_count_busy (self) >= self->settings.slots) {
        refuse (self, msg_header (message), is_stopping ? ERR_INTERRUPTED : ERR_FARM,
                is_stopping ? "it is being stopped" : "all of its slots are busy");
        return;
    }
    log_info ("link", "build %lld: job %lld, attempt %lld: %s%s for %s", (long long) msg_int (message, "build"), (long long) job,
              (long long) attempt, msg_text (message, "platform"), msg_bool (message, "emulated") ? " (emulated)" : "",
              msg_text (message, "repository"));
    err_t err = { 0 };
    json_t *assign = json_incref ((json_t *) msg_header (message));
    held_t *held = held_start (&self->settings.parts, &assign, &err);
    if (held)
        zlistx_add_end (self->held, held);
    else
        refuse (self, msg_header (message), err.code, err.text);
}

static void on_abort (link_t *self, const msg_t *message)
{
    held_t *held = link_find (self, msg_int (message, "job"), msg_int (message, "attempt"));
    if (!held || held->is_unwanted)
        return;
    log_info ("link", "job %lld, attempt %lld is stopped: %s", (long long) held->job, (long long) held->attempt,
              msg_text (message, "reason"));
    held_drop (held);
}

static void on_restore (link_t *self, const msg_t *message)
{
    err_t err = { 0 };
    const char *root = msg_text (message, "root");
    if (!self->restorer)
        self->restorer = restorer_new (&self->settings.parts, &err);
    if (self->restorer)
        restorer_ask (self->restorer, root);
    else {
        log_warn ("restore", "give %.16s back to the coordinator: %s", root, err.text);
        link_say (self, "restored", json_pack ("{s:s, s:b, s:s}", "root", root, "found", 0, "text", err.text));
    }
}

static void on_noted (link_t *self, const msg_t *message)
{
    int64_t re = msg_int (message, "re");
    for (held_t *held = link_next_held (self, NULL); held; held = link_next_held (self, held)) {
        if (!held->report || held->seq != re)
            continue;
        held_noted (held);
        if (!msg_bool (message, "stale"))
            return;
        log_info ("link", "job %lld, attempt %lld is not wanted any more", (long long) held->job, (long long) held->attempt);
        held_drop (held);
        return;
    }
}

static void on_error (link_t *self, const msg_t *message)
{
    const char *text = msg_text (message, "text");
    bool is_hello = self->hello_seq && msg_int (message, "re") == self->hello_seq;
    if (is_hello && self->refusal && streq (self->refusal, text))
        return;
    if (is_hello) {
        free (self->refusal);
        self->refusal = mem_strdup (text);
    }
    log_error ("link", "coordinator %s%s: %s", self->settings.control, is_hello ? " does not take this worker" : "", text);
}

/* A hello that is on its way is an answer to `who` already. */
static void on_message (link_t *self, const msg_t *message)
{
    if (msg_is (message, "welcome"))
        on_welcome (self, message);
    else if (msg_is (message, "who") && !self->hello_seq)
        link_say_hello (self);
    else if (msg_is (message, "assign"))
        on_assign (self, message);
    else if (msg_is (message, "abort"))
        on_abort (self, message);
    else if (msg_is (message, "noted"))
        on_noted (self, message);
    else if (msg_is (message, "restore"))
        on_restore (self, message);
    else if (msg_is (message, "error"))
        on_error (self, message);
}

void link_take_messages (link_t *self)
{
    err_t err;
    AUTO (msg) msg_t *message = NULL;
    while ((message = connection_receive (self->connection, &err)) || err.code != ERR_NONE) {
        link_hear (self);
        if (message)
            on_message (self, message);
        else
            log_warn ("link", "a message of coordinator %s cannot be understood (is it of another version?): %s",
                      self->settings.control, err.text);
        msg_destroy (&message);
    }
}
