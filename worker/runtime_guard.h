/* runtime_guard.h - stands before runc or crun in a builder's room, and refuses a RUN step whose mounts lead out of the build.
 *
 * buildah 1.28 joins the source of `RUN --mount` to the folder of the context or of another stage, and the id of a cache to the folder of caches,
 * and lets the kernel follow whatever links lie there. The store of the repository's builds lies in the room too. So it is looked at here what each mount
 * of a container really shows, before the runtime sees it: nothing else runs in the room then that could change it. */
#ifndef FARM_RUNTIME_GUARD_H
#define FARM_RUNTIME_GUARD_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"

#define RUNTIME_GUARD_NAME "farm-runtime"
#define RUNTIME_GUARD_PATH "/run/" RUNTIME_GUARD_NAME
#define RUNTIME_GUARD_VARIABLE "FARM_RUNTIME"

/* What a build may mount: folders as they are called in the room. Borrowed. */
typedef struct {
    const char *scratch;            /* its `tmp` alone: caches, and what buildah makes itself */
    const char *context;
    const char *vault;              /* its secrets; "": it has none */
    const char *store;              /* the volumes of containers in it, and stages that are no mounts of their own (vfs) */
} runtime_guard_t;

/* ERR_BUILD: a mount of config (a container's config.json) leads elsewhere. mounts: the text of /proc/self/mountinfo. */
int runtime_guard_check (const runtime_guard_t *self, const json_t *config, const char *mounts, err_t *err);

/* Was the program called by its name? */
bool runtime_guard_is_meant (const char *name);

/* Checks, and becomes the runtime. FARM_RUNTIME in the environment is RUNTIME:SCRATCH:CONTEXT:STORE:VAULT. Returns an exit status when it
 * may not; words for the user have gone to stderr then. */
int runtime_guard_main (int argc, char **argv);

#endif
