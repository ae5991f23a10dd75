/* test_checkout.c - what was scanned comes out of a depot as it was, and a tree that lies touches nothing outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "trees.h"
#include "worker/checkout.h"

typedef struct {
    char *top, *context, *depot_folder, *out;
    depot_t *depot;
} place_t;

static int set_up (void **state)
{
    place_t *self = mem_alloc (sizeof *self);
    err_t err = { 0 };
    self->top = tree_new ();
    self->context = file_join (self->top, "context");
    self->depot_folder = file_join (self->top, "depot");
    self->out = file_join (self->top, "out");
    tree_folder (self->top, "context", 0755);
    assert_int_equal (depot_open (&self->depot, self->depot_folder, &err), 0);
    *state = self;
    return 0;
}

static int tear_down (void **state)
{
    place_t *self = *state;
    depot_destroy (&self->depot);
    tree_remove (self->top);
    free (self->top);
    free (self->context);
    free (self->depot_folder);
    free (self->out);
    free (self);
    return 0;
}

static void there_and_back (place_t *place)
{
    err_t err = { 0 };
    AUTO (scan) scan_t *scan = NULL;
    AUTO (scan) scan_t *again = NULL;
    if (scan_context (&scan, place->context, NULL, &err) < 0 || tree_store (scan, place->depot, &err) < 0
    ||  tree_check_out (place->depot, scan_root (scan), place->out, NULL, &err) < 0)
        fail_msg ("%s", err.text);
    assert_true (tree_equal (place->context, place->out));
    assert_int_equal (scan_context (&again, place->out, NULL, &err), 0);
    assert_true (digest_equal (scan_root (scan), scan_root (again)));
}

static void a_nasty_tree_comes_out_as_it_was (void **state)
{
    place_t *place = *state;
    tree_nasty (place->context);
    there_and_back (place);
}

static void an_empty_context_comes_out_empty (void **state)
{
    there_and_back (*state);
}

static void a_folder_of_many_names_comes_out_as_it_was (void **state)
{
    place_t *place = *state;
    char name [250];
    for (int i = 0; i < 1200; i++) {
        snprintf (name, sizeof name, "%0220d", i);
        tree_file (place->context, name, 3, (unsigned) i % 5, 0644);
    }
    there_and_back (place);
}

static void the_folder_must_not_exist (void **state)
{
    place_t *place = *state;
    err_t err = { 0 };
    AUTO (scan) scan_t *scan = NULL;
    assert_int_equal (scan_context (&scan, place->context, NULL, &err), 0);
    assert_int_equal (tree_store (scan, place->depot, &err), 0);
    tree_folder (place->top, "out", 0755);
    assert_int_equal (tree_check_out (place->depot, scan_root (scan), place->out, NULL, &err), -1);
    assert_non_null (strstr (err.text, place->out));
}

static void a_cancelled_checkout_ends (void **state)
{
    place_t *place = *state;
    err_t err = { 0 };
    atomic_int is_cancelled = 1;
    AUTO (scan) scan_t *scan = NULL;
    tree_file (place->context, "file", 10, 1, 0644);
    assert_int_equal (scan_context (&scan, place->context, NULL, &err), 0);
    assert_int_equal (tree_store (scan, place->depot, &err), 0);
    assert_int_equal (tree_check_out (place->depot, scan_root (scan), place->out, &is_cancelled, &err), -1);
    assert_int_equal (err.code, ERR_CANCELLED);
}

/* -- trees that lie --------------------------------------------------------------------------------------------- */

static void put_raw (buffer_t *out, char kind, const char *name, size_t name_size, const char *target, const digest_t *digest,
                     uint64_t size)
{
    uint8_t head [15] = { (uint8_t) kind, 1, 0xed };
    uint8_t length = (uint8_t) name_size, two [2] = { 0, (uint8_t) (target ? strlen (target) : 0) }, nine [9] = { 0 };
    buffer_append (out, head, sizeof head);
    buffer_append (out, &length, 1);
    buffer_append (out, name, name_size);
    if (target) {
        buffer_append (out, two, 2);
        buffer_append (out, target, strlen (target));
        return;
    }
    for (int i = 0; i < 8; i++)
        nine [i] = (uint8_t) (size >> (56 - 8 * i));
    buffer_append (out, nine, 9);
    buffer_append (out, digest->bytes, DIGEST_SIZE);
}

