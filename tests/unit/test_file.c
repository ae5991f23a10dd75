/* test_file.c - what processes that were killed leave behind: files half written. */
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
    };
    return cmocka_run_group_tests (tests, make_folder, remove_folder);
}
