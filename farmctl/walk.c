/* walk.c - goes through the context folder by folder. Names are looked up relative to the descriptor of their folder, so
 * one that is exchanged for a link meanwhile leads nowhere else. */
#include "farmctl/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"

enum { FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC, FILE_FLAGS = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK };

/* What one walk needs beside its result: the patterns, and the path of the folder it is in. */
typedef struct {
    walk_t *walk;
    const ignore_t *ignore;
    buffer_t path;
} walker_t;

typedef struct {
    char **names;
    size_t count, capacity;
} names_t;

/* -- nodes ------------------------------------------------------------------------------------------------------ */

void node_set_stat (node_t *self, const struct stat *info)
{
    self->mode = info->st_mode & 07777;
    self->mtime_s = info->st_mtim.tv_sec;
    self->mtime_ns = (uint32_t) info->st_mtim.tv_nsec;
    self->stamp = (stamp_t) {
        .size_bytes = (uint64_t) info->st_size, .inode = info->st_ino, .device = info->st_dev,
        .ctime_s = info->st_ctim.tv_sec, .ctime_ns = (uint32_t) info->st_ctim.tv_nsec
    };
}

/* Takes name. */
static node_t *add_node (walk_t *self, char *name, size_t parent, tree_kind kind, const struct stat *info)
{
    if (self->count == self->capacity) {
        self->capacity = self->capacity ? 2 * self->capacity : 256;
        self->nodes = mem_resize (self->nodes, self->capacity * sizeof *self->nodes);
    }
    node_t *node = &self->nodes [self->count++];
    *node = (node_t) { .kind = kind, .parent = (uint32_t) parent, .name = name };
    node_set_stat (node, info);
    return node;
}

static void append_path (const walk_t *self, size_t node, buffer_t *out)
{
    if (node == 0)
        return;
    append_path (self, self->nodes [node].parent, out);
    if (out->size)
        buffer_append (out, "/", 1);
    buffer_text (out, self->nodes [node].name);
}

char *walk_path (const walk_t *self, size_t node)
{
    AUTO_BUFFER buffer_t path = { 0 };
    buffer_text (&path, "");
    append_path (self, node, &path);
    return node ? file_join (self->folder, (const char *) path.data) : mem_strdup (self->folder);
}

int walk_open (const walk_t *self, size_t node)
{
    AUTO_BUFFER buffer_t path = { 0 };
    int flags = self->nodes [node].kind == TREE_FOLDER ? FOLDER_FLAGS | O_NOFOLLOW : FILE_FLAGS;
    append_path (self, node, &path);
    if (path.size < 4000)
        return openat (self->root_fd, (const char *) path.data, flags);
    AUTO_CLOSE int parent = walk_open (self, self->nodes [node].parent);
    return parent < 0 ? -1 : openat (parent, self->nodes [node].name, flags);
}

int walk_refuse (const walk_t *self, size_t node, int errnum, err_t *err)
{
    AUTO_FREE char *path = walk_path (self, node);
    bool is_denied = errnum == EACCES || errnum == EPERM;
    return err_set (err, ERR_USAGE, "%s cannot be read: %s%s", path, strerror (errnum), is_denied
                    ? "; let this user read it, or leave it out by a line in .dockerignore" : "");
}

/* -- one folder ------------------------------------------------------------------------------------------------- */

static int compare_names (const void *a, const void *b)
{
    return strcmp (*(char *const *) a, *(char *const *) b);
}

static void names_free (names_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        free (self->names [i]);
    free (self->names);
}

/* The names in a folder, in the order of a listing. Takes fd. Returns -1 with errno. */
static int read_names (int fd, names_t *out)
{
    struct dirent *item;
    DIR *folder = fdopendir (fd);
    if (!folder) {
        close (fd);
        return -1;
    }
    while (errno = 0, (item = readdir (folder))) {
        if (strcmp (item->d_name, ".") == 0 || strcmp (item->d_name, "..") == 0)
            continue;
        if (out->count == out->capacity) {
            out->capacity = out->capacity ? 2 * out->capacity : 32;
            out->names = mem_resize (out->names, out->capacity * sizeof *out->names);
        }
        out->names [out->count++] = mem_strdup (item->d_name);
    }
    int errnum = errno;
    closedir (folder);
    if (out->count)
        qsort (out->names, out->count, sizeof *out->names, compare_names);
    errno = errnum;
    return errnum ? -1 : 0;
}

static int read_target (walker_t *self, int fd, size_t index, err_t *err)
{
    char target [TREE_TARGET_MAX + 1];
    node_t *node = &self->walk->nodes [index];
    ssize_t size = readlinkat (fd, node->name, target, sizeof target);
    if (size < 0)
        return walk_refuse (self->walk, index, errno, err);
    if (size == 0 || size > TREE_TARGET_MAX)
        return walk_refuse (self->walk, index, size ? ENAMETOOLONG : ENOENT, err);
    node->target = mem_strndup (target, (size_t) size);
    return 0;
}

static int refuse_kind (walker_t *self, size_t index, mode_t mode, err_t *err)
{
    AUTO_FREE char *path = walk_path (self->walk, index);
    const char *what = S_ISSOCK (mode) ? "a socket" : S_ISFIFO (mode) ? "a named pipe" : S_ISBLK (mode) || S_ISCHR (mode)
                     ? "a device" : "of an unknown kind";
    return err_set (err, ERR_USAGE, "%s is %s, which cannot be part of a build's context: remove it, or leave it out by a "
                    "line in .dockerignore", path, what);
}

