/* cgroup.h - this worker's sub-tree of cgroup v2, below the group in which it was started:
 *
 *     OWN/
 *         farm-worker-ID/             ID: of the state folder, so that a later run finds what this one left
 *             worker/                 the worker and its spawner, where OWN is not the root: a group with processes of its own
 *             jobs/                   cannot have controllers for those below it
 *                 42-1/               an attempt: memory.max, cpu.max, pids.max
 *                     builder/        what the worker starts
 *                     run/            RUN steps, where a runtime makes a group for each (isolation oci)
 *
 * A controller (memory, cpu, pids) is there when the host has it and OWN may give it away: with systemd, Delegate=yes. */
#ifndef FARM_CGROUP_H
#define FARM_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

typedef struct cgroups cgroups_t;

enum { CGROUP_MEMORY = 1, CGROUP_CPU = 2, CGROUP_PIDS = 4, CGROUP_ALL = 7 };

#define CGROUP_MOUNT "/sys/fs/cgroup"

/* Make the sub-tree below mount; this process and `other` move into it. What an earlier run of the same state folder left is killed
 * and removed. ERR_FARM: why there can be none, for a person. */
int cgroups_new (cgroups_t **out, const char *mount, const char *state_folder, pid_t other, err_t *err);
/* Attempts' groups must be gone. */
void cgroups_destroy (cgroups_t **self);

bool cgroups_is_v2 (const char *mount);

/* Make it as cgroups_new does, and take all of it back: both processes are in OWN again. *given: the controllers that were there; *place to the
 * caller: OWN. A worker's own sub-tree is another. */
int cgroups_try (const char *mount, const char *state_folder, pid_t other, unsigned *given, char **place, err_t *err);

const char *cgroups_folder (const cgroups_t *self);         /* farm-worker-ID */
unsigned cgroups_controllers (const cgroups_t *self);       /* those that are there */
int64_t cgroups_memory_max (const cgroups_t *self);         /* of OWN and those above it; INT64_MAX for no limit */

/* What all attempts together may have: the host keeps the rest. Where there is no controller for memory, nothing. */
void cgroups_limit_all (cgroups_t *self, int64_t memory_bytes);

typedef struct {
    int64_t memory_bytes, cpu_percent, pids;        /* 0: any. What has no controller here is passed over */
} cgroup_limits_t;

/* The group of an attempt. *folder to the caller. */
int cgroup_make (cgroups_t *self, const char *name, const cgroup_limits_t *limits, char **folder, err_t *err);
/* Its RUN steps' group as a runtime wants it, from the mount on. The caller frees. */
char *cgroup_run_path (const cgroups_t *self, const char *folder);

/* What befell it. */
typedef struct {
    bool has_hit_memory;            /* its own limit, and something was killed for that */
    bool was_killed;                /* something was, when memory ran out: its own, or all jobs', or the host's */
    bool has_hit_pids;              /* it had as many processes as it may have */
} cgroup_events_t;
void cgroup_read_events (const char *folder, cgroup_events_t *out);

/* Kill all that runs in it, wait for their end, and remove it. Never fails: logs. */
void cgroup_remove (const char *folder);

#endif
