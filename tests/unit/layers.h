/* layers.h - layers and images for tests: honest ones, and those that lie. */
#ifndef FARM_TEST_LAYERS_H
#define FARM_TEST_LAYERS_H

#include "common/manifest.h"
#include "registries.h"

/* A file of a layer. */
typedef struct {
    const char *path;
    int mode;                   /* 0: the entry behind the last */
    const char *content;
    size_t size;                /* 0: strlen (content) */
    const char *hardlink;       /* to this; NULL: a file */
} file_entry_t;

/* The first bytes of a program: its e_type, e_machine, class (1: 32 bits, 2: 64) and order (1: little, 2: big). 64 bytes. */
void elf_head (uint8_t out [64], int type, int machine, int class, int order);

/* A tar of these files. */
void tar_of (const file_entry_t *files, buffer_t *out);

/* Append packed bytes: a gzip member, a zstd frame, or the bytes. */
void pack_into (packing_t packing, const void *data, size_t size, buffer_t *out);

/* A layer as it is in the registry, and what the documents say of it. */
typedef struct {
    buffer_t bytes;
    const char *media_type;
    char digest [OCI_DIGEST_SIZE], diff_id [OCI_DIGEST_SIZE];
} layer_bytes_t;

/* One whose digests are right: tar packed so. The caller frees bytes. */
void layer_make (layer_bytes_t *self, packing_t packing, const buffer_t *tar);

/* Push layers, a config that names them, and the manifest by its digest, as another client would. The caller frees *out. */
void image_push (const server_t *server, registry_t *client, const char *path, const char *platform, const layer_bytes_t *layers, size_t count,
                 manifest_t *out);

#endif
