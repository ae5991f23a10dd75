/* test_publish.c - an image is verified and an index published, in Debian's docker-registry; and each way in which an image is not
 * what was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "coordinator/publish.h"
#include "coordinator/publishers.h"
#include "coordinator/verify.h"
#include "registries.h"

enum { BIG = 3 * 1024 * 1024 };

static server_t server;
static bool has_registry;
static registry_t *client;
static bool moved [4];                      /* of what was published last */
static bool is_known;                       /* what is verified */

static int set_up (void **state)
{
    (void) state;
    has_registry = real_begin (&server, &client);
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    real_end (&server, &client);
    return 0;
}

/* -- images -------------------------------------------------------------------------------------------------------- */

/* What an image is to be, and what is wrong with it. */
typedef struct {
    const char *architecture, *variant;
    const char *layer;
    size_t layer_size;
    long long size_error;                   /* what the manifest says too much */
    int diff_ids;                           /* 0: as many as layers, which is one */
} image_t;

static void compose (const image_t *image, const char *config, size_t config_size, const char *layer, manifest_t *out)
{
    buffer_clear (&out->bytes);
    snprintf (out->media_type, sizeof out->media_type, MEDIA_OCI_MANIFEST);
    buffer_printf (&out->bytes, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"config\":{\"mediaType\":\""
                   MEDIA_OCI_CONFIG "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"
                   "\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%lld}]}", config, config_size, layer,
                   (long long) image->layer_size + image->size_error);
    oci_digest_of (out->bytes.data, out->bytes.size, out->digest);
}

/* Push an image, its manifest by digest. The caller frees *out. */
static void push_image (const char *path, const image_t *image, manifest_t *out)
{
    char layer [OCI_DIGEST_SIZE], config [OCI_DIGEST_SIZE];
    AUTO_BUFFER buffer_t text = { 0 };
    err_t err = { 0 };
    *out = (manifest_t) { .media_type = "" };
    push_blob (&server, path, NULL, image->layer, image->layer_size, layer);
    buffer_printf (&text, "{\"os\":\"linux\",\"architecture\":\"%s\",\"variant\":\"%s\",\"rootfs\":{\"type\":\"layers\","
                   "\"diff_ids\":[\"%s\"", image->architecture, image->variant ? image->variant : "", layer);
    for (int i = 1; i < image->diff_ids; i++)
        buffer_printf (&text, ",\"%s\"", layer);
    buffer_text (&text, "]}}");
    push_blob (&server, path, NULL, text.data, text.size, config);
    compose (image, config, text.size, layer, out);
    reference_t repository = reference_of (server.host, path);
    if (registry_put_manifest (client, &repository, NULL, out, &err) < 0)
        fail_msg ("%s", err.text);
}

static int verify (const char *path, const char *digest, const char *platform, descriptor_t *out, err_t *err)
{
    AUTO_FREE verification_t *image = mem_alloc (sizeof *image);
    image->reference = reference_of (server.host, path);
    snprintf (image->reference.digest, sizeof image->reference.digest, "%s", digest);
    assert_int_equal (platform_parse (&image->platform, platform, err), 0);
    image->is_known = is_known;
    verify_images (client, client, image, 1);
    *out = image->image;
    *err = image->err;
    return err->code == ERR_NONE ? 0 : -1;
}

static void assert_verified (const char *path, const manifest_t *manifest, const char *platform, descriptor_t *out)
{
    err_t err;
    if (verify (path, manifest->digest, platform, out, &err) < 0)
        fail_msg ("%s", err.text);
}

static void assert_refused (const char *path, const manifest_t *manifest, const char *platform, const char *text)
{
    descriptor_t out;
    err_t err;
    int rc = verify (path, manifest->digest, platform, &out, &err);
    if (rc != -1 || err.code != ERR_VERIFY || !strstr (err.text, text))
        fail_msg ("rc %d, %s: %s", rc, err_name (err.code), err.text);
}

/* -- verify -------------------------------------------------------------------------------------------------------- */

