/* checkout.c - writes a tree to disk. Folders are kept open from the top down, each name is made in its folder's
 * descriptor (mkdirat, openat with O_EXCL and O_NOFOLLOW, symlinkat), and what exists already is an error: so a tree
 * that lies can make a mess in its own folder, and nowhere else. Modes and times of a folder come after its content. */
#include "worker/checkout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"

enum { LONG_LISTING_MAX = 64 * 1024 * 1024 };

typedef struct {
    depot_t *depot;
    atomic_int *is_cancelled;
    buffer_t object;            /* the content last read; one is used again and again */
    uint64_t bytes_left;        /* that may still be written: what the disk has free */
    uint64_t bytes_free;
    const char *folder;
} checkout_t;

static int check_cancelled (checkout_t *self, err_t *err)
{
    if (self->is_cancelled && atomic_load (self->is_cancelled))
        return err_set (err, ERR_CANCELLED, "cancelled while the context was being written");
    return 0;
}

static int take_space (checkout_t *self, uint64_t size, err_t *err)
{
    if (size > self->bytes_left)
        return err_set (err, ERR_FULL, "the context does not fit: %s has %" PRIu64 " MB free. Make room there, or move the "
                        "worker's state to a larger disk", self->folder, self->bytes_free / 1000000);
    self->bytes_left -= size;
    return 0;
}

static void entry_times (const tree_entry_t *entry, struct timespec times [2])
{
    times [0] = times [1] = (struct timespec) { .tv_sec = entry->mtime_s, .tv_nsec = entry->mtime_ns };
}

/* -- content ---------------------------------------------------------------------------------------------------- */

/* Where content goes: a file, or (a long listing) memory. */
typedef struct {
    int fd;
    buffer_t *memory;
    uint64_t bytes_left;        /* what the entry's size still allows */
} sink_t;

static int pour (sink_t *self, const void *data, size_t size, err_t *err)
{
    if (size > self->bytes_left)
        return err_set (err, ERR_PROTOCOL, "its content is longer than its entry says");
    self->bytes_left -= size;
    if (self->memory)
        buffer_append (self->memory, data, size);
    return self->memory ? 0 : file_write_all (self->fd, data, size, err);
}

static int pour_object (checkout_t *self, const digest_t *digest, int level, sink_t *sink, err_t *err)
{
    if (check_cancelled (self, err) < 0 || depot_get (self->depot, digest, &self->object, NULL, err) < 0)
        return -1;
    if (level == 0)
        return pour (sink, self->object.data, self->object.size, err);
    AUTO_BUFFER buffer_t list = self->object;       /* the objects below need the buffer */
    self->object = (buffer_t) { 0 };
    ssize_t count = list_count (list.size, err);
    for (ssize_t i = 0; i < count; i++) {
        list_item_t item;
        list_read_item (list.data, (size_t) i, &item);
        if (pour_object (self, &item.digest, level - 1, sink, err) < 0)
            return -1;
    }
    return count < 0 ? -1 : 0;
}

static int pour_content (checkout_t *self, const content_t *content, int fd, buffer_t *memory, err_t *err)
{
    sink_t sink = { fd, memory, content->size_bytes };
    if (pour_object (self, &content->digest, content->level, &sink, err) < 0)
        return -1;
    if (sink.bytes_left)
        return err_set (err, ERR_PROTOCOL, "its content is shorter than its entry says");
    return 0;
}

/* -- entries ---------------------------------------------------------------------------------------------------- */

