/* test_layers.c - images whose layers are read: the honest are taken, and each lie is told with layer and file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "coordinator/publishers.h"
#include "coordinator/unpack.h"
#include "coordinator/verify.h"
#include "layers.h"

static server_t server;
static bool has_registry;
static registry_t *client;
static reading_t reading;
static uint8_t amd64 [64], arm64 [64], i386 [64], arm [64], s390x [64], mips [64], mipsle [64], mips64 [64], mips64le [64], object [64], firmware [64];
static const file_entry_t script [] = { { "bin/run", 0755, "#!/bin/sh\n", 0, NULL }, { 0 } };

static int set_up (void **state)
{
    (void) state;
    elf_head (amd64, ET_DYN, EM_X86_64, 2, 1);
    elf_head (arm64, ET_EXEC, EM_AARCH64, 2, 1);
    elf_head (i386, ET_EXEC, EM_386, 1, 1);
    elf_head (arm, ET_EXEC, EM_ARM, 1, 1);
    elf_head (s390x, ET_DYN, EM_S390, 2, 2);
    elf_head (mips, ET_EXEC, EM_MIPS, 1, 2);
    elf_head (mipsle, ET_EXEC, EM_MIPS, 1, 1);
    elf_head (mips64, ET_DYN, EM_MIPS, 2, 2);
    elf_head (mips64le, ET_DYN, EM_MIPS, 2, 1);
    elf_head (object, ET_REL, EM_AARCH64, 2, 1);
    elf_head (firmware, ET_EXEC, EM_AVR, 1, 1);
    has_registry = real_begin (&server, &client);
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    real_end (&server, &client);
    return 0;
}

static int verify (const manifest_t *manifest, const char *platform, verify_level level, err_t *err)
{
    AUTO_FREE verification_t *image = mem_alloc (sizeof *image);
    image->reference = reference_of (server.host, "layers");
    image->level = level;
    image->reading = reading;
    strcpy (image->reference.digest, manifest->digest);
    assert_int_equal (platform_parse (&image->platform, platform, err), 0);
    verify_images (client, client, image, 1);
    *err = image->err;
    return err->code == ERR_NONE ? 0 : -1;
}

/* text NULL: it is taken. Without `deep` none of these is found out. */
static void check_layer (const char *name, layer_bytes_t *layer, const char *platform, const char *text)
{
    AUTO_BUFFER buffer_t tar = { 0 };
    layer_bytes_t layers [2] = { { .media_type = layer->media_type }, *layer };
    manifest_t manifest;
    err_t err = { 0 };
    tar_of (script, &tar);
    layer_make (&layers [0], PACKED_GZIP, &tar);
    image_push (&server, client, "layers", platform, layers, 2, &manifest);
    if (verify (&manifest, platform, VERIFY_LAYERS, &err) < 0)
        fail_msg ("%s, the bytes alone: %s", name, err.text);
    int rc = verify (&manifest, platform, VERIFY_DEEP, &err);
    bool is_right = text ? rc < 0 && err.code == ERR_VERIFY && strstr (err.text, text) && strstr (err.text, "layer 2 of 2") : rc == 0;
    if (!is_right)
        fail_msg ("%s: %s (%s)", name, rc == 0 ? "taken" : err.text, err_name (err.code));
    manifest_free (&manifest);
    buffer_free (&layers [0].bytes);
    buffer_free (&layer->bytes);
}

/* -- programs ------------------------------------------------------------------------------------------------------ */

