/* pack.c - writes and reads packs. A pack that arrives is a peer's bytes: each size is compared with what is left and
 * with the largest object before anything is reserved for it. */
#include "common/pack.h"

#include <string.h>

#include "common/msg.h"
#include "common/zip.h"

enum { FLAG_ZSTD = 1 };

static void put_u32 (uint8_t *out, size_t value)
{
    for (int i = 0; i < 4; i++)
        out [i] = (uint8_t) (value >> (24 - 8 * i));
}

static size_t get_u32 (const uint8_t *in)
{
    return (size_t) in [0] << 24 | (size_t) in [1] << 16 | (size_t) in [2] << 8 | in [3];
}

bool pack_add_zip (buffer_t *body, object_kind kind, const digest_t *digest, size_t raw_size, const zip_t *zip)
{
    if (raw_size > OBJECT_MAX || zip->size > OBJECT_MAX || body->size + PACK_RECORD_HEAD + zip->size > MSG_BODY_MAX)
        return false;
    uint8_t head [PACK_RECORD_HEAD] = { (uint8_t) kind, zip->is_zstd ? FLAG_ZSTD : 0 };
    put_u32 (head + 2, raw_size);
    put_u32 (head + 6, zip->size);
    memcpy (head + 10, digest->bytes, DIGEST_SIZE);
    buffer_append (body, head, sizeof head);
    buffer_append (body, zip->data, zip->size);
    return true;
}

bool pack_add (buffer_t *body, object_kind kind, const digest_t *digest, const void *data, size_t size)
{
    AUTO_BUFFER buffer_t packed = { 0 };
    zip_t zip = zip_best (&packed, data, size);
    return pack_add_zip (body, kind, digest, size, &zip);
}

void pack_reader_init (pack_reader_t *self, const void *body, size_t size)
{
    *self = (pack_reader_t) { .data = body, .size = size };
}

void pack_reader_free (pack_reader_t *self)
{
    buffer_free (&self->raw);
}

static int refuse (err_t *err, const pack_reader_t *self, const char *why)
{
    return err_set (err, ERR_PROTOCOL, "a pack, byte %zu: %s", self->at, why);
}

static int read_bytes (pack_reader_t *self, bool is_zstd, size_t raw_size, size_t stored, const uint8_t **data, err_t *err)
{
    const uint8_t *bytes = self->data + self->at + PACK_RECORD_HEAD;
    self->zip = (zip_t) { bytes, stored, is_zstd };
    if (!is_zstd) {
        if (stored != raw_size)
            return refuse (err, self, "an object stored as it is has two sizes");
        *data = bytes;
        return 0;
    }
    if (stored >= raw_size)
        return refuse (err, self, "an object did not get smaller by compression");
    if (zip_expand (&self->raw, raw_size, bytes, stored, err) < 0)
        return err_wrap (err, "a pack, byte %zu", self->at);
    *data = self->raw.data;
    return 0;
}

int pack_read (pack_reader_t *self, object_kind *kind, digest_t *digest, const uint8_t **data, size_t *size, err_t *err)
{
    if (self->at == self->size)
        return 0;
    if (self->size > MSG_BODY_MAX || self->size - self->at < PACK_RECORD_HEAD)
        return refuse (err, self, "it ends in the middle of a record's head");
    const uint8_t *head = self->data + self->at;
    size_t raw_size = get_u32 (head + 2), stored = get_u32 (head + 6);
    if (head [0] > OBJECT_FOLDER || head [1] > FLAG_ZSTD)
        return refuse (err, self, "a record of unknown kind or flags");
    if (raw_size > OBJECT_MAX)
        return refuse (err, self, "an object is larger than 256 KiB");
    if (stored > self->size - self->at - PACK_RECORD_HEAD)
        return refuse (err, self, "it ends in the middle of an object");
    if (read_bytes (self, head [1] & FLAG_ZSTD, raw_size, stored, data, err) < 0)
        return -1;
    *kind = (object_kind) head [0];
    memcpy (digest->bytes, head + 10, DIGEST_SIZE);
    *size = raw_size;
    self->at += PACK_RECORD_HEAD + stored;
    return 1;
}
