/* test_depot.c - the depot's rule: an object is only there when all that it names is. What is put in comes out, survives
 * a restart, and leaves from the top. test_depot_faults.c has what goes wrong around it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "common/chunker.h"
#include "common/depot_private.h"
#include "common/file.h"
#include "depots.h"

static uint64_t stored_objects (depot_t *depot)
{
    depot_stats_t stats;
    depot_stats (depot, &stats);
    return stats.objects;
}

static void refuses (depot_t *depot, object_kind kind, const buffer_t *object, const char *says)
{
    err_t err = { 0 };
    if (put_buffer (depot, kind, object, &err) == 0)
        fail_msg ("taken, where \"%s\" was expected", says);
    assert_int_equal (err.code, ERR_PROTOCOL);
    if (!strstr (err.text, says))
        fail_msg ("\"%s\" does not say \"%s\"", err.text, says);
}

static void takes (depot_t *depot, object_kind kind, const buffer_t *object)
{
    err_t err = { 0 };
    if (put_buffer (depot, kind, object, &err) < 0)
        fail_msg ("%s", err.text);
    assert_true (holds (depot, object));
}

/* -- content ---------------------------------------------------------------------------------------------------- */

static void what_is_put_in_comes_out (void **state)
{
    depots_t *self = *state;
    static const size_t sizes [] = { 0, 1, 63, 64, 65, 4096, 16 * 1024, 16 * 1024 + 1, OBJECT_MAX - 1, OBJECT_MAX };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int is_noise = 0; is_noise <= 1; is_noise++) {
            AUTO_BUFFER buffer_t object = { 0 };
            noise (&object, sizes [i], i);
            if (!is_noise && object.size > 0)
                memset (object.data, 'a', object.size);
            takes (self->depot, OBJECT_CONTENT, &object);
        }
    depot_stats_t stats;
    depot_stats (self->depot, &stats);
    assert_int_equal (stats.received_objects, 20);
    assert_int_equal (stats.known_objects, 1);                  /* the empty one */
    assert_int_equal (stats.objects, 19);
    assert_true (stats.bytes < stats.received_bytes * 2 / 3);   /* the other half compresses well */
}

static void what_was_not_put_in_is_not_there (void **state)
{
    depots_t *self = *state;
    AUTO_BUFFER buffer_t out = { 0 };
    digest_t digest = digest_of ("nothing", 7);
    err_t err = { 0 };
    assert_false (depot_has (self->depot, &digest));
    assert_int_equal (depot_get (self->depot, &digest, &out, NULL, &err), -1);
    assert_int_equal (err.code, ERR_NOT_FOUND);
}

static void bytes_of_another_name_size_or_kind_are_refused (void **state)
{
    depots_t *self = *state;
    AUTO_BUFFER buffer_t object = { 0 };
    err_t err = { 0 };
    noise (&object, OBJECT_MAX + 1, 1);
    refuses (self->depot, OBJECT_CONTENT, &object, "more than 262144");
    digest_t digest = digest_of ("a", 1);
    assert_int_equal (depot_begin (self->depot, &err), 0);
    assert_int_equal (depot_put (self->depot, OBJECT_CONTENT, &digest, "b", 1, &err), -1);
    assert_int_equal (err.code, ERR_PROTOCOL);
    assert_int_equal (depot_put (self->depot, OBJECT_CONTENT, &digest, "a", 0, &err), -1);
    assert_int_equal (depot_put (self->depot, (object_kind) 3, &digest, "a", 1, &err), -1);
    assert_int_equal (err.code, ERR_PROTOCOL);
    assert_int_equal (depot_put (self->depot, (object_kind) 200, &digest, "a", 1, &err), -1);
    depot_rollback (self->depot);
    assert_int_equal (stored_objects (self->depot), 0);
}

static void a_transaction_is_all_or_nothing (void **state)
{
    depots_t *self = *state;
    small_context_t context;
    small_context_make (&context, 100, 1);
    assert_int_equal (depot_begin (self->depot, NULL), 0);
    assert_int_equal (small_context_put (&context, self->depot, NULL), 0);
    assert_true (has (self->depot, &context.root));
    depot_rollback (self->depot);
    assert_false (has (self->depot, &context.root));
    assert_false (has (self->depot, &context.file));
    assert_int_equal (stored_objects (self->depot), 0);
    depots_reopen (self);
    assert_false (has (self->depot, &context.file));
    depot_rollback (self->depot);           /* with none begun it does nothing */
    small_context_free (&context);
}

