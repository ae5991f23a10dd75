/* holds.h - what a user's limits keep back: repositories that are not theirs, and builds that are too many.
 *
 * A build beyond max_running is taken and held: its jobs rest in the queue until an earlier build of the same user has ended. */
#ifndef FARM_HOLDS_H
#define FARM_HOLDS_H

#include "coordinator/engine_private.h"
#include "coordinator/fetches.h"
#include "coordinator/lookups.h"

/* A pattern is HOST/PATH, or PATH alone for every host; '*' stands for any characters, also '/'. ERR_USAGE for what is none. */
int repository_check_pattern (const char *pattern, err_t *err);
/* repository: HOST/PATH, without a tag. */
bool repository_matches (const char *pattern, const char *repository);

/* May this user submit that now? ERR_DENIED for a repository, ERR_FULL for too many that wait. */
int holds_check (engine_t *self, int64_t principal, const json_t *spec, err_t *err);
/* Do as many of this user's builds wait as may? */
bool holds_are_full (engine_t *self, int64_t principal);

/* A build was taken down, with its jobs: is it one too many? */
int holds_add (engine_t *self, int64_t build, int64_t principal, err_t *err);

/* It is over: another one of the same user may come. */
int holds_end (engine_t *self, int64_t build, err_t *err);

/* The user's limits have changed. */
int holds_settle (engine_t *self, int64_t principal, err_t *err);

/* Wake its jobs, unless it is held, its context is being fetched (fetches.h) or its base images are looked up (lookups.h). */
int holds_wake (engine_t *self, int64_t build, err_t *err);

/* Why a held build waits, to the caller; NULL for one that is not held. */
char *holds_explain (engine_t *self, int64_t build);

/* In SQL, of jobs: they rest because their build is not whole yet; or because it is held. */
#define UNREADY_JOBS "(" FETCHING_JOBS " OR " LOOKING_JOBS ")"
#define HELD_JOBS "(build IN (SELECT id FROM builds WHERE held = 1 AND ended_ms IS NULL) OR " UNREADY_JOBS ")"

#endif
