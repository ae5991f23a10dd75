/* test_credentials.c - where a registry is, what it asks for, and what docker's config.json has for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/challenge.h"
#include "common/docker_config.h"
#include "common/file.h"
#include "common/url.h"

/* -- addresses ----------------------------------------------------------------------------------------------------- */

static void test_origins_are_read_and_compared (void **state)
{
    (void) state;
    origin_t a, b;
    err_t err;
    assert_int_equal (url_origin ("https://Registry.LAN/v2/", &a, &err), 0);
    assert_int_equal (url_origin ("https://registry.lan:443/other?x=1", &b, &err), 0);
    assert_string_equal (a.host, "registry.lan");
    assert_true (origin_equal (&a, &b));
    assert_int_equal (url_origin ("http://registry.lan:443/", &b, &err), 0);
    assert_false (origin_equal (&a, &b));
    assert_int_equal (url_origin ("https://[::1]:5000/", &b, &err), 0);
    assert_int_equal (b.port, 5000);
    assert_false (origin_equal (&a, &b));
}

static void test_addresses_that_mislead_are_refused (void **state)
{
    (void) state;
    static const char *const bad [] = { "ftp://registry.lan/", "registry.lan", "/v2/", "https://", "https://user@registry.lan/",
        "https://registry.lan@evil.lan/", "https://registry.lan\\@evil.lan/", "https://registry.lan/a b", "https://a\r\nb/", "",
        "file:///etc/passwd", "https://registry.lan:99999/" };
    origin_t origin;
    err_t err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (url_origin (bad [i], &origin, &err) == 0)
            fail_msg ("\"%s\" was taken", bad [i]);
    char *longest = mem_alloc (URL_MAX + 1);
    memset (longest, 'a', URL_MAX);
    memcpy (longest, "https://", 8);
    assert_int_equal (url_origin (longest, &origin, &err), -1);
    free (longest);
}

static void test_sites_are_told_apart (void **state)
{
    (void) state;
    static const struct {
        const char *a, *b;
        bool is_same;
    } cases [] = {
        { "registry-1.docker.io", "auth.docker.io", true }, { "registry.gitlab.com", "gitlab.com", true },
        { "ghcr.io", "ghcr.io", true },                     { "registry.farm.lan", "auth.farm.lan", true },
        { "registry.lan", "auth.lan", false },              { "registry.lan", "lan", false },
        { "registry.co.uk", "evil.co.uk", false },          { "registry.co.uk", "co.uk", false },
        { "registry.example.co.uk", "auth.example.co.uk", true }, { "example.com", "notexample.com", false },
        { "10.0.0.1", "10.0.0.1", true },                   { "10.0.0.1", "11.0.0.1", false },
        { "localhost", "localhost", true },                 { "docker.io", "docker.io.evil.com", false },
        { "a.b.c.d", "x.c.d", false },                      { "[::1]", "[::2]", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        origin_t a = { .is_https = true, .port = 443 }, b = { .is_https = true, .port = 8443 };
        strcpy (a.host, cases [i].a);
        strcpy (b.host, cases [i].b);
        if (origin_is_same_site (&a, &b) != cases [i].is_same || origin_is_same_site (&b, &a) != cases [i].is_same)
            fail_msg ("%s and %s", cases [i].a, cases [i].b);
    }
}

static void assert_url (const char *host, const char *wanted)
{
    static const char *const plain [] = { "registry.lan:5000", "other.lan", NULL };
    AUTO_FREE char *url = url_of_registry (host, plain);
    assert_string_equal (url, wanted);
}

static void test_plain_http_is_for_the_listed_alone (void **state)
{
    (void) state;
    assert_url ("registry.lan:5000", "http://registry.lan:5000");
    assert_url ("registry.lan", "https://registry.lan");
    assert_url ("registry.lan:5001", "https://registry.lan:5001");
    assert_url ("other.lan", "http://other.lan");
    assert_url ("other.lan:5000", "https://other.lan:5000");
    assert_url ("docker.io", "https://registry-1.docker.io");
    AUTO_FREE char *url = url_of_registry ("localhost:5000", NULL);
    assert_string_equal (url, "https://localhost:5000");
}

static void test_locations_are_resolved_and_queries_added (void **state)
{
    (void) state;
    err_t err;
    AUTO_FREE char *relative = url_resolve ("https://r.lan/v2/a/blobs/uploads/", "/v2/a/blobs/uploads/u?s=1", &err);
    assert_string_equal (relative, "https://r.lan/v2/a/blobs/uploads/u?s=1");
    AUTO_FREE char *absolute = url_resolve ("https://r.lan/v2/", "http://s.lan:81/x", &err);
    assert_string_equal (absolute, "http://s.lan:81/x");
    assert_null (url_resolve ("https://r.lan/v2/", "", &err));
    assert_null (url_resolve ("https://r.lan/v2/", "/x\ny", &err));
    buffer_t url = { 0 };
    buffer_text (&url, "https://r.lan/token");
    url_add_query (&url, "service", "a&b c");
    url_add_query (&url, "scope", "repository:x:pull");
    assert_string_equal ((char *) url.data, "https://r.lan/token?service=a%26b%20c&scope=repository%3Ax%3Apull");
    buffer_free (&url);
}

/* -- challenges ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *header;
    challenge_scheme scheme;            /* CHALLENGE_NONE: refused */
    const char *realm, *service, *scope;
} challenge_case_t;

