/* client.c - two DEALERs, the questions on them, and the answers matched by `re`. */
#include "farmctl/client.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "farmctl/interrupt.h"
#include "farmctl/line.h"
#include "farmctl/options.h"

enum { DEFAULT_TIMEOUT_MS = 10000, UNASKED_MAX = 1000 };

struct client {
    char *control_endpoint, *objects_endpoint;
    uint8_t server_key [KEY_SIZE];
    keypair_t own;
    char instance [33];
    line_t control, objects;
    bool is_heard;                  /* the coordinator has answered */
    char verb [MSG_VERB_MAX + 1];   /* the last question on control, for `who` */
    json_t *header;
    int64_t seq, hello_seq;
    msg_t *welcome;
    zlistx_t *unasked;              /* msg_t: came while an answer was waited for */
};

static void destroy_message (void **item)
{
    msg_destroy ((msg_t **) item);
}

client_t *client_new_to (const char *control, const char *objects, const uint8_t server_key [KEY_SIZE],
                         const keypair_t *own)
{
    client_t *self = mem_alloc (sizeof *self);
    self->control.endpoint = self->control_endpoint = mem_strdup (control);
    self->objects.endpoint = self->objects_endpoint = mem_strdup (objects);
    memcpy (self->server_key, server_key, KEY_SIZE);
    self->own = *own;
    keypair_t random;       /* its public key is as good a random number as any */
    char hex [KEY_HEX_SIZE + 1];
    keypair_make (&random);
    key_to_hex (random.public_key, hex);
    memcpy (self->instance, hex, 32);
    self->unasked = zlistx_new ();
    zlistx_set_destructor (self->unasked, destroy_message);
    return self;
}

static const char *required (const char *path, err_t *err)
{
    const char *text = settings_text (options_settings (), path);
    if (!text || !*text)
        err_set (err, ERR_USAGE, "no farm is known: %s is not set in %s. Run farmctl join STRING; the join string lies in "
                 "the file `join` of the coordinator's state folder: ask whoever runs it", path, options_file (NULL));
    return text && *text ? text : NULL;
}

client_t *client_new (err_t *err)
{
    uint8_t server_key [KEY_SIZE];
    keypair_t own;
    const char *control = required ("coordinator/control", err);
    const char *objects = control ? required ("coordinator/objects", err) : NULL;
    const char *key = objects ? required ("coordinator/key", err) : NULL;
    const char *identity = key ? required ("identity/key", err) : NULL;
    if (!identity)
        return NULL;
    if (key_from_hex (server_key, key, err) < 0) {
        err_wrap (err, "coordinator/key in %s", options_file (NULL));
        return NULL;
    }
    if (keypair_load (&own, identity, err) < 0) {
        err_wrap (err, "read this user's key (identity/key in %s)", options_file (NULL));
        return NULL;
    }
    return client_new_to (control, objects, server_key, &own);
}

void client_destroy (client_t **self_p)
{
    client_t *self = *self_p;
    if (!self)
        return;
    line_close (&self->control);
    line_close (&self->objects);
    json_decref (self->header);
    zlistx_destroy (&self->unasked);
    msg_destroy (&self->welcome);
    free (self->control_endpoint);
    free (self->objects_endpoint);
    free (self);
    *self_p = NULL;
}

const char *client_endpoint (const client_t *self)
{
    return self->control.endpoint;
}

bool client_has_heard (const client_t *self)
{
    return self->is_heard;
}

const uint8_t *client_server_key (const client_t *self)
{
    return self->server_key;
}

/* -- sending ---------------------------------------------------------------------------------------------------------- */

/* Takes header and body, which may be NULL. */
static int say (line_t *line, const char *verb, json_t *header, buffer_t *body, err_t *err)
{
    buffer_t none = { 0 };
    msg_t *message = msg_new_with (verb, header, body ? body : &none);
    if (msg_send (&message, line->socket, NULL, err) < 0)
        return err_wrap (err, "coordinator %s", line->endpoint);
    return 0;
}

