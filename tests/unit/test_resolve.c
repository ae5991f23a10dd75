/* test_resolve.c - what the base images of a Dockerfile mean is asked of their registries: what is there, what is not, and what lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/manifest.h"
#include "common/mem.h"
#include "coordinator/resolve.h"
#include "depots.h"
#include "registries.h"

#define ELSEWHERE "registry.lan/team/app"
#define HEX "0123456789012345678901234567890123456789012345678901234567890123"

static server_t server;             /* for all tests; each begins it anew */

typedef struct {
    depots_t *depots;
    resolver_t *resolver;
    char digest [OCI_DIGEST_SIZE];  /* of what was put last */
    err_t err;                      /* of the last question */
} world_t;

/* -- words ------------------------------------------------------------------------------------------------------ */

static void begin (const char *script)
{
    err_t err;
    if (fake_script (&server, script, &err) < 0)
        fail_msg ("%s", err.text);
}

/* An index for these platforms, or, without any, an image: team/base:1. */
static void put_base (world_t *self, const char *const *platforms)
{
    descriptor_t children [4] = { { .size_bytes = 500 } };
    manifest_t manifest = { .media_type = "" };
    reference_t base = reference_of (server.host, "team/base");
    size_t count = 0;
    for (; platforms && platforms [count]; count++) {
        children [count] = (descriptor_t) { .size_bytes = 500, .media_type = MEDIA_OCI_MANIFEST };
        snprintf (children [count].digest, sizeof children [count].digest, "sha256:%064zu", count);
        assert_int_equal (platform_parse (&children [count].platform, platforms [count], NULL), 0);
    }
    if (count)
        manifest_compose_index (children, count, NULL, &manifest.bytes, manifest.media_type);
    else {
        strcpy (manifest.media_type, MEDIA_OCI_MANIFEST);
        buffer_text (&manifest.bytes, "{\"schemaVersion\":2}");
    }
    oci_digest_of (manifest.bytes.data, manifest.bytes.size, manifest.digest);
    strcpy (self->digest, manifest.digest);
    registry_t *client = client_of (&server, NULL);
    if (registry_put_manifest (client, &base, "1", &manifest, &self->err) < 0)
        fail_msg ("%s", self->err.text);
    registry_destroy (&client);
    manifest_free (&manifest);
}

static void set_resolver (world_t *self, const registry_settings_t *settings)
{
    resolver_destroy (&self->resolver);
    self->resolver = resolver_new (settings, self->depots->depot);
}

/* "FROM 127.0.0.1:PORT/…". Until the next one. */
static const char *from (const char *rest)
{
    static char text [512];
    snprintf (text, sizeof text, "FROM %s/%s\n", server.host, rest);
    return text;
}

/* The build is published to repository. */
static json_t *ask (world_t *self, const char *dockerfile, const char *repository)
{
    char hex [DIGEST_HEX_SIZE + 1];
    digest_t digest = digest_of (dockerfile, strlen (dockerfile));
    digest_to_hex (&digest, hex);
    self->err = (err_t) { 0 };
    if (put_one (self->depots->depot, OBJECT_CONTENT, dockerfile, strlen (dockerfile), &self->err) < 0)
        fail_msg ("%s", self->err.text);
    AUTO_JSON json_t *question = json_pack ("{s:s, s:[s, s], s:s}", "dockerfile", hex, "platforms", "linux/amd64", "linux/arm64", "repository", repository);
    return resolver_ask (self->resolver, question, &self->err);
}

static void assert_found (world_t *self, const char *dockerfile, const char *reference, const char *digest)
{
    AUTO_JSON json_t *found = ask (self, dockerfile, ELSEWHERE);
    AUTO_FREE char *whole = mem_printf ("%s/%s", server.host, reference);
    if (!found)
        fail_msg ("%s", self->err.text);
    AUTO_JSON json_t *expected = json_pack ("[{s:s, s:s, s:b}]", "reference", whole, "digest", digest, "is_last", 1);
    assert_true (json_equal (found, expected));
}

static void assert_refused (world_t *self, const char *dockerfile, err_code code, const char *words)
{
    AUTO_JSON json_t *found = ask (self, dockerfile, ELSEWHERE);
    assert_null (found);
    if (self->err.code != code || !strstr (self->err.text, words))
        fail_msg ("it says %s: %s", err_name (self->err.code), self->err.text);
}

static const char *const both [] = { "linux/arm64", "linux/amd64", NULL }, *const others [] = { "linux/amd64", "linux/arm/v7", NULL };

/* -- what is there ---------------------------------------------------------------------------------------------- */

