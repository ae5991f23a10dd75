/* verify_layers.c - see verify_layers.h. */
#include "coordinator/verify_layers.h"

#include <stdlib.h>
#include <string.h>

#include "coordinator/program.h"

/* -- files --------------------------------------------------------------------------------------------------------- */

/* "a/../b", ".." and "/..": tools differ in where that would be. */
static bool goes_up (const char *path)
{
    for (const char *at = path; at; at = strchr (at, '/')) {
        at += *at == '/';
        if (strncmp (at, "..", 2) == 0 && (!at [2] || at [2] == '/'))
            return true;
    }
    return false;
}

static int check_program (layer_t *layer, struct archive_entry *entry, const platform_t *platform, err_t *err)
{
    char head [PROGRAM_HEAD_BYTES], wanted [PLATFORM_MAX];
    const char *architecture;
    size_t size = 0;
    for (ssize_t got = 1; got > 0 && size < sizeof head; size += (size_t) got)
        if ((got = layer_read (layer, head + size, sizeof head - size, err)) < 0)
            return -1;
    if (!program_is_foreign (head, size, platform, &architecture))
        return 0;
    platform_format (platform, wanted);
    return err_set (err, ERR_VERIFY, "/%.300s is a program for %s, and the image is for %s", layer_name (entry) + (layer_name (entry) [0] == '/'),
                    architecture, wanted);
}

static int check_file (layer_t *layer, struct archive_entry *entry, const platform_t *platform, err_t *err)
{
    const char *name = layer_name (entry), *link = archive_entry_hardlink (entry);
    if (goes_up (name) || (link && goes_up (link)))
        return err_set (err, ERR_VERIFY, "%.300s leads out of the image", goes_up (name) ? name : link);
    bool is_program = archive_entry_filetype (entry) == AE_IFREG && !link && (archive_entry_perm (entry) & 0111);
    return is_program ? check_program (layer, entry, platform, err) : 0;
}

/* -- layers -------------------------------------------------------------------------------------------------------- */

static int check_files (layer_t *layer, const platform_t *platform, err_t *err)
{
    struct archive_entry *entry;
    int rc;
    while ((rc = layer_next (layer, &entry, err)) > 0)
        if (check_file (layer, entry, platform, err) < 0)
            return -1;
    return rc;
}

static int check_layer (layer_t *layer, const platform_t *platform, const char *diff_id, err_t *err)
{
    if ((!diff_id || check_files (layer, platform, err) == 0) && layer_end (layer, diff_id, err) == 0)
        return 0;
    layer_blame (layer, err);
    return -1;
}

static bool was_read (const image_manifest_t *image, char (*diff_ids) [OCI_DIGEST_SIZE], size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (strcmp (image->layers [i].digest, image->layers [at].digest) == 0 && image->layers [i].size_bytes == image->layers [at].size_bytes
            && strcmp (image->layers [i].media_type, image->layers [at].media_type) == 0 && (!diff_ids || strcmp (diff_ids [i], diff_ids [at]) == 0))
            return true;
    return false;
}

int verify_layers (registry_t *registry, const reference_t *repository, const image_manifest_t *image, const buffer_t *config,
                   const platform_t *platform, verify_level level, reading_t *reading, err_t *err)
{
    err_t why = { 0 };
    AUTO_FREE char (*diff_ids) [OCI_DIGEST_SIZE] = level == VERIFY_DEEP ? mem_alloc ((image->layer_count + 1) * sizeof *diff_ids) : NULL;
    if (diff_ids && manifest_diff_ids (config->data, config->size, diff_ids, image->layer_count, err) < 0)
        return -1;
    for (size_t i = 0; i < image->layer_count; i++) {
        AUTO (layer) layer_t *layer = NULL;
        if (was_read (image, diff_ids, i))
            continue;
        if (layer_open (&layer, registry, repository, &image->layers [i], reading, diff_ids != NULL, &why) == 0
            && check_layer (layer, platform, diff_ids ? diff_ids [i] : NULL, &why) == 0)
            continue;
        if (err)
            *err = why;
        return err_wrap (err, "layer %zu of %zu (%s)", i + 1, image->layer_count, image->layers [i].digest);
    }
    return 0;
}
