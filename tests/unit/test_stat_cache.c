/* test_stat_cache.c - unchanged files are not read again, changed ones always, and a bad cache does no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/scan_private.h"
#include "common/stat_cache.h"
#include "common/stat_index.h"
#include "trees.h"

typedef struct { char *context, *cache; } place_t;

static int set_up (void **state)
{
    place_t *self = mem_alloc (sizeof *self);
    self->context = tree_new ();
    self->cache = tree_new ();
    *state = self;
    return 0;
}

static int tear_down (void **state)
{
    place_t *self = *state;
    tree_remove (self->context);
    tree_remove (self->cache);
    free (self->context);
    free (self->cache);
    free (self);
    return 0;
}

/* So that files are older than the file system's tick. */
static void wait_a_tick (void)
{
    usleep (60000);
}

static uint64_t count_read (const scan_t *scan)
{
    uint64_t count = 0;
    for (size_t i = 0; i < scan->walk->count; i++)
        count += scan->walk->nodes [i].kind == TREE_FILE && !scan->walk->nodes [i].is_known;
    return count;
}

/* The root; *read gets how many files were opened. With the cache the root is the same as without. */
static digest_t scan (const place_t *self, uint64_t *read)
{
    err_t err = { 0 };
    AUTO (scan) scan_t *cached = NULL, *plain = NULL;
    if (scan_names (&cached, self->context, NULL, NULL, self->cache, &err) < 0 || scan_content (cached, &err) < 0
    ||  scan_context (&plain, self->context, NULL, &err) < 0)
        fail_msg ("%s", err.text);
    assert_true (digest_equal (scan_root (cached), scan_root (plain)));
    assert_int_equal (count_read (plain), scan_files (plain));
    *read = count_read (cached);
    return *scan_root (cached);
}

static uint64_t files_read (const place_t *self)
{
    uint64_t read;
    scan (self, &read);
    return read;
}

static void make_some (const place_t *self)
{
    tree_file (self->context, "a", 1000, 1, 0644);
    tree_file (self->context, "b", 0, 2, 0600);
    tree_folder (self->context, "sub", 0755);
    tree_folder (self->context, "sub/empty", 0755);
    tree_file (self->context, "sub/long", 3000000, 3, 0644);
    tree_file (self->context, "sub/x", 100, 4, 0755);
    tree_link (self->context, "sub/link", "x");
    wait_a_tick ();
}

static char *cache_file (const place_t *self)
{
    DIR *folder = opendir (self->cache);
    struct dirent *item;
    char *path = NULL;
    while ((item = readdir (folder)))
        if (item->d_name [0] != '.') {
            assert_null (path);
            path = file_join (self->cache, item->d_name);
        }
    closedir (folder);
    assert_non_null (path);
    return path;
}

static void unchanged_files_are_not_opened (void **state)
{
    place_t *self = *state;
    make_some (self);
    assert_int_equal (files_read (self), 4);
    assert_int_equal (files_read (self), 0);
    AUTO_FREE char *gone = file_join (self->context, "a");
    tree_file (self->context, "sub/new", 10, 5, 0644);
    tree_file (self->context, "sub/x", 101, 4, 0755);
    wait_a_tick ();
    assert_int_equal (files_read (self), 2);
    assert_int_equal (files_read (self), 0);
    assert_int_equal (unlink (gone), 0);
    assert_int_equal (files_read (self), 0);
}

/* Size, mode and modification time are the same as before. */
static void other_content_under_the_same_time_is_seen (void **state)
{
    place_t *self = *state;
    uint64_t read;
    AUTO_FREE char *path = file_join (self->context, "a");
    make_some (self);
    digest_t before = scan (self, &read);
    struct stat info;
    assert_int_equal (stat (path, &info), 0);
    tree_file (self->context, "a", 1000, 7, 0644);
    struct timespec times [2] = { info.st_mtim, info.st_mtim };
    assert_int_equal (utimensat (AT_FDCWD, path, times, 0), 0);
    digest_t after = scan (self, &read);
    assert_int_equal (read, 1);
    assert_false (digest_equal (&before, &after));
}

