/* door_guests.h - the connections to the door. One is a stranger's until a request on it has named a live attempt: RUN steps, which are on the board's
 * loopback, are strangers for ever. However many connections they make, and however slowly they speak, there is room for the builders: when there are too
 * many strangers, the one that has been there longest has to go. */
#ifndef FARM_DOOR_GUESTS_H
#define FARM_DOOR_GUESTS_H

#include <microhttpd.h>

typedef struct guests guests_t;

/* The caller destroys it, when no connection is left. */
guests_t *guests_new (int strangers_max);
void guests_destroy (guests_t **self);

/* libmicrohttpd's notice of a connection that begins or ends (MHD_OPTION_NOTIFY_CONNECTION): argument is the guests_t. */
void guests_on_connection (void *argument, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code);

/* It has named a live attempt. From any thread. */
void guests_know (struct MHD_Connection *connection);

#endif
