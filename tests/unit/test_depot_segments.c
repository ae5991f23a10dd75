/* test_depot_segments.c - the files that have the bytes: what is damaged in them is found, kept aside and told; what is
 * forgotten is given back to the disk; a depot of the version before is brought up to date. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/depot_private.h"
#include "common/file.h"
#include "depots.h"

static uint64_t damaged_objects (depot_t *depot)
{
    depot_stats_t stats;
    depot_stats (depot, &stats);
    return stats.damaged_objects;
}

/* Files in a folder of the depot's, and what they occupy. */
static int count_files (const depots_t *self, const char *name, int64_t *bytes)
{
    int count = 0;
    AUTO_FREE char *path = file_join (self->folder, name);
    DIR *folder = opendir (path);
    *bytes = 0;
    for (struct dirent *entry; folder && (entry = readdir (folder)); ) {
        struct stat status;
        if (entry->d_name [0] == '.')
            continue;
        assert_int_equal (fstatat (dirfd (folder), entry->d_name, &status, 0), 0);
        *bytes += (int64_t) status.st_blocks * 512;
        count++;
    }
    if (folder)
        closedir (folder);
    return count;
}

static int64_t occupied (const depots_t *self)
{
    int64_t bytes;
    count_files (self, "segments", &bytes);
    return bytes;
}

static int segment_files (const depots_t *self)
{
    int64_t bytes;
    return count_files (self, "segments", &bytes);
}

static char *segment_path (const depots_t *self, int segment)
{
    return mem_printf ("%s/segments/%06d", self->folder, segment);
}

/* -- damage ----------------------------------------------------------------------------------------------------- */

static int get_file (depot_t *depot, size_t size, uint64_t seed, err_t *err)
{
    AUTO_BUFFER buffer_t file = { 0 }, out = { 0 };
    noise (&file, size, seed);
    digest_t digest = digest_of (file.data, file.size);
    return depot_get (depot, &digest, &out, NULL, err);
}

static void a_flipped_bit_is_told_with_its_place_and_the_bytes_are_kept (void **state)
{
    depots_t *self = *state;
    AUTO_BUFFER buffer_t file = { 0 }, kept = { 0 };
    char hex [DIGEST_HEX_SIZE + 1];
    err_t err = { 0 };
    assert_int_equal (put_context (self->depot, 5000, 1, NULL), 0);
    assert_int_equal (put_context (self->depot, 5000, 2, NULL), 0);
    depots_flip (self->folder, 1, 77);
    assert_int_equal (get_file (self->depot, 5000, 1, &err), -1);
    assert_int_equal (err.code, ERR_FARM);
    assert_non_null (strstr (err.text, "segments/000001, byte 0"));
    assert_non_null (strstr (err.text, "kept in quarantine/"));
    assert_int_equal (damaged_objects (self->depot), 1);
    assert_int_equal (presence (self->depot, 5000, 1), 0);
    assert_int_equal (presence (self->depot, 5000, 2), 1);
    noise (&file, 5000, 1);
    digest_t digest = digest_of (file.data, file.size);
    digest_to_hex (&digest, hex);
    AUTO_FREE char *path = mem_printf ("%s/quarantine/%s", self->folder, hex);
    assert_int_equal (file_read (path, 5000, &kept, NULL), 0);
    file.data [77] ^= 0x10;
    assert_int_equal (kept.size, file.size);
    assert_memory_equal (kept.data, file.data, kept.size);
}

static void the_quarantine_is_bounded (void **state)
{
    depots_t *self = *state;
    err_t err = { 0 };
    int64_t bytes;
    assert_int_equal (depot_begin (self->depot, NULL), 0);
    for (uint64_t seed = 0; seed < 70; seed++) {
        AUTO_BUFFER buffer_t file = { 0 };
        noise (&file, 1000, seed);
        digest_t digest = digest_of (file.data, file.size);
        assert_int_equal (depot_put (self->depot, OBJECT_CONTENT, &digest, file.data, file.size, NULL), 0);
    }
    assert_int_equal (depot_commit (self->depot, NULL), 0);
    for (int i = 0; i < 70; i++)
        depots_flip (self->folder, 1, 1000 * i + 500);
    for (uint64_t seed = 0; seed < 70; seed++)
        assert_int_equal (get_file (self->depot, 1000, seed, &err), -1);
    assert_non_null (strstr (err.text, "were not kept"));
    assert_int_equal (damaged_objects (self->depot), 70);
    assert_int_equal (count_files (self, "quarantine", &bytes), 64);
}

