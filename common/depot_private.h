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
    SQL_FIND, SQL_ADD, SQL_ADD_BODY, SQL_CHANGE, SQL_ADD_EDGE, SQL_TOUCH, SQL_READ, SQL_COUNT,
    SQL_DOOM, SQL_LOST, SQL_DOOMED_SIZE, SQL_DROP_EDGES, SQL_DROP_BODIES, SQL_DROP_OBJECTS, SQL_CLEAR_DOOMED,
    SQL_CLEAR_FREE, SQL_FILL_FREE, SQL_NEXT_FREE, SQL_TAKE_FREE, SQL_CHILDREN, SQL_FREE_CHILD,
    SQL_DELETE_EDGES, SQL_DELETE_BODY, SQL_DELETE_OBJECT,
    SQL_CLEAR_ROOTS, SQL_ADD_ROOT, SQL_SPARE, SQL_NEXT_GARBAGE,
    SQL_STATEMENTS
} sql_name;

/* A row of `object`. */
typedef struct {
    int64_t id;
    int kinds;
    bool is_open;               /* may be a folder too, but something that this names is not here: depot_has says no */
    int level;                  /* of a list */
    uint64_t raw_bytes;
    uint64_t content_bytes;     /* of content below a list; raw_bytes for others */
    int64_t used;
} object_row_t;

struct depot {
    pthread_mutex_t lock;       /* recursive; held from begin to commit or rollback */
    char *path;
    int lock_fd;
    sqlite3 *db;
    sqlite3_stmt *statements [SQL_STATEMENTS];
    bool is_writing;
    bool is_suspect;            /* a COMMIT ended in an I/O error: nobody knows what holds until the file is read again */
    int64_t damaged_id;         /* found in a transaction: dropped once that is rolled back */
    int64_t now;                /* counts commits: the time of "least lately used" */
    int64_t collect_before;     /* of the collection under way: what was used since stays */
    buffer_t touched;           /* int64_t ids, used since and not yet written down */
    buffer_t lost;              /* depot_lost_t, not yet asked for */
    uint64_t damaged_objects;   /* found since the start: a rollback does not undo it */
    depot_stats_t stats, stats_before;
};

/* depot_sql.c */
int sql_open (depot_t *self, err_t *err);
int sql_relax (depot_t *self, err_t *err);
void sql_close (depot_t *self);
sqlite3_stmt *sql_bind (depot_t *self, sql_name name);              /* reset, without parameters */
void sql_bind_int (sqlite3_stmt *statement, const char *name, int64_t value);
void sql_bind_blob (sqlite3_stmt *statement, const char *name, const void *data, size_t size);      /* borrowed until reset */
int sql_step (depot_t *self, sqlite3_stmt *statement, err_t *err);  /* 1 a row (reset it when done); 0 the end; -1 */
int sql_run (depot_t *self, sql_name name, err_t *err);             /* without parameters */
int sql_run_id (depot_t *self, sql_name name, int64_t id, err_t *err);
int sql_count (depot_t *self, err_t *err);                          /* fills stats.objects, stats.bytes and now */

/* depot_closure.c: what the bytes are, and the ids of what they name. */
typedef struct {
    int kinds;
    bool is_open;
    int level;
    uint64_t content_bytes;
    buffer_t children;          /* int64_t ids */
    err_t missing;              /* why it is not more than it is; for put's refusal */
} nature_t;
int depot_examine (depot_t *self, const void *data, size_t size, nature_t *nature, err_t *err);

/* depot.c */
int depot_find (depot_t *self, const digest_t *digest, object_row_t *row, err_t *err);      /* 1 there, 0 not, -1 */
int depot_write_touched (depot_t *self, err_t *err);
void depot_touch (depot_t *self, int64_t id, int64_t used);

int depot_reopen_if_suspect (depot_t *self, err_t *err);

/* depot_damage.c: an object's bytes are not what they were. It goes with everything that names it, once no transaction is
 * open; always -1, with the error for who asked for it. */
int depot_take_out (depot_t *self, int64_t id, const digest_t *digest, err_t *err);
int depot_drop (depot_t *self, int64_t id, err_t *err);

/* depot_drop.c */
/* Forget an object that no other names; what only it named becomes free. In an open transaction. */
int depot_forget (depot_t *self, int64_t id, uint64_t stored_bytes, err_t *err);
/* To the file system: at most so many free pages, 0: all. When it fails, then next time. */
void depot_give_pages_back (depot_t *self, int pages);

#endif
