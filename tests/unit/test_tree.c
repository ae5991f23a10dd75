/* test_tree.c - the form of trees: what is written is read again, the bytes are these on every machine, and everything
 * else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/tree.h"

#define TAIL "\0\0\0\0\0\0\0\0\0\0\0\0"                        /* seconds and nanoseconds */
#define DIGEST "01234567890123456789012345678901"
#define CONTENT(size, level) "\0\0\0\0\0" size level DIGEST
#define SMALL CONTENT ("\0\0\x01", "\0")

static tree_entry_t file_entry (const char *name, uint64_t size)
{
    tree_entry_t entry = { .kind = TREE_FILE, .mode = 0644, .mtime_s = 1700000000, .mtime_ns = 123456789, .name = name,
                           .name_size = strlen (name) };
    entry.content.size_bytes = size;
    entry.content.level = size > OBJECT_MAX;
    entry.content.digest = digest_of (name, strlen (name));
    return entry;
}

static void what_is_written_is_read_again (void **state)
{
    (void) state;
    AUTO_BUFFER buffer_t listing = { 0 };
    tree_entry_t first = file_entry ("a", 5), third = file_entry ("c", OBJECT_MAX + 1), entry;
    tree_entry_t second = { .kind = TREE_LINK, .mode = 0777, .mtime_s = -1, .name = "ab", .name_size = 2, .target = "../x",
                            .target_size = 4 };
    third.kind = TREE_FOLDER;
    third.mode = 07755;
    tree_write_entry (&listing, &first);
    tree_write_entry (&listing, &second);
    tree_write_entry (&listing, &third);
    tree_reader_t reader;
    err_t err;
    tree_reader_init (&reader, listing.data, listing.size, 0);
    assert_int_equal (tree_read_entry (&reader, &entry, &err), 1);
    assert_int_equal (entry.kind, TREE_FILE);
    assert_int_equal (entry.mode, 0644);
    assert_int_equal (entry.mtime_s, 1700000000);
    assert_int_equal (entry.mtime_ns, 123456789);
    assert_int_equal (entry.content.size_bytes, 5);
    assert_true (digest_equal (&entry.content.digest, &first.content.digest));
    assert_int_equal (tree_read_entry (&reader, &entry, &err), 1);
    assert_int_equal (entry.kind, TREE_LINK);
    assert_int_equal (entry.mtime_s, -1);
    assert_int_equal (entry.target_size, 4);
    assert_memory_equal (entry.target, "../x", 4);
    assert_int_equal (tree_read_entry (&reader, &entry, &err), 1);
    assert_int_equal (entry.kind, TREE_FOLDER);
    assert_int_equal (entry.mode, 07755);
    assert_int_equal (entry.content.level, 1);
    assert_int_equal (entry.content.size_bytes, OBJECT_MAX + 1);
    assert_int_equal (tree_read_entry (&reader, &entry, &err), 0);
}

static void an_empty_folder_is_an_empty_listing (void **state)
{
    (void) state;
    tree_reader_t reader;
    tree_entry_t entry;
    tree_reader_init (&reader, NULL, 0, 0);
    assert_int_equal (tree_read_entry (&reader, &entry, NULL), 0);
}

static void a_root_has_one_folder (void **state)
{
    (void) state;
    AUTO_BUFFER buffer_t root = { 0 };
    tree_entry_t folder = file_entry ("ignored", 0), entry;
    folder.kind = TREE_FOLDER;
    tree_write_root (&root, &folder);
    tree_reader_t reader;
    tree_reader_init (&reader, root.data, root.size, 1);
    assert_int_equal (tree_read_entry (&reader, &entry, NULL), 1);
    assert_int_equal (entry.name_size, 1);
    assert_int_equal (tree_read_entry (&reader, &entry, NULL), 0);
    tree_reader_init (&reader, root.data, root.size, 0);
    assert_int_equal (tree_read_entry (&reader, &entry, NULL), -1);
    tree_reader_init (&reader, NULL, 0, 1);
    assert_int_equal (tree_read_entry (&reader, &entry, NULL), -1);
    tree_write_root (&root, &folder);
    tree_reader_init (&reader, root.data, root.size, 1);
    assert_int_equal (tree_read_entry (&reader, &entry, NULL), 1);
    assert_int_equal (tree_read_entry (&reader, &entry, NULL), -1);
}

