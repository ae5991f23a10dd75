/* layer.h - a layer of a registry, read through from its first byte to its last: as it is, or unpacked, file by file. In bounded memory;
 * the digests of both forms are recomputed on the way. */
#ifndef FARM_LAYER_H
#define FARM_LAYER_H

#include <archive_entry.h>
#include <stdatomic.h>

#include "common/manifest.h"
#include "common/registry.h"

/* What reading an image may cost; shared by its layers. */
typedef struct {
    int64_t unpacked_max;               /* bytes of all layers; 0: no limit */
    int64_t deadline_ms;                /* boot clock; 0: none */
    const atomic_bool *is_stopped;      /* the coordinator ends: ERR_INTERRUPTED; NULL: never */
    int64_t unpacked, files;            /* so far */
} reading_t;

typedef struct layer layer_t;

/* descriptor and reading are borrowed. A client reads one layer at a time. */
int layer_open (layer_t **out, registry_t *registry, const reference_t *repository, const descriptor_t *descriptor, reading_t *reading,
                bool is_unpacked, err_t *err);
void layer_destroy (layer_t **self);

/* The next file of an unpacked one: 1, 0 behind the last, -1. The entry is borrowed until the next call. */
int layer_next (layer_t *self, struct archive_entry **entry, err_t *err);
/* Some of the file's content: bytes, 0 at its end, -1. */
ssize_t layer_read (layer_t *self, void *data, size_t size, err_t *err);

/* Read what is left, and compare size and digest, and that of what was unpacked with diff_id (NULL: with nothing). */
int layer_end (layer_t *self, const char *diff_id, err_t *err);

/* Read what is left, compare size and digest, and give the digest of what was unpacked. */
int layer_digest (layer_t *self, char unpacked [OCI_DIGEST_SIZE], err_t *err);

/* Reading it has failed. If the registry's bytes are not those of its digest, that is why: err says so instead. */
void layer_blame (layer_t *self, err_t *err);

/* The name of an entry, "?" for one that cannot be told. */
const char *layer_name (struct archive_entry *entry);

#endif
