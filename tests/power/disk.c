/* disk.c - see disk.h. */
#include "disk.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "tests/lib/chance.h"

enum { FILES_MAX = 64, SECTOR = 512 };

typedef enum { DO_WRITE, DO_TRUNCATE, DO_SYNC, DO_DELETE } deed_kind;

typedef struct {
    deed_kind kind;
    int file;
    int64_t offset;             /* of a write; the length of a truncation */
    size_t size;
    uint8_t *data;
} deed_t;

/* What is known of a file on the disk. */
typedef struct {
    char *name;                 /* in the folder */
    buffer_t synced;
    bool is_there;
    size_t replayed;            /* deeds that are in `synced` */
} disk_file_t;

static disk_file_t files [FILES_MAX];
static int file_count;
static deed_t *deeds;
static size_t deed_count, deed_capacity;

/* -- writing down ----------------------------------------------------------------------------------------------- */

static int file_named (const char *name)
{
    for (int i = 0; i < file_count; i++)
        if (strcmp (files [i].name, name) == 0)
            return i;
    assert (file_count < FILES_MAX);
    files [file_count].name = mem_strdup (name);
    return file_count++;
}

/* SQLite's are all in the folder itself. */
static int file_at (const char *path)
{
    const char *slash = strrchr (path, '/');
    return file_named (slash ? slash + 1 : path);
}

static void note (deed_kind kind, int file, int64_t offset, const void *data, size_t size)
{
    if (deed_count == deed_capacity) {
        deed_capacity = deed_capacity ? 2 * deed_capacity : 1024;
        deeds = mem_resize (deeds, deed_capacity * sizeof *deeds);
    }
    deed_t *deed = &deeds [deed_count++];
    *deed = (deed_t) { .kind = kind, .file = file, .offset = offset, .size = size };
    if (size > 0) {
        deed->data = mem_alloc (size);
        memcpy (deed->data, data, size);
    }
}

void disk_note_write (const char *name, int64_t offset, const void *data, size_t size)
{
    note (DO_WRITE, file_named (name), offset, data, size);
}

void disk_note_truncate (const char *name, int64_t size)
{
    note (DO_TRUNCATE, file_named (name), size, NULL, 0);
}

void disk_note_sync (const char *name)
{
    note (DO_SYNC, file_named (name), 0, NULL, 0);
}

void disk_note_delete (const char *name)
{
    note (DO_DELETE, file_named (name), 0, NULL, 0);
}

/* A folder that is synced has lost for good what was deleted in it. */
void disk_note_folder_sync (void)
{
    for (int i = 0; i < file_count; i++) {
        size_t last = deed_count;
        while (last > 0 && deeds [last - 1].file != i)
            last--;
        if (last > 0 && deeds [last - 1].kind == DO_DELETE)
            note (DO_SYNC, i, 0, NULL, 0);
    }
}

size_t disk_moments (void)
{
    return deed_count;
}

/* -- the VFS ---------------------------------------------------------------------------------------------------- */

typedef struct {
    sqlite3_file base;
    int file;                   /* -1: nobody else sees it */
    bool is_new;                /* its first sync is one of the folder too (unixSync of SQLite's os_unix.c) */
    sqlite3_file *real;         /* behind this struct */
} shim_t;

static sqlite3_vfs *real_vfs;

#define REAL(file) (((shim_t *) (file))->real)
#define PASS(method, file, ...) REAL (file)->pMethods->method (REAL (file), ##__VA_ARGS__)

static int on_close (sqlite3_file *file) { return PASS (xClose, file); }
static int on_read (sqlite3_file *file, void *data, int size, sqlite3_int64 offset) { return PASS (xRead, file, data, size, offset); }
static int on_size (sqlite3_file *file, sqlite3_int64 *size) { return PASS (xFileSize, file, size); }
static int on_lock (sqlite3_file *file, int level) { return PASS (xLock, file, level); }
static int on_unlock (sqlite3_file *file, int level) { return PASS (xUnlock, file, level); }
static int on_check (sqlite3_file *file, int *out) { return PASS (xCheckReservedLock, file, out); }
static int on_control (sqlite3_file *file, int op, void *argument) { return PASS (xFileControl, file, op, argument); }
static int on_sector (sqlite3_file *file) { return PASS (xSectorSize, file); }
static int on_device (sqlite3_file *file) { return PASS (xDeviceCharacteristics, file); }

static int on_write (sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    if (((shim_t *) file)->file >= 0)
        note (DO_WRITE, ((shim_t *) file)->file, offset, data, (size_t) size);
    return PASS (xWrite, file, data, size, offset);
}

static int on_truncate (sqlite3_file *file, sqlite3_int64 size)
{
    if (((shim_t *) file)->file >= 0)
        note (DO_TRUNCATE, ((shim_t *) file)->file, size, NULL, 0);
    return PASS (xTruncate, file, size);
}

static int on_sync (sqlite3_file *file, int flags)
{
    shim_t *self = (shim_t *) file;
    if (self->file >= 0)
        note (DO_SYNC, self->file, 0, NULL, 0);
    if (self->file >= 0 && self->is_new)
        disk_note_folder_sync ();
    self->is_new = false;
    return PASS (xSync, file, flags);
}

