/* zip.c - zstd at its fastest level, with one context of each kind per thread: making one costs more than using it. */
#include "common/zip.h"

#include <pthread.h>
#include <stdlib.h>
#include <zstd.h>

enum { LEVEL = 1, SAMPLE_SIZE = 4096, SAMPLE_FROM = 16 * 1024, TOO_SHORT = 64 };

typedef struct {
    ZSTD_CCtx *compress;
    ZSTD_DCtx *expand;
} contexts_t;

static pthread_key_t contexts_key;
static pthread_once_t contexts_once = PTHREAD_ONCE_INIT;

static void free_contexts (void *memory)
{
    contexts_t *self = memory;
    ZSTD_freeCCtx (self->compress);
    ZSTD_freeDCtx (self->expand);
    free (self);
}

static void make_key (void)
{
    if (pthread_key_create (&contexts_key, free_contexts) != 0)
        abort ();
}

static contexts_t *contexts (void)
{
    pthread_once (&contexts_once, make_key);
    contexts_t *self = pthread_getspecific (contexts_key);
    if (self)
        return self;
    self = mem_alloc (sizeof *self);
    self->compress = ZSTD_createCCtx ();
    self->expand = ZSTD_createDCtx ();
    if (!self->compress || !self->expand || pthread_setspecific (contexts_key, self) != 0)
        abort ();
    return self;
}

static bool saves_enough (size_t packed, size_t size)
{
    return !ZSTD_isError (packed) && packed <= size - size / 16 && packed < size;
}

/* What is compressed already (images, archives) shows it in any 4 KiB. */
static bool sample_says_yes (const uint8_t *data, size_t size)
{
    uint8_t packed [SAMPLE_SIZE + 512];
    size_t result = ZSTD_compressCCtx (contexts ()->compress, packed, sizeof packed,
                                       data + (size - SAMPLE_SIZE) / 2, SAMPLE_SIZE, LEVEL);
    return saves_enough (result, SAMPLE_SIZE);
}

bool zip_compress (buffer_t *out, const void *data, size_t size)
{
    if (size < TOO_SHORT || (size > SAMPLE_FROM && !sample_says_yes (data, size)))
        return false;
    size_t bound = ZSTD_compressBound (size);
    buffer_clear (out);
    buffer_reserve (out, bound);
    size_t packed = ZSTD_compressCCtx (contexts ()->compress, out->data, bound, data, size, LEVEL);
    if (!saves_enough (packed, size))
        return false;
    out->size = packed;
    return true;
}

int zip_expand (buffer_t *out, size_t raw_size, const void *data, size_t size, err_t *err)
{
    buffer_clear (out);
    buffer_reserve (out, raw_size + 1);
    size_t got = ZSTD_decompressDCtx (contexts ()->expand, out->data, raw_size, data, size);
    if (ZSTD_isError (got))
        return err_set (err, ERR_PROTOCOL, "expand to %zu bytes: %s", raw_size, ZSTD_getErrorName (got));
    if (got != raw_size)
        return err_set (err, ERR_PROTOCOL, "expand: %zu bytes came out, not %zu", got, raw_size);
    out->size = got;
    return 0;
}