static void what_was_committed_is_there_after_a_restart (void **state)
{
    depots_t *self = *state;
    small_context_t context;
    depot_stats_t before, after;
    small_context_make (&context, 100000, 1);
    assert_int_equal (depot_begin (self->depot, NULL), 0);
    assert_int_equal (small_context_put (&context, self->depot, NULL), 0);
    assert_int_equal (depot_commit (self->depot, NULL), 0);
    depot_stats (self->depot, &before);
    for (int i = 0; i < 3; i++) {
        depots_reopen (self);
        assert_true (holds (self->depot, &context.root));
        assert_true (holds (self->depot, &context.folder));
        assert_true (holds (self->depot, &context.file));
    }
    depot_stats (self->depot, &after);
    assert_int_equal (after.objects, before.objects);
    assert_int_equal (after.bytes, before.bytes);
    assert_int_equal (after.received_objects, 0);
    small_context_free (&context);
}

/* -- folders ---------------------------------------------------------------------------------------------------- */

static void children_come_before_their_parents (void **state)
{
    depots_t *self = *state;
    small_context_t context;
    small_context_make (&context, 100, 1);
    refuses (self->depot, OBJECT_FOLDER, &context.root, "entry \".\"");
    refuses (self->depot, OBJECT_FOLDER, &context.folder, "entry \"file\"");
    assert_false (has (self->depot, &context.folder));
    takes (self->depot, OBJECT_CONTENT, &context.file);
    refuses (self->depot, OBJECT_FOLDER, &context.root, "not in the depot");
    takes (self->depot, OBJECT_FOLDER, &context.folder);
    takes (self->depot, OBJECT_FOLDER, &context.root);
    object_kind kind;
    AUTO_BUFFER buffer_t out = { 0 };
    digest_t root = small_context_root (&context);
    assert_int_equal (depot_get (self->depot, &root, &out, &kind, NULL), 0);
    assert_int_equal (kind, OBJECT_FOLDER);
    small_context_free (&context);
}

static void an_entry_has_to_be_what_it_says (void **state)
{
    depots_t *self = *state;
    static const char text [] = "no listing at all";
    content_t content = content_of (text, sizeof text - 1), other = content;
    assert_int_equal (put_one (self->depot, OBJECT_CONTENT, text, sizeof text - 1, NULL), 0);
    AUTO_BUFFER buffer_t right = { 0 };
    add_entry (&right, TREE_FILE, "a", &content);
    takes (self->depot, OBJECT_FOLDER, &right);
    AUTO_BUFFER buffer_t short_by_one = { 0 };
    other.size_bytes--;
    add_entry (&short_by_one, TREE_FILE, "a", &other);
    refuses (self->depot, OBJECT_FOLDER, &short_by_one, "is no such thing");
    AUTO_BUFFER buffer_t of_a_level = { 0 };
    other = (content_t) { OBJECT_MAX + 1, 1, content.digest };
    add_entry (&of_a_level, TREE_FILE, "a", &other);
    refuses (self->depot, OBJECT_FOLDER, &of_a_level, "is no such thing");
    AUTO_BUFFER buffer_t as_folder = { 0 };
    add_entry (&as_folder, TREE_FOLDER, "a", &content);
    refuses (self->depot, OBJECT_FOLDER, &as_folder, "is no such thing");
    AUTO_BUFFER buffer_t second_missing = { 0 };
    other = content_of ("x", 1);
    add_entry (&second_missing, TREE_FILE, "a", &content);
    add_entry (&second_missing, TREE_FILE, "b", &other);
    refuses (self->depot, OBJECT_FOLDER, &second_missing, "entry \"b\"");
    assert_int_equal (stored_objects (self->depot), 2);
}

static void a_link_names_nothing_and_an_empty_folder_is_one (void **state)
{
    depots_t *self = *state;
    AUTO_BUFFER buffer_t folder = { 0 };
    AUTO_BUFFER buffer_t empty = { 0 };
    tree_entry_t link = { .kind = TREE_LINK, .name = "l", .name_size = 1, .target = "../nowhere", .target_size = 10 };
    content_t none = content_of ("", 0);
    add_entry (&folder, TREE_FOLDER, "d", &none);
    tree_write_entry (&folder, &link);
    refuses (self->depot, OBJECT_FOLDER, &folder, "entry \"d\"");
    takes (self->depot, OBJECT_FOLDER, &empty);
    takes (self->depot, OBJECT_FOLDER, &folder);
}

