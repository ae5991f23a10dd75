/* depot_private.h - what the files of the depot share: the database and its statements. docs/depot.md has the picture. */
#ifndef FARM_DEPOT_PRIVATE_H
#define FARM_DEPOT_PRIVATE_H

#include <pthread.h>
#include <sqlite3.h>

#include "common/depot.h"

/* What the bytes of an object are known to be, each with all that it names in the depot. */
enum {
    IS_CONTENT = 1,             /* always */
    IS_LIST = 2,
    IS_FOLDER = 4,              /* a whole listing */
    IS_ROOT = 8,                /* the listing of a context: the one entry "." */
    IS_LONG_FOLDER = 16         /* a list, and the content below it is a listing */
};

typedef enum {
    SQL_BEGIN, SQL_COMMIT, SQL_ROLLBACK,
    SQL_FIND, SQL_ADD, SQL_CHANGE, SQL_ADD_EDGE, SQL_TOUCH, SQL_COUNT,
    SQL_DOOM, SQL_DOOM_BEHIND, SQL_DOOM_ABOVE, SQL_DOOMED, SQL_DROP_EDGES, SQL_DROP_OBJECTS, SQL_CLEAR_DOOMED,
    SQL_CLEAR_FREE, SQL_FILL_FREE, SQL_NEXT_FREE, SQL_TAKE_FREE, SQL_CHILDREN, SQL_FREE_CHILD,
    SQL_DELETE_EDGES, SQL_DELETE_OBJECT,
    SQL_CLEAR_ROOTS, SQL_ADD_ROOT, SQL_OLDEST_ROOT, SQL_DROP_ROOT, SQL_SPARE, SQL_NEXT_GARBAGE, SQL_ADD_SEEN, SQL_CLEAR_SEEN,
    SQL_FREED, SQL_ADD_FREED, SQL_CLEAR_FREED, SQL_LIVE_BEFORE, SQL_LIVE_BEHIND, SQL_SEGMENTS, SQL_NEXT_IN_SEGMENT, SQL_MOVE, SQL_END,
    SQL_FOR_ALL,                /* those behind it are of a depot that keeps owners */
    SQL_OWN = SQL_FOR_ALL, SQL_IS_OWN, SQL_NOT_OWN, SQL_DISOWN,
    SQL_STATEMENTS
} sql_name;

enum {
    SEGMENT_BYTES = 64 * 1024 * 1024,   /* no segment is longer */
    SEGMENT_LAST = 999999999,
    SLOTS = 64                          /* segments that are open at once */
};

/* Where the bytes of an object are. Those of the empty one are nowhere: all 0. */
typedef struct {
    int64_t segment;            /* from 1 */
    int64_t offset;
    int64_t size;
} place_t;

typedef struct {
    int64_t segment;            /* 0: none */
    int fd;
} slot_t;

/* A row of `object`. */
typedef struct {
    int64_t id;
    int kinds;
    bool is_open;               /* may be a folder too, but something that this names is not here: depot_has says no */
    int level;                  /* of a list */
    uint64_t raw_bytes;
    uint64_t content_bytes;     /* of content below a list; raw_bytes for others */
    depot_extent_t extent;      /* of a folder */
    place_t place;
    bool is_zstd;
    int64_t used;
} object_row_t;

struct depot {
    pthread_mutex_t lock;       /* recursive; held from begin to commit or rollback; for all below */
    pthread_rwlock_t reading;   /* shared: bytes are being read; alone: they are taken away. Nobody waits for `lock` with it */
    char *folder;
    char *path;                 /* of the database */
    int lock_fd;
    sqlite3 *db;
    sqlite3_stmt *statements [SQL_STATEMENTS];
    slot_t slots [SLOTS];       /* segment n in slot n % SLOTS */
    int64_t segment_bytes;      /* when the next is begun; SEGMENT_BYTES, less in tests */
    place_t end, end_before;    /* where the next bytes go; at begin */
    int64_t written_out;        /* of the last segment, given to the disk already */
    int64_t synced_segment;     /* the last whose name is on the disk */
    bool is_unsynced;
    buffer_t freed;             /* place_t: of this transaction, without its old notes */
    bool has_old_notes;         /* the table `freed` has notes of what was given back */
    buffer_t wasteful;          /* int64_t segments, to be emptied */
    bool is_relaxed;
    bool keeps_owners;
    bool is_writing;
    bool is_suspect;            /* a COMMIT ended in an I/O error: nobody knows what holds until the file is read again */
    int64_t damaged_id;         /* found in a transaction: dropped once that is rolled back */
    int64_t now;                /* counts commits: the time of "least lately used" */
    depot_wish_t collect;       /* of the collection under way */
    bool is_counting_young;     /* it is over but for that */
    bool is_tidied;             /* it looked for wasteful segments */
    buffer_t touched;           /* int64_t ids, used since the last commit */
    size_t touched_written;     /* so many of them, in the open transaction */
    size_t touched_most;        /* with so many, a read writes them down */
    buffer_t lost;              /* depot_lost_t, not yet asked for */
    uint64_t damaged_objects;   /* found since the start: a rollback does not undo it */
    depot_stats_t stats, stats_before;
};