static void test_a_good_image_is_described (void **state)
{
    (void) state;
    if (!has_registry)
        skip ();
    manifest_t manifest;
    descriptor_t image;
    push_image ("verify/good", &(image_t) { "arm64", "v8", "layer", 5, 0, 0 }, &manifest);
    assert_verified ("verify/good", &manifest, "linux/arm64", &image);
    assert_string_equal (image.digest, manifest.digest);
    assert_string_equal (image.media_type, MEDIA_OCI_MANIFEST);
    assert_int_equal (image.size_bytes, manifest.bytes.size);
    assert_string_equal (image.platform.architecture, "arm64");
    manifest_free (&manifest);
}

static void test_an_image_for_another_platform_is_refused (void **state)
{
    (void) state;
    if (!has_registry)
        skip ();
    manifest_t manifest;
    push_image ("verify/platform", &(image_t) { "amd64", NULL, "layer", 5, 0, 0 }, &manifest);
    assert_refused ("verify/platform", &manifest, "linux/arm64", "for linux/amd64, the job was for linux/arm64");
    manifest_free (&manifest);
    push_image ("verify/platform", &(image_t) { "arm", "v6", "layer", 5, 0, 0 }, &manifest);
    assert_refused ("verify/platform", &manifest, "linux/arm/v7", "for linux/arm/v6");
    manifest_free (&manifest);
}

static void test_a_size_that_is_not_the_blobs_is_refused (void **state)
{
    (void) state;
    if (!has_registry)
        skip ();
    manifest_t manifest;
    push_image ("verify/size", &(image_t) { "amd64", NULL, "layer", 5, 1, 0 }, &manifest);
    assert_refused ("verify/size", &manifest, "linux/amd64", "has 5 bytes, the manifest says 6");
    manifest_free (&manifest);
}

static void test_diff_ids_that_do_not_fit_the_layers_are_refused (void **state)
{
    (void) state;
    if (!has_registry)
        skip ();
    manifest_t manifest;
    push_image ("verify/diff", &(image_t) { "amd64", NULL, "layer", 5, 0, 2 }, &manifest);
    assert_refused ("verify/diff", &manifest, "linux/amd64", "1 layers but 2 diff_ids");
    manifest_free (&manifest);
}

/* A registry that takes a manifest whose blobs it has lost. */
static void lose_blob (const char *digest)
{
    AUTO_FREE char *folder = mem_printf ("%s/data/docker/registry/v2/blobs/sha256/%.2s/%s", server.folder, digest + 7,
                                         digest + 7);
    assert_true (file_exists (folder));
    assert_int_equal (file_remove_tree (folder, NULL), 0);
}

static void test_a_missing_blob_is_refused (void **state)
{
    (void) state;
    if (!has_registry)
        skip ();
    manifest_t manifest;
    char layer [OCI_DIGEST_SIZE];
    push_image ("verify/blob", &(image_t) { "amd64", NULL, "lost layer", 10, 0, 0 }, &manifest);
    oci_digest_of ("lost layer", 10, layer);
    lose_blob (layer);
    assert_refused ("verify/blob", &manifest, "linux/amd64", layer);
    manifest_free (&manifest);
}

static void test_a_missing_manifest_or_config_is_refused (void **state)
{
    (void) state;
    if (!has_registry)
        skip ();
    manifest_t manifest;
    image_manifest_t *image = mem_alloc (sizeof *image);
    err_t err;
    push_image ("verify/config", &(image_t) { "riscv64", NULL, "layer", 5, 0, 0 }, &manifest);
    assert_int_equal (manifest_parse_image (manifest.bytes.data, manifest.bytes.size, MEDIA_OCI_MANIFEST, image, &err), 0);
    lose_blob (image->config.digest);
    assert_refused ("verify/config", &manifest, "linux/riscv64", "config sha256:");
    is_known = true;
    assert_refused ("verify/config", &manifest, "linux/riscv64", image->config.digest);
    is_known = false;
    oci_digest_of ("never pushed", 12, manifest.digest);
    assert_refused ("verify/config", &manifest, "linux/riscv64", "has no manifest sha256:");
    manifest_free (&manifest);
    free (image);
}