static void a_listing_of_another_form_is_refused (void **state)
{
    depots_t *self = *state;
    AUTO_BUFFER buffer_t listing = { 0 };
    content_t none = content_of ("", 0);
    assert_int_equal (put_one (self->depot, OBJECT_CONTENT, "", 0, NULL), 0);
    add_entry (&listing, TREE_FILE, "b", &none);
    add_entry (&listing, TREE_FILE, "a", &none);
    refuses (self->depot, OBJECT_FOLDER, &listing, "form");
    buffer_clear (&listing);
    add_entry (&listing, TREE_FILE, "a", &none);
    buffer_append (&listing, "f", 1);
    refuses (self->depot, OBJECT_FOLDER, &listing, "form");
}

/* A file may hold the very bytes of a folder's listing, of this context or of one that is not here. */
static void a_file_s_bytes_may_be_a_listing (void **state)
{
    depots_t *self = *state;
    small_context_t context;
    AUTO_BUFFER buffer_t listing = { 0 }, out = { 0 };
    small_context_make (&context, 100, 1);
    assert_int_equal (put_buffer (self->depot, OBJECT_CONTENT, &context.folder, NULL), 0);
    assert_false (has (self->depot, &context.folder));         /* as a folder it is not whole */
    digest_t digest = digest_of (context.folder.data, context.folder.size);
    assert_int_equal (depot_get (self->depot, &digest, &out, NULL, NULL), 0);
    content_t content = content_of (context.folder.data, context.folder.size);
    add_entry (&listing, TREE_FILE, "copy-of-a-listing", &content);
    takes (self->depot, OBJECT_FOLDER, &listing);
    refuses (self->depot, OBJECT_FOLDER, &context.folder, "entry \"file\"");
    refuses (self->depot, OBJECT_FOLDER, &context.root, "is no such thing");
    takes (self->depot, OBJECT_CONTENT, &context.file);
    takes (self->depot, OBJECT_FOLDER, &context.folder);
    takes (self->depot, OBJECT_FOLDER, &context.root);
    depots_reopen (self);
    assert_true (holds (self->depot, &context.root));
    assert_true (holds (self->depot, &listing));
    small_context_free (&context);
}

/* What may be a folder or a list, here or in another depot, is not plain: it has to be looked at. */
static void plain_content_is_stored_without_a_look (void **state)
{
    depots_t *self = *state;
    small_context_t context;
    AUTO_BUFFER buffer_t list = { 0 }, packed = { 0 };
    small_context_make (&context, 3000, 1);
    add_item (&list, "abc", 3);
    memset (context.file.data, 'a', 2000);
    assert_true (depot_is_plain (context.file.data, context.file.size));
    assert_false (depot_is_plain (context.folder.data, context.folder.size));
    assert_false (depot_is_plain (context.root.data, context.root.size));
    assert_false (depot_is_plain (list.data, list.size));
    assert_false (depot_is_plain ("", 0));
    zip_t zip = zip_best (&packed, context.file.data, context.file.size);
    assert_true (zip.is_zstd);
    digest_t digest = digest_of (context.file.data, context.file.size);
    for (int i = 0; i < 2; i++) {
        assert_int_equal (depot_begin (self->depot, NULL), 0);
        assert_int_equal (depot_put_plain (self->depot, &digest, context.file.size, &zip, NULL), 0);
        assert_int_equal (depot_commit (self->depot, NULL), 0);
        assert_true (holds (self->depot, &context.file));
    }
    assert_int_equal (stored_objects (self->depot), 1);
    small_context_free (&context);
}

/* -- lists ------------------------------------------------------------------------------------------------------ */

/* Cut data, put its chunks, and write the list of them. */
static void put_chunks (depot_t *depot, const buffer_t *data, buffer_t *list)
{
    for (size_t at = 0; at < data->size; ) {
        size_t size = chunker_cut (data->data + at, data->size - at);
        assert_int_equal (put_one (depot, OBJECT_CONTENT, data->data + at, size, NULL), 0);
        add_item (list, data->data + at, size);
        at += size;
    }
}

