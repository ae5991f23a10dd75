/* cache.h - the worker's depot, and its size. Thread-safe. */
#ifndef FARM_CACHE_H
#define FARM_CACHE_H

#include "common/depot.h"

typedef struct cache cache_t;

/* Open or make the depot in the folder, which another process must not have open. It holds limit_bytes at most, and less where
 * the disk would have less than free_floor_bytes free. */
int cache_new (cache_t **out, const char *folder, int64_t limit_bytes, int64_t free_floor_bytes, err_t *err);
void cache_destroy (cache_t **self);

/* From the first look for an object of a context until it is checked out: nothing is forgotten meanwhile. */
depot_t *cache_enter (cache_t *self);
void cache_leave (cache_t *self);

/* What it holds, as it is on the disk. */
int64_t cache_bytes (cache_t *self);

/* Forget what was used least lately when there is more than the limits allow. Skipped while somebody is in: he, or the next one,
 * comes here too. */
void cache_trim (cache_t *self);

#endif
