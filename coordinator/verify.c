/* verify.c - see verify.h. Registries are asked for bases, then for manifests, then for what those name. */
#include "coordinator/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- questions ---------------------------------------------------------------------------------------------------- */

typedef struct {
    registry_ask_t *items;
    size_t count, capacity;
} questions_t;

static void questions_free (questions_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        manifest_free (&self->items [i].found);
    free (self->items);
}
#define AUTO_QUESTIONS __attribute__ ((cleanup (questions_free)))

static bool is_same (const registry_ask_t *a, const registry_ask_t *b)
{
    if (a->kind != b->kind || strcmp (a->of->host, b->of->host) != 0 || strcmp (a->of->path, b->of->path) != 0)
        return false;
    if (a->kind == ASK_MANIFEST || a->kind == ASK_DIGEST)
        return strcmp (a->of->tag, b->of->tag) == 0 && strcmp (a->of->digest, b->of->digest) == 0;
    return strcmp (a->digest, b->digest) == 0;
}

/* The question, which is added where it is not there. Holds until the next one is added. */
static registry_ask_t *question (questions_t *self, registry_ask_kind kind, const reference_t *of, const char *digest)
{
    registry_ask_t wanted = { .kind = kind, .of = of, .digest = digest, .max_bytes = CONFIG_BYTES_MAX };
    for (size_t i = 0; i < self->count; i++)
        if (is_same (&self->items [i], &wanted))
            return &self->items [i];
    if (self->count == self->capacity) {
        self->capacity = self->capacity ? 2 * self->capacity : 16;
        self->items = mem_resize (self->items, self->capacity * sizeof *self->items);
    }
    self->items [self->count] = wanted;
    return &self->items [self->count++];
}

/* -- bases -------------------------------------------------------------------------------------------------------- */

static void ask_bases (questions_t *bases, const verification_t *self)
{
    for (size_t i = 0; self->err.code == ERR_NONE && i < self->base_count; i++)
        question (bases, ASK_DIGEST, &self->bases [i].reference, NULL);
}

static int check_bases (questions_t *bases, const verification_t *self, err_t *err)
{
    for (size_t i = 0; i < self->base_count; i++) {
        const base_t *base = &self->bases [i];
        const registry_ask_t *answer = question (bases, ASK_DIGEST, &base->reference, NULL);
        char text [REFERENCE_MAX];
        if (answer->err.code != ERR_NONE) {
            *err = answer->err;
            return -1;
        }
        reference_format (&base->reference, text);
        if (strcmp (answer->found.digest, base->digest) != 0)
            return err_set (err, ERR_STALE, "the base image %s has changed", text);
    }
    return 0;
}

/* -- manifests ---------------------------------------------------------------------------------------------------- */

/* What is not there was not pushed. */
static int missing (const registry_ask_t *answer, err_t *err)
{
    *err = answer->err;
    if (err->code == ERR_NOT_FOUND)
        err->code = ERR_VERIFY;
    return -1;
}

static int read_manifest (questions_t *manifests, verification_t *self, image_manifest_t *out, err_t *err)
{
    const registry_ask_t *answer = question (manifests, ASK_MANIFEST, &self->reference, NULL);
    const manifest_t *manifest = &answer->found;
    if (answer->err.code != ERR_NONE)
        return missing (answer, err);
    self->image = (descriptor_t) { .size_bytes = (int64_t) manifest->bytes.size, .platform = self->platform };
    strcpy (self->image.media_type, manifest->media_type);
    strcpy (self->image.digest, manifest->digest);
    if (manifest_parse_image (manifest->bytes.data, manifest->bytes.size, manifest->media_type, out, err) < 0)
        return -1;
    return manifest_check_layers (out, err);
}

/* -- what they name ----------------------------------------------------------------------------------------------- */

static int check_size (questions_t *blobs, const verification_t *self, const descriptor_t *blob, err_t *err)
{
    const registry_ask_t *answer = question (blobs, ASK_BLOB_SIZE, &self->reference, blob->digest);
    if (answer->err.code != ERR_NONE) {
        missing (answer, err);
        return err_wrap (err, "blob %s", blob->digest);
    }
    if (answer->size_bytes != blob->size_bytes)
        return err_set (err, ERR_VERIFY, "blob %s has %lld bytes, the manifest says %lld", blob->digest,
                        (long long) answer->size_bytes, (long long) blob->size_bytes);
    return 0;
}