/* The digest stands here as made once: a change of the encoding shows, on whatever machine. */
static void equal_trees_have_equal_digests_everywhere (void **state)
{
    (void) state;
    AUTO_BUFFER buffer_t listing = { 0 };
    AUTO_BUFFER buffer_t list = { 0 };
    char hex [DIGEST_HEX_SIZE + 1];
    tree_entry_t entry = file_entry ("hello.txt", 12);
    list_item_t item = { .size_bytes = 0x01020304, .digest = digest_of ("x", 1) };
    tree_write_entry (&listing, &entry);
    list_write_item (&list, &item);
    digest_t listing_digest = digest_of (listing.data, listing.size), list_digest = digest_of (list.data, list.size);
    assert_memory_equal (listing.data, "f\x01\xa4\0\0\0\0\x65\x53\xf1\0\x07\x5b\xcd\x15\x09hello.txt", 25);
    assert_memory_equal (list.data, "\x01\x02\x03\x04", 4);
    digest_to_hex (&listing_digest, hex);
    assert_string_equal (hex, "3754185651956c311d7333dceaf9b0e3ac3da3f242f302518c8eeaaedbe494a4");
    digest_to_hex (&list_digest, hex);
    assert_string_equal (hex, "ff84a8506564202d0de0347369ab09d049d3e709e5ecd982c333058c216782f9");
}

#define BAD(why, bytes, is_root) { why, bytes, sizeof bytes - 1, is_root }

static void what_has_another_form_is_refused (void **state)
{
    (void) state;
    static const struct { const char *why, *bytes; size_t size; int is_root; } table [] = {
        BAD ("a kind alone", "f", 0),
        BAD ("half a mode", "f\0", 0),
        BAD ("no time", "f\0\0", 0),
        BAD ("half a time", "f\0\0\0\0\0\0\0\0\0", 0),
        BAD ("no nanoseconds", "f\0\0\0\0\0\0\0\0\0\0", 0),
        BAD ("no name size", "f\0\0" TAIL, 0),
        BAD ("no name", "f\0\0" TAIL "\x01", 0),
        BAD ("half a name", "f\0\0" TAIL "\x03" "ab", 0),
        BAD ("no content", "f\0\0" TAIL "\x01" "a", 0),
        BAD ("half a size", "f\0\0" TAIL "\x01" "a\0\0", 0),
        BAD ("no level", "f\0\0" TAIL "\x01" "a\0\0\0\0\0\0\0\0", 0),
        BAD ("no digest", "f\0\0" TAIL "\x01" "a\0\0\0\0\0\0\0\0\0", 0),
        BAD ("half a digest", "f\0\0" TAIL "\x01" "a\0\0\0\0\0\0\0\0\0" "0123", 0),
        BAD ("an unknown kind", "x\0\0" TAIL "\x01" "a" SMALL, 0),
        BAD ("kind NUL", "\0\0\0" TAIL "\x01" "a" SMALL, 0),
        BAD ("a mode of five digits", "f\x10\0" TAIL "\x01" "a" SMALL, 0),
        BAD ("a mode with a file type", "f\x81\xa4" TAIL "\x01" "a" SMALL, 0),
        BAD ("10^9 nanoseconds", "f\0\0\0\0\0\0\0\0\0\0\x3b\x9a\xca\0\x01" "a" SMALL, 0),
        BAD ("all-one nanoseconds", "f\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\x01" "a" SMALL, 0),
        BAD ("an empty name", "f\0\0" TAIL "\0" SMALL, 0),
        BAD ("name .", "f\0\0" TAIL "\x01." SMALL, 0),
        BAD ("name ..", "f\0\0" TAIL "\x02.." SMALL, 0),
        BAD ("a slash", "f\0\0" TAIL "\x03" "a/b" SMALL, 0),
        BAD ("an absolute name", "f\0\0" TAIL "\x02/a" SMALL, 0),
        BAD ("a NUL", "f\0\0" TAIL "\x03" "a\0b" SMALL, 0),
        BAD ("a name twice", "f\0\0" TAIL "\x01" "a" SMALL "f\0\0" TAIL "\x01" "a" SMALL, 0),
        BAD ("names descending", "f\0\0" TAIL "\x01" "b" SMALL "f\0\0" TAIL "\x01" "a" SMALL, 0),
        BAD ("a prefix second", "f\0\0" TAIL "\x02" "ab" SMALL "f\0\0" TAIL "\x01" "a" SMALL, 0),
        BAD ("high bytes before low ones", "f\0\0" TAIL "\x01\xff" SMALL "f\0\0" TAIL "\x01" "a" SMALL, 0),
        BAD ("a large size at level 0", "f\0\0" TAIL "\x01" "a" CONTENT ("\x04\0\x01", "\0"), 0),
        BAD ("a small size at level 1", "f\0\0" TAIL "\x01" "a" CONTENT ("\x04\0\0", "\x01"), 0),
        BAD ("level 4", "f\0\0" TAIL "\x01" "a" CONTENT ("\x04\0\x01", "\x04"), 0),
        BAD ("a negative size", "f\0\0" TAIL "\x01" "a\xff\xff\xff\xff\xff\xff\xff\xff\x01" DIGEST, 0),
        BAD ("a byte behind", "f\0\0" TAIL "\x01" "a" SMALL "f", 0),
        BAD ("a link without target", "l\0\0" TAIL "\x01" "a", 0),
        BAD ("an empty target", "l\0\0" TAIL "\x01" "a\0\0", 0),
        BAD ("half a target", "l\0\0" TAIL "\x01" "a\0\x03xx", 0),
        BAD ("a target of 65535", "l\0\0" TAIL "\x01" "a\xff\xffxx", 0),
        BAD ("a NUL in a target", "l\0\0" TAIL "\x01" "a\0\x03x\0x", 0),
        BAD ("an empty root", "", 1),
        BAD ("a root of a file", "f\0\0" TAIL "\x01." SMALL, 1),
        BAD ("a root with a name", "d\0\0" TAIL "\x01" "a" SMALL, 1),
        BAD ("a root of two", "d\0\0" TAIL "\x01." SMALL "d\0\0" TAIL "\x01." SMALL, 1),
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        /* a copy of exactly this size, so that a sanitizer sees a read behind it */
        uint8_t *copy = mem_alloc (table [i].size);
        memcpy (copy, table [i].bytes, table [i].size);
        tree_reader_t reader;
        tree_entry_t entry;
        err_t err = { 0 };
        int rc;
        tree_reader_init (&reader, copy, table [i].size, table [i].is_root);
        while ((rc = tree_read_entry (&reader, &entry, &err)) == 1)
            ;
        if (rc != -1 || err.code != ERR_PROTOCOL)
            fail_msg ("%s: taken", table [i].why);
        auto_free (&copy);
    }
}

