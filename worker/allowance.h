/* allowance.h - what this worker gives one job, and by what it is kept to that: cgroup v2 where the host has it and gives it away, else
 * rlimits, affinity and the process group; each for what the other cannot do here. */
#ifndef FARM_ALLOWANCE_H
#define FARM_ALLOWANCE_H

#include <stdint.h>

#include "worker/cgroup.h"

typedef struct {
    int64_t memory_bytes, cpus, pids;               /* the settings limit/…; 0 of the first two: what the host has */
    int64_t host_memory_bytes;
    int host_cpus;
    const char *state_folder;
    const char *cgroup_mount;                       /* CGROUP_MOUNT but in tests */
    pid_t spawner;
} allowance_settings_t;

typedef struct allowance allowance_t;

/* Moves this process and the spawner into the worker's cgroup, where there is one. Before threads that start programs. */
allowance_t *allowance_new (const allowance_settings_t *settings);
void allowance_destroy (allowance_t **self);

const cgroup_limits_t *allowance_most (const allowance_t *self);          /* for one job */
cgroups_t *allowance_cgroups (const allowance_t *self);                   /* NULL: none */
const char *allowance_enforced (const allowance_t *self);                 /* by what, for a person */

#endif
