/* db.c - see db.h. WAL, synchronous=FULL and one exclusive connection: docs/architecture.md, "Threads". */
#include "coordinator/db.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/embedded.h"
#include "common/mem.h"

enum { APPLICATION_ID = 0x4641524d, STATEMENTS_MAX = 1000, PLACES = 2048 };       /* "FARM" */

/* A statement that is kept. Its parameters are known by the addresses of their names, as they were bound last. */
struct kept {
    const char *sql;            /* NULL: the place is free */
    sqlite3_stmt *statement;
    const char **names;         /* owned */
    int name_count;
};

struct db {
    sqlite3 *handle;
    size_t count;
    struct kept statements [PLACES];            /* by a hash of the address of their SQL */
};

static int failed (const db_t *self, const char *what, err_t *err)
{
    int rc = sqlite3_errcode (self->handle);
    return err_set (err, (rc & 0xff) == SQLITE_FULL ? ERR_FULL : ERR_FARM, "queue database: %s: %s", what,
                    sqlite3_errmsg (self->handle));
}

int db_exec (db_t *self, const char *sql, err_t *err)
{
    return sqlite3_exec (self->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed (self, sql, err);
}

/* -- statements ------------------------------------------------------------------------------------------------- */

/* Where the statement stands, or will. There are more than twice as many places as statements. */
static size_t place_of (const db_t *self, const char *sql)
{
    size_t place = ((uintptr_t) sql * 0x9e3779b97f4a7c15U) >> 32;
    while (self->statements [place % PLACES].sql && self->statements [place % PLACES].sql != sql)
        place++;
    return place % PLACES;
}

static sqlite3_stmt *prepare (const db_t *self, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3 (self->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK) {
        fprintf (stderr, "%s: %s\n", sql, sqlite3_errmsg (self->handle));
        assert (!"SQL of ours that cannot be prepared");
    }
    return statement;
}

static void keep (db_t *self, struct kept *kept, const char *sql)
{
    assert (self->count < STATEMENTS_MAX);
    kept->statement = prepare (self, sql);
    kept->sql = sql;
    kept->name_count = sqlite3_bind_parameter_count (kept->statement);
    kept->names = mem_alloc (((size_t) kept->name_count + 1) * sizeof *kept->names);
    self->count++;
}

query_t db_query (db_t *self, const char *sql)
{
    struct kept *kept = &self->statements [place_of (self, sql)];
    if (!kept->sql)
        keep (self, kept, sql);
    return (query_t) { .db = self, .statement = kept->statement, .kept = kept };
}

static int parameter (const query_t *self, const char *name)
{
    struct kept *kept = self->kept;
    for (int i = 0; i < kept->name_count; i++)
        if (kept->names [i] == name)
            return i + 1;
    int index = sqlite3_bind_parameter_index (self->statement, name);
    assert (index > 0);
    kept->names [index - 1] = name;
    return index;
}

void query_bind_int (query_t *self, const char *name, int64_t value)
{
    sqlite3_bind_int64 (self->statement, parameter (self, name), value);
}

void query_bind_text (query_t *self, const char *name, const char *value)
{
    if (value)
        sqlite3_bind_text (self->statement, parameter (self, name), value, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null (self->statement, parameter (self, name));
}

void query_bind_blob (query_t *self, const char *name, const void *value, size_t size)
{
    sqlite3_bind_blob64 (self->statement, parameter (self, name), value, size, SQLITE_STATIC);
}

bool query_step (query_t *self)
{
    self->rc = sqlite3_step (self->statement);
    return self->rc == SQLITE_ROW;
}

int64_t query_get_int (const query_t *self, int column)
{
    return sqlite3_column_int64 (self->statement, column);
}

bool query_is_null (const query_t *self, int column)
{
    return sqlite3_column_type (self->statement, column) == SQLITE_NULL;
}

const char *query_get_text (const query_t *self, int column)
{
    return (const char *) sqlite3_column_text (self->statement, column);
}

const void *query_get_blob (const query_t *self, int column, size_t *size)
{
    const void *data = sqlite3_column_blob (self->statement, column);
    *size = (size_t) sqlite3_column_bytes (self->statement, column);
    return data;
}

int query_end (query_t *self, err_t *err)
{
    int is_failed = self->rc != SQLITE_ROW && self->rc != SQLITE_DONE && self->rc != SQLITE_OK;
    int rc = is_failed ? failed (self->db, sqlite3_sql (self->statement), err) : 0;
    sqlite3_reset (self->statement);
    sqlite3_clear_bindings (self->statement);
    return rc;
}

int query_run (query_t *self, err_t *err)
{
    query_step (self);
    int changed = sqlite3_changes (self->db->handle);
    return query_end (self, err) < 0 ? -1 : changed;
}

int db_do (db_t *self, const char *sql, err_t *err)
{
    query_t query = db_query (self, sql);
    query_step (&query);
    return query_end (&query, err);
}

int db_commit (db_t *self, bool *is_unknown, err_t *err)
{
    *is_unknown = false;
    query_t query = db_query (self, "COMMIT");
    query_step (&query);
    *is_unknown = (query.rc & 0xff) == SQLITE_IOERR;
    if (query_end (&query, err) == 0)
        return 0;
    if (!sqlite3_get_autocommit (self->handle))
        sqlite3_exec (self->handle, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

int64_t db_last_id (const db_t *self)
{
    return sqlite3_last_insert_rowid (self->handle);
}

int64_t db_changes (const db_t *self)
{
    return sqlite3_total_changes64 (self->handle);
}

bool db_in_transaction (const db_t *self)
{
    return !sqlite3_get_autocommit (self->handle);
}

/* -- opening ---------------------------------------------------------------------------------------------------- */

static int64_t pragma (db_t *self, const char *sql)
{
    int64_t value = 0;
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2 (self->handle, sql, -1, &statement, NULL) == SQLITE_OK
        && sqlite3_step (statement) == SQLITE_ROW)
        value = sqlite3_column_int64 (statement, 0);
    sqlite3_finalize (statement);
    return value;
}

static int quick_check (db_t *self, const char *path, err_t *err)
{
    sqlite3_stmt *statement = NULL;
    int is_good = sqlite3_prepare_v2 (self->handle, "PRAGMA quick_check (1)", -1, &statement, NULL) == SQLITE_OK
                  && sqlite3_step (statement) == SQLITE_ROW
                  && strcmp ((const char *) sqlite3_column_text (statement, 0), "ok") == 0;
    sqlite3_finalize (statement);
    return is_good ? 0 : err_set (err, ERR_FARM, "%s is damaged: put it aside and restore a backup (docs/operations.md)",
                                  path);
}

static int migrate_one (db_t *self, const migration_t *migration, err_t *err)
{
    AUTO_FREE char *set_version = mem_printf ("PRAGMA user_version = %d", migration->version);
    bool is_unknown;
    if (db_exec (self, "BEGIN IMMEDIATE", err) < 0)
        return -1;
    if (db_exec (self, migration->sql, err) < 0 || db_exec (self, set_version, err) < 0) {
        sqlite3_exec (self->handle, "ROLLBACK", NULL, NULL, NULL);
        return err_wrap (err, "migration %s", migration->name);
    }
    return db_commit (self, &is_unknown, err);
}

static int migrate (db_t *self, const char *path, err_t *err)
{
    int64_t version = pragma (self, "PRAGMA user_version"), id = pragma (self, "PRAGMA application_id");
    const migration_t *migration = embedded_migrations;
    if (id != APPLICATION_ID && (id != 0 || version != 0))
        return err_set (err, ERR_FARM, "%s is no queue of farm-coordinator: use another state folder", path);
    AUTO_FREE char *set_id = mem_printf ("PRAGMA application_id = %d", APPLICATION_ID);
    if (id != APPLICATION_ID && db_exec (self, set_id, err) < 0)       /* it writes, and a full disk is no reason not to start */
        return -1;
    int last = 0;
    for (; migration->version; migration++) {
        last = migration->version;
        if (migration->version > version && migrate_one (self, migration, err) < 0)
            return -1;
    }
    if (version > last)
        return err_set (err, ERR_FARM, "%s was written by a newer farm-coordinator (schema %lld, this one knows %d): "
                        "install that one", path, (long long) version, last);
    return 0;
}

static int configure (db_t *self, err_t *err)
{
    static const char *const pragmas [] = {
        "PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON", "PRAGMA trusted_schema = OFF", "PRAGMA cell_size_check = ON",
        "PRAGMA wal_autocheckpoint = 4000", "PRAGMA journal_size_limit = 16777216",     /* pages, bytes: the same */
        "PRAGMA cache_size = -2048", "PRAGMA temp_store = MEMORY",
        "PRAGMA secure_delete = ON",        /* as Debian builds it: of secrets.c nothing is to stay */
    };
    for (size_t i = 0; i < sizeof pragmas / sizeof *pragmas; i++)
        if (db_exec (self, pragmas [i], err) < 0)
            return -1;
    return 0;
}

void db_prepare_process (void)
{
    sqlite3_config (SQLITE_CONFIG_MEMSTATUS, 0);
}

int db_open (db_t **out, const char *path, err_t *err)
{
    AUTO (db) db_t *self = mem_alloc (sizeof *self);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;       /* one thread has it at a time */
    if (sqlite3_open_v2 (path, &self->handle, flags, NULL) != SQLITE_OK)
        return failed (self, path, err);
    sqlite3_extended_result_codes (self->handle, 1);
    if (configure (self, err) < 0 || quick_check (self, path, err) < 0 || migrate (self, path, err) < 0)
        return err_wrap (err, "%s", path);
    *out = take (&self);
    return 0;
}

void db_destroy (db_t **self_p)
{
    db_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < PLACES; i++) {
        sqlite3_finalize (self->statements [i].statement);
        free (self->statements [i].names);
    }
    sqlite3_close (self->handle);
    free (self);
    *self_p = NULL;
}
