/* builds.h - what users submitted: begun, cancelled, failed. (Taken down: submit.h; published: tags.h.) */
#ifndef FARM_BUILDS_H
#define FARM_BUILDS_H

#include "coordinator/jobs.h"

handler_fn builds_on_cancel;
handler_fn builds_on_spec;              /* what a build was submitted with: to submit it again */

/* The first attempt of one of its jobs has begun. */
int build_begin (engine_t *self, int64_t build, err_t *err);

/* It failed, if it is not over already. */
int build_fail (engine_t *self, int64_t build, const fault_t *fault, err_t *err);

/* Whose build it is. ERR_NOT_FOUND. */
int build_owner (engine_t *self, int64_t build, int64_t *owner, err_t *err);

/* Only the build's owner and admins: ERR_DENIED. ERR_NOT_FOUND. */
int build_check_owner (engine_t *self, const event_t *event, int64_t build, err_t *err);
/* That an admin does this to another user's build is a row of the audit log. */
int build_note_foreign (engine_t *self, const event_t *event, int64_t build, err_t *err);
/* The same, and viewers. */
int build_check_reader (engine_t *self, const event_t *event, int64_t build, err_t *err);

/* One that has not ended. */
int build_cancel (engine_t *self, int64_t build, const char *cause, err_t *err);

/* BUILD_STATES when there is no such build. */
build_state build_state_now (engine_t *self, int64_t build);
bool builds_is_over (engine_t *self, int64_t build);

/* In SQL: the digests of its context and Dockerfile. A spec that is no JSON any more has none: json_extract would fail the whole query. */
#define BUILD_CONTEXT "iif (json_valid (spec), json_extract (spec, '$.context'), NULL)"
#define BUILD_DOCKERFILE "iif (json_valid (spec), json_extract (spec, '$.dockerfile.digest'), NULL)"

/* How much of its images is to be looked at (verify_level.h); in a query that has `builds`. */
#define BUILD_VERIFY "iif (json_valid (builds.spec), json_extract (builds.spec, '$.verify'), NULL)"

/* Its spec (to the caller) and the repository that workers push to. NULL on error, also of a row that cannot be read any more. */
json_t *build_spec (engine_t *self, int64_t build, char repository [512], err_t *err);

#endif
