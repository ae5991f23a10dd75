/* test_registry_ask.c - several questions to a registry at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/manifest.h"
#include "registries.h"

enum { BLOBS = 20, AT_ONCE = 4 };

/* A registry with BLOBS blobs "blob-0", "blob-1", …, in team/app, and a question for each: their sizes, or (odd) their bytes. */
typedef struct {
    server_t server;
    registry_t *client;
    reference_t app;
    char digests [BLOBS] [OCI_DIGEST_SIZE];
    registry_ask_t *asks;
} world_t;

static char *blobs_json (void)
{
    AUTO_BUFFER buffer_t out = { 0 };
    for (int i = 0; i < BLOBS; i++)
        buffer_printf (&out, "%s\"blob-%d\"", i ? "," : "", i);
    buffer_text (&out, "");
    return mem_strdup ((char *) out.data);
}

static void world_start (world_t *self, const char *more)
{
    AUTO_FREE char *blobs = blobs_json (), *script = mem_printf ("{\"blobs\":{\"team/app\":[%s]}%s}", blobs, more);
    memset (self, 0, sizeof *self);
    signal (SIGPIPE, SIG_IGN);
    fake_start (&self->server, script);
    self->client = client_of (&self->server, NULL);
    self->app = reference_of (self->server.host, "team/app");
    self->asks = mem_alloc (BLOBS * sizeof *self->asks);
    for (int i = 0; i < BLOBS; i++) {
        AUTO_FREE char *text = mem_printf ("blob-%d", i);
        oci_digest_of (text, strlen (text), self->digests [i]);
        self->asks [i] = (registry_ask_t) { .kind = i % 2 ? ASK_BLOB : ASK_BLOB_SIZE, .of = &self->app, .digest = self->digests [i],
                                            .max_bytes = 100 };
    }
}

static void world_login (world_t *self)
{
    err_t err;
    AUTO_FREE char *path = file_join (self->server.folder, "config.json");
    AUTO_FREE char *text = mem_printf ("{\"auths\":{\"%s\":{\"username\":\"ann\",\"password\":\"s\"}}}", self->server.host);
    assert_int_equal (file_write (path, text, strlen (text), 0600, &err), 0);
    registry_destroy (&self->client);
    self->client = client_of (&self->server, path);
}

static void world_end (world_t *self)
{
    for (int i = 0; i < BLOBS; i++)
        manifest_free (&self->asks [i].found);
    free (self->asks);
    registry_destroy (&self->client);
    server_stop (&self->server);
}
#define AUTO_WORLD __attribute__ ((cleanup (world_end)))

static void assert_good (const registry_ask_t *ask, int number)
{
    AUTO_FREE char *text = mem_printf ("blob-%d", number);
    if (ask->err.code != ERR_NONE)
        fail_msg ("%s: %s", text, ask->err.text);
    if (ask->kind == ASK_BLOB_SIZE)
        assert_int_equal (ask->size_bytes, strlen (text));
    else {
        assert_int_equal (ask->found.bytes.size, strlen (text));
        assert_memory_equal (ask->found.bytes.data, text, strlen (text));
    }
}

static void assert_refused (const registry_ask_t *ask, err_code code, const char *text)
{
    if (ask->err.code != code || !strstr (ask->err.text, text))
        fail_msg ("%s: %s", err_name (ask->err.code), ask->err.text);
}

/* ---------------------------------------------------------------------------------------------------------------- */

static void test_four_are_on_their_way_at_once (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, ",\"rules\":[{\"times\":4,\"together\":4}]");
    registry_ask (world.client, world.asks, BLOBS);
    for (int i = 0; i < BLOBS; i++)
        assert_good (&world.asks [i], i);
    assert_int_equal (fake_requests (&world.server, "", ""), BLOBS);
}

static void test_each_has_its_own_end (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, "");
    oci_digest_of ("never pushed", 12, world.digests [3]);
    world.asks [5].max_bytes = 3;
    registry_ask (world.client, world.asks, BLOBS);
    assert_refused (&world.asks [3], ERR_NOT_FOUND, "get blob 127.0.0.1:");
    assert_refused (&world.asks [5], ERR_REGISTRY, "more than 3 bytes");
    for (int i = 0; i < BLOBS; i++)
        if (i != 3 && i != 5)
            assert_good (&world.asks [i], i);
}

static void test_what_fails_is_asked_again (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, ",\"rules\":[{\"times\":2,\"status\":503},{\"times\":1,\"hang_up\":true}]");
    registry_ask (world.client, world.asks, BLOBS);
    for (int i = 0; i < BLOBS; i++)
        assert_good (&world.asks [i], i);
    assert_true (fake_requests (&world.server, "", "") >= BLOBS + 3);       /* libcurl itself may try a kept connection again */
}

