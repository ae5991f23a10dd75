/* fuzz_zip.c - zstd: three bytes for the size that is expected, then the frame. The same bytes are also compressed and expanded.
 *
 * covers: common/zip.c */
#include <string.h>

#include "common/tree.h"
#include "common/zip.h"
#include "fuzz.h"

static void there_and_back (const uint8_t *data, size_t size)
{
    err_t err = { 0 };
    AUTO_BUFFER buffer_t packed = { 0 };
    AUTO_BUFFER buffer_t raw = { 0 };
    zip_t zip = zip_best (&packed, data, size);
    MUST (zip.is_zstd ? zip.size < size : zip.data == data && zip.size == size);
    if (!zip.is_zstd)
        return;
    MUST (zip_expand (&raw, size, zip.data, zip.size, &err) == 0);
    MUST (raw.size == size && memcmp (raw.data, data, size) == 0);
}

FUZZ_TARGET (zip)
{
    if (size < 3)
        return;
    err_t err = { 0 };
    AUTO_BUFFER buffer_t raw = { 0 };
    size_t raw_size = (size_t) (data [0] << 16 | data [1] << 8 | data [2]) % (OBJECT_MAX + 1);
    if (zip_expand (&raw, raw_size, data + 3, size - 3, &err) == 0)
        MUST (raw.size == raw_size);
    else
        MUST (err.code == ERR_PROTOCOL);
    there_and_back (data, size);
}
