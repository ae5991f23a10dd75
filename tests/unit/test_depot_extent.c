/* test_depot_extent.c - what a context comes to when it is written out, however few objects it is made of; and in a depot that was
 * filled before anybody counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/depot_private.h"
#include "depots.h"

static void takes (depot_t *depot, object_kind kind, const buffer_t *object)
{
    err_t err = { 0 };
    if (put_buffer (depot, kind, object, &err) < 0)
        fail_msg ("%s", err.text);
}

static content_t of (const buffer_t *object)
{
    return content_of (object->data, object->size);
}

static void assert_extent (depot_t *depot, const content_t *content, uint64_t entries, uint64_t bytes, uint64_t depth)
{
    depot_extent_t extent = { 0 };
    assert_true (depot_extent (depot, &content->digest, &extent));
    assert_int_equal (extent.entries, entries);
    assert_int_equal (extent.bytes, bytes);
    assert_int_equal (extent.depth, depth);
}

static void add_link (buffer_t *listing, const char *name)
{
    tree_entry_t link = { .kind = TREE_LINK, .name = name, .name_size = strlen (name), .target = "x", .target_size = 1 };
    tree_write_entry (listing, &link);
}

/* "a" of three bytes, a link "b", a folder "d" with "a" and with "e", which is empty. */
static content_t put_mixed (depot_t *depot)
{
    AUTO_BUFFER buffer_t file = { 0 };
    AUTO_BUFFER buffer_t empty = { 0 };
    AUTO_BUFFER buffer_t inner = { 0 };
    AUTO_BUFFER buffer_t folder = { 0 };
    AUTO_BUFFER buffer_t root = { 0 };
    buffer_text (&file, "abc");
    content_t a = of (&file), none = content_of ("", 0);
    add_entry (&inner, TREE_FILE, "a", &a);
    add_entry (&inner, TREE_FOLDER, "e", &none);
    content_t d = of (&inner);
    add_entry (&folder, TREE_FILE, "a", &a);
    add_link (&folder, "b");
    add_entry (&folder, TREE_FOLDER, "d", &d);
    tree_entry_t top = { .kind = TREE_FOLDER, .mode = 0755, .content = of (&folder) };
    tree_write_root (&root, &top);
    takes (depot, OBJECT_CONTENT, &file);
    takes (depot, OBJECT_FOLDER, &empty);
    takes (depot, OBJECT_FOLDER, &inner);
    takes (depot, OBJECT_FOLDER, &folder);
    takes (depot, OBJECT_FOLDER, &root);
    assert_extent (depot, &a, 0, 0, 0);
    assert_extent (depot, &d, 2, 3, 1);
    return of (&root);
}

static void entries_bytes_and_folders_are_counted (void **state)
{
    depots_t *self = *state;
    depot_extent_t extent;
    content_t root = put_mixed (self->depot), other = content_of ("other", 5);
    assert_extent (self->depot, &root, 6, 6, 3);
    assert_false (depot_extent (self->depot, &other.digest, &extent));
}

/* Each folder names the one before twice; the first has a file. */
static content_t put_doubling (depot_t *depot, int levels)
{
    static const char text [] = "twelve bytes";
    AUTO_BUFFER buffer_t listing = { 0 };
    content_t below = content_of (text, 12);
    assert_int_equal (put_one (depot, OBJECT_CONTENT, text, 12, NULL), 0);
    for (int level = 0; level < levels; level++) {
        tree_kind kind = level == 0 ? TREE_FILE : TREE_FOLDER;
        buffer_clear (&listing);
        add_entry (&listing, kind, "a", &below);
        add_entry (&listing, kind, "b", &below);
        takes (depot, OBJECT_FOLDER, &listing);
        below = of (&listing);
    }
    return below;
}

static void a_folder_counts_as_often_as_it_is_named (void **state)
{
    depots_t *self = *state;
    content_t twenty = put_doubling (self->depot, 20);
    assert_extent (self->depot, &twenty, (1u << 21) - 2, 12u << 20, 19);
}

static void a_sum_does_not_run_over (void **state)
{
    depots_t *self = *state;
    content_t top = put_doubling (self->depot, 140);
    assert_extent (self->depot, &top, INT64_MAX, INT64_MAX, 139);
}

