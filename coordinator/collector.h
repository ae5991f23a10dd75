/* collector.h - when the depot is collected, and who waits for it. The depot service does the work (collection.c); here stands
 * how often, what it has to keep, and whom `prune` has to be answered. */
#ifndef FARM_COLLECTOR_H
#define FARM_COLLECTOR_H

#include <czmq.h>

#include "coordinator/engine.h"

typedef struct collector collector_t;

/* every_ms: how often by itself, 0 never; keep_ms: how long after its end a build's context is kept. */
collector_t *collector_new (int64_t every_ms, int64_t keep_ms);
void collector_destroy (collector_t **self);

/* A peer wants it now, and to hear of its end. */
void collector_ask (collector_t *self, uint64_t peer, int64_t seq);

/* When collector_begin has something to do, on the boot clock; INT64_MAX: not before it is told. */
int64_t collector_next (const collector_t *self);

/* Begin if it is time, and none is under way. */
int collector_begin (collector_t *self, engine_t *engine, zactor_t *depot, err_t *err);

/* It is over. Who waits for it, one after the other: false behind the last. */
void collector_end (collector_t *self);
bool collector_next_waiter (collector_t *self, uint64_t *peer, int64_t *seq);

#endif
