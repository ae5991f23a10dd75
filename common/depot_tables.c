/* depot_tables.c - the tables of a depot's database: made in a new file, brought up to date in one of the versions before. */
#include <string.h>

#include "common/depot_private.h"

enum { APPLICATION_ID = 0x46446570, DEPOT_VERSION = 3 };      /* "FDep" */

static const char lock_sql [] = "PRAGMA locking_mode = EXCLUSIVE;";

/* Of a new file only: auto_vacuum writes, and a depot on a full disk has to open too. */
static const char new_sql [] = "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;";

static const char open_sql [] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = OFF;"
    "PRAGMA cache_size = -4096; PRAGMA wal_autocheckpoint = 2000; PRAGMA journal_size_limit = 16777216; PRAGMA mmap_size = 0;";

/* The index has the first 8 bytes of the digest, as a number: a third of the pages that 32 would dirty. */
static const char make_object_sql [] =
    "CREATE TABLE object (id INTEGER PRIMARY KEY, key INTEGER NOT NULL, digest BLOB NOT NULL CHECK (length (digest) = 32),"
    " kinds INTEGER NOT NULL, is_open INTEGER NOT NULL, level INTEGER NOT NULL, raw_bytes INTEGER NOT NULL,"
    " content_bytes INTEGER NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL, stored_bytes INTEGER NOT NULL,"
    " is_zstd INTEGER NOT NULL, used INTEGER NOT NULL, entries INTEGER NOT NULL DEFAULT 0, tree_bytes INTEGER NOT NULL DEFAULT 0,"
    " depth INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX object_key ON object (key);"
    "CREATE INDEX object_place ON object (segment, offset, stored_bytes);"
    "CREATE TABLE freed (segment INTEGER NOT NULL, offset INTEGER NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (segment, offset))"
    " STRICT, WITHOUT ROWID;";

static const char make_edge_sql [] =
    "CREATE TABLE edge (parent INTEGER NOT NULL, child INTEGER NOT NULL, PRIMARY KEY (parent, child)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX edge_child ON edge (child, parent);"
    "PRAGMA application_id = 1178887536; PRAGMA user_version = 3;";

static const char add_extents_sql [] =
    "ALTER TABLE object ADD COLUMN entries INTEGER NOT NULL DEFAULT 0; ALTER TABLE object ADD COLUMN tree_bytes INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE object ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;";

/* The folders whose extents are to be found once the depot is open (depot_extent.c): 28 is IS_FOLDER, IS_ROOT, IS_LONG_FOLDER. */
static const char note_unmeasured_sql [] =
    "CREATE TABLE unmeasured (id INTEGER PRIMARY KEY) STRICT; INSERT INTO unmeasured SELECT id FROM object WHERE kinds & 28;"
    "PRAGMA user_version = 3;";

static int read_number (depot_t *self, const char *text, int64_t *value, err_t *err)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2 (self->db, text, -1, &statement, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step (statement);
    *value = rc == SQLITE_ROW ? sqlite3_column_int64 (statement, 0) : 0;
    sqlite3_finalize (statement);
    return rc == SQLITE_ROW ? 0 : sql_fail (self, rc, err);
}

static int make (depot_t *self, err_t *err)
{
    return sql_execute (self, new_sql, err) < 0 || sql_execute (self, open_sql, err) < 0 || sql_execute (self, "BEGIN IMMEDIATE", err) < 0
        || sql_execute (self, make_object_sql, err) < 0 || sql_execute (self, make_edge_sql, err) < 0
        || sql_execute (self, "COMMIT", err) < 0 ? -1 : 0;
}

/* -- from version 1, which had the bytes in a table `body` ------------------------------------------------------ */

