/* allowance.c - see allowance.h. */
#include "worker/allowance.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

struct allowance {
    cgroup_limits_t most;
    cgroups_t *cgroups;
    char *enforced;
};

/* Jobs leave an eighth to the host itself: one that takes all takes the worker along. In whole MiB. */
static int64_t spared (int64_t bytes)
{
    return (bytes - bytes / 8) >> 20 << 20;
}

/* "memory of each process by RLIMIT_DATA, cpus by affinity, …" of what has no controller. RLIMIT_NPROC does not hold for the host's root, but for
 * a room's. */
static void add_stand_ins (buffer_t *text, unsigned missing)
{
    const char *processes = geteuid () == 0 ? "processes by RLIMIT_NPROC in a room of their own, else not at all" : "processes of this user by RLIMIT_NPROC";
    const char *const words [] = { "memory of each process by RLIMIT_DATA", "cpus by affinity", processes };
    bool is_first = true;
    for (int i = 0; i < 3; i++)
        if (missing >> i & 1) {
            buffer_printf (text, "%s%s", is_first ? "" : ", ", words [i]);
            is_first = false;
        }
}

static char *describe (const allowance_t *self, const err_t *why)
{
    AUTO_BUFFER buffer_t text = { 0 };
    unsigned missing = CGROUP_ALL & ~(self->cgroups ? cgroups_controllers (self->cgroups) : 0);
    if (self->cgroups)
        buffer_printf (&text, "by cgroup v2, %s", cgroups_folder (self->cgroups));
    else
        buffer_printf (&text, "without cgroup v2 (%s)", why->text);
    if (missing) {
        buffer_printf (&text, self->cgroups ? ", which has not all controllers: " : ": ");
        add_stand_ins (&text, missing);
    }
    return mem_strdup ((const char *) text.data);
}

allowance_t *allowance_new (const allowance_settings_t *settings)
{
    err_t why = { 0 };
    allowance_t *self = mem_alloc (sizeof *self);
    int64_t memory_bytes = settings->host_memory_bytes;
    if (cgroups_new (&self->cgroups, settings->cgroup_mount, settings->state_folder, settings->spawner, &why) == 0
        && cgroups_memory_max (self->cgroups) < memory_bytes)
        memory_bytes = cgroups_memory_max (self->cgroups);
    self->most = (cgroup_limits_t) {
        .memory_bytes = settings->memory_bytes ? settings->memory_bytes : spared (memory_bytes),
        .cpu_percent = 100 * (settings->cpus ? settings->cpus : settings->host_cpus), .pids = settings->pids,
    };
    if (self->cgroups && memory_bytes)
        cgroups_limit_all (self->cgroups, self->most.memory_bytes > spared (memory_bytes) ? self->most.memory_bytes : spared (memory_bytes));
    self->enforced = describe (self, &why);
    return self;
}

void allowance_destroy (allowance_t **self_p)
{
    allowance_t *self = *self_p;
    if (!self)
        return;
    cgroups_destroy (&self->cgroups);
    free (self->enforced);
    free (self);
    *self_p = NULL;
}

const cgroup_limits_t *allowance_most (const allowance_t *self)
{
    return &self->most;
}

cgroups_t *allowance_cgroups (const allowance_t *self)
{
    return self->cgroups;
}

const char *allowance_enforced (const allowance_t *self)
{
    return self->enforced;
}
