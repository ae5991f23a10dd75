/* unpack.h - unpacks a layer while it is read, in bounded memory, and gives up on one that grows out of all measure.
 *
 * gzip (RFC 1952, also of several members), zstd (RFC 8878, also of several frames, with windows of at most 128 MiB), or nothing. What
 * is behind the end is refused: others may read it. */
#ifndef FARM_UNPACK_H
#define FARM_UNPACK_H

#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/manifest.h"

/* Gives the next packed bytes: 0 at their end, -1 with err. */
typedef ssize_t (unpack_read_fn) (void *argument, void *data, size_t size, err_t *err);

typedef struct unpack unpack_t;

unpack_t *unpack_new (packing_t packing, unpack_read_fn *read, void *argument);
void unpack_destroy (unpack_t **self);

/* The next unpacked bytes, at least one; 0 at the end of all; -1 with err: ERR_VERIFY for what is not packed so, or has grown by more
 * than 200 to 1 beyond its first 1 GiB. */
ssize_t unpack_read (unpack_t *self, void *data, size_t size, err_t *err);

#endif
