/* box.c - see box.h. */
#include "worker/box.h"

#include <stdlib.h>

#include "common/mem.h"
#include "common/quantity.h"

enum { OOM_SCORE = 500 };           /* the kernel takes a build before the worker, and before the host's own services */

struct box {
    char *job;                      /* "42/linux/arm64", for people */
    cgroup_limits_t limits;
    bool has_asked_memory;          /* it is the submitter's limit, not the worker's */
    bool has_most_memory;           /* it cannot have more here */
    spawner_rules_t rules;
    char *folder, *run_group;       /* of its cgroup; NULL: none */
};

static int64_t number_of (const json_t *object, const char *field)
{
    return json_integer_value (json_object_get (object, field));
}

/* What was asked for, else the most there is. */
static int choose (box_t *self, const cgroup_limits_t *most, const json_t *spec, err_t *err)
{
    int64_t memory_bytes = number_of (spec, "memory_bytes"), cpu_percent = number_of (spec, "cpu_percent");
    char quantity [QUANTITY_SIZE];
    if (memory_bytes > most->memory_bytes)
        return err_set (err, ERR_FARM, "this worker gives one job %s of memory at most (limit/memory)", quantity_bytes (most->memory_bytes, quantity));
    if (cpu_percent > most->cpu_percent)
        return err_set (err, ERR_FARM, "this worker gives one job %s at most (limit/cpus)", quantity_cpus (most->cpu_percent, quantity));
    self->limits = (cgroup_limits_t) { .memory_bytes = memory_bytes ? memory_bytes : most->memory_bytes,
                                       .cpu_percent = cpu_percent ? cpu_percent : most->cpu_percent, .pids = most->pids };
    self->has_asked_memory = memory_bytes != 0;
    self->has_most_memory = self->limits.memory_bytes == most->memory_bytes;
    return 0;
}

static int make_group (box_t *self, cgroups_t *cgroups, const json_t *assign, err_t *err)
{
    AUTO_FREE char *name = mem_printf ("%lld-%lld", (long long) number_of (assign, "job"), (long long) number_of (assign, "attempt"));
    if (cgroup_make (cgroups, name, &self->limits, &self->folder, err) < 0)
        return err_wrap (err, "the job's cgroup");
    self->run_group = cgroup_run_path (cgroups, self->folder);
    return 0;
}

/* What no controller sees to. */
static void set_rules (box_t *self, unsigned controllers)
{
    self->rules = (spawner_rules_t) { .cgroup = self->folder, .oom_score = OOM_SCORE };
    if (!(controllers & CGROUP_MEMORY))
        self->rules.data_bytes = self->limits.memory_bytes;
    if (!(controllers & CGROUP_CPU))
        self->rules.cpus = (int) ((self->limits.cpu_percent + 99) / 100);
    if (!(controllers & CGROUP_PIDS))
        self->rules.processes = self->limits.pids;
}

int box_open (box_t **out, const allowance_t *allowance, const json_t *assign, err_t *err)
{
    cgroups_t *cgroups = allowance_cgroups (allowance);
    box_t *self = mem_alloc (sizeof *self);
    const char *platform = json_string_value (json_object_get (assign, "platform"));
    self->job = mem_printf ("%lld/%s", (long long) number_of (assign, "build"), platform ? platform : "");
    if (choose (self, allowance_most (allowance), json_object_get (assign, "spec"), err) < 0
        || (cgroups && make_group (self, cgroups, assign, err) < 0)) {
        box_close (&self);
        return -1;
    }
    set_rules (self, cgroups ? cgroups_controllers (cgroups) : 0);
    *out = self;
    return 0;
}

void box_close (box_t **self_p)
{
    box_t *self = *self_p;
    if (!self)
        return;
    if (self->folder)
        cgroup_remove (self->folder);
    free (self->folder);
    free (self->run_group);
    free (self->job);
    free (self);
    *self_p = NULL;
}

const spawner_rules_t *box_rules (const box_t *self)
{
    return &self->rules;
}

const char *box_run_group (const box_t *self)
{
    return self->run_group;
}

char *box_describe (const box_t *self)
{
    char memory [QUANTITY_SIZE], cpus [QUANTITY_SIZE];
    return mem_printf ("%s of memory, %s, %lld processes", quantity_bytes (self->limits.memory_bytes, memory),
                       quantity_cpus (self->limits.cpu_percent, cpus), (long long) self->limits.pids);
}

/* -- what the limits did ---------------------------------------------------------------------------------------- */

static int tell_memory (const box_t *self, err_t *err)
{
    char quantity [QUANTITY_SIZE];
    const char *advice = self->has_most_memory ? "use less, or have limit/memory of the worker raised" : "raise --memory or use less";
    return err_set (err, ERR_BUILD, "job %s was killed at its memory limit of %s%s; %s", self->job,
                    quantity_bytes (self->limits.memory_bytes, quantity), self->has_asked_memory ? "" : ", which is this worker's", advice);
}

int box_blame (const box_t *self, const cgroup_events_t *events, err_t *err)
{
    if (events->has_hit_memory)
        return tell_memory (self, err);
    if (events->was_killed)
        return err_set (err, ERR_FARM, "job %s was killed because its worker ran out of memory, below its own limit: lower slots or "
                        "limit/memory of the worker", self->job);
    if (events->has_hit_pids && err->code == ERR_BUILD)
        return err_set (err, ERR_BUILD, "%s; it had as many processes and threads as it may have, %lld (limit/pids of the worker)", err->text,
                        (long long) self->limits.pids);
    return -1;
}

int box_judge (const box_t *self, err_t *err)
{
    cgroup_events_t events;
    if (!self->folder)
        return -1;
    cgroup_read_events (self->folder, &events);
    return box_blame (self, &events, err);
}
