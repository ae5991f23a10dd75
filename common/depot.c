/* depot.c - the depot's face: open, transactions, has; depot_put.c has put, depot_get.c get. The rule it keeps is depot.h's;
 * docs/depot.md tells how.
 *
 *     put --> digest right? --> what are these bytes (depot_closure.c) --> bytes to a segment; object and edges to SQLite
 *     get --> expand --> digest right? no: depot_damage.c takes it away with all that names it
 */
#include "common/depot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/depot_private.h"
#include "common/file.h"

enum { TOUCHED_MAX = 65536 };

/* -- open and close --------------------------------------------------------------------------------------------- */

static void make_lock (depot_t *self)
{
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init (&recursive);
    pthread_mutexattr_settype (&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init (&self->lock, &recursive);
    pthread_mutexattr_destroy (&recursive);
    pthread_rwlock_init (&self->reading, NULL);
}

static int open_store (depot_t *self, err_t *err)
{
    return sql_open (self, err) < 0 || sql_count (self, err) < 0 ? -1 : space_open (self, err);
}

int depot_open (depot_t **out, const char *folder, err_t *err)
{
    AUTO (depot) depot_t *self = mem_alloc (sizeof *self);
    make_lock (self);
    self->lock_fd = -1;
    self->segment_bytes = SEGMENT_BYTES;
    self->touched_most = TOUCHED_MAX;
    self->folder = mem_strdup (folder);
    self->path = file_join (folder, "objects.db");
    AUTO_FREE char *lock_path = file_join (folder, "lock");
    if (file_make_folders (folder, 0700, err) < 0 || file_sync_name (folder, err) < 0)
        return err_wrap (err, "open the depot");
    self->lock_fd = file_lock (lock_path, 0, err);
    if (self->lock_fd < 0)
        return err_wrap (err, "open the depot %s", folder);
    if (open_store (self, err) < 0)
        return -1;
    depot_drop_cut_off (self);
    if (extents_catch_up (self, err) < 0)
        return -1;
    *out = take (&self);
    return 0;
}

int depot_relax (depot_t *self, err_t *err)
{
    pthread_mutex_lock (&self->lock);
    self->is_relaxed = true;
    int rc = sql_relax (self, err);
    pthread_mutex_unlock (&self->lock);
    return rc;
}

void depot_destroy (depot_t **self_p)
{
    depot_t *self = *self_p;
    if (!self)
        return;
    assert (!self->is_writing);
    if (self->db && self->touched.size > 0 && depot_begin (self, NULL) == 0)
        depot_commit (self, NULL);      /* only the order of use is lost when this fails */
    sql_close (self);
    bodies_close_all (self);
    if (self->lock_fd >= 0)
        close (self->lock_fd);
    buffer_free (&self->touched);
    buffer_free (&self->lost);
    buffer_free (&self->freed);
    buffer_free (&self->wasteful);
    pthread_rwlock_destroy (&self->reading);
    pthread_mutex_destroy (&self->lock);
    free (self->folder);
    free (self->path);
    free (self);
    *self_p = NULL;
}

/* -- the order of use ------------------------------------------------------------------------------------------- */

int depot_write_touched (depot_t *self, err_t *err)
{
    const int64_t *ids = (const int64_t *) self->touched.data;
    for (size_t i = self->touched_written; i < self->touched.size / sizeof *ids; i++) {
        sqlite3_stmt *touch = sql_bind (self, SQL_TOUCH);
        sql_bind_int (touch, ":id", ids [i]);
        sql_bind_int (touch, ":used", self->now);
        if (sql_step (self, touch, err) < 0)
            return -1;
        self->touched_written = i + 1;
    }
    return 0;
}

static int compare_ids (const void *a, const void *b)
{
    int64_t one = *(const int64_t *) a, other = *(const int64_t *) b;
    return one < other ? -1 : one > other;
}

static void drop_twins (buffer_t *touched)
{
    int64_t *ids = (int64_t *) touched->data;
    size_t count = touched->size / sizeof *ids, kept = 0;
    qsort (ids, count, sizeof *ids, compare_ids);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || ids [i] != ids [i - 1])
            ids [kept++] = ids [i];
    touched->size = kept * sizeof *ids;
}

/* No transaction is open. When they cannot be written they are kept, and that is tried again when there are twice as many:
 * without twins they are never more than the objects. */
static void make_room (depot_t *self)
{
    drop_twins (&self->touched);
    if (self->touched.size > TOUCHED_MAX / 2 * sizeof (int64_t) && depot_begin (self, NULL) == 0)
        depot_commit (self, NULL);
    size_t twice = 2 * self->touched.size / sizeof (int64_t);
    self->touched_most = twice > TOUCHED_MAX ? twice : TOUCHED_MAX;
}

