/* test_depot.c - the power fails, at each moment of a day of the coordinator's depot: whatever the disk holds then, the depot opens, each
 * context whose commit was acknowledged is there and its sender's, and no object is named whose bytes are not there.
 *
 * What goes to segments is seen here, by calls that are defined before the C library's; what goes to SQLite, by its VFS (disk.h).
 *
 * POWER_STATES=N: so many states of the disk; POWER_SEED=S: other chances. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/depot_private.h"
#include "common/file.h"
#include "depots.h"
#include "disk.h"

enum { STATES = 400, TURNS = 90, OWNER = 7, SEGMENT = 1500000, SEGMENTS_MAX = 32 };

/* -- what is written past SQLite -------------------------------------------------------------------------------- */

static struct {
    bool is_on, knows_no_holes;
    char segments [PATH_MAX];           /* the folder's path */
    bool is_named;                      /* its name is on the disk */
    bool has_name [SEGMENTS_MAX], has_bytes [SEGMENTS_MAX];     /* so are a segment's name, and bytes */
} seen;

static const char *path_of (int fd)
{
    static char path [PATH_MAX];
    AUTO_FREE char *link = mem_printf ("/proc/self/fd/%d", fd);
    ssize_t size = seen.is_on ? readlink (link, path, sizeof path - 1) : 0;
    path [size < 0 ? 0 : size] = 0;
    return path;
}

/* Its number; 0: it is none. name is "segments/000001". */
static int segment_at (const char *path, const char **name)
{
    size_t folder = strlen (seen.segments);
    if (!seen.is_on || strncmp (path, seen.segments, folder) != 0 || path [folder] != '/')
        return 0;
    *name = path + folder - strlen ("segments");
    int number = atoi (path + folder + 1);
    assert_in_range (number, 1, SEGMENTS_MAX - 1);
    return number;
}

ssize_t pwrite (int fd, const void *data, size_t size, off_t offset)
{
    const char *name;
    int segment = segment_at (path_of (fd), &name);
    if (segment) {
        disk_note_write (name, offset, data, size);
        seen.has_bytes [segment] = false;
    }
    return syscall (SYS_pwrite64, fd, data, size, offset);
}

ssize_t pwrite64 (int fd, const void *data, size_t size, off64_t offset)
{
    return pwrite (fd, data, size, offset);
}

/* Bytes of a file that has no name yet are found by nobody. */
static void note_if_found (int segment)
{
    AUTO_FREE char *name = mem_printf ("segments/%06d", segment);
    if (seen.is_named && seen.has_name [segment] && seen.has_bytes [segment])
        disk_note_sync (name);
}

int fdatasync (int fd)
{
    const char *name;
    int segment = segment_at (path_of (fd), &name);
    if (segment) {
        seen.has_bytes [segment] = true;
        note_if_found (segment);
    }
    return 0;
}

static void note_names (void)
{
    disk_note_folder_sync ();
    for (int i = 1; i < SEGMENTS_MAX; i++) {
        AUTO_FREE char *path = mem_printf ("%s/%06d", seen.segments, i);
        seen.has_name [i] = access (path, F_OK) == 0;
        note_if_found (i);
    }
}

int fsync (int fd)
{
    const char *path = path_of (fd);
    size_t size = strlen (path);
    if (*path && strcmp (path, seen.segments) == 0)
        note_names ();
    if (*path && strncmp (path, seen.segments, size) == 0 && strcmp (seen.segments + size, "/segments") == 0)
        seen.is_named = access (seen.segments, F_OK) == 0;
    return 0;
}

int ftruncate (int fd, off_t size)
{
    const char *name;
    if (segment_at (path_of (fd), &name))
        disk_note_truncate (name, size);
    return (int) syscall (SYS_ftruncate, fd, size);
}

int ftruncate64 (int fd, off64_t size)
{
    return ftruncate (fd, size);
}

