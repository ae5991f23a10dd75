/* manifest.c - see manifest.h. What a registry sends is parsed strictly: a document that two readers could understand in two
 * ways is refused. */
#include "common/manifest.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/reference.h"
#include "common/registry.h"

enum { JSON_DEPTH_MAX = 16 };

int media_is_index (const char *media_type)
{
    return strcmp (media_type, MEDIA_OCI_INDEX) == 0 || strcmp (media_type, MEDIA_DOCKER_LIST) == 0;
}

packing_t media_packing (const char *media_type)
{
    static const struct { const char *type; packing_t packing; } known [] = {
        { "application/vnd.oci.image.layer.v1.tar+gzip", PACKED_GZIP }, { "application/vnd.oci.image.layer.v1.tar+zstd", PACKED_ZSTD },
        { "application/vnd.oci.image.layer.v1.tar", PACKED_NOT },
        { "application/vnd.docker.image.rootfs.diff.tar.gzip", PACKED_GZIP }, { "application/vnd.docker.image.rootfs.diff.tar.zstd", PACKED_ZSTD },
        { "application/vnd.docker.image.rootfs.diff.tar", PACKED_NOT },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp (media_type, known [i].type) == 0)
            return known [i].packing;
    return PACKED_UNKNOWN;
}

/* -- what all documents share ----------------------------------------------------------------------------------- */

static int is_too_deep (const json_t *value, int depth)
{
    if (!json_is_object (value) && !json_is_array (value))
        return 0;
    if (depth == 0)
        return 1;
    const char *name;
    json_t *member;
    json_object_foreach ((json_t *) value, name, member)
        if (is_too_deep (member, depth - 1))
            return 1;
    for (size_t i = 0; i < json_array_size (value); i++)
        if (is_too_deep (json_array_get (value, i), depth - 1))
            return 1;
    return 0;
}

static json_t *load (const char *what, const void *bytes, size_t size, size_t max, err_t *err)
{
    json_error_t why;
    if (size > max) {
        err_set (err, ERR_VERIFY, "%s of %zu bytes, more than %zu", what, size, max);
        return NULL;
    }
    AUTO_JSON json_t *document = json_loadb (bytes, size, JSON_REJECT_DUPLICATES, &why);
    if (!document || !json_is_object (document)) {
        err_set (err, ERR_VERIFY, "%s is no JSON object: %s", what, document ? "it is something else" : why.text);
        return NULL;
    }
    if (is_too_deep (document, JSON_DEPTH_MAX)) {
        err_set (err, ERR_VERIFY, "%s is nested deeper than %d", what, JSON_DEPTH_MAX);
        return NULL;
    }
    return take (&document);
}

/* Readers written in Go take "Layers" for "layers" (and some letters beyond ASCII for ours): such a name would mean one thing
 * to us and another to them. */
static int check_names (const json_t *object, const char *const *names, err_t *err)
{
    const char *name;
    json_t *member;
    json_object_foreach ((json_t *) object, name, member) {
        int is_odd = 0;
        for (const unsigned char *c = (const unsigned char *) name; *c; c++)
            is_odd |= *c >= 0x80;
        for (const char *const *known = names; *known; known++)
            is_odd |= strcasecmp (name, *known) == 0 && strcmp (name, *known) != 0;
        if (is_odd)
            return err_set (err, ERR_VERIFY, "a member named \"%.64s\", which others may take for another", name);
    }
    return 0;
}

static const char *text_of (const json_t *object, const char *name)
{
    return json_string_value (json_object_get (object, name));
}

/* The one algorithm that every client knows, and that is recomputed here. */
static int is_sha256 (const char *digest)
{
    return digest && strncmp (digest, "sha256:", 7) == 0 && reference_is_digest (digest);
}

/* descriptor.md: mediaType, digest and size are required; `urls` would have clients fetch from elsewhere, and `data` lets them do without
 * the blob that is looked at. */
static int read_descriptor (const json_t *object, descriptor_t *out, err_t *err)
{
    static const char *const names [] = { "mediaType", "digest", "size", "urls", "data", "platform", NULL };
    const char *media_type = text_of (object, "mediaType"), *digest = text_of (object, "digest");
    const json_t *size = json_object_get (object, "size");
    memset (out, 0, sizeof *out);
    if (!json_is_object (object) || !media_type || !digest || !json_is_integer (size))
        return err_set (err, ERR_VERIFY, "a descriptor without mediaType, digest or size");
    if (check_names (object, names, err) < 0)
        return -1;
    if (json_object_get (object, "urls"))
        return err_set (err, ERR_VERIFY, "a descriptor with urls: content from elsewhere is not published");
    if (json_object_get (object, "data"))
        return err_set (err, ERR_VERIFY, "a descriptor with data: others may take that for the blob, without looking at its digest");
    if (!is_sha256 (digest))
        return err_set (err, ERR_VERIFY, "\"%.100s\" is no sha256 digest", digest);
    if (json_integer_value (size) < 0)
        return err_set (err, ERR_VERIFY, "%s has a size below 0", digest);
    if (strlen (media_type) >= sizeof out->media_type)
        return err_set (err, ERR_VERIFY, "%s has a media type of %zu characters", digest, strlen (media_type));
    strcpy (out->media_type, media_type);
    strcpy (out->digest, digest);
    out->size_bytes = json_integer_value (size);
    return 0;
}