static const challenge_case_t challenges [] = {
    { "Bearer realm=\"https://auth.lan/token\",service=\"registry.lan\",scope=\"repository:a:pull,push\"", CHALLENGE_BEARER,
      "https://auth.lan/token", "registry.lan", "repository:a:pull,push" },
    { "bearer Realm = https://auth.lan/token , service=registry", CHALLENGE_BEARER, "https://auth.lan/token", "registry", "" },
    { "Bearer realm=\"a\\\"b\", other=\"x, Basic realm=y\"", CHALLENGE_BEARER, "a\"b", "", "" },
    { "Basic realm=\"here\"", CHALLENGE_BASIC, "here", "", "" },
    { "Basic", CHALLENGE_BASIC, "", "", "" },
    { "Basic realm=\"x\", Bearer realm=\"https://a/t\",service=\"s\"", CHALLENGE_BEARER, "https://a/t", "s", "" },
    { "Bearer realm=\"https://a/t\", Basic realm=\"x\",service=\"no\"", CHALLENGE_BEARER, "https://a/t", "", "" },
    { "Digest realm=\"d\",nonce=\"n\", Basic realm=\"x\"", CHALLENGE_BASIC, "x", "", "" },
    { "Negotiate, Basic realm=\"x\"", CHALLENGE_BASIC, "x", "", "" },
    { "Negotiate abc==, Basic realm=\"x\"", CHALLENGE_BASIC, "x", "", "" },
    { "Bearer realm=\"first\",realm=\"second\"", CHALLENGE_BEARER, "first", "", "" },
    { "Bearer error=\"x\", Basic realm=\"x\"", CHALLENGE_BASIC, "x", "", "" },
    { "", CHALLENGE_NONE, NULL, NULL, NULL },
    { "Negotiate", CHALLENGE_NONE, NULL, NULL, NULL },
    { "Bearer service=\"s\"", CHALLENGE_NONE, NULL, NULL, NULL },
    { "Bearer realm=\"open", CHALLENGE_NONE, NULL, NULL, NULL },
    { "Bearer realm=\"open\\", CHALLENGE_NONE, NULL, NULL, NULL },
    { "\"quoted\"", CHALLENGE_NONE, NULL, NULL, NULL },
    { "@", CHALLENGE_NONE, NULL, NULL, NULL },
};

static void test_challenges_are_read_or_refused (void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof challenges / sizeof *challenges; i++) {
        const challenge_case_t *one = &challenges [i];
        challenge_t challenge;
        err_t err = { 0 };
        int rc = challenge_parse (&challenge, one->header, &err);
        bool is_good = one->scheme == CHALLENGE_NONE ? rc == -1 && err.code == ERR_REGISTRY
                     : rc == 0 && challenge.scheme == one->scheme && strcmp (challenge.realm, one->realm) == 0
                       && strcmp (challenge.service, one->service) == 0 && strcmp (challenge.scope, one->scope) == 0;
        if (!is_good)
            fail_msg ("%s: rc %d, realm \"%s\" service \"%s\" scope \"%s\"", one->header, rc, challenge.realm,
                      challenge.service, challenge.scope);
    }
}

static void test_values_are_bounded (void **state)
{
    (void) state;
    challenge_t challenge;
    char header [CHALLENGE_VALUE_MAX + 32] = "Bearer realm=\"";
    size_t used = strlen (header);
    memset (header + used, 'a', CHALLENGE_VALUE_MAX);
    strcpy (header + used + CHALLENGE_VALUE_MAX, "\"");
    assert_int_equal (challenge_parse (&challenge, header, NULL), -1);
    strcpy (header + used + CHALLENGE_VALUE_MAX - 1, "\"");
    assert_int_equal (challenge_parse (&challenge, header, NULL), 0);
}

/* -- config.json --------------------------------------------------------------------------------------------------- */