static int say_hello (client_t *self, err_t *err)
{
    self->hello_seq = ++self->seq;
    return say (&self->control, "hello",
                json_pack ("{s:I, s:s, s:s, s:s}", "seq", (json_int_t) self->hello_seq, "program", "farmctl", "version",
                           PACKAGE_VERSION, "instance", self->instance), NULL, err);
}

static int open_line (client_t *self, line_t *line, err_t *err)
{
    line->is_trusted = self->is_heard;
    return line_open (line, &self->own, self->server_key, err);
}

/* Takes header and body. hello goes before the first question; join is asked by one who has nothing to say hello with. */
static int64_t post (client_t *self, line_t *line, const char *verb, json_t *header, buffer_t *body, err_t *err)
{
    AUTO_JSON json_t *mine = header ? header : json_object ();
    bool is_first = !line->socket;
    if (open_line (self, line, err) < 0)
        return -1;
    if (line == &self->control && is_first && strcmp (verb, "join") != 0 && say_hello (self, err) < 0)
        return -1;
    int64_t seq = ++self->seq;
    json_object_set_new (mine, "seq", json_integer (seq));
    if (line == &self->control) {
        json_decref (self->header);
        self->header = body ? NULL : json_incref (mine);
        snprintf (self->verb, sizeof self->verb, "%s", verb);
    }
    return say (line, verb, json_incref (mine), body, err) < 0 ? -1 : seq;
}

int64_t client_send (client_t *self, const char *verb, json_t *header, err_t *err)
{
    return post (self, &self->control, verb, header, NULL, err);
}

int64_t client_send_with (client_t *self, const char *verb, json_t *header, buffer_t *body, err_t *err)
{
    return post (self, &self->control, verb, header, body, err);
}

int64_t client_send_objects (client_t *self, const char *verb, json_t *header, buffer_t *body, err_t *err)
{
    return post (self, &self->objects, verb, header, body, err);
}

/* The coordinator may be another one, which knows nothing of us and of the last question. */
static int greet_again (client_t *self, err_t *err)
{
    line_t *line = &self->control;
    if (strcmp (self->verb, "join") != 0 && say_hello (self, err) < 0)
        return -1;
    return self->header ? say (line, self->verb, json_incref (self->header), NULL, err) : 0;
}

/* -- receiving -------------------------------------------------------------------------------------------------------- */

int client_refusal (const msg_t *message, err_t *err)
{
    const char *text = msg_text (message, "text");
    return err_set (err, err_from_name (msg_text (message, "code")), "%s", text ? text : "refused without a reason");
}

/* 1: something can be received from one of the lines (b may be NULL) or read from fd (-1 for none); 0: not in time; -1: a line is
 * refused, or a signal is to end us. */
static int wait_lines (client_t *self, line_t *a, line_t *b, int fd, int64_t deadline, err_t *err)
{
    for (;;) {
        zmq_pollitem_t items [2 * LINE_ITEMS + 1];
        if (interrupt_seen ())
            return err_set (err, ERR_INTERRUPTED, "interrupted");
        if (line_has_input (a) || (b && line_has_input (b)))
            return 1;
        if (line_check (a, err) < 0 || (b && line_check (b, err) < 0))
            return -1;
        if (line_take_renewal (&self->control) && greet_again (self, err) < 0)
            return -1;
        int count = line_items (a, items);
        count += b ? line_items (b, items + count) : 0;
        items [count] = (zmq_pollitem_t) { .fd = fd, .events = ZMQ_POLLIN };
        int64_t left = deadline - clock_boot_ms ();
        int rc = zmq_poll (items, count + (fd >= 0), left < 0 ? 0 : (long) left);
        if (rc > 0 && fd >= 0 && items [count].revents)
            return 1;
        if (rc == 0 && left <= 0)
            return 0;
        if (rc < 0 && errno != EINTR)
            return err_set (err, ERR_FARM, "wait for the coordinator: %s", zmq_strerror (errno));
    }
}

