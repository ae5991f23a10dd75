/* test_cgroup.c - a worker's groups in a real cgroup v2, mounted in a name space of the test's own: what they hold to, that all in
 * them ends, and that nothing of them stays. A host that has its controllers under v1 lets less be tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/mem.h"
#include "worker/box.h"
#include "worker/cgroup_private.h"
#include "pipes.h"

enum { HEADS = 8 };
#define MIB ((int64_t) 1 << 20)

static char top [] = "/tmp/test-cgroup.XXXXXX";
static char *mounted, *state;           /* cgroup v2; a worker's state folder */
static spawner_t *spawner;

/* -- words ------------------------------------------------------------------------------------------------------ */

static cgroups_t *start (const char *state_folder)
{
    cgroups_t *self;
    err_t err;
    if (cgroups_new (&self, mounted, state_folder, spawner_pid (spawner), &err) < 0)
        fail_msg ("%s", err.text);
    return self;
}

static char *make (cgroups_t *self, const char *name, const cgroup_limits_t *limits)
{
    char *folder;
    err_t err;
    if (cgroup_make (self, name, limits, &folder, &err) < 0)
        fail_msg ("%s", err.text);
    return folder;
}

static void assert_says (const char *folder, const char *file, const char *text)
{
    AUTO_FREE char *found = cgroup_read (folder, file);
    found [strcspn (found, "\n")] = 0;
    assert_string_equal (found, text);
}

static bool is_empty (const cgroups_t *self, const char *below)
{
    AUTO_FREE char *folder = file_join (cgroups_folder (self), below), *path = file_join (folder, "cgroup.procs");
    AUTO_FREE char *text = cgroup_read (folder, "cgroup.procs");
    return file_exists (path) && !*text;
}

/* A child in the group that does `work` and holds the write end of `ends` meanwhile. */
static pid_t run_in (const char *folder, int ends [2], void (*work) (void))
{
    assert_int_equal (pipe2 (ends, O_CLOEXEC), 0);
    pid_t pid = fork ();
    if (pid == 0) {
        close (ends [0]);
        if (cgroup_write (folder, "builder/cgroup.procs", "0", NULL) == 0 && write (ends [1], "x", 1) == 1)
            work ();
        _exit (1);
    }
    char byte;
    close (ends [1]);
    assert_int_equal (read (ends [0], &byte, 1), 1);
    return pid;
}

static void sleep_long (void)
{
    sleep (1000);
}

/* Each process forks the next and ends: whoever looks for it finds it gone. Should a test fail, it ends by itself. */
static void be_a_hydra (void)
{
    int64_t until = clock_boot_ms () + 2 * PATIENCE_MS;
    for (int i = 0; i < HEADS; i++)
        if (fork () == 0)
            while (clock_boot_ms () < until)
                if (fork () > 0)
                    _exit (0);
}

/* volatile: else the compiler sees that nobody needs it, and nothing is eaten. */
static void eat (void)
{
    size_t size = (size_t) (200 * MIB);
    volatile char *food = malloc (size);
    for (size_t i = 0; food && i < size; i += 1024)
        food [i] = 1;
    _exit (food ? 0 : 2);
}

/* -- limits ----------------------------------------------------------------------------------------------------- */

static void an_attempt_has_its_limits (void **unused)
{
    (void) unused;
    cgroups_t *self = start (state);
    unsigned has = cgroups_controllers (self);
    cgroup_limits_t limits = { .memory_bytes = 64 * MIB, .cpu_percent = 150, .pids = 77 };
    AUTO_FREE char *folder = make (self, "7-1", &limits), *path = cgroup_run_path (self, folder);
    if (has & CGROUP_MEMORY) {
        assert_says (folder, "memory.max", "67108864");
        assert_says (folder, "memory.oom.group", "1");
    }
    if (has & CGROUP_CPU)
        assert_says (folder, "cpu.max", "150000 100000");
    if (has & CGROUP_PIDS)
        assert_says (folder, "pids.max", "77");
    assert_int_equal (path [0], '/');
    assert_string_equal (path + strlen (path) - 13, "/jobs/7-1/run");
    cgroup_remove (folder);
    assert_false (file_exists (folder));
    cgroups_destroy (&self);
}

