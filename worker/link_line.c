/* link_line.c - the connection to the coordinator: when it is made and when it is made anew, and what is told of it. */
#include "worker/link_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

enum { ABSENCE_MS = 1000 };

/* -- silence ---------------------------------------------------------------------------------------------------- */

/* How long nothing may be heard: two answers are missing, and most of a lease is left. */
static int64_t silence_ms (const link_t *self)
{
    int64_t answers = 2 * self->heartbeat_ms, part = self->lease_ms / 4;
    return answers > part ? answers : part;
}

/* Over a cable that was cut and mended TCP tries again after as long as it was cut, which may be too late for the lease; dialling does
 * the same. So that begins anew as long as somebody has an attempt. INT64_MAX: never, libzmq or the connection will try. */
int64_t link_dial_at (link_t *self)
{
    bool is_worth_it = connection_is_up (self->connection) || zlistx_size (self->held) > 0;
    return is_worth_it && connection_due_ms (self->connection) == INT64_MAX ? self->patient_from + silence_ms (self) : INT64_MAX;
}

void link_hear (link_t *self)
{
    self->heard_at = self->patient_from = clock_boot_ms ();
    connection_settle (self->connection);
}

/* If this process itself stood still, its heartbeat is to be answered first. */
void link_dial_anew (link_t *self)
{
    int64_t now = clock_boot_ms (), late_ms = now - link_dial_at (self);
    self->patient_from = now;
    if (late_ms > ABSENCE_MS)
        return;
    if (self->is_welcome)
        log_warn ("link", "nothing was heard of coordinator %s for %lld s: connecting anew", self->settings.control,
                  (long long) (now - self->heard_at) / 1000);
    self->is_welcome = false;
    self->beat_at = INT64_MAX;
    connection_renew (self->connection);
}

/* -- the connection --------------------------------------------------------------------------------------------- */

/* Hello goes first; what was reported and not noted follows it at once. */
static void on_up (link_t *self)
{
    self->patient_from = clock_boot_ms ();
    link_say_hello (self);
    for (held_t *held = link_next_held (self, NULL); held; held = link_next_held (self, held)) {
        held->repeat_ms = 1000;
        link_send_report (self, held);
    }
}

/* Each state of the connection is told once, with what to do. */
static void tell (link_t *self, connection_change change)
{
    const char *control = self->settings.control;
    if (change == self->said || change == CONNECTION_UP)
        return;
    self->said = change;
    if (change == CONNECTION_DOWN)
        log_warn ("link", "the connection to coordinator %s ended; what is being built goes on, and it is tried again", control);
    else if (change == CONNECTION_AWAY)
        log_warn ("link", "coordinator %s cannot be reached: is it running, and can this machine reach it? It is tried again "
                  "until it answers", control);
    else if (change == CONNECTION_REFUSED)
        log_error ("link", "coordinator %s does not know this worker's key: enrol it with farm-worker join STRING; the string "
                   "lies in the file `join` of the coordinator's state folder. It is tried again until it answers", control);
    else
        log_error ("link", "coordinator %s ended the connection before it was made: is coordinator/key its key? "
                   "farm-worker join STRING writes the right one. It is tried again until it answers", control);
}

void link_take_changes (link_t *self)
{
    connection_change change;
    while ((change = connection_next (self->connection)) != CONNECTION_SAME) {
        tell (self, change);
        if (change == CONNECTION_UP)
            on_up (self);
        else
            self->beat_at = INT64_MAX;
    }
}