/* Version 1: no shared memory and no memory map, which a connection that is exclusive needs not. */
static const sqlite3_io_methods methods = {
    .iVersion = 1, .xClose = on_close, .xRead = on_read, .xWrite = on_write, .xTruncate = on_truncate, .xSync = on_sync,
    .xFileSize = on_size, .xLock = on_lock, .xUnlock = on_unlock, .xCheckReservedLock = on_check, .xFileControl = on_control,
    .xSectorSize = on_sector, .xDeviceCharacteristics = on_device,
};

static int on_open (sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    shim_t *self = (shim_t *) file;
    (void) vfs;
    self->real = (sqlite3_file *) (self + 1);
    self->file = name && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) ? file_at (name) : -1;
    self->is_new = flags & SQLITE_OPEN_CREATE;
    int rc = real_vfs->xOpen (real_vfs, name, self->real, flags, out_flags);
    self->base.pMethods = self->real->pMethods ? &methods : NULL;
    return rc;
}

static int on_delete (sqlite3_vfs *vfs, const char *name, int must_sync)
{
    (void) vfs;
    int file = file_at (name);
    note (DO_DELETE, file, 0, NULL, 0);
    if (must_sync)
        disk_note_folder_sync ();
    return real_vfs->xDelete (real_vfs, name, must_sync);
}

void disk_install (void)
{
    static sqlite3_vfs shim;
    real_vfs = sqlite3_vfs_find (NULL);
    shim = *real_vfs;
    shim.zName = "disk";
    shim.szOsFile = (int) sizeof (shim_t) + real_vfs->szOsFile;
    shim.xOpen = on_open;
    shim.xDelete = on_delete;
    sqlite3_vfs_register (&shim, 1);
}

void disk_leave (void)
{
    sqlite3_vfs_register (real_vfs, 1);
}

/* -- what is left ----------------------------------------------------------------------------------------------- */

static uint64_t draw (uint64_t *random, uint64_t below)
{
    return chance_next (random) % below;
}

static void set_size (buffer_t *content, size_t size)
{
    if (size > content->size) {
        size_t old = content->size;
        buffer_reserve (content, size);
        memset (content->data + old, 0, size - old);
    }
    content->size = size;
}

static void write_part (buffer_t *content, const deed_t *deed, size_t from, size_t size)
{
    size_t end = (size_t) deed->offset + from + size;
    if (end > content->size)
        set_size (content, end);
    memcpy (content->data + deed->offset + from, deed->data + from, size);
}

static void apply (buffer_t *content, bool *is_there, const deed_t *deed)
{
    if (deed->kind == DO_WRITE)
        write_part (content, deed, 0, deed->size);
    if (deed->kind == DO_TRUNCATE)
        set_size (content, (size_t) deed->offset);
    if (deed->kind == DO_DELETE)
        content->size = 0;
    if (deed->kind != DO_SYNC)
        *is_there = deed->kind != DO_DELETE;
}

static void apply_by_chance (buffer_t *content, bool *is_there, const deed_t *deed, disk_loss loss, uint64_t *random)
{
    if (loss == LOSE_ALL || (loss == LOSE_WRITES && draw (random, 2)))
        return;
    if (loss != LOSE_SECTORS || deed->kind != DO_WRITE) {
        if (loss != LOSE_SECTORS || draw (random, 2))
            apply (content, is_there, deed);
        return;
    }
    for (size_t at = 0; at < deed->size; at += SECTOR)
        if (draw (random, 2)) {
            write_part (content, deed, at, deed->size - at < SECTOR ? deed->size - at : SECTOR);
            *is_there = true;
        }
}

static size_t last_sync (int file, size_t moments)
{
    while (moments > 0 && !(deeds [moments - 1].kind == DO_SYNC && deeds [moments - 1].file == file))
        moments--;
    return moments;
}

static void restore_file (int number, size_t moments, disk_loss loss, uint64_t *random, const char *folder)
{
    err_t err = { 0 };
    disk_file_t *file = &files [number];
    size_t synced = last_sync (number, moments);
    for (; file->replayed < synced; file->replayed++)
        if (deeds [file->replayed].file == number)
            apply (&file->synced, &file->is_there, &deeds [file->replayed]);
    AUTO_BUFFER buffer_t content = { 0 };
    bool is_there = file->is_there;
    buffer_append (&content, file->synced.data, file->synced.size);
    for (size_t i = file->replayed; i < moments; i++)
        if (deeds [i].file == number)
            apply_by_chance (&content, &is_there, &deeds [i], loss, random);
    AUTO_FREE char *path = file_join (folder, file->name);
    AUTO_FREE char *parent = mem_strndup (path, (size_t) (strrchr (path, '/') - path));
    if (is_there && (file_make_folders (parent, 0700, &err) < 0
                     || file_write_scratch (path, content.data ? (const char *) content.data : "", content.size, 0600, &err) < 0))
        abort ();
}

void disk_restore (size_t moments, disk_loss loss, uint64_t *random, const char *folder)
{
    err_t err = { 0 };
    if (file_remove_tree (folder, &err) < 0 || file_make_folders (folder, 0700, &err) < 0)
        abort ();
    for (int i = 0; i < file_count; i++)
        restore_file (i, moments, loss, random, folder);
}