static int write_file (checkout_t *self, int parent, const char *name, const tree_entry_t *entry, err_t *err)
{
    struct timespec times [2];
    if (take_space (self, entry->content.size_bytes, err) < 0)
        return -1;
    AUTO_CLOSE int fd = openat (parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys (err, errno, "make the file");
    if (pour_content (self, &entry->content, fd, NULL, err) < 0)
        return -1;
    entry_times (entry, times);
    if (fchmod (fd, entry->mode) < 0 || futimens (fd, times) < 0)
        return err_sys (err, errno, "set mode and time");
    return 0;
}

static int write_link (int parent, const char *name, const tree_entry_t *entry, err_t *err)
{
    struct timespec times [2];
    AUTO_FREE char *target = mem_strndup (entry->target, entry->target_size);
    if (symlinkat (target, parent, name) < 0)
        return err_sys (err, errno, "make the link");
    entry_times (entry, times);
    if (utimensat (parent, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys (err, errno, "set the link's time");
    return 0;
}

static int write_entries (checkout_t *self, int fd, const content_t *listing, int depth, err_t *err);

static int write_folder (checkout_t *self, int parent, const char *name, const tree_entry_t *entry, int depth, err_t *err)
{
    struct timespec times [2];
    if (depth > TREE_DEPTH_MAX)
        return err_set (err, ERR_PROTOCOL, "it lies in more than %d folders", TREE_DEPTH_MAX);
    if (mkdirat (parent, name, 0700) < 0)
        return err_sys (err, errno, "make the folder");
    AUTO_CLOSE int fd = openat (parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_sys (err, errno, "open the folder");
    if (write_entries (self, fd, &entry->content, depth, err) < 0)
        return -1;
    entry_times (entry, times);
    if (fchmod (fd, entry->mode) < 0 || futimens (fd, times) < 0)
        return err_sys (err, errno, "set the folder's mode and time");
    return 0;
}

/* The decoder has refused such names already. One more look costs nothing, and here is where it would matter. */
static int check_name (const tree_entry_t *entry, err_t *err)
{
    size_t size = entry->name_size;
    bool is_dots = (size == 1 || size == 2) && memcmp (entry->name, "..", size) == 0;
    if (size == 0 || size > TREE_NAME_MAX || is_dots || memchr (entry->name, '/', size) || memchr (entry->name, 0, size))
        return err_set (err, ERR_PROTOCOL, "a name in the context leads out of its folder");
    return 0;
}

static int write_entry (checkout_t *self, int fd, const tree_entry_t *entry, int depth, err_t *err)
{
    char name [TREE_NAME_MAX + 1] = { 0 };
    int rc;
    if (check_cancelled (self, err) < 0 || check_name (entry, err) < 0)
        return -1;
    memcpy (name, entry->name, entry->name_size);
    if (entry->kind == TREE_FILE)
        rc = write_file (self, fd, name, entry, err);
    else if (entry->kind == TREE_LINK)
        rc = write_link (fd, name, entry, err);
    else
        return write_folder (self, fd, name, entry, depth + 1, err) < 0 ? err_wrap (err, "%s/", name) : 0;
    return rc < 0 ? err_wrap (err, "%s", name) : 0;
}

static int write_entries (checkout_t *self, int fd, const content_t *content, int depth, err_t *err)
{
    AUTO_BUFFER buffer_t listing = { 0 };
    tree_reader_t reader;
    tree_entry_t entry;
    int rc;
    if (content->size_bytes > LONG_LISTING_MAX)
        return err_set (err, ERR_PROTOCOL, "a folder's listing is too long");
    if (pour_content (self, content, -1, &listing, err) < 0)
        return -1;
    tree_reader_init (&reader, listing.data, listing.size, 0);
    while ((rc = tree_read_entry (&reader, &entry, err)) == 1)
        if (write_entry (self, fd, &entry, depth, err) < 0)
            return -1;
    return rc;
}

/* -- the whole -------------------------------------------------------------------------------------------------- */

static int write_root (checkout_t *self, const digest_t *root, err_t *err)
{
    AUTO_BUFFER buffer_t object = { 0 };
    tree_reader_t reader;
    tree_entry_t entry, end;
    if (depot_get (self->depot, root, &object, NULL, err) < 0)
        return -1;
    tree_reader_init (&reader, object.data, object.size, 1);
    int rc = tree_read_entry (&reader, &entry, err);
    if (rc != 1 || tree_read_entry (&reader, &end, err) != 0)
        return rc == 0 ? err_set (err, ERR_PROTOCOL, "the context names no folder") : -1;
    return write_folder (self, AT_FDCWD, self->folder, &entry, 0, err);
}

static int64_t free_bytes_above (const char *folder)
{
    AUTO_FREE char *parent = mem_strdup (folder);
    for (size_t size = strlen (parent); size > 1 && parent [size - 1] == '/';)
        parent [--size] = 0;
    char *slash = strrchr (parent, '/');
    if (!slash)
        return file_free_bytes (".");
    slash [slash == parent] = 0;
    return file_free_bytes (parent);
}

int checkout_context (depot_t *depot, const digest_t *root, const char *folder, atomic_int *is_cancelled, err_t *err)
{
    int64_t free_bytes = free_bytes_above (folder);
    checkout_t self = { .depot = depot, .is_cancelled = is_cancelled, .folder = folder };
    self.bytes_free = free_bytes < 0 ? 0 : (uint64_t) free_bytes;
    self.bytes_left = free_bytes < 0 ? UINT64_MAX : (uint64_t) free_bytes;
    int rc = write_root (&self, root, err);
    buffer_free (&self.object);
    return rc < 0 ? err_wrap (err, "write the context to %s", folder) : 0;
}
