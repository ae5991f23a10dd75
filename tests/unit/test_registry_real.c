/* test_registry_real.c - the registry client against Debian's docker-registry: with a password, with a token service, over TLS
 * with an authority of our own, and with a certificate for the client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sodium.h>
#include <string.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/manifest.h"
#include "registries.h"

#define LAYER "a layer"

/* One without any login, which has the blob that others get, and the certificates. */
static server_t source;
static bool has_source;
static char digest [OCI_DIGEST_SIZE], certs [] = "/tmp/test-certs.XXXXXX";
static bool has_certs;

/* -- a client ------------------------------------------------------------------------------------------------------ */

typedef struct {
    server_t *server;
    registry_t *client;
    char *certs;                            /* folder of certs.d */
    err_t err;
} world_t;

/* is_plain: it speaks no TLS. user: "ann", or NULL; files: of the certificates those that lie in certs.d, or NULL. */
static void world_start (world_t *self, server_t *server, bool is_plain, const char *authorization, const char *const *files)
{
    static const char *plain [4];
    *self = (world_t) { .server = server, .certs = mem_printf ("%s/certs.d", server->folder) };
    AUTO_FREE char *folder = file_join (self->certs, server->host);
    plain [0] = source.host;
    plain [1] = is_plain ? server->host : NULL;
    for (; files && *files; files++) {
        AUTO_BUFFER buffer_t bytes = { 0 };
        AUTO_FREE char *from = file_join (certs, *files), *to = file_join (folder, *files);
        err_t err = { 0 };
        if (file_make_folders (folder, 0755, &err) < 0 || file_read (from, 1 << 20, &bytes, &err) < 0
            || file_write (to, bytes.data, bytes.size, 0600, &err) < 0)
            fail_msg ("%s", err.text);
    }
    registry_settings_t settings = { .plain_http_hosts = plain, .certs_folder = self->certs, .timeout_ms = 10000 };
    self->client = registry_new (&settings);
    if (authorization)
        registry_set_credential (self->client, server->host, authorization);
}

static void world_end (world_t *self)
{
    registry_destroy (&self->client);
    free (self->certs);
}
#define AUTO_WORLD __attribute__ ((cleanup (world_end)))

/* All that the farm does with a registry: a blob gets there from another one, a manifest under a tag, and both are found again. */
static int exercise (world_t *self, const char *path)
{
    int64_t size = 0;
    reference_t from = reference_of (source.host, "team/base"), to = reference_of (self->server->host, path);
    manifest_t index = { .media_type = "" }, back = { .media_type = "" };
    strcpy (to.tag, "1");
    manifest_compose_index (NULL, 0, NULL, &index.bytes, index.media_type);
    oci_digest_of (index.bytes.data, index.bytes.size, index.digest);
    int rc = registry_ping (self->client, self->server->host, &self->err);
    if (rc == 0)
        rc = registry_copy_blob (self->client, &from, &to, digest, strlen (LAYER), &self->err);
    if (rc == 0)
        rc = registry_head_blob (self->client, &to, digest, &size, &self->err);
    if (rc == 0)
        rc = registry_put_manifest (self->client, &to, "1", &index, &self->err);
    if (rc == 0)
        rc = registry_get_manifest (self->client, &to, &back, &self->err);
    if (rc == 0) {
        assert_int_equal (size, strlen (LAYER));
        assert_string_equal (back.digest, index.digest);
    }
    manifest_free (&index);
    manifest_free (&back);
    return rc;
}

static void assert_good (world_t *self, const char *path)
{
    if (exercise (self, path) < 0)
        fail_msg ("%s", self->err.text);
}

static void assert_refused (world_t *self, const char *path, err_code code, const char *words)
{
    int rc = exercise (self, path);
    if (rc != -1 || self->err.code != code || !strstr (self->err.text, words))
        fail_msg ("rc %d, %s: %s", rc, err_name (self->err.code), self->err.text);
}

/* -- a password ---------------------------------------------------------------------------------------------------- */

/* bcrypt of "s3cret:with colon", as htpasswd -B writes it. */
static const char login [] = "ann:$2y$05$abcdefghijklmnopqrstuuOb/B27OpVc3Bt3QXIepIr2DUn/DCZNi\n";
static const char ann_basic [] = "Basic YW5uOnMzY3JldDp3aXRoIGNvbG9u";

