/* manifest.h - reads manifests, configs and indexes (OCI Image Spec 1.1, Docker Image Manifest V2 schema 2) that nobody
 * trusts, and composes the index. */
#ifndef FARM_MANIFEST_H
#define FARM_MANIFEST_H

#include <stdint.h>

#include "common/digest.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/platform.h"

#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"

enum { MANIFEST_LAYERS_MAX = 512, INDEX_CHILDREN_MAX = 128 };

/* OCI Image Spec, descriptor.md */
typedef struct {
    char media_type [128];
    char digest [OCI_DIGEST_SIZE];          /* sha256 only */
    int64_t size_bytes;
    platform_t platform;                    /* of a child of an index; os "" where it has none */
} descriptor_t;

typedef struct {
    descriptor_t config;
    size_t layer_count;
    descriptor_t layers [MANIFEST_LAYERS_MAX];
} image_manifest_t;

typedef struct {
    char media_type [128];
    size_t child_count;
    descriptor_t children [INDEX_CHILDREN_MAX];
} image_index_t;

/* True for the two types of an index or list. */
int media_is_index (const char *media_type);

/* How a layer's tar is packed, by its media type. */
typedef enum { PACKED_NOT, PACKED_GZIP, PACKED_ZSTD, PACKED_UNKNOWN } packing_t;
packing_t media_packing (const char *media_type);

/* ERR_VERIFY for what is not such a document: wrong media type or schemaVersion, duplicate keys, depth above 16,
 * `manifests` beside `layers`, `urls`, `data`, sizes below 0, digests that are none, names like ours but for their case. media_type: as the registry declared it; it
 * must agree with the document's own. */
int manifest_parse_image (const void *bytes, size_t size, const char *media_type, image_manifest_t *out, err_t *err);
int manifest_parse_index (const void *bytes, size_t size, const char *media_type, image_index_t *out, err_t *err);

/* Are all its layers of known kinds, so that what is in them can be looked at? ERR_VERIFY. */
int manifest_check_layers (const image_manifest_t *image, err_t *err);

/* The platform that an image's config names, and how many diff_ids it has: SHA-256 all of them. */
int manifest_parse_config (const void *bytes, size_t size, platform_t *platform, size_t *diff_ids, err_t *err);
/* The diff_ids of such a config, at most max: the digests of its layers, unpacked. How many, -1 on error. */
int manifest_diff_ids (const void *bytes, size_t size, char (*out) [OCI_DIGEST_SIZE], size_t max, err_t *err);

/* The index of the children, in their order: OCI when the first child is, else a Docker list. One encoding: the same
 * children and base give the same bytes. media_type gets the type (128 bytes). base: the image that all of them begin with, for the annotations
 * org.opencontainers.image.base.name and .digest of an OCI index (OCI Image Spec, annotations.md); NULL: not known. */
typedef struct { const char *name, *digest; } base_image_t;
void manifest_compose_index (const descriptor_t *children, size_t count, const base_image_t *base, buffer_t *out, char media_type [128]);

#endif
