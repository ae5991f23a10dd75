/* fuzz_messages.c - frames from a peer: verb and header in a line each, the body behind them; further frames behind 0x1e.
 *
 * covers: common/msg.c common/schema.c */
#include <czmq.h>
#include <string.h>

#include "common/msg.h"
#include "common/schema.h"
#include "fuzz.h"

static zsock_t *out, *in;

static void close_sockets (void)
{
    zsock_destroy (&in);
    zsock_destroy (&out);
}

static void open_sockets (void)
{
    if (in)
        return;
    zsys_init ();
    in = zsock_new_pair ("@inproc://fuzz");
    out = zsock_new_pair (">inproc://fuzz");
    MUST (in && out);
    zsock_set_rcvtimeo (in, 1000);
    atexit (close_sockets);
}

static void send_frame (const void *data, size_t size, bool has_more)
{
    MUST (zmq_send (zsock_resolve (out), data, size, has_more ? ZMQ_SNDMORE : 0) >= 0);
}

static void send_bodies (const uint8_t *data, size_t size)
{
    const uint8_t *mark;
    while (size && (mark = memchr (data, 0x1e, size))) {
        send_frame (data, (size_t) (mark - data), true);
        size -= (size_t) (mark + 1 - data);
        data = mark + 1;
    }
    send_frame (data, size, false);
}

static void send_input (const uint8_t *data, size_t size)
{
    fuzz_input_t input = { data, size };
    for (int i = 0; i < 2; i++) {
        size_t length, before = input.size;
        AUTO_FREE char *line = fuzz_line (&input, &length);
        bool has_more = before > length;
        send_frame (line, length, has_more);
        if (!has_more)
            return;
    }
    send_bodies (input.data, input.size);
}

static msg_t *receive (void)
{
    err_t err = { 0 };
    char key [KEY_HEX_SIZE + 1];
    int fd;
    msg_t *message = msg_recv (in, NULL, key, &fd, &err);
    MUST (message || err.code == ERR_PROTOCOL);
    return message;
}

/* What was accepted fits, is within its limits, and is the same after another journey. */
static void check (const msg_t *message)
{
    size_t size, again_size;
    err_t err = { 0 };
    const uint8_t *body = msg_body (message, &size);
    MUST (schema_has (schema_messages (), msg_verb (message)) && msg_verb (message) [0] != '_');
    MUST (size <= MSG_BODY_MAX);
    msg_t *copy = msg_new (msg_verb (message), json_deep_copy (msg_header (message)), body, size);
    if (msg_send (&copy, out, NULL, &err) < 0) {
        MUST (err.code == ERR_PROTOCOL);        /* written by us, it is longer: 1e9 becomes 1000000000.0 */
        return;
    }
    AUTO (msg) msg_t *again = receive ();
    MUST (again && msg_is (again, msg_verb (message)) && json_equal (msg_header (again), (json_t *) msg_header (message)));
    const uint8_t *again_body = msg_body (again, &again_size);
    MUST (again_size == size && memcmp (again_body, body, size) == 0);
}

/* Two readers of the header find the same. */
static void check_header (const uint8_t *data, size_t size)
{
    size_t length;
    fuzz_input_t input = { data, size };
    AUTO_FREE char *verb = fuzz_line (&input, NULL);
    AUTO_FREE char *header = fuzz_line (&input, &length);
    AUTO_JSON json_t *same = json_loadb (header, length, JSON_REJECT_DUPLICATES, NULL);
    MUST (json_is_object (same) && *verb);
}

FUZZ_TARGET (messages)
{
    open_sockets ();
    send_input (data, size);
    AUTO (msg) msg_t *message = receive ();
    if (!message)
        return;
    check_header (data, size);
    check (message);
}
