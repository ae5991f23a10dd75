/* client.h - farmctl's end of the wire: a control and an objects connection to the coordinator. */
#ifndef FARM_CLIENT_H
#define FARM_CLIENT_H

#include <jansson.h>

#include "common/err.h"
#include "common/msg.h"

typedef struct client client_t;

/* From farmctl's settings (docs/operations.md). Connections are made at first use. NULL: no settings, no key. */
client_t *client_new (err_t *err);
void client_destroy (client_t **self);

/* Ask and wait for the answer (timeout_ms; 0: the default of 10 s). Takes header. The answer's verb must be `expected`: an
 * `error` becomes err with its code; anything else ERR_PROTOCOL; silence ERR_NETWORK naming the endpoint. */
msg_t *client_ask (client_t *self, const char *verb, json_t *header, const char *expected, int timeout_ms, err_t *err);

/* The same on the objects connection, with a body. */
msg_t *client_ask_objects (client_t *self, const char *verb, json_t *header, const void *body, size_t body_size,
                           const char *expected, int timeout_ms, err_t *err);

/* Unanswered messages: send now, take answers later (upload with several on the way). The seq that the answer's `re`
 * will carry is returned, -1 on error. */
int64_t client_send_objects (client_t *self, const char *verb, json_t *header, const void *body, size_t body_size,
                             err_t *err);
msg_t *client_next_objects (client_t *self, int timeout_ms, err_t *err);

/* What comes on the control connection without having been asked for (`build` of a watch). NULL with ERR_TIMEOUT. */
msg_t *client_next (client_t *self, int timeout_ms, err_t *err);

#endif
