/* stores_sqlite.c - the two stores of the bench that have their rows in SQLite. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "stores.h"

/* -- SQLite: bodies as blobs ------------------------------------------------------------------------------------ */

static sqlite3 *db;
static sqlite3_stmt *begin_, *commit_, *find_, *add_, *delete_, *add_body, *read_, *delete_body, *before_, *after_;

static sqlite3_stmt *prepare (const char *text)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3 (db, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK)
        errx (1, "%s: %s", text, sqlite3_errmsg (db));
    return statement;
}

/* Returns whether there is a row. */
static bool step (sqlite3_stmt *statement)
{
    int rc = sqlite3_step (statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        errx (1, "sqlite: %s", sqlite3_errmsg (db));
    return rc == SQLITE_ROW;
}

static void run (sqlite3_stmt *statement)
{
    sqlite3_reset (statement);
    step (statement);
    sqlite3_reset (statement);
}

static void open_db (const char *folder, const char *tables)
{
    MUST (sqlite3_open (path_in (folder, "objects.db"), &db) == SQLITE_OK);
    const char *pragmas = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL;"
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -4096; PRAGMA wal_autocheckpoint = 1000;"
        "PRAGMA journal_size_limit = 16777216;";
    MUST (sqlite3_exec (db, pragmas, NULL, NULL, NULL) == SQLITE_OK && sqlite3_exec (db, tables, NULL, NULL, NULL) == SQLITE_OK);
    begin_ = prepare ("BEGIN IMMEDIATE");
    commit_ = prepare ("COMMIT");
}

static void blobs_open (const char *folder)
{
    open_db (folder, "CREATE TABLE IF NOT EXISTS object (id INTEGER PRIMARY KEY, digest BLOB UNIQUE, size INTEGER);"
             "CREATE TABLE IF NOT EXISTS body (id INTEGER PRIMARY KEY, data BLOB);");
    find_ = prepare ("SELECT id FROM object WHERE digest = ?1");
    add_ = prepare ("INSERT INTO object (digest, size) VALUES (?1, ?2)");
    delete_ = prepare ("DELETE FROM object WHERE id = ?1");
    add_body = prepare ("INSERT INTO body (id, data) VALUES (?1, ?2)");
    read_ = prepare ("SELECT data FROM object JOIN body USING (id) WHERE digest = ?1");
    delete_body = prepare ("DELETE FROM body WHERE id = ?1");
}

static void sql_begin (void)
{
    run (begin_);
}

static void sql_commit (void)
{
    run (commit_);
}

static void blobs_put (const key_ *key, const void *data, size_t size)
{
    sqlite3_bind_blob (add_, 1, key, sizeof *key, SQLITE_STATIC);
    sqlite3_bind_int64 (add_, 2, (sqlite3_int64) size);
    run (add_);
    sqlite3_bind_int64 (add_body, 1, sqlite3_last_insert_rowid (db));
    sqlite3_bind_blob (add_body, 2, data, (int) size, SQLITE_STATIC);
    run (add_body);
}

static size_t blobs_get (const key_ *key, void *out)
{
    sqlite3_bind_blob (read_, 1, key, sizeof *key, SQLITE_STATIC);
    MUST (step (read_));
    size_t size = (size_t) sqlite3_column_bytes (read_, 0);
    memcpy (out, sqlite3_column_blob (read_, 0), size);
    sqlite3_reset (read_);
    return size;
}

static sqlite3_int64 id_of (const key_ *key)
{
    sqlite3_bind_blob (find_, 1, key, sizeof *key, SQLITE_STATIC);
    MUST (step (find_));
    sqlite3_int64 id = sqlite3_column_int64 (find_, 0);
    sqlite3_reset (find_);
    return id;
}

static void blobs_del (const key_ *key)
{
    sqlite3_int64 id = id_of (key);
    sqlite3_bind_int64 (delete_, 1, id);
    sqlite3_bind_int64 (delete_body, 1, id);
    run (delete_);
    run (delete_body);
}

static void sql_tidy (void)
{
    MUST (sqlite3_exec (db, "PRAGMA incremental_vacuum", NULL, NULL, NULL) == SQLITE_OK);
}

static void sql_close (void)
{
    sqlite3_stmt *statement;
    while ((statement = sqlite3_next_stmt (db, NULL)))
        sqlite3_finalize (statement);
    MUST (sqlite3_close (db) == SQLITE_OK);
}

/* -- segments: bodies appended to files, rows in SQLite ------------------------------------------------------------ */

enum { SEGMENT_BYTES = 128 * 1024 * 1024, SEGMENTS_MAX = 64, SPAN_MAX = 4096 };
static int segments [SEGMENTS_MAX];
static char segments_folder [512];
static size_t segment;
static off_t segment_end;
typedef struct { int segment; off_t from, to; } span_t;
static span_t freed [SPAN_MAX];
static size_t freed_count;

static int segment_fd (size_t number)
{
    char name [32];
    snprintf (name, sizeof name, "%06zu", number);
    MUST (number < SEGMENTS_MAX);
    if (segments [number] <= 0)
        segments [number] = open (path_in (segments_folder, name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    MUST (segments [number] > 0);
    return segments [number];
}

static void segments_open (const char *folder)
{
    snprintf (segments_folder, sizeof segments_folder, "%s", folder);
    open_db (folder, "CREATE TABLE IF NOT EXISTS object (id INTEGER PRIMARY KEY, key INTEGER, digest BLOB, segment INTEGER,"
             " offset INTEGER, size INTEGER); CREATE INDEX IF NOT EXISTS object_key ON object (key);"
             "CREATE INDEX IF NOT EXISTS object_place ON object (segment, offset);");
    find_ = prepare ("SELECT id, segment, offset, size FROM object WHERE key = ?2 AND digest = ?1");
    add_ = prepare ("INSERT INTO object (digest, key, segment, offset, size) VALUES (?1, ?2, ?3, ?4, ?5)");
    delete_ = prepare ("DELETE FROM object WHERE id = ?1");
    before_ = prepare ("SELECT offset + size FROM object WHERE segment = ?1 AND offset < ?2 ORDER BY offset DESC LIMIT 1");
    after_ = prepare ("SELECT offset FROM object WHERE segment = ?1 AND offset > ?2 ORDER BY offset LIMIT 1");
}

static void bind_key (sqlite3_stmt *statement, const key_ *key)
{
    sqlite3_int64 prefix;
    memcpy (&prefix, key, sizeof prefix);
    sqlite3_bind_blob (statement, 1, key, sizeof *key, SQLITE_STATIC);
    sqlite3_bind_int64 (statement, 2, prefix);
}

static void segments_put (const key_ *key, const void *data, size_t size)
{
    if (segment_end + (off_t) size > SEGMENT_BYTES) {
        MUST (fdatasync (segment_fd (segment)) == 0);
        segment++;
        segment_end = 0;
    }
    MUST (pwrite (segment_fd (segment), data, size, segment_end) == (ssize_t) size);
    bind_key (add_, key);
    sqlite3_bind_int64 (add_, 3, (sqlite3_int64) segment);
    sqlite3_bind_int64 (add_, 4, segment_end);
    sqlite3_bind_int64 (add_, 5, (sqlite3_int64) size);
    run (add_);
    segment_end += (off_t) size;
}

static size_t segments_get (const key_ *key, void *out)
{
    bind_key (find_, key);
    MUST (step (find_));
    size_t size = (size_t) sqlite3_column_int64 (find_, 3);
    int fd = segment_fd ((size_t) sqlite3_column_int64 (find_, 1));
    MUST (pread (fd, out, size, (off_t) sqlite3_column_int64 (find_, 2)) == (ssize_t) size);
    sqlite3_reset (find_);
    return size;
}

static void segments_del (const key_ *key)
{
    bind_key (find_, key);
    MUST (step (find_));
    off_t from = (off_t) sqlite3_column_int64 (find_, 2);
    MUST (freed_count < SPAN_MAX);
    freed [freed_count++] = (span_t) { sqlite3_column_int (find_, 1), from, from + (off_t) sqlite3_column_int64 (find_, 3) };
    sqlite3_bind_int64 (delete_, 1, sqlite3_column_int64 (find_, 0));
    sqlite3_reset (find_);
    run (delete_);
}

static off_t neighbour (sqlite3_stmt *statement, const span_t *span, off_t otherwise)
{
    sqlite3_bind_int64 (statement, 1, span->segment);
    sqlite3_bind_int64 (statement, 2, span->from);
    off_t found = step (statement) ? (off_t) sqlite3_column_int64 (statement, 0) : otherwise;
    sqlite3_reset (statement);
    return found;
}

/* Holes are punched after the commit, from the live neighbour before to the one behind, in whole blocks. */
static void segments_commit (void)
{
    MUST (fdatasync (segment_fd (segment)) == 0);
    run (commit_);
    for (size_t i = 0; i < freed_count; i++) {
        off_t from = (neighbour (before_, &freed [i], 0) + 4095) & ~(off_t) 4095;
        off_t to = neighbour (after_, &freed [i], SEGMENT_BYTES) & ~(off_t) 4095;
        if (to > from)
            MUST (fallocate (segment_fd ((size_t) freed [i].segment), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, to - from) == 0);
    }
    freed_count = 0;
}

static void segments_close (void)
{
    for (size_t i = 0; i < SEGMENTS_MAX; i++)
        if (segments [i] > 0)
            close (segments [i]);
    memset (segments, 0, sizeof segments);
    sql_close ();
}

const store_t blobs_store = {
    "SQLite, bodies as blobs", blobs_open, sql_begin, blobs_put, blobs_get, blobs_del, sql_commit, sql_tidy, sql_close
};

const store_t segments_store = {
    "segments, rows in SQLite", segments_open, sql_begin, segments_put, segments_get, segments_del, segments_commit, sql_tidy,
    segments_close
};
