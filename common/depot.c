/* depot.c - the depot's face: open, has, get; depot_put.c has put. The rule it keeps is depot.h's; docs/depot.md tells how.
 *
 *     put --> digest right? --> what are these bytes (depot_closure.c) --> object, body, edges    one transaction
 *     get --> expand --> digest right? no: depot_drop.c takes it away with all that names it
 */
#include "common/depot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/depot_private.h"
#include "common/file.h"
#include "common/zip.h"

enum { TOUCHED_MAX = 65536 };

/* -- open and close --------------------------------------------------------------------------------------------- */

static void make_lock (depot_t *self)
{
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init (&recursive);
    pthread_mutexattr_settype (&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init (&self->lock, &recursive);
    pthread_mutexattr_destroy (&recursive);
}

int depot_open (depot_t **out, const char *folder, err_t *err)
{
    AUTO (depot) depot_t *self = mem_alloc (sizeof *self);
    make_lock (self);
    self->lock_fd = -1;
    self->path = file_join (folder, "objects.db");
    AUTO_FREE char *lock_path = file_join (folder, "lock");
    if (file_make_folders (folder, 0700, err) < 0)
        return err_wrap (err, "open the depot");
    self->lock_fd = file_lock (lock_path, err);
    if (self->lock_fd < 0)
        return err_wrap (err, "open the depot %s", folder);
    if (sql_open (self, err) < 0)
        return -1;
    *out = take (&self);
    return 0;
}

int depot_relax (depot_t *self, err_t *err)
{
    pthread_mutex_lock (&self->lock);
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
    if (self->lock_fd >= 0)
        close (self->lock_fd);
    buffer_free (&self->touched);
    pthread_mutex_destroy (&self->lock);
    free (self->path);
    free (self);
    *self_p = NULL;
}

/* -- the order of use ------------------------------------------------------------------------------------------- */

int depot_write_touched (depot_t *self, err_t *err)
{
    const int64_t *ids = (const int64_t *) self->touched.data;
    for (size_t i = 0; i < self->touched.size / sizeof *ids; i++) {
        sqlite3_stmt *touch = sql_bind (self, SQL_TOUCH);
        sql_bind_int (touch, ":id", ids [i]);
        sql_bind_int (touch, ":used", self->now);
        if (sql_step (self, touch, err) < 0)
            return -1;
    }
    buffer_clear (&self->touched);
    return 0;
}

/* Kept in memory until the next transaction: a read must not cost a sync. Beyond the maximum the order is only less exact. */
void depot_touch (depot_t *self, int64_t id, int64_t used)
{
    if (used != self->now && self->touched.size < TOUCHED_MAX * sizeof id)
        buffer_append (&self->touched, &id, sizeof id);
}

/* -- transactions ----------------------------------------------------------------------------------------------- */

static int reopen_if_suspect (depot_t *self, err_t *err)
{
    if (!self->is_suspect)
        return 0;
    sql_close (self);
    if (sql_open (self, err) < 0) {
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
    if (reopen_if_suspect (self, err) < 0 || sql_run (self, SQL_BEGIN, err) < 0) {
        pthread_mutex_unlock (&self->lock);
        return -1;
    }
    self->is_writing = true;
    self->stats_before = self->stats;
    return 0;
}

void depot_rollback (depot_t *self)
{
    if (!self->is_writing)
        return;
    if (self->db && !sqlite3_get_autocommit (self->db) && sql_run (self, SQL_ROLLBACK, NULL) < 0)
        self->is_suspect = true;
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
    if (depot_write_touched (self, err) < 0) {
        depot_rollback (self);
        return -1;
    }
    if (sql_run (self, SQL_COMMIT, err) < 0) {
        self->is_suspect = true;        /* the rows may be there after all */
        depot_rollback (self);
        return err_wrap (err, "commit");
    }
    self->now++;
    self->is_writing = false;
    pthread_mutex_unlock (&self->lock);
    return 0;
}

/* -- find ------------------------------------------------------------------------------------------------------- */

int depot_find (depot_t *self, const digest_t *digest, object_row_t *row, err_t *err)
{
    sqlite3_stmt *find = sql_bind (self, SQL_FIND);
    sql_bind_blob (find, ":digest", digest->bytes, DIGEST_SIZE);
    int rc = sql_step (self, find, err);
    if (rc <= 0)
        return rc;
    row->id = sqlite3_column_int64 (find, 0);
    row->kinds = sqlite3_column_int (find, 1);
    row->is_open = sqlite3_column_int (find, 2) != 0;
    row->level = sqlite3_column_int (find, 3);
    row->raw_bytes = (uint64_t) sqlite3_column_int64 (find, 4);
    row->content_bytes = (uint64_t) sqlite3_column_int64 (find, 5);
    row->used = sqlite3_column_int64 (find, 6);
    sqlite3_reset (find);
    return 1;
}

bool depot_has (depot_t *self, const digest_t *digest)
{
    object_row_t row;
    pthread_mutex_lock (&self->lock);
    bool is_there = reopen_if_suspect (self, NULL) == 0 && depot_find (self, digest, &row, NULL) == 1 && !row.is_open;
    if (is_there)
        depot_touch (self, row.id, row.used);
    pthread_mutex_unlock (&self->lock);
    return is_there;
}

/* -- get -------------------------------------------------------------------------------------------------------- */

static object_kind strongest (int kinds)
{
    return kinds & (IS_FOLDER | IS_ROOT) ? OBJECT_FOLDER : kinds & IS_LIST ? OBJECT_LIST : OBJECT_CONTENT;
}

/* The stored bytes of the row that the statement stands on, expanded; false when they are not what they were. */
static bool read_body (sqlite3_stmt *read, const digest_t *digest, buffer_t *out, buffer_t *memory, zip_t *zip)
{
    int64_t raw = sqlite3_column_int64 (read, 2);
    const void *data = sqlite3_column_blob (read, 5);
    size_t stored = (size_t) sqlite3_column_bytes (read, 5);
    bool is_zstd = sqlite3_column_int (read, 3) != 0;
    if (raw < 0 || raw > OBJECT_MAX)
        return false;
    buffer_clear (out);
    if (!is_zstd)
        buffer_append (out, data, stored);
    else if (zip_expand (out, (size_t) raw, data, stored, NULL) < 0)
        return false;
    if (is_zstd && memory) {
        buffer_clear (memory);
        buffer_append (memory, data, stored);
    }
    if (zip)
        *zip = is_zstd ? (zip_t) { memory->data, stored, true } : (zip_t) { out->data, out->size, false };
    digest_t own = digest_of (out->data, out->size);
    return digest_equal (&own, digest);
}

static int on_damage (depot_t *self, int64_t id, const char *hex, err_t *err)
{
    err_t why;
    if (self->is_writing)
        self->damaged_id = id;      /* the caller will roll back, and that would bring it back */
    else if (depot_drop (self, id, &why) < 0)
        return err_set (err, ERR_FARM, "object %s is damaged on disk and could not be taken away: %s", hex, why.text);
    return err_set (err, ERR_FARM, "object %s was damaged on disk (check the disk). It and what names it were taken out of the"
                    " depot: send the context again", hex);
}

static int get (depot_t *self, const digest_t *digest, buffer_t *out, object_kind *kind, buffer_t *memory, zip_t *zip,
                err_t *err)
{
    char hex [DIGEST_HEX_SIZE + 1];
    digest_to_hex (digest, hex);
    if (reopen_if_suspect (self, err) < 0)
        return -1;
    sqlite3_stmt *read = sql_bind (self, SQL_READ);
    sql_bind_blob (read, ":digest", digest->bytes, DIGEST_SIZE);
    int rc = sql_step (self, read, err);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return err_set (err, ERR_NOT_FOUND, "object %s is not in the depot", hex);
    int64_t id = sqlite3_column_int64 (read, 0), used = sqlite3_column_int64 (read, 4);
    if (kind)
        *kind = strongest (sqlite3_column_int (read, 1));
    bool is_good = read_body (read, digest, out, memory, zip);
    sqlite3_reset (read);
    if (!is_good)
        return on_damage (self, id, hex, err);
    depot_touch (self, id, used);
    return 0;
}

int depot_get_zip (depot_t *self, const digest_t *digest, buffer_t *out, object_kind *kind, buffer_t *memory, zip_t *zip,
                   err_t *err)
{
    pthread_mutex_lock (&self->lock);
    int rc = get (self, digest, out, kind, memory, zip, err);
    pthread_mutex_unlock (&self->lock);
    return rc;
}

int depot_get (depot_t *self, const digest_t *digest, buffer_t *out, object_kind *kind, err_t *err)
{
    return depot_get_zip (self, digest, out, kind, NULL, NULL, err);
}

void depot_stats (depot_t *self, depot_stats_t *out)
{
    pthread_mutex_lock (&self->lock);
    *out = self->stats;
    pthread_mutex_unlock (&self->lock);
}
