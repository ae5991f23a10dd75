/* test_file_remove.c - a tree goes whatever a build has made of it, and nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "deep.h"

enum { NOBODY = 65534, EXCHANGES = 300 };

typedef struct { char *top, *tree, *outside, *kept; int rc; err_t err; } place_t;

static int set_up (void **state)
{
    char top [] = "/tmp/archfarm-test.XXXXXX";
    place_t *self = mem_alloc (sizeof *self);
    assert_non_null (mkdtemp (top));
    self->top = mem_strdup (top);
    self->tree = file_join (top, "tree");
    self->outside = file_join (top, "outside");
    self->kept = file_join (self->outside, "kept");
    assert_int_equal (mkdir (self->tree, 0700), 0);
    assert_int_equal (mkdir (self->outside, 0700), 0);
    assert_int_equal (file_write_scratch (self->kept, "x", 1, 0600, NULL), 0);
    *state = self;
    return 0;
}

static int tear_down (void **state)
{
    place_t *self = *state;
    int rc = file_remove_tree (self->top, NULL);
    char *const texts [] = { self->top, self->tree, self->outside, self->kept };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free (texts [i]);
    free (self);
    return rc;
}

static int open_at (int folder, const char *name)
{
    int fd = openat (folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true (fd >= 0);
    return fd;
}

static void make_file (int folder, const char *name)
{
    int fd = openat (folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true (fd >= 0);
    close (fd);
}

static void *remove_it (void *argument)
{
    place_t *self = argument;
    self->rc = file_remove_tree (self->tree, &self->err);
    return NULL;
}

static void expect_gone (place_t *self)
{
    deep_run (remove_it, self);
    if (self->rc < 0)
        fail_msg ("%s", self->err.text);
    assert_false (file_exists (self->tree));
    assert_true (file_exists (self->kept));
}

/* -- depth ------------------------------------------------------------------------------------------------------ */

static void folders_without_end_go (void **state)
{
    place_t *self = *state;
    deep_make_in (self->tree, DEEP_LEVELS);
    expect_gone (self);
}

/* Of each depth, with files and links beside the folders. */
static void depths_around_those_that_are_moved_go (void **state)
{
    place_t *self = *state;
    char name [16];
    for (int depth = 0; depth < 70; depth++) {
        snprintf (name, sizeof name, "%d", depth);
        int tree = open_at (AT_FDCWD, self->tree);
        assert_int_equal (mkdirat (tree, name, 0700), 0);
        int top = open_at (tree, name), last = deep_make (top, depth, 0700);
        make_file (last, "file");
        assert_int_equal (symlinkat (self->outside, last, "link"), 0);
        close (last);
        close (top);
        close (tree);
    }
    expect_gone (self);
}

/* More than one round takes, far down and in one folder. */
static void many_folders_far_down_go (void **state)
{
    place_t *self = *state;
    int tree = open_at (AT_FDCWD, self->tree), far = deep_make (tree, 15, 0700);
    char name [16];
    for (int i = 0; i < 5000; i++) {
        snprintf (name, sizeof name, "%d", i);
        assert_int_equal (mkdirat (far, name, 0700), 0);
        int below = open_at (far, name);
        assert_int_equal (mkdirat (below, "below", 0700), 0);
        close (below);
    }
    close (far);
    close (tree);
    expect_gone (self);
}

/* -- rights ----------------------------------------------------------------------------------------------------- */

/* To root all are open. */
static void folders_without_rights_go (void **state)
{
    place_t *self = *state;
    bool is_root = geteuid () == 0;
    assert_true (!is_root || (chown (self->top, NOBODY, NOBODY) == 0 && chown (self->tree, NOBODY, NOBODY) == 0
                              && chown (self->outside, NOBODY, NOBODY) == 0 && seteuid (NOBODY) == 0));
    int tree = open_at (AT_FDCWD, self->tree), last = deep_make (tree, 50, 0);
    close (last);
    close (tree);
    err_t err = { 0 };
    int rc = file_remove_tree (self->tree, &err);
    assert_true (!is_root || seteuid (0) == 0);
    if (rc < 0)
        fail_msg ("%s", err.text);
    assert_false (file_exists (self->tree));
}