static void test_programs_for_another_platform_are_found (void **state)
{
    (void) state;
    static const struct {
        const char *name, *platform, *path;
        int mode;
        const uint8_t *content;
        const char *hardlink, *text;
    } table [] = {
        { "its own", "linux/amd64", "bin/app", 0755, amd64, NULL, NULL },
        { "its own on arm64", "linux/arm64", "bin/app", 0755, arm64, NULL, NULL },
        { "386 on amd64", "linux/amd64", "bin/app", 0755, i386, NULL, NULL },
        { "a big-endian one", "linux/s390x", "bin/app", 0755, s390x, NULL, NULL },
        { "arm/v7", "linux/arm/v7", "bin/app", 0755, arm, NULL, NULL },
        { "mips", "linux/mips", "bin/app", 0755, mips, NULL, NULL },
        { "mips64", "linux/mips64", "bin/app", 0755, mips64, NULL, NULL },
        { "mips64le", "linux/mips64le", "bin/app", 0755, mips64le, NULL, NULL },
        { "amd64 labelled arm64", "linux/arm64", "usr/bin/app", 0755, amd64, NULL, "/usr/bin/app is a program for amd64, and the image is for linux/arm64" },
        { "arm64 labelled amd64", "linux/amd64", "./usr/bin/app", 0755, arm64, NULL, "usr/bin/app is a program for arm64" },
        { "amd64 labelled 386", "linux/386", "app", 0755, amd64, NULL, "/app is a program for amd64" },
        { "arm labelled arm64", "linux/arm64", "app", 0755, arm, NULL, "/app is a program for arm, " },
        { "s390x labelled arm64", "linux/arm64", "app", 0755, s390x, NULL, "program for s390x" },
        { "mips labelled amd64", "linux/amd64", "app", 0755, mips, NULL, "/app is a program for mips, " },
        { "mips64 labelled s390x", "linux/s390x", "app", 0755, mips64, NULL, "/app is a program for mips64, " },
        { "mips labelled mipsle", "linux/mipsle", "app", 0755, mips, NULL, "/app is a program for mips, " },
        { "mipsle labelled mips", "linux/mips", "app", 0755, mipsle, NULL, "/app is a program for mipsle, " },
        { "mips64 labelled mips64le", "linux/mips64le", "app", 0755, mips64, NULL, "/app is a program for mips64, " },
        { "mips64le labelled mips64", "linux/mips64", "app", 0755, mips64le, NULL, "/app is a program for mips64le, " },
        { "for its owner alone", "linux/arm64", "app", 0100, amd64, NULL, "program for amd64" },
        { "setuid", "linux/arm64", "app", 04711, amd64, NULL, "program for amd64" },
        { "a library that nobody can run", "linux/arm64", "lib/x.so", 0644, amd64, NULL, NULL },
        { "an object file", "linux/amd64", "x.o", 0755, object, NULL, NULL },
        { "firmware", "linux/amd64", "x.elf", 0755, firmware, NULL, NULL },
        { "a name that leads out", "linux/amd64", "bin/../../app", 0755, amd64, NULL, "bin/../../app leads out of the image" },
        { "a name that is nothing else", "linux/amd64", "..", 0644, amd64, NULL, "leads out" },
        { "a name with dots is none", "linux/amd64", "..bin/a..b/...", 0755, amd64, NULL, NULL },
        { "a link that leads out", "linux/amd64", "shadow", 0644, amd64, "../etc/shadow", "../etc/shadow leads out of the image" },
    };
    if (!has_registry)
        skip ();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        AUTO_BUFFER buffer_t tar = { 0 };
        layer_bytes_t layer;
        const file_entry_t files [] = { { table [i].path, table [i].mode, (const char *) table [i].content, 64, table [i].hardlink }, { 0 } };
        tar_of (files, &tar);
        layer_make (&layer, (packing_t) (i % 3), &tar);
        check_layer (table [i].name, &layer, table [i].platform, table [i].text);
    }
}

/* -- packing ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *name, *text;
    packing_t says, is;         /* the media type, and the bytes */
    int pieces;                 /* members or frames */
    int cut;                    /* so many bytes are missing at the end */
    const char *behind;         /* packed bytes behind the end */
    const char *inside;         /* bytes behind the end of the tar */
    bool other_diff_id;
} packed_t;