static void long_content_is_a_list_of_its_chunks (void **state)
{
    depots_t *self = *state;
    AUTO_BUFFER buffer_t file = { 0 }, list = { 0 }, folder = { 0 }, wrong = { 0 }, bare = { 0 };
    noise (&file, 3 * OBJECT_MAX, 1);
    add_item (&bare, file.data, 1000);
    refuses (self->depot, OBJECT_LIST, &bare, "not in the depot");
    put_chunks (self->depot, &file, &list);
    takes (self->depot, OBJECT_LIST, &list);
    content_t content = { .size_bytes = file.size, .level = 1, .digest = digest_of (list.data, list.size) };
    add_entry (&folder, TREE_FILE, "long", &content);
    takes (self->depot, OBJECT_FOLDER, &folder);
    content.size_bytes++;
    add_entry (&wrong, TREE_FILE, "long", &content);
    refuses (self->depot, OBJECT_FOLDER, &wrong, "is no such thing");
    buffer_clear (&wrong);
    content.size_bytes--;
    content.level = 2;
    add_entry (&wrong, TREE_FILE, "long", &content);
    refuses (self->depot, OBJECT_FOLDER, &wrong, "is no such thing");
}

static void a_list_of_lists_is_of_the_next_level_up_to_three (void **state)
{
    depots_t *self = *state;
    AUTO_BUFFER buffer_t file = { 0 };
    buffer_t list [4] = { { 0 }, { 0 }, { 0 }, { 0 } };
    noise (&file, 2 * OBJECT_MAX, 1);
    put_chunks (self->depot, &file, &list [1]);
    takes (self->depot, OBJECT_LIST, &list [1]);
    for (int level = 2; level <= 3; level++) {
        add_item (&list [level], list [level - 1].data, list [level - 1].size);
        add_item (&list [level], list [level - 1].data, list [level - 1].size);
        takes (self->depot, OBJECT_LIST, &list [level]);
    }
    for (int level = 1; level <= 3; level++) {
        AUTO_BUFFER buffer_t folder = { 0 };
        content_t content = { file.size << (level - 1), (uint8_t) level, digest_of (list [level].data, list [level].size) };
        add_entry (&folder, TREE_FILE, "f", &content);
        takes (self->depot, OBJECT_FOLDER, &folder);
    }
    for (int level = 1; level <= 3; level++)
        buffer_free (&list [level]);
}

static void a_list_of_another_form_is_refused (void **state)
{
    depots_t *self = *state;
    AUTO_BUFFER buffer_t list = { 0 }, empty = { 0 };
    assert_int_equal (put_one (self->depot, OBJECT_CONTENT, "abc", 3, NULL), 0);
    refuses (self->depot, OBJECT_LIST, &empty, "form");
    add_item (&list, "abc", 3);
    buffer_append (&list, "x", 1);
    refuses (self->depot, OBJECT_LIST, &list, "form");
    list.size--;
    takes (self->depot, OBJECT_LIST, &list);
    list.data [3] = 2;
    refuses (self->depot, OBJECT_LIST, &list, "another size");
    memset (list.data, 0, 4);
    refuses (self->depot, OBJECT_LIST, &list, "form");
    memset (list.data, 0xff, 4);
    refuses (self->depot, OBJECT_LIST, &list, "form");
}

/* A folder whose listing is longer than an object: the list of it is a folder too, when all that it names is there. */
static void a_long_listing_is_a_folder (void **state)
{
    depots_t *self = *state;
    AUTO_BUFFER buffer_t listing = { 0 }, list = { 0 }, folder = { 0 };
    content_t content = content_of ("abc", 3);
    for (int i = 0; i < 6000; i++) {
        char name [32];
        snprintf (name, sizeof name, "file-%05d", i);
        add_entry (&listing, TREE_FILE, name, &content);
    }
    assert_true (listing.size > OBJECT_MAX);
    put_chunks (self->depot, &listing, &list);
    assert_int_equal (put_buffer (self->depot, OBJECT_LIST, &list, NULL), 0);
    assert_false (has (self->depot, &list));
    content_t whole = { .size_bytes = listing.size, .level = 1, .digest = digest_of (list.data, list.size) };
    add_entry (&folder, TREE_FOLDER, "big", &whole);
    refuses (self->depot, OBJECT_FOLDER, &folder, "is no such thing");
    assert_int_equal (put_one (self->depot, OBJECT_CONTENT, "abc", 3, NULL), 0);
    takes (self->depot, OBJECT_LIST, &list);
    takes (self->depot, OBJECT_FOLDER, &folder);
}

