/* test_spawner.c - children are started as told, their whole descent dies when it must, and nothing outlives the worker.
 *
 * Processes that must die hold a FIFO open for writing: reading its end of file is the proof that all of them are gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "worker/spawner.h"
#include "pipes.h"

static const char *const environment [] = { "PATH=/usr/bin:/bin", "COLOUR=green", NULL };
static char folder [] = "/tmp/test-spawner.XXXXXX", fifo [64];
static spawner_t *spawner;

static void read_all (int fd, char *out, size_t size)
{
    size_t used = 0;
    for (ssize_t got; used < size - 1 && (got = read (fd, out + used, size - 1 - used)) > 0;)
        used += (size_t) got;
    out [used] = 0;
    close (fd);
}

static int64_t run_shell (spawner_t *self, const char *script, int *output)
{
    const char *argv [] = { "sh", "-c", script, NULL };
    err_t err;
    int64_t child = spawner_run (self, argv, environment, folder, NULL, output, &err);
    if (child < 0)
        fail_msg ("%s", err.text);
    return child;
}

static int end_of (int64_t child)
{
    int status = -1;
    err_t err;
    if (spawner_wait (spawner, child, PATIENCE_MS, &status, &err) < 0)
        fail_msg ("%s", err.text);
    return status;
}

/* The next `count` lines of the FIFO have come: so many processes hold it. */
static void await_lines (int fd, int count)
{
    char byte;
    while (count > 0) {
        struct pollfd polled = { fd, POLLIN, 0 };
        assert_int_equal (poll (&polled, 1, PATIENCE_MS), 1);
        ssize_t size = read (fd, &byte, 1);
        if (size == 1 && byte == '\n')
            count--;
        assert_true (size > 0 || (size < 0 && errno == EAGAIN));       /* 0: all that held it are gone */
    }
}

