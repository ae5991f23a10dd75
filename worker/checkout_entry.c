/* checkout_entry.c - a file or link of a checkout: left alone, given another mode or time, cloned, or written anew.
 *
 * What is there is never written to, but taken away first: a build may have made another name for the same file. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "worker/checkout_private.h"

enum { BLOCK = 4096 };

void entry_times (const tree_entry_t *entry, struct timespec times [2])
{
    times [0] = times [1] = (struct timespec) { .tv_sec = entry->mtime_s, .tv_nsec = entry->mtime_ns };
}

static void note (item_t *item, const struct stat *info)
{
    stamp_t stamp = stamp_of (info);
    item->slot = (record_slot_t) { .inode = stamp.inode, .ctime_s = stamp.ctime_s, .ctime_ns = stamp.ctime_ns };
}

static bool content_equal (const content_t *a, const content_t *b)
{
    return a->size_bytes == b->size_bytes && a->level == b->level && digest_equal (&a->digest, &b->digest);
}

static bool holds_the_same (const tree_entry_t *a, const tree_entry_t *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == TREE_FILE)
        return content_equal (&a->content, &b->content);
    return a->target_size == b->target_size && memcmp (a->target, b->target, a->target_size) == 0;
}

static int take_space (checkout_t *self, uint64_t size, err_t *err)
{
    if (size > INT64_MAX / 2 || atomic_fetch_sub (&self->bytes_left, (long long) size) < (long long) size)
        return err_set (err, ERR_FULL, "the context does not fit: %s has %" PRId64 " MB free. Make room there, or move the "
                        "worker's state to a larger disk", self->settings->folder, self->bytes_free / 1000000);
    return 0;
}

/* -- what is there ---------------------------------------------------------------------------------------------- */

/* 1: it is as it was and has what the new tree wants, but perhaps for mode and time, which it gets; 0: it has to be made. */
static int keep (hand_t *hand, const folder_t *folder, item_t *item, const char *name)
{
    const checkout_t *all = hand->all;
    const tree_entry_t *entry = &item->entry, *before = &item->entry_before;
    struct timespec times [2];
    struct stat info;
    if (!item->has_before || !holds_the_same (entry, before) || fstatat (folder->fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0
    ||  !record_matches (all->settings->before, before, &item->slot_before, &info))
        return 0;
    bool has_mode = entry->kind == TREE_LINK || entry->mode == before->mode;
    bool has_time = entry->mtime_s == before->mtime_s && entry->mtime_ns == before->mtime_ns;
    entry_times (entry, times);
    if ((!has_mode && fchmodat (folder->fd, name, entry->mode, AT_SYMLINK_NOFOLLOW) < 0)
    ||  (!has_time && utimensat (folder->fd, name, times, AT_SYMLINK_NOFOLLOW) < 0))
        return 0;
    if ((!has_mode || !has_time) && fstatat (folder->fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    hand->has_touched |= !has_mode || !has_time;
    note (item, &info);
    return 1;
}

/* Make room for a name. In a new folder nothing is there but other entries. */
static int clear_name (folder_t *folder, const char *name, err_t *err)
{
    if (folder->is_new)
        return checkout_names_collide (err);
    atomic_store (&folder->has_cleared, true);
    return file_remove_at (folder->fd, name, err);
}

/* -- writing ---------------------------------------------------------------------------------------------------- */

/* Share the blocks of the other checkout's file, when it is surely still what the record says, before and after. 1: done;
 * 0: the file is empty, and has to be written. */
static int clone_file (checkout_t *all, const folder_t *folder, const item_t *item, const char *name, int fd, err_t *err)
{
    struct stat info;
    if (!item->has_before || folder->before_fd < 0 || !atomic_load (&all->can_clone) || item->entry.content.size_bytes == 0
    ||  !holds_the_same (&item->entry, &item->entry_before))
        return 0;
    AUTO_CLOSE int from = openat (folder->before_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (from < 0)
        return 0;
    if (ioctl (fd, FICLONE, from) < 0) {
        atomic_store (&all->can_clone, false);      /* not on this file system, most likely */
        return 0;
    }
    if (fstat (from, &info) == 0 && record_matches (all->settings->before, &item->entry_before, &item->slot_before, &info))
        return 1;
    return ftruncate (fd, 0) < 0 ? err_sys (err, errno, "empty the file") : 0;
}

/* Mode and time last, and what stat says of it then. */
static int finish_file (item_t *item, int fd, err_t *err)
{
    struct timespec times [2];
    struct stat info;
    entry_times (&item->entry, times);
    if (futimens (fd, times) < 0 || fstat (fd, &info) < 0)
        return err_sys (err, errno, "set its time");
    if ((info.st_mode & 07777) != item->entry.mode && (fchmod (fd, item->entry.mode) < 0 || fstat (fd, &info) < 0))
        return err_sys (err, errno, "set its mode");
    note (item, &info);
    return 0;
}

static int write_file (hand_t *hand, folder_t *folder, item_t *item, const char *name, err_t *err)
{
    const content_t *content = &item->entry.content;
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    mode_t mode = item->entry.mode & 0777;
    if (take_space (hand->all, content->size_bytes, err) < 0)
        return -1;
    AUTO_CLOSE int fd = openat (folder->fd, name, flags, mode);
    if (fd < 0 && errno == EEXIST) {
        if (clear_name (folder, name, err) < 0)
            return -1;
        fd = openat (folder->fd, name, flags, mode);
    }
    if (fd < 0)
        return err_sys (err, errno, "make the file");
    int cloned = clone_file (hand->all, folder, item, name, fd, err);
    if (cloned < 0 || (cloned == 0 && content_pour (hand, content, fd, NULL, err) < 0))
        return -1;
    hand->stats.cloned += (uint64_t) cloned;
    hand->stats.written++;
    hand->stats.written_bytes += content->size_bytes;
    return finish_file (item, fd, err);
}

static int write_link (folder_t *folder, item_t *item, const char *name, err_t *err)
{
    struct timespec times [2];
    struct stat info;
    AUTO_FREE char *target = mem_strndup (item->entry.target, item->entry.target_size);
    int rc = symlinkat (target, folder->fd, name);
    if (rc < 0 && errno == EEXIST) {
        if (clear_name (folder, name, err) < 0)
            return -1;
        rc = symlinkat (target, folder->fd, name);
    }
    if (rc < 0)
        return err_sys (err, errno, "make the link");
    entry_times (&item->entry, times);
    if (utimensat (folder->fd, name, times, AT_SYMLINK_NOFOLLOW) < 0
    ||  fstatat (folder->fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys (err, errno, "set the link's time");
    note (item, &info);
    return 0;
}

int entry_make (hand_t *hand, folder_t *folder, item_t *item, const char *name, err_t *err)
{
    bool is_file = item->entry.kind == TREE_FILE;
    uint64_t bytes = is_file ? item->entry.content.size_bytes : 0;
    hand->stats.files += is_file;
    hand->stats.bytes += bytes;
    hand->stats.disk_bytes += (bytes + BLOCK - 1) / BLOCK * BLOCK;
    if (hand->all->is_change && keep (hand, folder, item, name))
        return 0;
    hand->has_touched = true;
    return is_file ? write_file (hand, folder, item, name, err) : write_link (folder, item, name, err);
}
