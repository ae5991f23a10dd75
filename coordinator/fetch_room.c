/* fetch_room.c - the room of farm-coordinator-fetch, and of all that it starts. It has the coordinator's user, and so could read the coordinator's
 * keys and its queue: the kernel's Landlock keeps it to the system's programs and settings, its own two folders, the keys for hosts, and the folders of
 * git/folders. Where the kernel has no Landlock it goes on without: docs/security.md. What is packed may ask for memory (xz for 1 GiB): when that runs out the
 * kernel takes this process, before the coordinator or anything else. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/file.h"
#include "coordinator/fetch.h"

#define READS (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define READS_FILE (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE)
#define MAKES (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG \
               | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_REFER)
#define ALL (READS | MAKES | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)

/* -- what may be opened ----------------------------------------------------------------------------------------- */

/* The first version has a file renamed in its folder only; git-lfs moves it into another. */
static uint64_t handled (void)
{
    long version = syscall (SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version < 2 ? ALL & ~LANDLOCK_ACCESS_FS_REFER : ALL;
}

/* What is not there cannot be opened either. */
static int allow (int rules, const char *path, uint64_t wanted, err_t *err)
{
    uint64_t access = wanted & handled ();
    AUTO_CLOSE int fd = open (path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return 0;
    struct landlock_path_beneath_attr beneath = { .allowed_access = access, .parent_fd = fd };
    if (syscall (SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0)
        return 0;
    beneath.allowed_access &= READS_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;       /* it is a file */
    if (syscall (SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0)
        return 0;
    return err_sys (err, errno, "allow %s", path);
}

static int allow_values (int rules, const json_t *list, err_t *err)
{
    size_t i;
    json_t *item;
    json_array_foreach ((json_t *) list, i, item) {
        const char *text = json_string_value (item), *equals = strchr (text, '=');
        if (allow (rules, equals ? equals + 1 : text, READS, err) < 0)
            return -1;
    }
    return 0;
}

static int allow_all (int rules, const fetch_job_t *job, err_t *err)
{
    static const char *const system [] = { "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/run/systemd/resolve", "/proc", "/sys/devices/system/cpu" };
    for (size_t i = 0; i < sizeof system / sizeof *system; i++)
        if (allow (rules, system [i], READS, err) < 0)
            return -1;
    if (allow (rules, "/dev/null", READS_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE, err) < 0 || allow (rules, "/dev/urandom", READS_FILE, err) < 0
        || allow (rules, "/dev/zero", READS_FILE, err) < 0 || allow (rules, job->mirrors, READS | MAKES, err) < 0 || allow (rules, job->work, READS | MAKES, err) < 0)
        return -1;
    const char *known = json_string_value (json_object_get (job->rules, "known_hosts")), *ca = json_string_value (json_object_get (job->rules, "ca_file"));
    if ((known && allow (rules, known, READS_FILE, err) < 0) || (ca && allow (rules, ca, READS_FILE, err) < 0))
        return -1;
    if (allow_values (rules, json_object_get (job->rules, "keys"), err) < 0 || allow_values (rules, json_object_get (job->rules, "folders"), err) < 0)
        return -1;
    return allow_values (rules, json_object_get (job->rules, "helpers"), err);
}

/* A filter of system calls may have it denied. */
static int lock_files (const fetch_job_t *job, bool *is_confined, err_t *err)
{
    struct landlock_ruleset_attr attributes = { .handled_access_fs = handled () };
    AUTO_CLOSE int rules = (int) syscall (SYS_landlock_create_ruleset, &attributes, sizeof attributes.handled_access_fs, 0);
    if (rules < 0)
        return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0 : err_sys (err, errno, "make a set of rules for files");
    if (allow_all (rules, job, err) < 0)
        return -1;
    if (syscall (SYS_landlock_restrict_self, rules, 0) < 0)
        return err_sys (err, errno, "keep to a set of rules for files");
    *is_confined = true;
    return 0;
}

/* -- the rest --------------------------------------------------------------------------------------------------- */

/* No file of it grows above this: a pack that is received, a file that is written. */
static int set_limits (const fetch_job_t *job, err_t *err)
{
    struct rlimit size = { (rlim_t) job->size_max, (rlim_t) job->size_max }, none = { 0, 0 };
    if (setrlimit (RLIMIT_FSIZE, &size) < 0 || setrlimit (RLIMIT_CORE, &none) < 0)
        return err_sys (err, errno, "set limits");
    file_poke ("/proc/self/oom_score_adj", "1000", NULL);               /* where /proc cannot be written to it takes its turn */
    return 0;
}

/* The coordinator is gone: git and ssh, which are of this group, go too. */
static void end_all (int signal)
{
    (void) signal;
    kill (0, SIGKILL);
}

int fetch_enter_room (const fetch_job_t *job, bool *is_confined, err_t *err)
{
    signal (SIGTERM, end_all);
    signal (SIGXFSZ, SIG_IGN);              /* an error for this program; git has it anew */
    if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl (PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0)
        return err_sys (err, errno, "give up rights");
    return set_limits (job, err) < 0 ? -1 : lock_files (job, is_confined, err);
}
