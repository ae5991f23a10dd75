/* test_shelf.c - checkouts are kept for the next attempt of their repository, within limits, over restarts, and never when
 * they are not whole. */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "trees.h"
#include "worker/shelf.h"

#define APP "registry.test/team/app"
#define OTHER "registry.test/team/other"
enum { KILLS = 25, NOBODY = 65534 };

typedef struct {
    char *top, *context, *depot_folder, *shelf_folder, *attempt, *fresh;
    depot_t *depot;
    shelf_t *shelf;
    shelf_settings_t settings;
} place_t;

static void open_all (place_t *self)
{
    err_t err = { 0 };
    if (depot_open (&self->depot, self->depot_folder, &err) < 0 || depot_relax (self->depot, &err) < 0
    ||  shelf_new (&self->shelf, &self->settings, &err) < 0)
        fail_msg ("%s", err.text);
}

static void close_all (place_t *self)
{
    shelf_destroy (&self->shelf);
    depot_destroy (&self->depot);
}

static int set_up (void **state)
{
    place_t *self = mem_alloc (sizeof *self);
    self->top = tree_new ();
    self->context = file_join (self->top, "context");
    self->depot_folder = file_join (self->top, "depot");
    self->shelf_folder = file_join (self->top, "shelf");
    self->attempt = file_join (self->top, "attempt");
    self->fresh = file_join (self->top, "fresh");
    self->settings = (shelf_settings_t) { .folder = self->shelf_folder, .keep = 10, .limit_bytes = 1000000000 };
    tree_folder (self->top, "context", 0755);
    tree_folder (self->context, "sub", 0755);
    tree_file (self->context, "a", 1000, 1, 0644);
    tree_file (self->context, "sub/b", 1000, 2, 0644);
    open_all (self);
    *state = self;
    return 0;
}

