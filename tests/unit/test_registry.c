/* test_registry.c - the registry client against registries that are busy, broken, secretive or lying. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/manifest.h"
#include "common/registry_call.h"
#include "registries.h"

#define IMAGE "{\"schemaVersion\":2}"
#define HEADERS "\"headers\":{\"Content-Type\":\"" MEDIA_OCI_MANIFEST "\"}"
#define ANSWER "\"status\":200,\"body\":\"{\\\"schemaVersion\\\":2}\"," HEADERS
#define RULES(rules) "{\"rules\":[" rules "]}"

/* One fake registry and a client per test. */
typedef struct {
    server_t server;
    registry_t *client;
    reference_t app;
    manifest_t manifest;
    err_t err;
} world_t;

static void world_start (world_t *self, const char *script)
{
    memset (self, 0, sizeof *self);
    fake_start (&self->server, script);
    self->client = client_of (&self->server, NULL);
    self->app = reference_of (self->server.host, "team/app:1");
}

/* Write docker's config.json, and use it from now on. */
static void world_login (world_t *self, const char *host, const char *user, const char *password)
{
    char *both = mem_printf ("{\"auths\":{\"%s\":{\"username\":\"%s\",\"password\":\"%s\"}}}", host, user, password);
    AUTO_FREE char *path = file_join (self->server.folder, "config.json");
    assert_int_equal (file_write (path, both, strlen (both), 0600, &self->err), 0);
    free (both);
    registry_destroy (&self->client);
    self->client = client_of (&self->server, path);
}

static void world_end (world_t *self)
{
    manifest_free (&self->manifest);
    registry_destroy (&self->client);
    server_stop (&self->server);
}
#define AUTO_WORLD __attribute__ ((cleanup (world_end)))

static int get (world_t *self)
{
    memset (&self->err, 0, sizeof self->err);
    return registry_get_manifest (self->client, &self->app, &self->manifest, &self->err);
}

static void assert_got (world_t *self)
{
    if (get (self) < 0)
        fail_msg ("%s", self->err.text);
    assert_int_equal (self->manifest.bytes.size, strlen (IMAGE));
    assert_memory_equal (self->manifest.bytes.data, IMAGE, strlen (IMAGE));
    assert_string_equal (self->manifest.media_type, MEDIA_OCI_MANIFEST);
}

static void assert_refused (world_t *self, int rc, err_code code, const char *text)
{
    if (rc != -1 || self->err.code != code || !strstr (self->err.text, text))
        fail_msg ("rc %d, %s: %s", rc, err_name (self->err.code), self->err.text);
}

/* -- trying again -------------------------------------------------------------------------------------------------- */

static void test_a_busy_registry_is_asked_again (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, RULES ("{\"times\":1,\"status\":503},{\"times\":1,\"hang_up\":true},{" ANSWER "}"));
    assert_got (&world);
    assert_int_equal (fake_requests (&world.server, "GET", "/v2/team/app/manifests/1"), 3);
}

static void test_after_three_tries_it_is_the_registrys_fault (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, RULES ("{\"status\":500,\"body\":\"{\\\"errors\\\":[{\\\"code\\\":\\\"UNKNOWN\\\",\\\"message\\\":"
                                "\\\"disk on fire\\\"}]}\"}"));
    assert_refused (&world, get (&world), ERR_REGISTRY, "status 500 (UNKNOWN: disk on fire)");
    assert_non_null (strstr (world.err.text, world.server.host));
    assert_int_equal (fake_requests (&world.server, "GET", ""), 3);
}

static void test_retry_after_is_waited_for (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, RULES ("{\"times\":1,\"status\":429,\"headers\":{\"Retry-After\":\"2\"}},{" ANSWER "}"));
    int64_t start_ms = clock_boot_ms ();
    assert_got (&world);
    assert_true (clock_boot_ms () - start_ms >= 2000);
}

static void test_a_retry_after_beyond_the_time_limit_is_not (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, RULES ("{\"status\":429,\"headers\":{\"Retry-After\":\"3600\"}}"));
    assert_refused (&world, get (&world), ERR_REGISTRY, "status 429");
    assert_int_equal (fake_requests (&world.server, "GET", ""), 1);
}

