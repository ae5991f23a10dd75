/* outcome.h - what the end of a job means for its build.
 *
 * A job that failed and is required fails its build at once, and its siblings are cancelled; with keep_going they may end. When
 * all are over, the build is published with the images that there are, if none that is required is missing. */
#ifndef FARM_OUTCOME_H
#define FARM_OUTCOME_H

#include "coordinator/jobs.h"

/* The job has just moved to `failed`. */
int outcome_of_failure (engine_t *self, const job_t *job, const fault_t *fault, err_t *err);

/* Or to `done`. */
int outcome_of_success (engine_t *self, const job_t *job, err_t *err);

/* "without linux/arm64: the reason", for each platform that a published build lacks. NULL where it lacks none. The caller frees. */
int outcome_note (engine_t *self, int64_t build, char **note, err_t *err);

#endif
