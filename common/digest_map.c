/* digest_map.c - open addressing. A digest is random already, so its first bytes are the hash; a peer that makes many
 * digests with equal first bytes has to search for each. */
#include "common/digest_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

typedef struct digest_map_slot {
    digest_t digest;
    uint32_t number;                    /* value + 1; 0 for an empty slot */
} slot_t;

static slot_t *slot_of (const digest_map_t *self, const digest_t *digest)
{
    uint64_t hash;
    memcpy (&hash, digest->bytes, sizeof hash);
    for (size_t i = hash & (self->slot_count - 1); ; i = (i + 1) & (self->slot_count - 1)) {
        slot_t *slot = &self->slots [i];
        if (!slot->number || digest_equal (&slot->digest, digest))
            return slot;
    }
}

int64_t digest_map_find (const digest_map_t *self, const digest_t *digest)
{
    return self->slot_count ? (int64_t) slot_of (self, digest)->number - 1 : -1;
}

static void grow (digest_map_t *self)
{
    digest_map_t larger = { .slot_count = self->slot_count ? 2 * self->slot_count : 256, .count = self->count };
    larger.slots = mem_alloc (larger.slot_count * sizeof *larger.slots);
    for (size_t i = 0; i < self->slot_count; i++)
        if (self->slots [i].number)
            *slot_of (&larger, &self->slots [i].digest) = self->slots [i];
    free (self->slots);
    *self = larger;
}

void digest_map_set (digest_map_t *self, const digest_t *digest, size_t value)
{
    assert (value < UINT32_MAX);
    if (4 * (self->count + 1) > 3 * self->slot_count)
        grow (self);
    slot_t *slot = slot_of (self, digest);
    self->count += !slot->number;
    slot->digest = *digest;
    slot->number = (uint32_t) value + 1;
}

void digest_map_free (digest_map_t *self)
{
    free (self->slots);
    *self = (digest_map_t) { 0 };
}
