/* id_map.h - where in an array the item of a number stands, in memory. {0} is an empty map. */
#ifndef FARM_ID_MAP_H
#define FARM_ID_MAP_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    struct id_map_slot *slots;          /* a power of two, at most half of them taken */
    size_t slot_count, count;
} id_map_t;

/* -1 where it is not there. */
ptrdiff_t id_map_find (const id_map_t *self, int64_t id);

/* Whether it was there or not. */
void id_map_set (id_map_t *self, int64_t id, size_t place);
void id_map_drop (id_map_t *self, int64_t id);
void id_map_clear (id_map_t *self);     /* and release its memory */

#endif