static int bind_row (depot_t *self, sqlite3_stmt *add, sqlite3_stmt *old, err_t *err)
{
    digest_t digest = { { 0 } };
    place_t place;
    if (sqlite3_column_bytes (old, 1) == DIGEST_SIZE)
        memcpy (digest.bytes, sqlite3_column_blob (old, 1), DIGEST_SIZE);
    if (bodies_append (self, sqlite3_column_blob (old, 9), (size_t) sqlite3_column_bytes (old, 9), &place, err) < 0)
        return -1;
    sqlite3_reset (add);
    for (int i = 0; i < 9; i++)
        sqlite3_bind_value (add, i + 1, sqlite3_column_value (old, i));
    sqlite3_bind_int64 (add, 10, place.segment);
    sqlite3_bind_int64 (add, 11, place.offset);
    sqlite3_bind_int64 (add, 12, place.size);
    sqlite3_bind_int64 (add, 13, sql_key (&digest));
    return sqlite3_step (add) == SQLITE_DONE ? 0 : sql_fail (self, sqlite3_extended_errcode (self->db), err);
}

static int move_rows (depot_t *self, err_t *err)
{
    static const char old_sql [] = "SELECT id, digest, kinds, is_open, level, raw_bytes, content_bytes, is_zstd, used, data"
                                   " FROM old JOIN body USING (id) ORDER BY id";
    static const char add_sql [] = "INSERT INTO object (id, digest, kinds, is_open, level, raw_bytes, content_bytes, is_zstd, used,"
                                   " segment, offset, stored_bytes, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    sqlite3_stmt *old = NULL, *add = NULL;
    int rc = sqlite3_prepare_v2 (self->db, old_sql, -1, &old, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2 (self->db, add_sql, -1, &add, NULL);
    int moved = rc == SQLITE_OK ? 0 : sql_fail (self, rc, err);
    while (moved == 0 && (rc = sqlite3_step (old)) == SQLITE_ROW)
        moved = bind_row (self, add, old, err);
    if (moved == 0 && rc != SQLITE_DONE)
        moved = sql_fail (self, rc, err);
    sqlite3_finalize (old);
    sqlite3_finalize (add);
    return moved;
}

/* In one transaction: a kill leaves the old version, and segments that are written over. */
static int move_bytes_out (depot_t *self, err_t *err)
{
    const place_t start = { .segment = 1 };
    if (bodies_open (self, &start, err) == 0
    &&  sql_execute (self, "BEGIN IMMEDIATE; ALTER TABLE object RENAME TO old", err) == 0
    &&  sql_execute (self, make_object_sql, err) == 0 && move_rows (self, err) == 0 && bodies_sync (self, err) == 0
    &&  sql_execute (self, "DROP TABLE body; DROP TABLE old", err) == 0 && sql_execute (self, note_unmeasured_sql, err) == 0
    &&  sql_execute (self, "COMMIT; PRAGMA incremental_vacuum", err) == 0)
        return 0;
    return err_wrap (err, "bring the depot %s to version %d, for which it needs as much space again", self->folder, DEPOT_VERSION);
}

/* -- from version 2, which knew no extents ----------------------------------------------------------------------- */

static int add_extents (depot_t *self, err_t *err)
{
    return sql_execute (self, "BEGIN IMMEDIATE", err) < 0 || sql_execute (self, add_extents_sql, err) < 0
        || sql_execute (self, note_unmeasured_sql, err) < 0 || sql_execute (self, "COMMIT", err) < 0 ? -1 : 0;
}

/* -- any --------------------------------------------------------------------------------------------------------- */

int tables_open (depot_t *self, err_t *err)
{
    int64_t application, version, tables;
    if (sql_execute (self, lock_sql, err) < 0 || read_number (self, "SELECT count (*) FROM sqlite_schema", &tables, err) < 0)
        return -1;
    if (tables == 0)
        return make (self, err);
    if (sql_execute (self, open_sql, err) < 0
    ||  read_number (self, "PRAGMA application_id", &application, err) < 0
    ||  read_number (self, "PRAGMA user_version", &version, err) < 0)
        return -1;
    if (application != APPLICATION_ID)
        return err_set (err, ERR_FARM, "%s is a database, but no depot: give another folder", self->path);
    if (version == 1)
        return move_bytes_out (self, err);
    if (version == 2)
        return add_extents (self, err);
    if (version != DEPOT_VERSION)
        return err_set (err, ERR_FARM, "the depot %s has version %lld and this program knows %d: install the newer program, or"
                        " move its folder away", self->path, (long long) version, DEPOT_VERSION);
    return 0;
}
