/* states.h - the states of jobs and builds, and the one place where they change. docs/states.md shows the same tables. */
#ifndef FARM_STATES_H
#define FARM_STATES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

typedef enum {
    JOB_QUEUED, JOB_ASSIGNED, JOB_FETCHING, JOB_BUILDING, JOB_PUSHING, JOB_VERIFYING, JOB_DONE, JOB_FAILED, JOB_CANCELLED,
    JOB_STATES
} job_state;

typedef enum { BUILD_QUEUED, BUILD_RUNNING, BUILD_PUBLISHING, BUILD_PUBLISHED, BUILD_FAILED, BUILD_CANCELLED, BUILD_STATES } build_state;

const char *job_state_name (job_state state);
const char *build_state_name (build_state state);
/* The state of a name out of the database; JOB_STATES or BUILD_STATES for another name. */
job_state job_state_of (const char *name);
build_state build_state_of (const char *name);

bool job_may_move (job_state from, job_state to);
bool build_may_move (build_state from, build_state to);

/* True for assigned, fetching, building and pushing: a worker has it. */
bool job_state_is_held (job_state state);
bool job_state_is_over (job_state state);
bool build_state_is_over (build_state state);

/* Why a job or a build failed or was cancelled, as it is shown to people. Texts are borrowed; step NULL and exit_status -1 where unknown. */
typedef struct {
    err_code code;
    const char *reason, *step;
    int exit_status;
} fault_t;

struct engine;

/* The event row of a new build, which comes from no state (""); its jobs are queued with it. how says whose it is, for people. */
int build_submitted (struct engine *engine, int64_t build, const char *how, err_t *err);

/* Move one, and append the event row with its cause. A move that the table does not allow, or of a row that is not in `from`, is
 * ERR_FARM: a bug of the engine. A job that is assigned has that number of an attempt from then on. */
int job_move (struct engine *engine, int64_t build, int64_t job, int64_t attempt, job_state from, job_state to,
              const char *cause, err_t *err);
int build_move (struct engine *engine, int64_t build, build_state from, build_state to, const char *cause, err_t *err);

/* The same to failed or cancelled: the row says why, which is the event's cause. */
int job_end (struct engine *engine, int64_t build, int64_t job, int64_t attempt, job_state from, job_state to, const fault_t *fault, err_t *err);
int build_end (struct engine *engine, int64_t build, build_state from, build_state to, const fault_t *fault, err_t *err);

#endif
