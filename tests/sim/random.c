/* random.c - see sim.h: from the seed. */
#include "sim.h"

#include "tests/lib/chance.h"

uint64_t draw (world_t *self, uint64_t below)
{
    uint64_t number = chance_next (&self->random);
    return below ? number % below : 0;
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
