/* link.c - see link.h.
 *
 *     slots (actors)  --REPORT, OVER--> +------+ --hello, heartbeat, report-->  coordinator
 *                     <--STOP---------- | link | <--welcome, assign, abort, noted--
 *     signals  ------------------------>+------+ <--connected, ended, refused--
 */
#include "worker/link.h"

#include <signal.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/held.h"
#include "worker/restorer.h"
#include "worker/sweeper.h"

enum { HEARTBEAT_MS = 5000, LEASE_MS = 45000, END_MS = 15000, HIGH_WATER = 1000, ABSENCE_MS = 1000 };

/* The way to its end: it was told to, and its attempts may still end; they are being stopped. */
typedef enum { STAGE_WORKS, STAGE_DRAINS, STAGE_ENDS } link_stage;

struct link {
    link_settings_t settings;
    connection_t *connection;
    char instance [33];
    int64_t seq, hello_seq;         /* hello_seq 0: answered */
    bool is_welcome;                /* on this connection */
    int64_t heartbeat_ms, lease_ms; /* as the coordinator says */
    int64_t beat_at, heard_at;      /* boot clock */
    int64_t patient_from;           /* the same: when something was heard last, or it was dialled */
    zlistx_t *held;                 /* held_t */
    restorer_t *restorer;           /* NULL: never needed yet */
    sweeper_t *sweeper;             /* the same */
    connection_change said;         /* what was logged last of the connection, so that it is said once */
    char *refusal;                  /* the coordinator's last answer to hello, if it was no */
    bool is_unfit;                  /* and was said to be */
    link_stage stage;
    int64_t stage_until;            /* boot clock */
};

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

static held_t *next_held (link_t *self, held_t *held)
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

static held_t *find (link_t *self, int64_t job, int64_t attempt)
{
    for (held_t *held = next_held (self, NULL); held; held = next_held (self, held))
        if (held->job == job && held->attempt == attempt)
            return held;
    return NULL;
}

/* -- saying ----------------------------------------------------------------------------------------------------- */

static void say (link_t *self, const char *verb, json_t *header)
{
    err_t err;
    msg_t *message = msg_new (verb, header, NULL, 0);
    if (connection_send (self->connection, &message, &err) < 0)
        log_debug ("link", "%s: %s", verb, err.text);
}

static json_t *list_attempts (link_t *self)
{
    json_t *list = json_array ();
    for (held_t *held = next_held (self, NULL); held; held = next_held (self, held))
        if (held->report || !held->has_ended)
            json_array_append_new (list, json_pack ("{s:I, s:I}", "job", (json_int_t) held->job, "attempt",
                                                    (json_int_t) held->attempt));
    return list;
}

static void say_hello (link_t *self)
{
    self->is_welcome = false;
    self->hello_seq = ++self->seq;
    self->beat_at = clock_boot_ms () + self->heartbeat_ms;
    say (self, "hello", json_pack ("{s:I, s:s, s:s, s:s, s:O, s:o}", "seq", (json_int_t) self->hello_seq, "program",
                                   "farm-worker", "version", PACKAGE_VERSION, "instance", self->instance, "worker",
                                   self->settings.worker, "attempts", list_attempts (self)));
}

static size_t count_threads (link_t *self)
{
    size_t threads = 0;
    for (held_t *held = next_held (self, NULL); held; held = next_held (self, held))
        threads += held->actor != NULL;
    return threads;
}

/* Each attempt makes room at its end; where none runs, a disk that is too full for new ones would stay so. */
static void make_room (link_t *self, const health_t *health)
{
    if (!health_is_disk_low (health, &self->settings.health) || count_threads (self) > 0)
        return;
    if (!self->sweeper)
        self->sweeper = sweeper_new (&self->settings.parts);
    sweeper_ask (self->sweeper);
}

/* How the machine is. A reason to take no new job is logged when it comes and when it goes. */
static void describe_health (link_t *self, json_t *header)
{
    health_t health;
    health_read (&health, &self->settings.health);
    AUTO_FREE char *unfit = health_why_unfit (&health, &self->settings.health);
    json_object_set_new (header, "health", health_json (&health));
    if (unfit)
        json_object_set_new (header, "unfit", json_string (unfit));
    if (unfit && !self->is_unfit)
        log_warn ("link", "no new jobs for now: %s", unfit);
    if (!unfit && self->is_unfit)
        log_info ("link", "new jobs are taken again");
    self->is_unfit = unfit != NULL;
    make_room (self, &health);
}

