/* record.h - what a checkout left on disk: of each folder its listing, and of each entry what tells later whether it was
 * touched since. Names, modes, times, sizes and digests stand in the listing as the context has them (tree.h).
 *
 *     head     "farmtree" version (4) id of the boot (36)
 *     block    listing size (4) entries (4) listing, of each entry: inode (8) ctime (8, 4) offset of its block (8)
 *     tail     offset of the root's block (8) device (8) sealed (8, 4) content of the root: size (8) level (1) digest (32)
 *              bytes of all files on disk (8) repository size (2) repository
 *     end      size of the tail (4) BLAKE2b-256 of all before (32)
 *
 * A folder's block stands before that of the folder above it, so it is written once and never looked at again; memory holds
 * the folders that are being worked on. Not synced, so it is of one boot: after a power cut a file's bytes may be others than
 * its times say. */
#ifndef FARM_RECORD_H
#define FARM_RECORD_H

#include <time.h>

#include "common/reference.h"
#include "common/stamp.h"
#include "common/tree.h"

/* Of an entry: inode and ctime of a file or link, the block of a folder. */
typedef struct {
    uint64_t inode, block;
    int64_t ctime_s;
    uint32_t ctime_ns;
} record_slot_t;

typedef struct {
    content_t root;                 /* the listing of the context's folder */
    uint64_t block;                 /* of it */
    uint64_t device;
    struct timespec sealed;         /* by the clock that stamps files: all that was written has an earlier change time */
    uint64_t disk_bytes;            /* about, of its files */
    char repository [REFERENCE_HOST_MAX + REFERENCE_PATH_MAX];       /* whose context this is: HOST/PATH */
} record_facts_t;

/* -- writing ---------------------------------------------------------------------------------------------------- */

typedef struct record_writer record_writer_t;

/* Under a name beside path, which appears with record_end. One thread at a time. */
int record_new (record_writer_t **out, const char *path, err_t *err);
/* Add a folder: as many slots as the listing has entries. *block is its offset. */
int record_add (record_writer_t *self, const void *listing, size_t size, const record_slot_t *slots, size_t count,
                uint64_t *block, err_t *err);
int record_end (record_writer_t **self, const record_facts_t *facts, err_t *err);
/* Without an end nothing is left. */
void record_writer_destroy (record_writer_t **self);

/* -- reading ---------------------------------------------------------------------------------------------------- */

typedef struct record record_t;

/* Read and check all of it; ERR_FARM when it is damaged, of another version or another boot. */
int record_open (record_t **out, const char *path, err_t *err);
void record_destroy (record_t **self);
const record_facts_t *record_facts (const record_t *self);

typedef struct {
    buffer_t bytes;                 /* listing and slots */
    size_t listing_size, count;
} record_block_t;

/* {0} is an empty one. May be called by several threads. */
int record_read (const record_t *self, uint64_t block, record_block_t *out, err_t *err);
record_slot_t record_slot (const record_block_t *self, size_t index);
void record_block_free (record_block_t *self);

/* Is the entry on disk as it was when the record was made? */
bool record_matches (const record_t *self, const tree_entry_t *entry, const record_slot_t *slot, const struct stat *now);

#endif
