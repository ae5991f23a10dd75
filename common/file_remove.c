/* file_remove.c - file_remove_tree and file_remove_at of file.h: a folder and all in it go, however deep it is. A build may put folders into
 * folders without end, and neither descriptors nor stack may end with them.
 *
 *     root                      entries go from the top down, with a descriptor for each level
 *       1 … LEVELS              a folder in the last of these is not entered, but moved: the first of a round into the root, the others
 *         further down          into that one, which is the next round's. So a tree gets less deep by LEVELS with each round
 *
 * A name is looked up in the descriptor of its folder, no link is followed, and nothing goes up by "..": whoever moves or exchanges folders meanwhile
 * leads us nowhere but where he has put them. The names of moved ones cannot be guessed, so nothing is in their way. */
#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LEVELS = 16, MOVED_MAX = 4096, NAME_BYTES = 16, MOVED_SIZE = 5 + 2 * NAME_BYTES + 1, FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

typedef struct {
    DIR *items;
    char name [NAME_MAX + 1];       /* in the level above; "" of the first one */
} level_t;

typedef struct {
    int root;
    dev_t device;                   /* of all of it; 0: not known yet */
    level_t levels [LEVELS];
    size_t depth;
    int deep;                       /* what this round has moved into the root; -1: nothing yet */
    char deep_name [MOVED_SIZE];
    size_t moved;
} removal_t;

/* -- folders ---------------------------------------------------------------------------------------------------- */

static int refuse_mount (const char *name, err_t *err)
{
    return err_set (err, ERR_FARM, "%s is on another file system: something is mounted there", name);
}

