/* digest_map.h - numbers by digest, in memory. {0} is an empty map. */
#ifndef FARM_DIGEST_MAP_H
#define FARM_DIGEST_MAP_H

#include "common/digest.h"

typedef struct {
    struct digest_map_slot *slots;      /* a power of two, at most three quarters of them taken */
    size_t slot_count, count;
} digest_map_t;

/* The number of a digest, or -1. */
int64_t digest_map_find (const digest_map_t *self, const digest_t *digest);

/* Set it, whether it was there or not. value is below 2^32 - 1. */
void digest_map_set (digest_map_t *self, const digest_t *digest, size_t value);

void digest_map_free (digest_map_t *self);

#endif
