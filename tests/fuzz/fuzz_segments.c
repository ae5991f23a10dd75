/* fuzz_segments.c - a depot of five objects whose rows a disk has damaged. Each 11 bytes change one number: the row, the column, a
 * sign or a shift, and eight bytes of value; a row above 4 is a note of bytes that were given back.
 *
 * covers: common/depot.c common/depot_bodies.c common/depot_space.c common/depot_damage.c common/depot_drop.c common/depot_collect.c */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "common/depot.h"
#include "common/file.h"
#include "fuzz.h"

enum { OBJECTS = 5, CHANGE_SIZE = 11, CHANGES_MAX = 16, COPY_MAX = 1024 * 1024 };

static char *model, *folder;        /* of the depot as it was; of the one that is tried */
static digest_t digests [OBJECTS];

/* Content, a folder with it, a list, and content that is compressed. */
static void make_object (size_t i, object_kind *kind, buffer_t *out)
{
    tree_entry_t entry = { .kind = TREE_FILE, .name = "a", .name_size = 1, .content = { .size_bytes = 7, .digest = digests [0] } };
    list_item_t item = { 7, digests [0] };
    *kind = i == 1 ? OBJECT_FOLDER : i == 2 ? OBJECT_LIST : OBJECT_CONTENT;
    if (i == 0)
        buffer_text (out, "content");
    else if (i == 1)
        tree_write_entry (out, &entry);
    else if (i == 2)
        list_write_item (out, &item);
    else
        for (size_t line = 0; line < 400 * i; line++)
            buffer_printf (out, "line %zu\n", i == 3 ? line : line * line * 2654435761u);
}

static void make_model (void)
{
    err_t err;
    depot_t *depot;
    model = mem_printf ("%s/model", fuzz_folder ());
    folder = mem_printf ("%s/depot", fuzz_folder ());
    MUST (depot_open (&depot, model, &err) == 0 && depot_begin (depot, &err) == 0);
    for (size_t i = 0; i < OBJECTS; i++) {
        object_kind kind;
        AUTO_BUFFER buffer_t bytes = { 0 };
        make_object (i, &kind, &bytes);
        digests [i] = digest_of (bytes.data, bytes.size);
        MUST (depot_put (depot, kind, &digests [i], bytes.data, bytes.size, &err) == 0);
    }
    MUST (depot_commit (depot, &err) == 0);
    depot_destroy (&depot);
}

static void copy_file (const char *name)
{
    AUTO_FREE char *from = file_join (model, name);
    AUTO_FREE char *to = file_join (folder, name);
    AUTO_BUFFER buffer_t bytes = { 0 };
    MUST (file_read (from, COPY_MAX, &bytes, NULL) == 0 && file_write_scratch (to, bytes.data, bytes.size, 0600, NULL) == 0);
}

static void copy_model (void)
{
    AUTO_FREE char *segments = file_join (folder, "segments");
    MUST (file_remove_tree (folder, NULL) == 0 && file_make_folders (segments, 0700, NULL) == 0);
    copy_file ("objects.db");
    copy_file ("segments/000001");
}

/* -- damage ----------------------------------------------------------------------------------------------------- */

static void change_row (sqlite3 *db, const uint8_t *bytes)
{
    static const char *const columns [] = { "key", "kinds", "is_open", "level", "raw_bytes", "content_bytes", "segment", "offset",
                                            "stored_bytes", "is_zstd", "used" };
    char text [256];
    uint64_t number = 0;
    for (int i = 3; i < CHANGE_SIZE; i++)
        number = number << 8 | bytes [i];
    long long value = (long long) (number >> bytes [2] % 64);
    if (bytes [0] % (OBJECTS + 2) >= OBJECTS)
        snprintf (text, sizeof text, "INSERT OR REPLACE INTO freed VALUES (%u, %lld, %lld)", bytes [1], value,
                  (long long) (number >> bytes [2] / 4));
    else
        snprintf (text, sizeof text, "UPDATE object SET %s = %lld WHERE id = (SELECT id FROM object ORDER BY id LIMIT 1 OFFSET %d)",
                  columns [bytes [1] % 11], value, bytes [0] % (OBJECTS + 2));
    MUST (sqlite3_exec (db, text, NULL, NULL, NULL) == SQLITE_OK);
}

static void change_rows (const uint8_t *data, size_t size)
{
    sqlite3 *db;
    AUTO_FREE char *path = file_join (folder, "objects.db");
    MUST (sqlite3_open (path, &db) == SQLITE_OK);
    MUST (sqlite3_exec (db, "PRAGMA synchronous = OFF; BEGIN", NULL, NULL, NULL) == SQLITE_OK);
    for (int i = 0; i < CHANGES_MAX && size >= CHANGE_SIZE; i++, data += CHANGE_SIZE, size -= CHANGE_SIZE)
        change_row (db, data);
    MUST (sqlite3_exec (db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close (db);
}

/* -- use -------------------------------------------------------------------------------------------------------- */

/* It gives the right bytes, or none. */
static void read_objects (depot_t *depot)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        object_kind kind;
        AUTO_BUFFER buffer_t found = { 0 };
        depot_has (depot, &digests [i]);
        if (depot_get (depot, &digests [i], &found, &kind, NULL) < 0)
            continue;
        digest_t own = digest_of (found.data, found.size);
        MUST (digest_equal (&own, &digests [i]));
    }
}

/* What was lost can be put again. */
static void put_objects (depot_t *depot)
{
    err_t err;
    if (depot_begin (depot, &err) < 0)
        return;
    bool is_good = true;
    for (size_t i = 0; i < OBJECTS && is_good; i++) {
        object_kind kind;
        AUTO_BUFFER buffer_t bytes = { 0 };
        make_object (i, &kind, &bytes);
        is_good = depot_put (depot, kind, &digests [i], bytes.data, bytes.size, &err) == 0;
    }
    if (!is_good || depot_commit (depot, &err) < 0)
        depot_rollback (depot);
}

static void give_back (depot_t *depot)
{
    depot_gone_t gone = { 0 };
    depot_lost_t lost;
    depot_root_t root = { .digest = digests [0], .used_ms = INT64_MAX };
    depot_wish_t wish = { .before = depot_mark (depot) };
    if (depot_collect_begin (depot, &root, 1, &wish, NULL) == 0)
        for (int i = 0; i < 100 && depot_collect_step (depot, &gone, NULL) > 0; i++)
            ;
    depot_trim (depot, 100, NULL);
    while (depot_next_lost (depot, &lost))
        ;
}

FUZZ_TARGET (segments)
{
    depot_t *depot;
    depot_stats_t stats;
    if (!model)
        make_model ();
    copy_model ();
    change_rows (data, size);
    if (depot_open (&depot, folder, NULL) < 0)
        return;
    depot_relax (depot, NULL);
    read_objects (depot);
    put_objects (depot);
    read_objects (depot);
    give_back (depot);
    depot_stats (depot, &stats);
    depot_destroy (&depot);
}
