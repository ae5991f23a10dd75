/* scan.c - makes the tree of a context: walk.c finds the names, hash.c reads the files, and here folders are built from
 * the deepest up to the root. What comes out is a table of objects by digest: of folders and lists their bytes, of
 * content where it can be read again. */
#include "farmctl/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/digest_map.h"
#include "common/file.h"
#include "farmctl/hash.h"
#include "farmctl/ignore.h"
#include "farmctl/stat_cache.h"
#include "farmctl/walk.h"

enum { IGNORE_FILE_MAX = 4 * 1024 * 1024, LIST_ITEMS_MAX = 7281 };

typedef struct {
    scan_object_t object;
    uint32_t node;              /* of content: the file that it is in, */
    uint64_t offset;            /* and where */
    uint8_t *data;              /* of others, and of pieces of a listing: the bytes */
    scan_object_t *children;
    size_t child_count;
    bool is_old;                /* was part of the tree that the stat cache is of */
} entry_t;

struct scan {
    walk_t *walk;
    stat_cache_t *cache;        /* NULL for none */
    entry_t *entries;
    size_t count, capacity;
    digest_map_t by_digest;     /* index of an entry */
    digest_t root;
    uint64_t files, files_read, bytes;
};

/* -- the table -------------------------------------------------------------------------------------------------- */

static entry_t *find (const scan_t *self, const digest_t *digest)
{
    int64_t at = digest_map_find (&self->by_digest, digest);
    return at < 0 ? NULL : &self->entries [at];
}

static void entry_clear (entry_t *self)
{
    free (self->data);
    free (self->children);
}

/* Takes entry's data and children. The same bytes may be content here and a folder there: then what names more is kept,
 * as its children have to go first. */
static void add_entry (scan_t *self, entry_t *entry)
{
    entry_t *known = find (self, &entry->object.digest);
    if (known) {
        entry->is_old = known->is_old = known->is_old || entry->is_old;
        bool is_more = entry->object.kind > known->object.kind
                    || (entry->object.kind == known->object.kind && entry->child_count > known->child_count);
        entry_clear (is_more ? known : entry);
        if (is_more)
            *known = *entry;
        return;
    }
    if (self->count == self->capacity) {
        self->capacity = self->capacity ? 2 * self->capacity : 256;
        self->entries = mem_resize (self->entries, self->capacity * sizeof *self->entries);
    }
    digest_map_set (&self->by_digest, &entry->object.digest, self->count);
    self->entries [self->count++] = *entry;
}

/* -- lists ------------------------------------------------------------------------------------------------------ */

static void *copy (const void *data, size_t size)
{
    return size ? memcpy (mem_alloc (size), data, size) : mem_alloc (1);
}

/* One list object of the items; extra children are what the listing that it is the top of names. */
static list_item_t add_list (scan_t *self, const list_item_t *items, size_t count, object_kind kind, bool is_old,
                             const scan_object_t *extra, size_t extra_count)
{
    buffer_t list = { 0 };
    entry_t entry = { .child_count = count + extra_count, .is_old = is_old };
    entry.children = mem_alloc (entry.child_count * sizeof *entry.children);
    for (size_t i = 0; i < count; i++) {
        list_write_item (&list, &items [i]);
        entry.children [i] = (scan_object_t) { kind, items [i].digest, items [i].size_bytes };
    }
    if (extra_count)
        memcpy (entry.children + count, extra, extra_count * sizeof *extra);
    entry.data = list.data;
    entry.object = (scan_object_t) { OBJECT_LIST, digest_of (list.data, list.size), (uint32_t) list.size };
    list_item_t item = { entry.object.size_bytes, entry.object.digest };
    add_entry (self, &entry);
    return item;
}

/* The lists over a node's chunks, level upon level until there is one. */
static void add_lists (scan_t *self, node_t *node, const scan_object_t *extra, size_t extra_count)
{
    AUTO_FREE list_item_t *items = copy (node->chunks, node->chunk_count * sizeof *items);
    size_t count = node->chunk_count;
    object_kind kind = OBJECT_CONTENT;
    node->content.level = 0;
    do {
        size_t lists = (count + LIST_ITEMS_MAX - 1) / LIST_ITEMS_MAX;
        for (size_t i = 0; i < lists; i++) {
            size_t size = i + 1 < lists ? LIST_ITEMS_MAX : count - i * LIST_ITEMS_MAX;
            items [i] = add_list (self, items + i * LIST_ITEMS_MAX, size, kind, node->is_known, extra, lists == 1 ? extra_count : 0);
        }
        count = lists;
        kind = OBJECT_LIST;
        node->content.level++;
    } while (count > 1);
    node->content.digest = items [0].digest;
}

