/* track.c - see track.h.
 *
 *     send what is due (watch, read-log) -> wait for either connection -> take builds, take parts of logs
 */
#include "farmctl/track.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

enum {
    WATCH_MS = 5000, WATCH_MAX_MS = 30000,
    FIRST_ANSWER_MS = 10000,            /* at the beginning: then the coordinator is not there */
    SILENCE_MS = 12000,                 /* later: then say so, and wait */
    CLOSING_MS = 1000,                  /* between questions while it is restarted */
    LOG_WAIT_MS = 2000, LOG_BUSY_WAIT_MS = 200,
    QUESTIONS_MAX = 6,                  /* a peer has a credit of 8 */
    LATE_LOG_MS = 3000                  /* for the end of logs after the end of the build */
};

typedef struct {
    const track_t *wish;
    client_t *client;
    int64_t id;
    json_t *build;
    log_reader_t *readers;
    size_t count, turn;
    int64_t start_ms, heard_ms, watch_at_ms, watch_every_ms, ended_ms;
    bool is_lost;                       /* and was said to be */
    bool is_closing;                    /* it said that it will be */
} session_t;

const char *track_shown_state (const json_t *build)
{
    return json_is_object (json_object_get (build, "fetch")) ? "fetching" : track_text (build, "state");
}

const char *track_text (const json_t *object, const char *field)
{
    const char *text = json_string_value (json_object_get (object, field));
    return text ? text : "";
}

int64_t track_int (const json_t *object, const char *field)
{
    return json_integer_value (json_object_get (object, field));
}

bool track_is_ended (const json_t *build)
{
    const char *state = track_text (build, "state");
    return streq (state, "published") || streq (state, "failed") || streq (state, "cancelled");
}

/* -- builds ------------------------------------------------------------------------------------------------------------ */

static void add_reader (session_t *self, const json_t *job, int64_t attempt)
{
    int64_t id = track_int (job, "id");
    for (size_t i = 0; i < self->count; i++)
        if (self->readers [i].job == id && self->readers [i].attempt == attempt)
            return;
    self->readers = mem_resize (self->readers, (self->count + 1) * sizeof *self->readers);
    self->readers [self->count++] = (log_reader_t) {
        .job = id, .attempt = attempt,
        .is_ended = !self->wish->wants_log || !self->wish->wants_log (self->wish->argument, self->build, job, attempt)
    };
}

static void add_readers (session_t *self)
{
    size_t i, j;
    json_t *job, *attempt;
    json_array_foreach (json_object_get (self->build, "jobs"), i, job) {
        json_t *attempts = json_object_get (job, "attempts");
        json_array_foreach (attempts, j, attempt)
            add_reader (self, job, track_int (attempt, "attempt"));
        if (!attempts && track_int (job, "attempt") > 0)
            add_reader (self, job, track_int (job, "attempt"));
    }
}

/* Each once. */
static void tell_contact (session_t *self, contact_t contact)
{
    bool is_lost = contact != CONTACT_BACK;
    if (self->is_lost != is_lost && self->wish->on_contact)
        self->wish->on_contact (self->wish->argument, contact);
    self->is_lost = is_lost;
}

/* Until it has gone it still tells what changes, but answers nothing. The next one knows nothing of us: so that is asked soon. */
static void take_closing (session_t *self)
{
    tell_contact (self, CONTACT_CLOSING);
    self->is_closing = true;
    self->watch_every_ms = CLOSING_MS;
    self->watch_at_ms = clock_boot_ms () + CLOSING_MS;
}

static void take_build (session_t *self, json_t *build, bool is_answer)
{
    if (track_int (build, "id") != self->id)
        return;
    json_decref (self->build);
    self->build = json_incref (build);
    self->heard_ms = clock_boot_ms ();
    self->watch_every_ms = self->is_closing ? CLOSING_MS : WATCH_MS;
    if (is_answer || !self->is_closing) {
        tell_contact (self, CONTACT_BACK);
        self->is_closing = false;
    }
    if (track_is_ended (build) && !self->ended_ms)
        self->ended_ms = self->heard_ms;
    add_readers (self);
    if (self->wish->on_build)
        self->wish->on_build (self->wish->argument, build);
}

