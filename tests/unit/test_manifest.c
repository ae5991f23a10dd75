/* test_manifest.c - documents that are taken, and each reason for which one is not (common/manifest.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/manifest.h"
#include "common/registry.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX
#define CONFIG "{\"mediaType\":\"" MEDIA_OCI_CONFIG "\",\"digest\":\"" DIGEST "\",\"size\":7}"
#define DOCKER_CONFIG "{\"mediaType\":\"" MEDIA_DOCKER_CONFIG "\",\"digest\":\"" DIGEST "\",\"size\":7}"
#define LAYER "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"" DIGEST "\",\"size\":42}"
#define TYPE "\"mediaType\":\"" MEDIA_OCI_MANIFEST "\","
#define IMAGE(members) "{\"schemaVersion\":2," TYPE members "}"

typedef struct {
    const char *name, *text;        /* text: of the error; NULL: good */
    const char *media_type, *document;
} case_t;

static void check_case (const case_t *one, int rc, const err_t *err)
{
    if (!one->text && rc == 0)
        return;
    if (one->text && rc == -1 && err->code == ERR_VERIFY && strstr (err->text, one->text))
        return;
    fail_msg ("%s: %s (%s)", one->name, rc == 0 ? "taken" : err->text, err_name (err->code));
}

/* -- images -------------------------------------------------------------------------------------------------------- */

static const case_t images [] = {
    { "good", NULL, MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG ",\"layers\":[" LAYER "," LAYER "]") },
    { "no layers is good", NULL, MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG ",\"layers\":[]") },
    { "OCI without mediaType is good", NULL, MEDIA_OCI_MANIFEST,
      "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[" LAYER "],\"annotations\":{\"Layers\":\"é\"}}" },
    { "docker's", NULL, MEDIA_DOCKER_MANIFEST, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_DOCKER_MANIFEST "\",\"config\":"
      DOCKER_CONFIG ",\"layers\":[" LAYER "]}" },
    { "docker's without mediaType", "the document says", MEDIA_DOCKER_MANIFEST,
      "{\"schemaVersion\":2,\"config\":" DOCKER_CONFIG ",\"layers\":[" LAYER "]}" },
    { "an index's type", "no media type of an image", MEDIA_OCI_INDEX, IMAGE ("\"config\":" CONFIG ",\"layers\":[]") },
    { "another type inside", "the document says", MEDIA_OCI_MANIFEST,
      "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\",\"config\":" CONFIG ",\"layers\":[]}" },
    { "a mediaType that is no text", "the document says", MEDIA_OCI_MANIFEST,
      "{\"schemaVersion\":2,\"mediaType\":7,\"config\":" CONFIG ",\"layers\":[]}" },
    { "no JSON", "no JSON", MEDIA_OCI_MANIFEST, "<html>busy</html>" },
    { "an array", "no JSON object", MEDIA_OCI_MANIFEST, "[]" },
    { "nothing", "no JSON", MEDIA_OCI_MANIFEST, "" },
    { "bytes behind the end", "no JSON", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG ",\"layers\":[]") "{}" },
    { "schemaVersion 1", "schemaVersion", MEDIA_OCI_MANIFEST, "{\"schemaVersion\":1,\"config\":" CONFIG ",\"layers\":[]}" },
    { "schemaVersion as a text", "schemaVersion", MEDIA_OCI_MANIFEST,
      "{\"schemaVersion\":\"2\",\"config\":" CONFIG ",\"layers\":[]}" },
    { "layers twice", "duplicate", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG ",\"layers\":[],\"layers\":[" LAYER "]") },
    { "Layers beside layers", "\"Layers\"", MEDIA_OCI_MANIFEST,
      IMAGE ("\"config\":" CONFIG ",\"layers\":[],\"Layers\":[" LAYER "]") },
    { "a long s, which Go folds", "others may take", MEDIA_OCI_MANIFEST,
      IMAGE ("\"config\":" CONFIG ",\"layers\":[],\"layer\u017f\":[" LAYER "]") },
    { "Digest beside digest", "\"Digest\"", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":{\"mediaType\":\"" MEDIA_OCI_CONFIG
      "\",\"digest\":\"" DIGEST "\",\"Digest\":\"" DIGEST "\",\"size\":7},\"layers\":[]") },
    { "manifests beside layers", "read as an index", MEDIA_OCI_MANIFEST,
      IMAGE ("\"config\":" CONFIG ",\"layers\":[],\"manifests\":[]") },
    { "no config", "config: a descriptor without", MEDIA_OCI_MANIFEST, IMAGE ("\"layers\":[]") },
    { "a config of another kind", "this is no image", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" LAYER ",\"layers\":[]") },
    { "docker's config in OCI", "this is no image", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" DOCKER_CONFIG ",\"layers\":[]") },
    { "a huge config", "a config of 9000000000 bytes", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":{\"mediaType\":\""
      MEDIA_OCI_CONFIG "\",\"digest\":\"" DIGEST "\",\"size\":9000000000},\"layers\":[]") },
    { "no layers member", "without layers", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG) },
    { "layers as an object", "without layers", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG ",\"layers\":{}") },
    { "a layer without size", "layer 2: a descriptor without", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG ",\"layers\":["
      LAYER ",{\"mediaType\":\"x\",\"digest\":\"" DIGEST "\"}]") },
    { "a size below 0", "below 0", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG
      ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"" DIGEST "\",\"size\":-1}]") },
    { "a size with a fraction", "without mediaType, digest or size", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG
      ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"" DIGEST "\",\"size\":1.5}]") },
    { "a size beyond 64 bits", "no JSON", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG
      ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"" DIGEST "\",\"size\":99999999999999999999}]") },
    { "a short digest", "is no sha256 digest", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG
      ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"sha256:abc\",\"size\":1}]") },
    { "a digest in capitals", "is no sha256 digest", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG
      ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"SHA256:" HEX "\",\"size\":1}]") },
    { "sha512", "is no sha256 digest", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG
      ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"sha512:" HEX HEX "\",\"size\":1}]") },
    { "urls", "urls", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"" DIGEST
      "\",\"size\":1,\"urls\":[\"https://elsewhere.lan/\"]}]") },
    { "data", "data", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":{\"mediaType\":\"" MEDIA_OCI_CONFIG "\",\"digest\":\"" DIGEST
      "\",\"size\":2,\"data\":\"e30=\"},\"layers\":[]") },
    { "17 levels", "nested deeper", MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG ",\"layers\":[],\"a\":"
      "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]") },
    { "16 levels are good", NULL, MEDIA_OCI_MANIFEST, IMAGE ("\"config\":" CONFIG ",\"layers\":[],\"a\":"
      "[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]") },
};