static char folder [] = "/tmp/test-credentials.XXXXXX";

static char *write_file (const char *name, const char *text, mode_t mode)
{
    char *path = file_join (folder, name);
    err_t err;
    if (file_write (path, text, strlen (text), mode, &err) < 0)
        fail_msg ("%s", err.text);
    return path;
}

static int find (const char *config, const char *host, char **out, err_t *err)
{
    AUTO_FREE char *path = write_file ("config.json", config, 0600);
    memset (err, 0, sizeof *err);
    return docker_config_find (path, host, out, err);
}

static void assert_found (const char *config, const char *host, const char *wanted)
{
    char *out = NULL;
    err_t err;
    if (find (config, host, &out, &err) < 0)
        fail_msg ("%s", err.text);
    if (!wanted != !out || (wanted && strcmp (wanted, out) != 0))
        fail_msg ("%s in %s: %s", host, config, out ? out : "nothing");
    docker_config_wipe (&out);
}

static void assert_unusable (const char *config, const char *text)
{
    char *out = NULL;
    err_t err;
    int rc = find (config, "registry.lan", &out, &err);
    if (rc != -1 || err.code != ERR_FARM || !strstr (err.text, text) || out)
        fail_msg ("%s: rc %d, %s", config, rc, err.text);
}

#define AUTHS(host) "{\"auths\":{\"" host "\":{\"auth\":\"YW5uOnA6cQ==\"}}}"       /* ann:p:q */
#define ANN "Basic YW5uOnA6cQ=="

static void test_a_host_is_found_under_the_names_docker_uses (void **state)
{
    (void) state;
    assert_found (AUTHS ("registry.lan"), "registry.lan", ANN);
    assert_found (AUTHS ("registry.lan:5000"), "registry.lan:5000", ANN);
    assert_found (AUTHS ("registry.lan:5000"), "registry.lan", NULL);
    assert_found (AUTHS ("https://registry.lan/v1/"), "registry.lan", ANN);
    assert_found (AUTHS ("registry.lan/team"), "registry.lan", NULL);
    assert_found (AUTHS ("https://index.docker.io/v1/"), "docker.io", ANN);
    assert_found (AUTHS ("docker.io"), "docker.io", ANN);
    assert_found (AUTHS ("https://index.docker.io/v1/"), "registry.lan", NULL);
    assert_found (AUTHS ("notregistry.lan"), "registry.lan", NULL);
    assert_found ("{}", "registry.lan", NULL);
    assert_found ("{\"auths\":{\"registry.lan\":{}}}", "registry.lan", NULL);
    assert_found ("{\"auths\":{\"registry.lan\":{\"username\":\"ann\",\"password\":\"p:q\"}}}", "registry.lan", ANN);
}

static void test_a_config_that_cannot_be_used_is_said_so (void **state)
{
    (void) state;
    char *out = NULL;
    err_t err = { 0 };
    assert_unusable ("{", "is no JSON");
    assert_unusable ("[]", "is no JSON object");
    assert_unusable ("{\"auths\":{\"registry.lan\":{\"auth\":\"!!!\"}}}", "no base64");
    assert_unusable ("{\"auths\":{\"registry.lan\":{\"auth\":\"YW5u\"}}}", "no user:password");
    assert_unusable ("{\"auths\":{\"registry.lan\":{\"auth\":\"YW5uOnAKcQ==\"}}}", "control character");
    assert_unusable ("{\"auths\":{\"registry.lan\":{\"identitytoken\":\"x\"}}}", "identity token");
    assert_unusable ("{\"credHelpers\":{\"registry.lan\":\"../evil\"}}", "no name of a credential helper");
    assert_unusable ("{\"credsStore\":\"not-installed\"}", "docker-credential-not-installed cannot be started");
    assert_int_equal (docker_config_find ("/nonexistent/config.json", "registry.lan", &out, &err), 0);
    assert_null (out);
}

/* As much as an `assign` takes, whose header has 64 KiB, 48 of them for the spec. */
static void test_a_secret_has_a_limit (void **state)
{
    (void) state;
    static char secret [12 * 1024 + 1];
    memset (secret, 'x', sizeof secret - 1);
    for (size_t size = sizeof secret - 1; size > 10 * 1024; size -= 64) {
        char *out = NULL;
        err_t err;
        secret [size] = 0;
        AUTO_FREE char *config = mem_printf ("{\"auths\":{\"registry.lan\":{\"username\":\"ann\",\"password\":\"%s\"}}}", secret);
        if (find (config, "registry.lan", &out, &err) < 0)
            assert_non_null (strstr (err.text, "at most"));
        else
            assert_true (strlen (out) <= 15 * 1024);
        docker_config_wipe (&out);
    }
}

