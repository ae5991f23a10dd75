/* depot_space.c - what objects leave behind is given back to the file system.
 *
 *     deleted, in a transaction --> noted in `freed`, in the same --> committed --> a hole is punched --> note removed, in the next
 *
 * A kill in between leaves the note, and the hole is punched when the depot is opened. The note goes in the transaction that may
 * be the first to write to its place again, so no hole is punched into that. A hole reaches from the living neighbour before to
 * the one behind, for only whole blocks of it are given back. A segment in which nothing lives is removed. One that occupies more
 * than twice what lives in it, because it has slack of many small holes or the file system knows none, is emptied: what lives is
 * moved to the end of the last one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/depot_private.h"
#include "common/file.h"

enum { BLOCK_BYTES = 4096, SLACK_BYTES = 1024 * 1024, MOVE_BYTES = 4 * 1024 * 1024 };

/* -- notes ------------------------------------------------------------------------------------------------------ */

void space_note (depot_t *self, const place_t *place)
{
    if (bodies_is_possible (place))
        buffer_append (&self->freed, place, sizeof *place);
}

static int compare (const void *a_p, const void *b_p)
{
    const place_t *a = a_p, *b = b_p;
    if (a->segment != b->segment)
        return a->segment < b->segment ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* What was put together goes together: its places become one. */
static void merge (buffer_t *freed)
{
    place_t *places = (place_t *) freed->data;
    size_t count = freed->size / sizeof *places, kept = 0;
    if (count == 0)
        return;
    qsort (places, count, sizeof *places, compare);
    for (size_t i = 1; i < count; i++)
        if (places [i].segment == places [kept].segment && places [i].offset == places [kept].offset + places [kept].size)
            places [kept].size += places [i].size;
        else
            places [++kept] = places [i];
    freed->size = (kept + 1) * sizeof *places;
}

static void bind_place (sqlite3_stmt *statement, const place_t *place)
{
    sql_bind_int (statement, ":segment", place->segment);
    sql_bind_int (statement, ":offset", place->offset);
    sql_bind_int (statement, ":size", place->size);
}

int space_write_notes (depot_t *self, err_t *err)
{
    if (self->has_old_notes && sql_run (self, SQL_CLEAR_FREED, err) < 0)
        return -1;
    merge (&self->freed);
    const place_t *places = (const place_t *) self->freed.data;
    for (size_t i = 0; i < self->freed.size / sizeof *places; i++) {
        sqlite3_stmt *add = sql_bind (self, SQL_ADD_FREED);
        bind_place (add, &places [i]);
        if (sql_step (self, add, err) < 0)
            return -1;
    }
    return 0;
}

/* -- holes ------------------------------------------------------------------------------------------------------ */

/* The number that the statement finds about the place; what is there already when it finds none. */
static int look (depot_t *self, sql_name name, int64_t segment, int64_t offset, int64_t *number)
{
    sqlite3_stmt *statement = sql_bind (self, name);
    sql_bind_int (statement, ":segment", segment);
    sql_bind_int (statement, ":offset", offset);
    int rc = sql_step (self, statement, NULL);
    if (rc == 1)
        *number = sqlite3_column_int64 (statement, 0);
    sqlite3_reset (statement);
    return rc;
}

/* Where the file system cannot, the segment is wasteful after a time. */
static void punch (depot_t *self, const place_t *place)
{
    int64_t from = 0, to = SEGMENT_BYTES;
    if (look (self, SQL_LIVE_BEFORE, place->segment, place->offset, &from) < 0
    ||  look (self, SQL_LIVE_BEHIND, place->segment, place->offset, &to) < 0)
        return;
    from = (from + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
    to = to / BLOCK_BYTES * BLOCK_BYTES;
    int fd = to > from ? bodies_fd (self, place->segment, 0) : -1;
    if (fd < 0)
        return;
    pthread_rwlock_wrlock (&self->reading);
    fallocate (fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, to - from);
    pthread_rwlock_unlock (&self->reading);
}

void space_give_back (depot_t *self)
{
    const place_t *places = (const place_t *) self->freed.data;
    for (size_t i = 0; i < self->freed.size / sizeof *places; i++) {
        int64_t first;
        if (places [i].segment != self->end.segment && look (self, SQL_LIVE_BEHIND, places [i].segment, -1, &first) == 0)
            bodies_remove (self, places [i].segment);
        else
            punch (self, &places [i]);
    }
    self->has_old_notes = self->freed.size > 0;
    buffer_clear (&self->freed);
}

/* -- moving ----------------------------------------------------------------------------------------------------- */

static bool is_wasteful (const depot_t *self, int64_t segment, int64_t live_bytes)
{
    struct stat status;
    AUTO_FREE char *path = bodies_path (self, segment);
    return segment != self->end.segment && stat (path, &status) == 0
        && (int64_t) status.st_blocks * 512 > 2 * live_bytes + SLACK_BYTES;
}

bool space_find_wasteful (depot_t *self)
{
    pthread_mutex_lock (&self->lock);
    buffer_clear (&self->wasteful);
    sqlite3_stmt *segments = sql_bind (self, SQL_SEGMENTS);
    while (sql_step (self, segments, NULL) == 1) {
        int64_t segment = sqlite3_column_int64 (segments, 0);
        if (is_wasteful (self, segment, sqlite3_column_int64 (segments, 1)))
            buffer_append (&self->wasteful, &segment, sizeof segment);
    }
    bool is_any = self->wasteful.size > 0;
    pthread_mutex_unlock (&self->lock);
    return is_any;
}

static int move_one (depot_t *self, int64_t id, const place_t *from, buffer_t *bytes, err_t *err)
{
    int fd;
    place_t to;
    if (bodies_hold (self, from, &fd, err) < 0)
        return -1;
    if (!bodies_read (self, from, fd, bytes)) {
        self->damaged_id = id;
        return err_set (err, ERR_FARM, "an object cannot be read any more");
    }
    if (bodies_append (self, bytes->data, bytes->size, &to, err) < 0)
        return -1;
    sqlite3_stmt *move = sql_bind (self, SQL_MOVE);
    sql_bind_int (move, ":id", id);
    sql_bind_int (move, ":segment", to.segment);
    sql_bind_int (move, ":offset", to.offset);
    space_note (self, from);
    return sql_step (self, move, err);
}

/* The first of the segment's objects, until they are MOVE_BYTES: how many bytes they were, 0 when there was none; -1. */
static int64_t move_some (depot_t *self, int64_t segment, err_t *err)
{
    AUTO_BUFFER buffer_t bytes = { 0 };
    int64_t moved = 0;
    int rc = 1;
    while (moved < MOVE_BYTES) {
        place_t from = { .segment = segment };
        sqlite3_stmt *next = sql_bind (self, SQL_NEXT_IN_SEGMENT);
        sql_bind_int (next, ":segment", segment);
        if ((rc = sql_step (self, next, err)) <= 0)
            break;
        int64_t id = sqlite3_column_int64 (next, 0);
        from.offset = sqlite3_column_int64 (next, 1);
        from.size = sqlite3_column_int64 (next, 2);
        sqlite3_reset (next);
        if (move_one (self, id, &from, &bytes, err) < 0)
            return -1;
        moved += from.size;
    }
    return rc < 0 ? -1 : moved;
}

static bool move_or_give_up (depot_t *self, int64_t segment)
{
    if (segment == self->end.segment || depot_begin (self, NULL) < 0)
        return false;
    int64_t moved = move_some (self, segment, NULL);
    if (moved < 0)
        depot_rollback (self);
    return moved >= 0 && depot_commit (self, NULL) == 0 && moved > 0;
}

bool space_move (depot_t *self)
{
    pthread_mutex_lock (&self->lock);
    bool is_one = self->wasteful.size > 0;
    if (is_one) {
        int64_t segment;
        memcpy (&segment, self->wasteful.data + self->wasteful.size - sizeof segment, sizeof segment);
        if (!move_or_give_up (self, segment))
            self->wasteful.size -= sizeof segment;      /* empty; or it stays as it is until the next time */
    }
    pthread_mutex_unlock (&self->lock);
    return is_one;
}

/* -- open ------------------------------------------------------------------------------------------------------- */

/* Rows of places that cannot be are left to whoever reads them. */
static int read_end (depot_t *self, place_t *end, err_t *err)
{
    sqlite3_stmt *find = sql_bind (self, SQL_END);
    sql_bind_int (find, ":last", SEGMENT_LAST);
    sql_bind_int (find, ":most", SEGMENT_BYTES);
    int rc = sql_step (self, find, err);
    *end = (place_t) { .segment = 1 };
    if (rc == 1)
        *end = (place_t) { .segment = sqlite3_column_int64 (find, 0), .offset = sqlite3_column_int64 (find, 1) };
    sqlite3_reset (find);
    return rc < 0 ? -1 : 0;
}

static int read_notes (depot_t *self, err_t *err)
{
    int rc;
    sqlite3_stmt *notes = sql_bind (self, SQL_FREED);
    buffer_clear (&self->freed);
    while ((rc = sql_step (self, notes, err)) == 1) {
        place_t place = { sqlite3_column_int64 (notes, 0), sqlite3_column_int64 (notes, 1), sqlite3_column_int64 (notes, 2) };
        space_note (self, &place);
    }
    return rc;
}

/* Segments in which nothing lives: of a transaction that did not come to its end, or left by a kill. */
static int remove_strays (depot_t *self, err_t *err)
{
    AUTO_FREE char *path = file_join (self->folder, "segments");
    DIR *folder = opendir (path);
    if (!folder)
        return err_sys (err, errno, "read %s", path);
    for (struct dirent *entry; (entry = readdir (folder)); ) {
        char *end;
        int64_t first, segment = strtoll (entry->d_name, &end, 10);
        if (*end == 0 && segment > 0 && segment <= SEGMENT_LAST && segment != self->end.segment
        &&  look (self, SQL_LIVE_BEHIND, segment, -1, &first) == 0)
            bodies_remove (self, segment);
    }
    closedir (folder);
    return 0;
}

int space_open (depot_t *self, err_t *err)
{
    place_t end;
    if (read_end (self, &end, err) < 0 || bodies_open (self, &end, err) < 0 || read_notes (self, err) < 0)
        return -1;
    space_give_back (self);
    return remove_strays (self, err);
}