/* Refusals of a later watch (the coordinator is starting, or stopping) pass; those of the first one do not. */
static int take_control (session_t *self, err_t *err)
{
    err_t why = { 0 };
    for (;;) {
        AUTO (msg) msg_t *message = client_next (self->client, 0, &why);
        if (!message && why.code == ERR_TIMEOUT)
            return 0;
        bool is_error = message && msg_is (message, "error");
        if (is_error)
            client_refusal (message, &why);
        if (!message || is_error) {
            if (!self->build || why.code == ERR_DENIED || why.code == ERR_INTERRUPTED) {
                *err = why;
                return -1;
            }
            return 0;
        }
        if (msg_is (message, "build"))
            take_build (self, json_object_get (msg_header (message), "build"), msg_int (message, "re") > 0);
        else if (msg_is (message, "agent-request") && self->wish->agents)
            agent_offer_ask (self->wish->agents, message);
        else if (msg_is (message, "closing"))
            take_closing (self);
    }
}

/* -- logs -------------------------------------------------------------------------------------------------------------- */

static const json_t *find_job (const session_t *self, int64_t id)
{
    size_t i;
    json_t *job;
    json_array_foreach (json_object_get (self->build, "jobs"), i, job)
        if (track_int (job, "id") == id)
            return job;
    return NULL;
}

static void give_line (void *argument, const log_reader_t *reader, const log_line_t *line)
{
    session_t *self = argument;
    const json_t *job = find_job (self, reader->job);
    if (job && self->wish->on_line)
        self->wish->on_line (self->wish->argument, job, reader->attempt, line);
}

/* When only what is there now is wanted, an empty part is the end; when the build has ended, a log that is not there
 * will not come any more. */
static void end_if_empty (session_t *self, log_reader_t *reader, const msg_t *answer)
{
    size_t size;
    msg_body (answer, &size);
    bool is_refused = msg_is (answer, "error");
    if (reader->is_ended || size > 0 || !(self->wish->is_once || (is_refused && self->ended_ms)))
        return;
    reader->is_ended = true;
    const json_t *job = is_refused && self->wish->on_missing ? find_job (self, reader->job) : NULL;
    if (job && strcmp (msg_text (answer, "code"), "not-found") == 0)
        self->wish->on_missing (self->wish->argument, job, reader->attempt);
}

static int take_objects (session_t *self, err_t *err)
{
    err_t why = { 0 };
    for (;;) {
        AUTO (msg) msg_t *answer = client_next_objects (self->client, 0, &why);
        if (!answer && why.code == ERR_NETWORK)
            return 0;
        if (!answer) {
            *err = why;
            return -1;
        }
        for (size_t i = 0; i < self->count; i++)
            if (log_reader_take (&self->readers [i], answer, clock_boot_ms (), give_line, self)) {
                end_if_empty (self, &self->readers [i], answer);
                break;
            }
    }
}

static size_t open_logs (const session_t *self, size_t *asked)
{
    size_t open = 0;
    *asked = 0;
    for (size_t i = 0; i < self->count; i++) {
        open += !self->readers [i].is_ended;
        *asked += !self->readers [i].is_ended && self->readers [i].asked_seq != 0;
    }
    return open;
}

/* In turn, so that with many logs each is asked. A question that is lost, or counts as lost, is asked again. */
static void ask_logs (session_t *self, int64_t now)
{
    if (client_take_objects_renewal (self->client))
        for (size_t i = 0; i < self->count; i++)
            log_reader_forget (&self->readers [i]);
    size_t asked, open = open_logs (self, &asked);
    int wait_ms = self->wish->is_once ? 0 : open > QUESTIONS_MAX || self->ended_ms ? LOG_BUSY_WAIT_MS : LOG_WAIT_MS;
    for (size_t i = 0; i < self->count; i++) {
        log_reader_t *reader = &self->readers [(self->turn + i) % self->count];
        bool is_asked = reader->asked_seq != 0;
        if (reader->is_ended || (!is_asked && asked >= QUESTIONS_MAX))
            continue;
        log_reader_ask (reader, self->client, now, wait_ms, NULL);
        asked += !is_asked && reader->asked_seq != 0;
    }
    self->turn++;
}

