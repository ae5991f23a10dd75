/* disk.c - see disk.h. A few named files; SQLite has them to itself, so locks are granted and there is no shared memory: farm.db is
 * opened with locking_mode=EXCLUSIVE, and its WAL index is on the heap. */
#include "disk.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

enum { FILES_MAX = 4, NAME_MAX_SIZE = 64 };

typedef struct {
    char name [NAME_MAX_SIZE];          /* "": none */
    buffer_t bytes;
} file_t;

typedef struct {
    sqlite3_file base;
    file_t *file;
} handle_t;

static file_t files [FILES_MAX], kept [FILES_MAX];
static disk_mood mood;
static int changes_left;

/* -- files ------------------------------------------------------------------------------------------------------ */

static file_t *file_find (const char *name)
{
    for (int i = 0; i < FILES_MAX; i++)
        if (files [i].name [0] && strcmp (files [i].name, name) == 0)
            return &files [i];
    return NULL;
}

static file_t *file_make (const char *name)
{
    for (int i = 0; i < FILES_MAX; i++)
        if (files [i].name [0] == 0) {
            snprintf (files [i].name, sizeof files [i].name, "%s", name);
            files [i].bytes.size = 0;
            return &files [i];
        }
    return NULL;
}

static void copy_files (file_t *to, const file_t *from)
{
    for (int i = 0; i < FILES_MAX; i++) {
        memcpy (to [i].name, from [i].name, sizeof to [i].name);
        to [i].bytes.size = 0;
        buffer_append (&to [i].bytes, from [i].bytes.data, from [i].bytes.size);
    }
}

void disk_clear (void)
{
    for (int i = 0; i < FILES_MAX; i++)
        files [i].name [0] = 0;
    disk_set (DISK_FINE, 0);
}

void disk_keep (void)
{
    copy_files (kept, files);
}

void disk_restore (void)
{
    disk_clear ();
    copy_files (files, kept);
}

/* -- moods ------------------------------------------------------------------------------------------------------ */

void disk_set (disk_mood next, int after)
{
    mood = next;
    changes_left = after;
}

bool disk_is_fine (void)
{
    return mood == DISK_FINE;
}

/* Does this change take place; and what SQLite hears of it (the error of its kind where there is one). */
static bool take_change (int error, int *rc)
{
    *rc = SQLITE_OK;
    if (mood == DISK_FINE || changes_left-- > 0)
        return true;
    *rc = mood == DISK_FULL ? SQLITE_FULL : error;
    return mood == DISK_DOUBTFUL;
}

/* -- a file's methods ------------------------------------------------------------------------------------------- */

static buffer_t *bytes_of (sqlite3_file *base)
{
    return &((handle_t *) base)->file->bytes;
}

static int on_close (sqlite3_file *base)
{
    (void) base;
    return SQLITE_OK;
}

