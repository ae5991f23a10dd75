/* subverb.c - see subverb.h. */
#include "farmctl/subverb.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "farmctl/options.h"

static int unknown (const subverbs_t *self, const char *name, err_t *err)
{
    const char *names [SUBVERBS_MAX + 1] = { NULL };
    assert (self->count <= SUBVERBS_MAX);
    for (size_t i = 0; i < self->count; i++)
        names [i] = self->items [i].name;
    const char *nearest = options_nearest (name, names);
    return err_set (err, ERR_USAGE, "%s has no verb \"%s\"%s%s%s: farmctl %s %s", self->verb, name, nearest ? " (did you mean \"" : "",
                    nearest ? nearest : "", nearest ? "\"?)" : "", self->verb, self->forms);
}

int subverb_run (const subverbs_t *self, int argc, char **argv, err_t *err)
{
    char both [64];
    if (argc < 2)
        return err_set (err, ERR_USAGE, "say what to do: farmctl %s %s", self->verb, self->forms);
    for (size_t i = 0; i < self->count; i++)
        if (strcmp (self->items [i].name, argv [1]) == 0) {
            snprintf (both, sizeof both, "%s %s", self->verb, argv [1]);
            argv [1] = both;
            return self->items [i].run (argc - 1, argv + 1, err);
        }
    return unknown (self, argv [1], err);
}
