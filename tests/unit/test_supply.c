/* test_supply.c - a checkout takes what is just arriving, and has fetched again what the cache lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "transfers.h"
#include "trees.h"
#include "worker/checkout.h"

enum { PATIENCE_MS = 20000, DEPOT_FILE_MAX = 100 * 1024 * 1024, DAMAGED = 40 };

/* A checkout in a thread of its own, as an attempt has it. */
typedef struct {
    supply_t *supply;
    digest_t root;
    const char *out;
    pthread_t thread;
    int rc;
    err_t err;
} writer_t;

static void *write_all (void *argument)
{
    writer_t *self = argument;
    checkout_settings_t settings = { .supply = self->supply, .root = &self->root, .folder = self->out, .before_fd = -1 };
    self->rc = checkout_run (&settings, NULL, &self->err);
    supply_close (self->supply, &self->err);
    return NULL;
}

static void writer_start (writer_t *self, farm_t *farm, supply_t *supply, const digest_t *root)
{
    *self = (writer_t) { .supply = supply, .root = *root, .out = farm->out };
    supply_begin (supply);
    assert_int_equal (pthread_create (&self->thread, NULL, write_all, self), 0);
}

static void assert_appears (const farm_t *farm, const char *name)
{
    AUTO_FREE char *path = file_join (farm->out, name);
    int64_t until = clock_boot_ms () + PATIENCE_MS;
    while (!file_exists (path))
        if (clock_boot_ms () > until)
            fail_msg ("%s was not written while the rest was under way", name);
        else
            usleep (1000);
}

/* -- arriving --------------------------------------------------------------------------------------------------- */

static void offer_file (farm_t *self, supply_t *supply, const char *name)
{
    AUTO_FREE char *path = file_join (self->context, name);
    AUTO_BUFFER buffer_t bytes = { 0 };
    assert_int_equal (file_read (path, OBJECT_MAX, &bytes, NULL), 0);
    digest_t digest = digest_of (bytes.data, bytes.size);
    supply_offer (supply, &digest, bytes.data, bytes.size);
}

/* From memory alone: nothing is in the depot yet. */
static void files_are_written_while_others_are_on_their_way (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 }, none = { 0 };
    writer_t writer;
    AUTO (scan) scan_t *scan = NULL;
    AUTO_BUFFER buffer_t root = { 0 };
    AUTO_BUFFER buffer_t folder = { 0 };
    scan_object_t *children = NULL;
    tree_file (self->context, "first", 1000, 1, 0644);
    tree_file (self->context, "second", 1000, 2, 0644);
    assert_int_equal (scan_context (&scan, self->context, NULL, &err), 0);
    scan_object_t top = scan_top (scan);
    assert_int_equal (scan_read (scan, &top, &root, &err), 0);
    assert_int_equal (scan_children (scan, &top, &children), 1);
    assert_int_equal (scan_read (scan, &children [0], &folder, &err), 0);
    AUTO (supply) supply_t *supply = supply_new (self->cache);
    writer_start (&writer, self, supply, scan_root (scan));
    supply_hold (supply, scan_root (scan), root.data, root.size);
    supply_hold (supply, &children [0].digest, folder.data, folder.size);
    free (children);
    offer_file (self, supply, "first");
    assert_appears (self, "first");
    offer_file (self, supply, "second");
    assert_false (supply_await (supply));
    supply_clear (supply);
    supply_end (supply, &none);
    pthread_join (writer.thread, NULL);
    if (writer.rc < 0)
        fail_msg ("%s", writer.err.text);
    assert_true (tree_equal (self->context, self->out));
}

static void fetch_rounds (farm_t *self, writer_t *writer, int *rounds)
{
    err_t err;
    *rounds = 0;
    begin_attempt (&writer->root);
    do {
        if (++*rounds > 1)
            supply_begin (writer->supply);
        err = (err_t) { 0 };
        fetch_tree (self->objects, writer->supply, &writer->root, NULL, NULL, &err);
        supply_end (writer->supply, &err);
    } while (supply_await (writer->supply));
    pthread_join (writer->thread, NULL);
}

