/* depot_sql.c - the depot's database: its statements, and what SQLite's results mean for us. */
#include "common/depot_private.h"

#include <assert.h>
#include <errno.h>

static const char temp_sql [] =
    "CREATE TEMP TABLE doomed (id INTEGER PRIMARY KEY, is_damaged INTEGER);"
    "CREATE TEMP TABLE root (id INTEGER PRIMARY KEY, used_ms INTEGER);"
    "CREATE INDEX temp.root_used ON root (used_ms, id);"
    "CREATE TEMP TABLE seen (id INTEGER PRIMARY KEY);"
    "CREATE TEMP TABLE free (used INTEGER, id INTEGER, PRIMARY KEY (used, id)) WITHOUT ROWID;";

static const char *const texts [SQL_STATEMENTS] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_FIND] = "SELECT id, kinds, is_open, level, raw_bytes, content_bytes, segment, offset, stored_bytes, is_zstd, used, entries,"
                 " tree_bytes, depth FROM object WHERE key = :key AND digest = :digest",
    [SQL_ADD] = "INSERT INTO object (key, digest, kinds, is_open, level, raw_bytes, content_bytes, segment, offset, stored_bytes,"
                " is_zstd, used, entries, tree_bytes, depth) VALUES (:key, :digest, :kinds, :is_open, :level, :raw_bytes, :content_bytes,"
                " :segment, :offset, :stored_bytes, :is_zstd, :used, :entries, :tree_bytes, :depth)",
    [SQL_CHANGE] = "UPDATE object SET kinds = :kinds, is_open = :is_open, level = :level, content_bytes = :content_bytes,"
                   " used = :used, entries = :entries, tree_bytes = :tree_bytes, depth = :depth WHERE id = :id",
    [SQL_ADD_EDGE] = "INSERT OR IGNORE INTO edge (parent, child) VALUES (:parent, :child)",
    [SQL_TOUCH] = "UPDATE object SET used = :used WHERE id = :id",
    [SQL_COUNT] = "SELECT count (*), coalesce (sum (stored_bytes) FILTER (WHERE stored_bytes BETWEEN 0 AND :most), 0),"
                  " coalesce (max (used) FILTER (WHERE used < :latest), 0) FROM object",
    [SQL_DOOM] = "INSERT INTO doomed (id, is_damaged) VALUES (:id, 1)",
    [SQL_DOOM_BEHIND] = "INSERT INTO doomed (id, is_damaged) SELECT id, 1 FROM object WHERE segment = :segment"
                        " AND offset + stored_bytes > :offset",
    [SQL_DOOM_ABOVE] = "INSERT OR IGNORE INTO doomed (id, is_damaged) WITH RECURSIVE up (id) AS (SELECT id FROM doomed UNION"
                       " SELECT parent FROM edge JOIN up ON child = up.id) SELECT id, 0 FROM up",
    [SQL_DOOMED] = "SELECT digest, is_damaged, NOT EXISTS (SELECT 1 FROM edge WHERE child = object.id), segment, offset, stored_bytes"
                   " FROM doomed JOIN object USING (id)",
    [SQL_DROP_EDGES] = "DELETE FROM edge WHERE parent IN (SELECT id FROM doomed)",
    [SQL_DROP_OBJECTS] = "DELETE FROM object WHERE id IN (SELECT id FROM doomed)",
    [SQL_CLEAR_DOOMED] = "DELETE FROM doomed",
    [SQL_CLEAR_FREE] = "DELETE FROM free",
    [SQL_FILL_FREE] = "INSERT INTO free (used, id) SELECT used, id FROM object WHERE NOT EXISTS"
                      " (SELECT 1 FROM edge WHERE child = object.id)",
    [SQL_NEXT_FREE] = "SELECT free.id, segment, offset, stored_bytes FROM free JOIN object USING (id) ORDER BY free.used, free.id LIMIT 1",
    [SQL_TAKE_FREE] = "DELETE FROM free WHERE id = :id AND used = (SELECT used FROM object WHERE id = :id)",
    [SQL_CHILDREN] = "SELECT child FROM edge WHERE parent = :id",
    [SQL_FREE_CHILD] = "INSERT OR IGNORE INTO free (used, id) SELECT used, id FROM object WHERE id = :id AND NOT EXISTS"
                       " (SELECT 1 FROM edge WHERE child = :id AND NOT EXISTS (SELECT 1 FROM seen WHERE seen.id = parent))",
    [SQL_DELETE_EDGES] = "DELETE FROM edge WHERE parent = :id",
    [SQL_DELETE_OBJECT] = "DELETE FROM object WHERE id = :id",
    [SQL_CLEAR_ROOTS] = "DELETE FROM root",
    [SQL_ADD_ROOT] = "INSERT INTO root (id, used_ms) VALUES (:id, :used_ms) ON CONFLICT DO UPDATE SET used_ms = max (used_ms, :used_ms)",
    [SQL_OLDEST_ROOT] = "SELECT root.id FROM root JOIN object USING (id) WHERE used_ms < :never AND object.used < :before"
                        " ORDER BY used_ms, root.id LIMIT 1",
    [SQL_DROP_ROOT] = "DELETE FROM root WHERE id = :id",
    [SQL_SPARE] = "DELETE FROM free WHERE id IN (SELECT id FROM root)",
    [SQL_NEXT_GARBAGE] = "SELECT free.id, segment, offset, stored_bytes, kinds FROM free JOIN object USING (id) WHERE free.used < :before"
                         " AND object.used < :before AND NOT EXISTS (SELECT 1 FROM root WHERE root.id = free.id)"
                         " AND NOT EXISTS (SELECT 1 FROM seen WHERE seen.id = free.id)"
                         " AND NOT EXISTS (SELECT 1 FROM edge WHERE child = free.id AND NOT EXISTS (SELECT 1 FROM seen WHERE seen.id = parent))"
                         " ORDER BY free.used, free.id LIMIT 1",
    [SQL_ADD_SEEN] = "INSERT OR IGNORE INTO seen (id) VALUES (:id)",
    [SQL_CLEAR_SEEN] = "DELETE FROM seen",
    [SQL_FREED] = "SELECT segment, offset, size FROM freed",
    [SQL_ADD_FREED] = "INSERT OR REPLACE INTO freed (segment, offset, size) VALUES (:segment, :offset, :size)",
    [SQL_CLEAR_FREED] = "DELETE FROM freed",
    [SQL_LIVE_BEFORE] = "SELECT offset + stored_bytes FROM object WHERE segment = :segment AND offset < :offset"
                        " ORDER BY offset DESC LIMIT 1",
    [SQL_LIVE_BEHIND] = "SELECT offset FROM object WHERE segment = :segment AND offset > :offset ORDER BY offset LIMIT 1",
    [SQL_SEGMENTS] = "SELECT segment, sum (stored_bytes), max (offset + stored_bytes) FROM object WHERE segment > 0 GROUP BY segment",
    [SQL_NEXT_IN_SEGMENT] = "SELECT id, offset, stored_bytes FROM object WHERE segment = :segment ORDER BY offset LIMIT 1",
    [SQL_MOVE] = "UPDATE object SET segment = :segment, offset = :offset WHERE id = :id",
    [SQL_END] = "SELECT segment, offset + stored_bytes FROM object WHERE segment BETWEEN 1 AND :last AND offset BETWEEN 0 AND :most"
                " AND stored_bytes BETWEEN 1 AND :most ORDER BY segment DESC, offset DESC LIMIT 1",
    [SQL_OWN] = "INSERT OR IGNORE INTO owner (object, owner) VALUES (:id, :owner)",
    [SQL_IS_OWN] = "SELECT 1 FROM owner WHERE object = :id AND owner = :owner",
    [SQL_NOT_OWN] = "SELECT digest FROM edge JOIN object ON object.id = child WHERE parent = :id AND NOT EXISTS"
                    " (SELECT 1 FROM owner WHERE owner.object = child AND owner.owner = :owner) LIMIT 1",
    [SQL_DISOWN] = "DELETE FROM owner WHERE object = :id",
};

