/* checkout_folder.c - a folder of a checkout: made or taken as it is, its entries handed out, and at its end what is too
 * many taken away, and mode and time set. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/file.h"
#include "worker/checkout_private.h"

enum { OPEN_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

folder_t *folder_new (checkout_t *all, folder_t *parent, const item_t *item, size_t place)
{
    folder_t *self = mem_alloc (sizeof *self);
    self->parent = parent;
    self->place = place;
    self->entry = item->entry;
    self->depth = parent ? parent->depth + 1 : 0;
    self->fd = self->before_fd = -1;
    self->has_before = item->has_before && item->entry_before.kind == TREE_FOLDER;
    self->content_before = item->entry_before.content;
    self->block_before = item->slot_before.block;
    memcpy (self->name, item->entry.name, item->entry.name_size);
    self->live_next = all->live;
    if (all->live)
        all->live->live_before = self;
    all->live = self;
    return self;
}

void folder_free (checkout_t *all, folder_t *self)
{
    *(self->live_before ? &self->live_before->live_next : &all->live) = self->live_next;
    if (self->live_next)
        self->live_next->live_before = self->live_before;
    auto_close (&self->fd);
    auto_close (&self->before_fd);
    buffer_free (&self->own_listing);
    buffer_free (&self->slots);
    record_block_free (&self->block);
    free (self);
}

char *folder_path (const folder_t *self)
{
    if (!self->parent)
        return mem_strdup ("");
    AUTO_FREE char *above = folder_path (self->parent);
    return mem_printf ("%s%s/", above, self->name);
}

/* -- open ------------------------------------------------------------------------------------------------------- */

/* A folder that was there is ours to use when it is one, the same user's, on the same file system, and carries nothing that
 * a listing does not know: an attribute that a build left would reach the next image. What a policy puts on every
 * folder is no build's. */
static bool is_plain (const checkout_t *all, int fd)
{
    char names [1024];
    struct stat info;
    if (fstat (fd, &info) < 0 || info.st_dev != all->device || info.st_uid != geteuid () || info.st_gid != getegid ())
        return false;
    ssize_t size = flistxattr (fd, names, sizeof names);
    for (ssize_t at = 0; at < size; at += (ssize_t) strlen (names + at) + 1)
        if (strcmp (names + at, "security.selinux") != 0)
            return false;
    return size >= 0 || errno == EOPNOTSUPP;
}

