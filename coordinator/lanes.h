/* lanes.h - what queued jobs ask of a worker. Jobs that ask the same wait in one lane. */
#ifndef FARM_LANES_H
#define FARM_LANES_H

#include "coordinator/engine_private.h"

/* How a board runs what a lane asks: not at all, or with its own CPU, or through QEMU (only where the lane allows that). */
typedef enum { RUNS_NOT, RUNS_NATIVE, RUNS_EMULATED } runs_t;

/* Its platforms, its labels, and what it gives one job; online or not, free or not. */
runs_t lane_runs_on (const lane_t *self, const board_t *board);

/* NULL where there is none. Good until a lane is added. */
lane_t *lane_find (engine_t *self, int64_t id);

/* The lane of jobs that ask this, made where there is none; id and time of the wish do not count. Its requires: a JSON array of
 * requirements (common/label.h) that were checked and sorted, NULL for none; borrowed. */
int lane_of (engine_t *self, const lane_t *wish, int64_t *lane, err_t *err);

/* From the database; and those that no live job is in are deleted there. */
int lanes_load (engine_t *self, err_t *err);
int lanes_tidy (engine_t *self, err_t *err);
void lanes_clear (engine_t *self);

#endif