static void test_an_index_is_no_image (void **state)
{
    (void) state;
    if (!has_registry)
        skip ();
    manifest_t manifest, index = { .media_type = "" };
    descriptor_t child;
    err_t err;
    reference_t repository = reference_of (server.host, "verify/index");
    push_image ("verify/index", &(image_t) { "amd64", NULL, "layer", 5, 0, 0 }, &manifest);
    assert_verified ("verify/index", &manifest, "linux/amd64", &child);
    manifest_compose_index (&child, 1, NULL, &index.bytes, index.media_type);
    oci_digest_of (index.bytes.data, index.bytes.size, index.digest);
    assert_int_equal (registry_put_manifest (client, &repository, NULL, &index, &err), 0);
    assert_refused ("verify/index", &index, "linux/amd64", "no media type of an image");
    manifest_free (&manifest);
    manifest_free (&index);
}

/* Several images at once: each has its own end, and one base image is asked for once. */
static void test_images_are_verified_together (void **state)
{
    (void) state;
    if (!has_registry)
        skip ();
    enum { COUNT = 4 };
    static const char *const architectures [COUNT] = { "arm64", "amd64", "arm64", "amd64" };
    manifest_t manifests [COUNT];
    AUTO_FREE base_t *bases = mem_alloc (2 * sizeof *bases);
    AUTO_FREE verification_t *images = mem_alloc (COUNT * sizeof *images);
    for (int i = 0; i < COUNT; i++) {
        push_image ("verify/many", &(image_t) { architectures [i], NULL, &"layer" [i], 5 - (size_t) i, 0, 0 }, &manifests [i]);
        images [i].reference = reference_of (server.host, "verify/many");
        strcpy (images [i].reference.digest, manifests [i].digest);
        assert_int_equal (platform_parse (&images [i].platform, i == 2 ? "linux/riscv64" : "linux/arm64", NULL), 0);
    }
    err_t err;
    reference_t tag = reference_of (server.host, "verify/many");
    assert_int_equal (registry_put_manifest (client, &tag, "base", &manifests [0], &err), 0);
    for (int i = 0; i < 2; i++) {
        bases [i].reference = reference_of (server.host, "verify/many:base");
        strcpy (bases [i].digest, manifests [i].digest);
        images [i].bases = &bases [i];
        images [i].base_count = 1;
    }
    err_set (&images [3].err, ERR_FARM, "passed over");
    verify_images (client, client, images, COUNT);
    assert_int_equal (images [0].err.code, ERR_NONE);
    assert_string_equal (images [0].image.digest, manifests [0].digest);
    assert_int_equal (images [1].err.code, ERR_STALE);
    assert_non_null (strstr (images [1].err.text, "verify/many:base has changed"));
    assert_int_equal (images [2].err.code, ERR_VERIFY);
    assert_non_null (strstr (images [2].err.text, "the job was for linux/riscv64"));
    assert_string_equal (images [3].err.text, "passed over");
    images [2].err = (err_t) { 0 };
    images [2].is_known = true;             /* its config was read when it was new */
    verify_images (client, client, &images [2], 1);
    assert_int_equal (images [2].err.code, ERR_NONE);
    for (int i = 0; i < COUNT; i++)
        manifest_free (&manifests [i]);
}

/* -- publish ------------------------------------------------------------------------------------------------------- */

static char *make_big (void)
{
    char *big = mem_alloc (BIG);
    for (size_t i = 0; i < BIG; i++)
        big [i] = (char) (i * 2654435761u >> 13);
    return big;
}

typedef struct {
    manifest_t images [2], index;
    descriptor_t children [2];
} built_t;

static void build (built_t *self, const char *path)
{
    AUTO_FREE char *big = make_big ();
    memset (self, 0, sizeof *self);
    push_image (path, &(image_t) { "arm64", NULL, big, BIG, 0, 0 }, &self->images [0]);
    push_image (path, &(image_t) { "amd64", NULL, "layer", 5, 0, 0 }, &self->images [1]);
    assert_verified (path, &self->images [0], "linux/arm64", &self->children [0]);
    assert_verified (path, &self->images [1], "linux/amd64", &self->children [1]);
    manifest_compose_index (self->children, 2, NULL, &self->index.bytes, self->index.media_type);
    oci_digest_of (self->index.bytes.data, self->index.bytes.size, self->index.digest);
}

static void built_free (built_t *self)
{
    manifest_free (&self->images [0]);
    manifest_free (&self->images [1]);
    manifest_free (&self->index);
}