static bool open_old (const checkout_t *all, folder_t *self)
{
    self->fd = openat (self->parent->fd, self->name, OPEN_FLAGS);
    if (self->fd < 0 && errno == EACCES && fchmodat (self->parent->fd, self->name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
        self->fd = openat (self->parent->fd, self->name, OPEN_FLAGS);
    if (self->fd >= 0 && is_plain (all, self->fd))
        return true;
    auto_close (&self->fd);
    self->fd = -1;
    self->has_before = false;
    return false;
}

static int make (const checkout_t *all, folder_t *self, err_t *err)
{
    int parent = self->parent ? self->parent->fd : AT_FDCWD;
    const char *name = self->parent ? self->name : all->settings->folder;
    int rc = mkdirat (parent, name, 0700);
    if (rc < 0 && errno == EEXIST && self->parent) {
        if (self->parent->is_new)
            return checkout_names_collide (err);
        atomic_store (&self->parent->has_cleared, true);
        if (file_remove_at (parent, name, err) < 0)
            return -1;
        rc = mkdirat (parent, name, 0700);
    }
    if (rc < 0)
        return err_sys (err, errno, "make the folder");
    self->is_new = true;
    self->fd = openat (parent, name, OPEN_FLAGS);
    return self->fd < 0 ? err_sys (err, errno, "open the folder") : 0;
}

/* The folder in the other checkout, when there is one and it can be entered. */
static void open_before (const checkout_t *all, folder_t *self)
{
    if (all->is_change || !self->has_before)
        return;
    if (!atomic_load (&all->can_clone))
        self->before_fd = -1;
    else if (!self->parent)
        self->before_fd = fcntl (all->settings->before_fd, F_DUPFD_CLOEXEC, 0);
    else if (self->parent->before_fd >= 0)
        self->before_fd = openat (self->parent->before_fd, self->name, OPEN_FLAGS);
    self->has_before = self->before_fd >= 0;
}

/* What the record has of the folder; and where that is what the folder lists now too, no object is read. */
static int read_listing (hand_t *hand, folder_t *self, err_t *err)
{
    const content_t *content = &self->entry.content, *before = &self->content_before;
    if (content->size_bytes > TREE_LISTING_MAX)
        return err_set (err, ERR_PROTOCOL, "a folder's listing is too long");
    if (self->has_before && record_read (hand->all->settings->before, self->block_before, &self->block, err) < 0)
        return -1;
    bool is_same = self->has_before && content->level == before->level && content->size_bytes == before->size_bytes
                   && self->block.listing_size == content->size_bytes && digest_equal (&content->digest, &before->digest);
    if (!is_same && content_pour (hand, content, -1, &self->own_listing, err) < 0)
        return -1;
    self->listing = is_same ? self->block.bytes.data : self->own_listing.data;
    self->listing_size = is_same ? self->block.listing_size : self->own_listing.size;
    tree_reader_init (&self->reader, self->listing, self->listing_size, 0);
    tree_reader_init (&self->reader_before, self->block.bytes.data, self->block.listing_size, 0);
    return 0;
}

int folder_enter (checkout_t *all, folder_t *self, err_t *err)
{
    struct stat info;
    if (!all->is_change && make (all, self, err) < 0)
        return -1;
    if (all->is_change)
        self->fd = open (all->settings->folder, OPEN_FLAGS);
    if (self->fd < 0 || fstat (self->fd, &info) < 0)
        return err_sys (err, errno, "open the folder");
    all->device = info.st_dev;
    bool is_other = all->is_change && (info.st_dev != record_facts (all->settings->before)->device || !is_plain (all, self->fd));
    return is_other ? err_set (err, ERR_FARM, "it is not the folder that it was") : 0;
}

/* Taken as it is, where a folder that was there may still be one. What was there in a folder made anew is gone. */
static int get_ready (const checkout_t *all, folder_t *self, err_t *err)
{
    bool may_be_there = all->is_change && self->has_before && !self->parent->is_new;
    if (may_be_there && open_old (all, self))
        return 0;
    if (all->is_change)
        self->has_before = false;
    return make (all, self, err);
}

int folder_open (hand_t *hand, folder_t *self, err_t *err)
{
    const checkout_t *all = hand->all;
    if (self->depth > TREE_DEPTH_MAX)
        return err_set (err, ERR_PROTOCOL, "it lies in more than %d folders", TREE_DEPTH_MAX);
    if (self->fd < 0 && get_ready (all, self, err) < 0)
        return -1;
    open_before (all, self);
    /* To add and remove names, and to enter what is below; its own mode comes at the end. */
    struct stat info;
    if (!self->is_new && (fstat (self->fd, &info) < 0 || ((info.st_mode & 0700) != 0700 && fchmod (self->fd, 0700) < 0)))
        return err_sys (err, errno, "make the folder writable");
    return read_listing (hand, self, err);
}

/* -- entries ---------------------------------------------------------------------------------------------------- */

/* What the record has under the name, if anything: both listings are in order. */
static void find_before (folder_t *self, item_t *item)
{
    int order = -1;
    while (order < 0) {
        if (!self->is_entry_before && tree_read_entry (&self->reader_before, &self->entry_before, NULL) != 1)
            return;
        self->is_entry_before = true;
        order = tree_compare_names (self->entry_before.name, self->entry_before.name_size, item->entry.name,
                                    item->entry.name_size);
        if (order == 0) {
            item->has_before = true;
            item->entry_before = self->entry_before;
            item->slot_before = record_slot (&self->block, self->index_before);
        }
        self->is_entry_before = order > 0;
        self->index_before += order <= 0;
    }
}

int folder_read (folder_t *self, slice_t *slice, err_t *err)
{
    slice->first = self->count;
    for (slice->count = 0; slice->count < SLICE_MAX; slice->count++) {
        item_t *item = &slice->items [slice->count];
        *item = (item_t) { .has_before = false };
        int rc = tree_read_entry (&self->reader, &item->entry, err);
        if (rc < 0)
            return -1;
        if (rc == 0) {
            self->is_read = true;
            break;
        }
        if (self->has_before)
            find_before (self, item);
        buffer_append (&self->slots, &item->slot, sizeof item->slot);
    }
    self->count += slice->count;
    return 0;
}

/* -- end -------------------------------------------------------------------------------------------------------- */

static int compare_entries (const void *a, const void *b)
{
    const tree_entry_t *one = a, *other = b;
    return tree_compare_names (one->name, one->name_size, other->name, other->name_size);
}

static bool is_listed (const tree_entry_t *entries, size_t count, const char *name)
{
    tree_entry_t wanted = { .name = name, .name_size = strlen (name) };
    return count && bsearch (&wanted, entries, count, sizeof *entries, compare_entries);
}

static bool is_dots (const char *name)
{
    return strcmp (name, ".") == 0 || strcmp (name, "..") == 0;
}

static size_t count_names (DIR *names)
{
    size_t count = 0;
    struct dirent *item;
    rewinddir (names);
    while ((item = readdir (names)))
        count += !is_dots (item->d_name);
    return count;
}

/* All entries were made. Where none took another's place, as many names as entries are the entries' names. */
static int remove_unlisted (hand_t *hand, const folder_t *self, DIR *names, err_t *err)
{
    size_t count = 0, there = 0;
    struct dirent *item;
    tree_reader_t reader;
    if (!atomic_load (&self->has_cleared) && count_names (names) == self->count)
        return 0;
    AUTO_FREE tree_entry_t *entries = mem_alloc ((self->count + 1) * sizeof *entries);
    tree_reader_init (&reader, self->listing, self->listing_size, 0);
    while (count < self->count && tree_read_entry (&reader, &entries [count], NULL) == 1)
        count++;
    rewinddir (names);
    while ((item = readdir (names))) {
        if (is_dots (item->d_name))
            continue;
        if (is_listed (entries, count, item->d_name)) {
            there++;
            continue;
        }
        if (file_remove_at (self->fd, item->d_name, err) < 0)
            return err_wrap (err, "what is no part of the context");
        hand->stats.removed++;
    }
    return there < count ? checkout_names_collide (err) : 0;
}

static int tidy (hand_t *hand, const folder_t *self, err_t *err)
{
    int fd = fcntl (self->fd, F_DUPFD_CLOEXEC, 0);
    DIR *names = fd < 0 ? NULL : fdopendir (fd);
    if (!names) {
        int errnum = errno;
        auto_close (&fd);
        return err_sys (err, errnum, "list the folder");
    }
    int rc = remove_unlisted (hand, self, names, err);
    closedir (names);
    return rc;
}

int folder_end (hand_t *hand, folder_t *self, err_t *err)
{
    const tree_entry_t *entry = &self->entry;
    struct timespec times [2];
    struct stat info;
    if (!self->is_new && tidy (hand, self, err) < 0)
        return -1;
    if (fstat (self->fd, &info) < 0)
        return err_sys (err, errno, "look at the folder");
    entry_times (entry, times);
    bool has_time = info.st_mtim.tv_sec == entry->mtime_s && info.st_mtim.tv_nsec == entry->mtime_ns;
    bool has_mode = (info.st_mode & 07777) == entry->mode;
    if ((!has_mode && fchmod (self->fd, entry->mode) < 0) || (!has_time && futimens (self->fd, times) < 0))
        return err_sys (err, errno, "set the folder's mode and time");
    return 0;
}