/* Kept in memory until the next transaction: a read must not cost a sync. None is lost, for the collector takes what was not
 * used; so many reads cost one. Within a transaction they are as many as that looks at. */
void depot_touch (depot_t *self, int64_t id, int64_t used)
{
    if (used == self->now)
        return;
    if (!self->is_writing && self->touched.size >= self->touched_most * sizeof id)
        make_room (self);
    buffer_append (&self->touched, &id, sizeof id);
}

/* -- transactions ----------------------------------------------------------------------------------------------- */

int depot_reopen_if_suspect (depot_t *self, err_t *err)
{
    if (!self->is_suspect)
        return 0;
    sql_close (self);
    if (open_store (self, err) < 0) {
        sql_close (self);
        return err_wrap (err, "open the depot again after a failed commit");
    }
    self->is_suspect = false;
    return 0;
}

int depot_begin (depot_t *self, err_t *err)
{
    pthread_mutex_lock (&self->lock);
    assert (!self->is_writing);
    if (depot_reopen_if_suspect (self, err) < 0 || sql_run (self, SQL_BEGIN, err) < 0) {
        pthread_mutex_unlock (&self->lock);
        return -1;
    }
    self->is_writing = true;
    self->stats_before = self->stats;
    self->end_before = self->end;
    return 0;
}

void depot_rollback (depot_t *self)
{
    if (!self->is_writing)
        return;
    if (self->db && !sqlite3_get_autocommit (self->db) && sql_run (self, SQL_ROLLBACK, NULL) < 0)
        self->is_suspect = true;
    if (!self->is_suspect)
        bodies_cut (self, &self->end_before);
    buffer_clear (&self->freed);
    self->touched_written = 0;
    self->stats = self->stats_before;
    self->is_writing = false;
    int64_t damaged_id = self->damaged_id;
    self->damaged_id = 0;
    if (damaged_id && !self->is_suspect)
        depot_drop (self, damaged_id, NULL);        /* when it fails, the next to read the object tries again */
    pthread_mutex_unlock (&self->lock);
}

int depot_commit (depot_t *self, err_t *err)
{
    assert (self->is_writing);
    if (depot_write_touched (self, err) < 0 || space_write_notes (self, err) < 0 || bodies_sync (self, err) < 0) {
        depot_rollback (self);
        return -1;
    }
    if (sql_run (self, SQL_COMMIT, err) < 0) {
        self->is_suspect = true;        /* the rows may be there after all */
        depot_rollback (self);
        return err_wrap (err, "commit");
    }
    buffer_clear (&self->touched);
    self->touched_written = 0;
    self->now++;
    self->is_writing = false;
    space_give_back (self);
    pthread_mutex_unlock (&self->lock);
    return 0;
}

/* -- find ------------------------------------------------------------------------------------------------------- */

int depot_find (depot_t *self, const digest_t *digest, object_row_t *row, err_t *err)
{
    sqlite3_stmt *find = sql_bind (self, SQL_FIND);
    sql_bind_digest (find, digest);
    int rc = sql_step (self, find, err);
    if (rc <= 0)
        return rc;
    row->id = sqlite3_column_int64 (find, 0);
    row->kinds = sqlite3_column_int (find, 1);
    row->is_open = sqlite3_column_int (find, 2) != 0;
    row->level = sqlite3_column_int (find, 3);
    row->raw_bytes = (uint64_t) sqlite3_column_int64 (find, 4);
    row->content_bytes = (uint64_t) sqlite3_column_int64 (find, 5);
    row->place = (place_t) { sqlite3_column_int64 (find, 6), sqlite3_column_int64 (find, 7), sqlite3_column_int64 (find, 8) };
    row->is_zstd = sqlite3_column_int (find, 9) != 0;
    row->used = sqlite3_column_int64 (find, 10);
    row->extent.entries = (uint64_t) sqlite3_column_int64 (find, 11);
    row->extent.bytes = (uint64_t) sqlite3_column_int64 (find, 12);
    row->extent.depth = (uint64_t) sqlite3_column_int64 (find, 13);
    sqlite3_reset (find);
    return 1;
}

bool depot_has (depot_t *self, const digest_t *digest)
{
    return depot_has_of (self, digest, 0);
}

void depot_stats (depot_t *self, depot_stats_t *out)
{
    pthread_mutex_lock (&self->lock);
    *out = self->stats;
    out->damaged_objects = self->damaged_objects;
    pthread_mutex_unlock (&self->lock);
}
