/* fuzz_manifest.c - manifests, indexes and configs: the media type in a first line, "config" for a config.
 *
 * covers: common/manifest.c */
#include <jansson.h>
#include <string.h>

#include "common/manifest.h"
#include "common/reference.h"
#include "fuzz.h"

/* Two readers of it find the same. */
static void check_document (const char *text, size_t size)
{
    AUTO_JSON json_t *document = json_loadb (text, size, JSON_REJECT_DUPLICATES, NULL);
    MUST (json_is_object (document));
    MUST (!json_object_get (document, "manifests") || !json_object_get (document, "layers"));
}

static void check_descriptor (const descriptor_t *descriptor)
{
    MUST (reference_is_digest (descriptor->digest) && descriptor->size_bytes >= 0 && descriptor->media_type [0] != '\n');
}

static void read_image (const char *type, const char *text, size_t size)
{
    static image_manifest_t image;
    err_t err = { 0 };
    if (manifest_parse_image (text, size, type, &image, &err) < 0) {
        MUST (err.code == ERR_VERIFY);
        return;
    }
    check_document (text, size);
    MUST (image.layer_count <= MANIFEST_LAYERS_MAX);
    check_descriptor (&image.config);
    for (size_t i = 0; i < image.layer_count; i++)
        check_descriptor (&image.layers [i]);
}

static bool is_same (const descriptor_t *a, const descriptor_t *b)
{
    return strcmp (a->media_type, b->media_type) == 0 && strcmp (a->digest, b->digest) == 0 && a->size_bytes == b->size_bytes
        && platform_equal (&a->platform, &b->platform);
}

/* An index of the same children is read as the same children. */
static void check_index (const image_index_t *index)
{
    static image_index_t again;
    char type [128];
    err_t err = { 0 };
    AUTO_BUFFER buffer_t text = { 0 };
    for (size_t i = 0; i < index->child_count; i++)
        if (!index->children [i].platform.os [0])
            return;
    manifest_compose_index (index->children, index->child_count, NULL, &text, type);
    MUST (media_is_index (type) && manifest_parse_index (text.data, text.size, type, &again, &err) == 0);
    MUST (again.child_count == index->child_count);
    for (size_t i = 0; i < index->child_count; i++)
        MUST (is_same (&again.children [i], &index->children [i]));
}

static void read_index (const char *type, const char *text, size_t size)
{
    static image_index_t index;
    err_t err = { 0 };
    if (manifest_parse_index (text, size, type, &index, &err) < 0) {
        MUST (err.code == ERR_VERIFY);
        return;
    }
    check_document (text, size);
    MUST (index.child_count <= INDEX_CHILDREN_MAX && strcmp (index.media_type, type) == 0);
    for (size_t i = 0; i < index.child_count; i++)
        check_descriptor (&index.children [i]);
    check_index (&index);
}

static void read_config (const char *text, size_t size)
{
    err_t err = { 0 };
    platform_t platform, again;
    size_t diff_ids = 0;
    if (manifest_parse_config (text, size, &platform, &diff_ids, &err) < 0) {
        MUST (err.code == ERR_VERIFY);
        return;
    }
    check_document (text, size);
    MUST (diff_ids <= size / 71 && platform.os [0] && platform.architecture [0]);
    MUST (platform_from_parts (&again, platform.os, platform.architecture, platform.variant, &err) == 0);
    MUST (platform_equal (&platform, &again));
}

FUZZ_TARGET (manifest)
{
    size_t length;
    fuzz_input_t input = { data, size };
    AUTO_FREE char *type = fuzz_line (&input, NULL);
    AUTO_FREE char *text = fuzz_rest (&input, &length);
    if (strcmp (type, "config") == 0)
        read_config (text, length);
    else {
        read_image (type, text, length);
        read_index (type, text, length);
    }
}
