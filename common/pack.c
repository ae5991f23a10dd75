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

int pack_next (pack_reader_t *self, object_kind *kind, digest_t *digest, size_t *size, err_t *err)
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
    if (!(head [1] & FLAG_ZSTD) && stored != raw_size)
        return refuse (err, self, "an object stored as it is has two sizes");
    if ((head [1] & FLAG_ZSTD) && stored >= raw_size)
        return refuse (err, self, "an object did not get smaller by compression");
    self->zip = (zip_t) { head + PACK_RECORD_HEAD, stored, (head [1] & FLAG_ZSTD) != 0 };
    *kind = (object_kind) head [0];
    memcpy (digest->bytes, head + 10, DIGEST_SIZE);
    *size = raw_size;
    self->record = self->at;
    self->at += PACK_RECORD_HEAD + stored;
    return 1;
}

int pack_expand (pack_reader_t *self, size_t size, const uint8_t **data, err_t *err)
{
    *data = self->zip.data;
    if (!self->zip.is_zstd)
        return 0;
    if (zip_expand (&self->raw, size, self->zip.data, self->zip.size, err) < 0)
        return err_wrap (err, "a pack, byte %zu", self->record);
    *data = self->raw.data;
    return 0;
}

int pack_read (pack_reader_t *self, object_kind *kind, digest_t *digest, const uint8_t **data, size_t *size, err_t *err)
{
    int rc = pack_next (self, kind, digest, size, err);
    return rc == 1 && pack_expand (self, *size, data, err) < 0 ? -1 : rc;
}