static void assert_published (const built_t *built, const reference_t *tag)
{
    manifest_t back = { .media_type = "" };
    descriptor_t image;
    err_t err = { 0 };
    if (registry_get_manifest (client, tag, &back, &err) < 0)
        fail_msg ("%s", err.text);
    assert_string_equal (back.digest, built->index.digest);
    assert_string_equal (back.media_type, built->index.media_type);
    manifest_free (&back);
    assert_verified (tag->path, &built->images [0], "linux/arm64", &image);
    assert_verified (tag->path, &built->images [1], "linux/amd64", &image);
}

static publication_t publication_of (const built_t *built, const char *source, const reference_t *tags, size_t count)
{
    return (publication_t) { .source = reference_of (server.host, source), .children = built->children, .child_count = 2,
                             .index = &built->index, .tags = tags, .tag_count = count, .moved = moved };
}

static void test_an_index_is_published_under_tags_of_several_repositories (void **state)
{
    (void) state;
    if (!has_registry)
        skip ();
    built_t built;
    build (&built, "team/app");
    const reference_t tags [] = { reference_of (server.host, "team/app:1.4"), reference_of (server.host, "team/app:latest"),
                                  reference_of (server.host, "other/mirror:1.4") };
    publication_t publication = publication_of (&built, "team/app", tags, 3);
    for (int times = 0; times < 2; times++) {               /* a replay ends the same */
        err_t err = { 0 };
        if (publish_index (client, &publication, &err) < 0)
            fail_msg ("%s", err.text);
        for (int i = 0; i < 3; i++)
            assert_published (&built, &tags [i]);
    }
    built_free (&built);
}

static void test_an_image_that_vanished_moves_no_tag (void **state)
{
    (void) state;
    if (!has_registry)
        skip ();
    built_t built;
    err_t err = { 0 };
    manifest_t back = { .media_type = "" };
    build (&built, "vanished/app");
    oci_digest_of ("gone", 4, built.children [1].digest);
    const reference_t tag = reference_of (server.host, "vanished/mirror:1");
    publication_t publication = publication_of (&built, "vanished/app", &tag, 1);
    assert_int_equal (publish_index (client, &publication, &err), -1);
    assert_int_equal (err.code, ERR_VERIFY);
    assert_int_equal (registry_get_manifest (client, &tag, &back, &err), -1);
    assert_int_equal (err.code, ERR_NOT_FOUND);
    manifest_free (&back);
    built_free (&built);
}

/* -- blobs between repositories, in a registry that will not mount ------------------------------------------------- */

static char *big_script (const char *rules)
{
    AUTO_FREE char *text = mem_alloc (BIG / 8 + 1);
    memset (text, 'b', BIG / 8);
    return mem_printf ("{\"mounts\":false,\"blobs\":{\"from/app\":[\"%s\"]},\"rules\":[%s]}", text, rules);
}

static int copy_in_fake (server_t *fake, const char *rules, err_t *err)
{
    AUTO_FREE char *script = big_script (rules);
    AUTO_FREE char *text = mem_alloc (BIG / 8 + 1);
    char digest [OCI_DIGEST_SIZE];
    int64_t size = 0;
    memset (text, 'b', BIG / 8);
    oci_digest_of (text, BIG / 8, digest);
    fake_start (fake, script);
    registry_t *of_fake = client_of (fake, NULL);
    reference_t from = reference_of (fake->host, "from/app"), to = reference_of (fake->host, "to/app");
    memset (err, 0, sizeof *err);
    int rc = registry_copy_blob (of_fake, &from, &to, digest, BIG / 8, err);
    if (rc == 0) {
        assert_int_equal (registry_head_blob (of_fake, &to, digest, &size, err), 0);
        assert_int_equal (size, BIG / 8);
        assert_int_equal (registry_copy_blob (of_fake, &from, &to, digest, BIG / 8, err), 0);
    }
    registry_destroy (&of_fake);
    return rc;
}

static void test_a_blob_that_cannot_be_mounted_is_copied_once (void **state)
{
    (void) state;
    server_t fake;
    err_t err;
    if (copy_in_fake (&fake, "", &err) < 0)
        fail_msg ("%s", err.text);
    assert_int_equal (fake_requests (&fake, "POST", "mount="), 1);
    assert_int_equal (fake_requests (&fake, "GET", "from/app/blobs"), 1);
    assert_int_equal (fake_requests (&fake, "PUT", "to/app/blobs"), 1);
    server_stop (&fake);
}

