/* monitor.c - see monitor.h. */
#include "common/monitor.h"

#include <stdatomic.h>
#include <string.h>

#include "common/mem.h"

struct monitor {
    zsock_t *watched;
    zsock_t *events;
};

/* A name is taken once: libzmq gives one back some time after its monitor was destroyed, in another thread. */
monitor_t *monitor_new (zsock_t *watched, int wanted, err_t *err)
{
    static atomic_uint last;
    monitor_t *self = mem_alloc (sizeof *self);
    char endpoint [64];
    snprintf (endpoint, sizeof endpoint, "inproc://monitor-%u", atomic_fetch_add (&last, 1));
    if (zmq_socket_monitor (zsock_resolve (watched), endpoint, wanted) != 0) {
        err_set (err, ERR_FARM, "watch a connection: %s", zmq_strerror (errno));       /* descriptors have run out */
        free (self);
        return NULL;
    }
    self->watched = watched;
    self->events = zsock_new (ZMQ_PAIR);
    zsock_set_rcvhwm (self->events, 0);
    int rc = zsock_connect (self->events, "%s", endpoint);
    assert (rc == 0);               /* within the process: it needs nothing */
    return self;
}

void monitor_destroy (monitor_t **self_p)
{
    monitor_t *self = *self_p;
    if (!self)
        return;
    zmq_socket_monitor (zsock_resolve (self->watched), NULL, 0);
    zsock_destroy (&self->events);
    free (self);
    *self_p = NULL;
}

zsock_t *monitor_socket (monitor_t *self)
{
    return self->events;
}

/* Two frames: event (16 bits) and value (32 bits) in our byte order, then the endpoint. */
int monitor_next (monitor_t *self, int *value)
{
    if (!(zsock_events (self->events) & ZMQ_POLLIN))
        return 0;
    zmsg_t *message = zmsg_recv (self->events);
    zframe_t *frame = message ? zmsg_first (message) : NULL;
    uint16_t event = 0;
    int32_t number = -1;
    if (frame && zframe_size (frame) == 6) {
        memcpy (&event, zframe_data (frame), sizeof event);
        memcpy (&number, zframe_data (frame) + 2, sizeof number);
    }
    zmsg_destroy (&message);
    *value = number;
    return event;
}
