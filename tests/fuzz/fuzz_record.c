/* fuzz_record.c - what a checkout left on disk, without the id of the boot (all blocks, tail and its size follow) and the digest at
 * its end: the target adds them.
 *
 * covers: worker/record.c common/stamp.c */
#include <string.h>

#include "common/file.h"
#include "fuzz.h"
#include "worker/record.h"

enum { DEPTH_MAX = 4, BLOCKS_MAX = 256 };

static void make_bytes (buffer_t *out, const uint8_t *data, size_t size)
{
    static const uint8_t version [4] = { 0, 0, 0, 1 };
    AUTO_BUFFER buffer_t boot = { 0 };
    MUST (file_read ("/proc/sys/kernel/random/boot_id", 64, &boot, NULL) == 0 && boot.size >= 36);
    buffer_text (out, "farmtree");
    buffer_append (out, version, sizeof version);
    buffer_append (out, boot.data, 36);
    buffer_append (out, data, size);
    digest_t digest = digest_of (out->data, out->size);
    buffer_append (out, digest.bytes, DIGEST_SIZE);
}

/* As a checkout that changes a tree into another goes through it. */
static void read_block (const record_t *record, uint64_t offset, int depth, int *blocks)
{
    static const struct stat nothing;
    tree_reader_t reader;
    tree_entry_t entry;
    record_block_t block = { .count = 0 };
    if (depth > DEPTH_MAX || ++*blocks > BLOCKS_MAX || record_read (record, offset, &block, NULL) < 0) {
        record_block_free (&block);
        return;
    }
    tree_reader_init (&reader, block.bytes.data, block.listing_size, depth == 0);
    for (size_t i = 0; tree_read_entry (&reader, &entry, NULL) == 1; i++) {
        record_slot_t slot = record_slot (&block, i);
        record_matches (record, &entry, &slot, &nothing);
        if (entry.kind == TREE_FOLDER)
            read_block (record, slot.block, depth + 1, blocks);
    }
    record_block_free (&block);
}

FUZZ_TARGET (record)
{
    int blocks = 0;
    err_t err = { 0 };
    AUTO_BUFFER buffer_t bytes = { 0 };
    AUTO_FREE char *path = file_join (fuzz_folder (), "record");
    record_t *record;
    make_bytes (&bytes, data, size);
    MUST (file_write_scratch (path, bytes.data, bytes.size, 0600, &err) == 0);
    if (record_open (&record, path, &err) < 0) {
        MUST (err.code == ERR_FARM);
        return;
    }
    const record_facts_t *facts = record_facts (record);
    MUST (strlen (facts->repository) < sizeof facts->repository);
    read_block (record, facts->block, 0, &blocks);
    record_destroy (&record);
}