static void test_a_registry_that_refuses_to_mount_gets_a_copy (void **state)
{
    (void) state;
    server_t fake;
    err_t err;
    if (copy_in_fake (&fake, "{\"path\":\"mount=\",\"status\":405}", &err) < 0)
        fail_msg ("%s", err.text);
    assert_int_equal (fake_requests (&fake, "PUT", "to/app/blobs"), 1);
    server_stop (&fake);
}

static void test_a_copy_that_breaks_off_is_begun_again (void **state)
{
    (void) state;
    server_t fake;
    err_t err;
    int rc = copy_in_fake (&fake, "{\"method\":\"PUT\",\"times\":1,\"status\":502},{\"method\":\"GET\",\"path\":\"from/app\","
                           "\"times\":1,\"skip\":1,\"status\":200,\"body\":\"bbb\",\"length\":393216}", &err);
    if (rc < 0)
        fail_msg ("%s", err.text);
    assert_int_equal (fake_requests (&fake, "GET", "from/app/blobs"), 3);
    server_stop (&fake);
}

static void test_other_bytes_are_not_copied (void **state)
{
    (void) state;
    server_t fake;
    err_t err;
    assert_int_equal (copy_in_fake (&fake, "{\"method\":\"GET\",\"path\":\"from/app\",\"status\":200,\"body\":\"short\"}", &err), -1);
    assert_int_equal (err.code, ERR_VERIFY);
    assert_non_null (strstr (err.text, "has 5 bytes"));
    assert_int_equal (fake_requests (&fake, "PUT", ""), 0);
    server_stop (&fake);
}

/* A fake registry with an empty index in it, under tags 1 and 2 of team/app and 1 of other/app. */
typedef struct {
    server_t fake;
    registry_t *client;
    manifest_t index;
    reference_t tags [3];
    int puts;                               /* so many */
} standing_t;

static void standing_start (standing_t *self)
{
    err_t err;
    memset (self, 0, sizeof *self);
    fake_start (&self->fake, "{}");
    self->client = client_of (&self->fake, NULL);
    manifest_compose_index (NULL, 0, NULL, &self->index.bytes, self->index.media_type);
    oci_digest_of (self->index.bytes.data, self->index.bytes.size, self->index.digest);
    static const char *const tags [] = { "team/app:1", "team/app:2", "other/app:1" };
    for (int i = 0; i < 3; i++) {
        self->tags [i] = reference_of (self->fake.host, tags [i]);
        assert_int_equal (registry_put_manifest (self->client, &self->tags [i], self->tags [i].tag, &self->index, &err), 0);
    }
    self->puts = 3;
}

/* How many manifests does publishing again put? */
static int standing_publish (standing_t *self, size_t tags, bool was_published)
{
    err_t err = { 0 };
    publication_t publication = { .source = reference_of (self->fake.host, "team/app"), .index = &self->index, .tags = self->tags,
                                  .tag_count = tags, .was_published = was_published, .moved = moved };
    if (publish_index (self->client, &publication, &err) < 0)
        fail_msg ("%s", err.text);
    int before = self->puts;
    self->puts = fake_requests (&self->fake, "PUT", "");
    return self->puts - before;
}

static void test_what_stands_already_is_not_put (void **state)
{
    (void) state;
    standing_t world;
    err_t err;
    standing_start (&world);
    assert_int_equal (standing_publish (&world, 2, true), 0);
    assert_int_equal (standing_publish (&world, 2, false), 3);
    assert_int_equal (standing_publish (&world, 3, true), 5);           /* another repository */
    assert_int_equal (standing_publish (&world, 0, true), 1);           /* superseded */
    manifest_t other = { .media_type = MEDIA_OCI_INDEX };
    buffer_printf (&other.bytes, "{}");
    oci_digest_of (other.bytes.data, other.bytes.size, other.digest);
    assert_int_equal (registry_put_manifest (world.client, &world.tags [1], "2", &other, &err), 0);
    world.puts++;
    assert_int_equal (standing_publish (&world, 2, true), 3);           /* somebody has moved a tag */
    manifest_free (&other);
    manifest_free (&world.index);
    registry_destroy (&world.client);
    server_stop (&world.fake);
}

