/* buildah_private.h - the parts of the driver for buildah and podman, in the order of a build: places, command, configuration, words, store. */
#ifndef FARM_BUILDAH_PRIVATE_H
#define FARM_BUILDAH_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>

#include "common/mem.h"
#include "common/reach.h"
#include "worker/builder_command.h"
#include "worker/builder_driver.h"
#include "worker/door_names.h"
#include "worker/hosts.h"

typedef struct active {
    int64_t job;
    int attempt;
    char *place;
    struct active *next;
} active_t;

typedef struct buildah_kind buildah_kind_t;

typedef struct {
    builder_t base;                 /* its storage: "overlay", "vfs"; its isolation: "oci", "chroot" */
    spawner_t *spawner;
    const buildah_kind_t *kind;
    char *program;
    char *state_folder;             /* holds the places (buildah_places.c) */
    int64_t free_floor_bytes;
    const char *network;            /* "private", "host" */
    const char *runtime;            /* "crun", "runc"; NULL with chroot */
    spawner_room_t room;            /* ids alone; {0}: it runs as the worker's user, among the host's files */
    bool may_use_host_network;
    bool must_have_room;
    words_t bases;                  /* "registry.lan/tools": patterns, as in builder_settings_t */
    words_t hidden;                 /* paths that it does not see in a room */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    active_t *active;               /* attempts between builder_build and builder_clean: their images are not pruned */
    bool is_prune_due, is_pruning;
    atomic_int prunes_no_more;
} buildah_t;

/* Places ------------------------------------------------------------------------------------------------------------- */

/* The folder of a task's repository; with NULL the one for what is of none. The caller frees. */
char *buildah_place (const buildah_t *self, const builder_task_t *task);
/* Its images and layers; the caller frees. */
char *buildah_storage (const buildah_t *self, const char *place);
/* Make it, where it is not there, and note that it is used. */
int buildah_open_place (const buildah_t *self, const char *place, const builder_task_t *task, err_t *err);
/* All that there are, that which was not used for the longest time first. */
void buildah_list_places (const buildah_t *self, words_t *out);
/* Remove one that holds no layers any more, while nobody is in it; that of no repository stays. */
void buildah_drop_place (const buildah_t *self, const char *place);
/* At the start: those of other ids than the builder has now go, and whatever is no place. */
int buildah_take_over (const buildah_t *self, err_t *err);

/* Command ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    const builder_task_t *task;     /* of the attempt; NULL: of none, which a room then shows nothing of */
    const char *place;              /* whose images and layers */
    const char *scratch_folder;     /* HOME, TMPDIR below it, registries.conf and auth.json if there */
    const spawner_rules_t *rules;   /* NULL: none */
    const char *tmp;                /* NULL: tmp of the scratch folder */
    builder_watch_t watch;
} buildah_run_t;

/* Run the program with its global options, then `words`, as builder_command does. */
int buildah_run (buildah_t *self, const words_t *words, const buildah_run_t *how, int *status, err_t *err);

/* An attempt's command, with only its own files around it? */
bool buildah_is_in_room_of_attempt (const buildah_t *self, const buildah_run_t *how);

/* Kind --------------------------------------------------------------------------------------------------------------- */

typedef struct buildah_candidate buildah_candidate_t;

/* What one program of buildah's library does otherwise than another. NULL is always: nothing. */
struct buildah_kind {
    const char *name;               /* of the driver, of the program, and the first word of what it says to --version */
    const builder_driver_t *driver;
    const char *short_names_file;   /* below HOME, or named in its global options */
    const char *push_option, *rm_option;
    const char *prune [2] [5];      /* commands: first of what was built, then of everything unused */
    bool takes_runtime;             /* as an option of build, where the other has it as a global one */
    int (*check) (const buildah_t *self, err_t *err);       /* whether it can be used here at all */
    int (*write_settings) (const buildah_t *self, const buildah_run_t *how, err_t *err);    /* into the scratch folder */
    void (*add_globals) (const buildah_t *self, const buildah_run_t *how, words_t *out);
    void (*add_environment) (const buildah_t *self, const buildah_run_t *how, words_t *out);
    int (*try_candidate) (buildah_t *self, const buildah_candidate_t *candidate, err_t *err);
};

/* NULL or "": buildah. NULL comes back where there is none of that name. */
const buildah_kind_t *buildah_find_kind (const char *name);

/* Room --------------------------------------------------------------------------------------------------------------- */

/* What the settings say. ERR_USAGE: nonsense, or what cannot be here. */
int buildah_room_choose (buildah_t *self, const builder_settings_t *settings, err_t *err);
/* There is none, and why. */
void buildah_room_refuse (buildah_t *self, const char *why);
/* What of the host is in the room, as spawner.h wants it. */
void buildah_room_places (const buildah_t *self, const buildah_run_t *how, words_t *places);

/* Give a file of a place to the room's ids. */
int buildah_own (const buildah_t *self, const char *path, err_t *err);

/* The path of the door's password for the builder; the caller frees. */
char *buildah_authfile (const buildah_t *self, const builder_task_t *task);

