/* aside.c - see aside.h. */
#include "worker/aside.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/mem.h"

enum { REPEAT_MS = 5000, LOOK_MS = 200 };

struct aside {
    const char *control;
    const keypair_t *own;
    const uint8_t *server_key;
    zsock_t *socket;                /* NULL: nothing was asked yet */
    const atomic_int *is_stopped;
    int64_t deadline_ms, seq;
};

aside_t *aside_new (const char *control, const keypair_t *own, const uint8_t *server_key, const atomic_int *is_stopped, int64_t deadline_ms)
{
    aside_t *self = mem_alloc (sizeof *self);
    *self = (aside_t) { .control = control, .own = own, .server_key = server_key, .is_stopped = is_stopped, .deadline_ms = deadline_ms };
    return self;
}

void aside_destroy (aside_t **self)
{
    if (!*self)
        return;
    zsock_destroy (&(*self)->socket);
    free (*self);
    *self = NULL;
}

static int connect_once (aside_t *self, err_t *err)
{
    if (self->socket)
        return 0;
    self->socket = msg_connect (self->control, self->own, self->server_key, err);
    if (!self->socket)
        return -1;
    zsock_set_linger (self->socket, 0);
    return 0;
}

/* What cannot be sent now is said again in a while. */
static int send_question (aside_t *self, const char *verb, const json_t *header, const void *body, size_t size, err_t *err)
{
    err_t why = { 0 };
    msg_t *message = msg_new (verb, json_incref ((json_t *) header), body, size);
    if (msg_send (&message, self->socket, NULL, &why) == 0 || why.code == ERR_NETWORK)
        return 0;
    *err = why;
    return -1;
}

static int check_time (const aside_t *self, const char *verb, err_t *err)
{
    if (atomic_load (self->is_stopped))
        return err_set (err, ERR_CANCELLED, "%s: cancelled", verb);
    if (clock_boot_ms () >= self->deadline_ms)
        return err_set (err, ERR_TIMEOUT, "%s: the coordinator has not answered within the attempt's time limit", verb);
    return 0;
}

/* An answer to this question, or NULL when there is none yet. */
static msg_t *take_answer (aside_t *self)
{
    zmq_pollitem_t item = { .socket = zsock_resolve (self->socket), .events = ZMQ_POLLIN };
    if (zmq_poll (&item, 1, LOOK_MS) <= 0)
        return NULL;
    AUTO (msg) msg_t *answer = msg_recv (self->socket, NULL, NULL, NULL, NULL);
    return answer && msg_int (answer, "re") == self->seq ? take (&answer) : NULL;
}

msg_t *aside_ask_with (aside_t *self, const char *verb, json_t *header, const void *body, size_t size, const char *expected, err_t *err)
{
    AUTO_JSON json_t *question = header;
    int64_t sent_ms = -REPEAT_MS;
    if (connect_once (self, err) < 0)
        return NULL;
    json_object_set_new (question, "seq", json_integer (++self->seq));
    while (check_time (self, verb, err) == 0) {
        if (clock_boot_ms () - sent_ms >= REPEAT_MS) {
            if (send_question (self, verb, question, body, size, err) < 0)
                return NULL;
            sent_ms = clock_boot_ms ();
        }
        AUTO (msg) msg_t *answer = take_answer (self);
        if (!answer)
            continue;
        if (msg_is (answer, expected))
            return take (&answer);
        bool is_error = msg_is (answer, "error");
        if (is_error)
            err_set (err, err_from_name (msg_text (answer, "code")), "%s", msg_text (answer, "text"));
        else
            err_set (err, ERR_PROTOCOL, "%s: the coordinator answers %s", verb, msg_verb (answer));
        return NULL;
    }
    return NULL;
}

msg_t *aside_ask (aside_t *self, const char *verb, json_t *header, const char *expected, err_t *err)
{
    return aside_ask_with (self, verb, header, NULL, 0, expected, err);
}
