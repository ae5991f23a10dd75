/* scan_objects.c - the tree as objects. None is kept: which objects there are, what they name and what they hold follows from
 * the walk, whose nodes have their digests. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/lists.h"
#include "common/scan_private.h"

/* -- bytes of folders ------------------------------------------------------------------------------------------- */

static tree_entry_t entry_of (const node_t *node)
{
    return (tree_entry_t) {
        .kind = node->kind, .mode = node->mode, .mtime_s = node->mtime_s, .mtime_ns = node->mtime_ns,
        .name = node->name, .name_size = strlen (node->name), .content = node->content,
        .target = node->text, .target_size = node->kind == TREE_LINK ? strlen (node->text) : 0
    };
}

void scan_write_listing (const scan_t *self, size_t folder, buffer_t *out)
{
    const node_t *node = &self->walk->nodes [folder];
    buffer_clear (out);
    for (size_t i = node->first; i < (size_t) node->first + node->count; i++)
        if (!self->walk->nodes [i].is_dropped) {
            tree_entry_t entry = entry_of (&self->walk->nodes [i]);
            tree_write_entry (out, &entry);
        }
}

void scan_write_root (const scan_t *self, buffer_t *out)
{
    tree_entry_t folder = entry_of (&self->walk->nodes [0]);
    buffer_clear (out);
    tree_write_root (out, &folder);
}

/* -- objects ---------------------------------------------------------------------------------------------------- */

static scan_object_t list_object (const scan_t *self, size_t node, int level, size_t index)
{
    list_item_t item = lists_item (&self->walk->nodes [node], level, index);
    return (scan_object_t) { OBJECT_LIST, item.size_bytes, item.digest, (uint32_t) node, (uint8_t) level, index };
}

/* What stands in an entry, as an object. */
static scan_object_t node_object (const scan_t *self, size_t at)
{
    const node_t *node = &self->walk->nodes [at];
    if (node->content.level)
        return list_object (self, at, node->content.level, 0);
    return (scan_object_t) { node->kind == TREE_FOLDER ? OBJECT_FOLDER : OBJECT_CONTENT, (uint32_t) node->content.size_bytes,
                             node->content.digest, (uint32_t) at, 0, 0 };
}

scan_object_t scan_top (const scan_t *self)
{
    return (scan_object_t) { .kind = OBJECT_FOLDER, .digest = self->root, .node = SCAN_ROOT };
}

static void add (buffer_t *out, const scan_object_t *object)
{
    buffer_append (out, object, sizeof *object);
}

static void add_entries (const scan_t *self, size_t folder, buffer_t *out)
{
    const node_t *node = &self->walk->nodes [folder];
    for (size_t i = node->first; i < (size_t) node->first + node->count; i++)
        if (!self->walk->nodes [i].is_dropped && self->walk->nodes [i].kind != TREE_LINK) {
            scan_object_t object = node_object (self, i);
            add (out, &object);
        }
}

static void add_chunks (const node_t *node, uint32_t index, size_t from, size_t to, buffer_t *out)
{
    uint64_t at = 0;
    for (size_t i = 0; i < from; i++)
        at += node->chunks [i].size_bytes;
    for (size_t i = from; i < to; i++) {
        const list_item_t *chunk = &node->chunks [i];
        add (out, &(scan_object_t) { OBJECT_CONTENT, chunk->size_bytes, chunk->digest, index, 0, at });
        at += chunk->size_bytes;
    }
}

/* The top of a listing names the listing's pieces, and stands for what the listing names. */
static void add_parts (const scan_t *self, const scan_object_t *list, buffer_t *out)
{
    size_t from, to;
    const node_t *node = &self->walk->nodes [list->node];
    lists_span (node, list->level, list->at, &from, &to);
    if (list->level == 1)
        add_chunks (node, list->node, from, to, out);
    for (size_t i = from; list->level > 1 && i < to; i++) {
        scan_object_t below = list_object (self, list->node, list->level - 1, i);
        add (out, &below);
    }
    if (node->kind == TREE_FOLDER && list->level == node->content.level)
        add_entries (self, list->node, out);
}

size_t scan_children (const scan_t *self, const scan_object_t *object, scan_object_t **out)
{
    buffer_t objects = { 0 };
    if (object->node == SCAN_ROOT) {
        scan_object_t folder = node_object (self, 0);
        add (&objects, &folder);
    } else if (object->kind == OBJECT_FOLDER)
        add_entries (self, object->node, &objects);
    else if (object->kind == OBJECT_LIST)
        add_parts (self, object, &objects);
    *out = (scan_object_t *) objects.data;
    return objects.size / sizeof **out;
}

static int rank (const scan_t *self, const scan_object_t *object)
{
    bool is_listing = object->kind == OBJECT_LIST && self->walk->nodes [object->node].kind == TREE_FOLDER;
    return 2 * (int) object->kind + is_listing;
}

bool scan_names_more (const scan_t *self, const scan_object_t *one, const scan_object_t *other)
{
    return rank (self, one) > rank (self, other);
}

bool scan_is_old (const scan_t *self, const scan_object_t *object)
{
    return object->node != SCAN_ROOT && self->walk->nodes [object->node].is_known;
}

bool scan_is_streamed (const scan_t *self, const scan_object_t *object)
{
    return object->kind == OBJECT_CONTENT && object->node < self->walk->count && self->walk->nodes [object->node].is_sent;
}

/* -- reading again ---------------------------------------------------------------------------------------------- */

static int read_piece (const scan_t *self, const scan_object_t *object, buffer_t *out, err_t *err)
{
    size_t size = object->size_bytes;
    AUTO_CLOSE int fd = walk_open (self->walk, object->node);
    if (fd < 0)
        return walk_refuse (self->walk, object->node, errno, err);
    buffer_reserve (out, size + 1);
    while (out->size < size) {
        ssize_t got = pread (fd, out->data + out->size, size - out->size, (off_t) (object->at + out->size));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return walk_refuse (self->walk, object->node, errno, err);
        if (got == 0)
            break;
        out->size += (size_t) got;
    }
    digest_t digest = digest_of (out->data, out->size);
    if (digest_equal (&digest, &object->digest))
        return 0;
    AUTO_FREE char *path = walk_path (self->walk, object->node);
    return err_set (err, ERR_USAGE, "%s changed while it was being sent: submit again when nothing writes to it", path);
}

int scan_read (const scan_t *self, const scan_object_t *object, buffer_t *out, err_t *err)
{
    buffer_clear (out);
    if (object->node == SCAN_ROOT)
        scan_write_root (self, out);
    else if (object->kind == OBJECT_FOLDER)
        scan_write_listing (self, object->node, out);
    else if (object->kind == OBJECT_LIST)
        lists_write (&self->walk->nodes [object->node], object->level, object->at, out);
    else if (self->walk->nodes [object->node].kind == TREE_FOLDER)
        buffer_append (out, self->walk->nodes [object->node].text + object->at, object->size_bytes);
    else
        return read_piece (self, object, out, err);
    return 0;
}