/* Runtime ------------------------------------------------------------------------------------------------------------ */

/* Where the runtime of an attempt keeps what it knows; the caller frees. */
char *buildah_runtime_root (const buildah_t *self, const builder_task_t *task);

/* End the RUN steps that a runtime still notes in root, with their cgroups, and remove it. runtime NULL: remove it. */
void buildah_end_steps_in (buildah_t *self, const char *runtime, const char *root);
/* Those that an attempt, or any attempt, has left there when its builder was killed. */
void buildah_end_steps (buildah_t *self, const builder_task_t *task);
void buildah_end_all_steps (buildah_t *self);

/* Configuration ------------------------------------------------------------------------------------------------------ */

/* Files that all attempts of a place share. */
int buildah_write_place (const buildah_t *self, const char *place, err_t *err);

/* registries.conf, policy.json, short-names.conf and auth.json of an attempt into its scratch folder. *binds: see hosts.h. */
int buildah_write_attempt (const buildah_t *self, const builder_task_t *task, builder_outcome_t *outcome, bool *binds, err_t *err);

/* "docker://127.0.0.1:PORT/registry.lan__5000/team/app:attempt-7-1"; the caller frees. */
char *buildah_destination (const builder_task_t *task);

/* Words -------------------------------------------------------------------------------------------------------------- */

/* Where the builder is: "[1/2] STEP 3/4: …" */
typedef struct {
    int stage, number, total;
} buildah_step_t;

/* What the output of a build said. */
typedef struct {
    const builder_task_t *task;
    const reach_t *reach;           /* what of the context is here; NULL: everything */
    bool reads_more;                /* a step reads something else: */
    char trigger [512];             /* it is an ONBUILD trigger of the base image */
    buildah_step_t last;
    char step [512];                /* the last "STEP n/m: …" */
    char words [512];               /* the last line behind it that is no noise */
    char error [1024];              /* the last "Error: …", without that word */
    int run_status;                 /* with which the RUN step ended that this error is about; 0: another step's, or unknown */
    builder_disk_t disk;
    bool lacks_memory;              /* buildah's own runtime gave up for want of it */
    int64_t oom_kills;              /* builder_oom_kills() before it began */
} buildah_words_t;

/* A builder_line_fn; argument is a buildah_words_t. Remembers, and hands on to the task. */
void buildah_on_line (void *argument, char stream, const char *line, size_t size);

/* Decide whose fault a failed build is; a build that reads more than there is has failed, whatever its status. Returns -1. */
int buildah_judge_build (const buildah_t *self, const buildah_words_t *words, int status, builder_outcome_t *outcome, err_t *err);

/* Secrets ------------------------------------------------------------------------------------------------------------ */

typedef struct buildah_secrets buildah_secrets_t;

/* Serve the task's secrets to its build, until it is destroyed, which comes after the builder has ended. */
buildah_secrets_t *buildah_secrets_new (buildah_t *builder, const builder_task_t *task, err_t *err);
void buildah_secrets_destroy (buildah_secrets_t **self);
void buildah_secrets_add (const buildah_secrets_t *self, words_t *words);      /* the options for them */
/* Set when one could not be given as it has to be: then the build has to end; and why. */
const atomic_bool *buildah_secrets_trouble (const buildah_secrets_t *self);
int buildah_secrets_check (const buildah_secrets_t *self, err_t *err);

/* Containers --------------------------------------------------------------------------------------------------------- */

/* Remove the working containers of an attempt that was killed; of all attempts with task NULL. */
void buildah_remove_containers (buildah_t *self, const builder_task_t *task);

/* Marks the containers of an attempt, as an argument of --secret: see buildah_containers.c. */
enum { BUILDAH_MARK_SIZE = 96 };
void buildah_mark (const builder_task_t *task, char mark [BUILDAH_MARK_SIZE]);
/* The folder in which each working container of a place has one, under its id; the caller frees. And does this one bear the mark? */
char *buildah_containers_folder (const buildah_t *self, const char *place);
bool buildah_is_marked (const char *containers, const char *id, const char *mark);

/* Store -------------------------------------------------------------------------------------------------------------- */

/* Unmount what lies mounted in its folder; how many that were. */
size_t buildah_unmount_all (const buildah_t *self);
/* Unmount what a killed worker left mounted and forget who had mounted it. */
int buildah_reset_mounts (buildah_t *self, err_t *err);

/* A command about a place's store, of no attempt, for limit_ms at most; is_cancelled may be NULL. Its exit status other than 0 is an error. */
int buildah_run_store (buildah_t *self, const char *place, const words_t *words, int64_t limit_ms, atomic_int *is_cancelled, err_t *err);

/* See builder.h. */
void buildah_make_room (builder_t *base);
void buildah_prune_no_more (builder_t *base);

/* An attempt begins: waits while a prune is due. And ends: prunes when it is due and nothing else runs. */
int buildah_enter (buildah_t *self, const builder_task_t *task, err_t *err);
void buildah_leave (buildah_t *self, const builder_task_t *task);

#endif
