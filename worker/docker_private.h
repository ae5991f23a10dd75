/* docker_private.h - the parts of the driver for docker, in the order of a build: command, probe, Dockerfile, words.
 *
 * docker build hands context, Dockerfile, secrets and agents to BuildKit in the docker daemon, which pulls base images and runs RUN steps; docker push
 * has the daemon push. The daemon knows no door: so base images and the image that is built bear the door's name (door_names.h), the former in a
 * copy of the Dockerfile. The daemon speaks plain http to 127.0.0.1, and asks docker's config.json, the attempt's own, for the password. */
#ifndef FARM_DOCKER_PRIVATE_H
#define FARM_DOCKER_PRIVATE_H

#include <pthread.h>

#include "common/base_words.h"
#include "common/reach.h"
#include "worker/builder_command.h"
#include "worker/builder_driver.h"

typedef struct {
    builder_t base;
    spawner_t *spawner;
    char *program;
    char *state_folder;             /* HOME of commands that are of no attempt; below it: */
    char *names_folder;             /* a file for each attempt, with the name that its image has in the daemon */
    char *late_folder;              /* in it, of those whose client was killed */
    char *host;                     /* "unix:///run/docker.sock"; NULL: docker's own default */
    char *root_folder;              /* the daemon's images and layers */
    char platform [PLATFORM_MAX];   /* the daemon's */
    bool may_use_host_network;
    int64_t free_floor_bytes;
    pthread_mutex_t lock;           /* one prunes at a time */
    int64_t pruned_ms;              /* when, on the boot clock */
    atomic_int prunes_no_more;
} docker_t;

/* Command ------------------------------------------------------------------------------------------------------------ */

/* Run the program with `words` and HOME, TMPDIR and config.json below a folder, as builder_command does. */
int docker_run (docker_t *self, const char *folder, const words_t *words, const spawner_rules_t *rules, const builder_watch_t *watch, int *status,
                err_t *err);

/* Write config.json of a folder: with the attempt's password for the door; without any, task NULL. */
int docker_write_config (const char *folder, const builder_task_t *task, err_t *err);
/* Where it is; the caller frees. */
char *docker_config_file (const char *folder);

/* A command of no attempt, for limit_ms at most. is_cancelled may be NULL. The last line that it printed is in `said`. An exit status
 * other than 0 is ERR_FARM, with that line. */
enum { DOCKER_SAID_MAX = 4096 };
int docker_ask (docker_t *self, const words_t *words, int64_t limit_ms, atomic_int *is_cancelled, char said [DOCKER_SAID_MAX], err_t *err);

/* Probe -------------------------------------------------------------------------------------------------------------- */

/* Fill in what there is to know of program and daemon, by asking them and building something. ERR_FARM: they cannot be used, and why. */
int docker_probe (docker_t *self, err_t *err);

/* Dockerfile --------------------------------------------------------------------------------------------------------- */

/* A copy of the task's Dockerfile, in a folder of its own below the scratch folder, in which images bear the door's name and the digest that the
 * door gives for them now. *file: its path, which the caller frees; `given`, an object: {NAME: …} of those names. ERR_BUILD: an image whose name cannot be told, or
 * that there is not. */
int docker_write_dockerfile (const docker_t *self, const builder_task_t *task, json_t *given, char **file, err_t *err);

/* The text alone: each image's name is asked of `resolve`, which returns the one to stand there (the caller of it frees), or NULL with err. */
typedef char *(docker_resolve_fn) (void *argument, const reference_t *image, err_t *err);
typedef struct {
    const json_t *build_args;
    const char *platform, *build_platform;
    docker_resolve_fn *resolve;
    void *argument;
} docker_names_t;
int docker_copy_dockerfile (const docker_names_t *names, const char *text, size_t size, buffer_t *out, json_t *given, err_t *err);

/* Words -------------------------------------------------------------------------------------------------------------- */

/* What the output of a build, or a push, said. */
typedef struct {
    const builder_task_t *task;
    const json_t *given;            /* the names that images have in its Dockerfile: {NAME: …} */
    const reach_t *reach;           /* what of the context is here; NULL: everything */
    bool is_hopeless;               /* a step reads something else, or an image comes from elsewhere: */
    char trigger [512];             /* the step: an ONBUILD trigger of the base image */
    char strange [REFERENCE_MAX];   /* the image */
    char step [512];                /* the failed one, "[2/2] RUN …" */
    char words [512];               /* the last that a RUN step printed */
    char error [1024];              /* the last line that is none of the above */
    size_t loose;                   /* lines that are no step's, empty ones not counted */
    bool is_daemon_gone;            /* the only one of them said so */
    builder_disk_t disk;
} docker_words_t;

/* A builder_line_fn; argument is a docker_words_t. Remembers, and hands on to the task. */
void docker_on_line (void *argument, char stream, const char *line, size_t size);

/* Decide whose fault a failed build is; a hopeless one has failed, whatever its status. Returns -1. */
int docker_judge_build (const docker_t *self, const docker_words_t *words, int status, builder_outcome_t *outcome, err_t *err);

/* Images ------------------------------------------------------------------------------------------------------------- */

/* The name that the attempt's image has in the daemon, "127.0.0.1:PORT/registry.lan__5000/team/app:attempt-7-1-0123456789abcdef", which nobody else can
 * guess; the caller frees. */
char *docker_image_name (const builder_task_t *task);

/* Before there is one: note its name, so that it can be removed whatever comes. */
int docker_note_image (const docker_t *self, const builder_task_t *task, err_t *err);
/* Its client was killed: BuildKit ends such a build in its own time, and may have made the image by then. It is looked for at the end of each further attempt,
 * for ten minutes at least. */
void docker_doubt_image (const docker_t *self, const builder_task_t *task);
/* Remove the attempt's image, or all that are noted (task NULL), and those that came late. What BuildKit keeps of their layers stays as cache. */
void docker_remove_images (docker_t *self, const builder_task_t *task);

/* Prune the build cache: all of it where the disk is nearly full, once a minute at most; else, every ten minutes, what is more than 40 GB. BuildKit spares what builds use. */
void docker_prune (docker_t *self);

#endif