static void describe_stop (const link_t *self, json_t *header)
{
    int64_t left = self->stage == STAGE_DRAINS ? self->stage_until - clock_boot_ms () : 0;
    AUTO_FREE char *why = left > 0 ? mem_printf ("it was told to end; what it has may go on for %lld s", (long long) (left + 999) / 1000)
                                   : mem_strdup ("it was told to end");
    json_object_set_new (header, "unfit", json_string (why));
    json_object_set_new (header, "stopping", json_true ());
}

/* What it works on, and how it is. */
static json_t *describe (link_t *self)
{
    json_t *header = json_pack ("{s:o}", "attempts", list_attempts (self));
    if (self->settings.health.root)
        describe_health (self, header);
    if (self->stage != STAGE_WORKS)
        describe_stop (self, header);
    return header;
}

static void beat (link_t *self)
{
    self->beat_at = clock_boot_ms () + self->heartbeat_ms;
    if (!self->is_welcome)
        say_hello (self);
    else
        say (self, "heartbeat", describe (self));
}

/* -- silence ---------------------------------------------------------------------------------------------------- */

/* How long nothing may be heard: two answers are missing, and most of a lease is left. */
static int64_t silence_ms (const link_t *self)
{
    int64_t answers = 2 * self->heartbeat_ms, part = self->lease_ms / 4;
    return answers > part ? answers : part;
}

/* Over a cable that was cut and mended TCP tries again after as long as it was cut, which may be too late for the lease; dialling does
 * the same. So that begins anew as long as somebody has an attempt. INT64_MAX: never, libzmq or the connection will try. */
static int64_t dial_at (link_t *self)
{
    bool is_worth_it = connection_is_up (self->connection) || zlistx_size (self->held) > 0;
    return is_worth_it && connection_due_ms (self->connection) == INT64_MAX ? self->patient_from + silence_ms (self) : INT64_MAX;
}

static void hear (link_t *self)
{
    self->heard_at = self->patient_from = clock_boot_ms ();
    connection_settle (self->connection);
}

