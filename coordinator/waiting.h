/* waiting.h - jobs that nobody can be given: why, and for how long. */
#ifndef FARM_WAITING_H
#define FARM_WAITING_H

#include "coordinator/lanes.h"

/* Why jobs of this lane wait, for a person. The caller frees. */
char *waiting_explain (const engine_t *self, const lane_t *lane);

/* Is there a worker that takes such jobs now, or when a slot is free? */
bool waiting_is_served (const engine_t *self, const lane_t *lane);
/* Or, just after a start, may one that is about to connect again? */
bool waiting_may_be_served (const engine_t *self, const lane_t *lane);

/* Something changed at the workers: which lanes are served by none of them, and since when? */
void waiting_look (engine_t *self);

/* The time of a job of this lane is over then (wall clock), if nobody takes it: it has just come there. */
void waiting_expect (engine_t *self, lane_t *lane, int64_t due_ms);

/* Fail the jobs of such lanes that have waited for their time, some of them up to a second longer; when the next is due stands in engine->patience_at. */
int waiting_end (engine_t *self, err_t *err);

#endif