static const packed_t packed [] = {
    { "gzip of two members", NULL, PACKED_GZIP, PACKED_GZIP, 2, 0, "", "", false },
    { "zstd of two frames", NULL, PACKED_ZSTD, PACKED_ZSTD, 2, 0, "", "", false },
    { "another diff_id", "and the config says", PACKED_GZIP, PACKED_GZIP, 1, 0, "", "", true },
    { "another diff_id, zstd", "and the config says", PACKED_ZSTD, PACKED_ZSTD, 1, 0, "", "", true },
    { "another diff_id, plain", "and the config says", PACKED_NOT, PACKED_NOT, 1, 0, "", "", true },
    { "bytes behind gzip", "it is no gzip", PACKED_GZIP, PACKED_GZIP, 1, 0, "more", "", false },
    { "bytes behind zstd", "it is no zstd", PACKED_ZSTD, PACKED_ZSTD, 1, 0, "more than it says", "", false },
    { "bytes behind the tar, gzip", "behind the end of its tar", PACKED_GZIP, PACKED_GZIP, 1, 0, "", "more", false },
    { "bytes behind the tar, zstd", "behind the end of its tar", PACKED_ZSTD, PACKED_ZSTD, 1, 0, "", "more", false },
    { "bytes behind the tar", "behind the end of its tar", PACKED_NOT, PACKED_NOT, 1, 0, "", "more", false },
    { "gzip that breaks off", "it breaks off", PACKED_GZIP, PACKED_GZIP, 1, 9, "", "", false },
    { "zstd that breaks off", "it breaks off", PACKED_ZSTD, PACKED_ZSTD, 1, 3, "", "", false },
    { "a tar that breaks off", "its tar cannot be read", PACKED_NOT, PACKED_NOT, 1, 1024 + 100, "", "", false },
    { "a tar as gzip", "it is no gzip", PACKED_GZIP, PACKED_NOT, 1, 0, "", "", false },
    { "a tar as zstd", "it is no zstd", PACKED_ZSTD, PACKED_NOT, 1, 0, "", "", false },
    { "gzip as a tar", "its tar cannot be read", PACKED_NOT, PACKED_GZIP, 1, 0, "", "", false },
    { "zstd as gzip", "it is no gzip", PACKED_GZIP, PACKED_ZSTD, 1, 0, "", "", false },
    { "gzip as zstd", "it is no zstd", PACKED_ZSTD, PACKED_GZIP, 1, 0, "", "", false },
};

static void test_packing_that_is_not_as_it_says_is_found (void **state)
{
    (void) state;
    static const char big [5000] = "x";
    const file_entry_t files [] = { { "a", 0644, big, sizeof big, NULL }, { 0 } };
    if (!has_registry)
        skip ();
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++) {
        AUTO_BUFFER buffer_t tar = { 0 };
        layer_bytes_t layer;
        const packed_t *row = &packed [i];
        tar_of (files, &tar);
        buffer_append (&tar, row->inside, strlen (row->inside));
        layer_make (&layer, row->says, &tar);
        buffer_clear (&layer.bytes);
        for (int piece = 0; piece < row->pieces; piece++) {
            size_t from = tar.size * (size_t) piece / (size_t) row->pieces, to = tar.size * (size_t) (piece + 1) / (size_t) row->pieces;
            pack_into (row->is, tar.data + from, to - from, &layer.bytes);
        }
        buffer_append (&layer.bytes, row->behind, strlen (row->behind));
        layer.bytes.size -= (size_t) row->cut;
        layer.diff_id [10] ^= row->other_diff_id;
        check_layer (row->name, &layer, "linux/amd64", row->text);
    }
}

/* libarchive steps over a header that is none and may go on behind it; other readers end there. */
static void test_a_damaged_header_is_found (void **state)
{
    (void) state;
    enum { SECOND = 1024, SIZE = 124 };         /* behind the first file and its content, of one block each */
    const file_entry_t files [] = { { "a", 0644, "a", 1, NULL }, { "b", 0644, "b", 1, NULL }, { 0 } };
    if (!has_registry)
        skip ();
    for (packing_t packing = PACKED_NOT; packing <= PACKED_ZSTD; packing++) {
        AUTO_BUFFER buffer_t tar = { 0 };
        layer_bytes_t layer;
        tar_of (files, &tar);
        assert_memory_equal (tar.data + SECOND, "b", 2);
        tar.data [SECOND + SIZE] ^= 1;          /* its checksum is another now */
        layer_make (&layer, packing, &tar);
        check_layer ("a damaged header", &layer, "linux/amd64", "its tar cannot be read");
    }
}

typedef struct {
    buffer_t packed;
    size_t at;
} bomb_t;

static ssize_t read_bomb (void *argument, void *data, size_t size, err_t *err)
{
    bomb_t *self = argument;
    (void) err;
    size_t left = self->packed.size - self->at, got = left < size ? left : size;
    memcpy (data, self->packed.data + self->at, got);
    self->at += got;
    return (ssize_t) got;
}