static digest_t put (place_t *place, object_kind kind, const void *data, size_t size)
{
    digest_t digest = digest_of (data, size);
    err_t err = { 0 };
    assert_int_equal (depot_begin (place->depot, &err), 0);
    if (depot_put (place->depot, kind, &digest, data, size, &err) < 0)
        depot_rollback (place->depot);
    else
        assert_int_equal (depot_commit (place->depot, &err), 0);
    return digest;
}

/* The listing as a context: stored as plain content where the depot sees through it, as a damaged one would hold it. */
static void assert_refused (place_t *place, const buffer_t *listing)
{
    AUTO_BUFFER buffer_t root = { 0 };
    AUTO_FREE char *victim = file_join (place->top, "victim");
    err_t err = { 0 };
    digest_t folder = put (place, OBJECT_CONTENT, listing->data, listing->size);
    put_raw (&root, 'd', ".", 1, NULL, &folder, listing->size);
    digest_t digest = put (place, OBJECT_CONTENT, root.data, root.size);
    assert_int_equal (tree_check_out (place->depot, &digest, place->out, NULL, &err), -1);
    assert_int_equal (err.code, ERR_PROTOCOL);
    assert_false (file_exists (victim));
}

static void a_name_that_leads_out_is_refused (void **state)
{
    place_t *place = *state;
    static const struct { const char *name; size_t size; } names [] = {
        { "..", 2 }, { ".", 1 }, { "../victim", 9 }, { "/victim", 7 }, { "a/../../victim", 14 }, { "..\0x", 4 }, { "", 0 },
    };
    digest_t content = put (place, OBJECT_CONTENT, "x", 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        AUTO_BUFFER buffer_t listing = { 0 };
        put_raw (&listing, 'f', names [i].name, names [i].size, NULL, &content, 1);
        assert_refused (place, &listing);
        tree_remove (place->out);
    }
}

static void a_link_and_then_a_folder_of_its_name_is_refused (void **state)
{
    place_t *place = *state;
    AUTO_BUFFER buffer_t inner = { 0 };
    AUTO_BUFFER buffer_t listing = { 0 };
    digest_t content = put (place, OBJECT_CONTENT, "x", 1);
    put_raw (&inner, 'f', "victim", 6, NULL, &content, 1);
    digest_t folder = put (place, OBJECT_FOLDER, inner.data, inner.size);
    put_raw (&listing, 'l', "a", 1, "..", NULL, 0);
    put_raw (&listing, 'd', "a", 1, NULL, &folder, inner.size);
    assert_refused (place, &listing);
}

static void content_of_another_size_is_refused (void **state)
{
    place_t *place = *state;
    AUTO_BUFFER buffer_t longer = { 0 };
    AUTO_BUFFER buffer_t shorter = { 0 };
    digest_t content = put (place, OBJECT_CONTENT, "xyz", 3);
    put_raw (&longer, 'f', "a", 1, NULL, &content, 2);
    put_raw (&shorter, 'f', "a", 1, NULL, &content, 4);
    assert_refused (place, &longer);
    tree_remove (place->out);
    assert_refused (place, &shorter);
}

static void a_context_larger_than_the_disk_says_how_much_is_free (void **state)
{
    place_t *place = *state;
    AUTO_BUFFER buffer_t listing = { 0 };
    AUTO_BUFFER buffer_t root = { 0 };
    err_t err = { 0 };
    digest_t content = put (place, OBJECT_CONTENT, "xyz", 3);
    put_raw (&listing, 'f', "a", 1, NULL, &content, (uint64_t) 1 << 60);
    listing.data [listing.size - DIGEST_SIZE - 1] = 1;      /* level */
    digest_t folder = put (place, OBJECT_CONTENT, listing.data, listing.size);
    put_raw (&root, 'd', ".", 1, NULL, &folder, listing.size);
    digest_t digest = put (place, OBJECT_CONTENT, root.data, root.size);
    assert_int_equal (tree_check_out (place->depot, &digest, place->out, NULL, &err), -1);
    assert_int_equal (err.code, ERR_FULL);
    assert_non_null (strstr (err.text, "MB free"));
}

