/* connection.c - see connection.h. libzmq makes a lost connection again, but not one whose handshake was answered by an error
 * (its session ends): then the socket is replaced. */
#include "worker/connection.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/monitor.h"

enum {
    RENEW_MS = 1000, RENEW_MAX_MS = 32000,
    WATCHED = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
            | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED
};

struct connection {
    const char *endpoint;
    const keypair_t *own;
    const uint8_t *server_key;
    int high_water;
    zsock_t *socket;            /* NULL: waits until renew_at */
    zsock_t *former;            /* was up, and is silent; NULL: none */
    monitor_t *monitor;
    bool is_up;
    int64_t renew_at;
    int renew_ms;
};

static void end_socket (connection_t *self)
{
    monitor_destroy (&self->monitor);
    zsock_destroy (&self->socket);
    self->is_up = false;
}

static int open_socket (connection_t *self, err_t *err)
{
    self->renew_at = INT64_MAX;
    self->socket = msg_dealer (self->own, self->server_key, self->high_water, err);
    if (!self->socket)
        return -1;
    zsock_set_sndtimeo (self->socket, 0);
    zsock_set_rcvtimeo (self->socket, 0);
    self->monitor = monitor_new (self->socket, WATCHED, err);
    if (!self->monitor) {
        end_socket (self);
        return -1;
    }
    if (zsock_connect (self->socket, "%s", self->endpoint) == 0)
        return 0;
    err_set (err, ERR_USAGE, "%s is no address that can be connected to (tcp://HOST:PORT): %s", self->endpoint,
             zmq_strerror (errno));
    end_socket (self);
    return -1;
}

int connection_new (connection_t **out, const char *endpoint, const keypair_t *own, const uint8_t server_key [KEY_SIZE],
                    int high_water, err_t *err)
{
    AUTO (connection) connection_t *self = mem_alloc (sizeof *self);
    self->endpoint = endpoint;
    self->own = own;
    self->server_key = server_key;
    self->high_water = high_water;
    self->renew_ms = RENEW_MS;
    if (open_socket (self, err) < 0)
        return -1;
    *out = take (&self);
    return 0;
}

void connection_destroy (connection_t **self_p)
{
    connection_t *self = *self_p;
    if (!self)
        return;
    end_socket (self);
    connection_settle (self);
    free (self);
    *self_p = NULL;
}

/* -- what happens ----------------------------------------------------------------------------------------------- */

int connection_poll_items (connection_t *self, zmq_pollitem_t items [CONNECTION_ITEMS])
{
    if (!self->socket)
        return 0;
    items [0] = (zmq_pollitem_t) { .socket = zsock_resolve (self->socket), .events = ZMQ_POLLIN };
    items [1] = (zmq_pollitem_t) { .socket = zsock_resolve (monitor_socket (self->monitor)), .events = ZMQ_POLLIN };
    return 2;
}

int64_t connection_due_ms (const connection_t *self)
{
    return self->socket ? INT64_MAX : self->renew_at;
}

static void renew_later (connection_t *self)
{
    end_socket (self);
    self->renew_at = clock_boot_ms () + self->renew_ms;
    self->renew_ms = self->renew_ms < RENEW_MAX_MS / 2 ? 2 * self->renew_ms : RENEW_MAX_MS;
}

void connection_settle (connection_t *self)
{
    zsock_destroy (&self->former);
}

void connection_renew (connection_t *self)
{
    if (self->is_up && !self->former) {
        monitor_destroy (&self->monitor);
        self->former = take (&self->socket);
    }
    end_socket (self);
    if (open_socket (self, NULL) < 0)
        renew_later (self);
}

static connection_change on_event (connection_t *self, int event)
{
    bool was_up = self->is_up;
    switch (event) {
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
            self->is_up = true;
            self->renew_ms = RENEW_MS;
            return CONNECTION_UP;
        case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
            renew_later (self);
            return CONNECTION_REFUSED;
        case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
            renew_later (self);
            return CONNECTION_STRANGE;
        case ZMQ_EVENT_CLOSED:          /* of an attempt to connect; one that was up is told as DISCONNECTED */
            return was_up ? CONNECTION_SAME : CONNECTION_AWAY;
        default:
            self->is_up = false;
            if (was_up)
                connection_renew (self);        /* libzmq would wait for one to two seconds first */
            return was_up ? CONNECTION_DOWN : CONNECTION_STRANGE;
    }
}

connection_change connection_next (connection_t *self)
{
    connection_change change = CONNECTION_SAME;
    int event = 0, value;
    if (!self->socket && clock_boot_ms () >= self->renew_at && open_socket (self, NULL) < 0)
        renew_later (self);
    while (change == CONNECTION_SAME && self->socket && (event = monitor_next (self->monitor, &value)))
        change = on_event (self, event);
    return change;
}

bool connection_is_up (const connection_t *self)
{
    return self->is_up;
}

/* -- messages --------------------------------------------------------------------------------------------------- */

int connection_send (connection_t *self, msg_t **message, err_t *err)
{
    if (self->is_up)
        return msg_send (message, self->socket, NULL, err);
    msg_destroy (message);
    return err_set (err, ERR_NETWORK, "coordinator %s is not connected", self->endpoint);
}

msg_t *connection_receive (connection_t *self, err_t *err)
{
    err_t why = { 0 };
    *err = why;
    if (!self->socket || !(zsock_events (self->socket) & ZMQ_POLLIN))
        return NULL;
    msg_t *message = msg_recv (self->socket, NULL, NULL, NULL, &why);
    if (!message && why.code == ERR_PROTOCOL)
        *err = why;
    return message;
}
