/* curve.h - the client's side of ZMTP 3 with CURVE (RFC 23 and 26), one step at a time and by hand, for those who stop between two steps or
 * send frames that libzmq would not: it keeps the parts of a message until the last one is there. */
#ifndef HOSTILE_CURVE_H
#define HOSTILE_CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/keys.h"

enum { CURVE_GREETING = 64, CURVE_HELLO = 2 + 200, CURVE_FRAME_ADDS = 9 + 33 };

typedef struct {
    int fd;
    uint64_t nonce;
    keypair_t brief;                /* of this connection alone */
    uint8_t cookie_box [32 + 96];
    uint8_t shared [32];
} curve_t;

/* Connected, nothing sent; false when it cannot be. port: of 127.0.0.1. */
bool curve_connect (curve_t *self, int port);
/* What is sent first, and second. */
void curve_greeting (uint8_t out [CURVE_GREETING]);
void curve_hello (curve_t *self, const uint8_t server_key [KEY_SIZE], uint8_t out [CURVE_HELLO]);
/* All of the handshake up to the server's READY; false when it ends the connection. */
bool curve_enter (curve_t *self, const keypair_t *own, const uint8_t server_key [KEY_SIZE]);
/* The same without waiting for READY: what a stranger sends goes on behind it. */
bool curve_rush (curve_t *self, const keypair_t *own, const uint8_t server_key [KEY_SIZE]);
/* A frame of a message, encrypted; out has CURVE_FRAME_ADDS bytes more than data. Returns its size. */
size_t curve_frame (curve_t *self, const void *data, size_t size, bool more, uint8_t *out);
/* False when the connection is ended. */
bool curve_send (const curve_t *self, const void *data, size_t size);

#endif