/* If this process itself stood still, its heartbeat is to be answered first. */
static void dial_anew (link_t *self)
{
    int64_t now = clock_boot_ms (), late_ms = now - dial_at (self);
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

static void send_report (link_t *self, held_t *held)
{
    held_send (held, self->connection, ++self->seq);
}

/* -- the connection --------------------------------------------------------------------------------------------- */

/* Hello goes first; what was reported and not noted follows it at once. */
static void on_up (link_t *self)
{
    self->patient_from = clock_boot_ms ();
    say_hello (self);
    for (held_t *held = next_held (self, NULL); held; held = next_held (self, held)) {
        held->repeat_ms = 1000;
        send_report (self, held);
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

static void take_changes (link_t *self)
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

/* -- what the coordinator says ---------------------------------------------------------------------------------- */

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
    send_report (self, held);
}

static int count_busy (link_t *self)
{
    int busy = 0;
    for (held_t *held = next_held (self, NULL); held; held = next_held (self, held))
        busy += held_is_busy (held);
    return busy;
}

static void on_assign (link_t *self, const msg_t *message)
{
    int64_t job = msg_int (message, "job"), attempt = msg_int (message, "attempt");
    if (find (self, job, attempt))
        return;
    bool is_stopping = self->stage != STAGE_WORKS;
    if (is_stopping || count_busy (self) >= self->settings.slots) {
        refuse (self, msg_header (message), is_stopping ? ERR_INTERRUPTED : ERR_FARM,
                is_stopping ? "it is being stopped" : "all of its slots are busy");
        return;
    }
    log_info ("link", "build %lld: job %lld, attempt %lld: %s%s for %s", (long long) msg_int (message, "build"), (long long) job,
              (long long) attempt, msg_text (message, "platform"), msg_bool (message, "emulated") ? " (emulated)" : "",
              msg_text (message, "repository"));
    json_t *assign = json_incref ((json_t *) msg_header (message));
    zlistx_add_end (self->held, held_start (&self->settings.parts, &assign));
}

static void on_abort (link_t *self, const msg_t *message)
{
    held_t *held = find (self, msg_int (message, "job"), msg_int (message, "attempt"));
    if (!held || held->is_unwanted)
        return;
    log_info ("link", "job %lld, attempt %lld is stopped: %s", (long long) held->job, (long long) held->attempt,
              msg_text (message, "reason"));
    held_drop (held);
}

static void on_restore (link_t *self, const msg_t *message)
{
    if (!self->restorer)
        self->restorer = restorer_new (&self->settings.parts);
    restorer_ask (self->restorer, msg_text (message, "root"));
}

static void on_noted (link_t *self, const msg_t *message)
{
    int64_t re = msg_int (message, "re");
    for (held_t *held = next_held (self, NULL); held; held = next_held (self, held)) {
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
        say_hello (self);
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

static void take_messages (link_t *self)
{
    err_t err;
    AUTO (msg) msg_t *message = NULL;
    while ((message = connection_receive (self->connection, &err)) || err.code != ERR_NONE) {
        hear (self);
        if (message)
            on_message (self, message);
        else
            log_warn ("link", "a message of coordinator %s cannot be understood (is it of another version?): %s",
                      self->settings.control, err.text);
        msg_destroy (&message);
    }
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
    for (held_t *held = next_held (self, NULL); held; held = next_held (self, held))
        while (held_take (held)) {
            send_report (self, held);
            if (held->has_ended)
                log_end (held);
        }
}

static void take_restored (link_t *self)
{
    json_t *answer;
    while (self->restorer && (answer = restorer_next (self->restorer)))
        say (self, "restored", answer);
}

static void remove_done (link_t *self)
{
    for (held_t *held = next_held (self, NULL); held; held = next_held (self, held))
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
    int busy = count_busy (self);
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
    log_info ("link", "this worker ends; %d attempts are stopped", count_busy (self));
    for (held_t *held = next_held (self, NULL); held; held = next_held (self, held))
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
    due = dial_at (self) < due ? dial_at (self) : due;
    due = self->stage_until < due ? self->stage_until : due;
    for (held_t *held = next_held (self, NULL); held; held = next_held (self, held)) {
        due = held->timeout_at < due ? held->timeout_at : due;
        if (connection_is_up (self->connection) && held_repeat_at (held) < due)
            due = held_repeat_at (held);
    }
    return due;
}

static void do_due (link_t *self)
{
    int64_t now = clock_boot_ms ();
    if (now >= dial_at (self))
        dial_anew (self);
    if (now >= self->beat_at)
        beat (self);
    if (self->stage == STAGE_DRAINS && now >= self->stage_until)
        begin_end (self);
    for (held_t *held = next_held (self, NULL); held; held = next_held (self, held)) {
        if (now >= held->timeout_at)
            held_stop (held, STOP_TIMEOUT);
        if (now >= held_repeat_at (held) && connection_is_up (self->connection))
            send_report (self, held);
    }
}

/* Sleep until there is something to do. */
static void wait_for_work (link_t *self, int signals)
{
    size_t count = 0, capacity = 2 + CONNECTION_ITEMS + zlistx_size (self->held);
    AUTO_FREE zmq_pollitem_t *items = mem_alloc (capacity * sizeof *items);
    items [count++] = (zmq_pollitem_t) { .fd = signals, .events = ZMQ_POLLIN };
    count += (size_t) connection_poll_items (self->connection, items + count);
    for (held_t *held = next_held (self, NULL); held; held = next_held (self, held))
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
    for (held_t *held = next_held (self, NULL); held; held = next_held (self, held))
        reports += held->report != NULL;
    return count_threads (self) == 0 && (reports == 0 || (self->stage == STAGE_ENDS && !connection_is_up (self->connection)));
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
        take_changes (self);
        take_messages (self);
        take_reports (self);
        take_restored (self);
        do_due (self);
        remove_done (self);
    }
    int threads = (int) count_threads (self);
    return threads == 0 ? 0 : err_set (err, ERR_TIMEOUT, "%d attempts did not end in time", threads);
}
