/* depot_sql.c - the depot's database: its tables, its statements, and what SQLite's results mean for us. */
#include "common/depot_private.h"

#include <assert.h>
#include <errno.h>

enum { APPLICATION_ID = 0x46446570, DEPOT_VERSION = 1 };      /* "FDep" */

static const char lock_sql [] = "PRAGMA locking_mode = EXCLUSIVE;";

/* Of a new file only: auto_vacuum writes, and a depot on a full disk has to open too. */
static const char new_sql [] = "PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL;";

static const char open_sql [] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = OFF;"
    "PRAGMA cache_size = -4096; PRAGMA wal_autocheckpoint = 1000; PRAGMA journal_size_limit = 16777216; PRAGMA mmap_size = 0;";

static const char make_sql [] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE object (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE CHECK (length (digest) = 32),"
    " kinds INTEGER NOT NULL, is_open INTEGER NOT NULL, level INTEGER NOT NULL, raw_bytes INTEGER NOT NULL,"
    " content_bytes INTEGER NOT NULL, stored_bytes INTEGER NOT NULL, is_zstd INTEGER NOT NULL, used INTEGER NOT NULL) STRICT;"
    "CREATE TABLE body (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;"
    "CREATE TABLE edge (parent INTEGER NOT NULL, child INTEGER NOT NULL, PRIMARY KEY (parent, child)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX edge_child ON edge (child, parent);"
    "PRAGMA application_id = 1178887536; PRAGMA user_version = 1;"
    "COMMIT;";

static const char temp_sql [] =
    "CREATE TEMP TABLE doomed (id INTEGER PRIMARY KEY);"
    "CREATE TEMP TABLE root (id INTEGER PRIMARY KEY);"
    "CREATE TEMP TABLE free (used INTEGER, id INTEGER, PRIMARY KEY (used, id)) WITHOUT ROWID;";

static const char *const texts [SQL_STATEMENTS] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_FIND] = "SELECT id, kinds, is_open, level, raw_bytes, content_bytes, used FROM object WHERE digest = :digest",
    [SQL_ADD] = "INSERT INTO object (digest, kinds, is_open, level, raw_bytes, content_bytes, stored_bytes, is_zstd, used)"
                " VALUES (:digest, :kinds, :is_open, :level, :raw_bytes, :content_bytes, :stored_bytes, :is_zstd, :used)",
    [SQL_ADD_BODY] = "INSERT INTO body (id, data) VALUES (:id, :data)",
    [SQL_CHANGE] = "UPDATE object SET kinds = :kinds, is_open = :is_open, level = :level, content_bytes = :content_bytes,"
                   " used = :used WHERE id = :id",
    [SQL_ADD_EDGE] = "INSERT OR IGNORE INTO edge (parent, child) VALUES (:parent, :child)",
    [SQL_TOUCH] = "UPDATE object SET used = :used WHERE id = :id",
    [SQL_READ] = "SELECT id, kinds, raw_bytes, is_zstd, used, data FROM object JOIN body USING (id) WHERE digest = :digest",
    [SQL_COUNT] = "SELECT count (*), coalesce (sum (stored_bytes), 0), coalesce (max (used), 0) FROM object",
    [SQL_DOOM] = "INSERT INTO doomed (id) WITH RECURSIVE up (id) AS (SELECT :id UNION"
                 " SELECT parent FROM edge JOIN up ON child = up.id) SELECT id FROM up",
    [SQL_LOST] = "SELECT digest, id = :id, NOT EXISTS (SELECT 1 FROM edge WHERE child = object.id)"
                 " FROM doomed JOIN object USING (id)",
    [SQL_DOOMED_SIZE] = "SELECT count (*), coalesce (sum (stored_bytes), 0) FROM doomed JOIN object USING (id)",
    [SQL_DROP_EDGES] = "DELETE FROM edge WHERE parent IN (SELECT id FROM doomed)",
    [SQL_DROP_BODIES] = "DELETE FROM body WHERE id IN (SELECT id FROM doomed)",
    [SQL_DROP_OBJECTS] = "DELETE FROM object WHERE id IN (SELECT id FROM doomed)",
    [SQL_CLEAR_DOOMED] = "DELETE FROM doomed",
    [SQL_CLEAR_FREE] = "DELETE FROM free",
    [SQL_FILL_FREE] = "INSERT INTO free (used, id) SELECT used, id FROM object WHERE NOT EXISTS"
                      " (SELECT 1 FROM edge WHERE child = object.id)",
    [SQL_NEXT_FREE] = "SELECT free.id, stored_bytes FROM free JOIN object USING (id) ORDER BY free.used, free.id LIMIT 1",
    [SQL_TAKE_FREE] = "DELETE FROM free WHERE id = :id AND used = (SELECT used FROM object WHERE id = :id)",
    [SQL_CHILDREN] = "SELECT child FROM edge WHERE parent = :id",
    [SQL_FREE_CHILD] = "INSERT OR IGNORE INTO free (used, id) SELECT used, id FROM object WHERE id = :id AND NOT EXISTS"
                       " (SELECT 1 FROM edge WHERE child = :id)",
    [SQL_DELETE_EDGES] = "DELETE FROM edge WHERE parent = :id",
    [SQL_DELETE_BODY] = "DELETE FROM body WHERE id = :id",
    [SQL_DELETE_OBJECT] = "DELETE FROM object WHERE id = :id",
    [SQL_CLEAR_ROOTS] = "DELETE FROM root",
    [SQL_ADD_ROOT] = "INSERT OR IGNORE INTO root (id) VALUES (:id)",
    [SQL_SPARE] = "DELETE FROM free WHERE used >= :before OR id IN (SELECT id FROM root)",
    [SQL_NEXT_GARBAGE] = "SELECT free.id, stored_bytes FROM free JOIN object USING (id) WHERE free.used < :before"
                         " AND object.used < :before AND NOT EXISTS (SELECT 1 FROM root WHERE root.id = free.id)"
                         " AND NOT EXISTS (SELECT 1 FROM edge WHERE child = free.id) ORDER BY free.used, free.id LIMIT 1",
};