/* -- a cache ---------------------------------------------------------------------------------------------------- */

static void trim_takes_whole_contexts_least_lately_used_first (void **state)
{
    depots_t *self = *state;
    small_context_t contexts [3];
    depot_stats_t stats;
    for (int i = 0; i < 3; i++) {
        small_context_make (&contexts [i], 100000, (uint64_t) i);
        assert_int_equal (depot_begin (self->depot, NULL), 0);
        assert_int_equal (small_context_put (&contexts [i], self->depot, NULL), 0);
        assert_int_equal (depot_commit (self->depot, NULL), 0);
    }
    assert_int_equal (depot_trim (self->depot, 1000000, NULL), 0);
    assert_true (has (self->depot, &contexts [0].root));        /* used now: 1 is the oldest */
    assert_int_equal (depot_trim (self->depot, 250000, NULL), 3);
    assert_true (holds (self->depot, &contexts [0].root) && holds (self->depot, &contexts [0].file));
    assert_false (has (self->depot, &contexts [1].root) || has (self->depot, &contexts [1].folder) || has (self->depot, &contexts [1].file));
    assert_true (holds (self->depot, &contexts [2].root));
    depot_stats (self->depot, &stats);
    assert_true (stats.bytes <= 250000);
    depots_reopen (self);
    depot_stats_t again;
    depot_stats (self->depot, &again);
    assert_int_equal (again.objects, stats.objects);
    assert_int_equal (again.bytes, stats.bytes);
    assert_int_equal (depot_trim (self->depot, 0, NULL), 6);
    depot_stats (self->depot, &stats);
    assert_int_equal (stats.objects, 0);
    assert_int_equal (stats.bytes, 0);
    for (int i = 0; i < 3; i++)
        small_context_free (&contexts [i]);
}

static void trim_leaves_what_another_context_names (void **state)
{
    depots_t *self = *state;
    AUTO_BUFFER buffer_t shared = { 0 }, old = { 0 }, young = { 0 };
    noise (&shared, 100000, 1);
    content_t content = content_of (shared.data, shared.size);
    add_entry (&old, TREE_FILE, "old", &content);
    add_entry (&young, TREE_FILE, "young", &content);
    takes (self->depot, OBJECT_CONTENT, &shared);
    takes (self->depot, OBJECT_FOLDER, &old);
    takes (self->depot, OBJECT_FOLDER, &young);
    assert_int_equal (depot_trim (self->depot, 100000 + young.size, NULL), 1);
    assert_false (has (self->depot, &old));
    assert_true (holds (self->depot, &young));
    assert_true (holds (self->depot, &shared));
}

static void trim_of_many_objects_goes_on_to_the_end (void **state)
{
    depots_t *self = *state;
    assert_int_equal (depot_begin (self->depot, NULL), 0);
    for (int i = 0; i < 2500; i++) {
        digest_t digest = digest_of (&i, sizeof i);
        assert_int_equal (depot_put (self->depot, OBJECT_CONTENT, &digest, &i, sizeof i, NULL), 0);
    }
    assert_int_equal (depot_commit (self->depot, NULL), 0);
    assert_int_equal (depot_trim (self->depot, 40, NULL), 2490);
    assert_int_equal (stored_objects (self->depot), 10);
}

/* -- collecting ------------------------------------------------------------------------------------------------- */

static void make_context (depot_t *depot, small_context_t *context, uint64_t seed)
{
    small_context_make (context, 5000, seed);
    assert_int_equal (depot_begin (depot, NULL), 0);
    assert_int_equal (small_context_put (context, depot, NULL), 0);
    assert_int_equal (depot_commit (depot, NULL), 0);
}

static depot_gone_t collect_all (depot_t *depot, const depot_root_t *roots, size_t count, const depot_wish_t *wish)
{
    depot_gone_t gone = { 0 };
    int64_t more;
    assert_int_equal (depot_collect_begin (depot, roots, count, wish, NULL), 0);
    while ((more = depot_collect_step (depot, &gone, NULL)) > 0)
        ;
    assert_int_equal (more, 0);
    return gone;
}

