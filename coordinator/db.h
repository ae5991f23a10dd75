/* db.h - farm.db: opened, migrated and checked; statements prepared once; parameters by name.
 *
 * One connection, in one thread. A statement is used as
 *     query_t query = db_query (db, "SELECT … WHERE id = :id");
 *     query_int (&query, ":id", id);
 *     while (query_step (&query)) … query_get_int (&query, 0) …
 *     return query_end (&query, err); */
#ifndef FARM_DB_H
#define FARM_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

typedef struct db db_t;

/* Once in a process, before any thread has a database: SQLite counts no memory, which nobody asks it for, and which takes a lock and two sums for each
 * piece that it asks for or gives back. */
void db_prepare_process (void);

/* ERR_FARM for a damaged database, a newer one, or one that another process has. */
int db_open (db_t **out, const char *path, err_t *err);
void db_destroy (db_t **self);

/* Plain statements: BEGIN, SAVEPOINT and the like. */
int db_exec (db_t *self, const char *sql, err_t *err);
/* The same for one statement that comes again and again: a string literal, kept as db_query keeps it. */
int db_do (db_t *self, const char *sql, err_t *err);
/* COMMIT. *is_unknown: the outcome is unknown (an I/O error): the process must start again. After any failure the
 * transaction is over. */
int db_commit (db_t *self, bool *is_unknown, err_t *err);

typedef struct {
    db_t *db;
    sqlite3_stmt *statement;
    struct kept *kept;
    int rc;
} query_t;

/* sql is a string literal: the statement is kept for its address. */
query_t db_query (db_t *self, const char *sql);
/* A name is a literal too: nothing else can be joined to "". */
#define query_int(self, name, value) query_bind_int (self, "" name, value)
#define query_text(self, name, value) query_bind_text (self, "" name, value)            /* NULL binds NULL; borrowed until query_end */
#define query_blob(self, name, value, size) query_bind_blob (self, "" name, value, size)
void query_bind_int (query_t *self, const char *name, int64_t value);
void query_bind_text (query_t *self, const char *name, const char *value);
void query_bind_blob (query_t *self, const char *name, const void *value, size_t size);
bool query_step (query_t *self);                                            /* true: a row */
int64_t query_get_int (const query_t *self, int column);
bool query_is_null (const query_t *self, int column);
const char *query_get_text (const query_t *self, int column);               /* NULL for NULL; until the next step */
const void *query_get_blob (const query_t *self, int column, size_t *size);
/* ERR_FULL for a full disk, else ERR_FARM. */
int query_end (query_t *self, err_t *err);
/* For statements that give no rows: step and end. Returns the number of rows changed, -1 on error. */
int query_run (query_t *self, err_t *err);

int64_t db_last_id (const db_t *self);
int64_t db_changes (const db_t *self);              /* rows changed since it was opened: has something been written? */
bool db_in_transaction (const db_t *self);          /* false also after SQLite gave one up by itself (full disk) */

#endif
