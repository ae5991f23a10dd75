/* spawner.h - a process that starts builders, forked before the first thread and the first ZeroMQ context.
 *
 * Each child runs in a process group (session) of its own with stdin from /dev/null, stdout and stderr on one pipe, a
 * given environment and folder and nothing else open. When the worker dies, however, the spawner sees its socket close,
 * kills every group, and ends. */
#ifndef FARM_SPAWNER_H
#define FARM_SPAWNER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"

typedef struct spawner spawner_t;

/* Fork it. Call once, first thing in main, single-threaded. */
int spawner_start (spawner_t **out, err_t *err);
void spawner_destroy (spawner_t **self);

/* Call on_loss once, from another thread, should the process end by itself: nothing can be built any more. */
void spawner_watch (spawner_t *self, void (*on_loss) (void));
/* Has it? */
bool spawner_is_lost (spawner_t *self);

/* Start a program. argv and environment end with NULL. *output is the read end of its stdout and stderr (the caller closes).
 * Returns a number for the child, -1 with ERR_FARM when it cannot be started ("buildah: not found"). Thread-safe. */
int64_t spawner_run (spawner_t *self, const char *const argv [], const char *const environment [], const char *folder,
                     int *output, err_t *err);

/* Kill the whole group of the child and its descendants: SIGTERM, after grace_ms SIGKILL. */
void spawner_kill (spawner_t *self, int64_t child, int grace_ms);

/* Wait until the child ended, at most timeout_ms (-1: for ever). *status: exit code, or 128 + signal. -1 with ERR_TIMEOUT. */
int spawner_wait (spawner_t *self, int64_t child, int timeout_ms, int *status, err_t *err);

#endif
