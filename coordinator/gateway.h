/* gateway.h - the actor that owns the control socket and the engine: messages in, actions out.
 *
 * It takes every message that is ready (at most 96 at a time), lets the engine decide on them in one transaction, and does
 * what the engine says after the commit.
 *
 * Pipe: ["STOP"] nothing new is begun; it sends ["STOPPED"] when the publishers, and who sends a context, have ended what they were at.
 * ["$TERM"] ends it, then or before. It sends ["FATAL", text] when it cannot go on. */
#ifndef FARM_GATEWAY_H
#define FARM_GATEWAY_H

#include <czmq.h>

#include "common/depot.h"
#include "common/registry.h"
#include "common/settings.h"
#include "coordinator/engine.h"
#include "coordinator/letter.h"
#include "coordinator/seal.h"

typedef struct gateway gateway_t;

typedef struct {
    const settings_t *settings;
    const keypair_t *server;
    const registry_settings_t *registry;
    engine_t *engine;               /* borrowed; used by the gateway's thread alone from gateway_actor on */
    zsock_t *zap;                  /* borrowed, running */
    zsock_t *depot;                /* borrowed, running: depot_service_actor */
    zsock_t *web;                   /* borrowed, running: web_actor; NULL: there is none */
    depot_t *objects;               /* borrowed, of the depot service: what is fetched goes into it */
    const json_t *sources;          /* borrowed: source_rules.h */
    const char *audit_head;         /* the file that the audit log's last row is noted in; NULL for none */
    const seal_t *seal;            /* borrowed: of secrets */
    const letter_settings_t *letters;       /* borrowed: how news are delivered; NULL: they are not */
} gateway_parts_t;

/* Bind the control socket, let in all keys that the engine knows, start the publishers. */
int gateway_new (gateway_t **out, const gateway_parts_t *parts, err_t *err);
void gateway_destroy (gateway_t **self);
/* What is being fetched ends, for its depot is about to. The gateway itself stays, and does not run any more. */
void gateway_end_fetches (gateway_t *self);
const char *gateway_endpoint (const gateway_t *self);       /* as bound */

/* For actor_new (gateway_actor, gateway). */
void gateway_actor (zsock_t *pipe, void *gateway);

#endif