static bool start_with_login (server_t *self, const char *more_http)
{
    AUTO_FREE char *path = mem_printf ("%s/htpasswd", certs);
    AUTO_FREE char *more = mem_printf ("auth: {htpasswd: {realm: here, path: %s}}\n", path);
    assert_int_equal (file_write (path, login, strlen (login), 0600, NULL), 0);
    return real_start_as (self, more, more_http);
}

static void test_with_a_password (void **state)
{
    (void) state;
    server_t server;
    if (!has_source || !start_with_login (&server, ""))
        skip ();
    static const struct {
        const char *shown, *words;
    } cases [] = { { ann_basic, NULL }, { NULL, "wants a login" }, { "Basic YW5uOndyb25n", "refuses the user and password" } };
    for (size_t i = 0; i < 3; i++) {
        AUTO_WORLD world_t world;
        world_start (&world, &server, true, cases [i].shown, NULL);
        if (cases [i].words)
            assert_refused (&world, "team/app", ERR_REGISTRY_DENIED, cases [i].words);
        else
            assert_good (&world, "team/app");
    }
    server_stop (&server);
}

/* -- for somebody who has no credential ------------------------------------------------------------------------------ */

static void a_password_is_given_where_there_are_no_tokens (void **state)
{
    (void) state;
    server_t server;
    if (!has_source || !start_with_login (&server, ""))
        skip ();
    AUTO_WORLD world_t world;
    char *shown = NULL;
    int64_t keep_ms = 0;
    world_start (&world, &server, true, ann_basic, NULL);
    assert_int_equal (registry_authorize (world.client, server.host, "repository:team/app:pull,push", true, &shown, &keep_ms, &world.err), 0);
    assert_string_equal (shown, ann_basic);
    assert_in_range (keep_ms, 1, 60000);
    free (shown);
    world.err = (err_t) { 0 };
    assert_int_equal (registry_authorize (world.client, server.host, "repository:team/app:pull", false, &shown, &keep_ms, &world.err), -1);
    assert_int_equal (world.err.code, ERR_REGISTRY_DENIED);
    assert_non_null (strstr (world.err.text, "knows passwords only"));
    assert_int_equal (registry_authorize (world.client, source.host, "repository:team/app:pull", false, &shown, &keep_ms, &world.err), 0);
    assert_string_equal (shown, "");
    free (shown);
    server_stop (&server);
}

/* -- tokens -------------------------------------------------------------------------------------------------------- */

/* A registry with its token service, and what a client of both is told. */
typedef struct {
    server_t server, service;
    const char *plain_http [4];
    registry_settings_t settings;
} house_t;

static void house_open (house_t *self)
{
    if (!has_source || !real_start_with_tokens (&self->server, &self->service))
        skip ();
    memcpy (self->plain_http, (const char *[]) { source.host, self->server.host, self->service.host, NULL }, sizeof self->plain_http);
    self->settings = (registry_settings_t) { .plain_http_hosts = self->plain_http, .timeout_ms = 10000 };
}

/* With a password. */
static registry_t *house_client (const house_t *self)
{
    registry_t *client = registry_new (&self->settings);
    registry_set_credential (client, self->server.host, "Basic YW5uOnMz");      /* ann:s3 */
    return client;
}

static void house_close (house_t *self)
{
    server_stop (&self->server);
    server_stop (&self->service);
}