static int fail (depot_t *self, int rc, err_t *err)
{
    int system = self->db ? sqlite3_system_errno (self->db) : 0;
    if ((rc & 0xff) == SQLITE_FULL || ((rc & 0xff) == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT)))
        return err_set (err, ERR_FULL, "the depot %s: the disk is full; free some space", self->path);
    if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB)
        return err_set (err, ERR_FARM, "the depot %s is damaged (%s): stop the program and move the file away; what it held"
                        " is sent again", self->path, sqlite3_errstr (rc));
    if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED)
        return err_set (err, ERR_FARM, "the depot %s is in use by another process: end that one first", self->path);
    return err_set (err, ERR_FARM, "the depot %s: %s", self->path, self->db ? sqlite3_errmsg (self->db) : sqlite3_errstr (rc));
}

sqlite3_stmt *sql_bind (depot_t *self, sql_name name)
{
    sqlite3_stmt *statement = self->statements [name];
    sqlite3_reset (statement);
    sqlite3_clear_bindings (statement);
    return statement;
}

static int parameter (sqlite3_stmt *statement, const char *name)
{
    int index = sqlite3_bind_parameter_index (statement, name);
    assert (index > 0);
    return index;
}

void sql_bind_int (sqlite3_stmt *statement, const char *name, int64_t value)
{
    sqlite3_bind_int64 (statement, parameter (statement, name), value);
}

void sql_bind_blob (sqlite3_stmt *statement, const char *name, const void *data, size_t size)
{
    sqlite3_bind_blob64 (statement, parameter (statement, name), size ? data : "", size, SQLITE_STATIC);
}

