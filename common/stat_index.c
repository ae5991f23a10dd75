/* stat_index.c - reads and writes the bytes of a stat cache. They come from this user's own disk, but a disk errs, and a
 * wrong digest would be built: they are checked as a peer's bytes are. */
#include "common/stat_index.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum { INDEX_VERSION = 1, MAGIC_SIZE = 8, HEAD_SIZE = MAGIC_SIZE + 4 + 8 + 4 + 2 * DIGEST_SIZE + 4, CHUNK_SIZE = 4 + DIGEST_SIZE };

static const char magic [MAGIC_SIZE] = { 'f', 'a', 'r', 'm', 's', 't', 'a', 't' };

/* -- reading ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *data;
    size_t size, at;
    bool is_short;              /* more was asked for than there is: what was read is zero */
} reader_t;

static const uint8_t *next (reader_t *self, size_t size)
{
    static const uint8_t nothing [DIGEST_SIZE];
    if (self->is_short || size > self->size - self->at) {
        self->is_short = true;
        return nothing;
    }
    self->at += size;
    return self->data + self->at - size;
}

static uint16_t next_u16 (reader_t *self)
{
    const uint8_t *in = next (self, 2);
    return (uint16_t) (in [0] << 8 | in [1]);
}

static uint32_t next_u32 (reader_t *self)
{
    uint32_t value;
    memcpy (&value, next (self, sizeof value), sizeof value);
    return be32toh (value);
}

static uint64_t next_u64 (reader_t *self)
{
    uint64_t value;
    memcpy (&value, next (self, sizeof value), sizeof value);
    return be64toh (value);
}

static bool read_file (reader_t *reader, stat_node_t *node)
{
    node->mode = next_u16 (reader);
    node->mtime_s = (int64_t) next_u64 (reader);
    node->mtime_ns = next_u32 (reader);
    node->stamp.ctime_s = (int64_t) next_u64 (reader);
    node->stamp.ctime_ns = next_u32 (reader);
    node->stamp.size_bytes = next_u64 (reader);
    node->stamp.inode = next_u64 (reader);
    node->stamp.device = next_u64 (reader);
    node->chunk_count = next_u32 (reader);
    size_t left = reader->size - reader->at;
    if (node->chunk_count > left / CHUNK_SIZE || (node->chunk_count > 0) != (node->stamp.size_bytes > OBJECT_MAX))
        return false;
    size_t size = node->chunk_count ? node->chunk_count * CHUNK_SIZE : DIGEST_SIZE;
    if (size > left)
        return false;
    node->content = next (reader, size);
    return true;
}

static bool read_node (reader_t *reader, size_t index, size_t count, stat_node_t *node)
{
    *node = (stat_node_t) { .kind = *next (reader, 1) };
    node->name_size = *next (reader, 1);
    if (node->name_size > reader->size - reader->at)
        return false;
    node->name = (const char *) next (reader, node->name_size);
    if (node->kind == TREE_FOLDER) {
        node->first = next_u32 (reader);
        node->count = next_u32 (reader);
        node->content = next (reader, DIGEST_SIZE);
        return node->count == 0 || (node->first > index && node->first <= count && node->count <= count - node->first);
    }
    return node->kind == TREE_LINK || (node->kind == TREE_FILE && read_file (reader, node));
}

static bool read_nodes (stat_index_t *self, reader_t *reader, size_t count)
{
    if (count == 0 || count > (reader->size - reader->at) / 2)      /* a node has two bytes at least */
        return false;
    self->nodes = mem_alloc (count * sizeof *self->nodes);
    self->count = count;
    for (size_t i = 0; i < count; i++)
        if (!read_node (reader, i, count, &self->nodes [i]))
            return false;
    return !reader->is_short && reader->at == reader->size && self->nodes [0].kind == TREE_FOLDER;
}

static bool is_whole (const uint8_t *bytes, size_t size)
{
    if (size < HEAD_SIZE + DIGEST_SIZE || memcmp (bytes, magic, MAGIC_SIZE) != 0)
        return false;
    digest_t digest = digest_of (bytes, size - DIGEST_SIZE);
    return memcmp (digest.bytes, bytes + size - DIGEST_SIZE, DIGEST_SIZE) == 0;
}

