/* cgroup_attempt.c - see cgroup.h: the group of an attempt, from its limits to its end. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/cgroup_private.h"

enum { END_MS = 10000, PATIENCE_MS = 50, PERIOD_US = 100000 };

/* -- ending ----------------------------------------------------------------------------------------------------- */

void cgroup_each_below (const char *folder, void (*each) (const char *folder))
{
    DIR *items = opendir (folder);
    for (struct dirent *item; items && (item = readdir (items));)
        if (item->d_type == DT_DIR && item->d_name [0] != '.') {
            AUTO_FREE char *path = file_join (folder, item->d_name);
            each (path);
        }
    if (items)
        closedir (items);
}

/* For kernels before 5.14, which have no cgroup.kill. */
static void kill_one_by_one (const char *folder)
{
    AUTO_FREE char *text = cgroup_read (folder, "cgroup.procs");
    for (char *rest = text, *line; (line = strsep (&rest, "\n"));) {
        pid_t pid = (pid_t) strtol (line, NULL, 10);
        if (pid > 0)
            kill (pid, SIGKILL);
    }
    cgroup_each_below (folder, kill_one_by_one);
}

static void kill_all (const char *folder)
{
    if (cgroup_write (folder, "cgroup.kill", "1", NULL) < 0)
        kill_one_by_one (folder);
}

/* The kernel tells when its last process has ended. */
static bool await_end (const char *folder)
{
    AUTO_FREE char *path = file_join (folder, "cgroup.events");
    AUTO_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC);
    int64_t deadline = clock_boot_ms () + END_MS;
    while (fd >= 0 && clock_boot_ms () < deadline) {
        char text [256] = "";
        if (pread (fd, text, sizeof text - 1, 0) <= 0 || strstr (text, "populated 0"))
            return true;
        kill_all (folder);          /* without cgroup.kill, those that were just forked */
        struct pollfd polled = { fd, POLLPRI, 0 };
        poll (&polled, 1, PATIENCE_MS);
    }
    return fd < 0;
}

void cgroup_remove_folders (const char *folder)
{
    cgroup_each_below (folder, cgroup_remove_folders);
    rmdir (folder);
}

void cgroup_remove (const char *folder)
{
    if (!file_exists (folder))
        return;
    kill_all (folder);
    if (!await_end (folder))
        log_warn ("cgroup", "processes in %s do not end: they wait for the kernel", folder);
    cgroup_remove_folders (folder);
    if (file_exists (folder))
        log_warn ("cgroup", "%s cannot be removed: %s; the next start tries again", folder, strerror (errno));
}

/* -- attempts --------------------------------------------------------------------------------------------------- */

/* Swap would only put off the end, for the whole board. Kernels without swap, or before 4.19, lack a file; they do without. */
static int limit_memory (const char *folder, int64_t bytes, err_t *err)
{
    if (cgroup_write_number (folder, "memory.max", bytes, err) < 0)
        return -1;
    cgroup_write (folder, "memory.swap.max", "0", NULL);
    cgroup_write (folder, "memory.oom.group", "1", NULL);
    return 0;
}

static int limit_cpu (const char *folder, int64_t percent, err_t *err)
{
    char text [64];
    snprintf (text, sizeof text, "%lld %d", (long long) percent * PERIOD_US / 100, PERIOD_US);
    return cgroup_write (folder, "cpu.max", text, err);
}

static int limit (const cgroups_t *self, const char *folder, const cgroup_limits_t *limits, err_t *err)
{
    unsigned has = self->controllers;
    if ((has & CGROUP_MEMORY && limits->memory_bytes && limit_memory (folder, limits->memory_bytes, err) < 0)
        || (has & CGROUP_CPU && limits->cpu_percent && limit_cpu (folder, limits->cpu_percent, err) < 0)
        || (has & CGROUP_PIDS && limits->pids && cgroup_write_number (folder, "pids.max", limits->pids, err) < 0))
        return -1;
    return 0;
}

int cgroup_make (cgroups_t *self, const char *name, const cgroup_limits_t *limits, char **out, err_t *err)
{
    AUTO_FREE char *folder = file_join (self->jobs, name), *builder = file_join (folder, "builder");
    cgroup_remove (folder);         /* of a former life with the same number */
    if (file_make_folders (folder, 0755, err) < 0)
        return -1;
    if (limit (self, folder, limits, err) < 0 || file_make_folders (builder, 0755, err) < 0) {
        cgroup_remove (folder);
        return -1;
    }
    cgroup_give_controllers (folder);      /* runtimes expect them */
    *out = take (&folder);
    return 0;
}

char *cgroup_run_path (const cgroups_t *self, const char *folder)
{
    return mem_printf ("%s/run", folder + strlen (self->mount));
}

/* -- what befell it ----------------------------------------------------------------------------------------------- */

/* Lines of "name number"; 0 where it is not among them. */
static int64_t read_count (const char *folder, const char *file, const char *name)
{
    AUTO_FREE char *text = cgroup_read (folder, file);
    size_t size = strlen (name);
    for (const char *line = text; line; line = strchr (line, '\n') ? strchr (line, '\n') + 1 : NULL)
        if (strncmp (line, name, size) == 0 && line [size] == ' ')
            return strtoll (line + size, NULL, 10);
    return 0;
}

static int64_t read_number (const char *folder, const char *file)
{
    AUTO_FREE char *text = cgroup_read (folder, file);
    return strtoll (text, NULL, 10);
}

/* Kernels before 6.12 count a refused fork where it was tried, in a group that its runtime has removed since. */
static bool has_hit_pids (const char *folder)
{
    int64_t most = read_number (folder, "pids.max");
    return read_count (folder, "pids.events", "max") > 0 || (most > 0 && read_number (folder, "pids.peak") >= most);
}

void cgroup_read_events (const char *folder, cgroup_events_t *out)
{
    bool was_killed = read_count (folder, "memory.events", "oom_kill") > 0;
    *out = (cgroup_events_t) {
        .has_hit_memory = was_killed && read_count (folder, "memory.events.local", "oom") > 0, .was_killed = was_killed,
        .has_hit_pids = has_hit_pids (folder),
    };
}
