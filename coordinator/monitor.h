/* monitor.h - tells when a connection of a socket ended (zmq_socket_monitor). libzmq says so before it closes the
 * descriptor, so a reader that empties the monitor before each message cannot take an old connection's end for a new one's. */
#ifndef FARM_MONITOR_H
#define FARM_MONITOR_H

#include <czmq.h>

typedef struct monitor monitor_t;

monitor_t *monitor_new (zsock_t *watched);
void monitor_destroy (monitor_t **self);

/* To poll on. */
zsock_t *monitor_socket (monitor_t *self);

/* The descriptor of the next connection that ended; -1 when there is none now. */
int monitor_next (monitor_t *self);

#endif