static void test_images_are_taken_or_refused_with_the_reason (void **state)
{
    (void) state;
    image_manifest_t *image = mem_alloc (sizeof *image);
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
        err_t err = { 0 };
        const char *document = images [i].document;
        check_case (&images [i], manifest_parse_image (document, strlen (document), images [i].media_type, image, &err), &err);
    }
    free (image);
}

static void test_an_image_is_read_whole (void **state)
{
    (void) state;
    const char *document = images [0].document;
    err_t err = { 0 };
    image_manifest_t *image = mem_alloc (sizeof *image);
    assert_int_equal (manifest_parse_image (document, strlen (document), MEDIA_OCI_MANIFEST, image, &err), 0);
    assert_string_equal (image->config.digest, DIGEST);
    assert_int_equal (image->config.size_bytes, 7);
    assert_int_equal (image->layer_count, 2);
    assert_int_equal (image->layers [1].size_bytes, 42);
    assert_string_equal (image->layers [1].media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
    free (image);
}

static void test_layers_of_unknown_kinds_are_not_published (void **state)
{
    (void) state;
    static const struct { const char *type; packing_t packing; } kinds [] = {
        { "application/vnd.oci.image.layer.v1.tar", PACKED_NOT }, { "application/vnd.oci.image.layer.v1.tar+gzip", PACKED_GZIP },
        { "application/vnd.oci.image.layer.v1.tar+zstd", PACKED_ZSTD }, { "application/vnd.docker.image.rootfs.diff.tar.gzip", PACKED_GZIP },
        { "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", PACKED_UNKNOWN }, { "", PACKED_UNKNOWN },
        { "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", PACKED_UNKNOWN }, { "application/vnd.in-toto+json", PACKED_UNKNOWN },
        { "application/vnd.oci.image.layer.v1.tar+gzip+encrypted", PACKED_UNKNOWN }, { "Application/vnd.oci.image.layer.v1.tar", PACKED_UNKNOWN },
    };
    image_manifest_t *image = mem_alloc (sizeof *image);
    image->layer_count = 2;
    strcpy (image->layers [0].media_type, kinds [0].type);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        err_t err = { 0 };
        strcpy (image->layers [1].media_type, kinds [i].type);
        assert_int_equal (media_packing (kinds [i].type), kinds [i].packing);
        assert_int_equal (manifest_check_layers (image, &err), kinds [i].packing == PACKED_UNKNOWN ? -1 : 0);
        assert_true (err.code == ERR_NONE || (err.code == ERR_VERIFY && strstr (err.text, "layer 2")));
    }
    free (image);
}

