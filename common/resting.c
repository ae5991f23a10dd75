/* resting.c - see resting.h. */
#include "common/resting.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"

static int find (const resting_t *self, const char *host)
{
    for (int i = 0; i < RESTING_MAX; i++)
        if (strcmp (self->hosts [i].host, host) == 0)
            return i;
    return -1;
}

void resting_add (resting_t *self, const char *host, int rest_ms)
{
    int at = find (self, host);
    if (at < 0)
        at = (int) (self->next++ % RESTING_MAX);
    snprintf (self->hosts [at].host, sizeof self->hosts [at].host, "%s", host);
    self->hosts [at].until_ms = clock_boot_ms () + rest_ms;
}

int resting_refuse (const resting_t *self, const char *host, err_t *err)
{
    int at = find (self, host);
    int64_t left_ms = at < 0 ? 0 : self->hosts [at].until_ms - clock_boot_ms ();
    if (left_ms <= 0)
        return 0;
    return err_set (err, ERR_REGISTRY, "%s has failed a moment ago, it is asked again in %lld s; check that it is healthy", host,
                    (long long) (left_ms + 999) / 1000);
}