static void assert_same_gone (const depot_gone_t *a, const depot_gone_t *b)
{
    assert_int_equal (a->objects, b->objects);
    assert_int_equal (a->bytes, b->bytes);
    assert_int_equal (a->contexts, b->contexts);
    assert_int_equal (a->young_objects, b->young_objects);
    assert_int_equal (a->young_bytes, b->young_bytes);
}

/* First dry: nothing goes, and what is told then is what goes. */
static depot_gone_t collect_wish (depot_t *depot, const depot_root_t *roots, size_t count, depot_wish_t wish)
{
    depot_stats_t earlier, later;
    depot_stats (depot, &earlier);
    wish.is_dry = true;
    depot_gone_t told = collect_all (depot, roots, count, &wish);
    depot_stats (depot, &later);
    assert_int_equal (earlier.objects, later.objects);
    assert_int_equal (earlier.bytes, later.bytes);
    wish.is_dry = false;
    depot_gone_t gone = collect_all (depot, roots, count, &wish);
    depot_stats (depot, &later);
    assert_same_gone (&told, &gone);
    assert_int_equal (earlier.bytes - later.bytes, gone.bytes);
    assert_int_equal (earlier.objects - later.objects, gone.objects);
    return gone;
}

/* All of it; how many objects went. */
static int64_t collect (depot_t *depot, const digest_t *roots, size_t count, int64_t before)
{
    depot_root_t kept [4];
    for (size_t i = 0; i < count; i++)
        kept [i] = (depot_root_t) { roots [i], INT64_MAX };
    return (int64_t) collect_wish (depot, kept, count, (depot_wish_t) { .before = before, .counts_young = true }).objects;
}

static void collecting_keeps_roots_and_what_was_just_used (void **state)
{
    depots_t *self = *state;
    small_context_t contexts [4];
    for (int i = 0; i < 3; i++)
        make_context (self->depot, &contexts [i], (uint64_t) i);
    depots_reopen (self);
    int64_t limit = depot_mark (self->depot);
    make_context (self->depot, &contexts [3], 3);
    assert_true (has (self->depot, &contexts [2].root));
    digest_t root = small_context_root (&contexts [0]);
    assert_int_equal (collect (self->depot, &root, 1, limit), 3);
    assert_true (holds (self->depot, &contexts [0].root) && holds (self->depot, &contexts [0].file));
    assert_false (has (self->depot, &contexts [1].root) || has (self->depot, &contexts [1].file));
    assert_true (holds (self->depot, &contexts [2].root) && holds (self->depot, &contexts [2].file));
    assert_true (holds (self->depot, &contexts [3].file));
    depots_reopen (self);
    assert_true (holds (self->depot, &contexts [0].file));
    for (int i = 0; i < 4; i++)
        small_context_free (&contexts [i]);
}

static void collecting_leaves_what_a_root_names_too (void **state)
{
    depots_t *self = *state;
    AUTO_BUFFER buffer_t shared = { 0 }, old = { 0 }, kept = { 0 };
    noise (&shared, 100000, 1);
    content_t content = content_of (shared.data, shared.size);
    add_entry (&old, TREE_FILE, "old", &content);
    add_entry (&kept, TREE_FILE, "kept", &content);
    takes (self->depot, OBJECT_CONTENT, &shared);
    takes (self->depot, OBJECT_FOLDER, &old);
    takes (self->depot, OBJECT_FOLDER, &kept);
    digest_t root = digest_of (kept.data, kept.size);
    assert_int_equal (collect (self->depot, &root, 1, INT64_MAX), 1);
    assert_true (holds (self->depot, &kept) && holds (self->depot, &shared));
    assert_int_equal (collect (self->depot, NULL, 0, INT64_MAX), 2);
    assert_int_equal (stored_objects (self->depot), 0);
}

/* However often others were used, and whatever was rolled back. */
static void no_use_is_forgotten (void **state)
{
    depots_t *self = *state;
    small_context_t contexts [3];
    for (int i = 0; i < 3; i++)
        make_context (self->depot, &contexts [i], (uint64_t) i);
    int64_t limit = depot_mark (self->depot);
    for (int i = 0; i < 70000; i++)
        assert_true (has (self->depot, &contexts [0].root));
    assert_true (has (self->depot, &contexts [1].root));
    assert_int_equal (depot_begin (self->depot, NULL), 0);
    assert_int_equal (depot_write_touched (self->depot, NULL), 0);
    depot_rollback (self->depot);
    assert_int_equal (collect (self->depot, NULL, 0, limit), 3);
    assert_true (holds (self->depot, &contexts [0].root) && holds (self->depot, &contexts [1].root));
    for (int i = 0; i < 3; i++)
        small_context_free (&contexts [i]);
}