static int tear_down (void **state)
{
    place_t *self = *state;
    char *const texts [] = { self->top, self->context, self->depot_folder, self->shelf_folder, self->attempt, self->fresh };
    close_all (self);
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

/* What an attempt does before its build. */
static int begin (place_t *self, const char *repository, const char *to, const digest_t *root, borrowed_t *borrowed,
                  checkout_stats_t *stats, err_t *err)
{
    AUTO (supply) supply_t *supply = supply_new (self->depot);
    if (shelf_take (self->shelf, repository, to, borrowed, err) < 0)
        return -1;
    checkout_settings_t settings = {
        .supply = supply, .root = root, .folder = to, .before = borrowed->before, .before_fd = borrowed->before_fd,
        .record = borrowed->record, .repository = repository
    };
    if (checkout_run (&settings, stats, err) < 0)
        return -1;
    shelf_note (self->shelf, borrowed, stats);
    return 0;
}

/* A whole attempt; how many files it wrote. */
static uint64_t attempt (place_t *self, const char *repository)
{
    err_t err = { 0 };
    checkout_stats_t stats;
    borrowed_t borrowed;
    digest_t root = store (self);
    if (begin (self, repository, self->attempt, &root, &borrowed, &stats, &err) < 0)
        fail_msg ("%s", err.text);
    assert_true (tree_equal (self->context, self->attempt));
    shelf_give_back (self->shelf, &borrowed);
    shelf_trim (self->shelf);
    tree_remove (self->attempt);
    return stats.written;
}

static size_t count_kept (const place_t *self)
{
    size_t count = 0;
    DIR *folder = opendir (self->shelf_folder);
    assert_non_null (folder);
    for (struct dirent *item; (item = readdir (folder));)
        count += item->d_name [0] != '.';
    closedir (folder);
    return count;
}

static void the_next_attempt_of_the_repository_gets_it (void **state)
{
    place_t *self = *state;
    assert_int_equal (attempt (self, APP), 2);
    tree_file (self->context, "a", 1000, 3, 0644);
    assert_int_equal (attempt (self, APP), 1);
    assert_int_equal (attempt (self, APP), 0);
    assert_int_equal (count_kept (self), 1);
}

static void another_repository_gets_none_of_it (void **state)
{
    place_t *self = *state;
    attempt (self, APP);
    assert_int_equal (attempt (self, OTHER), 2);
    assert_int_equal (count_kept (self), 2);
}

static void attempts_at_once_have_one_each (void **state)
{
    place_t *self = *state;
    err_t err = { 0 };
    checkout_stats_t stats;
    borrowed_t one, other;
    digest_t root = store (self);
    AUTO_FREE char *second = file_join (self->top, "second");
    attempt (self, APP);
    assert_int_equal (begin (self, APP, self->attempt, &root, &one, &stats, &err), 0);
    assert_int_equal (stats.written, 0);
    assert_int_equal (begin (self, APP, second, &root, &other, &stats, &err), 0);
    assert_int_equal (stats.written, 2);
    assert_true (tree_equal (self->attempt, second));
    shelf_give_back (self->shelf, &one);
    shelf_give_back (self->shelf, &other);
    assert_false (file_exists (second));
    assert_int_equal (count_kept (self), 2);
    assert_int_equal (attempt (self, APP), 0);
}

static void what_was_not_noted_is_not_kept (void **state)
{
    place_t *self = *state;
    err_t err = { 0 };
    borrowed_t borrowed;
    attempt (self, APP);
    assert_int_equal (shelf_take (self->shelf, APP, self->attempt, &borrowed, &err), 0);
    assert_non_null (borrowed.before);
    shelf_give_back (self->shelf, &borrowed);
    assert_int_equal (count_kept (self), 0);
    tree_remove (self->attempt);
    assert_int_equal (attempt (self, APP), 2);
}

/* For who is not root, a folder that gets another parent has to be writable. */
static void a_context_that_is_not_writable_is_kept (void **state)
{
    place_t *self = *state;
    AUTO_FREE char *command = mem_printf ("chown -R %d '%s'", NOBODY, self->top);
    bool is_root = geteuid () == 0;
    assert_int_equal (chmod (self->context, 0555), 0);
    assert_true (!is_root || (system (command) == 0 && seteuid (NOBODY) == 0));
    uint64_t first = attempt (self, APP), second = attempt (self, APP);
    size_t kept = count_kept (self);
    assert_true (!is_root || seteuid (0) == 0);
    assert_int_equal (chmod (self->context, 0755), 0);
    assert_int_equal (first, 2);
    assert_int_equal (second, 0);
    assert_int_equal (kept, 1);
}

/* -- limits ----------------------------------------------------------------------------------------------------- */

static void those_not_used_for_longest_go (void **state)
{
    place_t *self = *state;
    close_all (self);
    self->settings.keep = 2;
    open_all (self);
    attempt (self, APP);
    attempt (self, OTHER);
    attempt (self, APP);
    attempt (self, "registry.test/third");
    assert_int_equal (count_kept (self), 2);
    assert_int_equal (attempt (self, APP), 0);
    assert_int_equal (attempt (self, OTHER), 2);
}

static void their_bytes_are_limited (void **state)
{
    place_t *self = *state;
    close_all (self);
    self->settings.limit_bytes = 3 * 8192;
    open_all (self);
    for (int i = 0; i < 4; i++) {
        AUTO_FREE char *repository = mem_printf ("registry.test/app%d", i);
        attempt (self, repository);
    }
    assert_int_equal (count_kept (self), 3);
    close_all (self);
    self->settings.limit_bytes = 1;
    open_all (self);
    assert_int_equal (count_kept (self), 0);
}

static void none_is_kept_where_none_is_wanted (void **state)
{
    place_t *self = *state;
    close_all (self);
    self->settings.keep = 0;
    open_all (self);
    attempt (self, APP);
    assert_int_equal (count_kept (self), 0);
}

static void a_disk_that_is_too_full_keeps_none (void **state)
{
    place_t *self = *state;
    attempt (self, APP);
    assert_int_equal (count_kept (self), 1);
    close_all (self);
    self->settings.free_floor_bytes = INT64_MAX;
    open_all (self);
    assert_int_equal (count_kept (self), 0);
}

static void all_that_are_free_can_be_cleared (void **state)
{
    place_t *self = *state;
    err_t err = { 0 };
    checkout_stats_t stats;
    borrowed_t borrowed;
    digest_t root = store (self);
    attempt (self, APP);
    assert_int_equal (begin (self, OTHER, self->attempt, &root, &borrowed, &stats, &err), 0);
    assert_int_equal (shelf_clear (self->shelf), 1);
    shelf_give_back (self->shelf, &borrowed);
    assert_int_equal (count_kept (self), 1);
}

/* -- restarts --------------------------------------------------------------------------------------------------- */

static void it_is_there_after_a_restart (void **state)
{
    place_t *self = *state;
    attempt (self, APP);
    close_all (self);
    open_all (self);
    assert_int_equal (attempt (self, OTHER), 2);
    assert_int_equal (attempt (self, APP), 0);
}

/* Break what is kept, as command does with $1 as its folder; the next start removes it. */
static void assert_removed (place_t *self, const char *command)
{
    AUTO_FREE char *whole = mem_printf ("set -- '%s'/*; %s", self->shelf_folder, command);
    attempt (self, APP);
    assert_int_equal (count_kept (self), 1);
    close_all (self);
    assert_int_equal (system (whole), 0);
    open_all (self);
    assert_int_equal (count_kept (self), 0);
    assert_int_equal (attempt (self, APP), 2);
    shelf_clear (self->shelf);
}

static void what_cannot_be_believed_is_removed_at_the_start (void **state)
{
    static const char *const commands [] = {
        "rm $1/record", "echo >> $1/record", "truncate -s 10 $1/record", "rm -r $1/tree", "rm -r $1/tree; touch $1/tree",
        "mv $1 $1x", "rm $1/record; mkfifo $1/record", "rm -r $1; touch $1",
        "sed 's/^farmtree\\(....\\)......../farmtree\\100000000/' $1/record > $1/r; mv $1/r $1/record"
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        assert_removed (*state, commands [i]);
}

/* -- kill -9 ---------------------------------------------------------------------------------------------------- */

/* Attempts one after the other, each of another of two contexts, until somebody ends it. */
static void work_until_killed (place_t *self, const digest_t roots [2])
{
    err_t err = { 0 };
    checkout_stats_t stats;
    open_all (self);
    for (int i = 0; ; i++) {
        borrowed_t borrowed;
        if (begin (self, APP, self->attempt, &roots [i % 2], &borrowed, &stats, &err) < 0)
            _exit (1);
        shelf_give_back (self->shelf, &borrowed);
    }
}

static void make_two (place_t *self, digest_t roots [2])
{
    for (unsigned i = 0; i < 200; i++) {
        AUTO_FREE char *path = mem_printf ("sub/%u", i);
        tree_file (self->context, path, 3000, i, 0644);
    }
    roots [0] = store (self);
    for (unsigned i = 0; i < 200; i += 2) {
        AUTO_FREE char *path = mem_printf ("sub/%u", i);
        tree_file (self->context, path, 3000, i + 1000, 0644);
    }
    roots [1] = store (self);
}

static void a_killed_attempt_leaves_nothing_to_be_believed (void **state)
{
    place_t *self = *state;
    digest_t roots [2];
    int kept = 0;
    make_two (self, roots);
    for (int i = 0; i < KILLS; i++) {
        err_t err = { 0 };
        checkout_stats_t stats;
        borrowed_t borrowed;
        close_all (self);
        pid_t child = fork ();
        assert_true (child >= 0);
        if (child == 0)
            work_until_killed (self, roots);
        usleep ((useconds_t) (1000 + i * 1700));
        kill (child, SIGKILL);
        int status;
        assert_int_equal (waitpid (child, &status, 0), child);
        assert_true (WIFSIGNALED (status));
        tree_remove (self->attempt);                /* as the worker does at its start */
        open_all (self);
        assert_int_equal (begin (self, APP, self->attempt, &roots [1], &borrowed, &stats, &err), 0);
        kept += stats.written < stats.files;
        assert_true (tree_equal (self->context, self->attempt));
        shelf_give_back (self->shelf, &borrowed);
    }
    print_message ("# %d of %d times a kept checkout was used\n", kept, KILLS);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (the_next_attempt_of_the_repository_gets_it),
        TEST (another_repository_gets_none_of_it),
        TEST (attempts_at_once_have_one_each),
        TEST (what_was_not_noted_is_not_kept),
        TEST (a_context_that_is_not_writable_is_kept),
        TEST (those_not_used_for_longest_go),
        TEST (their_bytes_are_limited),
        TEST (none_is_kept_where_none_is_wanted),
        TEST (a_disk_that_is_too_full_keeps_none),
        TEST (all_that_are_free_can_be_cleared),
        TEST (it_is_there_after_a_restart),
        TEST (what_cannot_be_believed_is_removed_at_the_start),
        TEST (a_killed_attempt_leaves_nothing_to_be_believed),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