/* schemaVersion is 2; a mediaType inside has to be the one that the registry declared (and Docker's types require one). */
static int check_head (const json_t *document, const char *declared, err_t *err)
{
    static const char *const names [] = { "schemaVersion", "mediaType", "config", "layers", "manifests", NULL };
    const json_t *version = json_object_get (document, "schemaVersion");
    const char *own = text_of (document, "mediaType");
    if (!json_is_integer (version) || json_integer_value (version) != 2)
        return err_set (err, ERR_VERIFY, "schemaVersion is not 2");
    if (check_names (document, names, err) < 0)
        return -1;
    if (json_object_get (document, "mediaType") ? !own || strcmp (own, declared) != 0
                                                : strncmp (declared, "application/vnd.docker.", 23) == 0)
        return err_set (err, ERR_VERIFY, "the document says it is %.100s, the registry %.100s", own ? own : "nothing",
                        declared);
    return 0;
}

/* -- one image -------------------------------------------------------------------------------------------------- */

static int is_config_of (const char *config, const char *manifest)
{
    if (strcmp (manifest, MEDIA_OCI_MANIFEST) == 0)
        return strcmp (config, MEDIA_OCI_CONFIG) == 0;
    return strcmp (config, MEDIA_DOCKER_CONFIG) == 0;
}

static int read_layers (const json_t *layers, image_manifest_t *out, err_t *err)
{
    if (!json_is_array (layers))
        return err_set (err, ERR_VERIFY, "a manifest without layers");
    if (json_array_size (layers) > MANIFEST_LAYERS_MAX)
        return err_set (err, ERR_VERIFY, "%zu layers, more than %d", json_array_size (layers), MANIFEST_LAYERS_MAX);
    out->layer_count = json_array_size (layers);
    for (size_t i = 0; i < out->layer_count; i++)
        if (read_descriptor (json_array_get (layers, i), &out->layers [i], err) < 0)
            return err_wrap (err, "layer %zu", i + 1);
    return 0;
}

int manifest_parse_image (const void *bytes, size_t size, const char *media_type, image_manifest_t *out, err_t *err)
{
    if (strcmp (media_type, MEDIA_OCI_MANIFEST) != 0 && strcmp (media_type, MEDIA_DOCKER_MANIFEST) != 0)
        return err_set (err, ERR_VERIFY, "%.100s is no media type of an image's manifest", media_type);
    AUTO_JSON json_t *document = load ("a manifest", bytes, size, MANIFEST_BYTES_MAX, err);
    if (!document || check_head (document, media_type, err) < 0)
        return -1;
    if (json_object_get (document, "manifests"))
        return err_set (err, ERR_VERIFY, "a manifest with `manifests`: it could be read as an index");
    if (read_descriptor (json_object_get (document, "config"), &out->config, err) < 0)
        return err_wrap (err, "config");
    if (!is_config_of (out->config.media_type, media_type))
        return err_set (err, ERR_VERIFY, "the config's media type is %s: this is no image", out->config.media_type);
    if (out->config.size_bytes > CONFIG_BYTES_MAX)
        return err_set (err, ERR_VERIFY, "a config of %lld bytes, more than %d", (long long) out->config.size_bytes,
                        CONFIG_BYTES_MAX);
    return read_layers (json_object_get (document, "layers"), out, err);
}

/* Foreign layers are fetched from their owner, and not from a registry; what else there may be, nobody could look into. */
int manifest_check_layers (const image_manifest_t *image, err_t *err)
{
    for (size_t i = 0; i < image->layer_count; i++)
        if (media_packing (image->layers [i].media_type) == PACKED_UNKNOWN)
            return err_set (err, ERR_VERIFY, "layer %zu has the media type %.100s, and what is published has a tar there, plain or with gzip or zstd",
                            i + 1, image->layers [i].media_type);
    return 0;
}

/* A new reference; NULL with err. */
static json_t *load_config (const void *bytes, size_t size, err_t *err)
{
    static const char *const names [] = { "os", "architecture", "variant", "rootfs", NULL };
    static const char *const rootfs_names [] = { "type", "diff_ids", NULL };
    AUTO_JSON json_t *document = load ("a config", bytes, size, CONFIG_BYTES_MAX, err);
    if (!document || check_names (document, names, err) < 0
        || check_names (json_object_get (document, "rootfs"), rootfs_names, err) < 0)
        return NULL;
    return take (&document);
}