static void test_a_final_no_is_asked_for_once (void **state)
{
    (void) state;
    static const int statuses [] = { 400, 403, 405 };
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        AUTO_WORLD world_t world;
        AUTO_FREE char *script = mem_printf (RULES ("{\"status\":%d}"), statuses [i]);
        world_start (&world, script);
        assert_refused (&world, get (&world), ERR_REGISTRY_DENIED, "status 40");
        assert_int_equal (fake_requests (&world.server, "", ""), 1);
    }
}

static void test_what_is_not_there_is_not_found (void **state)
{
    (void) state;
    int64_t size = 0;
    char digest [OCI_DIGEST_SIZE];
    AUTO_WORLD world_t world;
    world_start (&world, "{}");
    oci_digest_of ("x", 1, digest);
    assert_refused (&world, get (&world), ERR_NOT_FOUND, "has no tag 1 in team/app");
    assert_refused (&world, registry_head_blob (world.client, &world.app, digest, &size, &world.err), ERR_NOT_FOUND, digest);
}

/* -- nonsense ------------------------------------------------------------------------------------------------------ */

static void test_a_body_cut_short_is_asked_for_again (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, RULES ("{\"times\":1,\"length\":5000," ANSWER "},{" ANSWER "}"));
    assert_got (&world);
    AUTO_WORLD world_t always;
    world_start (&always, RULES ("{\"length\":5000," ANSWER "}"));
    assert_refused (&always, get (&always), ERR_REGISTRY, "connection failed");
    assert_int_equal (fake_requests (&always.server, "GET", ""), 3);
}

static void test_other_bytes_than_the_digest_says_are_refused (void **state)
{
    (void) state;
    char digest [OCI_DIGEST_SIZE];
    buffer_t blob = { 0 };
    AUTO_WORLD world_t world;
    world_start (&world, RULES ("{\"path\":\"/manifests/\"," ANSWER "},{\"path\":\"/blobs/\",\"status\":200,\"body\":\"evil\"}"));
    oci_digest_of ("good", 4, digest);
    snprintf (world.app.digest, sizeof world.app.digest, "%s", digest);
    assert_refused (&world, get (&world), ERR_VERIFY, digest);
    assert_refused (&world, registry_get_blob (world.client, &world.app, digest, 1000, &blob, &world.err), ERR_VERIFY, digest);
    buffer_free (&blob);
}

static void test_a_registry_that_names_another_digest_is_refused (void **state)
{
    (void) state;
    char other [OCI_DIGEST_SIZE];
    oci_digest_of ("other", 5, other);
    AUTO_FREE char *script = mem_printf (RULES ("{\"path\":\"manifests\",\"digest\":\"%s\"}"), other);
    AUTO_WORLD world_t world;
    world_start (&world, script);
    manifest_t manifest = { .media_type = MEDIA_OCI_MANIFEST };
    buffer_text (&manifest.bytes, IMAGE);
    oci_digest_of (manifest.bytes.data, manifest.bytes.size, manifest.digest);
    int rc = registry_put_manifest (world.client, &world.app, "1", &manifest, &world.err);
    assert_refused (&world, rc, ERR_VERIFY, other);
    assert_refused (&world, get (&world), ERR_VERIFY, other);
    manifest_free (&manifest);
}

static void test_nonsense_is_the_registrys_fault (void **state)
{
    (void) state;
    static const struct {
        const char *rule, *text;
    } cases [] = {
        { "{\"status\":200,\"body\":\"<html>login</html>\",\"headers\":{\"Content-Type\":\"text/html\"}}", "\"text/html\"" },
        { "{\"raw\":\"SSH-2.0-OpenSSH_9.2\\r\\n\"}", "does not answer as a registry does" },
        { "{\"status\":302,\"headers\":{\"Location\":\"ftp://127.0.0.1/x\"}}", "neither http nor https" },
        { "{\"status\":302,\"headers\":{\"Location\":\"http://[bad\"}}", "no address" },
        { "{\"status\":302}", "no address" },
        { "{\"status\":302,\"headers\":{\"Location\":\"/again\"}}", "more than 5 times" },
        { "{\"status\":200,\"length\":5000000,\"body\":\"\",\"headers\":{\"X-Long\":\"%s\"}}", "headers" },
    };
    char filler [70000];
    memset (filler, 'x', sizeof filler - 1);
    filler [sizeof filler - 1] = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_FREE char *rule = mem_printf (cases [i].rule, filler);
        AUTO_FREE char *script = mem_printf (RULES ("%s"), rule);
        AUTO_WORLD world_t world;
        world_start (&world, script);
        assert_refused (&world, get (&world), ERR_REGISTRY, cases [i].text);
    }
}