/* Add the node of a name, unless it is left out. Takes *name when it is added. */
static int add_name (walker_t *self, int fd, size_t parent, char **name, err_t *err)
{
    struct stat info;
    const char *path = (const char *) self->path.data;
    if (fstatat (fd, *name, &info, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)        /* gone since its folder was read */
            return 0;
        int errnum = errno;
        return err_set (err, ERR_USAGE, "%s/%s cannot be read: %s", self->walk->folder, path, strerror (errnum));
    }
    bool is_out = self->ignore && ignore_matches (self->ignore, path);
    if (is_out && !(S_ISDIR (info.st_mode) && ignore_may_reenter (self->ignore, path)))
        return 0;
    tree_kind kind = S_ISDIR (info.st_mode) ? TREE_FOLDER : S_ISLNK (info.st_mode) ? TREE_LINK : TREE_FILE;
    size_t index = self->walk->count;
    if (index == UINT32_MAX)
        return err_set (err, ERR_USAGE, "%s has too many files", self->walk->folder);
    add_node (self->walk, take (name), parent, kind, &info)->is_dropped = is_out;
    self->walk->nodes [parent].count++;
    if (kind == TREE_FILE && !S_ISREG (info.st_mode))
        return refuse_kind (self, index, info.st_mode, err);
    return kind == TREE_LINK ? read_target (self, fd, index, err) : 0;
}

static size_t enter_name (walker_t *self, const char *name)
{
    size_t before = self->path.size;
    buffer_printf (&self->path, "%s%s", before ? "/" : "", name);
    return before;
}

static void leave_name (walker_t *self, size_t before)
{
    self->path.size = before;
    if (self->path.data)
        self->path.data [before] = 0;
}

static int add_names (walker_t *self, int fd, size_t index, err_t *err)
{
    names_t names = { 0 };
    int rc = 0, copy = openat (fd, ".", FOLDER_FLAGS);
    if (copy < 0 || read_names (copy, &names) < 0)
        rc = walk_refuse (self->walk, index, errno, err);
    self->walk->nodes [index].first = (uint32_t) self->walk->count;
    for (size_t i = 0; rc == 0 && i < names.count; i++) {
        size_t before = enter_name (self, names.names [i]);
        rc = add_name (self, fd, index, &names.names [i], err);
        leave_name (self, before);
    }
    names_free (&names);
    return rc;
}

static int walk_folder (walker_t *self, int fd, size_t index, int depth, err_t *err);

static int walk_below (walker_t *self, int fd, size_t index, int depth, err_t *err)
{
    if (depth > TREE_DEPTH_MAX) {
        AUTO_FREE char *path = walk_path (self->walk, index);
        return err_set (err, ERR_USAGE, "%s lies in more than %d folders: move it, or leave it out by a line in .dockerignore",
                        path, TREE_DEPTH_MAX);
    }
    const char *name = self->walk->nodes [index].name;
    AUTO_CLOSE int below = openat (fd, name, FOLDER_FLAGS | O_NOFOLLOW);
    if (below < 0)
        return walk_refuse (self->walk, index, errno, err);
    size_t before = enter_name (self, name);
    int rc = walk_folder (self, below, index, depth, err);
    leave_name (self, before);
    return rc;
}

/* A folder that is left out stays in the tree when something in it does not. */
static void keep_if_used (walk_t *self, size_t index)
{
    const node_t *node = &self->nodes [index];
    for (size_t i = node->first; i < (size_t) node->first + node->count; i++)
        if (!self->nodes [i].is_dropped)
            self->nodes [index].is_dropped = false;
}

static int walk_folder (walker_t *self, int fd, size_t index, int depth, err_t *err)
{
    if (add_names (self, fd, index, err) < 0)
        return -1;
    size_t first = self->walk->nodes [index].first, end = first + self->walk->nodes [index].count;
    for (size_t i = first; i < end; i++)
        if (self->walk->nodes [i].kind == TREE_FOLDER && walk_below (self, fd, i, depth + 1, err) < 0)
            return -1;
    keep_if_used (self->walk, index);
    return 0;
}

/* -- the whole -------------------------------------------------------------------------------------------------- */

static int open_root (walk_t *self, err_t *err)
{
    struct stat info;
    self->root_fd = open (self->folder, FOLDER_FLAGS);
    if (self->root_fd < 0 && errno == ENOENT)
        return err_set (err, ERR_USAGE, "context %s does not exist: name the folder that the build is made from", self->folder);
    if (self->root_fd < 0 && errno == ENOTDIR)
        return err_set (err, ERR_USAGE, "context %s is not a folder: name the folder that the build is made from", self->folder);
    if (self->root_fd < 0 || fstat (self->root_fd, &info) < 0)
        return err_set (err, ERR_USAGE, "context %s cannot be read: %s", self->folder, strerror (errno));
    add_node (self, mem_strdup ("."), 0, TREE_FOLDER, &info);
    return 0;
}

int walk_context (walk_t **out, const char *folder, const ignore_t *ignore, err_t *err)
{
    AUTO (walk) walk_t *self = mem_alloc (sizeof *self);
    walker_t walker = { .walk = self, .ignore = ignore };
    self->root_fd = -1;
    self->folder = mem_strdup (folder);
    if (open_root (self, err) < 0)
        return -1;
    int rc = walk_folder (&walker, self->root_fd, 0, 0, err);
    buffer_free (&walker.path);
    if (rc == 0)
        *out = take (&self);
    return rc;
}

void walk_destroy (walk_t **self_p)
{
    walk_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++) {
        free (self->nodes [i].name);
        free (self->nodes [i].target);
        free (self->nodes [i].chunks);
    }
    auto_close (&self->root_fd);
    free (self->nodes);
    free (self->folder);
    free (self);
    *self_p = NULL;
}
