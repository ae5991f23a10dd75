/* hash.c - threads that take the next file each, until there is none. A thread has one buffer of 1 MiB, whatever the
 * size of its file. What stat says before and after reading must be the same: else the bytes are of two states. */
#include "farmctl/hash.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/chunker.h"
#include "common/crew.h"

enum { WINDOW = 1024 * 1024, TRIES = 3, FEW = 16 };

typedef enum { FAILED = -1, READ, CHANGED } outcome_t;

typedef struct {
    walk_t *walk;
    atomic_size_t next;
    atomic_bool is_failed;
    pthread_mutex_t lock;
    err_t *err;                 /* the first one's; under the lock */
} hasher_t;

/* -- one file --------------------------------------------------------------------------------------------------- */

static bool is_same (const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_mode == b->st_mode
        && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec
        && a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void add_chunk (node_t *node, uint32_t *capacity, const uint8_t *data, size_t size)
{
    if (node->chunk_count == *capacity) {
        *capacity = *capacity ? 2 * *capacity : 8;
        node->chunks = mem_resize (node->chunks, *capacity * sizeof *node->chunks);
    }
    node->chunks [node->chunk_count++] = (list_item_t) { (uint32_t) size, digest_of (data, size) };
}

void hash_long (node_t *node, const void *data, size_t size)
{
    uint32_t capacity = node->chunk_count = 0;
    for (size_t at = 0; at < size;) {
        size_t cut = chunker_cut ((const uint8_t *) data + at, size - at);
        add_chunk (node, &capacity, (const uint8_t *) data + at, cut);
        at += cut;
    }
}

/* Read until the window is full or the file ends; -1 with errno. */
static ssize_t fill (int fd, uint8_t *window, size_t have)
{
    while (have < WINDOW) {
        ssize_t got = read (fd, window + have, WINDOW - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        have += (size_t) got;
    }
    return (ssize_t) have;
}

/* A long file: cut what is certain, keep the rest in the window for the next round. */
static int read_long (int fd, node_t *node, uint8_t *window, size_t have, uint64_t *total)
{
    uint32_t capacity = 0;
    bool is_end = have < WINDOW;
    while (have) {
        size_t at = 0;
        while (have - at >= CHUNK_MAX || (is_end && at < have)) {
            size_t cut = chunker_cut (window + at, have - at);
            add_chunk (node, &capacity, window + at, cut);
            at += cut;
        }
        *total += at;
        memmove (window, window + at, have - at);
        ssize_t more = is_end ? 0 : fill (fd, window, have - at);
        if (more < 0)
            return -1;
        is_end = more < WINDOW;
        have = (size_t) more;
    }
    return 0;
}

static outcome_t read_whole (int fd, node_t *node, const struct stat *before, uint8_t *window)
{
    struct stat after;
    uint64_t total = 0;
    free (node->chunks);
    node->chunks = NULL;
    node->chunk_count = 0;
    ssize_t have = fill (fd, window, 0);
    if (have < 0)
        return FAILED;
    if (have <= OBJECT_MAX) {
        node->content.digest = digest_of (window, (size_t) have);
        total = (uint64_t) have;
    } else if (read_long (fd, node, window, (size_t) have, &total) < 0)
        return FAILED;
    if (fstat (fd, &after) < 0)
        return FAILED;
    node->content.size_bytes = total;
    node_set_stat (node, before);
    return is_same (before, &after) && total == (uint64_t) after.st_size ? READ : CHANGED;
}

/* Each try opens the file anew: it may have been replaced. */
static outcome_t try_file (walk_t *walk, size_t index, uint8_t *window)
{
    struct stat before;
    AUTO_CLOSE int fd = walk_open (walk, index);
    if (fd < 0 || fstat (fd, &before) < 0)
        return FAILED;
    if (!S_ISREG (before.st_mode))
        return CHANGED;
    return read_whole (fd, &walk->nodes [index], &before, window);
}

static int hash_file (walk_t *walk, size_t index, uint8_t *window, err_t *err)
{
    for (int i = 0; i < TRIES; i++) {
        outcome_t outcome = try_file (walk, index, window);
        if (outcome == READ)
            return 0;
        if (outcome == FAILED)
            return walk_refuse (walk, index, errno, err);
    }
    AUTO_FREE char *path = walk_path (walk, index);
    return err_set (err, ERR_USAGE, "%s changed while it was being read, %d times: submit again when nothing writes to it, or "
                    "leave it out by a line in .dockerignore", path, TRIES);
}

/* -- all files -------------------------------------------------------------------------------------------------- */

static void keep_error (hasher_t *self, const err_t *err)
{
    pthread_mutex_lock (&self->lock);
    if (!atomic_exchange (&self->is_failed, true) && self->err)
        *self->err = *err;
    pthread_mutex_unlock (&self->lock);
}

static void hash_some (void *argument)
{
    hasher_t *self = argument;
    AUTO_FREE uint8_t *window = mem_alloc (WINDOW);
    err_t err;
    size_t i;
    while (!atomic_load (&self->is_failed) && (i = atomic_fetch_add (&self->next, 1)) < self->walk->count)
        if (self->walk->nodes [i].kind == TREE_FILE && !self->walk->nodes [i].is_known && hash_file (self->walk, i, window, &err) < 0)
            keep_error (self, &err);
}

static size_t count_unknown (const walk_t *walk)
{
    size_t count = 0;
    for (size_t i = 0; i < walk->count; i++)
        count += walk->nodes [i].kind == TREE_FILE && !walk->nodes [i].is_known;
    return count;
}

int hash_files (walk_t *walk, err_t *err)
{
    hasher_t self = { .walk = walk, .lock = PTHREAD_MUTEX_INITIALIZER, .err = err };
    size_t unknown = count_unknown (walk);
    if (unknown == 0)
        return 0;
    crew_t *crew = unknown < FEW ? NULL : crew_new (hash_some, &self, CREW_BESIDE);
    hash_some (&self);
    crew_destroy (&crew);
    return atomic_load (&self.is_failed) ? -1 : 0;
}
