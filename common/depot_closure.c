/* depot_closure.c - what the bytes of an object are. They are looked at, not only what the sender calls them: the same
 * bytes may be a file's content in one context and a folder's listing in another, and their digest is the same. */
#include "common/depot_private.h"

#include <string.h>

/* What an attempt to read bytes as something came to. */
typedef enum { FAILED = -1, IT_IS_NOT, IT_IS_OPEN, IT_IS } finding_t;

static void add_child (nature_t *nature, int64_t id)
{
    buffer_append (&nature->children, &id, sizeof id);
}

static bool fits (const object_row_t *row, const tree_entry_t *entry)
{
    const content_t *content = &entry->content;
    int short_kind = entry->kind == TREE_FOLDER ? IS_FOLDER : IS_CONTENT;
    int long_kind = entry->kind == TREE_FOLDER ? IS_LONG_FOLDER : IS_LIST;
    if (content->level == 0)
        return (row->kinds & short_kind) && row->raw_bytes == content->size_bytes;
    return (row->kinds & long_kind) && row->level == content->level && row->content_bytes == content->size_bytes;
}

/* Of an entry: 1 there, 0 not (nature->missing says what), -1. */
static int check_entry (depot_t *self, const tree_entry_t *entry, nature_t *nature, err_t *err)
{
    object_row_t row;
    char hex [DIGEST_HEX_SIZE + 1];
    if (entry->kind == TREE_LINK) {
        extent_add (&nature->extent, entry, NULL);
        return 1;
    }
    int found = depot_find (self, &entry->content.digest, &row, err);
    if (found < 0)
        return -1;
    if (found && fits (&row, entry)) {
        add_child (nature, row.id);
        extent_add (&nature->extent, entry, &row.extent);
        return 1;
    }
    digest_to_hex (&entry->content.digest, hex);
    err_set (&nature->missing, ERR_PROTOCOL, "its entry \"%.*s\" names object %s, which is %s: send that first",
             (int) entry->name_size, entry->name, hex, found ? "here, but is no such thing" : "not in the depot");
    return 0;
}

static bool is_listing (const void *data, size_t size, int is_root)
{
    tree_reader_t reader;
    tree_entry_t entry;
    int rc;
    tree_reader_init (&reader, data, size, is_root);
    while ((rc = tree_read_entry (&reader, &entry, NULL)) == 1)
        ;
    return rc == 0;
}

static finding_t examine_listing (depot_t *self, const void *data, size_t size, int is_root, nature_t *nature, err_t *err)
{
    if (!is_listing (data, size, is_root))
        return IT_IS_NOT;
    tree_reader_t reader;
    tree_entry_t entry;
    tree_reader_init (&reader, data, size, is_root);
    while (tree_read_entry (&reader, &entry, NULL) == 1) {
        int rc = check_entry (self, &entry, nature, err);
        if (rc <= 0)
            return rc < 0 ? FAILED : IT_IS_OPEN;
    }
    return IT_IS;
}

/* -- lists ------------------------------------------------------------------------------------------------------ */

static bool is_list (const void *data, size_t size, size_t *count)
{
    ssize_t items = list_count (size, NULL);
    for (ssize_t i = 0; i < items; i++) {
        list_item_t item;
        list_read_item (data, (size_t) i, &item);
        if (item.size_bytes == 0 || item.size_bytes > OBJECT_MAX)
            return false;
    }
    *count = items > 0 ? (size_t) items : 0;
    return items > 0;
}

static int check_item (depot_t *self, const list_item_t *item, object_row_t *row, nature_t *nature, err_t *err)
{
    char hex [DIGEST_HEX_SIZE + 1];
    int found = depot_find (self, &item->digest, row, err);
    if (found < 0)
        return -1;
    if (found && row->raw_bytes == item->size_bytes) {
        add_child (nature, row->id);
        return 1;
    }
    digest_to_hex (&item->digest, hex);
    err_set (&nature->missing, ERR_PROTOCOL, "it lists object %s, which is %s: send that first", hex,
             found ? "here with another size" : "not in the depot");
    return 0;
}

/* A list does not say its level: it is one above that of its items, which all have the same. */
static finding_t examine_list (depot_t *self, const void *data, size_t size, nature_t *nature, err_t *err)
{
    size_t count;
    uint64_t raw_bytes = 0, below_bytes = 0;
    int level = -1;
    if (!is_list (data, size, &count))
        return IT_IS_NOT;
    for (size_t i = 0; i < count; i++) {
        list_item_t item;
        object_row_t row;
        list_read_item (data, i, &item);
        int rc = check_item (self, &item, &row, nature, err);
        if (rc <= 0)
            return rc < 0 ? FAILED : IT_IS_OPEN;
        int item_level = row.kinds & IS_LIST ? row.level : 0;
        level = level < 0 || level == item_level ? item_level : 0;
        raw_bytes += row.raw_bytes;
        below_bytes += row.content_bytes;
    }
    if (level >= TREE_LEVEL_MAX)
        level = 0;
    nature->level = level + 1;
    nature->content_bytes = level > 0 ? below_bytes : raw_bytes;
    return IT_IS;
}

static int read_object (void *argument, const digest_t *digest, buffer_t *out, err_t *err)
{
    return depot_get (argument, digest, out, NULL, err);
}

/* Is a list's content a listing? Nearly always the first entry says no, so the first chunk alone is read before the rest. */
static finding_t examine_long_folder (depot_t *self, const void *data, size_t size, nature_t *nature, err_t *err)
{
    AUTO_BUFFER buffer_t listing = { 0 };
    tree_reader_t reader;
    tree_entry_t entry;
    if (nature->content_bytes <= OBJECT_MAX || nature->content_bytes > TREE_LISTING_MAX)
        return IT_IS_NOT;
    if (list_assemble (data, size, nature->level, 1, read_object, self, &listing, err) < 0)
        return FAILED;
    tree_reader_init (&reader, listing.data, listing.size, 0);
    if (tree_read_entry (&reader, &entry, NULL) != 1)
        return IT_IS_NOT;
    buffer_clear (&listing);
    if (list_assemble (data, size, nature->level, SIZE_MAX, read_object, self, &listing, err) < 0)
        return FAILED;
    return examine_listing (self, listing.data, listing.size, 0, nature, err);
}

/* -- the whole -------------------------------------------------------------------------------------------------- */

static int note (nature_t *nature, finding_t finding, int kind)
{
    if (finding == IT_IS)
        nature->kinds |= kind;
    if (finding == IT_IS_OPEN)
        nature->is_open = true;
    return finding == FAILED ? -1 : 0;
}

bool depot_is_plain (const void *data, size_t size)
{
    size_t count;
    return !is_listing (data, size, 0) && !is_listing (data, size, 1) && !is_list (data, size, &count);
}

int depot_examine (depot_t *self, const void *data, size_t size, nature_t *nature, err_t *err)
{
    *nature = (nature_t) { .kinds = IS_CONTENT, .content_bytes = size };
    if (note (nature, examine_listing (self, data, size, 0, nature, err), IS_FOLDER) < 0
    ||  note (nature, examine_listing (self, data, size, 1, nature, err), IS_ROOT) < 0
    ||  note (nature, examine_list (self, data, size, nature, err), IS_LIST) < 0)
        return -1;
    if (nature->kinds & IS_LIST)
        return note (nature, examine_long_folder (self, data, size, nature, err), IS_LONG_FOLDER);
    return 0;
}
