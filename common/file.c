/* file.c - see file.h. */
#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define TEMPORARY ".new-"

enum { LOCK_POLL_MS = 50, TEXT_MAX = 64 * 1024 };

char *file_join (const char *folder, const char *name)
{
    return mem_printf ("%s/%s", folder, name);
}

bool file_exists (const char *path)
{
    return access (path, F_OK) == 0;
}

int64_t file_free_bytes (const char *path)
{
    struct statvfs info;
    return statvfs (path, &info) == 0 ? (int64_t) info.f_bavail * (int64_t) info.f_frsize : -1;
}

int64_t file_free_inodes (const char *path)
{
    struct statvfs info;
    return statvfs (path, &info) == 0 && info.f_files > 0 ? (int64_t) info.f_favail : -1;
}

bool file_is_nearly_full (const char *path)
{
    static const int64_t floor_bytes = 5LL << 30;
    struct statvfs info;
    if (statvfs (path, &info) != 0)
        return false;
    int64_t unit = (int64_t) info.f_frsize, tenth = (int64_t) info.f_blocks * unit / 10;
    return (int64_t) info.f_bavail * unit < (tenth < floor_bytes ? tenth : floor_bytes);
}

/* -- whole files ------------------------------------------------------------------------------------------------ */

int file_read (const char *path, size_t max_bytes, buffer_t *out, err_t *err)
{
    AUTO_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    buffer_clear (out);
    if (fd < 0)
        return errno == ENOENT ? err_set (err, ERR_NOT_FOUND, "%s is not there", path)
                               : err_sys (err, errno, "open %s", path);
    for (;;) {
        char chunk [65536];
        ssize_t size = read (fd, chunk, sizeof chunk);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return err_sys (err, errno, "read %s", path);
        if (size == 0)
            break;
        if (out->size + (size_t) size > max_bytes)
            return err_set (err, ERR_USAGE, "%s is larger than %zu bytes", path, max_bytes);
        buffer_append (out, chunk, (size_t) size);
    }
    buffer_append (out, "", 0);
    return 0;
}

char *file_text (const char *path)
{
    AUTO_BUFFER buffer_t text = { 0 };
    return mem_strdup (file_read (path, TEXT_MAX, &text, NULL) < 0 ? "" : (const char *) text.data);
}

int file_poke (const char *path, const char *text, err_t *err)
{
    AUTO_CLOSE int fd = open (path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write (fd, text, strlen (text)) < 0)
        return err_sys (err, errno, "write %s into %s", text, path);
    return 0;
}

int file_write_all (int fd, const void *data, size_t size, err_t *err)
{
    const char *at = data;
    while (size) {
        ssize_t written = write (fd, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return err_sys (err, errno, "write");
        at += written;
        size -= (size_t) written;
    }
    return 0;
}

int file_sync_name (const char *path, err_t *err)
{
    const char *slash = strrchr (path, '/');
    AUTO_FREE char *folder = !slash ? mem_strdup (".") : slash == path ? mem_strdup ("/")
                                                                       : mem_strndup (path, (size_t) (slash - path));
    AUTO_CLOSE int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync (fd) != 0)
        return err_sys (err, errno, "sync folder %s", folder);
    return 0;
}

static int write_one (int fd, const char *path, const void *data, size_t size, mode_t mode, bool is_synced, err_t *err)
{
    if (fchmod (fd, mode) != 0)
        return err_sys (err, errno, "set the mode of %s", path);
    if (file_write_all (fd, data, size, err) < 0)
        return err_wrap (err, "%s", path);
    if (is_synced && fsync (fd) != 0)
        return err_sys (err, errno, "sync %s", path);
    return 0;
}

char *file_temporary (const char *path)
{
    return mem_printf ("%s" TEMPORARY "XXXXXX", path);
}