static void add_layers (buffer_t *out, int count)
{
    buffer_text (out, "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[");
    for (int i = 0; i < count; i++)
        buffer_printf (out, "%s" LAYER, i ? "," : "");
    buffer_text (out, "]}");
}

static void test_numbers_and_sizes_are_bounded (void **state)
{
    (void) state;
    image_manifest_t *image = mem_alloc (sizeof *image);
    err_t err = { 0 };
    buffer_t most = { 0 }, many = { 0 }, big = { 0 };
    add_layers (&most, MANIFEST_LAYERS_MAX);
    assert_int_equal (manifest_parse_image (most.data, most.size, MEDIA_OCI_MANIFEST, image, &err), 0);
    add_layers (&many, MANIFEST_LAYERS_MAX + 1);
    assert_int_equal (manifest_parse_image (many.data, many.size, MEDIA_OCI_MANIFEST, image, &err), -1);
    assert_non_null (strstr (err.text, "513 layers"));
    buffer_text (&big, images [0].document);
    while (big.size <= MANIFEST_BYTES_MAX)
        buffer_text (&big, "                                                                ");
    assert_int_equal (manifest_parse_image (big.data, big.size, MEDIA_OCI_MANIFEST, image, &err), -1);
    assert_non_null (strstr (err.text, "more than 4194304"));
    buffer_free (&most);
    buffer_free (&many);
    buffer_free (&big);
    free (image);
}

/* -- configs ------------------------------------------------------------------------------------------------------- */

#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST "\"]}"

static const case_t configs [] = {
    { "good", NULL, "linux/arm64", "{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"," ROOTFS "}" },
    { "a former name", NULL, "linux/amd64", "{\"os\":\"Linux\",\"architecture\":\"x86_64\"," ROOTFS "}" },
    { "labels may be named as they like", NULL, "linux/amd64",
      "{\"os\":\"linux\",\"architecture\":\"amd64\"," ROOTFS ",\"config\":{\"Labels\":{\"OS\":\"é\"}}}" },
    { "no os", "without os", "", "{\"architecture\":\"arm64\"," ROOTFS "}" },
    { "no architecture", "without os or architecture", "", "{\"os\":\"linux\"," ROOTFS "}" },
    { "nonsense", "is no platform", "", "{\"os\":\"linux\",\"architecture\":\"a b\"," ROOTFS "}" },
    { "no rootfs", "rootfs.diff_ids", "", "{\"os\":\"linux\",\"architecture\":\"arm64\"}" },
    { "rootfs of another type", "rootfs.diff_ids", "",
      "{\"os\":\"linux\",\"architecture\":\"arm64\",\"rootfs\":{\"type\":\"tar\",\"diff_ids\":[]}}" },
    { "a diff_id that is none", "diff_id 1", "",
      "{\"os\":\"linux\",\"architecture\":\"arm64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[7]}}" },
    { "a diff_id of another algorithm", "no sha256 digest", "",
      "{\"os\":\"linux\",\"architecture\":\"arm64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha512:" HEX HEX "\"]}}" },
    { "os twice", "duplicate", "", "{\"os\":\"linux\",\"os\":\"linux\",\"architecture\":\"arm64\"," ROOTFS "}" },
    { "Architecture beside architecture", "\"Architecture\"", "",
      "{\"os\":\"linux\",\"architecture\":\"arm64\",\"Architecture\":\"amd64\"," ROOTFS "}" },
    { "no JSON", "no JSON", "", "{" },
};