static int on_read (sqlite3_file *base, void *to, int size, sqlite3_int64 offset)
{
    const buffer_t *bytes = bytes_of (base);
    size_t at = (size_t) offset, left = at < bytes->size ? bytes->size - at : 0;
    size_t have = left < (size_t) size ? left : (size_t) size;
    if (have)
        memcpy (to, bytes->data + at, have);
    memset ((char *) to + have, 0, (size_t) size - have);
    return have == (size_t) size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int on_write (sqlite3_file *base, const void *from, int size, sqlite3_int64 offset)
{
    int rc;
    buffer_t *bytes = bytes_of (base);
    size_t at = (size_t) offset, end = at + (size_t) size;
    if (!take_change (SQLITE_IOERR_WRITE, &rc))
        return rc;
    if (end > bytes->size) {
        buffer_reserve (bytes, end);
        if (at > bytes->size)
            memset (bytes->data + bytes->size, 0, at - bytes->size);
        bytes->size = end;
    }
    memcpy (bytes->data + at, from, (size_t) size);
    return rc;
}

static int on_truncate (sqlite3_file *base, sqlite3_int64 size)
{
    int rc;
    buffer_t *bytes = bytes_of (base);
    if (take_change (SQLITE_IOERR_TRUNCATE, &rc) && (size_t) size < bytes->size)
        bytes->size = (size_t) size;
    return rc;
}

static int on_sync (sqlite3_file *base, int flags)
{
    int rc;
    (void) base, (void) flags;
    take_change (SQLITE_IOERR_FSYNC, &rc);
    return rc;
}

static int on_size (sqlite3_file *base, sqlite3_int64 *size)
{
    *size = (sqlite3_int64) bytes_of (base)->size;
    return SQLITE_OK;
}

static int on_lock (sqlite3_file *base, int level)
{
    (void) base, (void) level;
    return SQLITE_OK;
}

static int on_check_lock (sqlite3_file *base, int *is_reserved)
{
    (void) base;
    *is_reserved = 0;
    return SQLITE_OK;
}

static int on_control (sqlite3_file *base, int what, void *argument)
{
    (void) base, (void) what, (void) argument;
    return SQLITE_NOTFOUND;
}

static int on_sector_size (sqlite3_file *base)
{
    (void) base;
    return 4096;
}

static int on_device (sqlite3_file *base)
{
    (void) base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1, .xClose = on_close, .xRead = on_read, .xWrite = on_write, .xTruncate = on_truncate, .xSync = on_sync,
    .xFileSize = on_size, .xLock = on_lock, .xUnlock = on_lock, .xCheckReservedLock = on_check_lock, .xFileControl = on_control,
    .xSectorSize = on_sector_size, .xDeviceCharacteristics = on_device,
};

/* -- the file system's methods ---------------------------------------------------------------------------------- */

static int on_open (sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *out_flags)
{
    (void) vfs;
    file_t *file = name ? file_find (name) : NULL;
    base->pMethods = NULL;
    if (!file && name && (flags & SQLITE_OPEN_CREATE))
        file = file_make (name);
    if (!file)
        return SQLITE_CANTOPEN;
    ((handle_t *) base)->file = file;
    base->pMethods = &methods;
    if (out_flags)
        *out_flags = flags;
    return SQLITE_OK;
}

static int on_delete (sqlite3_vfs *vfs, const char *name, int sync)
{
    int rc;
    (void) vfs, (void) sync;
    file_t *file = file_find (name);
    if (!file)
        return SQLITE_IOERR_DELETE_NOENT;
    if (take_change (SQLITE_IOERR_DELETE, &rc))
        file->name [0] = 0;
    return rc;
}

static int on_access (sqlite3_vfs *vfs, const char *name, int flags, int *is_there)
{
    (void) vfs, (void) flags;
    *is_there = file_find (name) != NULL;
    return SQLITE_OK;
}

static int on_full_name (sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    (void) vfs;
    snprintf (out, (size_t) size, "%s", name);
    return SQLITE_OK;
}

/* Salts of the WAL: the same in each run. */
static int on_randomness (sqlite3_vfs *vfs, int size, char *out)
{
    (void) vfs;
    memset (out, 0x5a, (size_t) size);
    return size;
}

static int on_sleep (sqlite3_vfs *vfs, int us)
{
    (void) vfs;
    return us;
}

static int on_time (sqlite3_vfs *vfs, double *julian_day)
{
    (void) vfs;
    *julian_day = 2460000.5;
    return SQLITE_OK;
}

void disk_mount (void)
{
    static sqlite3_vfs vfs = {
        .iVersion = 1, .szOsFile = sizeof (handle_t), .mxPathname = NAME_MAX_SIZE - 1, .zName = "disk", .xOpen = on_open,
        .xDelete = on_delete, .xAccess = on_access, .xFullPathname = on_full_name, .xRandomness = on_randomness, .xSleep = on_sleep,
        .xCurrentTime = on_time,
    };
    sqlite3_config (SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config (SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_initialize ();
    sqlite3_vfs_register (&vfs, 1);
}