/* 40 frames of 64 MiB zeros each are some 80 KiB. */
static void test_a_bomb_is_given_up_soon (void **state)
{
    (void) state;
    enum { FRAME = 64 << 20, FRAMES = 40 };
    bomb_t bomb = { 0 };
    AUTO_BUFFER buffer_t frame = { 0 };
    AUTO_FREE uint8_t *zeros = mem_alloc (FRAME);
    AUTO_FREE uint8_t *out = mem_alloc (1 << 20);
    pack_into (PACKED_ZSTD, zeros, FRAME, &frame);
    for (int i = 0; i < FRAMES; i++)
        buffer_append (&bomb.packed, frame.data, frame.size);
    unpack_t *unpack = unpack_new (PACKED_ZSTD, read_bomb, &bomb);
    int64_t total = 0;
    ssize_t got;
    err_t err = { 0 };
    while ((got = unpack_read (unpack, out, 1 << 20, &err)) > 0)
        total += got;
    assert_int_equal (got, -1);
    assert_int_equal (err.code, ERR_VERIFY);
    assert_non_null (strstr (err.text, "it grows from"));
    assert_true (total >= 1LL << 30 && total < (1LL << 30) + (2 << 20));
    unpack_destroy (&unpack);
    buffer_free (&bomb.packed);
}

/* -- limits -------------------------------------------------------------------------------------------------------- */

static void push_honest (manifest_t *manifest)
{
    AUTO_BUFFER buffer_t tar = { 0 };
    static const char big [100000] = "x";
    const file_entry_t files [] = { { "big", 0644, big, sizeof big, NULL }, { "bin/app", 0755, (const char *) amd64, 64, NULL }, { 0 } };
    layer_bytes_t layers [2];
    tar_of (files, &tar);
    layer_make (&layers [0], PACKED_GZIP, &tar);
    layer_make (&layers [1], PACKED_ZSTD, &tar);
    image_push (&server, client, "layers", "linux/amd64", layers, 2, manifest);
    buffer_free (&layers [0].bytes);
    buffer_free (&layers [1].bytes);
}

