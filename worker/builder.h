/* builder.h - what the worker needs of a builder. One of the drivers is behind it (builder/driver): buildah; podman, which is made of buildah's library;
 * docker, the BuildKit of a docker daemon on this host. */
#ifndef FARM_BUILDER_H
#define FARM_BUILDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdatomic.h>

#include "common/agent.h"
#include "common/err.h"
#include "common/platform.h"
#include "common/secret.h"
#include "worker/door.h"
#include "worker/spawner.h"

typedef struct builder builder_t;

#define BUILDER_DRIVERS "buildah, podman and docker"
#define BUILDER_IDS "1879048192:65536"      /* behind those that systemd gives to containers, below 2^31 */

typedef struct {
    const char *state_folder;           /* images, layers and scratch files of the builder live below it */
    const char *isolation;              /* "auto", "oci", "chroot" */
    const char *driver;                 /* "buildah", "podman", "docker"; NULL: buildah */
    const char *docker_host;            /* the docker daemon's socket, "unix:///PATH"; NULL, "": docker's own default */
    const char *program;                /* NULL: as the driver is called */
    const char *user;                   /* "auto", "own", "worker": whether it has ids and namespaces of its own; NULL: worker */
    const char *ids;                    /* "FIRST:COUNT", its own; NULL: BUILDER_IDS */
    bool may_use_host_network;          /* builds may, if they ask for it */
    const char *const *bases;           /* patterns of images that builds may pull beside those they name, NULL-ended or NULL: registry/bases */
    const char *const *hidden;          /* paths, NULL-ended or NULL, that it is not to see where it has */
    int64_t free_floor_bytes;           /* with less free disk space what it keeps is pruned */
} builder_settings_t;

/* Is there a driver of that name? And what Debian has its program in ("podman runc"). NULL, "": the default one. */
bool builder_has_driver (const char *name);
const char *builder_packages (const char *name);

/* Finds the program, its version, the storage driver and the isolation that work here, by trying them. */
int builder_new (builder_t **out, const builder_settings_t *settings, spawner_t *spawner, err_t *err);
void builder_destroy (builder_t **self);

const char *builder_version (const builder_t *self);        /* "buildah 1.28.2", "podman 4.3.1", "docker 20.10.24" */
const char *builder_isolation (const builder_t *self);      /* "oci" or "chroot" */
const char *builder_isolation_reason (const builder_t *self);   /* "runc works here"; "oci does not work here: …" */

/* Does it give RUN steps such a network: "default", "none" (oci alone can), "host" (may_use_host_network)? */
bool builder_has_network (const builder_t *self, const char *network);

/* Can it give the image and its files a time that was asked for (timestamp)? Without that two workers never make the same image. */
bool builder_sets_times (const builder_t *self);

/* By what RUN steps are held to what the task's rules and its cgroup say, for a person: as the worker does, or why not. */
const char *builder_enforces (const builder_t *self, const char *as_worker);

const char *builder_storage (const builder_t *self);        /* "overlay", "vfs"; "other" of docker */
const char *builder_user (const builder_t *self);           /* "own", "worker" or "docker" */
const char *builder_user_reason (const builder_t *self);    /* "ids 1879048192 to 1879113727, …"; why it has none */

/* Called with each line of output, without its line feed. stream: 'o' the builder's, 'w' the worker's own words. */
typedef void (builder_line_fn) (void *argument, char stream, const char *line, size_t size);

/* A socket that speaks as an ssh agent. */
typedef struct { const char *id, *path; } builder_agent_t;

typedef struct {
    int64_t job;
    int attempt;
    platform_t platform;
    const char *context_folder;         /* checked out */
    const char *dockerfile;             /* path of the Dockerfile, outside the context */
    const json_t *spec;                 /* build_args, labels, target, no_cache, pull: see protocol.md */
    reference_t repository;             /* to push to */
    door_t *door;
    const char *password;               /* for the door */
    const secrets_t *secrets;           /* for RUN --mount=type=secret; NULL: none */
    builder_agent_t agents [AGENTS_MAX];        /* for RUN --mount=type=ssh */
    size_t agent_count;
    const char *vault;                  /* where they may be: a folder in memory, the attempt's own. NULL where there are none */
    const char *scratch_folder;         /* empty, the attempt's own: authfile, registries.conf, TMPDIR, HOME */
    const spawner_rules_t *rules;       /* what builder and RUN steps may take; NULL: anything */
    const char *run_group;              /* cgroup in which a runtime is to make those of RUN steps; NULL: where it likes */
    int64_t deadline_ms;                /* boot clock; the build is killed then: ERR_TIMEOUT */
    atomic_int *is_cancelled;           /* looked at at least every 200 ms; ERR_CANCELLED */
    builder_line_fn *on_line;
    void *argument;
} builder_task_t;

typedef struct {
    int exit_status;                    /* of a RUN step that failed, 1 to 255; 0: another step's fault, or unknown */
    char failed_step [512];             /* "STEP 2/3: RUN …" of a user's fault; "" where unknown */
    bool is_repeatable;                 /* nothing but context and base images went in that the Dockerfile would name */
} builder_outcome_t;

/* Build. 0: the image is in the builder's own store until the push. From here on builder_clean has
 * to follow, whatever comes. ERR_BUILD: the user's fault, with
 * the failing step in outcome and the builder's last words in err; a fault of the farm (registry, disk) has its own code. */
int builder_build (builder_t *self, const builder_task_t *task, builder_outcome_t *outcome, err_t *err);

/* Push the built image through the door; may be called again after a failure. The digest is then asked of the door. */
int builder_push (builder_t *self, const builder_task_t *task, err_t *err);

/* Remove the attempt's working containers and what a runtime has left of RUN steps, also after a kill; its layers stay as cache, which
 * is pruned when it is too large or its disk nearly full. Never fails: logs. */
void builder_clean (builder_t *self, const builder_task_t *task);

/* Prune what it keeps where its disk has too little free space; at once when no attempt needs it, else as the last of them ends. */
void builder_make_room (builder_t *self);

/* The worker ends: a pruning under way is stopped, and none begins any more. */
void builder_prune_no_more (builder_t *self);

/* At start: remove what an earlier run of the worker left behind. */
void builder_clean_all (builder_t *self);

#endif
