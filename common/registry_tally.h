/* registry_tally.h - how often registries were asked, by method and status, over all clients of a program. Any thread. */
#ifndef FARM_REGISTRY_TALLY_H
#define FARM_REGISTRY_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

enum { TALLY_METHODS = 6, TALLY_STATUSES = 600 };

/* {0} is an empty one. */
typedef struct {
    atomic_ullong counts [TALLY_METHODS] [TALLY_STATUSES];
} registry_tally_t;

/* status 0: no answer came. tally NULL: nobody wants to know. */
void registry_tally_add (registry_tally_t *self, const char *method, int status);

/* Calls back for each that is not 0; status "200", or "error". */
typedef void (registry_tally_fn) (void *argument, const char *method, const char *status, uint64_t count);
void registry_tally_each (registry_tally_t *self, registry_tally_fn *each, void *argument);

#endif
