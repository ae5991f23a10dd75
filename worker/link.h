/* link.h - the worker's end of the control socket: says what this machine can do, takes assignments, gives each a thread
 * (slot.h), and repeats their reports until they are noted. The loop of main. */
#ifndef FARM_LINK_H
#define FARM_LINK_H

#include <jansson.h>

#include "worker/attempt.h"
#include "worker/health.h"

typedef struct link link_t;

typedef struct {
    const char *control;            /* the coordinator's control socket */
    const json_t *worker;           /* `worker` of `hello` */
    int slots;
    health_settings_t health;       /* root NULL: heartbeats tell nothing of this machine */
    int64_t stop_ms;                /* how long attempts may go on after SIGTERM */
    attempt_parts_t parts;
} link_settings_t;

/* Settings, and what they name, are borrowed until link_destroy. ERR_USAGE for an address that is none. */
int link_new (link_t **out, const link_settings_t *settings, err_t *err);

/* Until the signals (daemon.h) say to end. SIGTERM: no new jobs; running attempts may end, for stop_ms, then they are stopped and
 * reported as interrupted. SIGINT or another SIGTERM: the latter at once; one more waits for nothing. 0: all attempts are over; -1
 * with ERR_TIMEOUT: some did not stop within 15 s, and their threads still use what the settings name: nothing may be destroyed, only
 * the process ended. */
int link_run (link_t *self, int signals, err_t *err);

void link_destroy (link_t **self);

#endif