static void test_with_a_token_service (void **state)
{
    (void) state;
    house_t house;
    house_open (&house);
    static const struct {
        const char *shown, *words;              /* ann:s3, bob:b0, ann:xx */
    } cases [] = { { "Basic YW5uOnMz", NULL }, { "Basic Ym9iOmIw", "refuses the user and password" }, { NULL, "it gives none without a login" },
                   { "Basic YW5uOnh4", "it refuses the user and password" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_WORLD world_t world;
        world_start (&world, &house.server, true, cases [i].shown, NULL);
        registry_destroy (&world.client);
        world.client = registry_new (&house.settings);
        if (cases [i].shown)
            registry_set_credential (world.client, house.server.host, cases [i].shown);
        if (cases [i].words)
            assert_refused (&world, "team/app", ERR_REGISTRY_DENIED, cases [i].words);
        else
            assert_good (&world, "team/app");
    }
    house_close (&house);
}

/* What the token says, which its registry believes. */
static char *claims_of (const char *shown)
{
    size_t size = 0;
    const char *first = strchr (shown, '.'), *last = first ? strchr (first + 1, '.') : NULL;
    assert_non_null (last);
    char *text = mem_alloc (strlen (shown) + 1);
    assert_int_equal (sodium_base642bin ((unsigned char *) text, strlen (shown), first + 1, (size_t) (last - first - 1), NULL, &size, NULL,
                                         sodium_base64_VARIANT_URLSAFE_NO_PADDING), 0);
    return text;
}

static void a_token_for_one_scope_is_given (void **state)
{
    (void) state;
    house_t house;
    house_open (&house);
    registry_t *client = house_client (&house);
    char *shown = NULL;
    int64_t keep_ms = 0;
    err_t err = { 0 };
    if (registry_authorize (client, house.server.host, "repository:team/app:pull,push repository:team/base:pull", false, &shown, &keep_ms, &err) < 0)
        fail_msg ("%s", err.text);
    AUTO_FREE char *claims = claims_of (shown);
    assert_non_null (strstr (claims, "\"access\": [{\"type\": \"repository\", \"name\": \"team/app\", \"actions\": [\"pull\", \"push\"]}, "
                             "{\"type\": \"repository\", \"name\": \"team/base\", \"actions\": [\"pull\"]}]"));
    assert_in_range (keep_ms, 100000, 150000);      /* half of its 300 s */
    free (shown);
    registry_destroy (&client);
    house_close (&house);
}

/* Who is given a token asks again when its time is over: so of one that is to be renewed soon there is a new one. */
static void a_token_that_is_given_is_good_for_a_while (void **state)
{
    (void) state;
    house_t house;
    house_open (&house);
    registry_t *client = house_client (&house);
    char *shown = NULL;
    int64_t keep_ms = 0, least_ms = 4000;
    err_t err = { 0 };
    AUTO_FREE char *seconds = file_join (house.service.folder, "seconds");
    assert_int_equal (file_write (seconds, "4", 1, 0600, &err), 0);         /* each is used for two of them */
    for (int64_t until_ms = clock_boot_ms () + 3000; clock_boot_ms () < until_ms; poll (NULL, 0, 20)) {
        if (registry_authorize (client, house.server.host, "repository:team/app:pull", false, &shown, &keep_ms, &err) < 0)
            fail_msg ("%s", err.text);
        assert_string_not_equal (shown, "");
        least_ms = keep_ms < least_ms ? keep_ms : least_ms;
        free (shown);
    }
    assert_in_range (least_ms, 700, 1500);              /* it was asked for more than one */
    registry_destroy (&client);
    house_close (&house);
}

/* -- TLS ----------------------------------------------------------------------------------------------------------- */

static char *tls_of (const char *more)
{
    return mem_printf (", tls: {certificate: %s/server.crt, key: %s/server.key%s}", certs, certs, more);
}

static void test_over_tls_with_an_authority_of_our_own (void **state)
{
    (void) state;
    server_t server;
    AUTO_FREE char *tls = tls_of ("");
    if (!has_source || !has_certs || !start_with_login (&server, tls))
        skip ();
    static const char *const files [] = { "ca.crt", NULL };
    AUTO_WORLD world_t stranger;
    world_start (&stranger, &server, false, ann_basic, NULL);
    assert_refused (&stranger, "team/app", ERR_REGISTRY, "put that into certs.d/127.0.0.1:");
    AUTO_WORLD world_t world;
    world_start (&world, &server, false, ann_basic, files);
    assert_good (&world, "team/app");
    AUTO_WORLD world_t plain;
    world_start (&plain, &server, true, ann_basic, files);
    assert_refused (&plain, "team/app", ERR_REGISTRY_DENIED, "status 400");
    server_stop (&server);
}

static void test_over_tls_with_a_certificate_for_the_client (void **state)
{
    (void) state;
    server_t server;
    AUTO_FREE char *clients = mem_printf (", clientcas: [%s/ca.crt]", certs), *tls = tls_of (clients);
    if (!has_source || !has_certs || !real_start_as (&server, "", tls))
        skip ();
    static const char *const without [] = { "ca.crt", NULL }, *const with [] = { "ca.crt", "client.cert", "client.key", NULL };
    AUTO_WORLD world_t stranger;
    world_start (&stranger, &server, false, NULL, without);
    assert_refused (&stranger, "team/app", ERR_REGISTRY, "put client.cert and client.key into certs.d/");
    AUTO_WORLD world_t world;
    world_start (&world, &server, false, NULL, with);
    assert_good (&world, "team/app");
    server_stop (&server);
}

/* -- TLS that does not fit ----------------------------------------------------------------------------------------- */

static int get (world_t *self)
{
    manifest_t manifest = { .media_type = "" };
    reference_t app = reference_of (self->server->host, "team/app:1");
    self->err = (err_t) { 0 };
    int rc = registry_get_manifest (self->client, &app, &manifest, &self->err);
    manifest_free (&manifest);
    return rc;
}

static void test_a_certificate_for_another_name_is_refused (void **state)
{
    (void) state;
    if (!has_certs)
        skip ();
    server_t server;
    AUTO_FREE char *pem = file_join (certs, "other.pem");
    fake_start_tls (&server, "{}", pem);
    static const char *const files [] = { "ca.crt", NULL };
    AUTO_WORLD world_t world;
    world_start (&world, &server, false, NULL, files);
    assert_int_equal (get (&world), -1);
    assert_int_equal (world.err.code, ERR_REGISTRY);
    assert_non_null (strstr (world.err.text, "no secure connection"));
    assert_int_equal (fake_requests (&server, "", ""), 0);
    server_stop (&server);
}

/* The password of a registry with TLS does not go to a realm without, be it on the same machine and listed. */
static void test_a_password_does_not_go_from_tls_to_plain_http (void **state)
{
    (void) state;
    if (!has_certs)
        skip ();
    server_t server, realm;
    AUTO_FREE char *pem = file_join (certs, "server.pem");
    fake_start (&realm, "{\"auth\":{\"kind\":\"bearer\"}}");
    AUTO_FREE char *script = mem_printf ("{\"auth\":{\"kind\":\"bearer\",\"user\":\"ann\",\"realm\":\"http://%s/token\"}}", realm.host);
    fake_start_tls (&server, script, pem);
    static const char *const files [] = { "ca.crt", NULL };
    AUTO_WORLD world_t world;
    world_start (&world, &server, false, NULL, files);
    registry_settings_t settings = { .plain_http_hosts = (const char *[]) { realm.host, NULL }, .certs_folder = world.certs, .timeout_ms = 5000 };
    registry_destroy (&world.client);
    world.client = registry_new (&settings);
    registry_set_credential (world.client, server.host, ann_basic);
    assert_int_equal (get (&world), -1);
    assert_int_equal (fake_requests (&realm, "GET", "/token"), 1);
    assert_int_equal (fake_shown_to (&realm, realm.host), 0);
    server_stop (&server);
    server_stop (&realm);
}

/* ------------------------------------------------------------------------------------------------------------------ */

static int set_up (void **state)
{
    (void) state;
    signal (SIGPIPE, SIG_IGN);
    without_proxies ();
    has_source = real_start (&source);
    if (has_source)
        push_blob (&source, "team/base", NULL, LAYER, strlen (LAYER), digest);
    AUTO_FREE char *command = mem_printf ("sh '" SOURCE_DIR "/tests/lib/certificates.sh' %s", mkdtemp (certs));
    has_certs = system (command) == 0;
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    if (has_source)
        server_stop (&source);
    return file_remove_tree (certs, NULL);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (test_with_a_password),
        cmocka_unit_test (a_password_is_given_where_there_are_no_tokens),
        cmocka_unit_test (test_with_a_token_service),
        cmocka_unit_test (a_token_for_one_scope_is_given),
        cmocka_unit_test (a_token_that_is_given_is_good_for_a_while),
        cmocka_unit_test (test_over_tls_with_an_authority_of_our_own),
        cmocka_unit_test (test_over_tls_with_a_certificate_for_the_client),
        cmocka_unit_test (test_a_certificate_for_another_name_is_refused),
        cmocka_unit_test (test_a_password_does_not_go_from_tls_to_plain_http),
    };
    return cmocka_run_group_tests (tests, set_up, tear_down);
}