static void test_a_tag_that_gives_other_bytes_back_is_an_error (void **state)
{
    (void) state;
    server_t fake;
    err_t err = { 0 };
    fake_start (&fake, "{\"rules\":[{\"method\":\"GET\",\"path\":\"manifests/1\",\"status\":200,\"body\":\"{}\","
                       "\"headers\":{\"Content-Type\":\"" MEDIA_OCI_INDEX "\"}}]}");
    registry_t *of_fake = client_of (&fake, NULL);
    reference_t tag = reference_of (fake.host, "team/app:1");
    manifest_t index = { .media_type = "" };
    manifest_compose_index (NULL, 0, NULL, &index.bytes, index.media_type);
    oci_digest_of (index.bytes.data, index.bytes.size, index.digest);
    publication_t publication = { .source = reference_of (fake.host, "team/app"), .index = &index, .tags = &tag, .tag_count = 1, .moved = moved };
    assert_int_equal (publish_index (of_fake, &publication, &err), -1);
    assert_int_equal (err.code, ERR_REGISTRY);
    assert_non_null (strstr (err.text, "other bytes back"));
    manifest_free (&index);
    registry_destroy (&of_fake);
    server_stop (&fake);
}

/* A build that was superseded has no tag to move. */
static void test_an_index_without_tags_that_was_not_kept_is_an_error (void **state)
{
    (void) state;
    server_t fake;
    fake_start (&fake, "{\"rules\":[{\"method\":\"PUT\",\"path\":\"manifests/sha256\",\"status\":201,\"times\":1}]}");
    registry_t *of_fake = client_of (&fake, NULL);
    manifest_t index = { .media_type = "" };
    manifest_compose_index (NULL, 0, NULL, &index.bytes, index.media_type);
    oci_digest_of (index.bytes.data, index.bytes.size, index.digest);
    publication_t publication = { .source = reference_of (fake.host, "team/app"), .index = &index, .moved = moved };
    for (int times = 0; times < 2; times++) {               /* the second is kept */
        err_t err = { 0 };
        assert_int_equal (publish_index (of_fake, &publication, &err), times - 1);
        assert_int_equal (err.code, times == 0 ? ERR_REGISTRY : ERR_NONE);
    }
    manifest_free (&index);
    registry_destroy (&of_fake);
    server_stop (&fake);
}

/* An image of team/app is published as other/mirror:1 in a registry with this rule: twice, of which the second time ends well. Returns how the first
 * ended, by which no index may have been put there. The caller frees *why. */
static err_code mirror (const char *rule, char **why)
{
    server_t fake;
    manifest_t image = { .media_type = "" }, index = { .media_type = "" };
    char layer [OCI_DIGEST_SIZE], config [OCI_DIGEST_SIZE];
    err_t err = { 0 }, again = { 0 };
    fake_start (&fake, rule);
    registry_t *of_fake = client_of (&fake, NULL);
    reference_t source = reference_of (fake.host, "team/app"), tag = reference_of (fake.host, "other/mirror:1");
    push_blob (&fake, "team/app", NULL, "layer", 5, layer);
    push_blob (&fake, "team/app", NULL, "{}", 2, config);
    compose (&(image_t) { "amd64", NULL, "layer", 5, 0, 0 }, config, 2, layer, &image);
    assert_int_equal (registry_put_manifest (of_fake, &source, NULL, &image, &err), 0);
    descriptor_t child = { .size_bytes = (int64_t) image.bytes.size };
    strcpy (child.media_type, image.media_type);
    strcpy (child.digest, image.digest);
    assert_int_equal (platform_parse (&child.platform, "linux/amd64", &err), 0);
    manifest_compose_index (&child, 1, NULL, &index.bytes, index.media_type);
    oci_digest_of (index.bytes.data, index.bytes.size, index.digest);
    publication_t publication = { .source = source, .children = &child, .child_count = 1, .index = &index, .tags = &tag, .tag_count = 1, .moved = moved };
    assert_int_equal (publish_index (of_fake, &publication, &err), -1);
    assert_int_equal (fake_requests (&fake, "PUT", "other/mirror/manifests"), 1);
    if (publish_index (of_fake, &publication, &again) < 0)
        fail_msg ("%s", again.text);
    manifest_free (&image);
    manifest_free (&index);
    registry_destroy (&of_fake);
    server_stop (&fake);
    *why = mem_strdup (err.text);
    return err.code;
}

