/* depot_drop.c - what leaves the depot, so that what stays is still whole: from the top, first whole contexts, then what
 * no other context names. */
#include "common/depot_private.h"

#include <stdio.h>

enum { TRIM_BATCH = 1000 };         /* objects to a transaction: bounds the write-ahead log */

/* -- a cache ---------------------------------------------------------------------------------------------------- */

int depot_read_children (depot_t *self, int64_t id, buffer_t *children, err_t *err)
{
    sqlite3_stmt *statement = sql_bind (self, SQL_CHILDREN);
    sql_bind_int (statement, ":id", id);
    int rc;
    while ((rc = sql_step (self, statement, err)) == 1) {
        int64_t child = sqlite3_column_int64 (statement, 0);
        buffer_append (children, &child, sizeof child);
    }
    return rc;
}

static int take_out (depot_t *self, int64_t id, err_t *err)
{
    return sql_run_id (self, SQL_DELETE_EDGES, id, err) < 0 ? -1 : sql_run_id (self, SQL_DELETE_OBJECT, id, err);
}

/* The object goes, or is only noted as seen; of what it named, that which nobody else names may go next. */
int depot_forget (depot_t *self, int64_t id, const place_t *place, bool is_dry, err_t *err)
{
    AUTO_BUFFER buffer_t children = { 0 };
    if (depot_read_children (self, id, &children, err) < 0 || sql_run_id (self, SQL_TAKE_FREE, id, err) < 0
    ||  (is_dry ? sql_run_id (self, SQL_ADD_SEEN, id, err) : take_out (self, id, err)) < 0)
        return -1;
    const int64_t *ids = (const int64_t *) children.data;
    for (size_t i = 0; i < children.size / sizeof *ids; i++)
        if (sql_run_id (self, SQL_FREE_CHILD, ids [i], err) < 0)
            return -1;
    if (is_dry)
        return 0;
    space_note (self, place);
    self->stats.objects--;
    self->stats.bytes -= bodies_counted (place);
    return 0;
}

/* Up to a batch; 1 when one was found, 0 when none is left, -1. */
static int forget_next (depot_t *self, err_t *err)
{
    sqlite3_stmt *next = sql_bind (self, SQL_NEXT_FREE);
    int rc = sql_step (self, next, err);
    if (rc <= 0)
        return rc;
    int64_t id = sqlite3_column_int64 (next, 0);
    place_t place = { sqlite3_column_int64 (next, 1), sqlite3_column_int64 (next, 2), sqlite3_column_int64 (next, 3) };
    sqlite3_reset (next);
    return depot_forget (self, id, &place, false, err) < 0 ? -1 : 1;
}

static int64_t trim_batch (depot_t *self, uint64_t limit_bytes, err_t *err)
{
    int64_t gone = 0;
    int rc = sql_run (self, SQL_CLEAR_FREE, err) < 0 || sql_run (self, SQL_FILL_FREE, err) < 0 ? -1 : 1;
    while (rc > 0 && gone < TRIM_BATCH && self->stats.bytes > limit_bytes)
        if ((rc = forget_next (self, err)) > 0)
            gone++;
    return rc < 0 ? -1 : gone;
}

void depot_give_pages_back (depot_t *self, int pages)
{
    char text [64];
    snprintf (text, sizeof text, "PRAGMA incremental_vacuum (%d)", pages);
    pthread_mutex_lock (&self->lock);
    sqlite3_exec (self->db, text, NULL, NULL, NULL);
    pthread_mutex_unlock (&self->lock);
}

int64_t depot_trim (depot_t *self, uint64_t limit_bytes, err_t *err)
{
    int64_t total = 0, gone;
    do {
        if (depot_begin (self, err) < 0)
            return -1;
        gone = depot_write_touched (self, err) < 0 ? -1 : trim_batch (self, limit_bytes, err);
        if (gone < 0) {
            depot_rollback (self);
            return -1;
        }
        if (depot_commit (self, err) < 0)
            return -1;
        total += gone;
    } while (gone == TRIM_BATCH);
    if (total == 0)
        return 0;
    space_find_wasteful (self);
    while (space_move (self))
        ;
    depot_give_pages_back (self, 0);
    return total;
}
