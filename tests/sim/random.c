/* random.c - see sim.h: splitmix64, from the seed. */
#include "sim.h"

uint64_t draw (world_t *self, uint64_t below)
{
    uint64_t z = (self->random += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return below ? (z ^ (z >> 31)) % below : 0;
}

int64_t draw_ms (world_t *self, int64_t below)
{
    return (int64_t) draw (self, (uint64_t) below);
}

bool chance (world_t *self, uint64_t one_in)
{
    return draw (self, one_in) == 0;
}

bool mishap (world_t *self, uint64_t one_in)
{
    return draw (self, one_in) == 0 && !self->is_calm;
}
