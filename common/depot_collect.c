/* depot_collect.c - a durable depot forgets what no root needs: from the top, as a cache does, but only what is neither a root
 * nor was used lately. Whatever a build names was used when it was submitted, so nothing that is just being sent goes.
 *
 * A few hundred objects to a transaction: in between, others are served. A kill leaves whole contexts and whole transactions. */
#include "common/depot_private.h"

enum { COLLECT_BATCH = 500, PAGES_BATCH = 4096 };

int64_t depot_mark (depot_t *self)
{
    pthread_mutex_lock (&self->lock);
    int64_t mark = ++self->now;
    pthread_mutex_unlock (&self->lock);
    return mark;
}

static int add_root (depot_t *self, const digest_t *digest, err_t *err)
{
    object_row_t row;
    int rc = depot_find (self, digest, &row, err);
    return rc <= 0 ? rc : sql_run_id (self, SQL_ADD_ROOT, row.id, err);
}

static int fill (depot_t *self, const digest_t *roots, size_t count, int64_t before, err_t *err)
{
    if (depot_write_touched (self, err) < 0 || sql_run (self, SQL_CLEAR_ROOTS, err) < 0 || sql_run (self, SQL_CLEAR_FREE, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (add_root (self, &roots [i], err) < 0)
            return -1;
    self->collect_before = before;
    self->is_tidied = false;
    if (sql_run (self, SQL_FILL_FREE, err) < 0)
        return -1;
    sqlite3_stmt *spare = sql_bind (self, SQL_SPARE);
    sql_bind_int (spare, ":before", before);
    return sql_step (self, spare, err);
}

int depot_collect_begin (depot_t *self, const digest_t *roots, size_t count, int64_t before, err_t *err)
{
    if (depot_begin (self, err) < 0)
        return -1;
    if (fill (self, roots, count, before, err) == 0)
        return depot_commit (self, err);
    depot_rollback (self);
    return -1;
}

/* The next that may go: 1, 0 none, -1. What was named or used again since it was found stays. */
static int find_next (depot_t *self, int64_t *id, place_t *place, err_t *err)
{
    sqlite3_stmt *next = sql_bind (self, SQL_NEXT_GARBAGE);
    sql_bind_int (next, ":before", self->collect_before);
    int rc = sql_step (self, next, err);
    if (rc <= 0)
        return rc;
    *id = sqlite3_column_int64 (next, 0);
    *place = (place_t) { sqlite3_column_int64 (next, 1), sqlite3_column_int64 (next, 2), sqlite3_column_int64 (next, 3) };
    sqlite3_reset (next);
    return 1;
}

static int64_t collect_batch (depot_t *self, uint64_t *bytes, err_t *err)
{
    int64_t gone = 0, id;
    place_t place;
    int rc = 1;
    while (gone < COLLECT_BATCH && (rc = find_next (self, &id, &place, err)) > 0) {
        if (depot_forget (self, id, &place, err) < 0)
            return -1;
        *bytes += (uint64_t) place.size;
        gone++;
    }
    return rc < 0 ? -1 : gone;
}

int64_t depot_collect_step (depot_t *self, uint64_t *bytes, err_t *err)
{
    uint64_t freed = 0;
    if (space_move (self))
        return 1;
    if (depot_begin (self, err) < 0)
        return -1;
    int64_t gone = depot_write_touched (self, err) < 0 ? -1 : collect_batch (self, &freed, err);
    if (gone < 0) {
        depot_rollback (self);
        return -1;
    }
    if (depot_commit (self, err) < 0)
        return -1;
    *bytes += freed;
    depot_give_pages_back (self, PAGES_BATCH);
    if (gone == COLLECT_BATCH || self->is_tidied)
        return gone == COLLECT_BATCH ? gone : 0;
    self->is_tidied = true;
    return space_find_wasteful (self) ? 1 : 0;
}