int stat_index_read (stat_index_t *self, const digest_t *key, const void *bytes, size_t size)
{
    *self = (stat_index_t) { .count = 0 };
    if (!is_whole (bytes, size))
        return -1;
    reader_t reader = { .data = bytes, .size = size - DIGEST_SIZE, .at = MAGIC_SIZE };
    bool is_right = next_u32 (&reader) == INDEX_VERSION;
    self->began.tv_sec = (time_t) next_u64 (&reader);
    self->began.tv_nsec = (long) next_u32 (&reader);
    is_right = memcmp (next (&reader, DIGEST_SIZE), key->bytes, DIGEST_SIZE) == 0 && is_right;
    memcpy (self->root.bytes, next (&reader, DIGEST_SIZE), DIGEST_SIZE);
    if (is_right && read_nodes (self, &reader, next_u32 (&reader)))
        return 0;
    stat_index_free (self);
    return -1;
}

void stat_index_free (stat_index_t *self)
{
    free (self->nodes);
    *self = (stat_index_t) { .count = 0 };
}

list_item_t stat_node_chunk (const stat_node_t *self, size_t index)
{
    reader_t reader = { .data = self->content, .size = self->chunk_count * CHUNK_SIZE, .at = index * CHUNK_SIZE };
    list_item_t item = { .size_bytes = next_u32 (&reader) };
    memcpy (item.digest.bytes, next (&reader, DIGEST_SIZE), DIGEST_SIZE);
    return item;
}

/* -- writing ---------------------------------------------------------------------------------------------------- */

static void put_u16 (buffer_t *out, uint16_t value)
{
    uint8_t bytes [2] = { (uint8_t) (value >> 8), (uint8_t) value };
    buffer_append (out, bytes, sizeof bytes);
}

static void put_u32 (buffer_t *out, uint32_t value)
{
    value = htobe32 (value);
    buffer_append (out, &value, sizeof value);
}

static void put_u64 (buffer_t *out, uint64_t value)
{
    value = htobe64 (value);
    buffer_append (out, &value, sizeof value);
}

static void write_file (buffer_t *out, const node_t *node)
{
    put_u16 (out, node->mode);
    put_u64 (out, (uint64_t) node->mtime_s);
    put_u32 (out, node->mtime_ns);
    put_u64 (out, (uint64_t) node->stamp.ctime_s);
    put_u32 (out, node->stamp.ctime_ns);
    put_u64 (out, node->stamp.size_bytes);
    put_u64 (out, node->stamp.inode);
    put_u64 (out, node->stamp.device);
    put_u32 (out, (uint32_t) node->chunk_count);
    if (node->chunk_count == 0)
        buffer_append (out, node->content.digest.bytes, DIGEST_SIZE);
    for (size_t i = 0; i < node->chunk_count; i++) {
        put_u32 (out, node->chunks [i].size_bytes);
        buffer_append (out, node->chunks [i].digest.bytes, DIGEST_SIZE);
    }
}

static void write_node (buffer_t *out, const node_t *node)
{
    size_t name_size = strlen (node->name);
    uint8_t head [2] = { (uint8_t) node->kind, (uint8_t) name_size };
    buffer_append (out, head, sizeof head);
    buffer_append (out, node->name, name_size);
    if (node->kind == TREE_FOLDER) {
        put_u32 (out, node->first);
        put_u32 (out, node->count);
        buffer_append (out, node->content.digest.bytes, DIGEST_SIZE);
    }
    if (node->kind == TREE_FILE)
        write_file (out, node);
}

bool stat_index_write (buffer_t *out, const digest_t *key, const struct timespec *began, const digest_t *root,
                       const walk_t *walk)
{
    buffer_append (out, magic, MAGIC_SIZE);
    put_u32 (out, INDEX_VERSION);
    put_u64 (out, (uint64_t) began->tv_sec);
    put_u32 (out, (uint32_t) began->tv_nsec);
    buffer_append (out, key->bytes, DIGEST_SIZE);
    buffer_append (out, root->bytes, DIGEST_SIZE);
    put_u32 (out, (uint32_t) walk->count);
    for (size_t i = 0; i < walk->count; i++) {
        write_node (out, &walk->nodes [i]);
        if (out->size > STAT_INDEX_MAX - DIGEST_SIZE)
            return false;
    }
    digest_t digest = digest_of (out->data, out->size);
    buffer_append (out, digest.bytes, DIGEST_SIZE);
    return true;
}