int unlink (const char *path)
{
    const char *name;
    int segment = segment_at (path, &name);
    if (segment) {
        disk_note_delete (name);
        seen.has_name [segment] = false;
    }
    return (int) syscall (SYS_unlinkat, AT_FDCWD, path, 0);
}

/* A hole reads as zeros. */
int fallocate (int fd, int mode, off_t offset, off_t size)
{
    const char *name;
    struct stat status;
    if (seen.knows_no_holes) {
        errno = EOPNOTSUPP;
        return -1;
    }
    if (segment_at (path_of (fd), &name) && fstat (fd, &status) == 0 && status.st_size > offset) {
        size_t part = (size_t) (status.st_size - offset < size ? status.st_size - offset : size);
        AUTO_FREE void *zeros = mem_alloc (part);
        disk_note_write (name, offset, zeros, part);
    }
    return (int) syscall (SYS_fallocate, fd, mode, offset, size);
}

/* -- a day of the depot ----------------------------------------------------------------------------------------- */

/* A context that was put, and from which moment until which it has to be there. */
typedef struct {
    small_context_t context;
    size_t from, until;
} promise_t;

static promise_t promises [3 * TURNS];
static size_t promise_count;

static int put_one_of (depot_t *depot, const small_context_t *context, err_t *err)
{
    const buffer_t *objects [] = { &context->file, &context->folder, &context->root };
    int rc = small_context_put (context, depot, err);
    for (int i = 0; rc == 0 && i < 3; i++) {
        digest_t digest = digest_of (objects [i]->data, objects [i]->size);
        rc = depot_own (depot, &digest, OWNER, err);
    }
    return rc;
}

/* One to three contexts in a transaction; one of five is taken back. */
static void put_some (depot_t *depot, int turn)
{
    err_t err = { 0 };
    size_t first = promise_count;
    if (depot_begin (depot, &err) < 0)
        fail_msg ("%s", err.text);
    for (int i = 0; i <= turn % 3; i++) {
        promise_t *one = &promises [promise_count++];
        size_t size = turn % 4 == 1 ? 150000 : 300 + (size_t) (turn * 97 + i * 1009) % 5000;
        small_context_make (&one->context, size, promise_count);
        if (put_one_of (depot, &one->context, &err) < 0)
            fail_msg ("%s", err.text);
        one->from = SIZE_MAX;
    }
    if (turn % 5 == 4)
        depot_rollback (depot);
    else if (depot_commit (depot, &err) < 0)
        fail_msg ("%s", err.text);
    for (size_t i = first; turn % 5 != 4 && i < promise_count; i++) {
        promises [i].from = disk_moments ();
        promises [i].until = SIZE_MAX;
    }
}

/* One of three stays, and nobody is promised the others any more. */
static void collect (depot_t *depot)
{
    err_t err = { 0 };
    depot_gone_t gone = { 0 };
    depot_root_t roots [3 * TURNS];
    size_t count = 0;
    int64_t rc;
    for (size_t i = 0; i < promise_count; i++)
        if (promises [i].until == SIZE_MAX && i % 3 == 0)
            roots [count++] = (depot_root_t) { small_context_root (&promises [i].context), INT64_MAX };
        else if (promises [i].until == SIZE_MAX)
            promises [i].until = disk_moments ();
    if (depot_collect_begin (depot, roots, count, &(depot_wish_t) { .before = INT64_MAX }, &err) < 0)
        fail_msg ("%s", err.text);
    while ((rc = depot_collect_step (depot, &gone, &err)) > 0)
        ;
    if (rc < 0)
        fail_msg ("%s", err.text);
}

/* The log of a short day would be written back at its ends alone. */
static depot_t *open_depot (const char *folder, size_t moment)
{
    err_t err = { 0 };
    depot_t *depot = NULL;
    if (depot_open (&depot, folder, &err) < 0 || depot_keep_owners (depot, &err) < 0
    ||  sql_execute (depot, "PRAGMA wal_autocheckpoint = 30", &err) < 0)
        fail_msg ("moment %zu: %s", moment, err.text);
    depot->segment_bytes = SEGMENT;
    return depot;
}

