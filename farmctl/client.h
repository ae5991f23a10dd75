/* client.h - farmctl's end of the wire: a control and an objects connection to the coordinator.
 *
 * `hello` goes first on the control connection, and again on each later one and on `who` (the coordinator was restarted), with the
 * last question. Whatever a caller asks may therefore reach the coordinator twice: every question is one
 * that may be repeated. */
#ifndef FARM_CLIENT_H
#define FARM_CLIENT_H

#include <jansson.h>

#include "common/err.h"
#include "common/keys.h"
#include "common/msg.h"

typedef struct client client_t;

/* From farmctl's settings (docs/farmctl.md). Connections are made at first use. NULL: no settings, no key. */
client_t *client_new (err_t *err);
/* To a given coordinator under a given key: for `join`, and for tests. objects may be NULL. */
client_t *client_new_to (const char *control, const char *objects, const uint8_t server_key [KEY_SIZE],
                         const keypair_t *own);
void client_destroy (client_t **self);

/* Ask and wait for the answer (timeout_ms; 0: the default of 10 s). Takes header. The answer's verb must be `expected`: an
 * `error` becomes err with its code; anything else ERR_PROTOCOL; silence ERR_NETWORK naming the endpoint, at once
 * where the coordinator refuses connections and has not answered before; a key not known there ERR_DENIED; a signal
 * ERR_INTERRUPTED (interrupt.h). */
msg_t *client_ask (client_t *self, const char *verb, json_t *header, const char *expected, int timeout_ms, err_t *err);

/* The same with a body, which is taken, and left empty. It is not asked again by itself on a later connection: after silence, ask once more. */
msg_t *client_ask_with (client_t *self, const char *verb, json_t *header, buffer_t *body, const char *expected, int timeout_ms, err_t *err);

/* The same on the objects connection, with a body. */
msg_t *client_ask_objects (client_t *self, const char *verb, json_t *header, const void *body, size_t body_size,
                           const char *expected, int timeout_ms, err_t *err);

/* Unanswered messages: send now, take answers later (upload with several on the way). body (NULL for none) is taken, and left empty. The seq that the answer's `re`
 * will carry is returned, -1 on error. client_next_objects returns the next answer whatever it is, also `error`; NULL with
 * ERR_NETWORK when none came in time (timeout_ms; 0: what is there already). */
int64_t client_send_objects (client_t *self, const char *verb, json_t *header, buffer_t *body, err_t *err);
msg_t *client_next_objects (client_t *self, int timeout_ms, err_t *err);

/* The same on the control connection: what comes there without having been asked for (`build` of a watch), and answers
 * to client_send, also `error`. NULL with ERR_TIMEOUT when there is none. */
int64_t client_send (client_t *self, const char *verb, json_t *header, err_t *err);
int64_t client_send_with (client_t *self, const char *verb, json_t *header, buffer_t *body, err_t *err);       /* body is taken; not said again */
msg_t *client_next (client_t *self, int timeout_ms, err_t *err);

/* Wait until something can be taken from one of the connections: 1, or 0 after timeout_ms; -1 with ERR_INTERRUPTED,
 * or refused as with client_ask. */
int client_wait (client_t *self, int timeout_ms, err_t *err);

/* The same for the objects connection, or until fd can be read; can something be taken from it? client_silence is the error for one who has waited in vain. */
int client_wait_objects (client_t *self, int fd, int timeout_ms, err_t *err);
bool client_has_objects (const client_t *self);
/* Was the objects connection made again since the last call? What was asked there has no answer then. */
bool client_take_objects_renewal (client_t *self);
int client_silence (const client_t *self, int timeout_ms, err_t *err);

/* An `error` message as err. Returns -1. */
int client_refusal (const msg_t *message, err_t *err);

/* Make the control connection now and say hello, or the objects connection: what follows finds it made. */
int client_open (client_t *self, err_t *err);
int client_open_objects (client_t *self, err_t *err);

/* Say hello and wait for the coordinator's `welcome` (borrowed header; NULL with err). */
const json_t *client_greet (client_t *self, int timeout_ms, err_t *err);

/* Has the coordinator answered anything? */
bool client_has_heard (const client_t *self);

/* tcp://host:port of the control connection. */
const char *client_endpoint (const client_t *self);
/* The coordinator's public key, borrowed. */
const uint8_t *client_server_key (const client_t *self);

#endif
