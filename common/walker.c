/* walker.c - one task reads the names of a folder, others ask stat for 256 of them each; a folder found so is a new task. Any
 * thread takes the newest task, so folders are walked in depth and few stand open at a time.
 *
 * Names are looked up relative to the descriptor of their folder: one that is exchanged for a link meanwhile leads nowhere
 * else. A folder's descriptor is closed when the last of its tasks, and of its subfolders, has used it. */
#include "common/walker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/crew.h"
#include "common/file.h"

enum { FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, PIECE = 256 };

typedef struct {
    folder_t *folder;
    size_t from, to;                /* names to ask stat for; to is 0: read the names */
} task_t;

typedef struct {
    const char *name;
    walker_filter_t *filter;
    pthread_mutex_t lock;           /* for all below, and users of folders */
    pthread_cond_t changed;
    task_t *tasks;
    size_t count, capacity, busy;   /* tasks waiting; threads at work on one */
    bool is_failed;
    err_t err;
} walker_t;

/* -- folders ---------------------------------------------------------------------------------------------------- */

static folder_t *folder_new (folder_t *parent, const char *name)
{
    folder_t *self = mem_alloc (sizeof *self);
    bool is_named = parent && *parent->path;
    self->parent = parent;
    self->path = mem_printf ("%s%s%s", is_named ? parent->path : "", is_named ? "/" : "", name);
    self->depth = parent ? parent->depth + 1 : 0;
    self->fd = -1;
    return self;
}

void folder_destroy (folder_t **self_p)
{
    folder_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; self->below && i < self->count; i++)
        folder_destroy (&self->below [i]);
    for (size_t i = 0; self->nodes && i < self->count; i++)
        free (self->nodes [i].text);
    auto_close (&self->fd);
    free (self->below);
    free (self->nodes);
    free (self->names);
    free (self->path);
    free (self);
    *self_p = NULL;
}

static void folder_leave (walker_t *walker, folder_t *self)
{
    pthread_mutex_lock (&walker->lock);
    int fd = --self->users == 0 ? take_fd (&self->fd) : -1;
    pthread_mutex_unlock (&walker->lock);
    auto_close (&fd);
}

