/* connection.h - a DEALER to the coordinator that tells when it is connected, so that nothing is sent into a queue that nobody
 * empties, and that goes on trying where libzmq gives up: after a refused key. */
#ifndef FARM_CONNECTION_H
#define FARM_CONNECTION_H

#include <czmq.h>
#include <stdbool.h>

#include "common/keys.h"
#include "common/msg.h"

typedef struct connection connection_t;

typedef enum {
    CONNECTION_SAME = 0,        /* nothing happened */
    CONNECTION_UP,              /* the handshake has succeeded */
    CONNECTION_DOWN,            /* it was up, and ended */
    CONNECTION_AWAY,            /* nobody listens there */
    CONNECTION_REFUSED,         /* our key is not known there */
    CONNECTION_STRANGE          /* it was closed before the handshake had ended: the coordinator's key is another one, or it is none */
} connection_change;

/* Connects, and reconnects by itself. endpoint, own and server_key are borrowed. ERR_USAGE for an address that is none. */
int connection_new (connection_t **out, const char *endpoint, const keypair_t *own, const uint8_t server_key [KEY_SIZE],
                    int high_water, err_t *err);
void connection_destroy (connection_t **self);

/* What to poll on, and for how long at most; then call connection_next until it says CONNECTION_SAME. */
enum { CONNECTION_ITEMS = 2 };
int connection_poll_items (connection_t *self, zmq_pollitem_t items [CONNECTION_ITEMS]);
int64_t connection_due_ms (const connection_t *self);       /* boot clock; INT64_MAX: never */
connection_change connection_next (connection_t *self);

bool connection_is_up (const connection_t *self);

/* Takes and destroys the message; it is dropped, with ERR_NETWORK, where the connection is not up or its queue is full. */
int connection_send (connection_t *self, msg_t **message, err_t *err);

/* The next message, or NULL: with err->code ERR_NONE when there is none now. */
msg_t *connection_receive (connection_t *self, err_t *err);

/* Make another connection: nothing has been heard over this one for too long. One that is up is kept until the other is answered on
 * (connection_settle), for its end would tell the coordinator that this process has ended. */
void connection_renew (connection_t *self);
void connection_settle (connection_t *self);

#endif
