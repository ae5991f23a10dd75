/* fuzz_layer.c - a layer as a registry gives it: in a first line "tar", "gzip" or "zstd", how it is packed, and the number of a byte of the packed
 * layer that is damaged (none: all are whole); then the tar. "raw" instead: it is given as it is, for gzip.
 *
 * The registry is here: the linker has its two functions replaced. What the layer holds must be what was packed, or be refused.
 *
 * covers: coordinator/layer.c coordinator/unpack.c coordinator/verify_layers.c coordinator/program.c */
#include <archive.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "common/mem.h"
#include "coordinator/program.h"
#include "coordinator/verify_layers.h"
#include "fuzz.h"

enum { ZSTD_HEAD = 16, UNPACKED_MAX = 1024 * 1024, PIECE = 1000 };

/* -- the registry --------------------------------------------------------------------------------------------------- */

static buffer_t packed;
static size_t given;

int __wrap_registry_open_blob (registry_t *self, const reference_t *repository, const char *digest, int64_t size_bytes, err_t *err);
ssize_t __wrap_registry_read_blob (registry_t *self, void *data, size_t size, err_t *err);

int __wrap_registry_open_blob (registry_t *self, const reference_t *repository, const char *digest, int64_t size_bytes, err_t *err)
{
    (void) self, (void) repository, (void) digest, (void) err;
    MUST (size_bytes == (int64_t) packed.size);
    given = 0;
    return 0;
}

/* In pieces that fit nobody's. */
ssize_t __wrap_registry_read_blob (registry_t *self, void *data, size_t size, err_t *err)
{
    (void) self, (void) err;
    size_t left = packed.size - given, piece = size < PIECE ? size : PIECE;
    size_t count = left < piece ? left : piece;
    if (count)
        memcpy (data, packed.data + given, count);
    given += count;
    return (ssize_t) count;
}

/* -- packing -------------------------------------------------------------------------------------------------------- */

static void pack_gzip (const char *data, size_t size)
{
    z_stream stream = { 0 };
    MUST (deflateInit2 (&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    size_t bound = deflateBound (&stream, size);
    buffer_reserve (&packed, bound);
    stream.next_in = (void *) data;
    stream.avail_in = (uInt) size;
    stream.next_out = packed.data;
    stream.avail_out = (uInt) bound;
    MUST (deflate (&stream, Z_FINISH) == Z_STREAM_END);
    packed.size = stream.total_out;
    deflateEnd (&stream);
}

static void pack_zstd (const char *data, size_t size)
{
    buffer_reserve (&packed, ZSTD_compressBound (size));
    packed.size = ZSTD_compress (packed.data, ZSTD_compressBound (size), data, size, 1);
    MUST (!ZSTD_isError (packed.size));
}

/* The size of a zstd's window stands at its beginning: that is not damaged, since the layer may well want 128 MiB for one. */
static bool damage (packing_t packing, const char *where)
{
    size_t at = (size_t) strtoul (where, NULL, 10);
    if (*where != ' ' || at >= packed.size || (packing == PACKED_ZSTD && at < ZSTD_HEAD))
        return false;
    packed.data [at] ^= 1;
    return true;
}

static void pack (packing_t packing, const char *tar, size_t size)
{
    buffer_clear (&packed);
    if (packing == PACKED_GZIP)
        pack_gzip (tar, size);
    else if (packing == PACKED_ZSTD)
        pack_zstd (tar, size);
    else
        buffer_append (&packed, tar, size);
}

/* -- reading -------------------------------------------------------------------------------------------------------- */

static int read_file (layer_t *layer, struct archive_entry *entry, err_t *err)
{
    char data [PIECE];
    const char *architecture = NULL;
    platform_t platform = { .os = "linux", .architecture = "arm64" };
    ssize_t got = layer_read (layer, data, sizeof data, err);
    MUST (layer_name (entry) [0] || true);
    if (got > 0 && program_is_foreign (data, (size_t) got, &platform, &architecture))
        MUST (architecture);
    while (got > 0)
        got = layer_read (layer, data, sizeof data, err);
    return (int) got;
}

static int read_files (layer_t *layer, err_t *err)
{
    struct archive_entry *entry;
    int rc;
    while ((rc = layer_next (layer, &entry, err)) > 0)
        if (read_file (layer, entry, err) < 0)
            return -1;
    return rc;
}

static int read_layer (const descriptor_t *descriptor, char unpacked [OCI_DIGEST_SIZE], err_t *err)
{
    reference_t repository = { .host = "registry.lan", .path = "app" };
    reading_t reading = { .unpacked_max = UNPACKED_MAX };
    AUTO (layer) layer_t *layer = NULL;
    int rc = layer_open (&layer, NULL, &repository, descriptor, &reading, true, err) < 0 || read_files (layer, err) < 0 ? -1 : layer_digest (layer, unpacked, err);
    MUST (rc == 0 || err->code == ERR_VERIFY);
    MUST (reading.unpacked <= UNPACKED_MAX + 64 * 1024);
    return rc;
}

/* As a build is verified: what reading finds wrong is refused, and so is a config with another digest. */
static void verify (const image_manifest_t *image, const char *diff_id, int was_read)
{
    err_t err = { 0 };
    reference_t repository = { .host = "registry.lan", .path = "app" };
    platform_t platform = { .os = "linux", .architecture = "arm64" };
    reading_t reading = { .unpacked_max = UNPACKED_MAX };
    AUTO_BUFFER buffer_t config = { 0 };
    buffer_printf (&config, "{\"os\":\"linux\",\"architecture\":\"arm64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}", diff_id);
    int rc = verify_layers (NULL, &repository, image, &config, &platform, VERIFY_DEEP, &reading, &err);
    MUST (rc == 0 ? was_read == 0 : err.code == ERR_VERIFY);
}

FUZZ_TARGET (layer)
{
    static image_manifest_t image;
    static const char *const words [] = { [PACKED_NOT] = "tar", [PACKED_GZIP] = "gzip", [PACKED_ZSTD] = "zstd" };
    static const char *const types [] = { [PACKED_NOT] = "", [PACKED_GZIP] = "+gzip", [PACKED_ZSTD] = "+zstd" };
    char unpacked [OCI_DIGEST_SIZE] = "", diff_id [OCI_DIGEST_SIZE];
    size_t length, packing = PACKED_NOT;
    err_t err = { 0 };
    fuzz_input_t input = { data, size };
    AUTO_FREE char *line = fuzz_line (&input, NULL);
    AUTO_FREE char *tar = fuzz_rest (&input, &length);
    bool is_raw = strcmp (line, "raw") == 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp (line, words [i], strlen (words [i])) == 0)
            packing = i;
    pack (packing, tar, length);
    image = (image_manifest_t) { .layer_count = 1 };
    descriptor_t *layer = &image.layers [0];
    layer->size_bytes = (int64_t) packed.size;
    snprintf (layer->media_type, sizeof layer->media_type, "application/vnd.oci.image.layer.v1.tar%s", is_raw ? "+gzip" : types [packing]);
    oci_digest_of (packed.data, packed.size, layer->digest);
    oci_digest_of (tar, length, diff_id);
    bool is_damaged = packing != PACKED_NOT && damage (packing, line + strlen (words [packing]));
    int rc = read_layer (layer, unpacked, &err);
    MUST (rc < 0 || (!is_damaged && (is_raw || strcmp (unpacked, diff_id) == 0)));
    verify (&image, diff_id, rc);
    buffer_free (&packed);
}
