/* test_depot_kills.c - a depot's program is killed at each of the calls that change a disk, one after the other, and the disk fails or is
 * full from each of them on. Those calls are defined here, before the C library's: SQLite's go through them too. What
 * was acknowledged is there, whole; the rest is whole or not there at all; and what nobody needs any more occupies nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/depot_private.h"
#include "common/file.h"
#include "depots.h"

/* -- the disk --------------------------------------------------------------------------------------------------- */

typedef enum { WORKS, KILLS, TEARS, IS_FULL, IS_BROKEN } disk_t;

static struct {
    disk_t disk;
    int calls, at;              /* the disk does that from this call on */
    bool knows_no_holes;
} plan;

/* Whether the call shall be made; it does not return where it kills. */
static bool passes (void)
{
    if (plan.disk == WORKS || ++plan.calls < plan.at)
        return true;
    if (plan.disk == KILLS)
        _exit (9);
    errno = plan.disk == IS_FULL ? ENOSPC : EIO;
    return plan.disk == TEARS;
}

ssize_t pwrite (int fd, const void *data, size_t size, off_t offset)
{
    if (!passes ())
        return -1;
    if (plan.disk == TEARS && plan.calls >= plan.at) {      /* half of it arrives */
        syscall (SYS_pwrite64, fd, data, size / 2, offset);
        _exit (9);
    }
    return syscall (SYS_pwrite64, fd, data, size, offset);
}

ssize_t pwrite64 (int fd, const void *data, size_t size, off64_t offset)
{
    return pwrite (fd, data, size, offset);
}

/* What takes no space works on a full disk. A kill is no power cut, so a sync is only counted. */
static bool passes_or_is_full (void)
{
    return plan.disk == IS_FULL || passes ();
}

int fdatasync (int fd)
{
    (void) fd;
    return passes_or_is_full () ? 0 : -1;
}

int fsync (int fd)
{
    (void) fd;
    return passes_or_is_full () ? 0 : -1;
}

int ftruncate (int fd, off_t size)
{
    return passes_or_is_full () ? (int) syscall (SYS_ftruncate, fd, size) : -1;
}

int ftruncate64 (int fd, off64_t size)
{
    return ftruncate (fd, size);
}

int unlink (const char *path)
{
    return passes_or_is_full () ? (int) syscall (SYS_unlinkat, AT_FDCWD, path, 0) : -1;
}

int fallocate (int fd, int mode, off_t offset, off_t size)
{
    if (plan.knows_no_holes) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return passes () ? (int) syscall (SYS_fallocate, fd, mode, offset, size) : -1;
}

/* -- what a depot goes through ---------------------------------------------------------------------------------- */

enum { CONTEXTS = 6, SIZE = 60000, STEPS = 8, KEPT = 3 };

/* Told by the child in shared memory: how many steps it has done. */
static int *done;

static int collect_all_but (depot_t *depot, uint64_t seed, err_t *err)
{
    small_context_t context;
    depot_gone_t gone = { 0 };
    int64_t rc;
    small_context_make (&context, SIZE, seed);
    depot_root_t root = { small_context_root (&context), INT64_MAX };
    small_context_free (&context);
    if (depot_collect_begin (depot, &root, 1, &(depot_wish_t) { .before = INT64_MAX }, err) < 0)
        return -1;
    while ((rc = depot_collect_step (depot, &gone, err)) > 0)
        ;
    return (int) rc;
}

/* Steps 0 to 5 put a context each, into segments of two; 6 forgets all but one, which is behind another; 7 puts the first again. */
static int take_step (depot_t *depot, int step, err_t *err)
{
    if (step == 6)
        return collect_all_but (depot, KEPT, err);
    return put_context (depot, SIZE, step == 7 ? 0 : (uint64_t) step, err);
}

static int go_through (const char *folder, err_t *err)
{
    AUTO (depot) depot_t *depot = NULL;
    if (depot_open (&depot, folder, err) < 0)
        return -1;
    depot->segment_bytes = 2 * SIZE + 1000;
    for (*done = 0; *done < STEPS; ++*done)
        if (take_step (depot, *done, err) < 0)
            return -1;
    return 0;
}

/* After `steps` whole steps and perhaps a part of the next. */
static bool is_as_told (depot_t *depot, int steps)
{
    for (int i = 0; i < CONTEXTS; i++) {
        int there = presence (depot, SIZE, (uint64_t) i);
        bool must = i == KEPT ? steps > KEPT : steps <= 6 ? i < steps && steps < 6 : i == 0 && steps == STEPS;
        bool may = i == KEPT || i == 0 || steps <= 6 ? i <= steps : false;
        if (is_broken (depot, SIZE, (uint64_t) i) || (must && there != 1) || (!may && there != 0))
            return print_message ("# after %d steps context %d is %d\n", steps, i, there), false;
    }
    return true;
}