/* A listing that is cut: its entries are counted once, though the depot reads it as a list and as a folder. */
static content_t put_long (depot_t *depot)
{
    AUTO_BUFFER buffer_t listing = { 0 };
    AUTO_BUFFER buffer_t list = { 0 };
    content_t file = content_of ("abc", 3);
    char name [32];
    assert_int_equal (put_one (depot, OBJECT_CONTENT, "abc", 3, NULL), 0);
    for (int i = 0; i < 6000; i++) {
        snprintf (name, sizeof name, "%06d", i);
        add_entry (&listing, TREE_FILE, name, &file);
    }
    for (size_t at = 0; at < listing.size; at += OBJECT_MAX) {
        size_t size = listing.size - at < OBJECT_MAX ? listing.size - at : OBJECT_MAX;
        assert_int_equal (put_one (depot, OBJECT_CONTENT, listing.data + at, size, NULL), 0);
        add_item (&list, listing.data + at, size);
    }
    takes (depot, OBJECT_LIST, &list);
    content_t content = { .size_bytes = listing.size, .level = 1, .digest = digest_of (list.data, list.size) };
    return content;
}

static void a_long_listing_is_counted (void **state)
{
    depots_t *self = *state;
    AUTO_BUFFER buffer_t folder = { 0 };
    content_t list = put_long (self->depot);
    assert_extent (self->depot, &list, 6000, 18000, 0);
    add_entry (&folder, TREE_FOLDER, "a", &list);
    add_entry (&folder, TREE_FOLDER, "b", &list);
    takes (self->depot, OBJECT_FOLDER, &folder);
    content_t top = of (&folder);
    assert_extent (self->depot, &top, 12002, 36000, 1);
}

/* -- the version before ----------------------------------------------------------------------------------------- */

static const char version_2_sql [] = "ALTER TABLE object DROP COLUMN entries; ALTER TABLE object DROP COLUMN tree_bytes;"
                                     "ALTER TABLE object DROP COLUMN depth; PRAGMA user_version = 2;";

/* The upper one comes first, and is a folder only once what it names is there: so its row stands before that one's. */
static content_t put_upside_down (depot_t *depot)
{
    AUTO_BUFFER buffer_t lower = { 0 };
    AUTO_BUFFER buffer_t upper = { 0 };
    content_t file = content_of ("up", 2);
    add_entry (&lower, TREE_FILE, "a", &file);
    content_t named = of (&lower);
    add_entry (&upper, TREE_FOLDER, "a", &named);
    takes (depot, OBJECT_CONTENT, &upper);
    assert_int_equal (put_one (depot, OBJECT_CONTENT, "up", 2, NULL), 0);
    takes (depot, OBJECT_FOLDER, &lower);
    takes (depot, OBJECT_FOLDER, &upper);
    return of (&upper);
}

static void a_depot_of_version_2_is_counted_when_it_is_opened (void **state)
{
    depots_t *self = *state;
    content_t mixed = put_mixed (self->depot), twenty = put_doubling (self->depot, 20), list = put_long (self->depot);
    content_t upper = put_upside_down (self->depot);
    depot_destroy (&self->depot);
    depots_run_sql (self->folder, version_2_sql);
    assert_int_equal (depot_open (&self->depot, self->folder, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_extent (self->depot, &mixed, 6, 6, 3);
        assert_extent (self->depot, &twenty, (1u << 21) - 2, 12u << 20, 19);
        assert_extent (self->depot, &list, 6000, 18000, 0);
        assert_extent (self->depot, &upper, 2, 2, 1);
        depots_reopen (self);
    }
}

static void damage_does_not_keep_it_from_opening (void **state)
{
    depots_t *self = *state;
    err_t err = { 0 };
    content_t mixed = put_mixed (self->depot);
    depot_destroy (&self->depot);
    depots_flip (self->folder, 1, 10);          /* the folder "d": the file before it has three bytes */
    depots_run_sql (self->folder, version_2_sql);
    if (depot_open (&self->depot, self->folder, &err) < 0)
        fail_msg ("%s", err.text);
    assert_extent (self->depot, &mixed, 4, 3, 3 - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, depots_setup, depots_teardown)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (entries_bytes_and_folders_are_counted),
        TEST (a_folder_counts_as_often_as_it_is_named),
        TEST (a_sum_does_not_run_over),
        TEST (a_long_listing_is_counted),
        TEST (a_depot_of_version_2_is_counted_when_it_is_opened),
        TEST (damage_does_not_keep_it_from_opening),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