static void test_limits_end_a_reading (void **state)
{
    (void) state;
    if (!has_registry)
        skip ();
    manifest_t manifest;
    atomic_bool is_stopped = true;
    err_t err = { 0 };
    push_honest (&manifest);
    const struct { reading_t reading; err_code code; const char *text; } table [] = {
        { { 0 }, ERR_NONE, "" },
        { { .unpacked_max = 210000 }, ERR_NONE, "" },
        { { .unpacked_max = 110000 }, ERR_VERIFY, "layer 2 of 2" },
        { { .unpacked_max = 100 }, ERR_VERIFY, "verify/unpacked-max" },
        { { .deadline_ms = clock_boot_ms () - 1 }, ERR_REGISTRY_DENIED, "verify/timeout-ms" },
        { { .is_stopped = &is_stopped }, ERR_INTERRUPTED, "being stopped" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        reading = table [i].reading;
        verify (&manifest, "linux/amd64", VERIFY_DEEP, &err);
        if (err.code != table [i].code || (table [i].code && !strstr (err.text, table [i].text)))
            fail_msg ("limit %zu: %s (%s)", i, err.text, err_name (err.code));
    }
    memset (&reading, 0, sizeof reading);
    manifest_free (&manifest);
}

/* -- registries ---------------------------------------------------------------------------------------------------- */

/* The blob is "layer" by its digest, whatever comes. */
static void check_registry (const char *rules, verify_level level, err_code code, const char *text)
{
    server_t fake;
    char layer [OCI_DIGEST_SIZE];
    err_t err = { 0 };
    image_manifest_t *image = mem_alloc (sizeof *image);
    platform_t platform = { .os = "linux", .architecture = "amd64" };
    AUTO_FREE char *script_text = mem_printf ("{\"blobs\":{\"app\":[\"layer\"]},\"rules\":[%s]}", rules);
    AUTO_BUFFER buffer_t config = { 0 };
    oci_digest_of ("layer", 5, layer);
    buffer_printf (&config, "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}", layer);
    image->layer_count = 1;
    strcpy (image->layers [0].media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
    strcpy (image->layers [0].digest, layer);
    image->layers [0].size_bytes = 5;
    fake_start (&fake, script_text);
    registry_t *own = client_of (&fake, NULL);
    reference_t repository = reference_of (fake.host, "app");
    int rc = verify_layers (own, &repository, image, &config, &platform, level, &reading, &err);
    if ((rc == 0) != (code == ERR_NONE) || (rc < 0 && (err.code != code || !strstr (err.text, text))))
        fail_msg ("%s: %s (%s)", rules, err.text, err_name (err.code));
    registry_destroy (&own);
    server_stop (&fake);
    free (image);
}

static void test_a_registry_that_gives_other_bytes_is_found (void **state)
{
    (void) state;
#define BLOB "{\"path\":\"/blobs/\",\"status\":200,\"headers\":{},"
    check_registry ("", VERIFY_LAYERS, ERR_NONE, "");
    check_registry ("", VERIFY_DEEP, ERR_VERIFY, "it is no gzip");
    check_registry (BLOB "\"body\":\"LAYER\"}", VERIFY_LAYERS, ERR_VERIFY, "the registry's bytes have the digest");
    check_registry (BLOB "\"body\":\"LAYER\"}", VERIFY_DEEP, ERR_VERIFY, "the registry's bytes have the digest");
    check_registry (BLOB "\"body\":\"layer and more\"}", VERIFY_LAYERS, ERR_VERIFY, "it has 14 bytes");
    check_registry (BLOB "\"body\":\"layer and more\",\"chunks\":true}", VERIFY_LAYERS, ERR_VERIFY, "more than the 5 bytes");
    check_registry (BLOB "\"body\":\"lay\",\"chunks\":true}", VERIFY_LAYERS, ERR_VERIFY, "ends after 3 of 5 bytes");
    check_registry (BLOB "\"body\":\"lay\",\"length\":5}", VERIFY_LAYERS, ERR_REGISTRY, "");
    check_registry ("{\"path\":\"/blobs/\",\"status\":404}", VERIFY_LAYERS, ERR_VERIFY, "does not have it");
}

/* -- threads ------------------------------------------------------------------------------------------------------- */

static void add_verify (publishers_t *publishers, int job, const char *host, const char *level)
{
    AUTO_FREE char *repository = mem_printf ("%s/app", host), *digest = mem_printf ("sha256:%064d", job);
    AUTO_JSON json_t *task = json_pack ("{s:i, s:i, s:i, s:s, s:s, s:s}", "build", job, "job", job, "attempt", 1, "platform", "linux/amd64",
                                        "repository", repository, "digest", digest);
    if (level)
        json_object_set_new (task, "verify", json_string (level));
    publishers_add (publishers, "verify", task);
}

/* Two readings that never end, before one that is quick; then the end of the program. */
static void test_readings_hold_up_nobody_else (void **state)
{
    (void) state;
    server_t silent, fake;
    fake_start (&silent, "{\"rules\":[{\"pause\":true}]}");
    fake_start (&fake, "{}");
    const char *const plain [] = { silent.host, fake.host, NULL };
    registry_settings_t settings = { .plain_http_hosts = plain, .timeout_ms = 2000 };
    publishers_t *publishers = publishers_new (1, 1, &settings, &(publisher_settings_t) { 0 }, NULL);
    zpoller_t *poller = zpoller_new (NULL);
    json_t *event = NULL;
    publishers_poll (publishers, poller);
    add_verify (publishers, 1, silent.host, "deep");
    add_verify (publishers, 2, silent.host, "layers");
    add_verify (publishers, 3, fake.host, NULL);
    publishers_hand_out (publishers);
    while (!publishers_next (publishers, &event))
        if (!zpoller_wait (poller, 10000))
            fail_msg ("nothing was verified in 10 s");
    assert_int_equal (json_integer_value (json_object_get (event, "job")), 3);
    json_decref (event);
    publishers_wind_down (publishers);
    zpoller_destroy (&poller);
    publishers_destroy (&publishers);
    server_stop (&silent);
    server_stop (&fake);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (test_programs_for_another_platform_are_found),
        cmocka_unit_test (test_packing_that_is_not_as_it_says_is_found),
        cmocka_unit_test (test_a_damaged_header_is_found),
        cmocka_unit_test (test_a_bomb_is_given_up_soon),
        cmocka_unit_test (test_limits_end_a_reading),
        cmocka_unit_test (test_a_registry_that_gives_other_bytes_is_found),
        cmocka_unit_test (test_readings_hold_up_nobody_else),
    };
    return cmocka_run_group_tests (tests, set_up, tear_down);
}