/* A temporary name beside it, then the final one. */
static int write_beside (const char *path, const void *data, size_t size, mode_t mode, bool is_synced, err_t *err)
{
    AUTO_FREE char *temporary = file_temporary (path);
    AUTO_CLOSE int fd = mkostemp (temporary, O_CLOEXEC);
    if (fd < 0)
        return err_sys (err, errno, "make a file beside %s", path);
    int rc = write_one (fd, path, data, size, mode, is_synced, err);
    if (rc == 0 && rename (temporary, path) != 0)
        rc = err_sys (err, errno, "rename %s to %s", temporary, path);
    if (rc < 0)
        unlink (temporary);
    return rc;
}

int file_write (const char *path, const void *data, size_t size, mode_t mode, err_t *err)
{
    return write_beside (path, data, size, mode, true, err) < 0 ? -1 : file_sync_name (path, err);
}

int file_write_scratch (const char *path, const void *data, size_t size, mode_t mode, err_t *err)
{
    return write_beside (path, data, size, mode, false, err);
}

void file_sweep (const char *folder)
{
    DIR *items = opendir (folder);
    for (struct dirent *item; items && (item = readdir (items));) {
        const char *end = strstr (item->d_name, TEMPORARY);
        if (end && strlen (end) == strlen (TEMPORARY "XXXXXX"))
            unlinkat (dirfd (items), item->d_name, 0);
    }
    if (items)
        closedir (items);
}

/* -- folders ---------------------------------------------------------------------------------------------------- */

int file_make_folders (const char *path, mode_t mode, err_t *err)
{
    AUTO_FREE char *copy = mem_strdup (path);
    for (char *slash = strchr (copy + 1, '/'); ; slash = strchr (slash + 1, '/')) {
        if (slash)
            *slash = 0;
        if (mkdir (copy, mode) != 0 && errno != EEXIST)
            return err_sys (err, errno, "make folder %s", copy);
        if (!slash)
            break;
        *slash = '/';
    }
    struct stat info;
    if (stat (path, &info) != 0)
        return err_sys (err, errno, "look at folder %s", path);
    return S_ISDIR (info.st_mode) ? 0 : err_set (err, ERR_FARM, "%s is no folder", path);
}

/* -- locks ------------------------------------------------------------------------------------------------------ */

/* Who wrote the number into the file that is locked; 0 when it does not say. */
static pid_t lock_owner (int fd)
{
    char text [32] = "";
    return pread (fd, text, sizeof text - 1, 0) > 0 ? (pid_t) strtol (text, NULL, 10) : 0;
}

/* A zombie has: whoever ought to collect it may never do so. */
static bool has_ended (pid_t process)
{
    AUTO_FREE char *path = mem_printf ("/proc/%ld/stat", (long) process);
    AUTO_FREE char *text = file_text (path);
    const char *end = strrchr (text, ')');       /* of the name, which may contain anything */
    return !*text || (end && (strncmp (end, ") Z", 3) == 0 || strncmp (end, ") X", 3) == 0));
}

/* Between the lock and the number in the file, and where process numbers mean nothing, it looks as if the owner had
 * ended: then it is refused wait_ms later. */
static int lock_patiently (int fd, const char *path, int wait_ms, err_t *err)
{
    int64_t until = clock_boot_ms () + wait_ms;
    bool has_told = false;
    while (flock (fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return err_sys (err, errno, "lock %s", path);
        pid_t owner = lock_owner (fd);
        if ((owner > 0 && !has_ended (owner)) || clock_boot_ms () >= until)
            return err_set (err, ERR_FARM, "%s is in use by process %ld: stop that one first, or use another folder", path, (long) owner);
        if (!has_told)
            log_info ("lock", "%s: process %ld has ended; what it started is waited for", path, (long) owner);
        has_told = true;
        poll (NULL, 0, LOCK_POLL_MS);
    }
    return 0;
}

int file_lock (const char *path, int wait_ms, err_t *err)
{
    AUTO_CLOSE int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys (err, errno, "open %s", path);
    if (lock_patiently (fd, path, wait_ms, err) < 0)
        return -1;
    char owner [32];
    int size = snprintf (owner, sizeof owner, "%ld\n", (long) getpid ());
    if (ftruncate (fd, 0) != 0 || pwrite (fd, owner, (size_t) size, 0) != size)
        return err_sys (err, errno, "write %s", path);
    return take_fd (&fd);
}
