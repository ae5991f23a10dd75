/* pack.h - many objects in one message body.
 *
 * record = kind (1) flags (1: bit 0 = zstd) raw size (4) stored size (4) digest (32) bytes; integers big-endian.
 * The body holds records one behind the other and nothing else; at most MSG_BODY_MAX bytes. */
#ifndef FARM_PACK_H
#define FARM_PACK_H

#include <stdbool.h>

#include "common/tree.h"
#include "common/zip.h"

enum { PACK_RECORD_HEAD = 42 };

/* Append an object, compressed where that is worth it (decided cheaply: a sample first for large ones).
 * Returns false and leaves the body as it is when the record does not fit any more. */
bool pack_add (buffer_t *body, object_kind kind, const digest_t *digest, const void *data, size_t size);

/* The same for one that is already as it is to travel: raw_size bytes when expanded. */
bool pack_add_zip (buffer_t *body, object_kind kind, const digest_t *digest, size_t raw_size, const zip_t *zip);

typedef struct {
    const uint8_t *data;
    size_t size, at, record;        /* record: where the current one began */
    buffer_t raw;                   /* what the current record was decompressed to */
    zip_t zip;                      /* the current record as it came; borrowed as its data is */
} pack_reader_t;

void pack_reader_init (pack_reader_t *self, const void *body, size_t size);
void pack_reader_free (pack_reader_t *self);
/* 1 and the next object (data borrowed until the next call; raw, at most OBJECT_MAX bytes; digest not yet compared);
 * 0 at the end; -1 with ERR_PROTOCOL. Decompression stops at the raw size that the record names. */
int pack_read (pack_reader_t *self, object_kind *kind, digest_t *digest, const uint8_t **data, size_t *size, err_t *err);

/* The same in two steps, where not every object has to be expanded: size is what it will be then. */
int pack_next (pack_reader_t *self, object_kind *kind, digest_t *digest, size_t *size, err_t *err);
int pack_expand (pack_reader_t *self, size_t size, const uint8_t **data, err_t *err);

#endif