/* -- what is not in the tree ------------------------------------------------------------------------------------ */

static void links_are_not_followed (void **state)
{
    place_t *self = *state;
    int tree = open_at (AT_FDCWD, self->tree), last = deep_make (tree, 40, 0700);
    assert_int_equal (symlinkat (self->outside, last, "link"), 0);
    close (last);
    close (tree);
    expect_gone (self);
    assert_int_equal (symlink (self->outside, self->tree), 0);
    expect_gone (self);
}

/* Until it is killed: folder and link change places. */
static pid_t exchange (int folder)
{
    pid_t child = fork ();
    if (child != 0)
        return child;
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        renameat2 (folder, "folder", folder, "link", RENAME_EXCHANGE);
}

/* What is left over of a build writes on. At both ends of the levels that are entered. */
static void nobody_leads_out_who_exchanges_folders_meanwhile (void **state)
{
    place_t *self = *state;
    for (int i = 0; i < EXCHANGES; i++) {
        int tree = open_at (AT_FDCWD, self->tree), at = deep_make (tree, i % 2 ? 15 : 0, 0700);
        assert_int_equal (mkdirat (at, "folder", 0700), 0);
        int folder = open_at (at, "folder");
        make_file (folder, "kept");
        assert_int_equal (symlinkat (self->outside, at, "link"), 0);
        pid_t child = exchange (at);
        for (int tries = 0; tries < 3 && file_remove_tree (self->tree, NULL) < 0; tries++)
            ;
        kill (child, SIGKILL);
        waitpid (child, NULL, 0);
        close (folder);
        close (at);
        close (tree);
        expect_gone (self);
        assert_int_equal (mkdir (self->tree, 0700), 0);
    }
}

/* In a level that is entered, and in one that is moved. */
static void a_mount_stays (void **state)
{
    place_t *self = *state;
    for (int depth = 3; depth <= 15; depth += 12) {
        int tree = open_at (AT_FDCWD, self->tree), last = deep_make (tree, depth, 0700);
        assert_int_equal (mkdirat (last, "mount", 0700), 0);
        AUTO_FREE char *path = mem_printf ("/proc/self/fd/%d/mount", last);
        if (geteuid () != 0 || mount ("none", path, "tmpfs", 0, NULL) < 0)
            skip ();
        int mounted = open_at (last, "mount");
        make_file (mounted, "file");
        close (mounted);
        err_t err = { 0 };
        int rc = file_remove_tree (self->tree, &err), there = faccessat (last, "mount/file", F_OK, 0);
        umount2 (path, MNT_DETACH);
        close (last);
        close (tree);
        assert_int_equal (rc, -1);
        assert_non_null (strstr (err.text, "mount is on another file system: something is mounted there"));
        assert_int_equal (strncmp (err.text, self->tree, strlen (self->tree)), 0);
        assert_int_equal (there, 0);
        expect_gone (self);
        assert_int_equal (mkdir (self->tree, 0700), 0);
    }
}

static void what_is_not_there_is_gone (void **state)
{
    place_t *self = *state;
    expect_gone (self);
    expect_gone (self);
    AUTO_FREE char *below = file_join (self->kept, "below");
    err_t err = { 0 };
    assert_int_equal (file_remove_tree (below, &err), -1);      /* of a file */
    assert_non_null (strstr (err.text, below));
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (folders_without_end_go),
        TEST (depths_around_those_that_are_moved_go),
        TEST (many_folders_far_down_go),
        TEST (folders_without_rights_go),
        TEST (links_are_not_followed),
        TEST (nobody_leads_out_who_exchanges_folders_meanwhile),
        TEST (a_mount_stays),
        TEST (what_is_not_there_is_gone),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