static void test_configs_are_taken_or_refused_with_the_reason (void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        err_t err = { 0 };
        platform_t platform;
        size_t diff_ids = 0;
        char text [PLATFORM_MAX];
        int rc = manifest_parse_config (configs [i].document, strlen (configs [i].document), &platform, &diff_ids, &err);
        check_case (&configs [i], rc, &err);
        if (rc < 0)
            continue;
        platform_format (&platform, text);
        assert_string_equal (text, configs [i].media_type);
        assert_int_equal (diff_ids, 1);
    }
}

static void test_diff_ids_are_read (void **state)
{
    (void) state;
    char ids [1] [OCI_DIGEST_SIZE];
    const char *two = "{\"os\":\"linux\",\"architecture\":\"arm64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST "\",\"" DIGEST "\"]}}";
    err_t err;
    assert_int_equal (manifest_diff_ids (configs [0].document, strlen (configs [0].document), ids, 1, &err), 1);
    assert_string_equal (ids [0], DIGEST);
    assert_int_equal (manifest_diff_ids (two, strlen (two), ids, 1, &err), -1);
    assert_non_null (strstr (err.text, "2 diff_ids, more than 1"));
}

/* -- indexes ------------------------------------------------------------------------------------------------------- */

#define CHILD "{\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"" DIGEST "\",\"size\":7"
#define INDEX(members) "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\"," members "}"

static const case_t indexes [] = {
    { "good", NULL, MEDIA_OCI_INDEX, INDEX ("\"manifests\":[" CHILD ",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\","
      "\"variant\":\"v7\"}}," CHILD "}]") },
    { "what buildx adds", NULL, MEDIA_OCI_INDEX,
      INDEX ("\"manifests\":[" CHILD ",\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}}]") },
    { "an image's type", "no media type of an index", MEDIA_OCI_MANIFEST, INDEX ("\"manifests\":[]") },
    { "layers", "read as an image", MEDIA_OCI_INDEX, INDEX ("\"manifests\":[],\"layers\":[]") },
    { "a config", "read as an image", MEDIA_OCI_INDEX, INDEX ("\"manifests\":[],\"config\":{}") },
    { "no manifests", "an index has", MEDIA_OCI_INDEX, INDEX ("\"annotations\":{}") },
    { "docker's without mediaType", "the document says", MEDIA_DOCKER_LIST, "{\"schemaVersion\":2,\"manifests\":[]}" },
    { "a platform without os", "manifest 1 of the index", MEDIA_OCI_INDEX,
      INDEX ("\"manifests\":[" CHILD ",\"platform\":{\"architecture\":\"arm64\"}}]") },
    { "OS beside os", "\"OS\"", MEDIA_OCI_INDEX,
      INDEX ("\"manifests\":[" CHILD ",\"platform\":{\"os\":\"linux\",\"OS\":\"windows\",\"architecture\":\"arm64\"}}]") },
};

static void test_indexes_are_taken_or_refused_with_the_reason (void **state)
{
    (void) state;
    image_index_t *index = mem_alloc (sizeof *index);
    for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++) {
        err_t err = { 0 };
        const char *document = indexes [i].document;
        check_case (&indexes [i], manifest_parse_index (document, strlen (document), indexes [i].media_type, index, &err), &err);
    }
    free (index);
}

static descriptor_t child_of (const char *media_type, char last, const char *platform)
{
    descriptor_t child = { .digest = DIGEST, .size_bytes = 1000 + last };
    err_t err;
    snprintf (child.media_type, sizeof child.media_type, "%s", media_type);
    child.digest [strlen (child.digest) - 1] = last;
    assert_int_equal (platform_parse (&child.platform, platform, &err), 0);
    return child;
}

