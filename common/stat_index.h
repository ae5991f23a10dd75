/* stat_index.h - what a stat cache file holds: the files of a context as they were when they were last read, in bytes.
 *
 *     head     "farmstat" version (4) time (8) time ns (4) key (32) root (32) nodes (4)
 *     node     kind (1) name size (1) name
 *       'd'    first (4) count (4) digest of its listing (32)
 *       'f'    mode (2) mtime (8, 4) ctime (8, 4) size (8) inode (8) device (8) chunks (4)
 *              digest (32) where there are no chunks; else of each chunk: size (4) digest (32)
 *     tail     BLAKE2b-256 of all before
 *
 * Nodes stand in the order of a walk (walk.h), integers are big-endian. The time is when the scan began, the key says of
 * which context it is. */
#ifndef FARM_STAT_INDEX_H
#define FARM_STAT_INDEX_H

#include <time.h>

#include "common/walk.h"

enum { STAT_INDEX_MAX = 256 * 1024 * 1024 };

typedef struct {
    tree_kind kind;
    uint8_t name_size;
    uint16_t mode;
    const char *name;               /* not NUL-terminated; into the bytes, as content is */
    uint32_t first, count;          /* of a folder */
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint32_t chunk_count;
    stamp_t stamp;
    const uint8_t *content;         /* its digest, or of a long file size and digest of each chunk */
} stat_node_t;

typedef struct {
    struct timespec began;
    digest_t root;
    stat_node_t *nodes;
    size_t count;
} stat_index_t;

/* Read bytes, which must outlive the index; node 0 is the context's folder, and children stand behind their parents. -1 for
 * bytes that are damaged, of another version, or of another context than key says. */
int stat_index_read (stat_index_t *self, const digest_t *key, const void *bytes, size_t size);
void stat_index_free (stat_index_t *self);

/* The chunk of a node that is a long file. */
list_item_t stat_node_chunk (const stat_node_t *self, size_t index);

/* The bytes for a walk whose files and folders have their content. false when they would be more than STAT_INDEX_MAX. */
bool stat_index_write (buffer_t *out, const digest_t *key, const struct timespec *began, const digest_t *root,
                       const walk_t *walk);

#endif