static int wait_line (client_t *self, line_t *line, int64_t deadline, err_t *err)
{
    int rc = wait_lines (self, line, NULL, -1, deadline, err);
    if (rc == 0)
        return err_set (err, ERR_TIMEOUT, "coordinator %s does not answer", line->endpoint);
    return rc;
}

static void note_heard (client_t *self)
{
    self->is_heard = true;
    self->control.is_trusted = self->objects.is_trusted = true;
}

/* What concerns the connection, not a question: 1 when it was that. */
static int take_greeting (client_t *self, msg_t **message, err_t *err)
{
    if (msg_is (*message, "who"))
        return greet_again (self, err) < 0 ? -1 : 1;
    if (msg_is (*message, "welcome")) {
        msg_destroy (&self->welcome);
        self->welcome = take (message);
        return 1;
    }
    bool is_refused = msg_is (*message, "error") && msg_int (*message, "re") == self->hello_seq;
    return is_refused ? client_refusal (*message, err) : 0;
}

/* The next message that is not about the connection itself. NULL with ERR_TIMEOUT at the deadline. */
static msg_t *receive (client_t *self, line_t *line, int64_t deadline, err_t *err)
{
    while (wait_line (self, line, deadline, err) > 0) {
        AUTO (msg) msg_t *message = msg_recv (line->socket, NULL, NULL, NULL, err);
        if (!message && err->code == ERR_PROTOCOL) {
            err_wrap (err, "coordinator %s speaks another language, perhaps of another version of archfarm", line->endpoint);
            return NULL;
        }
        if (!message)       /* a signal, or nothing after all: look again */
            continue;
        note_heard (self);
        int rc = line == &self->control ? take_greeting (self, &message, err) : 0;
        if (rc < 0)
            return NULL;
        if (rc == 0)
            return take (&message);
    }
    return NULL;
}

static void say_silence (const line_t *line, int timeout_ms, err_t *err)
{
    err_set (err, ERR_NETWORK, "coordinator %s does not answer within %d s: is it running, is the address right, and "
             "is its key still the one that was joined? farmctl join STRING joins anew",
             line->endpoint, (timeout_ms + 999) / 1000);
}

static msg_t *judge (msg_t **message, const line_t *line, const char *expected, err_t *err)
{
    if (msg_is (*message, expected))
        return take (message);
    if (msg_is (*message, "error"))
        client_refusal (*message, err);
    else
        err_set (err, ERR_PROTOCOL, "coordinator %s answers \"%s\" where \"%s\" was expected", line->endpoint,
                 msg_verb (*message), expected);
    return NULL;
}

/* Late answers to earlier questions are dropped; what nobody asked for is kept for client_next. */
static void put_aside (client_t *self, line_t *line, msg_t **message)
{
    if (line == &self->control && (msg_is (*message, "build") || msg_is (*message, "agent-request")) && zlistx_size (self->unasked) < UNASKED_MAX)
        zlistx_add_end (self->unasked, take (message));
}

static msg_t *await (client_t *self, line_t *line, int64_t seq, const char *expected, int timeout_ms, err_t *err)
{
    err_t why = { 0 };
    timeout_ms = timeout_ms ? timeout_ms : DEFAULT_TIMEOUT_MS;
    int64_t deadline = clock_boot_ms () + timeout_ms;
    for (;;) {
        AUTO (msg) msg_t *message = receive (self, line, deadline, &why);
        if (!message) {
            if (why.code == ERR_TIMEOUT)
                say_silence (line, timeout_ms, &why);
            if (err)
                *err = why;
            return NULL;
        }
        int64_t re = msg_int (message, "re");
        if (re == seq || (re == 0 && msg_is (message, "error")))
            return judge (&message, line, expected, err);
        put_aside (self, line, &message);
    }
}

msg_t *client_ask (client_t *self, const char *verb, json_t *header, const char *expected, int timeout_ms, err_t *err)
{
    int64_t seq = post (self, &self->control, verb, header, NULL, err);
    return seq < 0 ? NULL : await (self, &self->control, seq, expected, timeout_ms, err);
}

