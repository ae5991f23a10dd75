/* test_checkout_change.c - an earlier checkout is changed into the next context: the outcome is that of a fresh one, whatever
 * a build did to it, and what did not change is not touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "deep.h"
#include "trees.h"
#include "worker/checkout.h"

enum { ROUNDS = 40, CHANGES = 12, NAMES = 60 };

typedef struct {
    char *top, *context, *depot_folder, *kept, *record, *fresh;
    depot_t *depot;
    supply_t *supply;
    uint32_t seed;
} place_t;

static int set_up (void **state)
{
    place_t *self = mem_alloc (sizeof *self);
    err_t err = { 0 };
    self->top = tree_new ();
    self->context = file_join (self->top, "context");
    self->depot_folder = file_join (self->top, "depot");
    self->kept = file_join (self->top, "kept");
    self->record = file_join (self->top, "record");
    self->fresh = file_join (self->top, "fresh");
    self->seed = 1;
    tree_folder (self->top, "context", 0755);
    assert_int_equal (depot_open (&self->depot, self->depot_folder, &err), 0);
    assert_int_equal (depot_relax (self->depot, &err), 0);
    self->supply = supply_new (self->depot);
    *state = self;
    return 0;
}

static int tear_down (void **state)
{
    place_t *self = *state;
    char *const texts [] = { self->top, self->context, self->depot_folder, self->kept, self->record, self->fresh };
    AUTO_FREE char *disk = file_join (self->top, "disk.d");
    umount2 (disk, MNT_DETACH);         /* where a test has mounted one */
    supply_destroy (&self->supply);
    depot_destroy (&self->depot);
    tree_remove (self->top);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free (texts [i]);
    free (self);
    return 0;
}

static digest_t store (place_t *self)
{
    err_t err = { 0 };
    AUTO (scan) scan_t *scan = NULL;
    if (scan_context (&scan, self->context, NULL, &err) < 0 || tree_store (scan, self->depot, &err) < 0)
        fail_msg ("%s", err.text);
    return *scan_root (scan);
}

/* The kept checkout becomes that of the root; the first time it is made. */
static int change_to (place_t *self, const digest_t *root, checkout_stats_t *stats, err_t *err)
{
    AUTO (record) record_t *before = NULL;
    if (file_exists (self->record))
        assert_int_equal (record_open (&before, self->record, err), 0);
    checkout_settings_t settings = {
        .supply = self->supply, .root = root, .folder = self->kept, .before = before, .before_fd = -1, .record = self->record,
        .repository = "registry.test/team/app"
    };
    return checkout_run (&settings, stats, err);
}

static checkout_stats_t change (place_t *self)
{
    err_t err = { 0 };
    checkout_stats_t stats;
    digest_t root = store (self);
    if (change_to (self, &root, &stats, &err) < 0)
        fail_msg ("%s", err.text);
    return stats;
}

/* By our own eyes, and by rsync's, where there is one. */
static void assert_as_fresh (place_t *self)
{
    err_t err = { 0 };
    digest_t root = store (self);
    AUTO_FREE char *compare = mem_printf ("rsync -n --checksum -i -aHAX --delete '%s/' '%s/'", self->fresh, self->kept);
    char line [1000] = "";
    tree_remove (self->fresh);
    assert_int_equal (tree_check_out (self->depot, &root, self->fresh, NULL, &err), 0);
    assert_true (tree_equal (self->fresh, self->kept));
    if (system ("rsync --version > /dev/null 2>&1") != 0)
        return;
    FILE *differences = popen (compare, "r");
    assert_non_null (differences);
    if (fgets (line, sizeof line, differences))
        fail_msg ("differs: %s", line);
    assert_int_equal (pclose (differences), 0);
}

static struct stat look (const place_t *self, const char *path)
{
    struct stat info;
    AUTO_FREE char *full = file_join (self->kept, path);
    assert_int_equal (lstat (full, &info), 0);
    return info;
}

/* -- chance ----------------------------------------------------------------------------------------------------- */

