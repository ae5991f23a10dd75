/* door_guests.c - see door_guests.h. A connection is ended by shutdown (): libmicrohttpd closes the socket, and tells us before it does. */
#include "worker/door_guests.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/mem.h"

typedef struct guest {
    guests_t *guests;
    TAILQ_ENTRY (guest) place;      /* among the strangers, while it is one */
    bool is_stranger;
    int fd;
} guest_t;

struct guests {
    pthread_mutex_t lock;
    TAILQ_HEAD (, guest) strangers; /* the first has been here longest */
    int stranger_count, strangers_max;
};

guests_t *guests_new (int strangers_max)
{
    guests_t *self = mem_alloc (sizeof *self);
    pthread_mutex_init (&self->lock, NULL);
    TAILQ_INIT (&self->strangers);
    self->strangers_max = strangers_max;
    return self;
}

void guests_destroy (guests_t **self_p)
{
    guests_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_destroy (&self->lock);
    free (self);
    *self_p = NULL;
}

/* With the lock held. */
static void be_no_stranger (guest_t *guest)
{
    if (!guest->is_stranger)
        return;
    guest->is_stranger = false;
    TAILQ_REMOVE (&guest->guests->strangers, guest, place);
    guest->guests->stranger_count--;
}

static void enter (guests_t *self, struct MHD_Connection *connection, void **context)
{
    guest_t *guest = mem_alloc (sizeof *guest);
    guest->guests = self;
    guest->is_stranger = true;
    guest->fd = MHD_get_connection_info (connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    *context = guest;
    pthread_mutex_lock (&self->lock);
    TAILQ_INSERT_TAIL (&self->strangers, guest, place);
    if (++self->stranger_count > self->strangers_max) {
        guest_t *oldest = TAILQ_FIRST (&self->strangers);
        shutdown (oldest->fd, SHUT_RDWR);
        be_no_stranger (oldest);
    }
    pthread_mutex_unlock (&self->lock);
}

static void leave_strangers (guest_t *guest)
{
    pthread_mutex_lock (&guest->guests->lock);
    be_no_stranger (guest);
    pthread_mutex_unlock (&guest->guests->lock);
}

void guests_on_connection (void *argument, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        enter (argument, connection, context);
    else if (*context) {
        leave_strangers (*context);
        free (*context);
        *context = NULL;
    }
}

void guests_know (struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info (connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info && info->socket_context)
        leave_strangers (info->socket_context);
}