/* -- the loop ---------------------------------------------------------------------------------------------------------- */

/* Unanswered, less and less often: what is sent waits in the connection until the coordinator is back. */
static int ask_build (session_t *self, int64_t now, err_t *err)
{
    if (now < self->watch_at_ms || (self->build && track_is_ended (self->build)))
        return 0;
    json_t *question = json_pack ("{s:I}", "build", (json_int_t) self->id);
    if (self->wish->agents)
        json_object_set_new (question, "agents", agent_offer_ids (self->wish->agents));
    int64_t seq = client_send (self->client, self->wish->is_once ? "inspect" : "watch", question, err);
    self->watch_at_ms = now + self->watch_every_ms;
    if (now - self->heard_ms >= WATCH_MS && self->watch_every_ms < WATCH_MAX_MS)
        self->watch_every_ms *= 2;
    return seq < 0 && !self->build ? -1 : 0;
}

static int check_silence (session_t *self, int64_t now, err_t *err)
{
    int64_t silent_ms = now - self->heard_ms;
    if (!self->build && silent_ms > FIRST_ANSWER_MS)
        return err_set (err, ERR_NETWORK, "coordinator %s does not answer within %d s: is it running, is the address right, "
                        "and is its key still the one that was joined? farmctl join STRING joins anew", client_endpoint (self->client), FIRST_ANSWER_MS / 1000);
    if (self->build && !self->ended_ms && silent_ms > SILENCE_MS)
        tell_contact (self, CONTACT_LOST);
    if (self->wish->deadline_ms && now >= self->wish->deadline_ms)
        return err_set (err, ERR_TIMEOUT, "build %lld has not ended in time", (long long) self->id);
    return 0;
}

static bool is_done (const session_t *self, int64_t now)
{
    size_t asked;
    if (!self->build || (!self->ended_ms && !self->wish->is_once))
        return false;
    if (open_logs (self, &asked) == 0)
        return true;
    return self->ended_ms && !self->wish->is_once && now - self->ended_ms > LATE_LOG_MS;
}

/* What cannot be sent is given up by the coordinator after a while. */
static void send_replies (session_t *self)
{
    json_t *header;
    buffer_t body = { 0 };
    while (self->wish->agents && (header = agent_offer_next (self->wish->agents, &body)))
        client_send_with (self->client, "agent-reply", header, &body, NULL);
}

static int step (session_t *self, err_t *err)
{
    int64_t now = clock_boot_ms ();
    send_replies (self);
    if (ask_build (self, now, err) < 0)
        return -1;
    ask_logs (self, now);
    int64_t wait_ms = 200;
    if (self->wish->deadline_ms && self->wish->deadline_ms - now < wait_ms)
        wait_ms = self->wish->deadline_ms - now;
    if (client_wait (self->client, wait_ms < 0 ? 0 : (int) wait_ms, err) < 0)
        return -1;
    if (take_control (self, err) < 0)
        return -1;
    if (self->count && take_objects (self, err) < 0)
        return -1;
    return is_done (self, clock_boot_ms ()) ? 0 : check_silence (self, clock_boot_ms (), err);
}

json_t *track_build (const track_t *wish, client_t *client, int64_t id, err_t *err)
{
    err_t why = { 0 };
    int64_t now = clock_boot_ms ();
    session_t self = { .wish = wish, .client = client, .id = id, .start_ms = now, .heard_ms = now,
                       .watch_every_ms = WATCH_MS };
    int rc = 0;
    while (rc == 0 && !is_done (&self, clock_boot_ms ()))
        rc = step (&self, &why);
    for (size_t i = 0; i < self.count; i++)
        log_reader_free (&self.readers [i]);
    free (self.readers);
    if (rc < 0) {
        json_decref (self.build);
        if (err)
            *err = why;
        return NULL;
    }
    return self.build;
}
