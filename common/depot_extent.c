/* depot_extent.c - what a folder comes to when it is written out. A tree may name one folder many times: thirty listings of two
 * entries each are a thousand million folders on a disk. So the sums are made where the listing is taken, from those of
 * what it names, and nobody walks the tree for them. */
#include <string.h>

#include "common/depot_private.h"

static void add (uint64_t *sum, uint64_t more)
{
    *sum = more > INT64_MAX - *sum ? INT64_MAX : *sum + more;
}

void extent_add (depot_extent_t *self, const tree_entry_t *entry, const depot_extent_t *below)
{
    add (&self->entries, 1);
    if (entry->kind == TREE_FILE)
        add (&self->bytes, entry->content.size_bytes);
    if (entry->kind != TREE_FOLDER)
        return;
    add (&self->entries, below->entries);
    add (&self->bytes, below->bytes);
    if (self->depth <= below->depth)
        self->depth = below->depth + 1;
}

bool depot_extent (depot_t *self, const digest_t *digest, depot_extent_t *out)
{
    object_row_t row;
    pthread_mutex_lock (&self->lock);
    bool is_there = depot_reopen_if_suspect (self, NULL) == 0 && depot_find (self, digest, &row, NULL) == 1;
    pthread_mutex_unlock (&self->lock);
    if (is_there)
        *out = row.extent;
    return is_there;
}

/* -- of a depot that did not know them --------------------------------------------------------------------------- */

typedef struct { sqlite3_stmt *next, *measure, *done; } catch_up_t;

static int prepare (depot_t *self, catch_up_t *statements, err_t *err)
{
    static const char next [] = "SELECT id, digest FROM unmeasured JOIN object USING (id) WHERE id > ? AND NOT EXISTS (SELECT 1 FROM edge"
        " JOIN unmeasured AS below ON below.id = child WHERE parent = object.id) ORDER BY id LIMIT 1";
    static const char *const texts [] = {
        next,
        "UPDATE object SET entries = ?, tree_bytes = ?, depth = ? WHERE id = ?",
        "DELETE FROM unmeasured WHERE id = ?" };
    sqlite3_stmt **const all [] = { &statements->next, &statements->measure, &statements->done };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int rc = sqlite3_prepare_v2 (self->db, texts [i], -1, all [i], NULL);
        if (rc != SQLITE_OK)
            return sql_fail (self, rc, err);
    }
    return 0;
}

/* What cannot be read counts as empty: whoever wants it finds the damage, and it is sent again. */
static depot_extent_t measure (depot_t *self, const void *digest_bytes, int size)
{
    AUTO_BUFFER buffer_t object = { 0 };
    nature_t nature = { 0 };
    digest_t digest;
    if (size != DIGEST_SIZE)
        return nature.extent;
    memcpy (digest.bytes, digest_bytes, DIGEST_SIZE);
    if (depot_get (self, &digest, &object, NULL, NULL) == 0 && depot_examine (self, object.data, object.size, &nature, NULL) < 0)
        nature.extent = (depot_extent_t) { 0 };
    buffer_free (&nature.children);
    return nature.extent;
}

static int note (depot_t *self, const catch_up_t *statements, int64_t id, const depot_extent_t *extent, err_t *err)
{
    sqlite3_reset (statements->measure);
    sqlite3_reset (statements->done);
    sqlite3_bind_int64 (statements->measure, 1, (int64_t) extent->entries);
    sqlite3_bind_int64 (statements->measure, 2, (int64_t) extent->bytes);
    sqlite3_bind_int64 (statements->measure, 3, (int64_t) extent->depth);
    sqlite3_bind_int64 (statements->measure, 4, id);
    sqlite3_bind_int64 (statements->done, 1, id);
    return sql_step (self, statements->measure, err) < 0 ? -1 : sql_step (self, statements->done, err);
}

/* Those that name none which is still to be measured, in the order of their rows: nearly always that is all of them. */
static int64_t measure_ready (depot_t *self, const catch_up_t *statements, err_t *err)
{
    int64_t id = 0, count = 0;
    for (;; count++) {
        sqlite3_reset (statements->next);
        sqlite3_bind_int64 (statements->next, 1, id);
        int rc = sql_step (self, statements->next, err);
        if (rc <= 0)
            return rc < 0 ? -1 : count;
        id = sqlite3_column_int64 (statements->next, 0);
        depot_extent_t extent = measure (self, sqlite3_column_blob (statements->next, 1), sqlite3_column_bytes (statements->next, 1));
        sqlite3_reset (statements->next);
        if (note (self, statements, id, &extent, err) < 0)
            return -1;
    }
}

static int measure_all (depot_t *self, err_t *err)
{
    catch_up_t statements = { 0 };
    int64_t count = prepare (self, &statements, err) < 0 ? -1 : 1;
    while (count > 0)
        count = measure_ready (self, &statements, err);
    sqlite3_finalize (statements.next);
    sqlite3_finalize (statements.measure);
    sqlite3_finalize (statements.done);
    return count < 0 ? -1 : sql_execute (self, "DROP TABLE unmeasured", err);
}

static int is_to_be_done (depot_t *self, err_t *err)
{
    sqlite3_stmt *find = NULL;
    int rc = sqlite3_prepare_v2 (self->db, "SELECT 1 FROM sqlite_schema WHERE name = 'unmeasured'", -1, &find, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step (find);
    sqlite3_finalize (find);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : sql_fail (self, rc, err);
}

/* In one transaction: a kill leaves them all to be measured. */
int extents_catch_up (depot_t *self, err_t *err)
{
    int rc = is_to_be_done (self, err);
    if (rc <= 0)
        return rc;
    if (depot_begin (self, err) < 0)
        return -1;
    rc = measure_all (self, err);
    self->damaged_id = 0;               /* what could not be read is found by whoever wants it */
    if (rc == 0)
        return depot_commit (self, err);
    depot_rollback (self);
    return err_wrap (err, "count what the contexts in %s come to", self->folder);
}
