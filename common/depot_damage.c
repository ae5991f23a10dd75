/* depot_damage.c - what turned out to be damaged: taken away with all that names it, and told to whoever asks for what was
 * lost, so that it can be fetched again. */
#include "common/depot_private.h"

#include <string.h>

enum { LOST_MAX = 4096 };           /* more than these, of a caller that never asks, are not told */

static int note_lost (depot_t *self, int64_t id, err_t *err)
{
    int rc;
    sqlite3_stmt *lost = sql_bind (self, SQL_LOST);
    sql_bind_int (lost, ":id", id);
    while ((rc = sql_step (self, lost, err)) == 1) {
        depot_lost_t one = { .is_damaged = sqlite3_column_int (lost, 1) != 0, .is_root = sqlite3_column_int (lost, 2) != 0 };
        if (sqlite3_column_bytes (lost, 0) == DIGEST_SIZE && self->lost.size < LOST_MAX * sizeof one) {
            memcpy (one.digest.bytes, sqlite3_column_blob (lost, 0), DIGEST_SIZE);
            buffer_append (&self->lost, &one, sizeof one);
        }
    }
    return rc;
}

static int drop_doomed (depot_t *self, int64_t id, err_t *err)
{
    sqlite3_stmt *size = sql_bind (self, SQL_DOOMED_SIZE);
    if (note_lost (self, id, err) < 0 || sql_step (self, size, err) < 0)
        return -1;
    self->stats.objects -= (uint64_t) sqlite3_column_int64 (size, 0);
    self->stats.bytes -= (uint64_t) sqlite3_column_int64 (size, 1);
    sqlite3_reset (size);
    return sql_run (self, SQL_DROP_EDGES, err) < 0 || sql_run (self, SQL_DROP_BODIES, err) < 0
        || sql_run (self, SQL_DROP_OBJECTS, err) < 0 || sql_run (self, SQL_CLEAR_DOOMED, err) < 0 ? -1 : 0;
}

int depot_drop (depot_t *self, int64_t id, err_t *err)
{
    size_t lost_before = self->lost.size;
    if (depot_begin (self, err) < 0)
        return -1;
    int rc = sql_run_id (self, SQL_DOOM, id, err) < 0 || drop_doomed (self, id, err) < 0 ? -1 : 0;
    if (rc < 0)
        depot_rollback (self);
    else
        rc = depot_commit (self, err);
    if (rc < 0)
        self->lost.size = lost_before;
    return rc;
}

int depot_take_out (depot_t *self, int64_t id, const digest_t *digest, err_t *err)
{
    err_t why;
    char hex [DIGEST_HEX_SIZE + 1];
    digest_to_hex (digest, hex);
    self->damaged_objects++;
    if (self->is_writing)
        self->damaged_id = id;      /* the caller will roll back, and that would bring it back */
    else if (depot_drop (self, id, &why) < 0)
        return err_set (err, ERR_FARM, "object %s is damaged on disk and could not be taken away: %s", hex, why.text);
    return err_set (err, ERR_FARM, "object %s was damaged on disk (check the disk). It and what names it were taken out of the"
                    " depot: send the context again", hex);
}

bool depot_next_lost (depot_t *self, depot_lost_t *lost)
{
    pthread_mutex_lock (&self->lock);
    bool is_one = self->lost.size > 0;
    if (is_one) {
        self->lost.size -= sizeof *lost;
        memcpy (lost, self->lost.data + self->lost.size, sizeof *lost);
    }
    pthread_mutex_unlock (&self->lock);
    return is_one;
}
