/* stat_cache.c - finds, reads, applies and replaces the stat cache of a context.
 *
 * A cached file is believed when name, size, mode, both times, inode and device are the same, and both times are older
 * than the scan that read it by more than the file system's clock is coarse: a file that was written twice within one tick
 * has the same time before and after (git calls it racily clean). */
#include "common/stat_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/stat_index.h"

/* Linux stamps files at its tick, 10 ms at the coarsest. */
enum { TICK_NS = 20 * 1000 * 1000 };
enum { UNUSED_DAYS = 30, FOLDER_FILES_MAX = 1000, LARGE = 128 * 1024 };
static const uint64_t FOLDER_BYTES_MAX = 512 * 1024 * 1024;
#define SUFFIX ".stat"
#define SENT_SUFFIX ".sent"

struct stat_cache {
    char *folder, *path, *sent_path;
    digest_t key;
    struct timespec began;
    buffer_t bytes;
    stat_index_t index;         /* into bytes; empty where there was no cache */
    bool is_loading;            /* by this thread, which has bytes and index until it has ended */
    pthread_t loader;
};

/* -- open ------------------------------------------------------------------------------------------------------- */

/* The context by its folder's path and identity: what is mounted there now may not be what was. And by what of it is sent: two
 * Dockerfiles in one folder have a cache each. */
static int make_key (digest_t *key, const char *context, const char *ignore_path, const reach_t *reach)
{
    struct stat info;
    AUTO_FREE char *context_path = realpath (context, NULL);
    AUTO_FREE char *ignore_real = ignore_path ? realpath (ignore_path, NULL) : mem_strdup ("");
    AUTO_BUFFER buffer_t text = { 0 };
    if (!context_path || !ignore_real || stat (context_path, &info) < 0)
        return -1;
    buffer_append (&text, context_path, strlen (context_path) + 1);
    buffer_append (&text, ignore_real, strlen (ignore_real) + 1);
    buffer_printf (&text, "%llu %llu", (unsigned long long) info.st_dev, (unsigned long long) info.st_ino);
    if (reach) {
        buffer_append (&text, "", 1);
        reach_write (reach, &text);
    }
    *key = digest_of (text.data, text.size);
    return 0;
}

