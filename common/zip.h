/* zip.h - zstd for objects: on the wire (pack.h) and in the depot. */
#ifndef FARM_ZIP_H
#define FARM_ZIP_H

#include <stdbool.h>

#include "common/err.h"
#include "common/mem.h"

/* Compress into out (replaced) where that saves at least a sixteenth; false where it does not, or a sample of a
 * longer object says that it will not. */
bool zip_compress (buffer_t *out, const void *data, size_t size);

/* An object's bytes as they travel and lie in a depot: compressed, or as they are. Borrowed. */
typedef struct {
    const void *data;
    size_t size;
    bool is_zstd;
} zip_t;

/* What zip_compress made in out, or else the data itself. */
zip_t zip_best (buffer_t *out, const void *data, size_t size);

/* Expand to exactly raw_size bytes, which the caller has bounded; ERR_PROTOCOL when it would be more, less, or is no zstd. */
int zip_expand (buffer_t *out, size_t raw_size, const void *data, size_t size, err_t *err);

#endif
