/* mirrors.c - see fetcher.h; what lies in the folder: git_mirror.c. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "coordinator/fetcher.h"

enum { NESTING_MAX = 16 };

typedef struct { char *path; int64_t used_s, bytes; } mirror_t;
typedef struct { mirror_t *items; size_t count; } mirrors_t;

static int64_t bytes_of (const char *folder, int depth)
{
    int64_t bytes = 0;
    DIR *opened = opendir (folder);
    for (struct dirent *entry; opened && (entry = readdir (opened)); ) {
        struct stat info;
        AUTO_FREE char *path = file_join (folder, entry->d_name);
        bool is_dots = strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0;
        if (is_dots || lstat (path, &info) < 0)
            continue;
        bytes += info.st_blocks * 512;
        if (S_ISDIR (info.st_mode) && depth < NESTING_MAX)
            bytes += bytes_of (path, depth + 1);
    }
    if (opened)
        closedir (opened);
    return bytes;
}

/* A lock is there for each. */
static void find (mirrors_t *self, const char *folder)
{
    DIR *opened = opendir (folder);
    for (struct dirent *entry; opened && (entry = readdir (opened)); ) {
        struct stat info;
        AUTO_FREE char *lock = file_join (folder, entry->d_name);
        size_t size = strlen (lock);
        if (size < 6 || strcmp (lock + size - 5, ".lock") != 0 || lstat (lock, &info) < 0)
            continue;
        self->items = mem_resize (self->items, (self->count + 1) * sizeof *self->items);
        mirror_t *mirror = &self->items [self->count++];
        *mirror = (mirror_t) { .path = mem_strndup (lock, size - 5), .used_s = info.st_mtime };
        mirror->bytes = bytes_of (mirror->path, 0);
    }
    if (opened)
        closedir (opened);
}

static int by_use (const void *a, const void *b)
{
    int64_t one = ((const mirror_t *) a)->used_s, other = ((const mirror_t *) b)->used_s;
    return (one > other) - (one < other);
}

/* The lock's file stays: another process may have opened it. */
static bool drop (const mirror_t *mirror)
{
    err_t err;
    AUTO_FREE char *lock = mem_printf ("%s.lock", mirror->path);
    AUTO_CLOSE int fd = open (lock, O_RDWR | O_CLOEXEC);
    if (mirror->bytes == 0 || fd < 0 || flock (fd, LOCK_EX | LOCK_NB) < 0)
        return false;
    if (file_remove_tree (mirror->path, &err) < 0)
        log_warn ("fetcher", "%s", err.text);
    return true;
}

void mirrors_trim (const char *folder, int64_t bytes_max)
{
    mirrors_t all = { .items = NULL };
    int64_t bytes = 0;
    find (&all, folder);
    if (all.count > 0)
        qsort (all.items, all.count, sizeof *all.items, by_use);
    for (size_t i = 0; i < all.count; i++)
        bytes += all.items [i].bytes;
    for (size_t i = 0; i < all.count; i++) {
        if (bytes > bytes_max && drop (&all.items [i]))
            bytes -= all.items [i].bytes;
        free (all.items [i].path);
    }
    free (all.items);
}