/* What lay behind the end goes when the depot is opened, and is stored again. */
static void a_short_segment_costs_what_it_lacks (void **state)
{
    depots_t *self = *state;
    AUTO_FREE char *path = segment_path (self, 1);
    for (uint64_t seed = 0; seed < 10; seed++)
        assert_int_equal (put_context (self->depot, 5000, seed, NULL), 0);
    depot_destroy (&self->depot);
    assert_int_equal (truncate (path, 27000), 0);
    assert_int_equal (depot_open (&self->depot, self->folder, NULL), 0);
    for (uint64_t seed = 0; seed < 10; seed++) {
        assert_false (is_broken (self->depot, 5000, seed));
        assert_int_equal (presence (self->depot, 5000, seed) == 1, seed < 5);
    }
    assert_true (damaged_objects (self->depot) >= 5);
    for (uint64_t seed = 0; seed < 10; seed++)
        assert_int_equal (put_context (self->depot, 5000, seed, NULL), 0);
    depots_reopen (self);
    for (uint64_t seed = 0; seed < 10; seed++)
        assert_int_equal (presence (self->depot, 5000, seed), 1);
    assert_int_equal (damaged_objects (self->depot), 0);
}

static void a_segment_that_is_gone_costs_what_it_had (void **state)
{
    depots_t *self = *state;
    AUTO_FREE char *first = segment_path (self, 1), *second = segment_path (self, 2);
    self->depot->segment_bytes = 30000;
    for (uint64_t seed = 0; seed < 15; seed++)
        assert_int_equal (put_context (self->depot, 5000, seed, NULL), 0);
    assert_true (segment_files (self) >= 3);
    assert_int_equal (unlink (first), 0);
    depots_reopen (self);
    assert_int_equal (presence (self->depot, 5000, 0), 0);
    depot_lost_t lost;
    assert_true (depot_next_lost (self->depot, &lost));
    assert_int_equal (presence (self->depot, 5000, 14), 1);
    self->depot->segment_bytes = 30000;
    bodies_close (self->depot, 2);
    assert_int_equal (unlink (second), 0);                  /* while it is open: found by reading */
    err_t err = { 0 };
    assert_int_equal (get_file (self->depot, 5000, 6, &err), -1);
    assert_int_equal (err.code, ERR_FARM);
    for (uint64_t seed = 0; seed < 15; seed++) {
        if (presence (self->depot, 5000, seed) != 1)
            assert_int_equal (put_context (self->depot, 5000, seed, NULL), 0);
        assert_int_equal (presence (self->depot, 5000, seed), 1);
    }
}

/* -- space ------------------------------------------------------------------------------------------------------ */

static void what_is_forgotten_is_given_back (void **state)
{
    depots_t *self = *state;
    for (uint64_t seed = 0; seed < 40; seed++)
        assert_int_equal (put_context (self->depot, 50000, seed, NULL), 0);
    int64_t full = occupied (self);
    assert_true (full >= 40 * 50000);
    assert_true (depot_trim (self->depot, 20 * 50300, NULL) > 0);
    int64_t half = occupied (self);
    if (half > full * 6 / 10)
        fail_msg ("%lld of %lld bytes are still occupied", (long long) half, (long long) full);
    assert_int_equal (presence (self->depot, 50000, 39), 1);
    assert_true (depot_trim (self->depot, 0, NULL) > 0);
    assert_true (occupied (self) <= 8192);
    assert_int_equal (put_context (self->depot, 50000, 1, NULL), 0);
    assert_int_equal (presence (self->depot, 50000, 1), 1);
}

static void a_segment_in_which_nothing_lives_is_removed (void **state)
{
    depots_t *self = *state;
    self->depot->segment_bytes = 200000;
    for (uint64_t seed = 0; seed < 40; seed++)
        assert_int_equal (put_context (self->depot, 50000, seed, NULL), 0);
    assert_true (segment_files (self) >= 10);
    assert_true (depot_trim (self->depot, 3 * 50300, NULL) > 0);
    assert_true (segment_files (self) <= 2);
    assert_int_equal (presence (self->depot, 50000, 39), 1);
}

