/* hash.c - threads that take the next file each, until there is none. A thread has one buffer of 1 MiB, whatever the
 * size of its file. What stat says before and after reading must be the same: else the bytes are of two states. */
#include "common/hash.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/chunker.h"
#include "common/crew.h"

enum { TRIES = 3, FEW = 16 };

typedef enum { FAILED = -1, READ, CHANGED } outcome_t;

struct hasher {
    walk_t *walk;
    atomic_size_t next;
    atomic_bool is_ended;       /* a file cannot be read, or hasher_end */
};

/* Who gets the objects of a file. */
typedef struct {
    hash_take *give;            /* NULL: nobody */
    void *argument;
    const atomic_bool *is_ended;        /* nobody wants the file any more */
} taker_t;

/* -- one file --------------------------------------------------------------------------------------------------- */

static bool is_same (const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_mode == b->st_mode
        && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec
        && a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static digest_t hash (const taker_t *taker, const void *data, size_t size)
{
    digest_t digest = digest_of (data, size);
    if (taker && taker->give)
        taker->give (taker->argument, &digest, data, size);
    return digest;
}

static void add_chunk (node_t *node, uint32_t *capacity, const taker_t *taker, const uint8_t *data, size_t size)
{
    if (node->chunk_count == *capacity) {
        *capacity = *capacity ? 2 * *capacity : 8;
        node->chunks = mem_resize (node->chunks, *capacity * sizeof *node->chunks);
    }
    node->chunks [node->chunk_count++] = (list_item_t) { (uint32_t) size, hash (taker, data, size) };
}

void hash_long (node_t *node, const void *data, size_t size)
{
    uint32_t capacity = node->chunk_count = 0;
    for (size_t at = 0; at < size;) {
        size_t cut = chunker_cut ((const uint8_t *) data + at, size - at);
        add_chunk (node, &capacity, NULL, (const uint8_t *) data + at, cut);
        at += cut;
    }
}

/* Read until the window is full, or `left` bytes have come, or the file ends; -1 with errno. */
static ssize_t fill (int fd, uint8_t *window, size_t have, uint64_t left)
{
    size_t wanted = left < HASH_WINDOW - have ? have + (size_t) left : HASH_WINDOW;
    while (have < wanted) {
        ssize_t got = read (fd, window + have, wanted - have);
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
static int read_long (int fd, node_t *node, const taker_t *taker, uint8_t *window, size_t have, uint64_t *total)
{
    uint32_t capacity = 0;
    bool is_end = have < HASH_WINDOW;
    while (have) {
        size_t at = 0;
        if (atomic_load (taker->is_ended)) {
            errno = ECANCELED;
            return -1;
        }
        while (have - at >= CHUNK_MAX || (is_end && at < have)) {
            size_t cut = chunker_cut (window + at, have - at);
            add_chunk (node, &capacity, taker, window + at, cut);
            at += cut;
        }
        *total += at;
        memmove (window, window + at, have - at);
        ssize_t more = is_end ? 0 : fill (fd, window, have - at, HASH_WINDOW);
        if (more < 0)
            return -1;
        is_end = more < HASH_WINDOW;
        have = (size_t) more;
    }
    return 0;
}

/* The end is not waited for where stat tells the size: a file that has grown meanwhile has another one afterwards. */
static outcome_t read_whole (int fd, node_t *node, const taker_t *taker, const struct stat *before, uint8_t *window)
{
    struct stat after;
    uint64_t total = 0, size = (uint64_t) before->st_size;
    free (node->chunks);
    node->chunks = NULL;
    node->chunk_count = 0;
    ssize_t have = fill (fd, window, 0, size > 0 && size <= OBJECT_MAX ? size : HASH_WINDOW);
    if (have < 0)
        return FAILED;
    if (have <= OBJECT_MAX) {
        node->content.digest = hash (taker, window, (size_t) have);
        total = (uint64_t) have;
    } else if (read_long (fd, node, taker, window, (size_t) have, &total) < 0)
        return FAILED;
    if (fstat (fd, &after) < 0)
        return FAILED;
    node->content.size_bytes = total;
    node_set_stat (node, before);
    return is_same (before, &after) && total == (uint64_t) after.st_size ? READ : CHANGED;
}

/* Each try opens the file anew: it may have been replaced. */
static outcome_t try_file (walk_t *walk, size_t index, const taker_t *taker, uint8_t *window)
{
    struct stat before;
    AUTO_CLOSE int fd = walk_open (walk, index);
    if (fd < 0 || fstat (fd, &before) < 0)
        return FAILED;
    if (!S_ISREG (before.st_mode))
        return CHANGED;
    return read_whole (fd, &walk->nodes [index], taker, &before, window);
}

static int hash_file (walk_t *walk, size_t index, const taker_t *taker, uint8_t *window, err_t *err)
{
    for (int i = 0; i < TRIES; i++) {
        outcome_t outcome = try_file (walk, index, taker, window);
        walk->nodes [index].is_read = outcome == READ;
        if (outcome == READ)
            return 0;
        if (outcome == FAILED)
            return walk_refuse (walk, index, errno, err);
    }
    AUTO_FREE char *path = walk_path (walk, index);
    return err_set (err, ERR_USAGE, "%s changed while it was being read, %d times: submit again when nothing writes to it, or "
                    "leave it out by a line in .dockerignore", path, TRIES);
}

/* -- one after the other ---------------------------------------------------------------------------------------- */

hasher_t *hasher_new (walk_t *walk)
{
    hasher_t *self = mem_alloc (sizeof *self);
    self->walk = walk;
    return self;
}

void hasher_destroy (hasher_t **self_p)
{
    free (*self_p);
    *self_p = NULL;
}

static bool is_unread (const node_t *node)
{
    return node->kind == TREE_FILE && !node->is_known && !node->is_read;
}

int hasher_next (hasher_t *self, uint8_t *window, hash_take *take, void *argument, err_t *err)
{
    taker_t taker = { take, argument, &self->is_ended };
    size_t i;
    do
        i = atomic_fetch_add (&self->next, 1);
    while (i < self->walk->count && !is_unread (&self->walk->nodes [i]));
    if (i >= self->walk->count || atomic_load (&self->is_ended))
        return 0;
    if (hash_file (self->walk, i, &taker, window, err) == 0)
        return 1;
    return atomic_exchange (&self->is_ended, true) ? 0 : -1;
}

void hasher_end (hasher_t *self)
{
    atomic_store (&self->is_ended, true);
}

/* -- all files -------------------------------------------------------------------------------------------------- */

typedef struct {
    hasher_t *hasher;
    pthread_mutex_t lock;
    err_t *err;                 /* the first one's; under the lock */
    bool is_failed;
} work_t;

static void hash_some (void *argument)
{
    work_t *self = argument;
    AUTO_FREE uint8_t *window = mem_alloc (HASH_WINDOW);
    err_t err;
    int rc;
    while ((rc = hasher_next (self->hasher, window, NULL, NULL, &err)) == 1)
        ;
    pthread_mutex_lock (&self->lock);
    if (rc < 0 && !self->is_failed && self->err)
        *self->err = err;
    self->is_failed = self->is_failed || rc < 0;
    pthread_mutex_unlock (&self->lock);
}

int hash_files (walk_t *walk, err_t *err)
{
    size_t unread = 0;
    for (size_t i = 0; i < walk->count; i++)
        unread += is_unread (&walk->nodes [i]);
    if (unread == 0)
        return 0;
    AUTO (hasher) hasher_t *hasher = hasher_new (walk);
    work_t self = { .hasher = hasher, .lock = PTHREAD_MUTEX_INITIALIZER, .err = err };
    crew_t *crew = unread < FEW ? NULL : crew_new (hash_some, &self, CREW_BESIDE);
    hash_some (&self);
    crew_destroy (&crew);
    return self.is_failed ? -1 : 0;
}