enum { MANY = 40000 };

static void reads_of_many_objects_are_written_down (void **state)
{
    depots_t *self = *state;
    assert_int_equal (depot_begin (self->depot, NULL), 0);
    for (int i = 0; i < MANY; i++) {
        digest_t digest = digest_of (&i, sizeof i);
        assert_int_equal (depot_put (self->depot, OBJECT_CONTENT, &digest, &i, sizeof i, NULL), 0);
    }
    assert_int_equal (depot_commit (self->depot, NULL), 0);
    int64_t limit = depot_mark (self->depot);
    for (int i = 0; i < 2 * MANY; i++) {
        int number = i % MANY;
        digest_t digest = digest_of (&number, sizeof number);
        assert_true (depot_has (self->depot, &digest));
    }
    assert_true (self->depot->touched.size < MANY * sizeof (int64_t));
    assert_int_equal (collect (self->depot, NULL, 0, limit), 0);
}

/* A commit failed, and the depot read its file again: which knows nothing of the mark. */
static void a_mark_outlives_a_failed_commit (void **state)
{
    depots_t *self = *state;
    small_context_t contexts [2];
    make_context (self->depot, &contexts [0], 0);
    depot_mark (self->depot);
    int64_t limit = depot_mark (self->depot);
    self->depot->is_suspect = true;
    make_context (self->depot, &contexts [1], 1);
    assert_int_equal (collect (self->depot, NULL, 0, limit), 3);
    assert_true (holds (self->depot, &contexts [1].root));
    for (int i = 0; i < 2; i++)
        small_context_free (&contexts [i]);
}

/* Found as garbage, then named by something new before its turn came. */
static void what_is_named_meanwhile_stays (void **state)
{
    depots_t *self = *state;
    depot_gone_t gone = { 0 };
    AUTO_BUFFER buffer_t file = { 0 }, folder = { 0 };
    noise (&file, 1000, 1);
    content_t content = content_of (file.data, file.size);
    add_entry (&folder, TREE_FILE, "file", &content);
    takes (self->depot, OBJECT_CONTENT, &file);
    int64_t before = depot_mark (self->depot);
    assert_int_equal (depot_collect_begin (self->depot, NULL, 0, &(depot_wish_t) { .before = before }, NULL), 0);
    takes (self->depot, OBJECT_FOLDER, &folder);
    assert_int_equal (depot_collect_step (self->depot, &gone, NULL), 0);
    assert_true (holds (self->depot, &folder) && holds (self->depot, &file));
    assert_int_equal (gone.objects, 0);
}

/* A context of each, oldest first: as many go as have to, with what only they name; those that a live build needs stay, and what was just
 * used, though all of them are not little enough. */
static void above_its_limit_a_depot_forgets_the_oldest_roots (void **state)
{
    depots_t *self = *state;
    small_context_t contexts [6];
    depot_root_t roots [5];
    depot_stats_t stats;
    for (int i = 0; i < 5; i++) {
        make_context (self->depot, &contexts [i], (uint64_t) i);
        roots [i] = (depot_root_t) { small_context_root (&contexts [i]), i == 1 ? INT64_MAX : 1000 - i };
    }
    depot_stats (self->depot, &stats);
    uint64_t one = stats.bytes / 5;
    depot_wish_t wish = { .before = depot_mark (self->depot), .limit_bytes = stats.bytes, .counts_young = true };
    assert_int_equal (collect_wish (self->depot, roots, 5, wish).objects, 0);
    wish.limit_bytes = stats.bytes - one - one / 2;
    depot_gone_t gone = collect_wish (self->depot, roots, 5, wish);
    assert_int_equal (gone.objects, 6);
    assert_int_equal (gone.contexts, 2);
    assert_int_equal (gone.young_objects, 0);
    assert_false (has (self->depot, &contexts [4].root) || has (self->depot, &contexts [3].root));
    assert_true (holds (self->depot, &contexts [0].root) && holds (self->depot, &contexts [2].root));
    wish.before = depot_mark (self->depot);
    make_context (self->depot, &contexts [5], 5);
    assert_true (has (self->depot, &contexts [2].root));
    wish.limit_bytes = 1;
    gone = collect_wish (self->depot, roots, 5, wish);
    assert_int_equal (gone.contexts, 1);
    assert_int_equal (gone.young_objects, 6);
    assert_int_equal (gone.young_bytes, 2 * one);
    assert_true (holds (self->depot, &contexts [1].root) && holds (self->depot, &contexts [1].file));
    assert_true (holds (self->depot, &contexts [2].root) && holds (self->depot, &contexts [5].root));
    for (int i = 0; i < 6; i++)
        small_context_free (&contexts [i]);
}