/* The helper writes down what it was given, so that the tests see it. */
static void install_helper (const char *body)
{
    AUTO_FREE char *script = mem_printf ("#!/bin/sh\necho \"$1 $(cat)\" > %s/asked\n%s\n", folder, body);
    free (write_file ("docker-credential-test", script, 0700));
}

static void assert_asked (const char *wanted)
{
    AUTO_FREE char *path = file_join (folder, "asked");
    buffer_t asked = { 0 };
    err_t err;
    assert_int_equal (file_read (path, 1000, &asked, &err), 0);
    assert_string_equal ((char *) asked.data, wanted);
    buffer_free (&asked);
}

static void test_a_helper_is_asked (void **state)
{
    (void) state;
    install_helper ("echo '{\"ServerURL\":\"x\",\"Username\":\"ann\",\"Secret\":\"p:q\"}'");
    assert_found ("{\"credHelpers\":{\"registry.lan:5000\":\"test\"}}", "registry.lan:5000", ANN);
    assert_asked ("get registry.lan:5000\n");
    assert_found ("{\"credsStore\":\"test\"}", "docker.io", ANN);
    assert_asked ("get https://index.docker.io/v1/\n");
    assert_found ("{\"credHelpers\":{\"registry.lan:5000\":\"test\"}}", "registry.lan", NULL);
}

static void test_a_helper_that_has_nothing_leaves_it_to_the_file (void **state)
{
    (void) state;
    install_helper ("echo 'credentials not found in native keychain'; exit 1");
    assert_found ("{\"credsStore\":\"test\"}", "registry.lan", NULL);
    assert_found ("{\"credsStore\":\"test\",\"auths\":{\"registry.lan\":{\"auth\":\"YW5uOnA6cQ==\"}}}", "registry.lan", ANN);
}

static void test_a_helper_that_fails_is_said_so (void **state)
{
    (void) state;
    install_helper ("echo 'the keychain is locked'; exit 2");
    assert_unusable ("{\"credsStore\":\"test\"}", "status 2: the keychain is locked");
    install_helper ("echo nonsense");
    assert_unusable ("{\"credsStore\":\"test\"}", "no Username and Secret");
    install_helper ("head -c 100000 /dev/zero; exec sleep 1000");
    assert_unusable ("{\"credsStore\":\"test\"}", "more than 65536 bytes");
    install_helper ("echo '{\"Username\":\"<token>\",\"Secret\":\"x\"}'");
    assert_unusable ("{\"credsStore\":\"test\"}", "identity token");
}

static void test_the_file_is_where_docker_has_it (void **state)
{
    (void) state;
    setenv ("DOCKER_CONFIG", "/etc/ours", 1);
    AUTO_FREE char *named = docker_config_default ();
    assert_string_equal (named, "/etc/ours/config.json");
    unsetenv ("DOCKER_CONFIG");
    setenv ("HOME", "/home/ann", 1);
    AUTO_FREE char *own = docker_config_default ();
    assert_string_equal (own, "/home/ann/.docker/config.json");
}

static int set_up (void **state)
{
    (void) state;
    signal (SIGPIPE, SIG_IGN);
    if (!mkdtemp (folder))
        return -1;
    AUTO_FREE char *path = mem_printf ("%s:%s", folder, getenv ("PATH"));
    return setenv ("PATH", path, 1);
}

static int tear_down (void **state)
{
    (void) state;
    return file_remove_tree (folder, NULL);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (test_origins_are_read_and_compared),
        cmocka_unit_test (test_addresses_that_mislead_are_refused),
        cmocka_unit_test (test_sites_are_told_apart),
        cmocka_unit_test (test_plain_http_is_for_the_listed_alone),
        cmocka_unit_test (test_locations_are_resolved_and_queries_added),
        cmocka_unit_test (test_challenges_are_read_or_refused),
        cmocka_unit_test (test_values_are_bounded),
        cmocka_unit_test (test_a_host_is_found_under_the_names_docker_uses),
        cmocka_unit_test (test_a_config_that_cannot_be_used_is_said_so),
        cmocka_unit_test (test_a_secret_has_a_limit),
        cmocka_unit_test (test_a_helper_is_asked),
        cmocka_unit_test (test_a_helper_that_has_nothing_leaves_it_to_the_file),
        cmocka_unit_test (test_a_helper_that_fails_is_said_so),
        cmocka_unit_test (test_the_file_is_where_docker_has_it),
    };
    return cmocka_run_group_tests (tests, set_up, tear_down);
}
