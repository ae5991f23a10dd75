/* msg.h - a message of the farm: [verb][JSON header, at most 64 KiB][body, at most 260 KiB; empty but for the verbs that have one].
 *
 * docs/protocol.md tells the conversation, schema/messages.json holds the header of each verb. A message that arrives
 * is checked once, here; what comes out is a verb that exists and a header that fits it. */
#ifndef FARM_MSG_H
#define FARM_MSG_H

#include <czmq.h>
#include <jansson.h>

#include "common/err.h"
#include "common/keys.h"
#include "common/mem.h"

enum {
    MSG_VERB_MAX = 32,
    MSG_HEADER_MAX = 64 * 1024,
    MSG_BODY_MAX = 260 * 1024,      /* 256 KiB of content and what a pack adds (pack.h) */
    MSG_FRAME_MAX = 320 * 1024,     /* ZMQ_MAXMSGSIZE on every socket */
    MSG_FRAMES_MAX = 8
};

typedef struct msg msg_t;

/* Takes the header (json_decref is msg's from now on; NULL is an empty object). body is copied. */
msg_t *msg_new (const char *verb, json_t *header, const void *body, size_t body_size);
/* The same with a body that need not be copied: it is taken, and body left empty. */
msg_t *msg_new_with (const char *verb, json_t *header, buffer_t *body);
void msg_destroy (msg_t **self);

/* Borrowed views. */
const char *msg_verb (const msg_t *self);
int msg_is (const msg_t *self, const char *verb);
const json_t *msg_header (const msg_t *self);
const uint8_t *msg_body (const msg_t *self, size_t *size);

/* Fields of the header, for those that the schema has checked: 0, NULL or false where absent. */
int64_t msg_int (const msg_t *self, const char *field);
const char *msg_text (const msg_t *self, const char *field);
int msg_bool (const msg_t *self, const char *field);

/* Send over a DEALER, or over a ROUTER with `peer` (its routing id) in front. Never blocks for longer than the
 * socket's send time-out. ERR_NETWORK when the peer is gone or its queue full. Takes and destroys *self in each case. */
int msg_send (msg_t **self, void *socket, zframe_t *peer, err_t *err);

/* Receive. With peer not NULL the first frame is the routing id and goes there (ownership to the caller), also when
 * the rest is refused, so that the refusal can be answered; it is NULL when there is nobody to answer: nothing came, or the connection was
 * ended on this side (common/backlog.h). Returns NULL with ERR_PROTOCOL for what does not fit,
 * ERR_NETWORK when nothing came before the socket's time-out, ERR_INTERRUPTED at a signal.
 * user_key (may be NULL; else KEY_HEX_SIZE + 1 bytes) gets the CURVE key as ZAP's User-Id says it, "" where there is none;
 * fd (may be NULL) the descriptor of the connection it came over (ZMQ_SRCFD), -1 where unknown. */
msg_t *msg_recv (void *socket, zframe_t **peer, char *user_key, int *fd, err_t *err);

/* A DEALER with the farm's options (CURVE, MAXMSGSIZE, reconnect 1 s to 32 s, linger, time-outs in ms), not yet connected;
 * high_water messages may wait on either side. NULL and ERR_FARM when it cannot be. */
zsock_t *msg_dealer (const keypair_t *own, const uint8_t server_key [KEY_SIZE], int high_water, err_t *err);

/* The same, connected. NULL and ERR_FARM or ERR_USAGE when it cannot be. */
zsock_t *msg_connect (const char *endpoint, const keypair_t *own, const uint8_t server_key [KEY_SIZE], err_t *err);

/* A ROUTER with the farm's options (CURVE server, ZAP domain "farm" enforced, MANDATORY, MAXMSGSIZE), bound. 8 messages of a peer
 * wait here to be received, and high_water to be sent to it. bound (256 bytes) gets the endpoint with the port really taken. */
zsock_t *msg_bind (const char *endpoint, const keypair_t *server, int high_water, char bound [256], err_t *err);

/* The port of "tcp://HOST:PORT", as bound. */
uint16_t msg_port (const char *endpoint);

#endif