static void a_link_target_has_4095_bytes_at_most (void **state)
{
    (void) state;
    AUTO_BUFFER buffer_t listing = { 0 };
    static char target [TREE_TARGET_MAX + 1];
    memset (target, 'x', sizeof target);
    tree_entry_t link = { .kind = TREE_LINK, .name = "a", .name_size = 1, .target = target, .target_size = TREE_TARGET_MAX };
    tree_entry_t entry;
    tree_reader_t reader;
    tree_write_entry (&listing, &link);
    tree_reader_init (&reader, listing.data, listing.size, 0);
    assert_int_equal (tree_read_entry (&reader, &entry, NULL), 1);
    buffer_append (&listing, "x", 1);
    listing.data [17] = 0x10;
    listing.data [18] = 0;
    tree_reader_init (&reader, listing.data, listing.size, 0);
    assert_int_equal (tree_read_entry (&reader, &entry, NULL), -1);
}

static void a_list_has_whole_items (void **state)
{
    (void) state;
    static const size_t bad [] = { 0, 1, 35, 37, 71, OBJECT_MAX, 36 * 7282, SIZE_MAX };
    AUTO_BUFFER buffer_t list = { 0 };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal (list_count (bad [i], NULL), -1);
    assert_int_equal (list_count (36 * 7281, NULL), 7281);
    list_item_t items [2] = { { 1, digest_of ("a", 1) }, { 0xfffffffe, digest_of ("b", 1) } }, item;
    list_write_item (&list, &items [0]);
    list_write_item (&list, &items [1]);
    assert_int_equal (list_count (list.size, NULL), 2);
    list_read_item (list.data, 1, &item);
    assert_int_equal (item.size_bytes, 0xfffffffe);
    assert_true (digest_equal (&item.digest, &items [1].digest));
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (what_is_written_is_read_again),
        cmocka_unit_test (an_empty_folder_is_an_empty_listing),
        cmocka_unit_test (a_root_has_one_folder),
        cmocka_unit_test (equal_trees_have_equal_digests_everywhere),
        cmocka_unit_test (what_has_another_form_is_refused),
        cmocka_unit_test (a_link_target_has_4095_bytes_at_most),
        cmocka_unit_test (a_list_has_whole_items),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
