/* supply.c - see supply.h. */
#include "worker/supply.h"

#include <stdlib.h>

struct supply {
    depot_t *depot;
};

supply_t *supply_new (depot_t *depot)
{
    supply_t *self = mem_alloc (sizeof *self);
    self->depot = depot;
    return self;
}

void supply_destroy (supply_t **self)
{
    free (*self);
    *self = NULL;
}

int supply_get (supply_t *self, const digest_t *digest, buffer_t *out, err_t *err)
{
    return depot_get (self->depot, digest, out, NULL, err);
}
