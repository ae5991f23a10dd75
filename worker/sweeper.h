/* sweeper.h - a thread that makes room on a full disk as an attempt does at its end, where none runs: kept checkouts, then
 * contexts of the cache, then the builder's images go until the disk is above its floor, or none is left. */
#ifndef FARM_SWEEPER_H
#define FARM_SWEEPER_H

#include "worker/attempt.h"

typedef struct sweeper sweeper_t;

/* parts is borrowed until destroy, which waits for what is under way; the builder prunes no more then. NULL when
 * there is no thread for it. */
sweeper_t *sweeper_new (const attempt_parts_t *parts, err_t *err);
void sweeper_destroy (sweeper_t **self);

/* Returns at once. Nothing new is begun while it is at it. */
void sweeper_ask (sweeper_t *self);

#endif
