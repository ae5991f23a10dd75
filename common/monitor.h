/* monitor.h - tells what becomes of a socket's connections (zmq_socket_monitor). libzmq tells of an end before it closes the
 * descriptor, so a reader that empties the monitor before each message cannot take an old connection's end for a new one's. */
#ifndef FARM_MONITOR_H
#define FARM_MONITOR_H

#include <czmq.h>

#include "common/err.h"

typedef struct monitor monitor_t;

/* events: ZMQ_EVENT_…, ORed. NULL with ERR_FARM when the process has no descriptors left. */
monitor_t *monitor_new (zsock_t *watched, int events, err_t *err);
void monitor_destroy (monitor_t **self);

/* To poll on. */
zsock_t *monitor_socket (monitor_t *self);

/* The next event, 0 when there is none now. *value: its value, of an end the descriptor of the connection. */
int monitor_next (monitor_t *self, int *value);

#endif