static void add_task (walker_t *self, folder_t *folder, folder_t *user, size_t from, size_t to)
{
    pthread_mutex_lock (&self->lock);
    if (self->count == self->capacity) {
        self->capacity = self->capacity ? 2 * self->capacity : 64;
        self->tasks = mem_resize (self->tasks, self->capacity * sizeof *self->tasks);
    }
    self->tasks [self->count++] = (task_t) { folder, from, to };
    if (user)
        user->users++;
    pthread_cond_signal (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

/* -- errors ----------------------------------------------------------------------------------------------------- */

int walker_refuse (const char *path, int errnum, err_t *err)
{
    bool is_denied = errnum == EACCES || errnum == EPERM;
    return err_set (err, ERR_USAGE, "%s cannot be read: %s%s", path, strerror (errnum), is_denied
                    ? "; let this user read it, or leave it out by a line in .dockerignore" : "");
}

/* The path for a message; name may be NULL. The caller frees. */
static char *full_path (const walker_t *self, const folder_t *folder, const char *name)
{
    AUTO_FREE char *path = *folder->path ? file_join (self->name, folder->path) : mem_strdup (self->name);
    return name ? file_join (path, name) : take (&path);
}

static int refuse (const walker_t *self, const folder_t *folder, const char *name, int errnum, err_t *err)
{
    AUTO_FREE char *path = full_path (self, folder, name);
    return walker_refuse (path, errnum, err);
}

static int refuse_kind (const walker_t *self, const folder_t *folder, const char *name, mode_t mode, err_t *err)
{
    AUTO_FREE char *path = full_path (self, folder, name);
    const char *what = S_ISSOCK (mode) ? "a socket" : S_ISFIFO (mode) ? "a named pipe" : S_ISBLK (mode) || S_ISCHR (mode)
                     ? "a device" : "of an unknown kind";
    return err_set (err, ERR_USAGE, "%s is %s, which cannot be part of a build's context: remove it, or leave it out by a "
                    "line in .dockerignore", path, what);
}

/* -- names ------------------------------------------------------------------------------------------------------ */

static int compare_nodes (const void *a, const void *b)
{
    return strcmp (((const node_t *) a)->name, ((const node_t *) b)->name);
}

/* Nodes with nothing but their names, in the order of a listing. */
static void make_nodes (folder_t *self, buffer_t *names, size_t count)
{
    self->count = count;
    self->names = (char *) names->data;
    *names = (buffer_t) { 0 };
    if (count == 0)
        return;
    self->nodes = mem_alloc (count * sizeof *self->nodes);
    self->below = mem_alloc (count * sizeof (folder_t *));
    const char *at = self->names;
    for (size_t i = 0; i < count; i++) {
        self->nodes [i].name = at;
        at += strlen (at) + 1;
    }
    qsort (self->nodes, count, sizeof *self->nodes, compare_nodes);
}

/* -1 with errno. */
static int read_names (folder_t *self)
{
    AUTO_BUFFER buffer_t names = { 0 };
    size_t count = 0;
    struct dirent *item;
    int copy = openat (self->fd, ".", FOLDER_FLAGS);
    DIR *folder = copy < 0 ? NULL : fdopendir (copy);
    if (!folder) {
        int errnum = errno;
        auto_close (&copy);
        errno = errnum;
        return -1;
    }
    while (errno = 0, (item = readdir (folder))) {
        if (strcmp (item->d_name, ".") == 0 || strcmp (item->d_name, "..") == 0)
            continue;
        buffer_append (&names, item->d_name, strlen (item->d_name) + 1);
        count++;
    }
    int errnum = errno;
    closedir (folder);
    make_nodes (self, &names, count);
    errno = errnum;
    return errnum ? -1 : 0;
}

static int open_folder (walker_t *self, folder_t *folder, err_t *err)
{
    if (folder->fd >= 0)
        return 0;
    const char *slash = strrchr (folder->path, '/');
    folder->fd = openat (folder->parent->fd, slash ? slash + 1 : folder->path, FOLDER_FLAGS);
    int errnum = errno;
    folder_leave (self, folder->parent);
    return folder->fd < 0 ? refuse (self, folder, NULL, errnum, err) : 0;
}

static int list_folder (walker_t *self, folder_t *folder, err_t *err)
{
    if (open_folder (self, folder, err) < 0)
        return -1;
    folder->users = 1;
    if (read_names (folder) < 0)
        return refuse (self, folder, NULL, errno, err);
    for (size_t from = 0; from < folder->count; from += PIECE)
        add_task (self, folder, folder, from, folder->count - from < PIECE ? folder->count : from + PIECE);
    folder_leave (self, folder);
    return 0;
}

/* -- stat ------------------------------------------------------------------------------------------------------- */

static int read_target (walker_t *self, folder_t *folder, node_t *node, err_t *err)
{
    char target [TREE_TARGET_MAX + 1];
    ssize_t size = readlinkat (folder->fd, node->name, target, sizeof target);
    if (size < 0)
        return refuse (self, folder, node->name, errno, err);
    if (size == 0 || size > TREE_TARGET_MAX)
        return refuse (self, folder, node->name, size ? ENAMETOOLONG : ENOENT, err);
    node->text = mem_strndup (target, (size_t) size);
    return 0;
}

static int enter (walker_t *self, folder_t *folder, size_t at, err_t *err)
{
    folder_t *below = folder->below [at] = folder_new (folder, folder->nodes [at].name);
    below->is_whole = !folder->nodes [at].is_passage;
    if (below->depth > TREE_DEPTH_MAX) {
        AUTO_FREE char *path = full_path (self, below, NULL);
        return err_set (err, ERR_USAGE, "%s lies in more than %d folders: move it, or leave it out by a line in .dockerignore",
                        path, TREE_DEPTH_MAX);
    }
    add_task (self, below, folder, 0, 0);
    return 0;
}

/* Is it left out? A folder may be, and yet have to be walked: then *is_dropped. */
static bool is_ignored (const ignore_t *ignore, const char *path, mode_t mode, bool *is_dropped)
{
    if (!ignore || !ignore_matches (ignore, path))
        return false;
    *is_dropped = S_ISDIR (mode) && ignore_may_reenter (ignore, path);
    return !*is_dropped;
}

/* Does no instruction read it? A folder may be led through. */
static bool is_unread (walker_filter_t *filter, const folder_t *folder, const char *path, mode_t mode, bool *is_passage)
{
    if (!filter->reach)
        return false;
    if (S_ISLNK (mode) && reach_follows (filter->reach, path))
        atomic_store (&filter->follows_link, true);
    if (folder->is_whole)
        return false;
    reach_kind kind = reach_path (filter->reach, path);
    *is_passage = kind == REACH_PASSAGE && S_ISDIR (mode);
    if (kind == REACH_NONE)
        atomic_fetch_add (S_ISDIR (mode) ? &filter->unread_folders : &filter->unread_files, 1);
    return kind == REACH_NONE;
}

static bool is_out (walker_t *self, const folder_t *folder, node_t *node, mode_t mode)
{
    if (!self->filter->ignore && (!self->filter->reach || (folder->is_whole && !S_ISLNK (mode))))
        return false;
    bool is_dropped = false, is_passage = false;
    AUTO_FREE char *path = *folder->path ? file_join (folder->path, node->name) : mem_strdup (node->name);
    bool is_left_out = is_ignored (self->filter->ignore, path, mode, &is_dropped)
                    || is_unread (self->filter, folder, path, mode, &is_passage);
    node->is_dropped = is_dropped;
    node->is_passage = is_passage;
    return is_left_out;
}

static int add_name (walker_t *self, folder_t *folder, size_t at, err_t *err)
{
    struct stat info;
    node_t *node = &folder->nodes [at];
    if (fstatat (folder->fd, node->name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : refuse (self, folder, node->name, errno, err);      /* gone since its folder was read */
    if (is_out (self, folder, node, info.st_mode))
        return 0;
    node->kind = S_ISDIR (info.st_mode) ? TREE_FOLDER : S_ISLNK (info.st_mode) ? TREE_LINK : TREE_FILE;
    node_set_stat (node, &info);
    if (node->kind == TREE_FILE && !S_ISREG (info.st_mode))
        return refuse_kind (self, folder, node->name, info.st_mode, err);
    if (node->kind == TREE_LINK)
        return read_target (self, folder, node, err);
    return node->kind == TREE_FOLDER ? enter (self, folder, at, err) : 0;
}

static int add_names (walker_t *self, const task_t *task, err_t *err)
{
    for (size_t i = task->from; i < task->to; i++)
        if (add_name (self, task->folder, i, err) < 0)
            return -1;
    folder_leave (self, task->folder);
    return 0;
}

/* -- threads ---------------------------------------------------------------------------------------------------- */

static bool take_task (walker_t *self, task_t *task)
{
    pthread_mutex_lock (&self->lock);
    while (self->count == 0 && self->busy && !self->is_failed)
        pthread_cond_wait (&self->changed, &self->lock);
    bool is_there = self->count && !self->is_failed;
    if (is_there) {
        *task = self->tasks [--self->count];
        self->busy++;
    }
    pthread_mutex_unlock (&self->lock);
    return is_there;
}

static void end_task (walker_t *self, const err_t *err)
{
    pthread_mutex_lock (&self->lock);
    if (err && !self->is_failed) {
        self->is_failed = true;
        self->err = *err;
    }
    if (--self->busy == 0 || self->is_failed)
        pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

static void walk_some (void *argument)
{
    walker_t *self = argument;
    task_t task;
    err_t err;
    while (take_task (self, &task)) {
        int rc = task.to ? add_names (self, &task, &err) : list_folder (self, task.folder, &err);
        end_task (self, rc < 0 ? &err : NULL);
    }
}

folder_t *walker_walk (int root_fd, const char *name, walker_filter_t *filter, err_t *err)
{
    walker_t self = { .name = name, .filter = filter, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    folder_t *root = folder_new (NULL, "");
    root->fd = root_fd;
    root->is_whole = !filter->reach;
    add_task (&self, root, NULL, 0, 0);
    crew_t *crew = crew_new (walk_some, &self, CREW_BESIDE);
    walk_some (&self);
    crew_destroy (&crew);
    free (self.tasks);
    if (self.is_failed) {
        folder_destroy (&root);
        if (err)
            *err = self.err;
    }
    return root;
}