static int open_fifo (void)
{
    unlink (fifo);
    assert_int_equal (mkfifo (fifo, 0600), 0);
    int fd = open (fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true (fd >= 0);
    return fd;
}

/* A child, a grandchild, one in a session of its own, and a daemon that has lost its parent: each says a line and stays. */
static const char family [] = "exec 7> fifo; (echo a >&7; exec sleep 1000) & setsid sh -c 'echo b >&7; exec sleep 1000' & "
    "(setsid sh -c 'echo c >&7; exec sleep 1000' &) ; echo d >&7; wait; sleep 1000";

static void output_and_environment_and_folder_are_as_told (void **state)
{
    (void) state;
    int output;
    char text [512], expected [512];
    int64_t child = run_shell (spawner, "echo $COLOUR ${HOME-none}; pwd; echo oops >&2; read line || echo no input", &output);
    read_all (output, text, sizeof text);
    snprintf (expected, sizeof expected, "green none\n%s\noops\nno input\n", folder);
    assert_string_equal (text, expected);
    assert_int_equal (end_of (child), 0);
}

static void a_child_is_held_to_its_rules (void **state)
{
    (void) state;
    static const char *const argv [] = { "sh", "-c", "ulimit -d; cat /proc/self/oom_score_adj; grep -c 'Cpus_allowed_list:[^0-9]*[0-9]*$' /proc/self/status", NULL };
    spawner_rules_t rules = { .data_bytes = 512 << 20, .cpus = 1, .oom_score = 500 };
    int output;
    char text [256];
    err_t err;
    int64_t child = spawner_run (spawner, argv, environment, folder, &rules, &output, &err);
    if (child < 0)
        fail_msg ("%s", err.text);
    read_all (output, text, sizeof text);
    assert_string_equal (text, "524288\n500\n1\n");
    assert_int_equal (end_of (child), 0);
}

/* Whatever was started in between. */
static void children_beside_each_other_have_other_cpus (void **state)
{
    (void) state;
    static const char *const argv [] = { "sh", "-c", "grep Cpus_allowed_list /proc/self/status; exec sleep 1000", NULL };
    const spawner_rules_t rules = { .cpus = 1 };
    char lines [2] [64];
    int64_t children [2];
    err_t err;
    cpu_set_t own;
    assert_int_equal (sched_getaffinity (0, sizeof own, &own), 0);
    int cpus = CPU_COUNT (&own) < 2 ? 1 : 2;
    for (int i = 0; i < cpus; i++) {
        int output, none;
        children [i] = spawner_run (spawner, argv, environment, folder, &rules, &output, &err);
        assert_true (children [i] > 0);
        ssize_t size = read (output, lines [i], sizeof lines [i] - 1);
        assert_true (size > 0);
        lines [i] [size] = 0;
        close (output);
        assert_int_equal (end_of (run_shell (spawner, "exit 0", &none)), 0);
        close (none);
    }
    if (cpus > 1)
        assert_string_not_equal (lines [0], lines [1]);
    for (int i = 0; i < cpus; i++) {
        spawner_kill (spawner, children [i]);
        end_of (children [i]);
    }
}

static void rules_that_cannot_be_had_start_nothing (void **state)
{
    (void) state;
    static const char *const argv [] = { "sh", "-c", "echo started > mark", NULL };
    spawner_rules_t rules = { .cgroup = "/no/such/group" };
    int output;
    err_t err;
    assert_true (spawner_run (spawner, argv, environment, folder, &rules, &output, &err) < 0);
    assert_int_equal (err.code, ERR_FARM);
    assert_string_equal (err.text, "put sh under its limits: No such file or directory");
    AUTO_FREE char *mark = mem_printf ("%s/mark", folder);
    assert_int_equal (access (mark, F_OK), -1);
}

static void only_three_descriptors_are_open (void **state)
{
    (void) state;
    int output, status = -1, extra = open ("/dev/null", O_RDONLY);      /* without CLOEXEC, and there before the spawner is */
    char text [512];
    err_t err;
    spawner_t *other = NULL;
    assert_int_equal (spawner_start (&other, -1, &err), 0);
    close (extra);
    /* The shell's own descriptor for reading the folder is listed, and gone when it is asked for. */
    int64_t child = run_shell (other, "for f in /proc/$$/fd/*; do [ -e $f ] && echo -n \"${f##*/} \"; done; true", &output);
    read_all (output, text, sizeof text);
    assert_string_equal (text, "0 1 2 ");
    assert_int_equal (spawner_wait (other, child, PATIENCE_MS, &status, &err), 0);
    assert_int_equal (status, 0);
    spawner_destroy (&other);
}

static void exit_codes_and_signals_are_told_apart (void **state)
{
    (void) state;
    int output;
    int64_t child = run_shell (spawner, "exit 7", &output);
    close (output);
    assert_int_equal (end_of (child), 7);
    child = run_shell (spawner, "kill -SEGV $$", &output);
    close (output);
    assert_int_equal (end_of (child), 128 + SIGSEGV);
}

static void a_missing_program_or_folder_is_named (void **state)
{
    (void) state;
    const char *missing [] = { "no-such-program", NULL }, *present [] = { "true", NULL };
    int output;
    err_t err;
    assert_true (spawner_run (spawner, missing, environment, folder, NULL, &output, &err) < 0);
    assert_int_equal (err.code, ERR_FARM);
    assert_string_equal (err.text, "no-such-program: not found");
    assert_true (spawner_run (spawner, present, environment, "/no/such/folder", NULL, &output, &err) < 0);
    assert_non_null (strstr (err.text, "/no/such/folder"));
}

static void a_command_line_that_is_too_long_is_refused (void **state)
{
    (void) state;
    AUTO_FREE char *text = mem_alloc (300 * 1024);
    memset (text, 'x', 300 * 1024 - 1);
    const char *argv [] = { "true", text, NULL };
    int output;
    err_t err;
    assert_true (spawner_run (spawner, argv, environment, folder, NULL, &output, &err) < 0);
    assert_int_equal (err.code, ERR_USAGE);
}

static void waiting_is_bounded (void **state)
{
    (void) state;
    int output, status;
    err_t err;
    int64_t child = run_shell (spawner, "sleep 1000", &output);
    assert_int_equal (spawner_wait (spawner, child, 20, &status, &err), -1);
    assert_int_equal (err.code, ERR_TIMEOUT);
    spawner_kill (spawner, child);
    close (output);
    assert_int_equal (end_of (child), 128 + SIGKILL);
    assert_int_equal (spawner_wait (spawner, child, 20, &status, &err), -1);
    assert_int_equal (err.code, ERR_FARM);
}

static void killing_takes_the_whole_descent (void **state)
{
    (void) state;
    int output, pipe_end = open_fifo ();
    int64_t child = run_shell (spawner, family, &output);
    await_lines (pipe_end, 4);
    spawner_kill (spawner, child);
    end_of (child);
    assert_all_gone (pipe_end);
    close (output);
}

/* As a builder that lives on for a moment, and a step in a session of its own with children. */
static void a_child_does_not_see_its_own_children_end (void **state)
{
    (void) state;
    char word [8];
    int output, pipe_end = open_fifo ();
    int64_t child = run_shell (spawner, "exec 7> fifo; trap : TERM INT HUP; setsid sh -c 'sleep 1000; echo went on >&7' & echo a >&7; "
                               "while :; do wait && echo done >&7; done", &output);
    await_lines (pipe_end, 1);
    spawner_kill (spawner, child);
    assert_int_equal (end_of (child), 128 + SIGKILL);
    assert_int_equal (read (pipe_end, word, sizeof word), 0);
    close (pipe_end);
    close (output);
}

static void what_a_child_leaves_behind_is_killed (void **state)
{
    (void) state;
    int output, pipe_end = open_fifo ();
    int64_t child = run_shell (spawner, "exec 7> fifo; (setsid sh -c 'echo a >&7; touch said; exec sleep 1000' &); "
                               "while ! [ -e said ]; do :; done; rm said; exit 3", &output);
    await_lines (pipe_end, 1);
    assert_int_equal (end_of (child), 3);
    assert_all_gone (pipe_end);
    close (output);
}

static void killing_one_leaves_the_other (void **state)
{
    (void) state;
    int first_output, second_output;
    char text [64];
    char other [80];
    snprintf (other, sizeof other, "%s2", fifo);
    assert_int_equal (mkfifo (other, 0600), 0);
    int pipe_end = open_fifo ();
    int64_t first = run_shell (spawner, "sleep 1000", &first_output);
    int64_t second = run_shell (spawner, "echo a > fifo; cat fifo2; echo still here", &second_output);
    await_lines (pipe_end, 1);
    spawner_kill (spawner, first);
    assert_int_equal (end_of (first), 128 + SIGKILL);
    int go = open (other, O_WRONLY);
    close (go);
    read_all (second_output, text, sizeof text);
    assert_non_null (strstr (text, "still here"));
    assert_int_equal (end_of (second), 0);
    close (first_output);
    close (pipe_end);
}

/* Another process plays the worker, and dies without a word. */
static void the_death_of_the_worker_kills_all (void **state)
{
    (void) state;
    int pipe_end = open_fifo ();
    pid_t worker = fork ();
    if (worker == 0) {
        spawner_t *own;
        int output;
        err_t err;
        const char *argv [] = { "sh", "-c", family, NULL };
        if (spawner_start (&own, -1, &err) < 0 || spawner_run (own, argv, environment, folder, NULL, &output, &err) < 0)
            _exit (1);
        pause ();
        _exit (0);
    }
    await_lines (pipe_end, 4);
    kill (worker, SIGKILL);
    assert_int_equal (waitpid (worker, NULL, 0), worker);
    assert_all_gone (pipe_end);
}

static void destroying_kills_all (void **state)
{
    (void) state;
    int output, pipe_end = open_fifo ();
    spawner_t *own;
    err_t err;
    assert_int_equal (spawner_start (&own, -1, &err), 0);
    run_shell (own, family, &output);
    await_lines (pipe_end, 4);
    spawner_destroy (&own);
    assert_null (own);
    assert_all_gone (pipe_end);
    close (output);
}

static atomic_int losses;

static void count_loss (void)
{
    losses++;
}

/* It is a child of ours, the youngest: /proc has them in the order of their birth, also where the numbers have begun anew. */
static pid_t youngest_child (void)
{
    pid_t found = 0;
    FILE *children = fopen ("/proc/thread-self/children", "r");
    assert_non_null (children);
    for (int pid; fscanf (children, "%d", &pid) == 1;)
        found = pid;
    fclose (children);
    assert_true (found > 0);
    return found;
}

static void its_own_death_is_told_and_its_end_is_not (void **state)
{
    (void) state;
    spawner_t *own;
    err_t err;
    losses = 0;
    assert_int_equal (spawner_start (&own, -1, &err), 0);
    spawner_watch (own, count_loss);
    spawner_destroy (&own);
    assert_int_equal (losses, 0);
    assert_int_equal (spawner_start (&own, -1, &err), 0);
    spawner_watch (own, count_loss);
    kill (youngest_child (), SIGKILL);
    for (int i = 0; i < 1000 && !spawner_is_lost (own); i++)
        usleep (10000);
    assert_true (spawner_is_lost (own));
    assert_int_equal (losses, 1);
    spawner_destroy (&own);
    assert_int_equal (losses, 1);
}

/* -- rooms ------------------------------------------------------------------------------------------------------ */

enum { FIRST_ID = 1879048192, IDS = 65536 };
static const char ask [] = "id -u; cat /proc/self/uid_map | tr -s ' '; ls -d /proc/[0-9]* | head -1; cat secret; touch new && stat -c %u new; "
    "test -e /tmp/test-room-canary || echo canary is not seen; touch /usr/new 2> /dev/null || echo usr is to be read; "
    "cat /proc/1/fd/9; echo; setpriv --bounding-set=-sys_admin,-sys_ptrace --inh-caps=-sys_admin,-sys_ptrace cat /proc/1/fd/9 2> /dev/null || echo refused; "
    "ls /run | tr '\n' ' '; ls /etc/ssl | wc -l; grep -c 'Max processes *300 ' /proc/self/limits; readlink /proc/self/ns/ipc";

static spawner_rules_t room_of (const char *const places [], const char *secret)
{
    return (spawner_rules_t) { .processes = 300, .room = { FIRST_ID, IDS, places, secret } };
}

/* What of the host is not among its places has no name in it; ids are its own, its secret is for those alone who have all capabilities. */
static void a_room_holds_what_it_is_given_and_no_more (void **state)
{
    (void) state;
    static const char *const argv [] = { "sh", "-c", ask, NULL };
    char shifted [80], text [512], place [80], own [64];
    int output;
    err_t err;
    if (geteuid () != 0)
        skip ();
    snprintf (shifted, sizeof shifted, "%s/secret", folder);
    snprintf (place, sizeof place, "m%s", folder);
    const char *const places [] = { "h/etc/ssl", "/etc/ssl", place, folder, NULL };
    spawner_rules_t rules = room_of (places, "tell nobody");
    int canary = open ("/tmp/test-room-canary", O_CREAT | O_WRONLY | O_CLOEXEC, 0644), fd = open (shifted, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true (canary >= 0 && write (fd, "mine\n", 5) == 5);
    close (fd);
    close (canary);
    ssize_t length = readlink ("/proc/self/ns/ipc", own, sizeof own - 1);
    assert_true (length > 0);
    own [length] = 0;
    int64_t child = spawner_run (spawner, argv, environment, folder, &rules, &output, &err);
    unlink ("/tmp/test-room-canary");
    if (child < 0)
        fail_msg ("%s", err.text);
    read_all (output, text, sizeof text);
    char *ipc = strstr (text, "ipc:[");
    assert_non_null (ipc);
    ipc [strcspn (ipc, "\n")] = 0;
    assert_string_not_equal (ipc, own);
    *ipc = 0;
    assert_string_equal (text, "0\n 0 1879048192 65536\n/proc/1\nmine\n0\ncanary is not seen\nusr is to be read\ntell nobody\nrefused\nlock 0\n1\n");
    assert_int_equal (end_of (child), 0);
    struct stat info;
    snprintf (shifted, sizeof shifted, "%s/new", folder);
    assert_int_equal (stat (shifted, &info), 0);
    assert_int_equal (info.st_uid, 0);              /* what is root's in there is root's here */
    unlink (shifted);
    snprintf (shifted, sizeof shifted, "%s/secret", folder);
    unlink (shifted);
}

static void a_room_that_cannot_be_made_is_said (void **state)
{
    (void) state;
    static const char *const argv [] = { "true", NULL };
    static const char *const places [] = { "w/no/such/folder", "/no/such/folder", NULL };
    int output;
    err_t err;
    if (geteuid () != 0)
        skip ();
    spawner_rules_t rules = room_of (places, NULL);
    assert_true (spawner_run (spawner, argv, environment, "/", &rules, &output, &err) < 0);
    assert_string_equal (err.text, "give true files of its own (a mount namespace): No such file or directory");
    rules.room.first_id = 4294967295LL;
    assert_true (spawner_run (spawner, argv, environment, "/", &rules, &output, &err) < 0);
    assert_string_equal (err.text, "give true ids of its own (a user namespace): Invalid argument");
}

/* It holds a FIFO that lies in one of its places. */
static void what_is_in_a_room_dies_with_it (void **state)
{
    (void) state;
    static const char *const argv [] = { "sh", "-c", family, NULL };
    char place [80];
    int output, fd;
    err_t err;
    if (geteuid () != 0)
        skip ();
    snprintf (place, sizeof place, "w%s", folder);
    const char *const places [] = { place, folder, NULL };
    spawner_rules_t rules = room_of (places, NULL);
    fd = open_fifo ();
    assert_int_equal (chmod (folder, 0755), 0);
    assert_int_equal (chmod (fifo, 0666), 0);
    int64_t child = spawner_run (spawner, argv, environment, folder, &rules, &output, &err);
    if (child < 0)
        fail_msg ("%s", err.text);
    await_lines (fd, 4);
    spawner_kill (spawner, child);
    assert_true (end_of (child) != 0);
    assert_all_gone (fd);
    close (output);
}

static int set_up (void **state)
{
    (void) state;
    err_t err;
    if (spawner_start (&spawner, -1, &err) < 0 || !mkdtemp (folder))
        return -1;
    snprintf (fifo, sizeof fifo, "%s/fifo", folder);
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    char other [80];
    snprintf (other, sizeof other, "%s2", fifo);
    unlink (other);
    unlink (fifo);
    rmdir (folder);
    spawner_destroy (&spawner);
    return 0;
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (output_and_environment_and_folder_are_as_told),
        cmocka_unit_test (a_child_is_held_to_its_rules),
        cmocka_unit_test (children_beside_each_other_have_other_cpus),
        cmocka_unit_test (rules_that_cannot_be_had_start_nothing),
        cmocka_unit_test (only_three_descriptors_are_open),
        cmocka_unit_test (exit_codes_and_signals_are_told_apart),
        cmocka_unit_test (a_missing_program_or_folder_is_named),
        cmocka_unit_test (a_command_line_that_is_too_long_is_refused),
        cmocka_unit_test (its_own_death_is_told_and_its_end_is_not),
        cmocka_unit_test (waiting_is_bounded),
        cmocka_unit_test (killing_takes_the_whole_descent),
        cmocka_unit_test (a_child_does_not_see_its_own_children_end),
        cmocka_unit_test (what_a_child_leaves_behind_is_killed),
        cmocka_unit_test (killing_one_leaves_the_other),
        cmocka_unit_test (the_death_of_the_worker_kills_all),
        cmocka_unit_test (a_room_holds_what_it_is_given_and_no_more),
        cmocka_unit_test (a_room_that_cannot_be_made_is_said),
        cmocka_unit_test (what_is_in_a_room_dies_with_it),
        cmocka_unit_test (destroying_kills_all),
    };
    return cmocka_run_group_tests (tests, set_up, tear_down);
}
