/* gates.h - a ROUTER behind the ZAP handler, which knows one key. */
#ifndef FARM_TESTS_GATES_H
#define FARM_TESTS_GATES_H

#include "common/actor.h"
#include "common/msg.h"
#include "coordinator/zap.h"

typedef struct {
    keypair_t server, known;
    char known_hex [KEY_HEX_SIZE + 1], bound [256];
    zsock_t *zap, *router;
} gate_t;

/* high_water: as msg_bind has it. */
static inline void gate_open (gate_t *self, int high_water)
{
    err_t err = { 0 };
    keypair_make (&self->server);
    keypair_make (&self->known);
    key_to_hex (self->known.public_key, self->known_hex);
    self->zap = actor_new (zap_actor, NULL, NULL);
    zap_allow (self->zap, self->known_hex);
    self->router = msg_bind ("tcp://127.0.0.1:*", &self->server, high_water, self->bound, &err);
    assert_non_null (self->router);
}

/* A connection with the known key. */
static inline zsock_t *gate_dial (const gate_t *self)
{
    err_t err = { 0 };
    zsock_t *dealer = msg_connect (self->bound, &self->known, self->server.public_key, &err);
    assert_non_null (dealer);
    return dealer;
}

static inline void gate_close (gate_t *self)
{
    zsock_destroy (&self->router);
    actor_destroy (&self->zap);
}

#endif
