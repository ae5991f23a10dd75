/* layer.c - see layer.h.
 *
 *     registry -> packed bytes -> SHA-256, length
 *                      `-> unpack -> SHA-256, length -> tar (libarchive) -> files */
#include "coordinator/layer.h"

#include <archive.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "coordinator/unpack.h"

enum { BLOCK_SIZE = 64 * 1024, FILES_MAX = 4000000 };

struct layer {
    registry_t *registry;
    const descriptor_t *descriptor;
    reading_t *reading;
    oci_hash_t *packed_hash, *unpacked_hash;
    int64_t packed_bytes;
    bool has_ended, is_hashed;          /* the registry's bytes; their hash is done */
    unpack_t *unpack;                   /* NULL: it is not unpacked */
    int64_t unpacked_bytes, content_bytes;      /* up to now; up to behind the last that is not 0 */
    struct archive *archive;
    err_t why;                          /* what failed below libarchive */
    uint8_t block [BLOCK_SIZE];
};

/* -- packed -------------------------------------------------------------------------------------------------------- */

static int may_go_on (const reading_t *self, err_t *err)
{
    if (self->is_stopped && atomic_load (self->is_stopped))
        return err_set (err, ERR_INTERRUPTED, "the coordinator is being stopped");
    if (self->deadline_ms && clock_boot_ms () > self->deadline_ms)
        return err_set (err, ERR_REGISTRY_DENIED, "the registry gives it too slowly: raise verify/timeout-ms of the coordinator, or submit with less than --verify layers");
    return 0;
}

static ssize_t read_packed (void *argument, void *data, size_t size, err_t *err)
{
    layer_t *self = argument;
    if (may_go_on (self->reading, err) < 0)
        return -1;
    ssize_t got = registry_read_blob (self->registry, data, size, err);
    if (got < 0 && err && err->code != ERR_REGISTRY_DENIED)
        err->code = ERR_REGISTRY;
    if (got <= 0) {
        self->has_ended = got == 0;
        return got;
    }
    self->packed_bytes += got;
    if (self->packed_bytes > self->descriptor->size_bytes)
        return err_set (err, ERR_VERIFY, "it has more than the %lld bytes that the manifest says", (long long) self->descriptor->size_bytes);
    oci_hash_add (self->packed_hash, data, (size_t) got);
    return got;
}

static int check_packed (layer_t *self, err_t *err)
{
    char digest [OCI_DIGEST_SIZE];
    ssize_t got = 1;
    while (!self->has_ended && got > 0)
        got = read_packed (self, self->block, sizeof self->block, err);
    if (got < 0)
        return -1;
    if (self->packed_bytes != self->descriptor->size_bytes)
        return err_set (err, ERR_VERIFY, "it ends after %lld of %lld bytes", (long long) self->packed_bytes, (long long) self->descriptor->size_bytes);
    self->is_hashed = true;
    oci_hash_end (self->packed_hash, digest);
    if (strcmp (digest, self->descriptor->digest) != 0)
        return err_set (err, ERR_VERIFY, "the registry's bytes have the digest %s", digest);
    return 0;
}

void layer_blame (layer_t *self, err_t *err)
{
    err_t why = { 0 };
    bool can_tell = err->code == ERR_VERIFY && !self->is_hashed && self->packed_bytes <= self->descriptor->size_bytes;
    if (can_tell && check_packed (self, &why) < 0 && why.code == ERR_VERIFY)
        *err = why;
}

/* -- unpacked ------------------------------------------------------------------------------------------------------ */

static void note_content (layer_t *self, size_t size)
{
    size_t end = size;
    while (end > 0 && !self->block [end - 1])
        end--;
    if (end > 0)
        self->content_bytes = self->unpacked_bytes + (int64_t) end;
    self->unpacked_bytes += (int64_t) size;
}

static ssize_t read_unpacked (layer_t *self, err_t *err)
{
    ssize_t got = unpack_read (self->unpack, self->block, sizeof self->block, err);
    if (got <= 0)
        return got;
    oci_hash_add (self->unpacked_hash, self->block, (size_t) got);
    note_content (self, (size_t) got);
    self->reading->unpacked += got;
    if (self->reading->unpacked_max && self->reading->unpacked > self->reading->unpacked_max)
        return err_set (err, ERR_VERIFY, "its layers have more than %lld bytes when they are unpacked (verify/unpacked-max of the coordinator)",
                        (long long) self->reading->unpacked_max);
    return got;
}