/* -- files and folders ------------------------------------------------------------------------------------------ */

static void add_file (scan_t *self, size_t index)
{
    node_t *node = &self->walk->nodes [index];
    self->files++;
    self->files_read += !node->is_known;
    self->bytes += node->content.size_bytes;
    uint64_t offset = 0;
    if (node->chunk_count == 0) {
        scan_object_t object = { OBJECT_CONTENT, node->content.digest, (uint32_t) node->content.size_bytes };
        add_entry (self, &(entry_t) { .object = object, .node = (uint32_t) index, .is_old = node->is_known });
        return;
    }
    for (size_t i = 0; i < node->chunk_count; i++) {
        scan_object_t object = { OBJECT_CONTENT, node->chunks [i].digest, node->chunks [i].size_bytes };
        add_entry (self, &(entry_t) { .object = object, .node = (uint32_t) index, .offset = offset,
                                      .is_old = node->is_known });
        offset += object.size_bytes;
    }
    add_lists (self, node, NULL, 0);
}

static tree_entry_t entry_of (const node_t *node)
{
    return (tree_entry_t) {
        .kind = node->kind, .mode = node->mode, .mtime_s = node->mtime_s, .mtime_ns = node->mtime_ns,
        .name = node->name, .name_size = strlen (node->name), .content = node->content,
        .target = node->target, .target_size = node->target ? strlen (node->target) : 0
    };
}

/* What stands in an entry, as an object. Of a list its size is looked up: the entry knows that of the content. */
static scan_object_t object_of (const scan_t *self, const node_t *node)
{
    object_kind kind = node->content.level ? OBJECT_LIST : node->kind == TREE_FOLDER ? OBJECT_FOLDER : OBJECT_CONTENT;
    return (scan_object_t) { kind, node->content.digest, find (self, &node->content.digest)->object.size_bytes };
}

/* Takes children. */
static void add_long_listing (scan_t *self, node_t *node, const buffer_t *listing, scan_object_t *children, size_t count)
{
    size_t at = 0;
    AUTO_FREE scan_object_t *named = children;
    hash_long (node, listing->data, listing->size);
    for (size_t i = 0; i < node->chunk_count; i++) {
        scan_object_t object = { OBJECT_CONTENT, node->chunks [i].digest, node->chunks [i].size_bytes };
        add_entry (self, &(entry_t) { .object = object, .data = copy (listing->data + at, object.size_bytes) });
        at += object.size_bytes;
    }
    add_lists (self, node, named, count);
}

static void add_folder (scan_t *self, size_t index)
{
    node_t *node = &self->walk->nodes [index];
    AUTO_BUFFER buffer_t listing = { 0 };
    scan_object_t *children = mem_alloc ((node->count + 1) * sizeof *children);
    size_t count = 0;
    for (size_t i = node->first; i < (size_t) node->first + node->count; i++) {
        const node_t *child = &self->walk->nodes [i];
        if (child->is_dropped)
            continue;
        tree_entry_t entry = entry_of (child);
        tree_write_entry (&listing, &entry);
        if (child->kind != TREE_LINK)
            children [count++] = object_of (self, child);
    }
    node->content.size_bytes = listing.size;
    if (listing.size > OBJECT_MAX) {
        add_long_listing (self, node, &listing, children, count);
        return;
    }
    node->content.digest = digest_of (listing.data, listing.size);
    scan_object_t object = { OBJECT_FOLDER, node->content.digest, (uint32_t) listing.size };
    bool is_old = node->listing_before && memcmp (node->listing_before, node->content.digest.bytes, DIGEST_SIZE) == 0;
    add_entry (self, &(entry_t) { .object = object, .data = copy (listing.data, listing.size), .children = children,
                                  .child_count = count, .is_old = is_old });
}

