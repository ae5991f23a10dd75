/* fuzz_stat_index.c - the file of a stat cache, without the digest at its end, which the target adds; its key is all zeros.
 *
 * covers: common/stat_index.c */
#include <stdlib.h>
#include <string.h>

#include "common/stat_index.h"
#include "fuzz.h"

static void check_node (const stat_index_t *index, size_t at)
{
    const stat_node_t *node = &index->nodes [at];
    if (node->kind == TREE_FOLDER && node->count > 0)
        MUST (node->first > at && node->first <= index->count && node->count <= index->count - node->first);
    for (size_t i = 0; i < node->chunk_count; i++)
        stat_node_chunk (node, i);
}

/* The node of a walk that gives the same bytes. */
static void set_node (node_t *out, const stat_node_t *node)
{
    *out = (node_t) { .kind = (uint8_t) node->kind, .name = mem_strndup (node->name, node->name_size), .first = node->first,
                      .count = node->count, .mode = node->mode, .mtime_s = node->mtime_s, .mtime_ns = node->mtime_ns,
                      .stamp = node->stamp, .chunk_count = node->chunk_count };
    if (node->kind == TREE_FOLDER || (node->kind == TREE_FILE && !node->chunk_count))
        memcpy (out->content.digest.bytes, node->content, DIGEST_SIZE);
    out->chunks = mem_alloc (node->chunk_count * sizeof *out->chunks + 1);
    for (size_t i = 0; i < node->chunk_count; i++)
        out->chunks [i] = stat_node_chunk (node, i);
}

static bool has_nul (const stat_index_t *index)
{
    for (size_t i = 0; i < index->count; i++)
        if (memchr (index->nodes [i].name, 0, index->nodes [i].name_size))
            return true;
    return false;
}

/* There is one encoding, of names without NUL: others are compared with those of a walk and never match. */
static void check_encoding (const stat_index_t *index, const digest_t *key, const buffer_t *bytes)
{
    AUTO_BUFFER buffer_t again = { 0 };
    AUTO_FREE node_t *nodes = mem_alloc (index->count * sizeof *nodes);
    walk_t walk = { .nodes = nodes, .count = index->count };
    for (size_t i = 0; i < index->count; i++)
        set_node (&nodes [i], &index->nodes [i]);
    MUST (stat_index_write (&again, key, &index->began, &index->root, &walk));
    MUST (has_nul (index) || (again.size == bytes->size && memcmp (again.data, bytes->data, again.size) == 0));
    for (size_t i = 0; i < index->count; i++) {
        free ((char *) nodes [i].name);
        free (nodes [i].chunks);
    }
}

FUZZ_TARGET (stat_index)
{
    static const digest_t key;
    stat_index_t index;
    AUTO_BUFFER buffer_t bytes = { 0 };
    digest_t digest = digest_of (data, size);
    buffer_append (&bytes, data, size);
    buffer_append (&bytes, digest.bytes, DIGEST_SIZE);
    if (stat_index_read (&index, &key, bytes.data, bytes.size) < 0)
        return;
    for (size_t i = 0; i < index.count; i++)
        check_node (&index, i);
    check_encoding (&index, &key, &bytes);
    stat_index_free (&index);
}
