/* registry_tally.c - see registry_tally.h. */
#include "common/registry_tally.h"

#include <stdio.h>
#include <string.h>

static const char *const methods [TALLY_METHODS] = { "other", "GET", "HEAD", "POST", "PUT", "PATCH" };

void registry_tally_add (registry_tally_t *self, const char *method, int status)
{
    int place = TALLY_METHODS - 1;
    while (place > 0 && strcmp (methods [place], method) != 0)
        place--;
    if (self)
        atomic_fetch_add_explicit (&self->counts [place] [status > 0 && status < TALLY_STATUSES ? status : 0], 1, memory_order_relaxed);
}

void registry_tally_each (registry_tally_t *self, registry_tally_fn *each, void *argument)
{
    for (int place = 0; place < TALLY_METHODS; place++)
        for (int status = 0; status < TALLY_STATUSES; status++) {
            uint64_t count = atomic_load_explicit (&self->counts [place] [status], memory_order_relaxed);
            char text [16] = "error";
            if (status)
                snprintf (text, sizeof text, "%d", status);
            if (count)
                each (argument, methods [place], text, count);
        }
}