/* In its second half the file system knows no holes, and segments are emptied. */
static void live_through_a_day (const char *folder)
{
    snprintf (seen.segments, sizeof seen.segments, "%s/segments", folder);
    seen.is_on = true;
    depot_t *depot = open_depot (folder, 0);
    for (int turn = 0; turn < TURNS; turn++) {
        seen.knows_no_holes = turn > TURNS / 2;
        put_some (depot, turn);
        if (turn % 15 == 14)
            collect (depot);
        if (turn % 20 == 19) {
            depot_destroy (&depot);
            depot = open_depot (folder, 0);
        }
    }
    depot_destroy (&depot);
    seen.is_on = false;
}

/* -- each moment ------------------------------------------------------------------------------------------------ */

static bool is_there_or_not (depot_t *depot, const buffer_t *object)
{
    return !has (depot, object) || holds (depot, object);
}

static void check_promise (depot_t *depot, const promise_t *one, size_t moment)
{
    const small_context_t *context = &one->context;
    digest_t root = small_context_root (context);
    if (!is_there_or_not (depot, &context->root) || !is_there_or_not (depot, &context->folder) || !is_there_or_not (depot, &context->file))
        fail_msg ("moment %zu: an object is named whose bytes are not there", moment);
    if (one->from > moment || one->until < moment)
        return;
    if (!holds (depot, &context->root) || !holds (depot, &context->folder) || !holds (depot, &context->file))
        fail_msg ("moment %zu: a context was acknowledged at moment %zu, and is not there", moment, one->from);
    if (!depot_has_of (depot, &root, OWNER) || depot_has_of (depot, &root, OWNER + 1))
        fail_msg ("moment %zu: a context is not its sender's", moment);
}

static void check_moment (const char *folder, size_t moment, disk_loss loss, uint64_t *random)
{
    err_t err = { 0 };
    depot_stats_t stats;
    disk_restore (moment, loss, random, folder);
    depot_t *depot = open_depot (folder, moment);
    for (size_t i = 0; i < promise_count; i++)
        check_promise (depot, &promises [i], moment);
    depot_stats (depot, &stats);
    if (stats.damaged_objects > 0)
        fail_msg ("moment %zu: %llu objects are damaged", moment, (unsigned long long) stats.damaged_objects);
    if (put_context (depot, 1000, promise_count + 1, &err) < 0 || presence (depot, 1000, promise_count + 1) != 1)
        fail_msg ("moment %zu: it does not go on: %s", moment, err.text);
    depot_destroy (&depot);
}

static void whatever_the_disk_holds_the_depot_is_whole (void **state)
{
    const char *folder = *state, *states_text = getenv ("POWER_STATES"), *seed = getenv ("POWER_SEED");
    size_t states = states_text ? (size_t) atoll (states_text) : STATES;
    uint64_t random = seed ? (uint64_t) atoll (seed) : 1;
    AUTO_FREE char *lived = file_join (folder, "lived"), *restored = file_join (folder, "restored");
    disk_install ();
    live_through_a_day (lived);
    disk_leave ();
    size_t moments = disk_moments ();
    print_message ("# %zu moments, %zu contexts, %zu states\n", moments, promise_count, states);
    for (size_t i = 0; i < states; i++)
        check_moment (restored, 1 + i * (moments - 1) / states, (disk_loss) (i % LOSE_KINDS), &random);
}

static int start (void **state)
{
    char *folder = mem_strdup ("/dev/shm/power-XXXXXX");
    *state = folder;
    return mkdtemp (folder) ? 0 : -1;
}

static int end (void **state)
{
    for (size_t i = 0; i < promise_count; i++)
        small_context_free (&promises [i].context);
    int rc = file_remove_tree (*state, NULL);
    free (*state);
    return rc;
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
    const struct CMUnitTest tests [] = {
        cmocka_unit_test_setup_teardown (whatever_the_disk_holds_the_depot_is_whole, start, end),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