static void test_a_body_beyond_the_limit_is_dropped (void **state)
{
    (void) state;
    buffer_t blob = { 0 };
    char digest [OCI_DIGEST_SIZE], body [5001];
    memset (body, 'x', 5000);
    body [5000] = 0;
    AUTO_FREE char *script = mem_printf ("{\"blobs\":{\"team/app\":[\"%s\"]}}", body);
    AUTO_WORLD world_t world;
    world_start (&world, script);
    oci_digest_of (body, 5000, digest);
    int rc = registry_get_blob (world.client, &world.app, digest, 4999, &blob, &world.err);
    assert_refused (&world, rc, ERR_REGISTRY, "more than 4999 bytes");
    assert_int_equal (fake_requests (&world.server, "GET", ""), 1);
    rc = registry_get_blob (world.client, &world.app, digest, 5000, &blob, &world.err);
    assert_int_equal (rc, 0);
    assert_int_equal (blob.size, 5000);
    buffer_free (&blob);
}

/* Sent whole: one that only says so is a body that was cut. */
static int get_of_size (world_t *world, size_t size)
{
    AUTO_FREE char *spaces = mem_alloc (size + 1);
    memset (spaces, ' ', size);
    AUTO_FREE char *script = mem_printf (RULES ("{\"status\":200,\"body\":\"{\\\"schemaVersion\\\":2}%s\",\"headers\":{\"Content-Type\":\"" MEDIA_OCI_MANIFEST "\"}}"),
                                         spaces + strlen ("{'schemaVersion':2}"));
    world_start (world, script);
    return get (world);
}

static void test_a_manifest_has_4_mib_at_most (void **state)
{
    (void) state;
    AUTO_WORLD world_t large, larger;
    if (get_of_size (&large, MANIFEST_BYTES_MAX) < 0)
        fail_msg ("%s", large.err.text);
    assert_int_equal (large.manifest.bytes.size, MANIFEST_BYTES_MAX);
    assert_refused (&larger, get_of_size (&larger, MANIFEST_BYTES_MAX + 1), ERR_REGISTRY, "more than 4194304 bytes");
}

/* -- not there ----------------------------------------------------------------------------------------------------- */

static void test_a_registry_that_is_down_is_named_with_advice (void **state)
{
    (void) state;
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);       /* bound and not listening: nobody else gets the port */
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    assert_int_equal (bind (fd, (struct sockaddr *) &address, size), 0);
    assert_int_equal (getsockname (fd, (struct sockaddr *) &address, &size), 0);
    AUTO_FREE char *host = mem_printf ("127.0.0.1:%d", ntohs (address.sin_port));
    const char *plain [] = { host, NULL };
    registry_settings_t settings = { .plain_http_hosts = plain, .timeout_ms = 3000 };
    registry_t *client = registry_new (&settings);
    reference_t app = reference_of (host, "team/app:1");
    manifest_t manifest = { .media_type = "" };
    err_t err = { 0 };
    assert_int_equal (registry_get_manifest (client, &app, &manifest, &err), -1);
    assert_int_equal (err.code, ERR_REGISTRY);
    assert_non_null (strstr (err.text, host));
    assert_non_null (strstr (err.text, "check that it runs"));
    registry_destroy (&client);
    close (fd);
}

static void test_a_registry_that_says_nothing_is_given_up (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, RULES ("{\"pause\":true}"));
    registry_settings_t settings = { .plain_http_hosts = world.server.plain, .timeout_ms = 300 };
    registry_destroy (&world.client);
    world.client = registry_new (&settings);
    assert_refused (&world, get (&world), ERR_REGISTRY, "nothing has come or gone for 300 ms");
}

/* Of a tally: that only one call has come to nothing, and none to anything else. */
static void expect_one_error (void *argument, const char *method, const char *status, uint64_t count)
{
    (void) argument;
    assert_string_equal (method, "GET");
    assert_string_equal (status, "error");
    assert_int_equal (count, 1);
}

