/* depot_collect.c - a durable depot forgets what no root needs: from the top, as a cache does, but only what is neither a root
 * nor was used lately. Whatever a build names was used when it was submitted, so nothing that is just being sent goes. Where that is not
 * enough, the roots that may go follow, the oldest first.
 *
 *     garbage -> (too much is stored? the oldest root is none any more: garbage) -> what is too young, only counted
 *
 * A few hundred objects to a transaction: in between, others are served. A kill leaves whole contexts and whole transactions. A dry
 * collection goes the same way, but notes what it comes by as seen, and what is seen names nothing. */
#include "common/depot_private.h"

enum { COLLECT_BATCH = 500, PAGES_BATCH = 4096 };

/* What was only read is noted in memory, and written with the next transaction, as used then. */
static void write_touched (depot_t *self)
{
    if (depot_begin (self, NULL) < 0)
        return;
    if (depot_write_touched (self, NULL) < 0)
        depot_rollback (self);
    else
        depot_commit (self, NULL);
}

int64_t depot_mark (depot_t *self)
{
    pthread_mutex_lock (&self->lock);
    if (self->touched.size > 0 && !self->is_writing)
        write_touched (self);
    int64_t mark = ++self->now;
    pthread_mutex_unlock (&self->lock);
    return mark;
}

static int add_root (depot_t *self, const depot_root_t *root, err_t *err)
{
    object_row_t row;
    int rc = depot_find (self, &root->digest, &row, err);
    if (rc <= 0)
        return rc;
    sqlite3_stmt *add = sql_bind (self, SQL_ADD_ROOT);
    sql_bind_int (add, ":id", row.id);
    sql_bind_int (add, ":used_ms", root->used_ms);
    return sql_step (self, add, err);
}

static int fill (depot_t *self, const depot_root_t *roots, size_t count, const depot_wish_t *wish, err_t *err)
{
    if (depot_write_touched (self, err) < 0 || sql_run (self, SQL_CLEAR_ROOTS, err) < 0 || sql_run (self, SQL_CLEAR_FREE, err) < 0
    ||  sql_run (self, SQL_CLEAR_SEEN, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (add_root (self, &roots [i], err) < 0)
            return -1;
    self->collect = *wish;
    self->is_counting_young = self->is_tidied = false;
    return sql_run (self, SQL_FILL_FREE, err) < 0 ? -1 : sql_run (self, SQL_SPARE, err);
}

int depot_collect_begin (depot_t *self, const depot_root_t *roots, size_t count, const depot_wish_t *wish, err_t *err)
{
    if (depot_begin (self, err) < 0)
        return -1;
    if (fill (self, roots, count, wish, err) == 0)
        return depot_commit (self, err);
    depot_rollback (self);
    return -1;
}

/* -- what goes next ---------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t id;
    place_t place;
    bool is_context;
} garbage_t;

/* The next that may go: 1, 0 none, -1. What was named or used again since it was found stays. */
static int find_garbage (depot_t *self, garbage_t *out, err_t *err)
{
    sqlite3_stmt *next = sql_bind (self, SQL_NEXT_GARBAGE);
    sql_bind_int (next, ":before", self->collect.before);
    int rc = sql_step (self, next, err);
    if (rc <= 0)
        return rc;
    out->id = sqlite3_column_int64 (next, 0);
    out->place = (place_t) { sqlite3_column_int64 (next, 1), sqlite3_column_int64 (next, 2), sqlite3_column_int64 (next, 3) };
    out->is_context = sqlite3_column_int (next, 4) & IS_ROOT;
    sqlite3_reset (next);
    return 1;
}

/* With what was only seen taken off. */
static bool is_too_much (const depot_t *self, const depot_gone_t *gone)
{
    uint64_t seen = self->collect.is_dry ? gone->bytes : 0;
    if (self->is_counting_young)
        seen += gone->young_bytes;
    return self->collect.limit_bytes > 0 && self->stats.bytes > self->collect.limit_bytes + seen;
}

/* One that was used lately would make no room: it waits until the young are counted, and only as many then as have to.
 * 1: one is no root any more; 0: all that are left have to stay; -1. */
static int drop_oldest_root (depot_t *self, err_t *err)
{
    sqlite3_stmt *oldest = sql_bind (self, SQL_OLDEST_ROOT);
    sql_bind_int (oldest, ":never", INT64_MAX);
    sql_bind_int (oldest, ":before", self->collect.before);
    int rc = sql_step (self, oldest, err);
    if (rc <= 0)
        return rc;
    int64_t id = sqlite3_column_int64 (oldest, 0);
    sqlite3_reset (oldest);
    return sql_run_id (self, SQL_DROP_ROOT, id, err) < 0 || sql_run_id (self, SQL_FREE_CHILD, id, err) < 0 ? -1 : 1;
}

/* Of this stage, or else of the next: 1, 0 when all is over, -1. */
static int find_next (depot_t *self, const depot_gone_t *gone, garbage_t *out, err_t *err)
{
    for (;;) {
        int rc = find_garbage (self, out, err);
        if (rc == 0 && is_too_much (self, gone) && (rc = drop_oldest_root (self, err)) == 1)
            continue;
        if (rc != 0 || !self->collect.counts_young || self->is_counting_young)
            return rc;
        self->is_counting_young = true;
        self->collect.before = INT64_MAX;
    }
}

/* -- a part at a time -------------------------------------------------------------------------------------------- */

static void count (const depot_t *self, const garbage_t *garbage, depot_gone_t *gone)
{
    if (self->is_counting_young) {
        gone->young_objects++;
        gone->young_bytes += (uint64_t) garbage->place.size;
        return;
    }
    gone->objects++;
    gone->bytes += (uint64_t) garbage->place.size;
    gone->contexts += garbage->is_context;
}

static int64_t collect_batch (depot_t *self, depot_gone_t *gone, err_t *err)
{
    int64_t taken = 0;
    garbage_t garbage;
    int rc = 1;
    while (taken < COLLECT_BATCH && (rc = find_next (self, gone, &garbage, err)) > 0) {
        bool is_dry = self->collect.is_dry || self->is_counting_young;
        if (depot_forget (self, garbage.id, &garbage.place, is_dry, err) < 0)
            return -1;
        count (self, &garbage, gone);
        taken++;
    }
    return rc < 0 ? -1 : taken;
}

int64_t depot_collect_step (depot_t *self, depot_gone_t *gone, err_t *err)
{
    depot_gone_t now = *gone;
    if (space_move (self))
        return 1;
    if (depot_begin (self, err) < 0)
        return -1;
    int64_t taken = depot_write_touched (self, err) < 0 ? -1 : collect_batch (self, &now, err);
    if (taken < 0) {
        depot_rollback (self);
        return -1;
    }
    if (depot_commit (self, err) < 0)
        return -1;
    *gone = now;
    if (self->collect.is_dry)
        return taken == COLLECT_BATCH ? taken : 0;
    depot_give_pages_back (self, PAGES_BATCH);
    if (taken == COLLECT_BATCH || self->is_tidied)
        return taken == COLLECT_BATCH ? taken : 0;
    self->is_tidied = true;
    return space_find_wasteful (self) ? 1 : 0;
}
