/* lists.h - the lists over the chunks of long content (docs/objects.md): made anew from the chunks whenever they are needed. */
#ifndef FARM_LISTS_H
#define FARM_LISTS_H

#include "common/walk.h"

/* Level and digest of the node's content, whose chunks and size are there: level 0 is a chunk, and the one list of the highest
 * level is the top. */
void lists_close (node_t *node);

/* How many objects the node has of a level. */
size_t lists_count (const node_t *node, int level);

/* Which objects of the level below the index-th list of a level names: from on, to excluded. */
void lists_span (const node_t *node, int level, size_t index, size_t *from, size_t *to);

/* Append the bytes of the index-th list of a level (1 and up). */
void lists_write (const node_t *node, int level, size_t index, buffer_t *out);

/* Size and digest of the index-th object of a level. */
list_item_t lists_item (const node_t *node, int level, size_t index);

#endif