msg_t *client_ask_with (client_t *self, const char *verb, json_t *header, buffer_t *body, const char *expected, int timeout_ms, err_t *err)
{
    int64_t seq = post (self, &self->control, verb, header, body, err);
    return seq < 0 ? NULL : await (self, &self->control, seq, expected, timeout_ms, err);
}

msg_t *client_ask_objects (client_t *self, const char *verb, json_t *header, const void *body, size_t body_size,
                           const char *expected, int timeout_ms, err_t *err)
{
    AUTO_BUFFER buffer_t copy = { 0 };
    if (body_size)
        buffer_append (&copy, body, body_size);
    int64_t seq = post (self, &self->objects, verb, header, &copy, err);
    return seq < 0 ? NULL : await (self, &self->objects, seq, expected, timeout_ms, err);
}

msg_t *client_next_objects (client_t *self, int timeout_ms, err_t *err)
{
    err_t why = { 0 };
    if (open_line (self, &self->objects, err) < 0)
        return NULL;
    msg_t *message = receive (self, &self->objects, clock_boot_ms () + timeout_ms, &why);
    if (!message && why.code == ERR_TIMEOUT)
        say_silence (&self->objects, timeout_ms, &why);
    if (!message && err)
        *err = why;
    return message;
}

msg_t *client_next (client_t *self, int timeout_ms, err_t *err)
{
    err_t why = { 0 };
    void *first = zlistx_first (self->unasked);
    if (first)
        return zlistx_detach (self->unasked, NULL);
    if (open_line (self, &self->control, err) < 0)
        return NULL;
    msg_t *message = receive (self, &self->control, clock_boot_ms () + timeout_ms, &why);
    if (!message && err)
        *err = why;
    return message;
}

int client_wait (client_t *self, int timeout_ms, err_t *err)
{
    if (zlistx_size (self->unasked))
        return 1;
    return wait_lines (self, &self->control, &self->objects, -1, clock_boot_ms () + timeout_ms, err);
}

int client_wait_objects (client_t *self, int fd, int timeout_ms, err_t *err)
{
    if (open_line (self, &self->objects, err) < 0)
        return -1;
    return wait_lines (self, &self->objects, NULL, fd, clock_boot_ms () + timeout_ms, err);
}

bool client_has_objects (const client_t *self)
{
    return line_has_input (&self->objects);
}

bool client_take_objects_renewal (client_t *self)
{
    return line_take_renewal (&self->objects);
}

int client_silence (const client_t *self, int timeout_ms, err_t *err)
{
    say_silence (&self->objects, timeout_ms, err);
    return -1;
}

int client_open (client_t *self, err_t *err)
{
    if (self->control.socket)
        return 0;
    return open_line (self, &self->control, err) < 0 ? -1 : say_hello (self, err);
}

int client_open_objects (client_t *self, err_t *err)
{
    return open_line (self, &self->objects, err);
}

const json_t *client_greet (client_t *self, int timeout_ms, err_t *err)
{
    AUTO (msg) msg_t *answer = NULL;
    timeout_ms = timeout_ms ? timeout_ms : DEFAULT_TIMEOUT_MS;
    int64_t deadline = clock_boot_ms () + timeout_ms;
    err_t why = { 0 };
    if (client_open (self, err) < 0)
        return NULL;
    while (!self->welcome) {        /* `receive` keeps the welcome; anything else does not matter here */
        if (wait_line (self, &self->control, deadline, &why) <= 0)
            break;
        answer = receive (self, &self->control, clock_boot_ms (), &why);
        if (!answer && why.code != ERR_TIMEOUT)
            break;
        msg_destroy (&answer);
    }
    if (self->welcome)
        return msg_header (self->welcome);
    if (why.code == ERR_TIMEOUT)
        say_silence (&self->control, timeout_ms, &why);
    if (err)
        *err = why;
    return NULL;
}
