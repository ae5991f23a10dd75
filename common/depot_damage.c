/* depot_damage.c - what turned out to be damaged: its bytes are kept aside for the owner to look at, it is taken away with all that
 * names it, and whoever asks is told what was lost, so that it can be fetched again. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/depot_private.h"
#include "common/file.h"

enum {
    LOST_MAX = 65536,           /* more than these, of a caller that never asks, are not told */
    QUARANTINE_MAX = 64         /* files, of an object at most: 16 MiB */
};

/* -- taken away ------------------------------------------------------------------------------------------------- */

static int note_doomed (depot_t *self, err_t *err)
{
    int rc;
    sqlite3_stmt *doomed = sql_bind (self, SQL_DOOMED);
    while ((rc = sql_step (self, doomed, err)) == 1) {
        depot_lost_t lost = { .is_damaged = sqlite3_column_int (doomed, 1) != 0, .is_root = sqlite3_column_int (doomed, 2) != 0 };
        place_t place = { sqlite3_column_int64 (doomed, 3), sqlite3_column_int64 (doomed, 4), sqlite3_column_int64 (doomed, 5) };
        if (sqlite3_column_bytes (doomed, 0) == DIGEST_SIZE && self->lost.size < LOST_MAX * sizeof lost) {
            memcpy (lost.digest.bytes, sqlite3_column_blob (doomed, 0), DIGEST_SIZE);
            buffer_append (&self->lost, &lost, sizeof lost);
        }
        space_note (self, &place);
        self->stats.objects--;
        self->stats.bytes -= bodies_counted (&place);
    }
    return rc;
}

static int drop_doomed (depot_t *self, err_t *err)
{
    return sql_run (self, SQL_DOOM_ABOVE, err) < 0 || note_doomed (self, err) < 0 || sql_run (self, SQL_DROP_EDGES, err) < 0
        || sql_run (self, SQL_DROP_OBJECTS, err) < 0 || sql_run (self, SQL_CLEAR_DOOMED, err) < 0 ? -1 : 0;
}

/* The end of a transaction that dooms: rc is how it went so far. */
static int end_drop (depot_t *self, int rc, size_t lost_before, err_t *err)
{
    if (rc < 0)
        depot_rollback (self);
    else
        rc = depot_commit (self, err);
    if (rc < 0)
        self->lost.size = lost_before;
    return rc;
}

int depot_drop (depot_t *self, int64_t id, err_t *err)
{
    size_t lost_before = self->lost.size;
    if (depot_begin (self, err) < 0)
        return -1;
    int rc = sql_run_id (self, SQL_DOOM, id, err) < 0 || drop_doomed (self, err) < 0 ? -1 : 0;
    return end_drop (self, rc, lost_before, err);
}

/* -- objects ---------------------------------------------------------------------------------------------------- */

static size_t count_files (const char *path)
{
    size_t count = 0;
    DIR *folder = opendir (path);
    for (struct dirent *entry; folder && (entry = readdir (folder)); )
        count += entry->d_name [0] != '.';
    if (folder)
        closedir (folder);
    return count;
}

/* What happened to the bytes. The first ones are kept: what breaks first says most. */
static const char *keep_aside (const depot_t *self, const char *hex, const buffer_t *stored)
{
    AUTO_FREE char *folder = file_join (self->folder, "quarantine");
    AUTO_FREE char *path = file_join (folder, hex);
    if (stored->size == 0)
        return "its bytes cannot be read";
    if (file_make_folders (folder, 0700, NULL) < 0 || (!file_exists (path) && count_files (folder) >= QUARANTINE_MAX)
    ||  file_write_scratch (path, stored->data, stored->size, 0600, NULL) < 0)
        return "its bytes were not kept: quarantine/ is full, or the disk is";
    return "its bytes are kept in quarantine/";
}

int depot_take_out (depot_t *self, const object_row_t *row, const digest_t *digest, const buffer_t *stored, err_t *err)
{
    err_t why;
    char hex [DIGEST_HEX_SIZE + 1];
    digest_to_hex (digest, hex);
    AUTO_FREE char *path = bodies_path (self, row->place.segment);
    const char *bytes = keep_aside (self, hex, stored);
    self->damaged_objects++;
    if (self->is_writing)
        self->damaged_id = row->id;     /* the caller will roll back, and that would bring it back */
    else if (depot_drop (self, row->id, &why) < 0)
        return err_set (err, ERR_FARM, "object %s is damaged on disk (%s, byte %lld) and could not be taken away: %s", hex, path,
                        (long long) row->place.offset, why.text);
    return err_set (err, ERR_FARM, "object %s was damaged on disk (%s, byte %lld: check the disk; %s). It and what names it were"
                    " taken out of the depot: send the context again", hex, path, (long long) row->place.offset, bytes);
}

/* -- segments --------------------------------------------------------------------------------------------------- */

/* The segments that are shorter than what they should hold: their place is where they end. */
static void find_cut_off (depot_t *self, buffer_t *out)
{
    sqlite3_stmt *segments = sql_bind (self, SQL_SEGMENTS);
    while (sql_step (self, segments, NULL) == 1) {
        struct stat status;
        place_t end = { .segment = sqlite3_column_int64 (segments, 0) };
        AUTO_FREE char *path = bodies_path (self, end.segment);
        if (stat (path, &status) == 0)
            end.offset = status.st_size;
        if (end.offset < sqlite3_column_int64 (segments, 2))
            buffer_append (out, &end, sizeof end);
    }
}

static void drop_behind (depot_t *self, const place_t *end)
{
    size_t lost_before = self->lost.size;
    if (depot_begin (self, NULL) < 0)
        return;                     /* then each is found when it is read */
    sqlite3_stmt *doom = sql_bind (self, SQL_DOOM_BEHIND);
    sql_bind_int (doom, ":segment", end->segment);
    sql_bind_int (doom, ":offset", end->offset);
    int rc = sql_step (self, doom, NULL);
    uint64_t damaged = (uint64_t) sqlite3_changes (self->db);
    if (end_drop (self, rc < 0 ? -1 : drop_doomed (self, NULL), lost_before, NULL) == 0)
        self->damaged_objects += damaged;
}

void depot_drop_cut_off (depot_t *self)
{
    AUTO_BUFFER buffer_t ends = { 0 };
    find_cut_off (self, &ends);
    const place_t *places = (const place_t *) ends.data;
    for (size_t i = 0; i < ends.size / sizeof *places; i++)
        drop_behind (self, &places [i]);
}

/* -- told ------------------------------------------------------------------------------------------------------- */

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