static int check_config (questions_t *blobs, const verification_t *self, const image_manifest_t *image, err_t *err)
{
    platform_t platform;
    const platform_t *wanted = &self->platform;
    size_t diff_ids = 0;
    const registry_ask_t *answer = question (blobs, ASK_BLOB, &self->reference, image->config.digest);
    const buffer_t *config = &answer->found.bytes;
    if (answer->err.code != ERR_NONE) {
        missing (answer, err);
        return err_wrap (err, "config %s", image->config.digest);
    }
    if ((int64_t) config->size != image->config.size_bytes)
        return err_set (err, ERR_VERIFY, "config %s has %zu bytes, the manifest says %lld", image->config.digest,
                        config->size, (long long) image->config.size_bytes);
    if (manifest_parse_config (config->data, config->size, &platform, &diff_ids, err) < 0)
        return err_wrap (err, "config %s", image->config.digest);
    if (!platform_equal (&platform, wanted)) {
        char is [PLATFORM_MAX], asked [PLATFORM_MAX];
        platform_format (&platform, is);
        platform_format (wanted, asked);
        return err_set (err, ERR_VERIFY, "the image is for %s, the job was for %s: its base image is probably not for %s",
                        is, asked, asked);
    }
    if (diff_ids != image->layer_count)
        return err_set (err, ERR_VERIFY, "%zu layers but %zu diff_ids", image->layer_count, diff_ids);
    return 0;
}

static bool reads_config (const verification_t *self)
{
    return !self->is_known || self->level == VERIFY_DEEP;
}

static void ask_blobs (questions_t *blobs, const verification_t *self, const image_manifest_t *image)
{
    question (blobs, reads_config (self) ? ASK_BLOB : ASK_BLOB_SIZE, &self->reference, image->config.digest);
    for (size_t i = 0; i < image->layer_count; i++)
        question (blobs, ASK_BLOB_SIZE, &self->reference, image->layers [i].digest);
}

static int check_image (questions_t *blobs, const verification_t *self, const image_manifest_t *image, err_t *err)
{
    int rc = reads_config (self) ? check_config (blobs, self, image, err) : check_size (blobs, self, &image->config, err);
    for (size_t i = 0; rc == 0 && i < image->layer_count; i++)
        rc = check_size (blobs, self, &image->layers [i], err);
    return rc;
}

/* -- all together ------------------------------------------------------------------------------------------------- */

static void on_bases (questions_t *bases, questions_t *manifests, verification_t *self)
{
    if (self->err.code == ERR_NONE && check_bases (bases, self, &self->err) == 0)
        question (manifests, ASK_MANIFEST, &self->reference, NULL);
}

static void wrap (verification_t *self)
{
    const reference_t *of = &self->reference;
    err_wrap (&self->err, "verify %s/%s@%s", of->host, of->path, of->digest);
}

static void on_manifest (questions_t *manifests, questions_t *blobs, verification_t *self, image_manifest_t *parsed)
{
    if (self->err.code != ERR_NONE)
        return;
    if (read_manifest (manifests, self, parsed, &self->err) == 0)
        ask_blobs (blobs, self, parsed);
    else
        wrap (self);
}

static int read_layers (registry_t *registry, questions_t *blobs, verification_t *self, const image_manifest_t *image, err_t *err)
{
    if (self->level == VERIFY_QUICK)
        return 0;
    const registry_ask_t *config = reads_config (self) ? question (blobs, ASK_BLOB, &self->reference, image->config.digest) : NULL;
    return verify_layers (registry, &self->reference, image, config ? &config->found.bytes : NULL, &self->platform, self->level, &self->reading, err);
}

static int compare (registry_t *registry, verification_t *self, err_t *err)
{
    if (!self->first.digest [0])
        return 0;
    strcpy (self->second.digest, self->image.digest);
    if (compare_images (registry, &self->reference, &self->first, &self->second, &self->reading, err) < 0)
        return err_wrap (err, "two workers have made different images of it (--cross-check)");
    return 0;
}

/* All that is asked of one that was found good so far. */
static int look_deeper (registry_t *registry, questions_t *blobs, verification_t *self, const image_manifest_t *image, err_t *err)
{
    return read_layers (registry, blobs, self, image, err) < 0 ? -1 : compare (registry, self, err);
}

void verify_images (registry_t *registry, registry_t *bases, verification_t *images, size_t count)
{
    AUTO_QUESTIONS questions_t digests = { 0 }, manifests = { 0 }, blobs = { 0 };
    AUTO_FREE image_manifest_t *parsed = mem_alloc (count * sizeof *parsed + 1);
    for (size_t i = 0; i < count; i++)
        ask_bases (&digests, &images [i]);
    registry_ask (bases, digests.items, digests.count);
    for (size_t i = 0; i < count; i++)
        on_bases (&digests, &manifests, &images [i]);
    registry_ask (registry, manifests.items, manifests.count);
    for (size_t i = 0; i < count; i++)
        on_manifest (&manifests, &blobs, &images [i], &parsed [i]);
    registry_ask (registry, blobs.items, blobs.count);
    for (size_t i = 0; i < count; i++)
        if (images [i].err.code == ERR_NONE && (check_image (&blobs, &images [i], &parsed [i], &images [i].err) < 0
                                                || look_deeper (registry, &blobs, &images [i], &parsed [i], &images [i].err) < 0))
            wrap (&images [i]);
}

int verify_bases (registry_t *registry, const base_t *bases, size_t count, err_t *err)
{
    AUTO_QUESTIONS questions_t digests = { 0 };
    verification_t only = { .bases = bases, .base_count = count };
    ask_bases (&digests, &only);
    registry_ask (registry, digests.items, digests.count);
    return check_bases (&digests, &only, err);
}