/* Borrowed of the document; NULL with err. */
static const json_t *diff_ids_of (const json_t *document, err_t *err)
{
    const json_t *rootfs = json_object_get (document, "rootfs"), *ids = json_object_get (rootfs, "diff_ids");
    const char *type = text_of (rootfs, "type");
    if (!json_is_array (ids) || !type || strcmp (type, "layers") != 0) {
        err_set (err, ERR_VERIFY, "a config without rootfs.diff_ids");
        return NULL;
    }
    for (size_t i = 0; i < json_array_size (ids); i++)
        if (!is_sha256 (json_string_value (json_array_get (ids, i)))) {
            err_set (err, ERR_VERIFY, "diff_id %zu is no sha256 digest", i + 1);
            return NULL;
        }
    return ids;
}

int manifest_diff_ids (const void *bytes, size_t size, char (*out) [OCI_DIGEST_SIZE], size_t max, err_t *err)
{
    AUTO_JSON json_t *document = load_config (bytes, size, err);
    const json_t *ids = document ? diff_ids_of (document, err) : NULL;
    if (!ids)
        return -1;
    if (json_array_size (ids) > max)
        return err_set (err, ERR_VERIFY, "%zu diff_ids, more than %zu", json_array_size (ids), max);
    for (size_t i = 0; i < json_array_size (ids); i++)
        strcpy (out [i], json_string_value (json_array_get (ids, i)));
    return (int) json_array_size (ids);
}

int manifest_parse_config (const void *bytes, size_t size, platform_t *platform, size_t *diff_ids, err_t *err)
{
    AUTO_JSON json_t *document = load_config (bytes, size, err);
    const json_t *ids = document ? diff_ids_of (document, err) : NULL;
    if (!ids)
        return -1;
    *diff_ids = json_array_size (ids);
    return platform_from_parts (platform, text_of (document, "os"), text_of (document, "architecture"),
                                text_of (document, "variant"), err);
}

/* -- an index --------------------------------------------------------------------------------------------------- */

static int read_child (const json_t *item, descriptor_t *child, err_t *err)
{
    if (read_descriptor (item, child, err) < 0)
        return -1;
    static const char *const platform_names [] = { "os", "architecture", "variant", NULL };
    const json_t *platform = json_object_get (item, "platform");
    if (!platform)
        return 0;
    if (check_names (platform, platform_names, err) < 0)
        return -1;
    return platform_from_parts (&child->platform, text_of (platform, "os"), text_of (platform, "architecture"),
                                text_of (platform, "variant"), err);
}

int manifest_parse_index (const void *bytes, size_t size, const char *media_type, image_index_t *out, err_t *err)
{
    if (!media_is_index (media_type))
        return err_set (err, ERR_VERIFY, "%.100s is no media type of an index", media_type);
    AUTO_JSON json_t *document = load ("an index", bytes, size, MANIFEST_BYTES_MAX, err);
    if (!document || check_head (document, media_type, err) < 0)
        return -1;
    const json_t *children = json_object_get (document, "manifests");
    if (json_object_get (document, "layers") || json_object_get (document, "config"))
        return err_set (err, ERR_VERIFY, "an index with `layers` or `config`: it could be read as an image");
    if (!json_is_array (children) || json_array_size (children) > INDEX_CHILDREN_MAX)
        return err_set (err, ERR_VERIFY, "an index has 0 to %d manifests", INDEX_CHILDREN_MAX);
    snprintf (out->media_type, sizeof out->media_type, "%s", media_type);
    out->child_count = json_array_size (children);
    for (size_t i = 0; i < out->child_count; i++)
        if (read_child (json_array_get (children, i), &out->children [i], err) < 0)
            return err_wrap (err, "manifest %zu of the index", i + 1);
    return 0;
}

static json_t *write_child (const descriptor_t *child)
{
    json_t *platform = json_pack ("{s:s, s:s}", "architecture", child->platform.architecture, "os", child->platform.os);
    if (child->platform.variant [0])
        json_object_set_new (platform, "variant", json_string (child->platform.variant));
    return json_pack ("{s:s, s:s, s:I, s:o}", "mediaType", child->media_type, "digest", child->digest,
                      "size", (json_int_t) child->size_bytes, "platform", platform);
}

void manifest_compose_index (const descriptor_t *children, size_t count, const base_image_t *base, buffer_t *out, char media_type [128])
{
    int is_docker = count > 0 && strcmp (children [0].media_type, MEDIA_DOCKER_MANIFEST) == 0;
    snprintf (media_type, 128, "%s", is_docker ? MEDIA_DOCKER_LIST : MEDIA_OCI_INDEX);
    json_t *manifests = json_array ();
    for (size_t i = 0; i < count; i++)
        json_array_append_new (manifests, write_child (&children [i]));
    AUTO_JSON json_t *index = json_pack ("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType", media_type,
                                         "manifests", manifests);
    if (base && !is_docker)
        json_object_set_new (index, "annotations", json_pack ("{s:s, s:s}", "org.opencontainers.image.base.name", base->name,
                                                              "org.opencontainers.image.base.digest", base->digest));
    AUTO_FREE char *text = json_dumps (index, JSON_INDENT (2) | JSON_PRESERVE_ORDER);
    buffer_clear (out);
    buffer_text (out, text);
}
