/* test_file.c - what processes that were killed leave behind: files half written, and locks that their children hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"

static char folder [] = "/tmp/archfarm-test.XXXXXX";

static void only_what_was_half_written_is_swept (void **state)
{
    (void) state;
    static const char *const kept [] = { "notes.backup", "record.new", "auth.new-json", "a.new-1234567" };
    AUTO_FREE char *half = file_join (folder, "auth.json.new-aB3dE9"), *whole = file_join (folder, "auth.json");
    err_t err = { 0 };
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        AUTO_FREE char *path = file_join (folder, kept [i]);
        assert_int_equal (file_write (path, "x", 1, 0600, &err), 0);
    }
    assert_int_equal (file_write (whole, "{}", 2, 0600, &err), 0);
    assert_int_equal (file_write_scratch (half, "{", 1, 0600, &err), 0);
    file_sweep (folder);
    assert_false (file_exists (half));
    assert_true (file_exists (whole));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        AUTO_FREE char *path = file_join (folder, kept [i]);
        assert_true (file_exists (path));
    }
}

static int count_items (const char *path)
{
    int count = 0;
    DIR *items = opendir (path);
    while (items && readdir (items))
        count++;
    closedir (items);
    return count - 2;
}

/* With a limit of 0 bytes for a file the kernel kills whoever writes. */
static void what_a_killed_writer_leaves_is_swept (void **state)
{
    (void) state;
    AUTO_FREE char *within = file_join (folder, "within"), *path = file_join (within, "auth.json");
    err_t err = { 0 };
    int status;
    assert_int_equal (file_make_folders (within, 0700, &err), 0);
    pid_t child = fork ();
    if (child == 0) {
        setrlimit (RLIMIT_FSIZE, &(struct rlimit) { 0, 0 });
        file_write (path, "x", 1, 0600, &err);
        _exit (0);
    }
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_true (WIFSIGNALED (status) && WTERMSIG (status) == SIGXFSZ);
    assert_int_equal (count_items (within), 1);
    file_sweep (within);
    assert_int_equal (count_items (within), 0);
}

/* A process that takes the lock and tells so, starts another one that inherits it, and ends once it may. */
static pid_t lock_and_fork (const char *path, int tell, int may_end)
{
    pid_t child = fork ();
    if (child == 0) {
        err_t err = { 0 };
        char byte;
        int fd = file_lock (path, 0, &err);
        pid_t second = fd < 0 ? -1 : fork ();
        if (second == 0) {
            pause ();
            _exit (0);
        }
        if (write (tell, &second, sizeof second) != sizeof second || read (may_end, &byte, 1) != 1)
            _exit (1);
        _exit (0);
    }
    return child;
}

static void a_lock_is_waited_for_when_its_owner_has_ended (void **state)
{
    (void) state;
    AUTO_FREE char *path = file_join (folder, "lock");
    int tell [2], may_end [2];
    pid_t heir = -1;
    err_t err = { 0 };
    assert_int_equal (pipe (tell), 0);
    assert_int_equal (pipe (may_end), 0);
    pid_t owner = lock_and_fork (path, tell [1], may_end [0]);
    assert_int_equal (read (tell [0], &heir, sizeof heir), sizeof heir);
    assert_true (heir > 0);

    int64_t begun = clock_boot_ms ();
    assert_int_equal (file_lock (path, 60000, &err), -1);       /* it lives: no use to wait */
    assert_non_null (strstr (err.text, "is in use by process"));
    assert_true (clock_boot_ms () - begun < 30000);

    assert_int_equal (write (may_end [1], "x", 1), 1);
    siginfo_t info;
    assert_int_equal (waitid (P_PID, (id_t) owner, &info, WEXITED | WNOWAIT), 0);       /* it stays a zombie */
    err = (err_t) { 0 };
    assert_int_equal (file_lock (path, 100, &err), -1);         /* its heir lives on */
    kill (heir, SIGKILL);
    int fd = file_lock (path, 60000, &err);
    assert_true (fd >= 0);
    close (fd);
    waitpid (owner, NULL, 0);
}

static void a_small_file_is_text_or_nothing (void **unused)
{
    (void) unused;
    err_t err = { 0 };
    AUTO_FREE char *path = file_join (folder, "small"), *missing = file_text (path);
    assert_string_equal (missing, "");
    assert_int_equal (file_poke (path, "7", &err), -1);         /* it is not made */
    assert_non_null (strstr (err.text, path));
    assert_int_equal (file_write (path, "12\n", 3, 0600, &err), 0);
    assert_int_equal (file_poke (path, "7", &err), 0);
    AUTO_FREE char *text = file_text (path);
    assert_string_equal (text, "72\n");
    assert_int_equal (unlink (path), 0);
}

static int make_folder (void **state)
{
    (void) state;
    return mkdtemp (folder) ? 0 : -1;
}

static int remove_folder (void **state)
{
    (void) state;
    return file_remove_tree (folder, NULL);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (only_what_was_half_written_is_swept),
        cmocka_unit_test (what_a_killed_writer_leaves_is_swept),
        cmocka_unit_test (a_lock_is_waited_for_when_its_owner_has_ended),
        cmocka_unit_test (a_small_file_is_text_or_nothing),
    };
    return cmocka_run_group_tests (tests, make_folder, remove_folder);
}