/* Of every 100 small objects one stays: their holes have no whole blocks, so those that stay are moved together. */
static void a_segment_of_slack_is_emptied (void **state)
{
    depots_t *self = *state;
    AUTO_BUFFER buffer_t listing = { 0 };
    self->depot->segment_bytes = 4000000;
    assert_int_equal (depot_begin (self->depot, NULL), 0);
    for (uint64_t seed = 0; seed < 30000; seed++) {
        AUTO_BUFFER buffer_t file = { 0 };
        char name [16];
        noise (&file, 300, seed);
        content_t content = content_of (file.data, file.size);
        assert_int_equal (depot_put (self->depot, OBJECT_CONTENT, &content.digest, file.data, file.size, NULL), 0);
        snprintf (name, sizeof name, "%05d", (int) seed);
        if (seed % 15 == 0)
            add_entry (&listing, TREE_FILE, name, &content);
    }
    digest_t root = digest_of (listing.data, listing.size);
    assert_int_equal (depot_put (self->depot, OBJECT_FOLDER, &root, listing.data, listing.size, NULL), 0);
    assert_int_equal (depot_commit (self->depot, NULL), 0);
    int64_t full = occupied (self);
    depot_gone_t gone = { 0 };
    assert_int_equal (depot_collect_begin (self->depot, &(depot_root_t) { root, INT64_MAX }, 1, &(depot_wish_t) { .before = INT64_MAX }, NULL), 0);
    while (depot_collect_step (self->depot, &gone, NULL) > 0)
        ;
    assert_int_equal (gone.bytes, 28000 * 300);
    int64_t left = occupied (self);
    if (left > full / 5)
        fail_msg ("%lld of %lld bytes are still occupied", (long long) left, (long long) full);
    for (uint64_t seed = 0; seed < 30000; seed += 15)
        assert_int_equal (get_file (self->depot, 300, seed, NULL), 0);
    depots_reopen (self);
    for (uint64_t seed = 0; seed < 30000; seed += 15)
        assert_int_equal (get_file (self->depot, 300, seed, NULL), 0);
}

static void more_segments_than_are_kept_open_are_read (void **state)
{
    depots_t *self = *state;
    enum { CONTEXTS = 3 * SLOTS };
    self->depot->segment_bytes = 1000;
    for (uint64_t seed = 0; seed < CONTEXTS; seed++)
        assert_int_equal (put_context (self->depot, 2000, seed, NULL), 0);
    assert_true (segment_files (self) >= CONTEXTS);
    for (int round = 0; round < 2; round++)
        for (uint64_t seed = 0; seed < CONTEXTS; seed++)
            assert_int_equal (presence (self->depot, 2000, (seed * 71) % CONTEXTS), 1);
}

/* A transaction that was rolled back, and one that a kill ended: their bytes are cut off. */
static void bytes_of_no_transaction_are_cut_off (void **state)
{
    depots_t *self = *state;
    AUTO_FREE char *path = segment_path (self, 1), *third = segment_path (self, 3);
    struct stat before, after;
    small_context_t context;
    assert_int_equal (put_context (self->depot, 5000, 1, NULL), 0);
    assert_int_equal (stat (path, &before), 0);
    small_context_make (&context, 100000, 2);
    assert_int_equal (depot_begin (self->depot, NULL), 0);
    assert_int_equal (small_context_put (&context, self->depot, NULL), 0);
    small_context_free (&context);
    depot_rollback (self->depot);
    assert_int_equal (stat (path, &after), 0);
    assert_int_equal (after.st_size, before.st_size);
    depot_destroy (&self->depot);
    assert_int_equal (truncate (path, before.st_size + 12345), 0);
    assert_int_equal (file_write (third, "left by a kill", 14, 0600, NULL), 0);
    assert_int_equal (depot_open (&self->depot, self->folder, NULL), 0);
    assert_int_equal (stat (path, &after), 0);
    assert_int_equal (after.st_size, before.st_size);
    assert_false (file_exists (third));
    assert_int_equal (presence (self->depot, 5000, 1), 1);
}

