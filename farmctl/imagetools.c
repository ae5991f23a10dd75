/* imagetools.c - farmctl imagetools inspect REF: what a registry has under a reference, asked of the registry itself. */
#include <stdio.h>
#include <string.h>

#include "common/docker_config.h"
#include "common/manifest.h"
#include "common/registry.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/verbs.h"

/* -- the document, which both forms of output show ----------------------------------------------------------------- */

static json_t *platform_text (const platform_t *platform)
{
    char text [PLATFORM_MAX];
    if (!platform->os [0])
        return json_null ();
    platform_format (platform, text);
    return json_string (text);
}

static json_t *describe (const descriptor_t *descriptor)
{
    return json_pack ("{s:s, s:s, s:I}", "media_type", descriptor->media_type, "digest", descriptor->digest,
                      "size", (json_int_t) descriptor->size_bytes);
}

static int add_children (json_t *document, const manifest_t *manifest, err_t *err)
{
    AUTO_FREE image_index_t *index = mem_alloc (sizeof *index);
    if (manifest_parse_index (manifest->bytes.data, manifest->bytes.size, manifest->media_type, index, err) < 0)
        return -1;
    json_t *children = json_array ();
    for (size_t i = 0; i < index->child_count; i++) {
        json_t *child = describe (&index->children [i]);
        json_object_set_new (child, "platform", platform_text (&index->children [i].platform));
        json_array_append_new (children, child);
    }
    json_object_set_new (document, "manifests", children);
    return 0;
}

/* An image says its platform in its config. */
static int add_image (json_t *document, registry_t *registry, const reference_t *ref, const manifest_t *manifest, err_t *err)
{
    AUTO_FREE image_manifest_t *image = mem_alloc (sizeof *image);
    AUTO_BUFFER buffer_t config = { 0 };
    platform_t platform;
    size_t diff_ids;
    if (manifest_parse_image (manifest->bytes.data, manifest->bytes.size, manifest->media_type, image, err) < 0
        || registry_get_blob (registry, ref, image->config.digest, CONFIG_BYTES_MAX, &config, err) < 0
        || manifest_parse_config (config.data, config.size, &platform, &diff_ids, err) < 0)
        return -1;
    json_t *layers = json_array ();
    for (size_t i = 0; i < image->layer_count; i++)
        json_array_append_new (layers, describe (&image->layers [i]));
    json_object_set_new (document, "platform", platform_text (&platform));
    json_object_set_new (document, "config", describe (&image->config));
    json_object_set_new (document, "layers", layers);
    return 0;
}

static json_t *read_document (registry_t *registry, const reference_t *ref, const manifest_t *manifest, err_t *err)
{
    char name [REFERENCE_MAX];
    reference_format (ref, name);
    AUTO_JSON json_t *document = json_pack ("{s:s, s:s, s:s, s:I}", "name", name, "media_type", manifest->media_type,
                                            "digest", manifest->digest, "size", (json_int_t) manifest->bytes.size);
    int rc = media_is_index (manifest->media_type) ? add_children (document, manifest, err)
                                                   : add_image (document, registry, ref, manifest, err);
    if (rc < 0) {
        err_wrap (err, "%s", name);
        return NULL;
    }
    return take (&document);
}

/* -- for people ---------------------------------------------------------------------------------------------------- */

static void print_field (const char *indent, const char *name, const char *value)
{
    AUTO_FREE char *text = output_clean (mem_strdup (value ? value : "-"));
    output_line ("%s%-10s %s", indent, name, text);
}

static void print_member (const json_t *object, const char *indent, const char *name, const char *member)
{
    print_field (indent, name, json_string_value (json_object_get (object, member)));
}

static void print_child (const reference_t *ref, const json_t *child)
{
    AUTO_FREE char *name = mem_printf ("%s/%s@%s", ref->host, ref->path,
                                       json_string_value (json_object_get (child, "digest")));
    output_line ("%s", "");
    print_field ("  ", "Name:", name);
    print_member (child, "  ", "MediaType:", "media_type");
    print_member (child, "  ", "Platform:", "platform");
}

static void print_layer (const json_t *layer)
{
    AUTO_FREE char *text = mem_printf ("%s  %s", json_string_value (json_object_get (layer, "digest")),
                                       output_bytes ((uint64_t) json_integer_value (json_object_get (layer, "size"))));
    print_field ("", "Layer:", text);
}

static void print_document (const reference_t *ref, const json_t *document)
{
    size_t i;
    json_t *item;
    const json_t *children = json_object_get (document, "manifests");
    print_member (document, "", "Name:", "name");
    print_member (document, "", "MediaType:", "media_type");
    print_member (document, "", "Digest:", "digest");
    if (children)
        output_line ("\nManifests:%s", json_array_size (children) ? "" : " none");
    else
        print_member (document, "", "Platform:", "platform");
    json_array_foreach (children, i, item)
        print_child (ref, item);
    json_array_foreach (json_object_get (document, "layers"), i, item)
        print_layer (item);
}

/* -- the verb ------------------------------------------------------------------------------------------------------ */

static int print_raw (const manifest_t *manifest, err_t *err)
{
    if (fwrite (manifest->bytes.data, 1, manifest->bytes.size, stdout) != manifest->bytes.size)
        return err_set (err, ERR_FARM, "standard output cannot be written");
    return 0;
}

static int inspect (registry_t *registry, const reference_t *ref, bool is_raw, err_t *err)
{
    manifest_t manifest = { .media_type = "" };
    AUTO_JSON json_t *document = NULL;
    int rc = registry_get_manifest (registry, ref, &manifest, err);
    if (rc == 0 && is_raw)
        rc = print_raw (&manifest, err);
    else if (rc == 0) {
        document = read_document (registry, ref, &manifest, err);
        rc = document ? 0 : -1;
    }
    manifest_free (&manifest);
    if (rc < 0 || is_raw)
        return rc;
    if (output_is_json ())
        return output_json (take (&document), err);
    print_document (ref, document);
    return 0;
}

int verb_imagetools (int argc, char **argv, err_t *err)
{
    static const char form [] = "imagetools inspect REF [--raw]";
    bool is_raw = false;
    reference_t ref;
    const option_t options [] = { { "raw", 0, OPTION_FLAG, &is_raw }, { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (options, &argc, argv, err) < 0 || options_words (argc, argv, 2, 2, form, err) < 0)
        return -1;
    if (strcmp (argv [1], "inspect") != 0)
        return err_set (err, ERR_USAGE, "imagetools has no \"%s\": farmctl %s", argv [1], form);
    if (reference_parse (&ref, argv [2], err) < 0)
        return -1;
    if (!ref.tag [0] && !ref.digest [0])
        strcpy (ref.tag, "latest");
    const settings_t *settings = options_settings ();
    AUTO_FREE char *fallback = docker_config_default ();
    const char *auth_file = settings_text (settings, "registry/auth-file");
    registry_settings_t registry_settings = {
        .plain_http_hosts = settings_list (settings, "registry/plain-http"),
        .inside_hosts = settings_list (settings, "registry/inside"),
        .auth_file = auth_file ? auth_file : fallback, .certs_folder = settings_text (settings, "registry/certs"),
    };
    AUTO (registry) registry_t *registry = registry_new (&registry_settings);
    return inspect (registry, &ref, is_raw, err);
}
