/* jobs.h - one platform of a build: read, failed, cancelled, or put back into the queue. */
#ifndef FARM_JOBS_H
#define FARM_JOBS_H

#include "coordinator/engine_private.h"

enum { JOBS_OF_BUILD_MAX = 64 };    /* schema/messages.json has 32 platforms at most */

typedef struct {
    int64_t id, build, attempt;     /* attempt: the last one's number, 0 before the first */
    int64_t principal;              /* who submitted it */
    int64_t lane;                   /* lanes.h */
    int64_t queued_ms;              /* wall clock: when it came into the queue last */
    int64_t from_build;             /* it stands on that build's image; 0 on its own */
    int64_t limit_ms;               /* how long an attempt may take */
    int position, failures;
    int64_t first_worker;           /* second.h: who has built it first; 0: nobody yet, or once is enough */
    bool may_emulate, is_cross_checked;
    job_state state;
    char platform [PLATFORM_MAX];
} job_t;

/* ERR_NOT_FOUND when there is none. */
int job_load (engine_t *self, int64_t id, job_t *out, err_t *err);

/* What a build asks for one of its platforms. */
typedef struct {
    int position;                   /* in the order asked for */
    const char *platform;           /* normalised */
    bool may_emulate, is_required, is_cross_checked;
    bool is_resting;                /* its build is not whole yet (holds.h) */
    int class;                      /* queue.h */
    int64_t principal;
    int64_t timeout_ms;             /* how long it waits when no worker takes such jobs */
    int64_t limit_ms;               /* how long an attempt may take; 0: as the settings say */
    const json_t *requires;         /* of a worker's labels, sorted; NULL for none */
    int64_t memory_bytes, cpu_percent;      /* that it is to have; 0: none in particular */
} job_plan_t;
int job_insert (engine_t *self, int64_t build, const job_plan_t *plan, err_t *err);

/* The job failed for good, and its build hears of it (outcome.h). A live attempt is ended first. */
int job_fail (engine_t *self, const job_t *job, const fault_t *fault, err_t *err);

/* Its attempt ended through the farm's fault: another try, or, after attempts_max that count, job_fail. FREE: it had not really
 * begun, and costs no try, unless there were too many of these. AT_ONCE: what was wrong went with its worker. LATER: whatever was
 * wrong has some time to pass. */
typedef enum { RETRY_FREE, RETRY_AT_ONCE, RETRY_LATER } retry_t;
int job_retry (engine_t *self, const job_t *job, const fault_t *fault, retry_t retry, err_t *err);

/* All jobs of a build that are not over fail, for a reason that is none of theirs. */
int jobs_fail (engine_t *self, int64_t build, const fault_t *fault, err_t *err);

/* Cancel all jobs of a build that are not over; a worker that has one is told. */
int jobs_cancel (engine_t *self, int64_t build, const char *cause, err_t *err);

/* The jobs of a build that are not over, in the order asked for, at most max. How many, -1 on error. */
int jobs_load_live (engine_t *self, int64_t build, job_t *out, int max, err_t *err);

#endif