static void test_plain_http_is_for_listed_hosts_alone (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, RULES ("{" ANSWER "}"));
    registry_tally_t tally = { 0 };
    registry_settings_t settings = { .timeout_ms = 3000, .tally = &tally };
    registry_destroy (&world.client);
    world.client = registry_new (&settings);
    assert_refused (&world, get (&world), ERR_REGISTRY_DENIED, "does not speak TLS: if it is meant to be without, list 127.0.0.1:");
    assert_non_null (strstr (world.err.text, "under registry/plain-http in the settings of "));
    registry_tally_each (&tally, expect_one_error, NULL);       /* final: there was no other try */
    assert_int_equal (fake_requests (&world.server, "", ""), 0);
}

/* -- logins -------------------------------------------------------------------------------------------------------- */

#define BEARER(more) "{\"auth\":{\"kind\":\"bearer\",\"user\":\"ann\",\"password\":\"s:3x\"" more "}," \
                     "\"rules\":[{\"path\":\"manifests\",\"authorized\":true," ANSWER "}]}"

static void test_a_token_is_fetched_once_and_used_again (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, BEARER (",\"expires_in\":300"));
    world_login (&world, world.server.host, "ann", "s:3x");
    assert_got (&world);
    assert_got (&world);
    assert_int_equal (fake_requests (&world.server, "GET", "/token"), 1);
    assert_int_equal (fake_requests (&world.server, "GET", "/token?service=fake%2C%20registry&scope=repository%3Ateam%2Fapp%3Apull"), 1);
    assert_int_equal (fake_requests (&world.server, "GET", "/manifests/"), 3);
    assert_int_equal (fake_authorized (&world.server, "GET", "/manifests/"), 2);
}

static void test_a_token_is_renewed_half_way (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, BEARER (",\"expires_in\":1"));
    world_login (&world, world.server.host, "ann", "s:3x");
    assert_got (&world);
    int64_t until_ms = clock_boot_ms () + 10000;    /* the client's own clock is what is waited for */
    while (tokens_known (world.client->tokens, world.server.host, "repository:team/app:pull") && clock_boot_ms () < until_ms)
        poll (NULL, 0, 10);
    assert_true (clock_boot_ms () < until_ms);
    assert_got (&world);
    assert_int_equal (fake_requests (&world.server, "GET", "/token"), 2);
}

static void test_a_token_without_expires_in_is_kept (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, BEARER (""));
    world_login (&world, world.server.host, "ann", "s:3x");
    assert_got (&world);
    assert_got (&world);
    assert_int_equal (fake_requests (&world.server, "GET", "/token"), 1);
}

static void test_a_wrong_password_is_said_to_be_wrong (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, BEARER (""));
    world_login (&world, world.server.host, "ann", "wrong");
    assert_refused (&world, get (&world), ERR_REGISTRY_DENIED, "refuses the user and password");
    assert_int_equal (fake_requests (&world.server, "GET", "/token"), 1);
}

static void test_no_credential_is_said_with_where_it_was_looked_for (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, "{\"auth\":{\"kind\":\"basic\",\"user\":\"ann\",\"password\":\"p\"}}");
    world_login (&world, "elsewhere.lan", "ann", "p");
    assert_refused (&world, get (&world), ERR_REGISTRY_DENIED, "config.json");
    assert_non_null (strstr (world.err.text, "docker login"));
    assert_int_equal (registry_ping (world.client, world.server.host, &world.err), 0);      /* but it is there */
}

static void test_a_given_credential_goes_first (void **state)
{
    (void) state;
    AUTO_WORLD world_t world;
    world_start (&world, "{\"auth\":{\"kind\":\"basic\",\"user\":\"ann\",\"password\":\"p\"},"
                         "\"rules\":[{\"path\":\"manifests\",\"authorized\":true," ANSWER "}]}");
    world_login (&world, world.server.host, "ann", "wrong");
    registry_set_credential (world.client, world.server.host, "Basic YW5uOnA=");
    assert_got (&world);
}

/* The other one stands on the same machine under another name, which is another site. */
static void test_a_password_does_not_go_to_a_realm_elsewhere (void **state)
{
    (void) state;
    server_t realm;
    fake_start (&realm, "{\"auth\":{\"kind\":\"bearer\",\"expires_in\":300}}");
    AUTO_FREE char *script = mem_printf ("{\"auth\":{\"kind\":\"bearer\",\"user\":\"ann\",\"password\":\"p\","
                                         "\"realm\":\"http://%s/token\"},\"rules\":[{\"path\":\"manifests\","
                                         "\"authorized\":true," ANSWER "}]}", realm.name);
    AUTO_WORLD world_t world;
    world_start (&world, script);
    world_login (&world, world.server.host, "ann", "p");
    assert_refused (&world, get (&world), ERR_REGISTRY_DENIED, "is not encrypted");
    world.server.plain [1] = realm.name;
    world_login (&world, world.server.host, "ann", "p");
    assert_got (&world);
    assert_int_equal (fake_requests (&realm, "GET", "/token"), 1);
    assert_int_equal (fake_authorized (&realm, "GET", "/token"), 0);
    server_stop (&realm);
}

