/* tree.c - writes and reads listings and lists byte by byte, so that a tree means the same on every machine. What is
 * read may come from a peer or a damaged disk: each length is compared with what is left before it is used. */
#include "common/tree.h"

#include <assert.h>
#include <string.h>

enum { LIST_ITEM_SIZE = 4 + DIGEST_SIZE, MODE_LIMIT = 010000, NS_LIMIT = 1000000000 };

/* -- writing ---------------------------------------------------------------------------------------------------- */

static void write_number (buffer_t *out, uint64_t value, size_t width)
{
    uint8_t bytes [8];
    for (size_t i = 0; i < width; i++)
        bytes [i] = (uint8_t) (value >> (8 * (width - 1 - i)));
    buffer_append (out, bytes, width);
}

static void append_entry (buffer_t *listing, const tree_entry_t *entry)
{
    uint8_t kind = (uint8_t) entry->kind;
    buffer_append (listing, &kind, 1);
    write_number (listing, entry->mode, 2);
    write_number (listing, (uint64_t) entry->mtime_s, 8);
    write_number (listing, entry->mtime_ns, 4);
    write_number (listing, entry->name_size, 1);
    buffer_append (listing, entry->name, entry->name_size);
    if (entry->kind == TREE_LINK) {
        write_number (listing, entry->target_size, 2);
        buffer_append (listing, entry->target, entry->target_size);
    } else {
        write_number (listing, entry->content.size_bytes, 8);
        write_number (listing, entry->content.level, 1);
        buffer_append (listing, entry->content.digest.bytes, DIGEST_SIZE);
    }
}