static void what_is_killed_for_memory_is_told (void **unused)
{
    (void) unused;
    cgroups_t *self = start (state);
    int ends [2], status;
    cgroup_events_t events;
    cgroup_limits_t limits = { .memory_bytes = 64 * MIB };
    AUTO_FREE char *folder = make (self, "7-1", &limits);
    bool can = cgroups_controllers (self) & CGROUP_MEMORY;
    if (can) {
        pid_t pid = run_in (folder, ends, eat);
        assert_int_equal (waitpid (pid, &status, 0), pid);
        assert_true (WIFSIGNALED (status) && WTERMSIG (status) == SIGKILL);
        cgroup_read_events (folder, &events);
        assert_true (events.has_hit_memory && events.was_killed);
        close (ends [0]);
    }
    cgroup_remove (folder);
    cgroups_destroy (&self);
    if (!can)
        print_message ("# this host's cgroup v2 has no controller for memory: not tried\n");
}

/* Jobs together may have less than each of them: none has hit its own limit. */
static void what_others_took_is_told_apart (void **unused)
{
    (void) unused;
    cgroups_t *self = start (state);
    int ends [2], status;
    cgroup_events_t events;
    cgroup_limits_t limits = { .memory_bytes = 512 * MIB };
    AUTO_FREE char *folder = make (self, "7-1", &limits);
    bool can = cgroups_controllers (self) & CGROUP_MEMORY;
    cgroups_limit_all (self, 64 * MIB);
    if (can) {
        pid_t pid = run_in (folder, ends, eat);
        assert_int_equal (waitpid (pid, &status, 0), pid);
        assert_true (WIFSIGNALED (status));
        cgroup_read_events (folder, &events);
        assert_true (!events.has_hit_memory && events.was_killed);
        close (ends [0]);
    }
    cgroup_remove (folder);
    cgroups_destroy (&self);
    if (!can)
        print_message ("# this host's cgroup v2 has no controller for memory: not tried\n");
}

/* -- the end ---------------------------------------------------------------------------------------------------- */

static void all_that_runs_in_it_ends (void **unused)
{
    (void) unused;
    cgroups_t *self = start (state);
    int ends [2];
    AUTO_FREE char *folder = make (self, "7-1", &(cgroup_limits_t) { .pids = 200 });
    AUTO_FREE char *inner = file_join (folder, "run/step");
    pid_t pid = run_in (folder, ends, be_a_hydra);
    assert_int_equal (waitpid (pid, NULL, 0), pid);
    assert_int_equal (file_make_folders (inner, 0755, NULL), 0);
    cgroup_remove (folder);
    assert_all_gone (ends [0]);
    assert_false (file_exists (folder));
    cgroups_destroy (&self);
}

/* Whoever forks as fast as others look for it, and whoever is none of the builder's descent. */
static void a_kill_of_the_spawner_ends_all_of_the_group (void **unused)
{
    (void) unused;
    static const char *const argv [] = { "/proc/self/exe", "hydra", NULL };
    static const char *const environment [] = { "PATH=/usr/bin:/bin", NULL };
    cgroups_t *self = start (state);
    AUTO_FREE char *folder = make (self, "7-1", &(cgroup_limits_t) { .pids = 200 });
    spawner_rules_t rules = { .cgroup = folder };
    int output, status, ends [2];
    char text [1];
    err_t err;
    int64_t child = spawner_run (spawner, argv, environment, NULL, &rules, &output, &err);
    if (child < 0)
        fail_msg ("%s", err.text);
    assert_int_equal (read (output, text, 1), 1);
    pid_t stranger = run_in (folder, ends, sleep_long);
    spawner_kill (spawner, child);
    assert_int_equal (spawner_wait (spawner, child, PATIENCE_MS, &status, &err), 0);
    assert_int_equal (status, 128 + SIGKILL);
    assert_all_gone (ends [0]);
    assert_int_equal (waitpid (stranger, NULL, 0), stranger);
    assert_true (is_empty (self, "jobs/7-1/builder"));
    close (output);
    cgroup_remove (folder);
    cgroups_destroy (&self);
}