static void test_a_redirect_to_another_host_shows_nothing_there (void **state)
{
    (void) state;
    server_t store;
    char digest [OCI_DIGEST_SIZE];
    buffer_t blob = { 0 };
    int64_t size = 0;
    oci_digest_of ("layer", 5, digest);
    fake_start (&store, "{\"rules\":[{\"status\":200,\"body\":\"layer\"}]}");
    AUTO_FREE char *script = mem_printf ("{\"auth\":{\"kind\":\"basic\",\"user\":\"ann\",\"password\":\"p\"},\"rules\":["
                                         "{\"authorized\":true,\"status\":307,\"headers\":{\"Location\":"
                                         "\"http://%s/bucket?signature=1\"}}]}", store.name);
    AUTO_WORLD world_t world;
    world_start (&world, script);
    world_login (&world, world.server.host, "ann", "p");
    int rc = registry_get_blob (world.client, &world.app, digest, 100, &blob, &world.err);
    assert_refused (&world, rc, ERR_REGISTRY_DENIED, "not encrypted");
    assert_int_equal (fake_requests (&store, "", ""), 0);
    world.server.plain [1] = store.name;
    world_login (&world, world.server.host, "ann", "p");
    rc = registry_get_blob (world.client, &world.app, digest, 100, &blob, &world.err);
    assert_int_equal (rc, 0);
    assert_memory_equal (blob.data, "layer", 5);
    assert_int_equal (registry_head_blob (world.client, &world.app, digest, &size, &world.err), 0);
    assert_int_equal (size, 5);
    assert_int_equal (fake_requests (&store, "", "/bucket?signature=1"), 2);
    assert_int_equal (fake_authorized (&store, "", ""), 0);
    buffer_free (&blob);
    server_stop (&store);
}

static int set_up (void **state)
{
    (void) state;
    signal (SIGPIPE, SIG_IGN);
    without_proxies ();
    return 0;
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (test_a_busy_registry_is_asked_again),
        cmocka_unit_test (test_after_three_tries_it_is_the_registrys_fault),
        cmocka_unit_test (test_retry_after_is_waited_for),
        cmocka_unit_test (test_a_retry_after_beyond_the_time_limit_is_not),
        cmocka_unit_test (test_a_final_no_is_asked_for_once),
        cmocka_unit_test (test_what_is_not_there_is_not_found),
        cmocka_unit_test (test_a_body_cut_short_is_asked_for_again),
        cmocka_unit_test (test_other_bytes_than_the_digest_says_are_refused),
        cmocka_unit_test (test_a_registry_that_names_another_digest_is_refused),
        cmocka_unit_test (test_nonsense_is_the_registrys_fault),
        cmocka_unit_test (test_a_body_beyond_the_limit_is_dropped),
        cmocka_unit_test (test_a_manifest_has_4_mib_at_most),
        cmocka_unit_test (test_a_registry_that_is_down_is_named_with_advice),
        cmocka_unit_test (test_a_registry_that_says_nothing_is_given_up),
        cmocka_unit_test (test_plain_http_is_for_listed_hosts_alone),
        cmocka_unit_test (test_a_token_is_fetched_once_and_used_again),
        cmocka_unit_test (test_a_token_is_renewed_half_way),
        cmocka_unit_test (test_a_token_without_expires_in_is_kept),
        cmocka_unit_test (test_a_wrong_password_is_said_to_be_wrong),
        cmocka_unit_test (test_no_credential_is_said_with_where_it_was_looked_for),
        cmocka_unit_test (test_a_given_credential_goes_first),
        cmocka_unit_test (test_a_password_does_not_go_to_a_realm_elsewhere),
        cmocka_unit_test (test_a_redirect_to_another_host_shows_nothing_there),
    };
    return cmocka_run_group_tests (tests, set_up, NULL);
}
