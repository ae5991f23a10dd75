/* spawner_rules.c - in the child, before it becomes the builder: what it may take, which all that it starts inherits. */
#include "worker/spawner_private.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

static int write_to_group (const spawner_rules_t *rules, const char *file, const char *text)
{
    if (!rules->cgroup || !rules->cgroup [0])
        return 0;
    AUTO_FREE char *path = file_join (rules->cgroup, file);
    return file_poke (path, text, NULL);
}

/* What the host allows at most stays the most. */
static int lower (__rlimit_resource_t resource, int64_t value)
{
    struct rlimit limit;
    if (value <= 0 || getrlimit (resource, &limit) != 0)
        return value <= 0 ? 0 : -1;
    if (limit.rlim_max != RLIM_INFINITY && (uint64_t) value > limit.rlim_max)
        return 0;
    limit.rlim_cur = limit.rlim_max = (rlim_t) value;
    return setrlimit (resource, &limit);
}

/* So many of those that there are: jobs that run beside each other get others, as far as there are some. */
static int use_cpus (int count, int turn)
{
    cpu_set_t all, some;
    if (count <= 0 || sched_getaffinity (0, sizeof all, &all) != 0)
        return count <= 0 ? 0 : -1;
    int total = CPU_COUNT (&all), first = (int) ((int64_t) turn * count % total), index = 0;
    CPU_ZERO (&some);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET (cpu, &all)) {
            int behind = (index++ - first + total) % total;
            if (behind < count)
                CPU_SET (cpu, &some);
        }
    return sched_setaffinity (0, sizeof some, &some);
}

int spawner_limit_processes (const spawner_rules_t *rules)
{
    return lower (RLIMIT_NPROC, rules->processes);
}

int spawner_obey (const spawner_program_t *program)
{
    char score [16];
    const spawner_rules_t *rules = &program->rules;
    snprintf (score, sizeof score, "%d", rules->oom_score);
    if (write_to_group (rules, "builder/cgroup.procs", "0") < 0)        /* 0: whoever writes it */
        return -1;
    struct rlimit none = { 0, 0 };              /* a core file of a RUN step may hold a secret */
    if (setrlimit (RLIMIT_CORE, &none) < 0)
        return -1;
    if (lower (RLIMIT_DATA, rules->data_bytes) < 0 || (!rules->room.ids && spawner_limit_processes (rules) < 0) || use_cpus (rules->cpus, program->turn) < 0)
        return -1;
    return rules->oom_score ? file_poke ("/proc/self/oom_score_adj", score, NULL) : 0;
}

void spawner_kill_group (const spawner_rules_t *rules)
{
    if (rules)
        write_to_group (rules, "cgroup.kill", "1");
}