static la_ssize_t on_read (struct archive *archive, void *argument, const void **block)
{
    layer_t *self = argument;
    ssize_t got = read_unpacked (self, &self->why);
    *block = self->block;
    if (got < 0)
        archive_set_error (archive, EIO, "%s", self->why.text);
    return got;
}

static int failed (layer_t *self, err_t *err)
{
    if (self->why.code == ERR_NONE)
        return err_set (err, ERR_VERIFY, "its tar cannot be read: %s", archive_error_string (self->archive));
    if (err)
        *err = self->why;
    return -1;
}

static int open_archive (layer_t *self, err_t *err)
{
    self->unpack = unpack_new (media_packing (self->descriptor->media_type), read_packed, self);
    self->archive = archive_read_new ();
    archive_read_support_format_tar (self->archive);
    archive_read_support_format_gnutar (self->archive);
    return archive_read_open (self->archive, self, NULL, on_read, NULL) < ARCHIVE_WARN ? failed (self, err) : 0;
}

int layer_open (layer_t **out, registry_t *registry, const reference_t *repository, const descriptor_t *descriptor, reading_t *reading,
                bool is_unpacked, err_t *err)
{
    AUTO (layer) layer_t *self = mem_alloc (sizeof *self);
    self->registry = registry;
    self->descriptor = descriptor;
    self->reading = reading;
    self->packed_hash = oci_hash_new ();
    self->unpacked_hash = oci_hash_new ();
    if (registry_open_blob (registry, repository, descriptor->digest, descriptor->size_bytes, err) < 0)
        return -1;
    if (is_unpacked && open_archive (self, err) < 0) {
        if (err)
            layer_blame (self, err);
        return -1;
    }
    *out = take (&self);
    return 0;
}

void layer_destroy (layer_t **self_p)
{
    layer_t *self = *self_p;
    if (!self)
        return;
    if (self->archive)
        archive_read_free (self->archive);
    unpack_destroy (&self->unpack);
    oci_hash_destroy (&self->packed_hash);
    oci_hash_destroy (&self->unpacked_hash);
    free (self);
    *self_p = NULL;
}

int layer_next (layer_t *self, struct archive_entry **entry, err_t *err)
{
    int rc = archive_read_next_header (self->archive, entry);
    if (rc == ARCHIVE_EOF && self->why.code == ERR_NONE)
        return 0;
    if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)         /* nor ARCHIVE_RETRY: a header that is none, which libarchive would step over */
        return failed (self, err);
    if (++self->reading->files > FILES_MAX)
        return err_set (err, ERR_VERIFY, "its layers have more than %d files", FILES_MAX);
    return 1;
}

ssize_t layer_read (layer_t *self, void *data, size_t size, err_t *err)
{
    la_ssize_t got = archive_read_data (self->archive, data, size);
    return got < 0 ? failed (self, err) : (ssize_t) got;
}

/* Behind the end of a tar are zeros; something else would be another tar to some. */
static int end_unpacked (layer_t *self, char digest [OCI_DIGEST_SIZE], err_t *err)
{
    ssize_t got = 1;
    int64_t tar_bytes = archive_filter_bytes (self->archive, 0);
    while (got > 0)
        got = read_unpacked (self, err);
    if (got < 0)
        return -1;
    if (self->content_bytes > tar_bytes)
        return err_set (err, ERR_VERIFY, "there are bytes behind the end of its tar");
    oci_hash_end (self->unpacked_hash, digest);
    return 0;
}

int layer_digest (layer_t *self, char unpacked [OCI_DIGEST_SIZE], err_t *err)
{
    return end_unpacked (self, unpacked, err) < 0 ? -1 : check_packed (self, err);
}

int layer_end (layer_t *self, const char *diff_id, err_t *err)
{
    char digest [OCI_DIGEST_SIZE];
    if (self->unpack && end_unpacked (self, digest, err) < 0)
        return -1;
    if (self->unpack && diff_id && strcmp (digest, diff_id) != 0)
        return err_set (err, ERR_VERIFY, "unpacked it has the digest %s, and the config says %s", digest, diff_id);
    return check_packed (self, err);
}

const char *layer_name (struct archive_entry *entry)
{
    const char *name = archive_entry_pathname (entry);
    if (!name)
        name = archive_entry_pathname_utf8 (entry);
    return name ? name : "?";
}
