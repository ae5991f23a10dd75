/* scan_private.h - what scan.c, scan_objects.c and stream.c share. */
#ifndef FARM_SCAN_PRIVATE_H
#define FARM_SCAN_PRIVATE_H

#include "common/scan.h"
#include "common/stat_cache.h"
#include "common/walk.h"

struct scan {
    walk_t *walk;
    stat_cache_t *cache;        /* NULL for none */
    digest_t root;
    uint64_t files, bytes;
    bool has_streamed;
    bool has_time;              /* all nodes get mtime_s */
    int64_t mtime_s;
};

/* The bytes of a folder's listing, and of the root; replaces out. */
void scan_write_listing (const scan_t *self, size_t folder, buffer_t *out);
void scan_write_root (const scan_t *self, buffer_t *out);

#endif
