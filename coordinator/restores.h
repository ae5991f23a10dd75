/* restores.h - contexts and Dockerfiles that the depot has lost by damage, and that the workers are asked for.
 *
 * A worker that has the whole of one in its cache puts back what is missing, and says so. Until then the jobs that need it rest; where
 * no worker has it they fail. What came of it is remembered: an attempt that broke off because of it may tell so later. Known to memory only: after a restart such jobs fail by themselves, when they are fetched. */
#ifndef FARM_RESTORES_H
#define FARM_RESTORES_H

#include "coordinator/jobs.h"

int restores_on_lost (engine_t *self, const event_t *event, err_t *err);
int restores_on_restored (engine_t *self, const event_t *event, err_t *err);

/* A worker has come (again): it is asked for all that is being looked for. */
void restores_ask (engine_t *self, const board_t *board);

/* What is known of the context and the Dockerfile of a job; the worst of the two. */
int restores_find (engine_t *self, int64_t job, restore_state *state, err_t *err);

/* An attempt has failed while that was not RESTORE_NONE. It is no failure of the job or of its worker: the job is tried again, now or
 * when the context is back; or it fails for good. */
int restores_take (engine_t *self, const job_t *job, restore_state state, const fault_t *fault, err_t *err);

/* It is in the depot, whoever sent it: the jobs that rest for it go on. */
int restores_end (engine_t *self, const char *root, err_t *err);

/* Give up what no worker has, and when to see to that (boot clock, INT64_MAX for never). */
int restores_tick (engine_t *self, err_t *err);
int64_t restores_next_tick (const engine_t *self);

void restores_clear (engine_t *self);

#endif