static void test_a_challenge_is_met_once_for_all (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, ",\"auth\":{\"kind\":\"bearer\",\"user\":\"ann\",\"password\":\"s\",\"expires_in\":300}");
    world_login (&world);
    registry_ask (world.client, world.asks, BLOBS);
    for (int i = 0; i < BLOBS; i++)
        assert_good (&world.asks [i], i);
    assert_int_equal (fake_requests (&world.server, "GET", "/token"), 1);
    assert_int_equal (fake_authorized (&world.server, "", "/blobs/"), BLOBS);
    assert_true (fake_requests (&world.server, "", "/blobs/") <= BLOBS + AT_ONCE);
}

static void test_connections_are_kept (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, "");
    for (int times = 0; times < 3; times++)
        registry_ask (world.client, world.asks, BLOBS);
    assert_true (fake_connections (&world.server) <= AT_ONCE);
}

/* -- digests of tags ----------------------------------------------------------------------------------------------- */

static registry_ask_t ask_digest (reference_t *of, const world_t *world, const char *tag)
{
    *of = world->app;
    snprintf (of->tag, sizeof of->tag, "%s", tag);
    return (registry_ask_t) { .kind = ASK_DIGEST, .of = of };
}

static void test_a_digest_is_asked_for_by_head_where_that_tells_it (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, ",\"rules\":[{\"method\":\"HEAD\",\"path\":\"manifests/silent\",\"status\":200},"
                         "{\"method\":\"HEAD\",\"path\":\"manifests/headless\",\"status\":405}]");
    static const char *const tags [] = { "honest", "silent", "headless", "missing" };
    enum { COUNT = sizeof tags / sizeof *tags };
    manifest_t manifest = { .media_type = MEDIA_OCI_INDEX };
    reference_t of [COUNT];
    AUTO_FREE registry_ask_t *asks = mem_alloc (COUNT * sizeof *asks);
    buffer_printf (&manifest.bytes, "{}");
    oci_digest_of (manifest.bytes.data, manifest.bytes.size, manifest.digest);
    for (int i = 0; i < COUNT; i++) {
        asks [i] = ask_digest (&of [i], &world, tags [i]);
        if (i < 3)
            assert_int_equal (registry_put_manifest (world.client, &world.app, tags [i], &manifest, NULL), 0);
    }
    registry_ask (world.client, asks, COUNT);
    for (int i = 0; i < 3; i++) {
        if (asks [i].err.code != ERR_NONE)
            fail_msg ("%s: %s", tags [i], asks [i].err.text);
        assert_string_equal (asks [i].found.digest, manifest.digest);
        manifest_free (&asks [i].found);
    }
    assert_refused (&asks [3], ERR_NOT_FOUND, "has no tag missing");
    assert_int_equal (fake_requests (&world.server, "HEAD", ""), COUNT);
    assert_int_equal (fake_requests (&world.server, "GET", ""), 2);
    manifest_free (&manifest);
}

static void test_a_brief_client_leaves_a_host_that_is_silent_alone (void **state)
{
    (void) state;
    enum { COUNT = 10, TIMEOUT_MS = 300 };
    AUTO_WORLD world_t world;
    world_start (&world, ",\"rules\":[{\"pause\":true}]");
    registry_settings_t settings = { .plain_http_hosts = world.server.plain, .timeout_ms = TIMEOUT_MS, .is_brief = true };
    registry_t *brief = registry_new (&settings);
    reference_t of;
    AUTO_FREE registry_ask_t *asks = mem_alloc (COUNT * sizeof *asks);
    for (int i = 0; i < COUNT; i++)
        asks [i] = ask_digest (&of, &world, "1");
    int64_t start_ms = clock_boot_ms ();
    registry_ask (brief, asks, COUNT);
    assert_true (clock_boot_ms () - start_ms < 4 * TIMEOUT_MS);
    assert_refused (&asks [0], ERR_REGISTRY, "nothing has come or gone");
    assert_refused (&asks [COUNT - 1], ERR_REGISTRY, "it is asked again in 60 s");
    registry_ask (brief, asks, 1);
    assert_refused (&asks [0], ERR_REGISTRY, "it is asked again in");
    assert_int_equal (fake_requests (&world.server, "", ""), AT_ONCE);
    registry_destroy (&brief);
}

static void test_nothing_is_asked_without_questions (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, "");
    registry_ask (world.client, world.asks, 0);
    assert_int_equal (fake_requests (&world.server, "", ""), 0);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (test_four_are_on_their_way_at_once),
        cmocka_unit_test (test_each_has_its_own_end),
        cmocka_unit_test (test_what_fails_is_asked_again),
        cmocka_unit_test (test_a_challenge_is_met_once_for_all),
        cmocka_unit_test (test_connections_are_kept),
        cmocka_unit_test (test_a_digest_is_asked_for_by_head_where_that_tells_it),
        cmocka_unit_test (test_a_brief_client_leaves_a_host_that_is_silent_alone),
        cmocka_unit_test (test_nothing_is_asked_without_questions),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
