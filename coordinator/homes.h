/* homes.h - where a repository's last image for a platform was built. That worker has its base image, its layers and most of the
 * context, so the next build is worth waiting for it a little. Where there is none, or it takes no jobs, it is one that has most of the
 * context: from another platform of the repository, or another repository's build from the same files. */
#ifndef FARM_HOMES_H
#define FARM_HOMES_H

#include "coordinator/jobs.h"

/* The job's image is good: its worker is its home. */
int homes_note (engine_t *self, const job_t *job, err_t *err);

/* The home of such jobs, which takes them if not at once then when it is free; 0 where there is none. */
int homes_find (engine_t *self, const job_t *job, const lane_t *lane, int64_t *worker, err_t *err);

/* Shall a queued job, that another worker could take now, wait for its busy home? For affinity_ms from when it was queued. */
bool homes_is_worth_waiting (engine_t *self, const job_t *job);

#endif
