/* matching.h - which worker gets which job. */
#ifndef FARM_MATCHING_H
#define FARM_MATCHING_H

#include "coordinator/engine_private.h"

/* Assign queued jobs, in the order of queue.h, as long as a free slot of a fitting worker is there: one that runs the platform
 * natively before one that emulates it (only where the build allows that), one that has not failed at this job before one
 * that has, then the one that built the same before (homes.h), then the least loaded. */
int matching_assign (engine_t *self, err_t *err);

#endif