static void a_file_put_in_the_place_of_another_is_seen (void **state)
{
    place_t *self = *state;
    AUTO_FREE char *a = file_join (self->context, "a");
    AUTO_FREE char *other = file_join (self->context, "other");
    make_some (self);
    tree_file (self->context, "other", 1000, 8, 0644);
    wait_a_tick ();
    assert_int_equal (files_read (self), 5);
    assert_int_equal (rename (other, a), 0);
    assert_int_equal (files_read (self), 1);
}

static void a_folder_in_the_place_of_a_file_is_seen (void **state)
{
    place_t *self = *state;
    AUTO_FREE char *a = file_join (self->context, "a");
    AUTO_FREE char *sub = file_join (self->context, "sub");
    AUTO_FREE char *aside = file_join (self->context, "aside");
    make_some (self);
    assert_int_equal (files_read (self), 4);
    assert_int_equal (rename (a, aside), 0);
    assert_int_equal (rename (sub, a), 0);
    assert_int_equal (rename (aside, sub), 0);
    wait_a_tick ();
    assert_int_equal (files_read (self), 3);
    assert_int_equal (files_read (self), 0);
}

/* Written in the same tick in which it was read: nothing that stat says would tell. */
static void a_racily_clean_file_is_read_again (void **state)
{
    place_t *self = *state;
    int again = 0;
    for (unsigned tries = 0; tries < 100 && !again; tries++) {          /* a busy machine may take longer than a tick */
        tree_file (self->context, "a", 1000, tries, 0644);
        assert_int_equal (files_read (self), 1);
        again = (int) files_read (self);
    }
    assert_int_equal (again, 1);
    wait_a_tick ();
    assert_in_range (files_read (self), 0, 1);      /* 0: the second scan came so late that the file had been quiet before it */
    assert_int_equal (files_read (self), 0);
}

/* Of a time that is still to come nobody knows whether it is over. */
static void a_file_of_the_future_is_read_again (void **state)
{
    place_t *self = *state;
    AUTO_FREE char *path = file_join (self->context, "a");
    tree_file (self->context, "a", 1000, 1, 0644);
    struct timespec times [2] = { { 0, UTIME_OMIT }, { time (NULL) + 86400, 0 } };
    assert_int_equal (utimensat (AT_FDCWD, path, times, 0), 0);
    wait_a_tick ();
    assert_int_equal (files_read (self), 1);
    assert_int_equal (files_read (self), 1);
}

static void spoil (const char *path, const buffer_t *bytes, size_t at, size_t size)
{
    AUTO_BUFFER buffer_t spoilt = { 0 };
    buffer_append (&spoilt, bytes->data, size);
    if (at < size)
        spoilt.data [at] ^= 1;
    assert_int_equal (file_write (path, spoilt.data, spoilt.size, 0600, NULL), 0);
}

static void a_damaged_cache_is_thrown_away (void **state)
{
    place_t *self = *state;
    AUTO_BUFFER buffer_t bytes = { 0 };
    make_some (self);
    files_read (self);
    AUTO_FREE char *path = cache_file (self);
    assert_int_equal (file_read (path, 1000000, &bytes, NULL), 0);
    for (size_t i = 0; i < bytes.size; i += bytes.size / 40) {
        spoil (path, &bytes, i, bytes.size);
        assert_int_equal (files_read (self), 4);
        spoil (path, &bytes, SIZE_MAX, i);
        assert_int_equal (files_read (self), 4);
    }
    assert_int_equal (files_read (self), 0);
}

/* A good cache, of another folder. */
static void a_foreign_cache_is_thrown_away (void **state)
{
    place_t *self = *state;
    place_t other = { .context = tree_new (), .cache = tree_new () };
    make_some (self);
    make_some (&other);
    files_read (self);
    files_read (&other);
    AUTO_FREE char *path = cache_file (self);
    AUTO_FREE char *foreign = cache_file (&other);
    assert_int_equal (rename (foreign, path), 0);
    assert_int_equal (files_read (self), 4);
    tree_remove (other.context);
    tree_remove (other.cache);
    free (other.context);
    free (other.cache);
}

static void a_link_in_the_place_of_the_cache_is_not_followed (void **state)
{
    place_t *self = *state;
    make_some (self);
    files_read (self);
    AUTO_FREE char *path = cache_file (self);
    AUTO_FREE char *moved = file_join (self->context, "moved");
    assert_int_equal (rename (path, moved), 0);
    assert_int_equal (symlink (moved, path), 0);
    assert_int_equal (files_read (self), 5);
}

