/* unpack.c - see unpack.h. */
#include "coordinator/unpack.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "common/mem.h"

enum { INPUT_SIZE = 64 * 1024, GZIP_WINDOW = 15 + 16, WINDOW_LOG_MAX = 27, GROWTH_MAX = 200 };
static const int64_t growth_free = 1LL << 30;       /* zeros of a disk image pack a thousandfold; nobody's fault, up to here */

struct unpack {
    packing_t packing;
    unpack_read_fn *read;
    void *argument;
    z_stream gzip;
    ZSTD_DCtx *zstd;
    uint8_t input [INPUT_SIZE];
    size_t input_at, input_size;
    bool has_ended;                     /* the packed bytes */
    bool is_inside;                     /* a member or frame has begun and not ended */
    int64_t packed, unpacked;
};

unpack_t *unpack_new (packing_t packing, unpack_read_fn *read, void *argument)
{
    unpack_t *self = mem_alloc (sizeof *self);
    self->packing = packing;
    self->read = read;
    self->argument = argument;
    if (packing == PACKED_GZIP && inflateInit2 (&self->gzip, GZIP_WINDOW) != Z_OK)
        mem_exhausted ();
    if (packing == PACKED_ZSTD) {
        self->zstd = ZSTD_createDCtx ();
        if (!self->zstd)
            mem_exhausted ();
        ZSTD_DCtx_setParameter (self->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    }
    return self;
}

void unpack_destroy (unpack_t **self_p)
{
    unpack_t *self = *self_p;
    if (!self)
        return;
    if (self->packing == PACKED_GZIP)
        inflateEnd (&self->gzip);
    ZSTD_freeDCtx (self->zstd);
    free (self);
    *self_p = NULL;
}

/* 1: there are packed bytes; 0: there are no more. */
static int fill (unpack_t *self, err_t *err)
{
    if (self->input_at < self->input_size)
        return 1;
    if (self->has_ended)
        return 0;
    ssize_t size = self->read (self->argument, self->input, sizeof self->input, err);
    if (size < 0)
        return -1;
    self->input_at = 0;
    self->input_size = (size_t) size;
    self->packed += size;
    self->has_ended = size == 0;
    return size > 0;
}

/* What one step has unpacked; what it took is counted. */
static ssize_t step_gzip (unpack_t *self, void *data, size_t size, err_t *err)
{
    if (!self->is_inside && inflateReset (&self->gzip) != Z_OK)
        return err_set (err, ERR_VERIFY, "gzip: the next member cannot be begun");
    self->is_inside = true;
    self->gzip.next_in = self->input + self->input_at;
    self->gzip.avail_in = (uInt) (self->input_size - self->input_at);
    self->gzip.next_out = data;
    self->gzip.avail_out = (uInt) size;
    int rc = inflate (&self->gzip, Z_NO_FLUSH);
    self->input_at = self->input_size - self->gzip.avail_in;
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
        return err_set (err, ERR_VERIFY, "it is no gzip: %s", self->gzip.msg ? self->gzip.msg : "it is damaged");
    self->is_inside = rc != Z_STREAM_END;
    return (ssize_t) (size - self->gzip.avail_out);
}

static ssize_t step_zstd (unpack_t *self, void *data, size_t size, err_t *err)
{
    ZSTD_inBuffer in = { self->input, self->input_size, self->input_at };
    ZSTD_outBuffer out = { data, size, 0 };
    size_t rc = ZSTD_decompressStream (self->zstd, &out, &in);
    self->input_at = in.pos;
    if (ZSTD_isError (rc))
        return err_set (err, ERR_VERIFY, "it is no zstd: %s", ZSTD_getErrorName (rc));
    self->is_inside = rc != 0;
    return (ssize_t) out.pos;
}

/* A step with no new input may still have something to give. */
static ssize_t step (unpack_t *self, void *data, size_t size, err_t *err)
{
    return self->packing == PACKED_GZIP ? step_gzip (self, data, size, err) : step_zstd (self, data, size, err);
}

static ssize_t unpack_some (unpack_t *self, void *data, size_t size, err_t *err)
{
    for (;;) {
        int more = fill (self, err);
        if (more < 0)
            return -1;
        if (!more && !self->is_inside)
            return 0;
        ssize_t got = step (self, data, size, err);
        if (got != 0)
            return got;
        if (!more)
            return err_set (err, ERR_VERIFY, "it breaks off");
    }
}

static ssize_t copy_some (unpack_t *self, void *data, size_t size, err_t *err)
{
    if (self->has_ended)
        return 0;
    ssize_t got = self->read (self->argument, data, size, err);
    self->has_ended = got == 0;
    self->packed += got > 0 ? got : 0;
    return got;
}

ssize_t unpack_read (unpack_t *self, void *data, size_t size, err_t *err)
{
    ssize_t got = self->packing == PACKED_NOT ? copy_some (self, data, size, err) : unpack_some (self, data, size, err);
    if (got <= 0)
        return got;
    self->unpacked += got;
    if (self->unpacked > growth_free && self->unpacked / GROWTH_MAX > self->packed)
        return err_set (err, ERR_VERIFY, "it grows from %lld bytes to more than %lld when it is unpacked", (long long) self->packed,
                        (long long) self->unpacked);
    return got;
}
