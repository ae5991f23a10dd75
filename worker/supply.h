/* supply.h - where a checkout takes its objects from. Thread-safe. */
#ifndef FARM_SUPPLY_H
#define FARM_SUPPLY_H

#include "common/depot.h"
#include "common/err.h"

typedef struct supply supply_t;

supply_t *supply_new (depot_t *depot);
void supply_destroy (supply_t **self);

/* Read one object into out (replaced). */
int supply_get (supply_t *self, const digest_t *digest, buffer_t *out, err_t *err);

#endif
