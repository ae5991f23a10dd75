/* spawner.h - a process that starts builders, forked before the first thread and the first ZeroMQ context.
 *
 * Each child runs in a process group (session) of its own with stdin from /dev/null, stdout and stderr on one pipe, a
 * given environment and folder and nothing else open. When the worker dies, however, the spawner sees its socket close,
 * kills every group, and ends. */
#ifndef FARM_SPAWNER_H
#define FARM_SPAWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

typedef struct spawner spawner_t;

/* Namespaces of its own for a child (spawner_room.c). {0}: none. Only root can have them made. */
enum { ROOM_PLACES_MAX = 64, ROOM_SECRET_FD = 9 };
enum { ROOM_SYSTEM = 's', ROOM_READ = 'r', ROOM_WRITE = 'w', ROOM_SHIFTED = 'm', ROOM_DEVICE = 'd', ROOM_HIDDEN = 'h' };
#define ROOM_SECRET_PATH "/proc/1/fd/9"
typedef struct {
    int64_t first_id, ids;          /* so many of the host's ids are 0, 1, … in there; 0: no room */
    const char *const *places;      /* NULL-ended pairs, what it has of the host: a letter and the path here, the path there. r: to be read;
                                       w: to be written; m: the same, and what is root's here is root's there; h: not to be seen */
    const char *secret;             /* what the builder reads from ROOM_SECRET_PATH; "" or NULL: nothing */
} spawner_room_t;

/* What a child and its whole descent may take. {0}: anything. */
typedef struct {
    const char *cgroup;             /* folder of a cgroup v2: it starts in `builder` below it, and a kill kills all that is in it; NULL: none */
    int64_t data_bytes;             /* that each process may write to (RLIMIT_DATA); 0: any */
    int64_t processes;              /* that this user may have (RLIMIT_NPROC, which holds for others than root); 0: any */
    int cpus;                       /* so many of those that there are; 0: all */
    int oom_score;                  /* 1 to 1000: the more, the rather the kernel takes it when memory runs out */
    spawner_room_t room;
} spawner_rules_t;

/* Fork it. Call once, first thing in main, single-threaded. It and all that keeps a builder hold the descriptor lock open (-1: none) as
 * long as they live: so a lock on it ends with the last builder, also when the worker was killed. */
int spawner_start (spawner_t **out, int lock, err_t *err);
void spawner_destroy (spawner_t **self);

/* Call on_loss once, from another thread, should the process end by itself: nothing can be built any more. */
void spawner_watch (spawner_t *self, void (*on_loss) (void));
/* Has it? */
bool spawner_is_lost (spawner_t *self);

/* Start a program. argv and environment end with NULL; rules NULL: none. *output is the read end of its stdout and stderr (the caller closes).
 * Returns a number for the child, -1 with ERR_FARM when it cannot be started ("buildah: not found"). Thread-safe. */
int64_t spawner_run (spawner_t *self, const char *const argv [], const char *const environment [], const char *folder,
                     const spawner_rules_t *rules, int *output, err_t *err);

/* The process itself, to be moved into a cgroup. */
pid_t spawner_pid (const spawner_t *self);

/* Kill the child and all its descendants, none of which sees another of them end: a builder whose RUN step ends before itself would take
 * that for the step's own end, and keep what it had done so far as its result. */
void spawner_kill (spawner_t *self, int64_t child);

/* Wait until the child ended, at most timeout_ms (-1: for ever). *status: exit code, or 128 + signal. -1 with ERR_TIMEOUT. */
int spawner_wait (spawner_t *self, int64_t child, int timeout_ms, int *status, err_t *err);

#endif
