/* second.h - a platform that is built twice (--cross-check): the second time on another worker, and it is done only where that one has
 * made the same image. So a worker that lies has to find another that tells the same lie. */
#ifndef FARM_SECOND_H
#define FARM_SECOND_H

#include "coordinator/jobs.h"

/* The images of a build that is cross-checked have to be the same to the byte: both of its workers begin with nothing of their own, and
 * take the time at which it was submitted for the time of all they make. Adds that to its spec. */
void second_prepare (json_t *spec, int64_t now_ms);

/* Has only the first of the two been there? */
bool second_is_due (const job_t *job);

/* What the first made is good: the job is queued again, for all workers but that one. */
int second_begin (engine_t *self, const job_t *job, const char *digest, err_t *err);

/* Adds to a task to verify what it has to be the same as, where it is the second one's. */
int second_add (engine_t *self, int64_t job, json_t *task, err_t *err);

/* Why what asks for a second worker may not get one: there is only one registered; NULL where there are more. The caller frees. */
char *second_explain (const engine_t *self, const lane_t *lane);

#endif