static void a_context_is_checked_out_while_it_is_fetched (void **state)
{
    farm_t *self = *state;
    writer_t writer;
    upload_stats_t sent;
    int rounds;
    tree_nasty (self->context);
    for (unsigned i = 0; i < 2000; i++) {                   /* more than is kept at hand, in folders of several kinds */
        AUTO_FREE char *path = mem_printf ("%s%u", i % 3 ? "a.b/" : "", i);
        tree_file (self->context, path, 5000, i, 0644);
    }
    digest_t root = send_context (self, &sent);
    AUTO (supply) supply_t *supply = supply_new (self->cache);
    writer_start (&writer, self, supply, &root);
    fetch_rounds (self, &writer, &rounds);
    if (writer.rc < 0)
        fail_msg ("%s", writer.err.text);
    assert_int_equal (rounds, 1);
    assert_true (tree_equal (self->context, self->out));
    assert_true (depot_has (self->cache, &root));
}

/* Whoever waits is told why nothing comes. */
static void a_failed_fetch_ends_the_checkout (void **state)
{
    farm_t *self = *state;
    writer_t writer;
    int rounds;
    digest_t none = digest_of ("none", 4);
    AUTO (supply) supply_t *supply = supply_new (self->cache);
    writer_start (&writer, self, supply, &none);
    fetch_rounds (self, &writer, &rounds);
    assert_int_equal (writer.rc, -1);
    assert_int_equal (writer.err.code, ERR_NOT_FOUND);
    assert_int_equal (rounds, 1);
}

/* As when the disk cannot hold it: what is not asked for yet is not fetched. */
static void a_failed_checkout_ends_the_fetch (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 }, full = { 0 };
    upload_stats_t sent;
    fetch_stats_t fetched = { 0 };
    tree_file (self->context, "file", 1000, 1, 0644);
    digest_t root = send_context (self, &sent);
    AUTO (supply) supply_t *supply = supply_new (self->cache);
    supply_begin (supply);
    err_set (&full, ERR_FULL, "the context does not fit");
    supply_close (supply, &full);
    begin_attempt (&root);
    assert_int_equal (fetch_tree (self->objects, supply, &root, NULL, &fetched, &err), -1);
    assert_int_equal (err.code, ERR_FULL);
    assert_int_equal (fetched.objects, 0);
    assert_int_equal (fetched.wire_bytes, 0);
    supply_end (supply, &err);
    assert_false (supply_await (supply));
}

/* A checkout that fails on its way ends it too. */
static void a_checkout_that_fails_meanwhile_ends_the_fetch (void **state)
{
    farm_t *self = *state;
    writer_t writer;
    upload_stats_t sent;
    int rounds;
    for (unsigned i = 0; i < 3000; i++) {
        AUTO_FREE char *path = mem_printf ("%u", i);
        tree_file (self->context, path, 60000, i, 0644);
    }
    digest_t root = send_context (self, &sent);
    tree_file (self->top, "out", 1, 1, 0644);           /* where the checkout wants to make its folder */
    AUTO (supply) supply_t *supply = supply_new (self->cache);
    writer_start (&writer, self, supply, &root);
    fetch_rounds (self, &writer, &rounds);
    assert_int_equal (writer.rc, -1);
    assert_int_equal (rounds, 1);
    assert_false (depot_has (self->cache, &root));
}

/* -- damage ----------------------------------------------------------------------------------------------------- */

/* Change a byte of what a file of the context holds, wherever the cache has it. */
static bool flip_in (const char *path, const buffer_t *bytes)
{
    AUTO_BUFFER buffer_t all = { 0 };
    bool is_found = false;
    if (file_read (path, DEPOT_FILE_MAX, &all, NULL) < 0)
        return false;
    for (uint8_t *at; (at = memmem (all.data, all.size, bytes->data + 8, 64)); is_found = true)
        at [10] ^= 1;
    return is_found && file_write_scratch (path, all.data, all.size, 0600, NULL) == 0;
}

static bool flip_below (const char *folder, const buffer_t *bytes)
{
    bool is_found = false;
    DIR *names = opendir (folder);
    for (struct dirent *item; names && (item = readdir (names));) {
        AUTO_FREE char *path = file_join (folder, item->d_name);
        if (item->d_name [0] != '.')
            is_found |= item->d_type == DT_DIR ? flip_below (path, bytes) : flip_in (path, bytes);
    }
    if (names)
        closedir (names);
    return is_found;
}

