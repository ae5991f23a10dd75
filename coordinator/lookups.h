/* lookups.h - base images are looked up before a build begins: the names in its Dockerfile are asked of their registries, by a publisher.
 *
 *     submit, or its context was fetched --> builds.lookup, jobs rest --ACTION_RESOLVE--> `resolved` --+--> bases.h has them: the jobs wake
 *                                                 ^                                                    |--> a registry's fault: again later, some times
 *                                                 |______________ later, or after a restart ___________|--> no such image: the build has failed
 *
 * Builds that ask the same while it is being asked wait for one answer. */
#ifndef FARM_LOOKUPS_H
#define FARM_LOOKUPS_H

#include "coordinator/engine_private.h"

/* What a build of this spec asks, which is being asked from now on; 0: base images are not looked up. The build that is inserted with it in
 * builds.lookup waits for the answer. */
int lookups_find_or_add (engine_t *self, const json_t *spec, const char *repository, int64_t *lookup, err_t *err);

/* A build that is there has its context and Dockerfile: know its base images, and then images that are known already (results.h). Its jobs rest
 * since its submit, and are woken then. */
int lookups_begin (engine_t *self, int64_t build, const json_t *spec, const char *repository, err_t *err);

/* A publisher's word. */
handler_fn lookups_on_resolved;

/* It is time to hand one out. */
int lookups_hand_out (engine_t *self, int64_t lookup, err_t *err);

/* The build is over. */
int lookups_end (engine_t *self, int64_t build, err_t *err);

/* From the database: what has to be handed out. */
int lookups_load (engine_t *self, err_t *err);

/* Why the build's jobs wait, to the caller; NULL: not for that. */
char *lookups_explain (engine_t *self, int64_t build);

/* In SQL, of jobs: theirs rest for that. */
#define LOOKING_JOBS "EXISTS (SELECT 1 FROM builds WHERE builds.id = jobs.build AND lookup IS NOT NULL)"

#endif
