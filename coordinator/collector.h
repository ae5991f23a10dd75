/* collector.h - when what no build needs is taken away, and who waits for it: first builds are forgotten (the engine does), then the depot
 * service goes through logs and depot (collection.c). Here stands how often, what has to be kept, and whom `prune` has to be answered. */
#ifndef FARM_COLLECTOR_H
#define FARM_COLLECTOR_H

#include <czmq.h>

#include "coordinator/engine.h"

typedef struct collector collector_t;

/* every_ms: how often by itself, 0 never; keep_ms: how long after its end a build's context is kept. */
collector_t *collector_new (int64_t every_ms, int64_t keep_ms);
void collector_destroy (collector_t **self);

/* A peer wants it now, or with is_dry to know what would go, and to hear of its end. False when too many wait. */
bool collector_ask (collector_t *self, uint64_t peer, int64_t seq, bool is_dry);

/* When collector_go_on has something to do, on the boot clock; INT64_MAX: not before the engine or the depot service has. */
int64_t collector_next (const collector_t *self);

/* Begin if it is time and none is under way; or go on, once builds are forgotten. */
int collector_go_on (collector_t *self, engine_t *engine, zsock_t *depot, err_t *err);

/* It is over. Whether it was dry, and how many builds were, or would be, forgotten. */
bool collector_end (collector_t *self, int64_t *builds);
/* Who waited for it, one after the other: false behind the last. Who asked meanwhile waits for the next. */
bool collector_next_waiter (collector_t *self, uint64_t *peer, int64_t *seq);
/* Nothing will be begun any more: whoever waits, for whatever it is, is to be answered now. */
void collector_dismiss (collector_t *self);

#endif