int sql_step (depot_t *self, sqlite3_stmt *statement, err_t *err)
{
    int rc = sqlite3_step (statement);
    if (rc == SQLITE_ROW)
        return 1;
    if (rc != SQLITE_DONE)
        fail (self, sqlite3_extended_errcode (self->db), err);
    sqlite3_reset (statement);
    return rc == SQLITE_DONE ? 0 : -1;
}

int sql_run (depot_t *self, sql_name name, err_t *err)
{
    return sql_step (self, sql_bind (self, name), err);
}

int sql_run_id (depot_t *self, sql_name name, int64_t id, err_t *err)
{
    sqlite3_stmt *statement = sql_bind (self, name);
    sql_bind_int (statement, ":id", id);
    return sql_step (self, statement, err);
}

int sql_count (depot_t *self, err_t *err)
{
    sqlite3_stmt *statement = sql_bind (self, SQL_COUNT);
    if (sql_step (self, statement, err) < 0)
        return -1;
    self->stats.objects = (uint64_t) sqlite3_column_int64 (statement, 0);
    self->stats.bytes = (uint64_t) sqlite3_column_int64 (statement, 1);
    self->now = sqlite3_column_int64 (statement, 2) + 1;
    sqlite3_reset (statement);
    return 0;
}

static int execute (depot_t *self, const char *text, err_t *err)
{
    int rc = sqlite3_exec (self->db, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : fail (self, sqlite3_extended_errcode (self->db), err);
}

static int read_pragma (depot_t *self, const char *text, int64_t *value, err_t *err)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2 (self->db, text, -1, &statement, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step (statement);
    *value = rc == SQLITE_ROW ? sqlite3_column_int64 (statement, 0) : 0;
    sqlite3_finalize (statement);
    return rc == SQLITE_ROW ? 0 : fail (self, rc, err);
}

static int make (depot_t *self, err_t *err)
{
    return execute (self, new_sql, err) < 0 || execute (self, open_sql, err) < 0 ? -1 : execute (self, make_sql, err);
}

static int check_or_make (depot_t *self, err_t *err)
{
    int64_t application, version, tables;
    if (read_pragma (self, "SELECT count (*) FROM sqlite_schema", &tables, err) < 0)
        return -1;
    if (tables == 0)
        return make (self, err);
    if (execute (self, open_sql, err) < 0
    ||  read_pragma (self, "PRAGMA application_id", &application, err) < 0
    ||  read_pragma (self, "PRAGMA user_version", &version, err) < 0)
        return -1;
    if (application != APPLICATION_ID)
        return err_set (err, ERR_FARM, "%s is a database, but no depot: give another folder", self->path);
    if (version != DEPOT_VERSION)
        return err_set (err, ERR_FARM, "the depot %s has version %lld and this program knows %d: install the newer program, or"
                        " move the file away", self->path, (long long) version, DEPOT_VERSION);
    return 0;
}

static int prepare (depot_t *self, err_t *err)
{
    for (int i = 0; i < SQL_STATEMENTS; i++) {
        int rc = sqlite3_prepare_v3 (self->db, texts [i], -1, SQLITE_PREPARE_PERSISTENT, &self->statements [i], NULL);
        if (rc != SQLITE_OK)
            return fail (self, rc, err);
    }
    return 0;
}

int sql_open (depot_t *self, err_t *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2 (self->path, &self->db, flags, NULL);
    if (rc != SQLITE_OK)
        return fail (self, rc, err);
    if (execute (self, lock_sql, err) < 0 || check_or_make (self, err) < 0 || execute (self, temp_sql, err) < 0)
        return -1;
    return prepare (self, err) < 0 ? -1 : sql_count (self, err);
}

int sql_relax (depot_t *self, err_t *err)
{
    return execute (self, "PRAGMA synchronous = NORMAL;", err);
}

void sql_close (depot_t *self)
{
    for (int i = 0; i < SQL_STATEMENTS; i++) {
        sqlite3_finalize (self->statements [i]);
        self->statements [i] = NULL;
    }
    sqlite3_close (self->db);
    self->db = NULL;
}