int sql_fail (depot_t *self, int rc, err_t *err)
{
    int system = self->db ? sqlite3_system_errno (self->db) : 0;
    if ((rc & 0xff) == SQLITE_FULL || ((rc & 0xff) == SQLITE_IOERR && err_is_full (system)))
        return err_set (err, ERR_FULL, "the depot %s: %s", self->path,
                        system == EFBIG ? "the limit of a file's size is reached; raise it (LimitFSIZE, ulimit -f)" : "the disk is full; free some space");
    if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB)
        return err_set (err, ERR_FARM, "the depot %s is damaged (%s): stop the program and move its folder away; what it"
                        " held is sent again", self->path, sqlite3_errstr (rc));
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

int64_t sql_key (const digest_t *digest)
{
    uint64_t key = 0;
    for (size_t i = 0; i < sizeof key; i++)
        key = key << 8 | digest->bytes [i];
    return (int64_t) key;
}

void sql_bind_digest (sqlite3_stmt *statement, const digest_t *digest)
{
    sql_bind_int (statement, ":key", sql_key (digest));
    sqlite3_bind_blob64 (statement, parameter (statement, ":digest"), digest->bytes, DIGEST_SIZE, SQLITE_STATIC);
}

int sql_step (depot_t *self, sqlite3_stmt *statement, err_t *err)
{
    int rc = sqlite3_step (statement);
    if (rc == SQLITE_ROW)
        return 1;
    if (rc != SQLITE_DONE)
        sql_fail (self, sqlite3_extended_errcode (self->db), err);
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
    sql_bind_int (statement, ":most", SEGMENT_BYTES);           /* a damaged row may say anything */
    sql_bind_int (statement, ":latest", INT64_MAX / 2);
    if (sql_step (self, statement, err) < 0)
        return -1;
    self->stats.objects = (uint64_t) sqlite3_column_int64 (statement, 0);
    self->stats.bytes = (uint64_t) sqlite3_column_int64 (statement, 1);
    int64_t now = sqlite3_column_int64 (statement, 2) + 1;
    if (now > self->now)
        self->now = now;                /* opened again after a failed commit: marks have been set that no row knows of */
    sqlite3_reset (statement);
    return 0;
}

