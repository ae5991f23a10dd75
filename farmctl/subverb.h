/* subverb.h - verbs that have verbs of their own: farmctl worker drain, farmctl user add. */
#ifndef FARM_SUBVERB_H
#define FARM_SUBVERB_H

#include <stddef.h>

#include "farmctl/verbs.h"

enum { SUBVERBS_MAX = 16 };

typedef struct {
    const char *name;
    verb_fn *run;
} subverb_t;

/* A verb's own; count at most SUBVERBS_MAX. forms: all of them as they are called, for whoever names none or another. */
typedef struct {
    const char *verb;
    const subverb_t *items;
    size_t count;
    const char *forms;
} subverbs_t;

/* Run the one that argv [1] names; its argv [0] is both words ("worker drain"), which is how its messages call it. ERR_USAGE: there is none, with the nearest. */
int subverb_run (const subverbs_t *self, int argc, char **argv, err_t *err);

#endif
