/* lists.c - a list names 7,281 objects of the level below it, so which ones is reckoned from its place. */
#include "common/lists.h"

enum { LIST_ITEMS_MAX = 7281 };

size_t lists_count (const node_t *node, int level)
{
    size_t count = node->chunk_count;
    for (int i = 0; i < level; i++)
        count = (count + LIST_ITEMS_MAX - 1) / LIST_ITEMS_MAX;
    return count;
}

void lists_span (const node_t *node, int level, size_t index, size_t *from, size_t *to)
{
    size_t count = lists_count (node, level - 1);
    *from = index * LIST_ITEMS_MAX;
    *to = count - *from < LIST_ITEMS_MAX ? count : *from + LIST_ITEMS_MAX;
}

void lists_write (const node_t *node, int level, size_t index, buffer_t *out)
{
    size_t from, to;
    lists_span (node, level, index, &from, &to);
    for (size_t i = from; i < to; i++) {
        list_item_t item = lists_item (node, level - 1, i);
        list_write_item (out, &item);
    }
}

list_item_t lists_item (const node_t *node, int level, size_t index)
{
    AUTO_BUFFER buffer_t list = { 0 };
    if (level == 0)
        return node->chunks [index];
    lists_write (node, level, index, &list);
    return (list_item_t) { (uint32_t) list.size, digest_of (list.data, list.size) };
}

void lists_close (node_t *node)
{
    node->content.level = 1;
    while (lists_count (node, node->content.level) > 1)
        node->content.level++;
    node->content.digest = lists_item (node, node->content.level, 0).digest;
}