/* -- the version before ----------------------------------------------------------------------------------------- */

static const char version_1_sql [] =
    "ALTER TABLE object RENAME TO new;"
    "CREATE TABLE object (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE CHECK (length (digest) = 32),"
    " kinds INTEGER NOT NULL, is_open INTEGER NOT NULL, level INTEGER NOT NULL, raw_bytes INTEGER NOT NULL,"
    " content_bytes INTEGER NOT NULL, stored_bytes INTEGER NOT NULL, is_zstd INTEGER NOT NULL, used INTEGER NOT NULL) STRICT;"
    "INSERT INTO object SELECT id, digest, kinds, is_open, level, raw_bytes, content_bytes, stored_bytes, is_zstd, used FROM new;"
    "CREATE TABLE body (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;"
    "INSERT INTO body SELECT id, take_bytes (offset, stored_bytes) FROM new;"
    "DROP TABLE new; DROP TABLE freed; PRAGMA user_version = 1;";

static void take_bytes (sqlite3_context *call, int count, sqlite3_value **values)
{
    (void) count;
    const buffer_t *segment = sqlite3_user_data (call);
    sqlite3_result_blob (call, segment->data + sqlite3_value_int (values [0]), sqlite3_value_int (values [1]), SQLITE_TRANSIENT);
}

/* The same rows without a place, and the bytes in a table. */
static void go_back_to_version_1 (const depots_t *self)
{
    sqlite3 *db = NULL;
    AUTO_BUFFER buffer_t segment = { 0 };
    AUTO_FREE char *path = segment_path (self, 1), *db_path = file_join (self->folder, "objects.db");
    AUTO_FREE char *folder = file_join (self->folder, "segments");
    assert_int_equal (file_read (path, 1 << 20, &segment, NULL), 0);
    assert_int_equal (sqlite3_open (db_path, &db), SQLITE_OK);
    sqlite3_create_function (db, "take_bytes", 2, SQLITE_UTF8, &segment, take_bytes, NULL, NULL);
    if (sqlite3_exec (db, version_1_sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg ("%s", sqlite3_errmsg (db));
    sqlite3_close (db);
    assert_int_equal (file_remove_tree (folder, NULL), 0);
}

static void a_depot_of_version_1_is_brought_up_to_date (void **state)
{
    depots_t *self = *state;
    depot_stats_t before, after;
    assert_int_equal (put_one (self->depot, OBJECT_CONTENT, "", 0, NULL), 0);
    for (uint64_t seed = 0; seed < 10; seed++)
        assert_int_equal (put_context (self->depot, 5000, seed, NULL), 0);
    depot_stats (self->depot, &before);
    depot_destroy (&self->depot);
    go_back_to_version_1 (self);
    err_t err;
    if (depot_open (&self->depot, self->folder, &err) < 0)
        fail_msg ("%s", err.text);
    for (int i = 0; i < 2; i++) {
        AUTO_BUFFER buffer_t empty = { 0 };
        for (uint64_t seed = 0; seed < 10; seed++)
            assert_int_equal (presence (self->depot, 5000, seed), 1);
        assert_true (holds (self->depot, &empty));
        depot_stats (self->depot, &after);
        assert_int_equal (after.objects, before.objects);
        assert_int_equal (after.bytes, before.bytes);
        depots_reopen (self);
    }
    assert_int_equal (put_context (self->depot, 5000, 11, NULL), 0);
    assert_int_equal (depot_trim (self->depot, 0, NULL), 34);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, depots_setup, depots_teardown)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (a_flipped_bit_is_told_with_its_place_and_the_bytes_are_kept),
        TEST (the_quarantine_is_bounded),
        TEST (a_short_segment_costs_what_it_lacks),
        TEST (a_segment_that_is_gone_costs_what_it_had),
        TEST (what_is_forgotten_is_given_back),
        TEST (a_segment_in_which_nothing_lives_is_removed),
        TEST (a_segment_of_slack_is_emptied),
        TEST (more_segments_than_are_kept_open_are_read),
        TEST (bytes_of_no_transaction_are_cut_off),
        TEST (a_depot_of_version_1_is_brought_up_to_date),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