static uint32_t dice (place_t *self, uint32_t sides)
{
    self->seed ^= self->seed << 13;
    self->seed ^= self->seed >> 17;
    self->seed ^= self->seed << 5;
    return self->seed % sides;
}

/* A path of at most three names, so that names come again as something else. */
static char *any_path (place_t *self, const char *top)
{
    char *path = mem_strdup (top);
    for (uint32_t depth = 1 + dice (self, 3), i = 0; i < depth; i++) {
        char *longer = mem_printf ("%s/%c%u", path, 'a' + (int) i, dice (self, i ? 4 : NAMES / 8));
        free (path);
        path = longer;
    }
    return path;
}

static void put_times_back (const char *path, const struct stat *info)
{
    struct timespec times [2] = { info->st_atim, info->st_mtim };
    utimensat (AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

static void write_file (const char *path, size_t size, uint32_t seed)
{
    AUTO_FREE char *bytes = mem_alloc (size + 1);
    memset (bytes, (int) ('a' + seed % 26), size);
    int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
    if (fd < 0)
        return;                         /* a folder, a link, or below what is none */
    assert_int_equal (file_write_all (fd, bytes, size, NULL), 0);
    close (fd);
}

/* The same size, mode and modification time, and other bytes. */
static void write_behind_its_back (const char *path, uint32_t seed)
{
    struct stat info;
    if (lstat (path, &info) < 0 || !S_ISREG (info.st_mode))
        return;
    write_file (path, (size_t) info.st_size, seed);
    put_times_back (path, &info);
}

/* One thing that a person, or a build, may do below a folder. */
static void do_something (place_t *self, const char *top)
{
    static const size_t sizes [] = { 0, 1, 100, 5000, 300000, 600000 };
    AUTO_FREE char *path = any_path (self, top);
    AUTO_FREE char *other = any_path (self, top);
    uint32_t value = dice (self, 1000);
    switch (dice (self, 12)) {
        case 0: case 1: case 2:
            write_file (path, sizes [value % 6], value);
            break;
        case 3: case 4:
            mkdir (path, 0755);
            break;
        case 5:
            file_remove_tree (path, NULL);
            break;
        case 6:
            if (symlink (value % 2 ? "a0" : "/nowhere", path) < 0)
                write_behind_its_back (path, value);
            break;
        case 7:
            (void) !chmod (path, value % 2 ? 0640 : 0755);
            break;
        case 8: {
            struct timespec times [2] = { { 0, UTIME_OMIT }, { 1500000000 + value, value } };
            utimensat (AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
            break;
        }
        case 9:
            rename (path, other);
            break;
        case 10:
            write_behind_its_back (path, value);
            break;
        default:
            file_remove_tree (path, NULL);
            write_file (path, sizes [value % 6], value);
            break;
    }
}

/* What a build may do beyond that. */
static void do_worse (place_t *self)
{
    AUTO_FREE char *path = any_path (self, self->kept);
    AUTO_FREE char *other = any_path (self, self->kept);
    switch (dice (self, 6)) {
        case 0:
            if (link (path, other) < 0)
                mkfifo (path, 0600);
            break;
        case 1:
            setxattr (path, "user.left", "x", 1, 0);
            break;
        case 2:
            (void) !chmod (path, 0);
            break;
        case 3:
            if (geteuid () == 0)
                (void) !lchown (path, 12345, 12345);
            break;
        default:
            do_something (self, self->kept);
    }
}

static void a_changed_checkout_is_as_a_fresh_one (void **state)
{
    place_t *self = *state;
    for (int i = 0; i < NAMES; i++)
        do_something (self, self->context);
    for (int round = 0; round < ROUNDS; round++) {
        change (self);
        assert_as_fresh (self);
        for (int i = 0; i < CHANGES; i++)
            do_something (self, self->context);
        for (int i = 0; round % 2 && i < CHANGES; i++)
            do_worse (self);
    }
}

/* -- one by one ------------------------------------------------------------------------------------------------- */

static void make_some (place_t *self)
{
    tree_folder (self->context, "sub", 0755);
    tree_folder (self->context, "sub/below", 0711);
    tree_file (self->context, "sub/same", 1000, 1, 0644);
    tree_file (self->context, "sub/other", 1000, 2, 0600);
    tree_file (self->context, "sub/below/long", 700000, 3, 0644);
    tree_link (self->context, "sub/link", "same");
    change (self);
}

static void an_unchanged_file_is_not_touched (void **state)
{
    place_t *self = *state;
    make_some (self);
    struct stat same = look (self, "sub/same"), link = look (self, "sub/link"), folder = look (self, "sub/below");
    tree_file (self->context, "sub/other", 1000, 4, 0600);
    checkout_stats_t stats = change (self);
    assert_int_equal (stats.files, 3);
    assert_int_equal (stats.written, 1);
    assert_int_equal (stats.removed, 0);
    struct stat same_after = look (self, "sub/same"), link_after = look (self, "sub/link"), after = look (self, "sub/below");
    assert_int_equal (same.st_ino, same_after.st_ino);
    assert_memory_equal (&same.st_ctim, &same_after.st_ctim, sizeof same.st_ctim);
    assert_memory_equal (&same.st_atim, &same_after.st_atim, sizeof same.st_atim);
    assert_memory_equal (&link.st_ctim, &link_after.st_ctim, sizeof link.st_ctim);
    assert_memory_equal (&folder.st_ctim, &after.st_ctim, sizeof folder.st_ctim);
    assert_as_fresh (self);
}

static void a_new_mode_or_time_writes_no_file (void **state)
{
    place_t *self = *state;
    struct timespec times [2] = { { 0, UTIME_OMIT }, { 1234567890, 987654321 } };
    AUTO_FREE char *same = file_join (self->context, "sub/same");
    AUTO_FREE char *other = file_join (self->context, "sub/other");
    make_some (self);
    struct stat before = look (self, "sub/same");
    assert_int_equal (chmod (same, 04755), 0);
    assert_int_equal (utimensat (AT_FDCWD, other, times, 0), 0);
    assert_int_equal (change (self).written, 0);
    assert_int_equal (look (self, "sub/same").st_ino, before.st_ino);
    assert_as_fresh (self);
    assert_int_equal (change (self).written, 0);        /* the record has their new change times */
}

static void a_file_that_a_build_wrote_to_is_written_anew (void **state)
{
    place_t *self = *state;
    AUTO_FREE char *same = file_join (self->kept, "sub/same");
    AUTO_FREE char *extra = file_join (self->kept, "sub/below/extra");
    make_some (self);
    write_behind_its_back (same, 5);
    write_file (extra, 10, 1);
    checkout_stats_t stats = change (self);
    assert_int_equal (stats.written, 1);
    assert_int_equal (stats.removed, 1);
    assert_as_fresh (self);
}

/* Written before the clock went on: its times may be what they were, so it is not believed. */
static void a_file_of_the_last_tick_is_written_again (void **state)
{
    place_t *self = *state;
    tree_file (self->context, "file", 1000, 1, 0644);
    change (self);
    AUTO (record) record_t *record = NULL;
    err_t err = { 0 };
    assert_int_equal (record_open (&record, self->record, &err), 0);
    struct stat info = look (self, "file");
    tree_entry_t entry = { .kind = TREE_FILE, .mode = 0644, .mtime_s = info.st_mtim.tv_sec,
                           .mtime_ns = (uint32_t) info.st_mtim.tv_nsec, .content = { .size_bytes = 1000 } };
    struct timespec sealed = record_facts (record)->sealed;
    for (int after = 0; after < 2; after++) {
        info.st_ctim = sealed;
        info.st_ctim.tv_sec -= 1 - after;
        info.st_ctim.tv_nsec |= 1;
        record_slot_t slot = { .inode = info.st_ino, .ctime_s = info.st_ctim.tv_sec,
                               .ctime_ns = (uint32_t) info.st_ctim.tv_nsec };
        assert_int_equal (record_matches (record, &entry, &slot, &info), !after);
    }
}

static void what_a_build_linked_elsewhere_stays_as_it_was (void **state)
{
    place_t *self = *state;
    AUTO_FREE char *same = file_join (self->kept, "sub/same");
    AUTO_FREE char *elsewhere = file_join (self->top, "elsewhere");
    AUTO_BUFFER buffer_t before = { 0 };
    AUTO_BUFFER buffer_t after = { 0 };
    make_some (self);
    assert_int_equal (link (same, elsewhere), 0);
    assert_int_equal (file_read (elsewhere, 10000, &before, NULL), 0);
    tree_file (self->context, "sub/same", 1000, 99, 0644);
    change (self);
    assert_int_equal (file_read (elsewhere, 10000, &after, NULL), 0);
    assert_memory_equal (before.data, after.data, 1000);
    struct stat info;
    assert_int_equal (stat (elsewhere, &info), 0);
    assert_int_equal (info.st_nlink, 1);
    assert_as_fresh (self);
}

static void a_link_in_the_place_of_a_folder_leads_nowhere (void **state)
{
    place_t *self = *state;
    AUTO_FREE char *below = file_join (self->kept, "sub/below");
    AUTO_FREE char *outside = file_join (self->top, "outside");
    AUTO_FREE char *victim = file_join (outside, "long");
    AUTO_BUFFER buffer_t bytes = { 0 };
    make_some (self);
    tree_folder (self->top, "outside", 0755);
    write_file (victim, 5, 1);
    tree_remove (below);
    assert_int_equal (symlink (outside, below), 0);
    tree_file (self->context, "sub/below/long", 700000, 7, 0644);
    change (self);
    assert_int_equal (file_read (victim, 10, &bytes, NULL), 0);
    assert_int_equal (bytes.size, 5);
    assert_as_fresh (self);
}

typedef struct { place_t *place; digest_t root; int rc; err_t err; } deep_change_t;

static void *change_deep (void *argument)
{
    deep_change_t *self = argument;
    self->rc = change_to (self->place, &self->root, NULL, &self->err);
    return NULL;
}

static void folders_without_end_that_a_build_left_do_not_stay (void **state)
{
    place_t *self = *state;
    AUTO_FREE char *sub = file_join (self->kept, "sub"), *below = file_join (sub, "below"), *file = file_join (sub, "same");
    make_some (self);
    deep_make_in (below, DEEP_LEVELS);
    assert_int_equal (unlink (file), 0);
    assert_int_equal (mkdir (file, 0700), 0);       /* and one where a file was */
    deep_make_in (file, DEEP_LEVELS / 10);
    tree_file (self->context, "sub/other", 1000, 4, 0600);
    deep_change_t changing = { .place = self, .root = store (self) };
    deep_run (change_deep, &changing);
    if (changing.rc < 0)
        fail_msg ("%s", changing.err.text);
    assert_as_fresh (self);
}

static void an_attribute_that_a_build_left_does_not_stay (void **state)
{
    place_t *self = *state;
    char value [8];
    AUTO_FREE char *below = file_join (self->kept, "sub/below");
    make_some (self);
    if (setxattr (below, "user.left", "x", 1, 0) < 0)
        skip ();
    change (self);
    assert_int_equal (getxattr (below, "user.left", value, sizeof value), -1);
    assert_as_fresh (self);
}

static void a_cancelled_change_leaves_no_record (void **state)
{
    place_t *self = *state;
    err_t err = { 0 };
    atomic_int is_cancelled = 1;
    AUTO (record) record_t *before = NULL;
    AUTO_FREE char *next = file_join (self->top, "next");
    make_some (self);
    tree_file (self->context, "sub/other", 1000, 4, 0600);
    digest_t root = store (self);
    assert_int_equal (record_open (&before, self->record, &err), 0);
    checkout_settings_t settings = {
        .supply = self->supply, .root = &root, .folder = self->kept, .before = before, .before_fd = -1, .record = next,
        .is_cancelled = &is_cancelled
    };
    assert_int_equal (checkout_run (&settings, NULL, &err), -1);
    assert_int_equal (err.code, ERR_CANCELLED);
    assert_false (file_exists (next));
}

/* -- the record ------------------------------------------------------------------------------------------------- */

static void a_damaged_record_is_not_believed (void **state)
{
    place_t *self = *state;
    AUTO_BUFFER buffer_t bytes = { 0 };
    make_some (self);
    assert_int_equal (file_read (self->record, 100000, &bytes, NULL), 0);
    for (size_t i = 0; i < bytes.size; i++) {
        record_t *record = NULL;
        err_t err = { 0 };
        bytes.data [i] ^= 0x10;
        assert_int_equal (file_write_scratch (self->record, bytes.data, bytes.size, 0600, &err), 0);
        assert_int_equal (record_open (&record, self->record, &err), -1);
        assert_int_equal (err.code, ERR_FARM);
        bytes.data [i] ^= 0x10;
    }
    for (size_t size = 0; size < bytes.size; size += 37) {
        record_t *record = NULL;
        err_t err = { 0 };
        assert_int_equal (file_write_scratch (self->record, bytes.data, size, 0600, &err), 0);
        assert_int_equal (record_open (&record, self->record, &err), -1);
    }
}

/* -- sharing blocks --------------------------------------------------------------------------------------------- */

/* A small file system of the kind, on a file; false where there can be none. */
static bool mount_kind (const place_t *self, const char *kind)
{
    AUTO_FREE char *command = mem_printf ("truncate -s 400M '%s/disk' && mkfs.%s -q '%s/disk' > /dev/null 2>&1 && mkdir '%s/disk.d'"
                                          " && mount -t %s -o loop '%s/disk' '%s/disk.d' 2> /dev/null", self->top, kind, self->top,
                                          self->top, kind, self->top, self->top);
    return geteuid () == 0 && system (command) == 0;
}

static void a_second_checkout_shares_blocks_with_the_first (void **state)
{
    place_t *self = *state;
    err_t err = { 0 };
    checkout_stats_t stats;
    if (!mount_kind (self, "xfs") && !mount_kind (self, "btrfs"))
        skip ();
    AUTO_FREE char *disk = file_join (self->top, "disk.d");
    free (self->kept);
    self->kept = file_join (disk, "kept");
    AUTO_FREE char *second = file_join (disk, "second");
    AUTO_FREE char *written = file_join (self->kept, "sub/same");
    make_some (self);
    write_behind_its_back (written, 9);
    digest_t root = store (self);
    AUTO (record) record_t *before = NULL;
    assert_int_equal (record_open (&before, self->record, &err), 0);
    AUTO_CLOSE int fd = open (self->kept, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    checkout_settings_t settings = {
        .supply = self->supply, .root = &root, .folder = second, .before = before, .before_fd = fd
    };
    int rc = checkout_run (&settings, &stats, &err);
    bool is_equal = rc == 0 && tree_check_out (self->depot, &root, self->fresh, NULL, &err) == 0
                    && tree_equal (self->fresh, second);
    auto_close (&fd);
    fd = -1;
    umount2 (disk, MNT_DETACH);
    if (rc < 0)
        fail_msg ("%s", err.text);
    assert_true (is_equal);
    assert_int_equal (stats.written, 3);
    assert_int_equal (stats.cloned, 2);         /* not the one that a build wrote to */
}

/* -- a disk that takes two names for one ------------------------------------------------------------------------- */

typedef struct { const char *path; char kind; } made_t;

static void make_these (const char *top, const made_t *all, size_t count)
{
    for (size_t i = 0; i < count && all [i].path; i++)
        if (all [i].kind == 'd')
            tree_folder (top, all [i].path, 0755);
        else if (all [i].kind == 'l')
            tree_link (top, all [i].path, "x");
        else
            tree_file (top, all [i].path, 100, (unsigned) i, 0644);
}

/* What was there, and what comes; by the disk's rules two of the latter are one. */
static const struct { made_t before [4], after [4]; } collisions [] = {
    { { { "A", 'f' } }, { { "A", 'f' }, { "a", 'f' } } },
    { { { "a", 'f' } }, { { "A", 'f' }, { "a", 'f' } } },
    { { { "A", 'f' }, { "other", 'f' } }, { { "A", 'f' }, { "a", 'f' } } },       /* as many names as entries */
    { { { "A", 'f' } }, { { "A", 'f' }, { "a", 'l' } } },
    { { { "A", 'f' } }, { { "A", 'f' }, { "a", 'd' }, { "a/in", 'f' } } },
    { { { "A", 'd' }, { "A/in", 'f' } }, { { "A", 'd' }, { "A/in", 'f' }, { "a", 'f' } } },
    { { { "A", 'd' }, { "A/in", 'f' } }, { { "A", 'd' }, { "A/in", 'f' }, { "a", 'd' }, { "a/in", 'f' } } },
    { { { "a", 'd' }, { "a/in", 'f' } }, { { "A", 'd' }, { "a", 'd' }, { "a/in", 'f' } } },
    { { { "sub", 'd' }, { "sub/B", 'l' } }, { { "sub", 'd' }, { "sub/B", 'l' }, { "sub/b", 'f' } } },
};

static void empty_all (place_t *self)
{
    tree_remove (self->context);
    tree_remove (self->kept);
    unlink (self->record);
    tree_folder (self->top, "context", 0755);
}

static bool says_that_names_collide (const err_t *err)
{
    return err->code == ERR_FARM && strstr (err->text, "takes two names there for one");
}

static void expect_collision (place_t *self, size_t row)
{
    err_t err = { 0 };
    checkout_stats_t stats;
    empty_all (self);
    make_these (self->context, collisions [row].before, 4);
    change (self);
    tree_remove (self->context);
    tree_folder (self->top, "context", 0755);
    make_these (self->context, collisions [row].after, 4);
    digest_t root = store (self);
    if (change_to (self, &root, &stats, &err) == 0 || err.code != ERR_FARM)
        fail_msg ("row %zu: changed: %s", row, err.text);
    unlink (self->record);
    tree_remove (self->kept);
    if (change_to (self, &root, &stats, &err) == 0 || !says_that_names_collide (&err))
        fail_msg ("row %zu: made anew: %s", row, err.text);
}

/* What differs by case alone from what it was is another name of the same place. */
static void rename_by_case (place_t *self)
{
    static const made_t before [] = { { "Name", 'f' }, { "other", 'f' }, { "Sub", 'd' }, { "Sub/in", 'f' } };
    static const made_t after [] = { { "name", 'f' }, { "new", 'f' }, { "sub", 'd' }, { "sub/In", 'f' } };
    empty_all (self);
    make_these (self->context, before, 4);
    change (self);
    tree_remove (self->context);
    tree_folder (self->top, "context", 0755);
    make_these (self->context, after, 4);
    change (self);
    assert_as_fresh (self);
}

static void names_that_are_one_for_the_disk_are_an_error (void **state)
{
    place_t *self = *state;
    AUTO_FREE char *disk = file_join (self->top, "disk.d");
    AUTO_FREE char *command = mem_printf ("python3 -B '" SOURCE_DIR "/tests/lib/folding_disk.py' '%s' 2> /dev/null", disk);
    tree_folder (self->top, "disk.d", 0755);
    if (geteuid () != 0 || system (command) != 0)
        skip ();            /* only root mounts, and there must be FUSE */
    free (self->kept);
    self->kept = file_join (disk, "kept");
    for (size_t row = 0; row < sizeof collisions / sizeof *collisions; row++)
        expect_collision (self, row);
    rename_by_case (self);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (a_changed_checkout_is_as_a_fresh_one),
        TEST (an_unchanged_file_is_not_touched),
        TEST (a_new_mode_or_time_writes_no_file),
        TEST (a_file_that_a_build_wrote_to_is_written_anew),
        TEST (a_file_of_the_last_tick_is_written_again),
        TEST (what_a_build_linked_elsewhere_stays_as_it_was),
        TEST (a_link_in_the_place_of_a_folder_leads_nowhere),
        TEST (folders_without_end_that_a_build_left_do_not_stay),
        TEST (an_attribute_that_a_build_left_does_not_stay),
        TEST (a_cancelled_change_leaves_no_record),
        TEST (a_damaged_record_is_not_believed),
        TEST (a_second_checkout_shares_blocks_with_the_first),
        TEST (names_that_are_one_for_the_disk_are_an_error),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
