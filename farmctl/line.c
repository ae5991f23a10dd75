/* line.c - see line.h. */
#include "farmctl/line.h"

#include "common/msg.h"

enum {
    HIGH_WATER = 1000, RECONNECT_MS = 500, FAILURES_MAX = 2,
    WATCHED = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_SUCCEEDED
};

/* libzmq waits for one to two of RECONNECT_MS before it tries again, so a second failure is known within a second. */
int line_open (line_t *self, const keypair_t *own, const uint8_t server_key [KEY_SIZE], err_t *err)
{
    if (self->socket)
        return 0;
    self->socket = msg_dealer (own, server_key, HIGH_WATER, err);
    if (!self->socket)
        return -1;
    zsock_set_reconnect_ivl (self->socket, RECONNECT_MS);
    self->monitor = monitor_new (self->socket, WATCHED, err);
    if (!self->monitor) {
        line_close (self);
        return -1;
    }
    if (zsock_connect (self->socket, "%s", self->endpoint) == 0)
        return 0;
    err_set (err, ERR_USAGE, "%s is no address that can be connected to (tcp://HOST:PORT): %s", self->endpoint,
             zmq_strerror (errno));
    line_close (self);
    return -1;
}

void line_close (line_t *self)
{
    monitor_destroy (&self->monitor);
    zsock_destroy (&self->socket);
    self->was_made = self->is_renewed = false;
}

/* CLOSED is told of an attempt to connect that failed, not of a connection that came about. */
static void take_events (line_t *self)
{
    int value;
    for (int event; (event = monitor_next (self->monitor, &value));)
        if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
            self->is_stranger = true;
        else if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            self->is_renewed |= self->was_made;
            self->was_made = true;
        } else
            self->failures = event == ZMQ_EVENT_CLOSED ? self->failures + 1 : 0;
}

bool line_take_renewal (line_t *self)
{
    if (self->monitor)
        take_events (self);
    bool is_renewed = self->is_renewed;
    self->is_renewed = false;
    return is_renewed;
}

int line_check (line_t *self, err_t *err)
{
    if (!self->monitor)
        return 0;
    take_events (self);
    if (self->is_trusted || (!self->is_stranger && self->failures < FAILURES_MAX))
        return 0;
    zsock_set_linger (self->socket, 0);         /* what was said will not be heard */
    if (self->is_stranger)
        return err_set (err, ERR_DENIED, "coordinator %s does not know this user's key: join the farm (again) with farmctl join "
                        "STRING", self->endpoint);
    return err_set (err, ERR_NETWORK, "coordinator %s refuses the connection, or its machine cannot be reached: is it running "
                    "there, and is the address right?", self->endpoint);
}

int line_items (const line_t *self, zmq_pollitem_t items [LINE_ITEMS])
{
    if (!self->socket)
        return 0;
    items [0] = (zmq_pollitem_t) { .socket = zsock_resolve (self->socket), .events = ZMQ_POLLIN };
    items [1] = (zmq_pollitem_t) { .socket = zsock_resolve (monitor_socket (self->monitor)), .events = ZMQ_POLLIN };
    return LINE_ITEMS;
}

bool line_has_input (const line_t *self)
{
    return self->socket && (zsock_events (self->socket) & ZMQ_POLLIN);
}