/* All that a tag leads to has to be there before it moves: also where the registry says that it has taken it. */
static void test_an_image_that_was_not_kept_in_another_repository_moves_no_tag (void **state)
{
    (void) state;
    AUTO_FREE char *lost = NULL, *other = NULL, *blob = NULL;
    err_code code = mirror ("{\"rules\":[{\"method\":\"PUT\",\"path\":\"other/mirror/manifests/sha256\",\"status\":201,\"times\":1}]}", &lost);
    assert_int_equal (code, ERR_REGISTRY);
    assert_non_null (strstr (lost, "copy sha256:"));
    code = mirror ("{\"rules\":[{\"method\":\"GET\",\"path\":\"other/mirror/manifests/sha256\",\"status\":200,\"body\":\"{}\",\"times\":1,"
                   "\"headers\":{\"Content-Type\":\"" MEDIA_OCI_MANIFEST "\"}}]}", &other);
    assert_int_equal (code, ERR_VERIFY);
    assert_non_null (strstr (other, "copy sha256:"));
    code = mirror ("{\"rules\":[{\"method\":\"POST\",\"path\":\"other/mirror/blobs/uploads\",\"status\":201,\"times\":1}]}", &blob);
    assert_int_equal (code, ERR_REGISTRY);
    assert_non_null (strstr (blob, "has taken blob sha256:"));
}

/* Publish under three tags of a registry with these rules, which fails: which were moved, as "yes no no". tag 1 shows the index before. */
static char *half_published (const char *rules, bool is_unsure)
{
    server_t fake;
    err_t err = { 0 };
    AUTO_FREE char *script = mem_printf ("{\"rules\":[%s]}", rules);
    fake_start (&fake, script);
    registry_t *of_fake = client_of (&fake, NULL);
    manifest_t index = { .media_type = "" };
    manifest_compose_index (NULL, 0, NULL, &index.bytes, index.media_type);
    oci_digest_of (index.bytes.data, index.bytes.size, index.digest);
    const reference_t tags [3] = { reference_of (fake.host, "team/app:one"), reference_of (fake.host, "team/app:two"),
                                   reference_of (fake.host, "team/app:three") };
    assert_int_equal (registry_put_manifest (of_fake, &tags [0], "one", &index, &err), 0);
    publication_t publication = { .source = reference_of (fake.host, "team/app"), .index = &index, .tags = tags, .tag_count = 3,
                                  .moved = moved, .is_unsure = is_unsure };
    assert_int_equal (publish_index (of_fake, &publication, &err), -1);
    manifest_free (&index);
    registry_destroy (&of_fake);
    server_stop (&fake);
    return mem_printf ("%s %s %s", moved [0] ? "yes" : "no", moved [1] ? "yes" : "no", moved [2] ? "yes" : "no");
}