static void what_an_earlier_run_left_is_removed (void **unused)
{
    (void) unused;
    AUTO_FREE char *other_state = file_join (top, "other");
    int ends [2], other_ends [2];
    assert_int_equal (mkdir (other_state, 0700), 0);
    cgroups_t *before = start (state), *other = start (other_state);
    AUTO_FREE char *left = make (before, "7-1", &(cgroup_limits_t) { 0 }), *kept = make (other, "7-1", &(cgroup_limits_t) { 0 });
    pid_t pid = run_in (left, ends, sleep_long), other_pid = run_in (kept, other_ends, sleep_long);
    cgroups_t *self = start (state);
    assert_all_gone (ends [0]);
    assert_false (file_exists (left));
    assert_int_equal (waitpid (pid, NULL, 0), pid);
    assert_int_equal (waitpid (other_pid, NULL, WNOHANG), 0);           /* another worker's */
    cgroup_remove (kept);
    assert_int_equal (waitpid (other_pid, NULL, 0), other_pid);
    close (other_ends [0]);
    cgroups_destroy (&self);
    cgroups_destroy (&other);
    cgroups_destroy (&before);
}

/* -- where it can be -------------------------------------------------------------------------------------------- */

static void no_cgroup_is_said (void **unused)
{
    (void) unused;
    cgroups_t *self;
    err_t err;
    assert_int_equal (cgroups_new (&self, top, state, getpid (), &err), -1);
    assert_int_equal (err.code, ERR_FARM);
    assert_non_null (strstr (err.text, "is no cgroup v2"));
}

/* As with systemd: the group in which it is started is not the root, and has to be empty before it may give controllers away. */
static void a_worker_moves_out_of_the_way (void **unused)
{
    (void) unused;
    AUTO_FREE char *name = mem_printf ("test-cgroup-%d", getpid ()), *own = file_join (mounted, name);
    unsigned given = cgroup_give_controllers (mounted);
    pid_t pid = fork ();
    if (pid == 0) {
        pid_t other = fork ();
        if (other == 0)
            for (;;)
                pause ();
        int rc = file_make_folders (own, 0755, NULL) < 0 || cgroup_write_number (own, "cgroup.procs", getpid (), NULL) < 0
                 || cgroup_write_number (own, "cgroup.procs", other, NULL) < 0;
        cgroups_t *self = NULL;
        rc = rc || cgroups_new (&self, mounted, state, other, NULL) < 0;
        rc = rc || cgroups_controllers (self) != given || is_empty (self, "worker");
        AUTO_FREE char *left = cgroup_read (own, "cgroup.procs");
        rc = rc || *left || strncmp (cgroups_folder (self), own, strlen (own)) != 0;
        AUTO_FREE char *folder = rc ? NULL : make (self, "7-1", &(cgroup_limits_t) { .memory_bytes = 64 * MIB, .pids = 10 });
        if (folder)
            cgroup_remove (folder);
        kill (other, SIGKILL);
        _exit (rc ? 1 : 0);
    }
    int status;
    assert_int_equal (waitpid (pid, &status, 0), pid);
    cgroup_remove (own);
    assert_false (file_exists (own));
    assert_int_equal (status, 0);
}

/* 0: it went, and OWN gives away what it gave, and this process is there again. */
static int try_in (const char *own, unsigned least, pid_t other)
{
    AUTO_FREE char *place = NULL, *given_before = cgroup_read (own, "cgroup.subtree_control"), *there_before = cgroup_read ("/proc/self", "cgroup");
    unsigned given = 0;
    if (cgroups_try (mounted, state, other, &given, &place, NULL) < 0 || strcmp (place, own) != 0 || (given & least) != least)
        return 1;
    AUTO_FREE char *given_now = cgroup_read (own, "cgroup.subtree_control"), *there_now = cgroup_read ("/proc/self", "cgroup");
    bool is_shared = strcmp (own, mounted) == 0;         /* others give controllers there, too */
    return (!is_shared && strcmp (given_now, given_before) != 0) || strcmp (there_now, there_before) != 0 ? 2 : 0;
}

