/* link.c - see link.h.
 *
 *     slots (actors)  --REPORT, OVER--> +------+ --hello, heartbeat, report-->  coordinator
 *                     <--STOP---------- | link | <--welcome, assign, abort, noted--
 *     signals  ------------------------>+------+ <--connected, ended, refused--
 */
#include "worker/link_private.h"

#include <signal.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/mem.h"

enum { HEARTBEAT_MS = 5000, LEASE_MS = 45000, END_MS = 15000, HIGH_WATER = 1000 };

int link_new (link_t **out, const link_settings_t *settings, err_t *err)
{
    AUTO (link) link_t *self = mem_alloc (sizeof *self);
    keypair_t random;       /* its public key is as good a random number as any */
    char hex [KEY_HEX_SIZE + 1];
    keypair_make (&random);
    key_to_hex (random.public_key, hex);
    memcpy (self->instance, hex, sizeof self->instance - 1);
    self->settings = *settings;
    self->heartbeat_ms = HEARTBEAT_MS;
    self->lease_ms = LEASE_MS;
    self->beat_at = self->stage_until = INT64_MAX;
    self->heard_at = self->patient_from = clock_boot_ms ();
    self->held = zlistx_new ();
    if (connection_new (&self->connection, settings->control, settings->parts.own, settings->parts.server_key, HIGH_WATER, err) < 0)
        return err_wrap (err, "coordinator/control");
    *out = take (&self);
    return 0;
}

held_t *link_next_held (link_t *self, held_t *held)
{
    return held ? zlistx_next (self->held) : zlistx_first (self->held);
}

void link_destroy (link_t **self_p)
{
    link_t *self = *self_p;
    if (!self)
        return;
    held_t *held;
    while ((held = zlistx_detach (self->held, NULL)))
        held_destroy (&held);
    zlistx_destroy (&self->held);
    restorer_destroy (&self->restorer);
    sweeper_destroy (&self->sweeper);
    connection_destroy (&self->connection);
    free (self->refusal);
    free (self);
    *self_p = NULL;
}

held_t *link_find (link_t *self, int64_t job, int64_t attempt)
{
    for (held_t *held = link_next_held (self, NULL); held; held = link_next_held (self, held))
        if (held->job == job && held->attempt == attempt)
            return held;
    return NULL;
}

int link_count_busy (link_t *self)
{
    int busy = 0;
    for (held_t *held = link_next_held (self, NULL); held; held = link_next_held (self, held))
        busy += held_is_busy (held);
    return busy;
}

size_t link_count_threads (link_t *self)
{
    size_t threads = 0;
    for (held_t *held = link_next_held (self, NULL); held; held = link_next_held (self, held))
        threads += held->actor != NULL;
    return threads;
}

/* -- slots ------------------------------------------------------------------------------------------------------ */

static void log_end (const held_t *held)
{
    const char *digest = json_string_value (json_object_get (held->report, "digest"));
    const char *code = json_string_value (json_object_get (held->report, "code"));
    const char *text = json_string_value (json_object_get (held->report, "text"));
    if (digest)
        log_info ("link", "job %lld, attempt %lld: pushed %s", (long long) held->job, (long long) held->attempt, digest);
    else
        log_info ("link", "job %lld, attempt %lld: failed (%s): %s", (long long) held->job, (long long) held->attempt,
                  code ? code : "?", text ? text : "");
}

static void take_reports (link_t *self)
{
    for (held_t *held = link_next_held (self, NULL); held; held = link_next_held (self, held))
        while (held_take (held)) {
            link_send_report (self, held);
            if (held->has_ended)
                log_end (held);
        }
}

static void take_restored (link_t *self)
{
    json_t *answer;
    while (self->restorer && (answer = restorer_next (self->restorer)))
        link_say (self, "restored", answer);
}

static void remove_done (link_t *self)
{
    for (held_t *held = link_next_held (self, NULL); held; held = link_next_held (self, held))
        if (held_is_done (held)) {
            log_debug ("link", "job %lld, attempt %lld is over", (long long) held->job, (long long) held->attempt);
            zlistx_detach (self->held, zlistx_cursor (self->held));
            held_destroy (&held);
        }
}

/* -- the end ----------------------------------------------------------------------------------------------------- */

/* The coordinator hears of it at once. */
static void begin_drain (link_t *self)
{
    int busy = link_count_busy (self);
    self->stage = STAGE_DRAINS;
    self->beat_at = clock_boot_ms ();
    self->stage_until = self->beat_at + self->settings.stop_ms;
    if (busy > 0)
        log_info ("link", "told to end: no new jobs; %d attempts may go on for %lld s (stop-ms); a second signal stops them at once", busy,
                  (long long) self->settings.stop_ms / 1000);
}

