/* walk.c - the list of a context's names: walker.c reads them folder by folder, here they are put in order. */
#include "common/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/walker.h"

enum { FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC, FILE_FLAGS = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK };
enum { MANY = 50000 };

/* -- nodes ------------------------------------------------------------------------------------------------------ */

void node_set_stat (node_t *self, const struct stat *info)
{
    self->mode = info->st_mode & 07777;
    self->mtime_s = info->st_mtim.tv_sec;
    self->mtime_ns = (uint32_t) info->st_mtim.tv_nsec;
    self->stamp = stamp_of (info);
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
    return walker_refuse (path, errnum, err);
}

/* -- the list --------------------------------------------------------------------------------------------------- */

static size_t count_nodes (const folder_t *folder, size_t *folders)
{
    size_t count = folder->count;
    ++*folders;
    for (size_t i = 0; i < folder->count; i++)
        if (folder->below [i])
            count += count_nodes (folder->below [i], folders);
    return count;
}

/* Behind all others: the nodes of the folder that node `at` is. origins has the folder of each node. */
static void add_folder (walk_t *self, size_t at, folder_t **origins)
{
    folder_t *folder = origins [at];
    node_t *parent = &self->nodes [at];
    parent->first = (uint32_t) self->count;
    self->blocks [self->block_count++] = take (&folder->names);
    for (size_t i = 0; i < folder->count; i++) {
        if (!folder->nodes [i].kind)
            continue;
        node_t *node = &self->nodes [self->count];
        *node = folder->nodes [i];
        folder->nodes [i].text = NULL;
        node->parent = (uint32_t) at;
        origins [self->count++] = folder->below [i];
    }
    parent->count = (uint32_t) (self->count - parent->first);
    auto_free (&folder->nodes);
}

/* A folder that is left out stays in the tree when something in it does not. */
static void keep_if_used (walk_t *self, size_t index)
{
    const node_t *node = &self->nodes [index];
    for (size_t i = node->first; i < (size_t) node->first + node->count; i++)
        if (!self->nodes [i].is_dropped)
            self->nodes [index].is_dropped = false;
}

static int make_list (walk_t *self, folder_t *root, const struct stat *info, err_t *err)
{
    size_t folders = 0, capacity = count_nodes (root, &folders) + 1;
    if (capacity >= UINT32_MAX)
        return err_set (err, ERR_USAGE, "%s has too many files", self->folder);
    AUTO_FREE folder_t **origins = mem_alloc (capacity * sizeof *origins);
    self->nodes = mem_alloc (capacity * sizeof *self->nodes);
    self->blocks = mem_alloc (folders * sizeof *self->blocks);
    self->nodes [self->count++] = (node_t) { .kind = TREE_FOLDER, .name = "." };
    node_set_stat (&self->nodes [0], info);
    origins [0] = root;
    for (size_t i = 0; i < self->count; i++)
        if (self->nodes [i].kind == TREE_FOLDER)
            add_folder (self, i, origins);
    for (size_t i = self->count; i-- > 0;)      /* children stand behind their parents */
        if (self->nodes [i].kind == TREE_FOLDER)
            keep_if_used (self, i);
    return 0;
}

/* What only lies on the way has no time of its own: files beside, which are not read, may come and go. */
static void forget_times (walk_t *self)
{
    self->nodes [0].is_passage = true;
    for (size_t i = 0; i < self->count; i++)
        if (self->nodes [i].is_passage) {
            self->nodes [i].mtime_s = 0;
            self->nodes [i].mtime_ns = 0;
        }
}

/* -- the whole -------------------------------------------------------------------------------------------------- */

static int open_root (walk_t *self, struct stat *info, err_t *err)
{
    self->root_fd = open (self->folder, FOLDER_FLAGS);
    if (self->root_fd < 0 && errno == ENOENT)
        return err_set (err, ERR_USAGE, "context %s does not exist: name the folder that the build is made from", self->folder);
    if (self->root_fd < 0 && errno == ENOTDIR)
        return err_set (err, ERR_USAGE, "context %s is not a folder: name the folder that the build is made from", self->folder);
    if (self->root_fd < 0 || fstat (self->root_fd, info) < 0)
        return err_set (err, ERR_USAGE, "context %s cannot be read: %s", self->folder, strerror (errno));
    return 0;
}

static int walk (walk_t **out, const char *folder, walker_filter_t *filter, err_t *err)
{
    AUTO (walk) walk_t *self = mem_alloc (sizeof *self);
    struct stat info;
    self->root_fd = -1;
    self->folder = mem_strdup (folder);
    if (open_root (self, &info, err) < 0)
        return -1;
    int fd = openat (self->root_fd, ".", FOLDER_FLAGS);
    if (fd < 0)
        return walker_refuse (folder, errno, err);
    AUTO (folder) folder_t *root = walker_walk (fd, folder, filter, err);
    if (!root || make_list (self, root, &info, err) < 0)
        return -1;
    self->unread_folders = filter->unread_folders;
    self->unread_files = filter->unread_files;
    if (walk_is_pruned (self))
        forget_times (self);
    folder_destroy (&root);
    if (self->count > MANY)
        malloc_trim (0);            /* the walker's threads are gone, but not what they had: half of what a large tree takes */
    *out = take (&self);
    return 0;
}

int walk_context (walk_t **out, const char *folder, const ignore_t *ignore, const reach_t *reach, err_t *err)
{
    walker_filter_t pruned = { .ignore = ignore, .reach = reach }, whole = { .ignore = ignore };
    if (walk (out, folder, &pruned, err) < 0)
        return -1;
    if (!pruned.follows_link)
        return 0;
    walk_destroy (out);
    return walk (out, folder, &whole, err);
}

bool walk_is_pruned (const walk_t *self)
{
    return self->unread_folders || self->unread_files;
}

void walk_destroy (walk_t **self_p)
{
    walk_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++) {
        free (self->nodes [i].text);
        free (self->nodes [i].chunks);
    }
    for (size_t i = 0; i < self->block_count; i++)
        free (self->blocks [i]);
    auto_close (&self->root_fd);
    free (self->blocks);
    free (self->nodes);
    free (self->folder);
    free (self);
    *self_p = NULL;
}