static void a_tag_is_asked_for_each_time_and_an_index_once (void **state)
{
    world_t *self = *state;
    put_base (self, both);
    for (int i = 1; i <= 2; i++) {
        assert_found (self, from ("team/base:1"), "team/base:1", self->digest);
        assert_int_equal (fake_requests (&server, "HEAD", "/v2/team/base/manifests/1"), i);
        assert_int_equal (fake_requests (&server, "GET", ""), 1);
    }
    put_base (self, NULL);
    assert_found (self, from ("team/base:1"), "team/base:1", self->digest);
}

static void an_image_is_for_all_platforms (void **state)
{
    world_t *self = *state;
    put_base (self, NULL);
    assert_found (self, from ("team/base:1"), "team/base:1", self->digest);
}

static void a_digest_is_looked_for_too (void **state)
{
    world_t *self = *state;
    put_base (self, both);
    AUTO_FREE char *with_tag = mem_printf ("team/base:7@%s", self->digest);
    AUTO_FREE char *name = mem_printf ("team/base@%s", self->digest);
    assert_found (self, from (with_tag), name, self->digest);
    assert_refused (self, from ("team/base@sha256:" HEX), ERR_BUILD, "there is no image");
}

static void the_last_is_that_of_all_platforms (void **state)
{
    world_t *self = *state;
    put_base (self, both);
    AUTO_FREE char *text = mem_printf ("FROM %s/team/base:1 AS for-amd64\nFROM scratch AS for-arm64\nFROM for-$TARGETARCH\n", server.host);
    AUTO_JSON json_t *found = ask (self, text, ELSEWHERE);
    assert_int_equal (json_array_size (found), 1);
    assert_null (json_object_get (json_array_get (found, 0), "is_last"));
}

static void nothing_is_asked_where_nothing_is_named (void **state)
{
    world_t *self = *state;
    static const char *const texts [] = { "FROM scratch\nCOPY a /a\n", "RUN true\n", "FROM $UNKNOWN\n", "FROM oci:/image\n" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        AUTO_JSON json_t *found = ask (self, texts [i], ELSEWHERE);
        assert_true (found && json_array_size (found) == 0);
    }
    assert_int_equal (fake_requests (&server, "", "/v2/"), 0);
}

static void a_credential_is_shown (void **state)
{
    world_t *self = *state;
    put_base (self, both);
    begin ("{\"auth\":{\"kind\":\"basic\",\"user\":\"u\",\"password\":\"p\"},\"manifests\":{\"team/base\":{\"1\":\"{}\"}}}");
    assert_refused (self, from ("team/base:1"), ERR_REGISTRY_DENIED, "team/base:1");
    AUTO_FREE char *path = file_join (self->depots->folder, "auth.json");
    AUTO_FREE char *auth = mem_printf ("{\"auths\":{\"%s\":{\"auth\":\"dTpw\"}}}", server.host);
    assert_int_equal (file_write (path, auth, strlen (auth), 0600, &self->err), 0);
    set_resolver (self, &(registry_settings_t) { .plain_http_hosts = server.plain, .auth_file = path, .timeout_ms = 5000 });
    char digest [OCI_DIGEST_SIZE];
    oci_digest_of ("{}", 2, digest);
    AUTO_JSON json_t *found = ask (self, from ("team/base:1"), ELSEWHERE);
    if (found)
        assert_string_equal (json_string_value (json_object_get (json_array_get (found, 0), "digest")), digest);
    else
        fail_msg ("%s", self->err.text);
}

/* -- what is not ------------------------------------------------------------------------------------------------ */

static void what_is_not_there_is_the_user_s_fault (void **state)
{
    world_t *self = *state;
    assert_refused (self, from ("team/none:1"), ERR_BUILD, "team/none:1: check its name and tag");
    put_base (self, others);
    assert_refused (self, from ("team/base:1"), ERR_BUILD, "team/base:1 is not there for linux/arm64, only for linux/amd64, linux/arm/v7");
    AUTO_FREE char *pinned = mem_printf ("FROM --platform=linux/arm/v7 %s/team/base:1\n", server.host);
    assert_found (self, pinned, "team/base:1", self->digest);
}

static void a_registry_in_trouble_is_asked_once_and_left_alone (void **state)
{
    world_t *self = *state;
    begin ("{\"rules\":[{\"path\":\"/v2/\",\"status\":503}]}");
    assert_refused (self, from ("team/base:1"), ERR_REGISTRY, "503");
    assert_refused (self, from ("team/base:1"), ERR_REGISTRY, "has failed a moment ago");
    assert_int_equal (fake_requests (&server, "", "/v2/"), 1);
}

