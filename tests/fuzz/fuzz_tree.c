/* fuzz_tree.c - a folder's listing; behind an 'r' that of a context.
 *
 * covers: common/tree.c */
#include <string.h>

#include "common/tree.h"
#include "fuzz.h"

/* What a checkout relies on. */
static void check_entry (const tree_entry_t *entry, bool is_root)
{
    bool is_dot = entry->name_size == 1 && entry->name [0] == '.';
    MUST (entry->name_size > 0 && entry->name_size <= TREE_NAME_MAX && is_dot == is_root);
    MUST (!memchr (entry->name, '/', entry->name_size) && !memchr (entry->name, 0, entry->name_size));
    MUST (entry->name_size != 2 || memcmp (entry->name, "..", 2) != 0);
    MUST (entry->mode <= 07777 && entry->mtime_ns < 1000000000);
    MUST (entry->kind != TREE_LINK || (entry->target_size > 0 && !memchr (entry->target, 0, entry->target_size)));
    MUST (entry->kind == TREE_LINK || entry->content.size_bytes <= INT64_MAX);
}

/* Strictly ascending: no name stands twice. */
static bool is_behind (const tree_entry_t *entry, const tree_entry_t *last)
{
    size_t least = entry->name_size < last->name_size ? entry->name_size : last->name_size;
    int order = memcmp (last->name, entry->name, least);
    return order < 0 || (order == 0 && last->name_size < entry->name_size);
}

/* There is one encoding: what is read is written as it was. */
FUZZ_TARGET (tree)
{
    if (size == 0)
        return;
    int rc;
    err_t err = { 0 };
    tree_reader_t reader;
    tree_entry_t entry, last = { .name = "" };
    AUTO_BUFFER buffer_t again = { 0 };
    bool is_root = data [0] == 'r';
    data++;
    size--;
    tree_reader_init (&reader, data, size, is_root);
    while ((rc = tree_read_entry (&reader, &entry, &err)) == 1) {
        check_entry (&entry, is_root);
        MUST (is_behind (&entry, &last));
        last = entry;
        tree_write_entry (&again, &entry);
        MUST (again.size == reader.at && memcmp (again.data, data, again.size) == 0);
    }
    MUST (rc == 0 ? again.size == size : err.code == ERR_PROTOCOL);
}