static void damage (farm_t *self, const char *name)
{
    err_t err = { 0 };
    AUTO_FREE char *path = file_join (self->context, name);
    AUTO_FREE char *folder = file_join (self->top, "cache");
    AUTO_BUFFER buffer_t bytes = { 0 };
    assert_int_equal (file_read (path, OBJECT_MAX, &bytes, NULL), 0);
    depot_destroy (&self->cache);
    assert_true (flip_below (folder, &bytes));
    if (depot_open (&self->cache, folder, &err) < 0)
        fail_msg ("%s", err.text);
}

static void make_some (farm_t *self)
{
    tree_folder (self->context, "sub", 0755);
    for (unsigned i = 0; i < 50; i++) {
        AUTO_FREE char *path = mem_printf ("sub/%u", i);
        tree_file (self->context, path, 3000, i, 0644);
    }
    tree_file (self->context, "other", 1000, 99, 0644);
}

static void what_the_cache_lost_is_fetched_again (void **state)
{
    farm_t *self = *state;
    writer_t writer;
    upload_stats_t sent;
    fetch_stats_t fetched;
    int rounds;
    make_some (self);
    digest_t root = send_context (self, &sent);
    fetch (self, &root, &fetched);
    damage (self, "sub/7");
    damage (self, "other");
    AUTO (supply) supply_t *supply = supply_new (self->cache);
    writer_start (&writer, self, supply, &root);
    fetch_rounds (self, &writer, &rounds);
    if (writer.rc < 0)
        fail_msg ("%s", writer.err.text);
    assert_in_range (rounds, 2, 3);
    assert_true (tree_equal (self->context, self->out));
    assert_true (depot_has (self->cache, &root));
}

/* As a segment of zeros has them. */
static void any_number_of_damaged_objects_is_fetched_again (void **state)
{
    farm_t *self = *state;
    writer_t writer;
    upload_stats_t sent;
    fetch_stats_t fetched;
    int rounds;
    make_some (self);
    digest_t root = send_context (self, &sent);
    fetch (self, &root, &fetched);
    for (unsigned i = 0; i < DAMAGED; i++) {
        AUTO_FREE char *name = mem_printf ("sub/%u", i);
        damage (self, name);
    }
    AUTO (supply) supply_t *supply = supply_new (self->cache);
    writer_start (&writer, self, supply, &root);
    fetch_rounds (self, &writer, &rounds);
    if (writer.rc < 0)
        fail_msg ("%s", writer.err.text);
    print_message ("# %d damaged objects took %d rounds\n", DAMAGED, rounds);
    assert_true (tree_equal (self->context, self->out));
    assert_true (depot_has (self->cache, &root));
}

static void what_cannot_be_fetched_again_is_an_error (void **state)
{
    farm_t *self = *state;
    writer_t writer;
    upload_stats_t sent;
    fetch_stats_t fetched;
    int rounds = 0;
    make_some (self);
    digest_t root = send_context (self, &sent);
    fetch (self, &root, &fetched);
    damage (self, "sub/7");
    AUTO (supply) supply_t *supply = supply_new (self->cache);
    writer_start (&writer, self, supply, &root);
    do {                                    /* rounds that bring nothing */
        err_t none = { 0 };
        if (rounds++)
            supply_begin (supply);
        supply_end (supply, &none);
    } while (supply_await (supply));
    pthread_join (writer.thread, NULL);
    assert_int_equal (writer.rc, -1);
    assert_non_null (strstr (writer.err.text, "sub/7"));
    assert_in_range (rounds, 3, 5);         /* three in a row, once the damage is found */
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (files_are_written_while_others_are_on_their_way),
        TEST (a_context_is_checked_out_while_it_is_fetched),
        TEST (a_failed_fetch_ends_the_checkout),
        TEST (a_failed_checkout_ends_the_fetch),
        TEST (a_checkout_that_fails_meanwhile_ends_the_fetch),
        TEST (what_the_cache_lost_is_fetched_again),
        TEST (any_number_of_damaged_objects_is_fetched_again),
        TEST (what_cannot_be_fetched_again_is_an_error),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