static void one_that_contradicts_itself_is_in_trouble (void **state)
{
    world_t *self = *state;
    begin ("{\"manifests\":{\"team/base\":{\"1\":\"{}\"}},\"rules\":[{\"method\":\"HEAD\",\"digest\":\"sha256:" HEX "\"}]}");
    assert_refused (self, from ("team/base:1"), ERR_REGISTRY, "does not have that");
    begin ("{\"manifests\":{\"team/base\":{\"1\":\"{}\"}},\"rules\":[{\"method\":\"HEAD\",\"digest\":\"sha256:" HEX "\"},"
           "{\"path\":\"sha256:" HEX "\",\"status\":200,\"headers\":{\"Content-Type\":\"" MEDIA_OCI_INDEX "\"},\"body\":\"{}\"}]}");
    AUTO_JSON json_t *found = ask (self, from ("team/base:1"), ELSEWHERE);
    assert_null (found);
    assert_int_not_equal (self->err.code, ERR_BUILD);
}

/* This machine's other services: not for whoever may submit. */
static void nobody_is_asked_inside (void **state)
{
    world_t *self = *state;
    put_base (self, both);
    set_resolver (self, &(registry_settings_t) { .timeout_ms = 5000 });
    assert_refused (self, from ("team/base:1"), ERR_REGISTRY_DENIED, "lies inside");
    AUTO_FREE char *here = mem_printf ("%s/team/app", server.host);
    AUTO_JSON json_t *found = ask (self, from ("team/base:1"), here);
    assert_null (found);
    assert_non_null (strstr (self->err.text, "does not speak TLS"));            /* it was asked: the build is published there */
}

/* -- set-up ----------------------------------------------------------------------------------------------------- */

static int setup (void **state)
{
    static world_t world;
    world = (world_t) { .resolver = NULL };
    void *depots;
    if (depots_setup (&depots) < 0)
        return -1;
    world.depots = depots;
    set_resolver (&world, &(registry_settings_t) { .plain_http_hosts = server.plain, .timeout_ms = 5000 });
    begin ("{}");
    *state = &world;
    return 0;
}

static int teardown (void **state)
{
    world_t *self = *state;
    void *depots = self->depots;
    resolver_destroy (&self->resolver);
    return depots_teardown (&depots);
}

/* Each answer is in time, and all of them are not: others wait for the same few who ask. */
static void all_that_a_dockerfile_names_has_one_time (void **state)
{
    world_t *self = *state;
    AUTO_BUFFER buffer_t dockerfile = { 0 };
    begin ("{\"rules\": [{\"method\": \"HEAD\", \"path\": \"manifests\", \"status\": 405}, {\"method\": \"GET\", \"path\": \"manifests\", \"status\": 200, \"drip_ms\": 300,"
           " \"headers\": {\"Content-Type\": \"application/vnd.oci.image.manifest.v1+json\", \"A\": \"1\"}, \"body\": \"{}\"}]}");
    set_resolver (self, &(registry_settings_t) { .plain_http_hosts = server.plain, .timeout_ms = 1500 });
    for (int i = 0; i < 16; i++)
        buffer_printf (&dockerfile, "%sCOPY --from=%s/many/%d:1 /a /b\n", i ? "" : "FROM scratch\n", server.host, i);
    int64_t began = clock_boot_ms ();
    AUTO_JSON json_t *found = ask (self, (const char *) dockerfile.data, ELSEWHERE);
    assert_null (found);
    assert_int_equal (self->err.code, ERR_REGISTRY);
    assert_in_range (clock_boot_ms () - began, 2500, 5500);
}

static int begin_all (void **state)
{
    (void) state;
    signal (SIGPIPE, SIG_IGN);
    without_proxies ();
    fake_start (&server, "{}");
    return 0;
}

static int end_all (void **state)
{
    (void) state;
    server_stop (&server);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (a_tag_is_asked_for_each_time_and_an_index_once), TEST (an_image_is_for_all_platforms), TEST (a_digest_is_looked_for_too), TEST (the_last_is_that_of_all_platforms),
        TEST (nothing_is_asked_where_nothing_is_named), TEST (a_credential_is_shown), TEST (what_is_not_there_is_the_user_s_fault),
        TEST (a_registry_in_trouble_is_asked_once_and_left_alone), TEST (one_that_contradicts_itself_is_in_trouble), TEST (nobody_is_asked_inside), TEST (all_that_a_dockerfile_names_has_one_time),
    };
    return cmocka_run_group_tests (tests, begin_all, end_all);
}