static int64_t occupied (depot_t *depot)
{
    int64_t blocks = 0;
    for (int64_t segment = 1; segment <= depot->end.segment + 2; segment++) {
        struct stat status;
        AUTO_FREE char *path = bodies_path (depot, segment);
        blocks += stat (path, &status) == 0 ? status.st_blocks : 0;
    }
    return blocks * 512;
}

/* No more than what lives, and a broken block at either end of each hole. */
static bool wastes_nothing (depot_t *depot)
{
    depot_stats_t stats;
    depot_stats (depot, &stats);
    return occupied (depot) <= (int64_t) stats.bytes + 4 * 8192;
}

/* Everything is forgotten: neither rows nor bytes are left. */
static bool leaves_nothing (depots_t *self)
{
    depot_stats_t stats;
    if (depot_trim (self->depot, 0, NULL) < 0)
        return false;
    depots_reopen (self);
    depot_stats (self->depot, &stats);
    return stats.objects == 0 && stats.bytes == 0 && stats.damaged_objects == 0 && occupied (self->depot) <= 8192;
}

/* True when the plan was not reached any more: the child came to its end. */
static bool survives (depots_t *self, disk_t disk, int at)
{
    depot_destroy (&self->depot);
    assert_int_equal (file_remove_tree (self->folder, NULL), 0);
    pid_t child = fork ();
    if (child == 0) {
        err_t err = { 0 };
        plan.disk = disk;
        plan.at = at;
        int rc = go_through (self->folder, &err);
        bool is_right = rc == 0 || disk != IS_FULL || err.code == ERR_FULL;
        if (!is_right)
            print_message ("# a full disk is told as %s: %s\n", err_name (err.code), err.text);
        _exit (!is_right ? 1 : plan.calls < plan.at ? 0 : 9);
    }
    int status;
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_true (WIFEXITED (status) && (WEXITSTATUS (status) == 0 || WEXITSTATUS (status) == 9));
    err_t err = { 0 };
    if (depot_open (&self->depot, self->folder, &err) < 0)
        fail_msg ("call %d: %s", at, err.text);
    if (!is_as_told (self->depot, *done))
        fail_msg ("call %d, in step %d, leaves a part", at, *done);
    if (!wastes_nothing (self->depot))
        fail_msg ("call %d, in step %d, wastes space", at, *done);
    assert_int_equal (put_context (self->depot, SIZE, 77, NULL), 0);
    assert_int_equal (presence (self->depot, SIZE, 77), 1);
    if (!leaves_nothing (self))
        fail_msg ("call %d, in step %d, leaves bytes behind", at, *done);
    return WEXITSTATUS (status) == 0;
}

static void survives_from_each_call (depots_t *self, disk_t disk)
{
    int at = 1;
    done = mmap (NULL, sizeof *done, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true (done != MAP_FAILED);
    while (!survives (self, disk, at))
        at++;
    munmap (done, sizeof *done);
    if (at < 40)
        fail_msg ("only %d calls were seen: are SQLite's missing?", at);
}

static void a_kill_at_any_call_leaves_whole_contexts (void **state)
{
    survives_from_each_call (*state, KILLS);
}

static void a_torn_write_leaves_whole_contexts (void **state)
{
    survives_from_each_call (*state, TEARS);
}

static void a_disk_full_from_any_call_on_leaves_whole_contexts (void **state)
{
    survives_from_each_call (*state, IS_FULL);
}

static void a_disk_broken_from_any_call_on_leaves_whole_contexts (void **state)
{
    survives_from_each_call (*state, IS_BROKEN);
}

/* -- a file system without holes -------------------------------------------------------------------------------- */

static void without_holes_what_lives_is_moved (void **state)
{
    depots_t *self = *state;
    plan.knows_no_holes = true;
    self->depot->segment_bytes = 4000000;
    for (uint64_t seed = 0; seed < 150; seed++)
        assert_int_equal (put_context (self->depot, 100000, seed, NULL), 0);
    for (uint64_t seed = 0; seed < 150; seed += 10)
        assert_int_equal (put_context (self->depot, 100000, seed, NULL), 0);       /* used last */
    int64_t full = occupied (self->depot);
    assert_true (depot_trim (self->depot, 15 * 100400, NULL) > 0);
    int64_t left = occupied (self->depot);
    plan.knows_no_holes = false;
    if (left > full / 2)
        fail_msg ("%lld of %lld bytes are still occupied", (long long) left, (long long) full);
    depots_reopen (self);
    for (uint64_t seed = 0; seed < 150; seed += 10)
        assert_int_equal (presence (self->depot, 100000, seed), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, depots_setup, depots_teardown)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (a_kill_at_any_call_leaves_whole_contexts),
        TEST (a_torn_write_leaves_whole_contexts),
        TEST (a_disk_full_from_any_call_on_leaves_whole_contexts),
        TEST (a_disk_broken_from_any_call_on_leaves_whole_contexts),
        TEST (without_holes_what_lives_is_moved),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