int tree_compare_names (const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp (a, b, a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

/* The order of names is the caller's: looking back for the last name would mean to walk the listing again. */
void tree_write_entry (buffer_t *listing, const tree_entry_t *entry)
{
    assert (entry->mode < MODE_LIMIT && entry->mtime_ns < NS_LIMIT);
    assert (entry->name_size > 0 && entry->name_size <= TREE_NAME_MAX);
    assert (entry->kind != TREE_LINK || (entry->target_size > 0 && entry->target_size <= TREE_TARGET_MAX));
    assert (entry->kind == TREE_LINK || (entry->content.level > 0) == (entry->content.size_bytes > OBJECT_MAX));
    append_entry (listing, entry);
}

void tree_write_root (buffer_t *listing, const tree_entry_t *folder)
{
    tree_entry_t root = *folder;
    assert (folder->kind == TREE_FOLDER);
    root.name = ".";
    root.name_size = 1;
    tree_write_entry (listing, &root);
}

/* -- reading ---------------------------------------------------------------------------------------------------- */

void tree_reader_init (tree_reader_t *self, const void *data, size_t size, int is_root)
{
    *self = (tree_reader_t) { .data = data, .size = size, .is_root = is_root };
}

static int refuse (err_t *err, const tree_reader_t *self, const char *why)
{
    return err_set (err, ERR_PROTOCOL, "a folder's listing, byte %zu: %s", self->at, why);
}

/* A view of the next bytes, or NULL when there are fewer. */
static const uint8_t *read_bytes (tree_reader_t *self, size_t size)
{
    if (self->size - self->at < size)
        return NULL;
    const uint8_t *bytes = self->data + self->at;
    self->at += size;
    return bytes;
}

static bool read_number (tree_reader_t *self, size_t width, uint64_t *value)
{
    const uint8_t *bytes = read_bytes (self, width);
    *value = 0;
    for (size_t i = 0; bytes && i < width; i++)
        *value = *value << 8 | bytes [i];
    return bytes != NULL;
}

static int read_head (tree_reader_t *self, tree_entry_t *entry, err_t *err)
{
    uint64_t kind, mode, seconds, nanoseconds, name_size;
    if (!read_number (self, 1, &kind) || !read_number (self, 2, &mode) || !read_number (self, 8, &seconds)
    ||  !read_number (self, 4, &nanoseconds) || !read_number (self, 1, &name_size))
        return refuse (err, self, "it ends in the middle of an entry");
    if (kind != TREE_FILE && kind != TREE_FOLDER && kind != TREE_LINK)
        return refuse (err, self, "an entry is neither file, folder nor link");
    if (mode >= MODE_LIMIT || nanoseconds >= NS_LIMIT)
        return refuse (err, self, "mode or time is out of range");
    entry->kind = (tree_kind) kind;
    entry->mode = (uint16_t) mode;
    entry->mtime_s = (int64_t) seconds;
    entry->mtime_ns = (uint32_t) nanoseconds;
    entry->name_size = (size_t) name_size;
    entry->name = (const char *) read_bytes (self, entry->name_size);
    return entry->name ? 0 : refuse (err, self, "it ends in the middle of a name");
}

static int check_name (tree_reader_t *self, const tree_entry_t *entry, err_t *err)
{
    const char *name = entry->name;
    size_t size = entry->name_size;
    bool is_dot = size == 1 && name [0] == '.';
    if (self->is_root)
        return is_dot && entry->kind == TREE_FOLDER && !self->last_name ? 0
             : refuse (err, self, "a context has the one entry \".\", a folder");
    if (size == 0 || is_dot || (size == 2 && memcmp (name, "..", 2) == 0))
        return refuse (err, self, "a name is empty, \".\" or \"..\"");
    if (memchr (name, '/', size) || memchr (name, 0, size))
        return refuse (err, self, "a name holds a slash or NUL");
    if (self->last_name && tree_compare_names (self->last_name, self->last_size, name, size) >= 0)
        return refuse (err, self, "names are not in ascending order");
    return 0;
}

static int read_target (tree_reader_t *self, tree_entry_t *entry, err_t *err)
{
    uint64_t size;
    if (!read_number (self, 2, &size))
        return refuse (err, self, "it ends in the middle of a link");
    if (size == 0 || size > TREE_TARGET_MAX)
        return refuse (err, self, "a link's target has 1 to 4095 bytes");
    entry->target_size = (size_t) size;
    entry->target = (const char *) read_bytes (self, entry->target_size);
    if (!entry->target)
        return refuse (err, self, "it ends in the middle of a link");
    return memchr (entry->target, 0, entry->target_size) ? refuse (err, self, "a link's target holds NUL") : 0;
}

static int read_content (tree_reader_t *self, tree_entry_t *entry, err_t *err)
{
    uint64_t size, level;
    const uint8_t *digest;
    if (!read_number (self, 8, &size) || !read_number (self, 1, &level) || !(digest = read_bytes (self, DIGEST_SIZE)))
        return refuse (err, self, "it ends in the middle of an entry");
    if (size > INT64_MAX || level > TREE_LEVEL_MAX || (level == 0) != (size <= OBJECT_MAX))
        return refuse (err, self, "size and level do not fit each other");
    entry->content.size_bytes = size;
    entry->content.level = (uint8_t) level;
    memcpy (entry->content.digest.bytes, digest, DIGEST_SIZE);
    return 0;
}

int tree_read_entry (tree_reader_t *self, tree_entry_t *entry, err_t *err)
{
    *entry = (tree_entry_t) { 0 };
    if (self->at == self->size)
        return self->is_root && !self->last_name ? refuse (err, self, "a context has the one entry \".\", a folder") : 0;
    if (read_head (self, entry, err) < 0 || check_name (self, entry, err) < 0)
        return -1;
    self->last_name = entry->name;
    self->last_size = entry->name_size;
    if ((entry->kind == TREE_LINK ? read_target (self, entry, err) : read_content (self, entry, err)) < 0)
        return -1;
    return 1;
}

/* -- lists ------------------------------------------------------------------------------------------------------ */

void list_write_item (buffer_t *list, const list_item_t *item)
{
    write_number (list, item->size_bytes, 4);
    buffer_append (list, item->digest.bytes, DIGEST_SIZE);
}

ssize_t list_count (size_t size, err_t *err)
{
    if (size == 0 || size > OBJECT_MAX || size % LIST_ITEM_SIZE != 0)
        return err_set (err, ERR_PROTOCOL, "a list of %zu bytes: it has 1 to %d items of %d bytes each", size,
                        OBJECT_MAX / LIST_ITEM_SIZE, LIST_ITEM_SIZE);
    return (ssize_t) (size / LIST_ITEM_SIZE);
}

void list_read_item (const void *data, size_t index, list_item_t *item)
{
    const uint8_t *at = (const uint8_t *) data + index * LIST_ITEM_SIZE;
    item->size_bytes = (uint32_t) at [0] << 24 | (uint32_t) at [1] << 16 | (uint32_t) at [2] << 8 | at [3];
    memcpy (item->digest.bytes, at + 4, DIGEST_SIZE);
}

int list_assemble (const void *list, size_t size, int level, size_t at_most, object_read_fn *read, void *argument, buffer_t *out,
                   err_t *err)
{
    ssize_t count = list_count (size, err);
    for (ssize_t i = 0; i < count && out->size < at_most; i++) {
        list_item_t item;
        AUTO_BUFFER buffer_t object = { 0 };
        list_read_item (list, (size_t) i, &item);
        if (read (argument, &item.digest, &object, err) < 0)
            return -1;
        if (level <= 1)
            buffer_append (out, object.data, object.size);
        else if (list_assemble (object.data, object.size, level - 1, at_most, read, argument, out, err) < 0)
            return -1;
    }
    return count < 0 ? -1 : 0;
}

int list_assemble_listing (const void *list, size_t size, int level, object_read_fn *read, void *argument, buffer_t *out, err_t *err)
{
    if (list_assemble (list, size, level, (size_t) TREE_LISTING_MAX + 1, read, argument, out, err) < 0)
        return -1;
    return out->size > TREE_LISTING_MAX ? err_set (err, ERR_PROTOCOL, "a folder of the context has too many entries") : 0;
}

object_kind tree_object_of (const tree_entry_t *entry)
{
    return entry->content.level ? OBJECT_LIST : entry->kind == TREE_FOLDER ? OBJECT_FOLDER : OBJECT_CONTENT;
}

object_kind list_object_of (int level)
{
    return level > 1 ? OBJECT_LIST : OBJECT_CONTENT;
}