/* depot_sql.c */
int sql_open (depot_t *self, err_t *err);
int sql_relax (depot_t *self, err_t *err);
int sql_keep_owners (depot_t *self, err_t *err);
void sql_close (depot_t *self);
int sql_fail (depot_t *self, int rc, err_t *err);                   /* -1, with what the result of SQLite means */
int sql_execute (depot_t *self, const char *text, err_t *err);
sqlite3_stmt *sql_bind (depot_t *self, sql_name name);              /* reset, without parameters */
void sql_bind_int (sqlite3_stmt *statement, const char *name, int64_t value);
int64_t sql_key (const digest_t *digest);                           /* its first 8 bytes */
void sql_bind_digest (sqlite3_stmt *statement, const digest_t *digest);     /* :digest and :key; borrowed until reset */
int sql_step (depot_t *self, sqlite3_stmt *statement, err_t *err);  /* 1 a row (reset it when done); 0 the end; -1 */
int sql_run (depot_t *self, sql_name name, err_t *err);             /* without parameters */
int sql_run_id (depot_t *self, sql_name name, int64_t id, err_t *err);
int sql_count (depot_t *self, err_t *err);                          /* fills stats.objects and stats.bytes, raises now */

/* depot_tables.c: make the tables in a new file, bring those of an older version up to date, refuse what is no depot. */
int tables_open (depot_t *self, err_t *err);

/* depot_bodies.c */
int bodies_open (depot_t *self, const place_t *end, err_t *err);    /* to write from end on; cuts off what is behind it */
void bodies_close (depot_t *self, int64_t segment);
void bodies_close_all (depot_t *self);
char *bodies_path (const depot_t *self, int64_t segment);           /* the caller frees */
int bodies_fd (depot_t *self, int64_t segment, int flags);          /* borrowed; -1 and errno. flags: O_CREAT or 0 */
bool bodies_is_possible (const place_t *place);                     /* a damaged row may say anything */
uint64_t bodies_counted (const place_t *place);                     /* of its bytes, so many are in stats.bytes: as SQL_COUNT has it */
/* In a transaction. */
int bodies_append (depot_t *self, const void *data, size_t size, place_t *place, err_t *err);
int bodies_sync (depot_t *self, err_t *err);                        /* on the disk when it returns 0 */
void bodies_cut (depot_t *self, const place_t *end);                /* back to end */
void bodies_remove (depot_t *self, int64_t segment);
/* Read in two steps: hold, with the lock, so that the bytes stay (*fd is -1 where the file is not there); and read, which
 * needs no lock, and lets go. False: they cannot be read (any more). */
int bodies_hold (depot_t *self, const place_t *place, int *fd, err_t *err);
bool bodies_read (depot_t *self, const place_t *place, int fd, buffer_t *out);

/* depot_space.c */
int space_open (depot_t *self, err_t *err);                         /* the end, what a kill has left */
void space_note (depot_t *self, const place_t *place);              /* it is deleted in this transaction */
int space_write_notes (depot_t *self, err_t *err);                  /* before its end */
void space_give_back (depot_t *self);                               /* after it */
bool space_find_wasteful (depot_t *self);                           /* whether there are any */
bool space_move (depot_t *self);                                    /* some of them; false: there are no more */

/* depot_closure.c: what the bytes are, and the ids of what they name. */
typedef struct {
    int kinds;
    bool is_open;
    int level;
    uint64_t content_bytes;
    depot_extent_t extent;
    buffer_t children;          /* int64_t ids */
    err_t missing;              /* why it is not more than it is; for put's refusal */
} nature_t;
int depot_examine (depot_t *self, const void *data, size_t size, nature_t *nature, err_t *err);

/* depot_extent.c: one entry more in a folder; below is the extent of the folder that it names. */
void extent_add (depot_extent_t *self, const tree_entry_t *entry, const depot_extent_t *below);
/* Of the folders in a depot of a version that did not know them. */
int extents_catch_up (depot_t *self, err_t *err);

/* depot.c */
int depot_find (depot_t *self, const digest_t *digest, object_row_t *row, err_t *err);      /* 1 there, 0 not, -1 */
int depot_write_touched (depot_t *self, err_t *err);
void depot_touch (depot_t *self, int64_t id, int64_t used);

int depot_reopen_if_suspect (depot_t *self, err_t *err);

/* depot_damage.c: an object's bytes are not what they were. It goes with everything that names it, once no transaction is
 * open; always -1, with the error for who asked for it. */
int depot_take_out (depot_t *self, const object_row_t *row, const digest_t *digest, const buffer_t *stored, err_t *err);
int depot_drop (depot_t *self, int64_t id, err_t *err);
/* All whose bytes lay behind the end of a segment that is shorter now, or gone. */
void depot_drop_cut_off (depot_t *self);

/* depot_drop.c */
/* The rows of what an object names, appended. */
int depot_read_children (depot_t *self, int64_t id, buffer_t *children, err_t *err);
/* Forget an object that no other names, or with is_dry only note it as seen; what only it named becomes free. In an open transaction. */
int depot_forget (depot_t *self, int64_t id, const place_t *place, bool is_dry, err_t *err);
/* To the file system: at most so many free pages, 0: all. When it fails, then next time. */
void depot_give_pages_back (depot_t *self, int pages);

#endif