static void test_a_composed_index_is_read_back_in_its_order (void **state)
{
    (void) state;
    const descriptor_t children [] = { child_of (MEDIA_OCI_MANIFEST, '1', "linux/arm/v7"),
                                       child_of (MEDIA_OCI_MANIFEST, '2', "linux/amd64") };
    image_index_t *index = mem_alloc (sizeof *index);
    buffer_t bytes = { 0 }, again = { 0 };
    char type [128];
    err_t err = { 0 };
    manifest_compose_index (children, 2, NULL, &bytes, type);
    manifest_compose_index (children, 2, NULL, &again, type);
    assert_string_equal (type, MEDIA_OCI_INDEX);
    assert_int_equal (bytes.size, again.size);
    assert_memory_equal (bytes.data, again.data, bytes.size);
    assert_int_equal (manifest_parse_index (bytes.data, bytes.size, type, index, &err), 0);
    assert_int_equal (index->child_count, 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal (index->children [i].digest, children [i].digest);
        assert_string_equal (index->children [i].media_type, MEDIA_OCI_MANIFEST);
        assert_int_equal (index->children [i].size_bytes, children [i].size_bytes);
        assert_true (platform_equal (&index->children [i].platform, &children [i].platform));
    }
    const char *variant = strstr ((char *) bytes.data, "variant");
    assert_non_null (variant);
    assert_null (strstr (variant + 1, "variant"));          /* only where it is not empty */
    buffer_free (&bytes);
    buffer_free (&again);
    free (index);
}

static void test_the_index_of_docker_images_is_a_docker_list (void **state)
{
    (void) state;
    const descriptor_t child = child_of (MEDIA_DOCKER_MANIFEST, '1', "linux/amd64");
    buffer_t bytes = { 0 };
    char type [128];
    manifest_compose_index (&child, 1, NULL, &bytes, type);
    assert_string_equal (type, MEDIA_DOCKER_LIST);
    assert_non_null (strstr ((char *) bytes.data, MEDIA_DOCKER_LIST));
    assert_true (media_is_index (type));
    buffer_free (&bytes);
}

/* In a Docker list there is no place for it. */
static void test_an_index_names_what_its_images_begin_with (void **state)
{
    static const char *const types [] = { MEDIA_OCI_MANIFEST, MEDIA_DOCKER_MANIFEST };
    const base_image_t base = { "r.lan/base:1", "sha256:1" };
    (void) state;
    for (int i = 0; i < 2; i++) {
        const descriptor_t child = child_of (types [i], '1', "linux/amd64");
        AUTO_BUFFER buffer_t bytes = { 0 };
        char type [128];
        manifest_compose_index (&child, 1, &base, &bytes, type);
        AUTO_JSON json_t *index = json_loadb ((const char *) bytes.data, bytes.size, 0, NULL);
        AUTO_JSON json_t *expected = json_pack ("{s:s, s:s}", "org.opencontainers.image.base.name", base.name, "org.opencontainers.image.base.digest", base.digest);
        json_t *annotations = json_object_get (index, "annotations");
        assert_true (i == 0 ? json_equal (annotations, expected) : !annotations);
    }
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (test_images_are_taken_or_refused_with_the_reason),
        cmocka_unit_test (test_an_image_is_read_whole),
        cmocka_unit_test (test_layers_of_unknown_kinds_are_not_published),
        cmocka_unit_test (test_numbers_and_sizes_are_bounded),
        cmocka_unit_test (test_configs_are_taken_or_refused_with_the_reason),
        cmocka_unit_test (test_diff_ids_are_read),
        cmocka_unit_test (test_indexes_are_taken_or_refused_with_the_reason),
        cmocka_unit_test (test_a_composed_index_is_read_back_in_its_order),
        cmocka_unit_test (test_the_index_of_docker_images_is_a_docker_list),
        cmocka_unit_test (test_an_index_names_what_its_images_begin_with),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