/* Fourteen listings of two entries each, that come to 32,766. */
static digest_t put_doubling (place_t *place)
{
    digest_t below = put (place, OBJECT_CONTENT, "x", 1);
    size_t size = 1;
    for (int level = 0; level < 14; level++) {
        AUTO_BUFFER buffer_t listing = { 0 };
        put_raw (&listing, level ? 'd' : 'f', "a", 1, NULL, &below, size);
        put_raw (&listing, level ? 'd' : 'f', "b", 1, NULL, &below, size);
        below = put (place, OBJECT_FOLDER, listing.data, listing.size);
        size = listing.size;
    }
    AUTO_BUFFER buffer_t root = { 0 };
    put_raw (&root, 'd', ".", 1, NULL, &below, size);
    return put (place, OBJECT_FOLDER, root.data, root.size);
}

static void a_folder_that_is_named_many_times_is_written_up_to_the_limit (void **state)
{
    place_t *place = *state;
    err_t err = { 0 };
    checkout_stats_t stats = { 0 };
    digest_t root = put_doubling (place);
    AUTO (supply) supply_t *supply = supply_new (place->depot);
    checkout_settings_t settings = { .supply = supply, .root = &root, .folder = place->out, .before_fd = -1, .entries_max = 1000 };
    assert_int_equal (checkout_run (&settings, &stats, &err), -1);
    assert_int_equal (err.code, ERR_USAGE);
    assert_non_null (strstr (err.text, "more than 1000 files and folders (context/entries of the worker)"));
    assert_in_range (stats.files, 1, 1000);
    tree_remove (place->out);
    settings.entries_max = 32766;
    if (checkout_run (&settings, &stats, &err) < 0)
        fail_msg ("%s", err.text);
    assert_int_equal (stats.files, 16384);
}

/* A file below so many folders, the context's own left out. The depot sees no folder, so it does not count. */
static digest_t put_nested (place_t *place, int folders)
{
    AUTO_BUFFER buffer_t listing = { 0 };
    digest_t below = put (place, OBJECT_CONTENT, "x", 1);
    put_raw (&listing, 'f', "a", 1, NULL, &below, 1);
    for (int i = 0; i <= folders; i++) {
        size_t size = listing.size;
        below = put (place, OBJECT_CONTENT, listing.data, size);
        listing.size = 0;
        put_raw (&listing, 'd', i < folders ? "a" : ".", 1, NULL, &below, size);
    }
    return put (place, OBJECT_CONTENT, listing.data, listing.size);
}

static void a_tree_that_is_too_deep_is_refused (void **state)
{
    place_t *place = *state;
    err_t err = { 0 };
    digest_t deep = put_nested (place, TREE_DEPTH_MAX), deeper = put_nested (place, TREE_DEPTH_MAX + 1);
    if (tree_check_out (place->depot, &deep, place->out, NULL, &err) < 0)
        fail_msg ("%s", err.text);
    tree_remove (place->out);
    assert_int_equal (tree_check_out (place->depot, &deeper, place->out, NULL, &err), -1);
    assert_int_equal (err.code, ERR_PROTOCOL);
    assert_non_null (strstr (err.text, "it lies in more than 128 folders"));
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (a_nasty_tree_comes_out_as_it_was),
        TEST (an_empty_context_comes_out_empty),
        TEST (a_folder_of_many_names_comes_out_as_it_was),
        TEST (the_folder_must_not_exist),
        TEST (a_cancelled_checkout_ends),
        TEST (a_name_that_leads_out_is_refused),
        TEST (a_link_and_then_a_folder_of_its_name_is_refused),
        TEST (content_of_another_size_is_refused),
        TEST (a_context_larger_than_the_disk_says_how_much_is_free),
        TEST (a_folder_that_is_named_many_times_is_written_up_to_the_limit),
        TEST (a_tree_that_is_too_deep_is_refused),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
