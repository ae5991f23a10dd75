/* verify.c - see verify.h. */
#include "coordinator/verify.h"

#include <stdio.h>
#include <string.h>

static int check_blob (registry_t *registry, const reference_t *repository, const descriptor_t *blob, err_t *err)
{
    int64_t size = 0;
    if (registry_head_blob (registry, repository, blob->digest, &size, err) < 0) {
        if (err && err->code == ERR_NOT_FOUND)
            err->code = ERR_VERIFY;
        return err_wrap (err, "blob %s", blob->digest);
    }
    if (size != blob->size_bytes)
        return err_set (err, ERR_VERIFY, "blob %s has %lld bytes, the manifest says %lld", blob->digest, (long long) size,
                        (long long) blob->size_bytes);
    return 0;
}

static int check_config (registry_t *registry, const reference_t *repository, const image_manifest_t *image,
                         const platform_t *wanted, err_t *err)
{
    AUTO_BUFFER buffer_t config = { 0 };
    platform_t platform;
    size_t diff_ids = 0;
    if (registry_get_blob (registry, repository, image->config.digest, CONFIG_BYTES_MAX, &config, err) < 0) {
        if (err && err->code == ERR_NOT_FOUND)
            err->code = ERR_VERIFY;
        return err_wrap (err, "config %s", image->config.digest);
    }
    if ((int64_t) config.size != image->config.size_bytes)
        return err_set (err, ERR_VERIFY, "config %s has %zu bytes, the manifest says %lld", image->config.digest,
                        config.size, (long long) image->config.size_bytes);
    if (manifest_parse_config (config.data, config.size, &platform, &diff_ids, err) < 0)
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

static int check_image (registry_t *registry, const reference_t *repository, const manifest_t *manifest,
                        const platform_t *platform, err_t *err)
{
    AUTO_FREE image_manifest_t *image = mem_alloc (sizeof *image);
    if (manifest_parse_image (manifest->bytes.data, manifest->bytes.size, manifest->media_type, image, err) < 0)
        return -1;
    if (check_config (registry, repository, image, platform, err) < 0)
        return -1;
    for (size_t i = 0; i < image->layer_count; i++)
        if (check_blob (registry, repository, &image->layers [i], err) < 0)
            return -1;
    return 0;
}

int verify_image (registry_t *registry, const reference_t *repository, const char *digest, const platform_t *platform,
                  descriptor_t *out, err_t *err)
{
    reference_t reference = *repository;
    manifest_t manifest = { .media_type = "" };
    reference.tag [0] = 0;
    snprintf (reference.digest, sizeof reference.digest, "%s", digest);
    int rc = registry_get_manifest (registry, &reference, &manifest, err);
    if (rc < 0 && err && err->code == ERR_NOT_FOUND)
        err->code = ERR_VERIFY;
    if (rc == 0)
        rc = check_image (registry, repository, &manifest, platform, err);
    if (rc == 0) {
        *out = (descriptor_t) { .size_bytes = (int64_t) manifest.bytes.size, .platform = *platform };
        strcpy (out->media_type, manifest.media_type);
        strcpy (out->digest, manifest.digest);
    }
    manifest_free (&manifest);
    return rc < 0 ? err_wrap (err, "verify %s/%s@%s", repository->host, repository->path, digest) : 0;
}
