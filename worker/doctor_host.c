/* doctor_host.c - see doctor.h: what the host gives, whatever the builder. What can be tried is tried, and taken back. */
#include "worker/doctor_private.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "worker/cgroup.h"
#include "worker/vault.h"

/* -- namespaces and kernel ---------------------------------------------------------------------------------------- */

/* 0, or the errno with which the kernel refuses. */
static int try_namespace (int flags)
{
    int status = 0;
    pid_t pid = fork ();
    if (pid == 0)
        _exit (unshare (flags) == 0 ? 0 : errno > 0 && errno < 255 ? errno : 255);
    if (pid < 0)
        return errno;
    while (waitpid (pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED (status) ? WEXITSTATUS (status) : EINTR;
}

static void check_namespaces (doctor_t *self)
{
    static const struct { const char *name, *limit; int flag; const char *advice; } kinds [] = {
        { "user namespaces", "user", CLONE_NEWUSER,
          "allow them: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone; in a container, its own settings" },
        { "mount namespaces", "mnt", CLONE_NEWNS, "let root run farm-worker, outside of a container that lacks CAP_SYS_ADMIN" },
        { "PID namespaces", "pid", CLONE_NEWPID, "let root run farm-worker, outside of a container that lacks CAP_SYS_ADMIN" },
        { "IPC namespaces", "ipc", CLONE_NEWIPC, "let root run farm-worker, outside of a container that lacks CAP_SYS_ADMIN" },
        { "network namespaces", "net", CLONE_NEWNET, "without them RUN steps cannot be kept from the network" },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        int error = try_namespace (kinds [i].flag | (geteuid () == 0 ? 0 : CLONE_NEWUSER));
        if (error == ENOSPC)            /* no word of disks */
            doctor_say (self, kinds [i].name, POOR, kinds [i].advice, "cannot be made: sysctl user.max_%s_namespaces allows no more", kinds [i].limit);
        else
            doctor_say (self, kinds [i].name, error ? POOR : GOOD, kinds [i].advice, "can%s be made%s%s", error ? "not" : "", error ? ": " : "",
                        error ? strerror (error) : "");
    }
}

static void check_seccomp (doctor_t *self)
{
    bool is_there = prctl (PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
    doctor_say (self, "seccomp", is_there ? GOOD : POOR, "take a kernel with CONFIG_SECCOMP_FILTER: RUN steps may make every system call without it",
                "%s", is_there ? "the kernel can filter what a RUN step asks of it" : "the kernel has none");
}

/* -- groups ------------------------------------------------------------------------------------------------------- */

#define OWN_GROUP "start the worker as a service with Delegate=yes; what that gives: systemd-run --pipe --wait -p Delegate=yes farm-worker doctor"

static void say_controllers (doctor_t *self, unsigned had, const char *place)
{
    AUTO_FREE char *on_host = file_text (CGROUP_MOUNT "/cgroup.controllers");
    const char *advice = (had | CGROUP_MEMORY) == CGROUP_ALL && !strstr (on_host, "memory")
                         ? "boot with cgroup_enable=memory, as a Raspberry Pi needs it" : OWN_GROUP;
    if (had == CGROUP_ALL)
        doctor_say (self, "cgroups", GOOD, NULL, "v2: a worker that is started like this can limit memory, cpus and processes of a job; tried in %s", place);
    else
        doctor_say (self, "cgroups", POOR, advice, "v2, but by it a worker that is started like this cannot limit a job's%s%s%s: its group, %s, "
                    "is not given what that takes, or has other processes", had & CGROUP_MEMORY ? "" : " memory", had & CGROUP_CPU ? "" : had & CGROUP_MEMORY ? " cpus" : ", cpus",
                    had & CGROUP_PIDS ? "" : (had | CGROUP_PIDS) == CGROUP_ALL ? " processes" : ", processes", place);
}

static void check_cgroups (doctor_t *self)
{
    err_t why;
    unsigned had = 0;
    AUTO_FREE char *place = NULL;
    if (!cgroups_is_v2 (CGROUP_MOUNT))
        doctor_say (self, "cgroups", POOR, "start the host with cgroup v2 alone (systemd.unified_cgroup_hierarchy=1): memory and processes of a job are hardly "
                    "limited without it", "no v2 at " CGROUP_MOUNT "%s", file_exists (CGROUP_MOUNT "/memory") ? ", which has v1" : "");
    else if (cgroups_try (CGROUP_MOUNT, doctor_text (self, "state"), spawner_pid (self->spawner), &had, &place, &why) < 0)
        doctor_say (self, "cgroups", POOR, OWN_GROUP, "v2, but a worker that is started like this can make no groups, and limit jobs by none: %s", why.text);
    else
        say_controllers (self, had, place);
}

/* -- secrets ------------------------------------------------------------------------------------------------------ */

/* The worker's own is another, and stays. */
static void check_vault (doctor_t *self)
{
    err_t why;
    AUTO_FREE char *name = mem_printf ("%s/doctor.%d", doctor_text (self, "state"), getpid ());
    char *vault = vault_open (name, &why);
    if (vault)
        doctor_say (self, "secrets", GOOD, NULL, "are kept in memory: a folder can be made in %.*s, a tmpfs", (int) (strrchr (vault, '/') - vault), vault);
    else
        doctor_say (self, "secrets", POOR, "mount a tmpfs at /dev/shm; a service has one with RuntimeDirectory=: builds with --secret or --ssh fail here "
                    "without it", "%s", why.text);
    vault_close (&vault);
}

/* What is swapped to it is not on a disk, or not to be read there. */
static bool is_safe_swap (const char *path)
{
    const char *slash = strrchr (path, '/'), *name = slash ? slash + 1 : path;
    AUTO_FREE char *file = mem_printf ("/sys/class/block/%s/dm/uuid", name), *uuid = file_text (file);
    return strncmp (path, "/dev/zram", 9) == 0 || strncmp (uuid, "CRYPT-", 6) == 0;
}

static void check_swap (doctor_t *self)
{
    AUTO_FREE char *text = file_text ("/proc/swaps");
    AUTO_BUFFER buffer_t found = { 0 };
    char *rest = text;
    strsep (&rest, "\n");               /* the head */
    for (char *line; (line = strsep (&rest, "\n"));) {
        line [strcspn (line, " \t")] = 0;
        if (*line && !is_safe_swap (line))
            buffer_printf (&found, "%s%s", found.size ? ", " : "", line);
    }
    if (found.size)
        doctor_say (self, "swap", POOR, "swapoff -a and take it out of /etc/fstab, or encrypt it (crypttab: swap), or swap to zram",
                    "is on: secrets of builds, which are kept in memory, can come to lie on a disk in %s", (const char *) found.data);
    else
        doctor_say (self, "swap", GOOD, NULL, "what is in memory comes to lie on no disk in clear");
}

/* -- ids ---------------------------------------------------------------------------------------------------------- */

/* Who else has some of first to first + count, as FILE says; "" for nobody. The caller frees. */
static char *find_owner (const char *file, long long first, long long count)
{
    AUTO_FREE char *text = file_text (file);
    for (char *rest = text, *line; (line = strsep (&rest, "\n"));) {
        char name [64];
        long long begin, size;
        if (sscanf (line, "%63[^:]:%lld:%lld", name, &begin, &size) == 3 && begin < first + count && first < begin + size)
            return mem_strdup (name);
    }
    return mem_strdup ("");
}

static void check_ids (doctor_t *self)
{
    long long first = 0, count = 0;
    if (sscanf (doctor_text (self, "builder/ids"), "%lld:%lld", &first, &count) != 2)
        return;                         /* the builder says so */
    AUTO_FREE char *user = find_owner ("/etc/subuid", first, count), *group = find_owner ("/etc/subgid", first, count);
    const char *other = *user ? user : group;
    doctor_say (self, "ids", *other ? POOR : GOOD, "set builder/ids to a range that nobody has", "%lld to %lld for builders%s%s", first, first + count - 1,
                *other ? "; some are also those of " : ", and no other's in /etc/subuid and /etc/subgid", other);
}

static void check_user (doctor_t *self)
{
    bool is_root = geteuid () == 0;
    doctor_say (self, "user", is_root ? GOOD : POOR, "let root run farm-worker: only then can builders have ids of their own",
                "%s runs this; farm-worker has to be run by the same", is_root ? "root" : "a user that is not root");
}

/* -- clock -------------------------------------------------------------------------------------------------------- */

static void check_clock (doctor_t *self)
{
    struct timex state = { 0 };
    bool is_true = adjtimex (&state) >= 0 && !(state.status & STA_UNSYNC);
    doctor_say (self, "clock", is_true ? GOOD : POOR, "run systemd-timesyncd or chrony: certificates and logs need the time", "%s",
                is_true ? "kept by a time server" : "no time server keeps it");
}

void doctor_check_host (doctor_t *self)
{
    check_user (self);
    check_namespaces (self);
    check_seccomp (self);
    check_cgroups (self);
    check_vault (self);
    check_swap (self);
    check_ids (self);
    check_clock (self);
}