int sql_execute (depot_t *self, const char *text, err_t *err)
{
    int rc = sqlite3_exec (self->db, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : sql_fail (self, sqlite3_extended_errcode (self->db), err);
}

static int prepare (depot_t *self, int from, int to, err_t *err)
{
    for (int i = from; i < to; i++) {
        int rc = sqlite3_prepare_v3 (self->db, texts [i], -1, SQLITE_PREPARE_PERSISTENT, &self->statements [i], NULL);
        if (rc != SQLITE_OK)
            return sql_fail (self, rc, err);
    }
    return 0;
}

int sql_open (depot_t *self, err_t *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2 (self->path, &self->db, flags, NULL);
    if (rc != SQLITE_OK)
        return sql_fail (self, rc, err);
    if (tables_open (self, err) < 0 || sql_execute (self, temp_sql, err) < 0 || prepare (self, 0, SQL_FOR_ALL, err) < 0)
        return -1;
    if (self->keeps_owners && prepare (self, SQL_FOR_ALL, SQL_STATEMENTS, err) < 0)
        return -1;
    return self->is_relaxed ? sql_relax (self, err) : 0;
}

/* Rows of objects are numbered anew once the last ones went, so what is noted of one goes with it. */
int sql_keep_owners (depot_t *self, err_t *err)
{
    static const char owner_sql [] =
        "CREATE TABLE IF NOT EXISTS owner (object INTEGER NOT NULL, owner INTEGER NOT NULL, PRIMARY KEY (object, owner)) STRICT, WITHOUT ROWID;"
        "CREATE TRIGGER IF NOT EXISTS object_gone AFTER DELETE ON object BEGIN DELETE FROM owner WHERE object = OLD.id; END;";
    if (sql_execute (self, owner_sql, err) < 0 || prepare (self, SQL_FOR_ALL, SQL_STATEMENTS, err) < 0)
        return -1;
    self->keeps_owners = true;
    return 0;
}

int sql_relax (depot_t *self, err_t *err)
{
    return sql_execute (self, "PRAGMA synchronous = NORMAL;", err);
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
