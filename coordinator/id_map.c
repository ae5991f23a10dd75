/* id_map.c - open addressing. A slot that is given up is filled by one that was pushed on by it, so there are no dead ones. */
#include "coordinator/id_map.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/mem.h"

typedef struct id_map_slot {
    int64_t id;
    size_t place;                       /* + 1; 0 for an empty slot */
} slot_t;

/* Numbers follow each other: multiplied they are spread, and the upper half of the product is the best of it. */
static size_t home_of (const id_map_t *self, int64_t id)
{
    return (size_t) (((uint64_t) id * 0x9e3779b97f4a7c15U) >> 32) & (self->slot_count - 1);
}

/* Its slot, or the empty one that would be. */
static slot_t *slot_of (const id_map_t *self, int64_t id)
{
    size_t i = home_of (self, id);
    while (self->slots [i].place && self->slots [i].id != id)
        i = (i + 1) & (self->slot_count - 1);
    return &self->slots [i];
}

ptrdiff_t id_map_find (const id_map_t *self, int64_t id)
{
    return self->slot_count ? (ptrdiff_t) slot_of (self, id)->place - 1 : -1;
}

static void grow (id_map_t *self)
{
    id_map_t larger = { .slot_count = self->slot_count ? 2 * self->slot_count : 64, .count = self->count };
    larger.slots = mem_alloc (larger.slot_count * sizeof *larger.slots);
    for (size_t i = 0; i < self->slot_count; i++)
        if (self->slots [i].place)
            *slot_of (&larger, self->slots [i].id) = self->slots [i];
    free (self->slots);
    *self = larger;
}

void id_map_set (id_map_t *self, int64_t id, size_t place)
{
    if (2 * (self->count + 1) > self->slot_count)
        grow (self);
    slot_t *slot = slot_of (self, id);
    self->count += slot->place == 0;
    *slot = (slot_t) { id, place + 1 };
}

void id_map_drop (id_map_t *self, int64_t id)
{
    slot_t *hole = self->slot_count ? slot_of (self, id) : NULL;
    if (!hole || !hole->place)
        return;
    size_t mask = self->slot_count - 1, at = (size_t) (hole - self->slots);
    for (size_t i = (at + 1) & mask; self->slots [i].place; i = (i + 1) & mask) {
        bool may_fill = ((i - home_of (self, self->slots [i].id)) & mask) >= ((i - at) & mask);
        if (!may_fill)
            continue;
        self->slots [at] = self->slots [i];
        at = i;
    }
    self->slots [at].place = 0;
    self->count--;
}

void id_map_clear (id_map_t *self)
{
    free (self->slots);
    *self = (id_map_t) { 0 };
}