/* Our own file, whole. Nothing else has a right to be believed. */
static int read_bytes (const char *path, off_t size_max, buffer_t *out)
{
    struct stat info;
    AUTO_CLOSE int fd = open (path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat (fd, &info) < 0)
        return -1;
    if (!S_ISREG (info.st_mode) || info.st_uid != geteuid () || info.st_size > size_max) {
        log_debug ("cache", "%s is not taken: it is no file of this user's, or too large", path);
        return -1;
    }
    buffer_reserve (out, (size_t) info.st_size + 1);
    while (out->size < (size_t) info.st_size) {
        ssize_t got = read (fd, out->data + out->size, (size_t) info.st_size - out->size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        out->size += (size_t) got;
    }
    return 0;
}

static void load (stat_cache_t *self)
{
    if (read_bytes (self->path, STAT_INDEX_MAX, &self->bytes) < 0)
        return;
    if (stat_index_read (&self->index, &self->key, self->bytes.data, self->bytes.size) < 0) {
        log_debug ("cache", "%s is damaged, or of another version: thrown away", self->path);
        unlink (self->path);
    } else
        utimensat (AT_FDCWD, self->path, NULL, 0);      /* used today */
}

static void *load_beside (void *self)
{
    load (self);
    return NULL;
}

/* A large one beside the walk, which waits for the kernel now and then; signals are left to the caller's thread. */
static void begin_to_load (stat_cache_t *self)
{
    struct stat info;
    sigset_t all, old;
    if (stat (self->path, &info) < 0)
        return;
    sigfillset (&all);
    pthread_sigmask (SIG_BLOCK, &all, &old);
    self->is_loading = info.st_size >= LARGE && pthread_create (&self->loader, NULL, load_beside, self) == 0;
    pthread_sigmask (SIG_SETMASK, &old, NULL);
    if (!self->is_loading)
        load (self);
}

static void end_loading (stat_cache_t *self)
{
    if (self->is_loading)
        pthread_join (self->loader, NULL);
    self->is_loading = false;
}

stat_cache_t *stat_cache_open (const char *cache_folder, const char *context, const char *ignore_path, const reach_t *reach)
{
    err_t err;
    char hex [DIGEST_HEX_SIZE + 1];
    AUTO (stat_cache) stat_cache_t *self = mem_alloc (sizeof *self);
    clock_gettime (CLOCK_REALTIME, &self->began);
    if (make_key (&self->key, context, ignore_path, reach) < 0)
        return NULL;
    if (file_make_folders (cache_folder, 0700, &err) < 0) {
        log_debug ("cache", "%s", err.text);
        return NULL;
    }
    digest_to_hex (&self->key, hex);
    hex [32] = 0;
    self->folder = mem_strdup (cache_folder);
    self->path = mem_printf ("%s/%s" SUFFIX, cache_folder, hex);
    self->sent_path = mem_printf ("%s/%s" SENT_SUFFIX, cache_folder, hex);
    begin_to_load (self);
    return take (&self);
}

void stat_cache_destroy (stat_cache_t **self_p)
{
    stat_cache_t *self = *self_p;
    if (!self)
        return;
    end_loading (self);
    stat_index_free (&self->index);
    buffer_free (&self->bytes);
    free (self->folder);
    free (self->path);
    free (self->sent_path);
    free (self);
    *self_p = NULL;
}

/* -- apply ------------------------------------------------------------------------------------------------------ */

static bool was_quiet (const stat_node_t *cached, const struct timespec *began)
{
    return stamp_is_settled (&cached->stamp, began, TICK_NS)
        && stamp_is_past (&cached->stamp, cached->mtime_s, cached->mtime_ns, began, TICK_NS);
}

static bool is_same (const stat_node_t *cached, const node_t *node)
{
    return cached->kind == TREE_FILE && cached->mode == node->mode && cached->mtime_s == node->mtime_s
        && cached->mtime_ns == node->mtime_ns && stamp_equal (&cached->stamp, &node->stamp);
}

/* Chunks come together to the size of the file, or are not taken. */
static bool take_chunks (node_t *node, const stat_node_t *cached)
{
    uint64_t total = 0;
    node->chunks = mem_alloc (cached->chunk_count * sizeof *node->chunks);
    node->chunk_count = cached->chunk_count;
    for (size_t i = 0; i < node->chunk_count; i++) {
        node->chunks [i] = stat_node_chunk (cached, i);
        total += node->chunks [i].size_bytes;
        if (node->chunks [i].size_bytes == 0 || node->chunks [i].size_bytes > OBJECT_MAX)
            total = UINT64_MAX / 2;
    }
    if (total == node->stamp.size_bytes)
        return true;
    free (node->chunks);
    node->chunks = NULL;
    node->chunk_count = 0;
    return false;
}

static void apply_file (const stat_cache_t *self, const stat_node_t *cached, node_t *node)
{
    if (!is_same (cached, node) || !was_quiet (cached, &self->index.began))
        return;
    node->content.size_bytes = node->stamp.size_bytes;
    if (cached->chunk_count == 0)
        memcpy (node->content.digest.bytes, cached->content, DIGEST_SIZE);
    node->is_known = cached->chunk_count == 0 || take_chunks (node, cached);
}

static int compare_names (const stat_node_t *cached, const node_t *node)
{
    size_t size = strlen (node->name), least = size < cached->name_size ? size : cached->name_size;
    int order = memcmp (cached->name, node->name, least);
    return order ? order : (cached->name_size > size) - (cached->name_size < size);
}

/* Both have their names in order: they are read side by side. twins has the cached node of each node of the walk. */
static void apply_folder (const stat_cache_t *self, size_t at, walk_t *walk, uint32_t *twins)
{
    const stat_node_t *folder = &self->index.nodes [twins [at]], *cached = self->index.nodes + folder->first;
    const stat_node_t *end = cached + folder->count;
    size_t next = walk->nodes [at].first, last = next + walk->nodes [at].count;
    if (folder->kind != TREE_FOLDER)
        return;
    memcpy (walk->nodes [at].content.digest.bytes, folder->content, DIGEST_SIZE);
    walk->nodes [at].is_known = true;
    while (cached < end && next < last) {
        int order = compare_names (cached, &walk->nodes [next]);
        if (order == 0 && walk->nodes [next].kind == TREE_FILE)
            apply_file (self, cached, &walk->nodes [next]);
        else if (order == 0)
            twins [next] = (uint32_t) (cached - self->index.nodes);
        cached += order <= 0;
        next += order >= 0;
    }
}

void stat_cache_apply (stat_cache_t *self, walk_t *walk)
{
    end_loading (self);
    if (self->index.count == 0)
        return;
    AUTO_FREE uint32_t *twins = mem_alloc (walk->count * sizeof *twins);       /* 0: none, but for node 0 */
    for (size_t i = 0; i < walk->count; i++)
        if (walk->nodes [i].kind == TREE_FOLDER && (i == 0 || twins [i]))
            apply_folder (self, i, walk, twins);
}

/* -- save ------------------------------------------------------------------------------------------------------- */

static bool is_changed (const stat_cache_t *self, const walk_t *walk)
{
    for (size_t i = 0; i < walk->count; i++)
        if (walk->nodes [i].kind == TREE_FILE && !walk->nodes [i].is_known)
            return true;
    return walk->count != self->index.count;
}

/* Not synced: after a power cut its checksum tells. */
static void replace (const char *path, const buffer_t *bytes)
{
    AUTO_FREE char *temporary = mem_printf ("%s.XXXXXX", path);
    AUTO_CLOSE int fd = mkostemp (temporary, O_CLOEXEC);
    if (fd >= 0 && file_write_all (fd, bytes->data, bytes->size, NULL) == 0 && rename (temporary, path) == 0)
        return;
    log_debug ("cache", "%s cannot be written: %s", path, strerror (errno));
    if (fd >= 0)
        unlink (temporary);
}

typedef struct {
    char name [NAME_MAX + 1];
    struct timespec used;
    uint64_t bytes;
} cache_file_t;

static int latest_first (const void *a, const void *b)
{
    const struct timespec *x = &((const cache_file_t *) a)->used, *y = &((const cache_file_t *) b)->used;
    return x->tv_sec != y->tv_sec ? (x->tv_sec < y->tv_sec ? 1 : -1) : (x->tv_nsec < y->tv_nsec) - (x->tv_nsec > y->tv_nsec);
}

/* Our own names only, and what a run that was killed left of one: "<32 hex>.stat", "<32 hex>.stat.XXXXXX". */
static bool is_ours (const char *name)
{
    return strspn (name, "0123456789abcdef") == 32 && (strncmp (name + 32, SUFFIX, strlen (SUFFIX)) == 0
                                                       || strncmp (name + 32, SENT_SUFFIX, strlen (SENT_SUFFIX)) == 0);
}

static size_t list_files (DIR *folder, cache_file_t **out)
{
    struct dirent *item;
    struct stat info;
    size_t count = 0;
    while ((item = readdir (folder))) {
        if (!is_ours (item->d_name) || fstatat (dirfd (folder), item->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        *out = mem_resize (*out, (count + 1) * sizeof **out);
        cache_file_t *file = &(*out) [count++];
        *file = (cache_file_t) { .used = info.st_mtim, .bytes = (uint64_t) info.st_size };
        snprintf (file->name, sizeof file->name, "%s", item->d_name);
    }
    return count;
}

/* The latest are kept, as far as they are young and few and small enough together. */
static void tidy (const stat_cache_t *self)
{
    AUTO_FREE cache_file_t *files = NULL;
    uint64_t bytes = 0;
    DIR *folder = opendir (self->folder);
    if (!folder)
        return;
    size_t count = list_files (folder, &files);
    if (count)
        qsort (files, count, sizeof *files, latest_first);
    for (size_t i = 0; i < count; i++) {
        bytes += files [i].bytes;
        if (i >= FOLDER_FILES_MAX || bytes > FOLDER_BYTES_MAX
        ||  self->began.tv_sec - files [i].used.tv_sec > (time_t) UNUSED_DAYS * 24 * 3600)
            unlinkat (dirfd (folder), files [i].name, 0);
    }
    closedir (folder);
}

void stat_cache_save (const stat_cache_t *self, const digest_t *root, const walk_t *walk)
{
    AUTO_BUFFER buffer_t bytes = { 0 };
    if (digest_equal (root, &self->index.root) && !is_changed (self, walk))
        return;
    if (!stat_index_write (&bytes, &self->key, &self->began, root, walk))
        return;
    replace (self->path, &bytes);
    if (self->index.count == 0)         /* a context that was not here before: room for it */
        tidy (self);
}

/* -- sent ------------------------------------------------------------------------------------------------------- */

/* root (32) key of the coordinator (32) BLAKE2b-256 of both (32) */
static void write_sent (buffer_t *out, const uint8_t server_key [KEY_SIZE], const digest_t *root)
{
    buffer_append (out, root->bytes, DIGEST_SIZE);
    buffer_append (out, server_key, KEY_SIZE);
    digest_t digest = digest_of (out->data, out->size);
    buffer_append (out, digest.bytes, DIGEST_SIZE);
}

bool stat_cache_is_sent (const stat_cache_t *self, const uint8_t server_key [KEY_SIZE], const digest_t *root)
{
    AUTO_BUFFER buffer_t there = { 0 };
    AUTO_BUFFER buffer_t wanted = { 0 };
    write_sent (&wanted, server_key, root);
    bool is_same = read_bytes (self->sent_path, (off_t) wanted.size, &there) == 0 && there.size == wanted.size
                && memcmp (there.data, wanted.data, wanted.size) == 0;
    if (is_same)
        utimensat (AT_FDCWD, self->sent_path, NULL, 0);     /* used today */
    return is_same;
}

bool stat_cache_was_sent (const stat_cache_t *self, const uint8_t server_key [KEY_SIZE])
{
    return self->index.count && stat_cache_is_sent (self, server_key, &self->index.root);
}

void stat_cache_note_sent (const stat_cache_t *self, const uint8_t server_key [KEY_SIZE], const digest_t *root)
{
    AUTO_BUFFER buffer_t bytes = { 0 };
    if (stat_cache_is_sent (self, server_key, root))
        return;
    write_sent (&bytes, server_key, root);
    replace (self->sent_path, &bytes);
}