static void begin_end (link_t *self)
{
    self->stage = STAGE_ENDS;
    self->stage_until = clock_boot_ms () + END_MS;
    log_info ("link", "this worker ends; %d attempts are stopped", link_count_busy (self));
    builder_prune_no_more (self->settings.parts.builder);
    for (held_t *held = link_next_held (self, NULL); held; held = link_next_held (self, held))
        held_stop (held, STOP_WORKER);
}

static void take_signals (link_t *self, int signals)
{
    int signal;
    while ((signal = daemon_next_signal (signals)))
        if (self->stage == STAGE_ENDS)
            self->stage_until = clock_boot_ms ();
        else if (self->stage == STAGE_WORKS && signal == SIGTERM)
            begin_drain (self);
        else
            begin_end (self);
}

/* -- the loop --------------------------------------------------------------------------------------------------- */

static int64_t next_due (link_t *self)
{
    int64_t due = connection_due_ms (self->connection);
    due = self->beat_at < due ? self->beat_at : due;
    due = link_dial_at (self) < due ? link_dial_at (self) : due;
    due = self->stage_until < due ? self->stage_until : due;
    for (held_t *held = link_next_held (self, NULL); held; held = link_next_held (self, held)) {
        due = held->timeout_at < due ? held->timeout_at : due;
        if (connection_is_up (self->connection) && held_repeat_at (held) < due)
            due = held_repeat_at (held);
    }
    return due;
}

static void do_due (link_t *self)
{
    int64_t now = clock_boot_ms ();
    if (now >= link_dial_at (self))
        link_dial_anew (self);
    if (now >= self->beat_at)
        link_beat (self);
    if (self->stage == STAGE_DRAINS && now >= self->stage_until)
        begin_end (self);
    for (held_t *held = link_next_held (self, NULL); held; held = link_next_held (self, held)) {
        if (now >= held->timeout_at)
            held_stop (held, STOP_TIMEOUT);
        if (now >= held_repeat_at (held) && connection_is_up (self->connection))
            link_send_report (self, held);
    }
}

/* Sleep until there is something to do. */
static void wait_for_work (link_t *self, int signals)
{
    size_t count = 0, capacity = 2 + CONNECTION_ITEMS + zlistx_size (self->held);
    AUTO_FREE zmq_pollitem_t *items = mem_alloc (capacity * sizeof *items);
    items [count++] = (zmq_pollitem_t) { .fd = signals, .events = ZMQ_POLLIN };
    count += (size_t) connection_poll_items (self->connection, items + count);
    for (held_t *held = link_next_held (self, NULL); held; held = link_next_held (self, held))
        if (held->actor)
            items [count++] = (zmq_pollitem_t) { .socket = zsock_resolve (held->actor), .events = ZMQ_POLLIN };
    if (self->restorer)
        items [count++] = (zmq_pollitem_t) { .socket = zsock_resolve (restorer_actor (self->restorer)), .events = ZMQ_POLLIN };
    int64_t due = next_due (self), left = due == INT64_MAX ? -1 : due - clock_boot_ms ();
    zmq_poll (items, (int) count, due == INT64_MAX ? -1 : left < 0 ? 0 : (long) left);
}

/* No thread runs any more, and each report is noted, or cannot be delivered for now: as long as it may drain, that is waited out. */
static bool is_finished (link_t *self)
{
    size_t reports = 0;
    for (held_t *held = link_next_held (self, NULL); held; held = link_next_held (self, held))
        reports += held->report != NULL;
    return link_count_threads (self) == 0 && (reports == 0 || (self->stage == STAGE_ENDS && !connection_is_up (self->connection)));
}

static bool is_over (link_t *self)
{
    return self->stage != STAGE_WORKS && (is_finished (self) || (self->stage == STAGE_ENDS && clock_boot_ms () >= self->stage_until));
}

int link_run (link_t *self, int signals, err_t *err)
{
    while (!is_over (self)) {
        wait_for_work (self, signals);
        take_signals (self, signals);
        link_take_changes (self);
        link_take_messages (self);
        take_reports (self);
        take_restored (self);
        do_due (self);
        remove_done (self);
    }
    int threads = (int) link_count_threads (self);
    return threads == 0 ? 0 : err_set (err, ERR_TIMEOUT, "%d attempts did not end in time", threads);
}