static pid_t start_idle (void)
{
    pid_t parent = getpid (), pid = fork ();
    if (pid != 0)
        return pid;
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    while (getppid () == parent)
        pause ();
    _exit (0);
}

/* Its own: workers of other tests come and go beside it. */
static bool is_left_in (const char *folder, pid_t pid)
{
    char hex [DIGEST_HEX_SIZE + 1];
    AUTO_FREE char *tried = mem_printf ("%s/try.%d", state, pid);
    digest_t digest = digest_of (tried, strlen (tried));
    digest_to_hex (&digest, hex);
    AUTO_FREE char *path = mem_printf ("%s/farm-worker-%.16s", folder, hex);
    return file_exists (path);
}

/* In the root, which can give controllers away; in a group that has another process, which can give few; and alone with the spawner. */
static void a_try_leaves_nothing (void **unused)
{
    (void) unused;
    AUTO_FREE char *name = mem_printf ("test-cgroup-%d", getpid ()), *own = file_join (mounted, name);
    unsigned given = cgroup_give_controllers (mounted);
    pid_t pid = fork ();
    if (pid == 0) {
        pid_t all [] = { getpid (), start_idle (), start_idle () };
        int rc = try_in (mounted, given, all [1]);
        rc = rc || file_make_folders (own, 0755, NULL) < 0;
        for (int i = 0; i < 3; i++)
            rc = rc || cgroup_write_number (own, "cgroup.procs", all [i], NULL) < 0;
        rc = rc ? rc : try_in (own, 0, all [1]) << 2;
        kill (all [2], SIGKILL);
        waitpid (all [2], NULL, 0);
        rc = rc ? rc : try_in (own, given, all [1]) << 4;
        _exit (rc);
    }
    int status;
    assert_int_equal (waitpid (pid, &status, 0), pid);
    assert_false (is_left_in (mounted, pid));
    assert_false (is_left_in (own, pid));
    cgroup_remove (own);
    assert_int_equal (status, 0);
}

/* What the spawner starts. */
_Noreturn static void run_hydra (void)
{
    be_a_hydra ();
    if (write (1, "x", 1) == 1)
        sleep_long ();
    _exit (0);
}

int main (int argc, char **argv)
{
    err_t err;
    if (argc == 2 && strcmp (argv [1], "hydra") == 0)
        run_hydra ();
    if (geteuid () != 0 || unshare (CLONE_NEWNS) != 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || !mkdtemp (top)) {
        puts ("1..0 # SKIP a cgroup v2 cannot be mounted: this needs root");
        return 0;
    }
    mounted = file_join (top, "cgroup");
    state = file_join (top, "state");
    if (mkdir (mounted, 0700) != 0 || mkdir (state, 0700) != 0 || mount ("none", mounted, "cgroup2", 0, NULL) != 0) {
        printf ("1..0 # SKIP a cgroup v2 cannot be mounted: %s\n", strerror (errno));
        return 0;
    }
    if (sodium_init () < 0 || spawner_start (&spawner, -1, &err) < 0)
        return 1;
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (an_attempt_has_its_limits),
        cmocka_unit_test (what_is_killed_for_memory_is_told),
        cmocka_unit_test (what_others_took_is_told_apart),
        cmocka_unit_test (all_that_runs_in_it_ends),
        cmocka_unit_test (a_kill_of_the_spawner_ends_all_of_the_group),
        cmocka_unit_test (what_an_earlier_run_left_is_removed),
        cmocka_unit_test (no_cgroup_is_said),
        cmocka_unit_test (a_worker_moves_out_of_the_way),
        cmocka_unit_test (a_try_leaves_nothing),
    };
    int rc = cmocka_run_group_tests (tests, NULL, NULL);
    spawner_destroy (&spawner);
    umount (mounted);
    file_remove_tree (top, NULL);
    free (mounted);
    free (state);
    return rc;
}
