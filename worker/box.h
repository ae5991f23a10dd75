/* box.h - what one attempt's builder and RUN steps run in: its limits, and what holds them to it. */
#ifndef FARM_BOX_H
#define FARM_BOX_H

#include <jansson.h>

#include "worker/allowance.h"
#include "worker/spawner.h"

typedef struct box box_t;

/* From the header of an `assign`. ERR_FARM: it asks for more than this worker gives, or its cgroup cannot be made. */
int box_open (box_t **out, const allowance_t *allowance, const json_t *assign, err_t *err);

/* For spawner_run; borrowed. */
const spawner_rules_t *box_rules (const box_t *self);
/* The group that a runtime is to put RUN steps into, from the root of cgroups on; NULL: none. Borrowed. */
const char *box_run_group (const box_t *self);

/* "512M of memory, 1.5 cpus, 4096 processes". The caller frees. */
char *box_describe (const box_t *self);

/* A build or push in it has failed, as err says. What the limits had to do with it replaces that. Returns -1. */
int box_judge (const box_t *self, err_t *err);
/* The same of what befell its group. */
int box_blame (const box_t *self, const cgroup_events_t *events, err_t *err);

/* All that runs in it is killed, and it is gone. */
void box_close (box_t **self);

#endif