/* A folder whose owner has no rights on it is given them first. Another file system is left alone: it is a mount. *out is -1 when it is gone. */
static int open_folder (removal_t *self, int parent, const char *name, int *out, err_t *err)
{
    struct stat info;
    AUTO_CLOSE int fd = openat (parent, name, FLAGS);
    *out = -1;
    if (fd < 0 && errno == EACCES && fchmodat (parent, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
        fd = openat (parent, name, FLAGS);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_sys (err, errno, "open folder %s", name);
    if (fstat (fd, &info) != 0 || (self->device && info.st_dev != self->device))
        return refuse_mount (name, err);
    self->device = info.st_dev;
    if ((info.st_mode & 0700) != 0700)
        fchmod (fd, 0700);
    *out = take_fd (&fd);
    return 0;
}

static int remove_empty (int parent, const char *name, err_t *err)
{
    return unlinkat (parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : err_sys (err, errno, "remove folder %s", name);
}

/* -- moving ----------------------------------------------------------------------------------------------------- */

static int choose_name (char name [MOVED_SIZE], err_t *err)
{
    unsigned char bytes [NAME_BYTES];
    if (getrandom (bytes, sizeof bytes, 0) != sizeof bytes)
        return err_sys (err, errno, "choose a name");
    int size = snprintf (name, MOVED_SIZE, "deep-");
    for (size_t i = 0; i < sizeof bytes; i++)
        size += snprintf (name + size, MOVED_SIZE - (size_t) size, "%02x", bytes [i]);
    return 0;
}

/* A folder that gets another parent has to be writable, for its ".." (not to root). */
static int move (int from, const char *name, int to, const char *moved)
{
    if (renameat (from, name, to, moved) == 0)
        return 0;
    return errno == EACCES && fchmodat (from, name, 0700, AT_SYMLINK_NOFOLLOW) == 0 ? renameat (from, name, to, moved) : -1;
}

/* 1: no more can be moved before some of it is removed. */
static int move_up (removal_t *self, int folder, const char *name, err_t *err)
{
    char moved [MOVED_SIZE];
    bool is_first = self->deep < 0;
    if (unlinkat (folder, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (!is_first && self->moved >= MOVED_MAX)
        return 1;
    if (choose_name (moved, err) < 0)
        return -1;
    if (move (folder, name, is_first ? self->root : self->deep, moved) != 0) {
        if (errno == EXDEV || errno == EBUSY)
            return refuse_mount (name, err);
        bool is_full = errno == EMLINK || err_is_full (errno);
        return errno == ENOENT ? 0 : is_full && !is_first ? 1 : err_sys (err, errno, "move folder %s", name);
    }
    self->moved++;
    if (!is_first)
        return 0;
    strcpy (self->deep_name, moved);
    return open_folder (self, self->root, moved, &self->deep, err);
}

/* -- a round ---------------------------------------------------------------------------------------------------- */

static int enter (removal_t *self, int *fd, const char *name, err_t *err)
{
    level_t *level = &self->levels [self->depth];
    level->items = fdopendir (*fd);
    if (!level->items)
        return err_sys (err, errno, "open folder %s", name);
    *fd = -1;
    snprintf (level->name, sizeof level->name, "%s", name);
    self->depth++;
    return 0;
}

static int leave (removal_t *self, err_t *err)
{
    const level_t *level = &self->levels [--self->depth];
    closedir (level->items);
    return self->depth ? remove_empty (dirfd (level [-1].items), level->name, err) : 0;
}

static int remove_item (removal_t *self, const char *name, err_t *err)
{
    int folder = dirfd (self->levels [self->depth - 1].items);
    if (unlinkat (folder, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return err_sys (err, errno, "remove %s", name);
    if (self->depth == LEVELS)
        return move_up (self, folder, name, err);
    AUTO_CLOSE int fd = -1;
    if (open_folder (self, folder, name, &fd, err) < 0)
        return -1;
    return fd < 0 ? 0 : enter (self, &fd, name, err);
}

static bool is_item (const removal_t *self, const char *name)
{
    return strcmp (name, ".") != 0 && strcmp (name, "..") != 0 && strcmp (name, self->deep_name) != 0;
}

/* All in a folder, but for what is moved, and for its rest where no more can be moved: then 1. */
static int empty (removal_t *self, int *base, err_t *err)
{
    int rc = enter (self, base, ".", err);
    while (rc == 0 && self->depth) {
        const struct dirent *item = readdir (self->levels [self->depth - 1].items);
        if (!item)
            rc = leave (self, err);
        else if (is_item (self, item->d_name))
            rc = remove_item (self, item->d_name, err);
    }
    while (self->depth) {
        level_t *level = &self->levels [--self->depth];
        if (rc < 0 && self->depth)
            err_wrap (err, "%s", level->name);
        closedir (level->items);
    }
    return rc;
}

/* -- all rounds ------------------------------------------------------------------------------------------------- */

/* What is in the root, what was moved of it, what was moved of that. 1: there is more. */
static int empty_root (removal_t *self, err_t *err)
{
    char name [MOVED_SIZE] = "";
    bool is_left = false;
    AUTO_CLOSE int base = openat (self->root, ".", FLAGS);
    if (base < 0)
        return err_sys (err, errno, "open it");
    while (base >= 0) {
        int rc = empty (self, &base, err);
        if (rc < 0)
            return *name ? err_wrap (err, "%s", name) : -1;
        if (rc == 0 && *name && remove_empty (self->root, name, err) < 0)
            return -1;
        is_left |= rc > 0;
        base = take_fd (&self->deep);
        strcpy (name, self->deep_name);
        self->deep_name [0] = 0;
        self->moved = 0;
    }
    return is_left;
}

static int remove_folder (int parent, const char *name, err_t *err)
{
    removal_t self = { .root = -1, .deep = -1 };
    if (open_folder (&self, parent, name, &self.root, err) < 0)
        return -1;
    if (self.root < 0)
        return 0;
    int rc;
    do
        rc = empty_root (&self, err);
    while (rc > 0);
    auto_close (&self.deep);
    auto_close (&self.root);
    return rc < 0 ? err_wrap (err, "%s", name) : remove_empty (parent, name, err);
}

int file_remove_at (int folder, const char *name, err_t *err)
{
    if (unlinkat (folder, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return err_sys (err, errno, "remove %s", name);
    return remove_folder (folder, name, err);
}

int file_remove_tree (const char *path, err_t *err)
{
    return file_remove_at (AT_FDCWD, path, err);
}