/* As after a restart: nothing can go yet, and what will go for the limit is one context of three. */
static void young_are_as_many_as_would_go (void **state)
{
    depots_t *self = *state;
    small_context_t contexts [3];
    depot_root_t roots [3];
    depot_stats_t stats;
    int64_t before = depot_mark (self->depot);
    for (int i = 0; i < 3; i++) {
        make_context (self->depot, &contexts [i], (uint64_t) i);
        roots [i] = (depot_root_t) { small_context_root (&contexts [i]), i };
    }
    depot_stats (self->depot, &stats);
    depot_wish_t wish = { .before = before, .limit_bytes = stats.bytes - stats.bytes / 6, .counts_young = true };
    depot_gone_t gone = collect_wish (self->depot, roots, 3, wish);
    assert_int_equal (gone.objects, 0);
    assert_int_equal (gone.young_objects, 3);
    assert_int_equal (gone.young_bytes, stats.bytes / 3);
    for (int i = 0; i < 3; i++)
        small_context_free (&contexts [i]);
}

static void collecting_many_objects_takes_several_steps (void **state)
{
    depots_t *self = *state;
    depot_gone_t gone = { 0 };
    int64_t more;
    int steps = 0;
    assert_int_equal (depot_begin (self->depot, NULL), 0);
    for (int i = 0; i < 2500; i++) {
        digest_t digest = digest_of (&i, sizeof i);
        assert_int_equal (depot_put (self->depot, OBJECT_CONTENT, &digest, &i, sizeof i, NULL), 0);
    }
    assert_int_equal (depot_commit (self->depot, NULL), 0);
    assert_int_equal (depot_collect_begin (self->depot, NULL, 0, &(depot_wish_t) { .before = INT64_MAX }, NULL), 0);
    while ((more = depot_collect_step (self->depot, &gone, NULL)) > 0)
        steps++;
    assert_int_equal (more, 0);
    assert_int_equal (gone.objects, 2500);
    assert_true (steps >= 4);
    assert_int_equal (stored_objects (self->depot), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, depots_setup, depots_teardown)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (what_is_put_in_comes_out),
        TEST (what_was_not_put_in_is_not_there),
        TEST (bytes_of_another_name_size_or_kind_are_refused),
        TEST (a_transaction_is_all_or_nothing),
        TEST (what_was_committed_is_there_after_a_restart),
        TEST (children_come_before_their_parents),
        TEST (an_entry_has_to_be_what_it_says),
        TEST (a_link_names_nothing_and_an_empty_folder_is_one),
        TEST (a_listing_of_another_form_is_refused),
        TEST (a_file_s_bytes_may_be_a_listing),
        TEST (plain_content_is_stored_without_a_look),
        TEST (long_content_is_a_list_of_its_chunks),
        TEST (a_list_of_lists_is_of_the_next_level_up_to_three),
        TEST (a_list_of_another_form_is_refused),
        TEST (a_long_listing_is_a_folder),
        TEST (trim_takes_whole_contexts_least_lately_used_first),
        TEST (trim_leaves_what_another_context_names),
        TEST (trim_of_many_objects_goes_on_to_the_end),
        TEST (collecting_keeps_roots_and_what_was_just_used),
        TEST (collecting_leaves_what_a_root_names_too),
        TEST (no_use_is_forgotten),
        TEST (reads_of_many_objects_are_written_down),
        TEST (a_mark_outlives_a_failed_commit),
        TEST (what_is_named_meanwhile_stays),
        TEST (above_its_limit_a_depot_forgets_the_oldest_roots),
        TEST (young_are_as_many_as_would_go),
        TEST (collecting_many_objects_takes_several_steps),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
