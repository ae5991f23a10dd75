/* scan.c - makes the tree of a context: walk.c finds the names, hash.c reads the files, and here folders get their digests,
 * from the deepest up to the root. */
#include "common/scan.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/ignore.h"
#include "common/lists.h"
#include "common/scan_private.h"

enum { IGNORE_FILE_MAX = 4 * 1024 * 1024 };

/* -- names ------------------------------------------------------------------------------------------------------ */

static int read_ignore (ignore_t **out, const char *path, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    if (!path)
        return 0;
    if (file_read (path, IGNORE_FILE_MAX, &text, err) < 0) {
        if (err)
            err->code = ERR_USAGE;
        return -1;
    }
    *out = ignore_parse ((const char *) text.data, text.size, err);
    return *out ? 0 : err_wrap (err, "%s", path);
}

int scan_names (scan_t **out, const char *folder, const char *ignore_path, const reach_t *reach, const char *cache_folder, err_t *err)
{
    AUTO (scan) scan_t *self = mem_alloc (sizeof *self);
    AUTO (ignore) ignore_t *ignore = NULL;
    if (cache_folder)
        self->cache = stat_cache_open (cache_folder, folder, ignore_path, reach);
    if (read_ignore (&ignore, ignore_path, err) < 0 || walk_context (&self->walk, folder, ignore, reach, err) < 0)
        return -1;
    if (self->cache)
        stat_cache_apply (self->cache, self->walk);
    *out = take (&self);
    return 0;
}

/* -- digests ---------------------------------------------------------------------------------------------------- */

static void close_file (scan_t *self, node_t *node)
{
    self->files++;
    self->bytes += node->content.size_bytes;
    if (node->chunk_count)
        lists_close (node);
}

/* A listing that is cut is kept: to be cut again for each of its pieces, it is too long. The digest of last time stands where
 * this time's comes. */
static void close_folder (scan_t *self, size_t index, buffer_t *listing)
{
    node_t *node = &self->walk->nodes [index];
    digest_t before = node->content.digest;
    scan_write_listing (self, index, listing);
    node->content.size_bytes = listing->size;
    if (listing->size > OBJECT_MAX) {
        hash_long (node, listing->data, listing->size);
        lists_close (node);
        node->text = (char *) listing->data;
        *listing = (buffer_t) { 0 };
    } else
        node->content.digest = digest_of (listing->data, listing->size);
    node->is_known = node->is_known && digest_equal (&before, &node->content.digest);
}

static void close_root (scan_t *self, buffer_t *listing)
{
    scan_write_root (self, listing);
    self->root = digest_of (listing->data, listing->size);
}

void scan_set_time (scan_t *self, int64_t mtime_s)
{
    self->has_time = true;
    self->mtime_s = mtime_s;
}

/* Behind the files were read, which looks at their times. */
static void apply_time (scan_t *self)
{
    for (size_t i = 0; self->has_time && i < self->walk->count; i++) {
        self->walk->nodes [i].mtime_s = self->mtime_s;
        self->walk->nodes [i].mtime_ns = 0;
    }
}

int scan_content (scan_t *self, err_t *err)
{
    AUTO_BUFFER buffer_t listing = { 0 };
    if (hash_files (self->walk, err) < 0)
        return -1;
    apply_time (self);
    for (size_t i = self->walk->count; i-- > 0;) {      /* children stand behind their parents */
        node_t *node = &self->walk->nodes [i];
        if (node->kind == TREE_FILE)
            close_file (self, node);
        else if (node->kind == TREE_FOLDER && (!node->is_dropped || i == 0))
            close_folder (self, i, &listing);
    }
    close_root (self, &listing);
    if (self->cache)
        stat_cache_save (self->cache, &self->root, self->walk);
    return 0;
}

int scan_context (scan_t **out, const char *folder, const char *ignore_path, err_t *err)
{
    AUTO (scan) scan_t *self = NULL;
    if (scan_names (&self, folder, ignore_path, NULL, NULL, err) < 0 || scan_content (self, err) < 0)
        return -1;
    *out = take (&self);
    return 0;
}

void scan_destroy (scan_t **self_p)
{
    scan_t *self = *self_p;
    if (!self)
        return;
    stat_cache_destroy (&self->cache);
    walk_destroy (&self->walk);
    free (self);
    *self_p = NULL;
}

/* -- what is known of it ---------------------------------------------------------------------------------------- */

const digest_t *scan_root (const scan_t *self)
{
    return &self->root;
}

uint64_t scan_files (const scan_t *self)
{
    return self->files;
}

uint64_t scan_bytes (const scan_t *self)
{
    return self->bytes;
}

void scan_unread (const scan_t *self, uint64_t *folders, uint64_t *files)
{
    *folders = self->walk->unread_folders;
    *files = self->walk->unread_files;
}

static bool is_news (const node_t *node)
{
    return node->kind == TREE_FILE && !node->is_known;
}

bool scan_has_news (const scan_t *self)
{
    for (size_t i = 0; i < self->walk->count; i++)
        if (is_news (&self->walk->nodes [i]))
            return true;
    return false;
}

uint64_t scan_news_bytes (const scan_t *self)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < self->walk->count; i++)
        bytes += is_news (&self->walk->nodes [i]) ? self->walk->nodes [i].stamp.size_bytes : 0;
    return bytes;
}

void scan_note_streamed (scan_t *self)
{
    self->has_streamed = true;
    for (size_t i = 0; i < self->walk->count; i++)
        self->walk->nodes [i].is_sent = self->walk->nodes [i].is_read;
}

bool scan_has_streamed (const scan_t *self)
{
    return self->has_streamed;
}

bool scan_is_sent (const scan_t *self, const uint8_t server_key [KEY_SIZE])
{
    return self->cache && stat_cache_is_sent (self->cache, server_key, &self->root);
}

bool scan_was_sent (const scan_t *self, const uint8_t server_key [KEY_SIZE])
{
    return self->cache && stat_cache_was_sent (self->cache, server_key);
}

void scan_note_sent (const scan_t *self, const uint8_t server_key [KEY_SIZE])
{
    if (self->cache)
        stat_cache_note_sent (self->cache, server_key, &self->root);
}
