/* context_limits.h - what a context may come to when it is written out: the settings context/entries and context/size. */
#ifndef FARM_CONTEXT_LIMITS_H
#define FARM_CONTEXT_LIMITS_H

#include "common/depot.h"
#include "common/err.h"

typedef struct { int64_t entries_max, bytes_max; } context_limits_t;       /* 0: no limit */

/* ERR_USAGE: this context in the depot comes to more, or its folders lie deeper than a worker writes them. 0 also where the depot does not have it. */
int context_limits_check (const context_limits_t *self, depot_t *depot, const digest_t *root, err_t *err);

#endif
