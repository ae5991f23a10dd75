/* disk.c - see disk.h. The connection is farm.db: SQLite has a database in memory for as long as it is open. So whoever opens it is given the
 * one that is there, with all statements that were prepared, and whoever closes it, or ends without doing so, loses what was not committed.
 * What SQLite does to a real disk is not looked at here: tests/power does that. */
#include "disk.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"
#include "coordinator/db.h"

static db_t *held;              /* nobody has it open */
static sqlite3 *kept;
static disk_mood mood;
static int64_t changes;         /* of rows, up to the end of the last transaction */

int __real_db_open (db_t **out, const char *path, err_t *err);
int __real_db_commit (db_t *self, bool *is_unknown, err_t *err);
int __wrap_db_open (db_t **out, const char *path, err_t *err);
int __wrap_db_commit (db_t *self, bool *is_unknown, err_t *err);
void __wrap_db_destroy (db_t **self_p);

static sqlite3 *handle_of (db_t *self)
{
    return sqlite3_db_handle (db_query (self, "COMMIT").statement);
}

/* -- open and close --------------------------------------------------------------------------------------------- */

/* What was undone needs no disk either. */
static void on_rollback (void *argument)
{
    changes = db_changes (argument);
}

static int create (db_t **out, err_t *err)
{
    if (__real_db_open (out, ":memory:", err) < 0)
        return -1;
    sqlite3_rollback_hook (handle_of (*out), on_rollback, *out);
    return 0;
}

int __wrap_db_open (db_t **out, const char *path, err_t *err)
{
    (void) path;
    if (!held)
        return create (out, err);
    *out = take (&held);
    return 0;
}

void __wrap_db_destroy (db_t **self_p)
{
    if (*self_p && db_in_transaction (*self_p))
        db_exec (*self_p, "ROLLBACK", NULL);
    if (*self_p)
        held = take (self_p);
}

/* -- commit ------------------------------------------------------------------------------------------------------ */

void disk_set (disk_mood next)
{
    mood = next;
}

bool disk_is_fine (void)
{
    return mood == DISK_FINE;
}

static int fail (db_t *self, bool *is_unknown, err_t *err)
{
    if (mood != DISK_DOUBTFUL)
        db_exec (self, "ROLLBACK", NULL);
    else if (__real_db_commit (self, is_unknown, err) < 0)
        return -1;
    *is_unknown = mood != DISK_FULL;
    return *is_unknown ? err_set (err, ERR_FARM, "queue database: COMMIT: disk I/O error")
                       : err_set (err, ERR_FULL, "queue database: COMMIT: database or disk is full");
}

/* Where nothing was written the disk is not needed. */
int __wrap_db_commit (db_t *self, bool *is_unknown, err_t *err)
{
    bool has_written = db_changes (self) != changes;
    changes = db_changes (self);
    return mood == DISK_FINE || !has_written ? __real_db_commit (self, is_unknown, err) : fail (self, is_unknown, err);
}

/* -- a copy ------------------------------------------------------------------------------------------------------ */

static void copy (sqlite3 *to, sqlite3 *from)
{
    sqlite3_backup *backup = sqlite3_backup_init (to, "main", from, "main");
    if (!backup || sqlite3_backup_step (backup, -1) != SQLITE_DONE || sqlite3_backup_finish (backup) != SQLITE_OK) {
        fprintf (stderr, "the database cannot be copied: %s\n", sqlite3_errmsg (to));
        exit (1);
    }
}

void disk_keep (void)
{
    if (sqlite3_open (":memory:", &kept) == SQLITE_OK)
        copy (kept, handle_of (held));
}

void disk_restore (void)
{
    copy (handle_of (held), kept);
    disk_set (DISK_FINE);
}