static void test_a_publish_that_failed_says_what_it_moved (void **state)
{
    (void) state;
    static const struct { const char *rules; bool is_unsure; const char *moved; } cases [] = {
        { "{\"method\":\"PUT\",\"path\":\"manifests/two\",\"status\":403}", false, "yes no no" },
        { "{\"method\":\"PUT\",\"path\":\"manifests/two\",\"status\":500}", false, "yes no no" },
        /* nobody answers what became of it */
        { "{\"path\":\"manifests/two\",\"status\":500}", false, "yes yes no" },
        /* it comes to no tag: what an earlier try has moved is looked for only where nobody knows */
        { "{\"method\":\"PUT\",\"path\":\"manifests/sha256\",\"status\":403}", false, "no no no" },
        { "{\"method\":\"PUT\",\"path\":\"manifests/sha256\",\"status\":403}", true, "yes no no" },
        { "{\"method\":\"PUT\",\"path\":\"manifests/sha256\",\"status\":403},{\"path\":\"manifests/three\",\"status\":500}", true,
          "yes no yes" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_FREE char *got = half_published (cases [i].rules, cases [i].is_unsure);
        if (strcmp (got, cases [i].moved) != 0)
            fail_msg ("%s: %s", cases [i].rules, got);
    }
}

/* -- publishers ---------------------------------------------------------------------------------------------------- */

static void add_verify (publishers_t *publishers, int build, const server_t *server, const char *base_host)
{
    AUTO_FREE char *repository = mem_printf ("%s/team/app", server->host);
    AUTO_FREE char *base = base_host ? mem_printf ("%s/base:%d", base_host, build) : NULL;
    char digest [OCI_DIGEST_SIZE];
    oci_digest_of ("never pushed", 12, digest);
    AUTO_JSON json_t *task = json_pack ("{s:i, s:i, s:i, s:s, s:s, s:s}", "job", build, "build", build, "attempt", 0,
                                        "repository", repository, "digest", digest, "platform", "linux/arm64");
    if (base)
        json_object_set_new (task, "bases", json_pack ("[{s:s, s:s}]", "reference", base, "digest", digest));
    publishers_add (publishers, "verify", task);
}

/* The job, and its code as it should be. */
static int next_job (publishers_t *publishers, zpoller_t *poller, const char *code)
{
    json_t *event = NULL;
    while (!publishers_next (publishers, &event))
        if (!zpoller_wait (poller, 10000))
            fail_msg ("nothing was verified in 10 s");
    int job = (int) json_integer_value (json_object_get (event, "job"));
    assert_string_equal (json_string_value (json_object_get (event, "code")), code);
    json_decref (event);
    return job;
}

static void test_a_base_registry_that_is_silent_holds_up_one_publisher_once (void **state)
{
    (void) state;
    server_t silent, fake;
    fake_start (&silent, "{\"rules\":[{\"pause\":true}]}");
    fake_start (&fake, "{}");
    const char *const plain [] = { silent.host, fake.host, NULL };
    registry_settings_t settings = { .plain_http_hosts = plain, .timeout_ms = 2000 };
    publishers_t *publishers = publishers_new (2, 1, &settings, &(publisher_settings_t) { 0 }, NULL);
    zpoller_t *poller = zpoller_new (NULL);
    publishers_poll (publishers, poller);
    for (int build = 1; build <= 2; build++)
        add_verify (publishers, build, &fake, silent.host);
    add_verify (publishers, 3, &fake, NULL);
    add_verify (publishers, 4, &fake, fake.host);
    publishers_hand_out (publishers);
    assert_int_equal (next_job (publishers, poller, "verify"), 3);
    assert_int_equal (next_job (publishers, poller, "not-found"), 4);
    assert_int_equal (next_job (publishers, poller, "registry"), 1);
    assert_int_equal (next_job (publishers, poller, "registry"), 2);
    assert_int_equal (fake_requests (&silent, "", ""), 1);
    zpoller_destroy (&poller);
    publishers_destroy (&publishers);
    server_stop (&silent);
    server_stop (&fake);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (test_a_good_image_is_described),
        cmocka_unit_test (test_an_image_for_another_platform_is_refused),
        cmocka_unit_test (test_a_size_that_is_not_the_blobs_is_refused),
        cmocka_unit_test (test_diff_ids_that_do_not_fit_the_layers_are_refused),
        cmocka_unit_test (test_a_missing_blob_is_refused),
        cmocka_unit_test (test_a_missing_manifest_or_config_is_refused),
        cmocka_unit_test (test_an_index_is_no_image),
        cmocka_unit_test (test_images_are_verified_together),
        cmocka_unit_test (test_an_index_is_published_under_tags_of_several_repositories),
        cmocka_unit_test (test_an_image_that_vanished_moves_no_tag),
        cmocka_unit_test (test_a_blob_that_cannot_be_mounted_is_copied_once),
        cmocka_unit_test (test_a_registry_that_refuses_to_mount_gets_a_copy),
        cmocka_unit_test (test_a_copy_that_breaks_off_is_begun_again),
        cmocka_unit_test (test_other_bytes_are_not_copied),
        cmocka_unit_test (test_what_stands_already_is_not_put),
        cmocka_unit_test (test_a_publish_that_failed_says_what_it_moved),
        cmocka_unit_test (test_a_tag_that_gives_other_bytes_back_is_an_error),
        cmocka_unit_test (test_an_index_without_tags_that_was_not_kept_is_an_error),
        cmocka_unit_test (test_an_image_that_was_not_kept_in_another_repository_moves_no_tag),
        cmocka_unit_test (test_a_base_registry_that_is_silent_holds_up_one_publisher_once),
    };
    return cmocka_run_group_tests (tests, set_up, tear_down);
}