static size_t next_random (unsigned *state, size_t below)
{
    *state = *state * 1103515245 + 12345;
    return *state / 65536 % below;
}

/* Bytes with a right checksum and anything in them: refused or read, never beyond their end. */
static void odd_bytes_do_no_harm (void **state)
{
    place_t *self = *state;
    AUTO_BUFFER buffer_t bytes = { 0 };
    digest_t key = digest_of ("k", 1);
    struct timespec began = { 1, 2 };
    AUTO (walk) walk_t *walk = NULL;
    make_some (self);
    assert_int_equal (walk_context (&walk, self->context, NULL, NULL, NULL), 0);
    assert_true (stat_index_write (&bytes, &key, &began, &key, walk));
    unsigned random = 1;
    for (int i = 0; i < 20000; i++) {
        size_t size = 70 + next_random (&random, bytes.size - 70);
        uint8_t *copy = memcpy (mem_alloc (size), bytes.data, size);
        for (int j = 0; j < 3; j++)
            copy [60 + next_random (&random, size - 60)] = (uint8_t) next_random (&random, 256);
        digest_t digest = digest_of (copy, size - DIGEST_SIZE);
        memcpy (copy + size - DIGEST_SIZE, digest.bytes, DIGEST_SIZE);
        stat_index_t index;
        if (stat_index_read (&index, &key, copy, size) == 0)
            stat_index_free (&index);
        free (copy);
    }
}

static void *scan_often (void *argument)
{
    for (int i = 0; i < 30; i++) {
        uint64_t read;
        scan (argument, &read);
    }
    return NULL;
}

static void runs_in_parallel_do_no_harm (void **state)
{
    place_t *self = *state;
    pthread_t threads [3];
    tree_file (self->context, "a", 1000, 1, 0644);
    for (int i = 0; i < 3; i++)
        assert_int_equal (pthread_create (&threads [i], NULL, scan_often, self), 0);
    for (int i = 0; i < 3; i++)
        pthread_join (threads [i], NULL);
    wait_a_tick ();
    files_read (self);
    assert_int_equal (files_read (self), 0);
    free (cache_file (self));       /* there is one, and nothing beside it */
}

static void old_caches_go_and_other_files_stay (void **state)
{
    place_t *self = *state;
    place_t other = { .context = tree_new (), .cache = self->cache };
    make_some (self);
    files_read (self);
    AUTO_FREE char *old = cache_file (self);
    AUTO_FREE char *mine = file_join (self->cache, "notes.stat");
    tree_file (self->cache, "notes.stat", 10, 1, 0600);
    struct timespec times [2] = { { time (NULL) - 31 * 86400, 0 }, { time (NULL) - 31 * 86400, 0 } };
    assert_int_equal (utimensat (AT_FDCWD, old, times, 0), 0);
    make_some (&other);
    files_read (&other);
    assert_false (file_exists (old));
    assert_true (file_exists (mine));
    assert_int_equal (files_read (&other), 0);
    tree_remove (other.context);
    free (other.context);
}

static void a_cache_folder_that_cannot_be_made_costs_time_only (void **state)
{
    place_t *self = *state;
    place_t nowhere = { .context = self->context, .cache = "/dev/null/cache" };
    make_some (self);
    assert_int_equal (files_read (&nowhere), 4);
    assert_int_equal (files_read (&nowhere), 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (unchanged_files_are_not_opened),
        TEST (other_content_under_the_same_time_is_seen),
        TEST (a_file_put_in_the_place_of_another_is_seen),
        TEST (a_folder_in_the_place_of_a_file_is_seen),
        TEST (a_racily_clean_file_is_read_again),
        TEST (a_file_of_the_future_is_read_again),
        TEST (a_damaged_cache_is_thrown_away),
        TEST (a_foreign_cache_is_thrown_away),
        TEST (a_link_in_the_place_of_the_cache_is_not_followed),
        TEST (odd_bytes_do_no_harm),
        TEST (runs_in_parallel_do_no_harm),
        TEST (old_caches_go_and_other_files_stay),
        TEST (a_cache_folder_that_cannot_be_made_costs_time_only),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
