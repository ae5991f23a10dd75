/* depot_owners.c - who has sent which object, in a depot that keeps that; and what objects name, row by row.
 *
 * An owner has sent the bytes of an object, and of all that it names: so a folder cannot be made of digests that were only heard of. */
#include "common/depot_private.h"

int depot_keep_owners (depot_t *self, err_t *err)
{
    pthread_mutex_lock (&self->lock);
    int rc = sql_keep_owners (self, err);
    pthread_mutex_unlock (&self->lock);
    return rc < 0 ? err_wrap (err, "note who sends what to the depot") : 0;
}

static sqlite3_stmt *bind_owner (depot_t *self, sql_name name, int64_t id, int64_t owner)
{
    sqlite3_stmt *statement = sql_bind (self, name);
    sql_bind_int (statement, ":id", id);
    sql_bind_int (statement, ":owner", owner);
    return statement;
}

/* The same words as for an object that is not there: that it is, is nobody else's affair. */
static int check_below (depot_t *self, const object_row_t *row, int64_t owner, err_t *err)
{
    char hex [DIGEST_HEX_SIZE + 1];
    digest_t digest = { { 0 } };
    if (row->kinds == IS_CONTENT)
        return 0;
    sqlite3_stmt *foreign = bind_owner (self, SQL_NOT_OWN, row->id, owner);
    int rc = sql_step (self, foreign, err);
    if (rc <= 0)
        return rc;
    if (sqlite3_column_bytes (foreign, 0) == DIGEST_SIZE)
        digest = *(const digest_t *) sqlite3_column_blob (foreign, 0);
    sqlite3_reset (foreign);
    digest_to_hex (&digest, hex);
    return err_set (err, ERR_PROTOCOL, "it names object %s, which is not in the depot: send that first", hex);
}

int depot_own (depot_t *self, const digest_t *digest, int64_t owner, err_t *err)
{
    object_row_t row;
    int found = depot_find (self, digest, &row, err);
    if (found < 0 || (found == 1 && check_below (self, &row, owner, err) < 0))
        return -1;
    if (found == 0)
        return err_set (err, ERR_FARM, "an object that was put is not in the depot");
    return sql_step (self, bind_owner (self, SQL_OWN, row.id, owner), err);
}

bool depot_has_of (depot_t *self, const digest_t *digest, int64_t owner)
{
    object_row_t row;
    pthread_mutex_lock (&self->lock);
    bool is_there = depot_reopen_if_suspect (self, NULL) == 0 && depot_find (self, digest, &row, NULL) == 1 && !row.is_open;
    if (is_there && owner) {
        sqlite3_stmt *own = bind_owner (self, SQL_IS_OWN, row.id, owner);
        is_there = sql_step (self, own, NULL) == 1;
        sqlite3_reset (own);
    }
    if (is_there)
        depot_touch (self, row.id, row.used);
    pthread_mutex_unlock (&self->lock);
    return is_there;
}

int64_t depot_row (depot_t *self, const digest_t *digest)
{
    object_row_t row;
    pthread_mutex_lock (&self->lock);
    bool is_there = depot_reopen_if_suspect (self, NULL) == 0 && depot_find (self, digest, &row, NULL) == 1;
    pthread_mutex_unlock (&self->lock);
    return is_there ? row.id : 0;
}

void depot_rows_below (depot_t *self, int64_t row, buffer_t *ids)
{
    pthread_mutex_lock (&self->lock);
    if (depot_reopen_if_suspect (self, NULL) == 0)
        depot_read_children (self, row, ids, NULL);
    pthread_mutex_unlock (&self->lock);
}
