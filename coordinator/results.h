/* results.h - images that are known already: what the same inputs gave before, used again while its base images stand.
 *
 * The inputs of a job: context, Dockerfile, build arguments, labels, target, requirements of the worker, platform, repository, and the builder with its
 * version. A known image is verified like one that was just pushed, and its base images' tags must still mean the same
 * digests, or be those that the build has (bases.h); where not, the job is queued like any other. --no-cache, --pull and --no-result-cache pass by; so does a Dockerfile
 * that fetches what nobody can name by a digest (the worker says so). */
#ifndef FARM_RESULTS_H
#define FARM_RESULTS_H

#include "coordinator/jobs.h"

/* For a build just taken down: have the known images of its jobs verified. */
int results_try (engine_t *self, int64_t build, const json_t *spec, const char *repository, err_t *err);

/* The same for those whose platform another build of the same context and repository has done: with its images. */
int results_reuse (engine_t *self, int64_t build, int64_t former, err_t *err);

/* Would this platform of such a build, that is still to be taken down, stand on a known image: of build former, 0: of any with the same inputs? */
int results_would (engine_t *self, const json_t *spec, const char *repository, const job_plan_t *plan, int64_t former, bool *would, err_t *err);

/* Have a known image verified (again); *is_known says whether the job stands on one. */
int results_hand_out (engine_t *self, int64_t job, bool *is_known, err_t *err);

/* A known image was found good: what it stands on the whole build does. 1, with why: other jobs of it have another image for one of these names. */
int results_pin (engine_t *self, const job_t *job, err_t *why, err_t *err);

/* It is not to be used after all: into the queue. */
int results_drop (engine_t *self, const job_t *job, const char *why, err_t *err);

/* A verified image of a job that was built: remember it. */
int results_keep (engine_t *self, const job_t *job, err_t *err);

#endif