static void add_root (scan_t *self)
{
    buffer_t listing = { 0 };
    tree_entry_t folder = entry_of (&self->walk->nodes [0]);
    tree_write_root (&listing, &folder);
    scan_object_t *child = mem_alloc (sizeof *child);
    *child = object_of (self, &self->walk->nodes [0]);
    self->root = digest_of (listing.data, listing.size);
    add_entry (self, &(entry_t) { .object = { OBJECT_FOLDER, self->root, (uint32_t) listing.size }, .data = listing.data,
                                  .children = child, .child_count = 1 });
}

/* -- the whole -------------------------------------------------------------------------------------------------- */

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

int scan_content (scan_t *self, err_t *err)
{
    if (hash_files (self->walk, err) < 0)
        return -1;
    for (size_t i = self->walk->count; i-- > 0;) {      /* children stand behind their parents */
        if (self->walk->nodes [i].kind == TREE_FILE)
            add_file (self, i);
        else if (self->walk->nodes [i].kind == TREE_FOLDER && (!self->walk->nodes [i].is_dropped || i == 0))
            add_folder (self, i);
    }
    add_root (self);
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
    for (size_t i = 0; i < self->count; i++)
        entry_clear (&self->entries [i]);
    stat_cache_destroy (&self->cache);
    walk_destroy (&self->walk);
    free (self->entries);
    digest_map_free (&self->by_digest);
    free (self);
    *self_p = NULL;
}

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

uint64_t scan_files_read (const scan_t *self)
{
    return self->files_read;
}

void scan_unread (const scan_t *self, uint64_t *folders, uint64_t *files)
{
    *folders = self->walk->unread_folders;
    *files = self->walk->unread_files;
}

size_t scan_children (const scan_t *self, const digest_t *digest, const scan_object_t **out)
{
    const entry_t *entry = find (self, digest);
    *out = entry ? entry->children : NULL;
    return entry ? entry->child_count : 0;
}

bool scan_has_news (const scan_t *self)
{
    for (size_t i = 0; i < self->walk->count; i++)
        if (self->walk->nodes [i].kind == TREE_FILE && !self->walk->nodes [i].is_known)
            return true;
    return false;
}

bool scan_is_sent (const scan_t *self, const uint8_t server_key [KEY_SIZE])
{
    return self->cache && stat_cache_is_sent (self->cache, server_key, &self->root);
}

bool scan_was_sent (const scan_t *self, const uint8_t server_key [KEY_SIZE])
{
    return self->cache && stat_cache_was_sent (self->cache, server_key);
}

bool scan_is_old (const scan_t *self, const digest_t *digest)
{
    const entry_t *entry = find (self, digest);
    return entry && entry->is_old;
}

void scan_note_sent (const scan_t *self, const uint8_t server_key [KEY_SIZE])
{
    if (self->cache)
        stat_cache_note_sent (self->cache, server_key, &self->root);
}

/* -- reading again ---------------------------------------------------------------------------------------------- */

static int read_piece (scan_t *self, const entry_t *entry, buffer_t *out, err_t *err)
{
    size_t size = entry->object.size_bytes;
    AUTO_CLOSE int fd = walk_open (self->walk, entry->node);
    if (fd < 0)
        return walk_refuse (self->walk, entry->node, errno, err);
    buffer_reserve (out, size + 1);
    while (out->size < size) {
        ssize_t got = pread (fd, out->data + out->size, size - out->size, (off_t) (entry->offset + out->size));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return walk_refuse (self->walk, entry->node, errno, err);
        if (got == 0)
            break;
        out->size += (size_t) got;
    }
    digest_t digest = digest_of (out->data, out->size);
    if (digest_equal (&digest, &entry->object.digest))
        return 0;
    AUTO_FREE char *path = walk_path (self->walk, entry->node);
    return err_set (err, ERR_USAGE, "%s changed while it was being sent: submit again when nothing writes to it", path);
}

int scan_read (scan_t *self, const digest_t *digest, buffer_t *out, err_t *err)
{
    char hex [DIGEST_HEX_SIZE + 1];
    const entry_t *entry = find (self, digest);
    digest_to_hex (digest, hex);
    buffer_clear (out);
    if (!entry)
        return err_set (err, ERR_NOT_FOUND, "object %s is not of this context", hex);
    if (!entry->data)
        return read_piece (self, entry, out, err);
    buffer_append (out, entry->data, entry->object.size_bytes);
    return 0;
}
