/* test_inside.c - which addresses lie inside, and that a request to where somebody has sent us does not get there: by no spelling, by no
 * name, and on no connection that was kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/http.h"
#include "common/url.h"
#include "registries.h"

/* -- addresses ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *address;
    place_t place;
} addresses [] = {
    { "93.184.216.34", PLACE_OUTSIDE }, { "1.1.1.1", PLACE_OUTSIDE }, { "2606:2800:220:1::1", PLACE_OUTSIDE },
    { "127.0.0.1", PLACE_LOOPBACK }, { "127.255.255.254", PLACE_LOOPBACK }, { "0.0.0.0", PLACE_LOOPBACK }, { "0.1.2.3", PLACE_LOOPBACK },
    { "::1", PLACE_LOOPBACK }, { "::", PLACE_LOOPBACK }, { "[::1]", PLACE_LOOPBACK }, { "::ffff:127.0.0.1", PLACE_LOOPBACK },
    { "::127.0.0.1", PLACE_LOOPBACK }, { "64:ff9b::127.0.0.1", PLACE_LOOPBACK }, { "2002:7f00:1::", PLACE_LOOPBACK },
    { "169.254.169.254", PLACE_LINK }, { "169.253.255.255", PLACE_OUTSIDE }, { "fe80::1", PLACE_LINK }, { "fe80::1%eth0", PLACE_LINK },
    { "febf::1", PLACE_LINK }, { "::ffff:169.254.169.254", PLACE_LINK }, { "224.0.0.1", PLACE_LINK }, { "255.255.255.255", PLACE_LINK },
    { "240.0.0.1", PLACE_LINK }, { "223.255.255.255", PLACE_OUTSIDE }, { "ff02::1", PLACE_LINK },
    { "10.0.0.1", PLACE_PRIVATE }, { "11.0.0.1", PLACE_OUTSIDE }, { "172.15.255.255", PLACE_OUTSIDE }, { "172.16.0.1", PLACE_PRIVATE },
    { "172.31.255.255", PLACE_PRIVATE }, { "172.32.0.0", PLACE_OUTSIDE }, { "192.168.0.1", PLACE_PRIVATE }, { "192.169.0.1", PLACE_OUTSIDE },
    { "100.64.0.1", PLACE_PRIVATE }, { "100.127.255.255", PLACE_PRIVATE }, { "100.128.0.0", PLACE_OUTSIDE }, { "100.63.255.255", PLACE_OUTSIDE },
    { "192.0.0.8", PLACE_PRIVATE }, { "192.0.1.1", PLACE_OUTSIDE }, { "198.18.0.1", PLACE_PRIVATE }, { "198.19.255.255", PLACE_PRIVATE },
    { "198.20.0.0", PLACE_OUTSIDE }, { "fc00::1", PLACE_PRIVATE }, { "fdff::1", PLACE_PRIVATE }, { "fec0::1", PLACE_PRIVATE },
    { "2002:a00:1::", PLACE_PRIVATE }, { "64:ff9b::a00:1", PLACE_PRIVATE }, { "fe00::1", PLACE_OUTSIDE },
    /* 64:ff9b:1::/48 with prefixes of 96, 64, 56 and 48 bits, of zeros and others */
    { "64:ff9b:1::93.184.216.34", PLACE_OUTSIDE }, { "64:ff9b:1::10.0.0.1", PLACE_PRIVATE }, { "64:ff9b:1::127.0.0.1", PLACE_LOOPBACK },
    { "64:ff9b:1:aa:bb:cc:169.254.169.254", PLACE_LINK }, { "64:ff9b:1:0:5d:b8d8:2200:0", PLACE_OUTSIDE }, { "64:ff9b:1:0:7f:0:100:0", PLACE_LOOPBACK },
    { "64:ff9b:1:22:a9:fea9:fe00:0", PLACE_LINK }, { "64:ff9b:1:5d:b8:d822::", PLACE_OUTSIDE }, { "64:ff9b:1:c0:a8:1::", PLACE_PRIVATE },
    { "64:ff9b:1:5db8:d8:2200::", PLACE_OUTSIDE }, { "64:ff9b:1:a9fe:a9:fe00::", PLACE_LINK }, { "64:ff9b:1:a00:0:100::", PLACE_PRIVATE },
    { "64:ff9b:1:7f00:0:100:1:1", PLACE_LOOPBACK }, { "64:ff9b:1::", PLACE_PRIVATE }, { "64:ff9b:2::10.0.0.1", PLACE_OUTSIDE },
    /* Teredo: server, flags, port, and the client turned over */
    { "2001:0:4136:e378:8000:63bf:3fff:fdd2", PLACE_OUTSIDE }, { "2001:0:4136:e378:8000:63bf:80ff:fffe", PLACE_LOOPBACK },
    { "2001:0:4136:e378:8000:63bf:f5ff:fffe", PLACE_PRIVATE }, { "2001:0:4136:e378:8000:63bf:5601:5601", PLACE_LINK },
    { "2001:0:a00:1:8000:63bf:3fff:fdd2", PLACE_PRIVATE }, { "2001:0:7f00:1:8000:63bf:3fff:fdd2", PLACE_LOOPBACK },
    { "2001:1:a00:1::", PLACE_OUTSIDE }, { "2001:db8::10.0.0.1", PLACE_OUTSIDE },
    { "registry.example.com", PLACE_OUTSIDE }, { "", PLACE_OUTSIDE },
};

static void test_addresses_have_their_place (void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
        if (place_of_text (addresses [i].address) != addresses [i].place)
            fail_msg ("%s: %d", addresses [i].address, place_of_text (addresses [i].address));
}

/* libcurl's parser, which we use, makes one form of them; so does what resolves names, before it connects. */
static void test_spellings_are_seen_through (void **state)
{
    (void) state;
    static const char *const urls [] = { "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/", "http://0/",
                                         "http://[0:0:0:0:0:ffff:7f00:1]/", "http://127.0.0.1:99/" };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        origin_t origin;
        assert_int_equal (url_origin (urls [i], &origin, NULL), 0);
        if (place_of_text (origin.host) != PLACE_LOOPBACK)
            fail_msg ("%s: %s", urls [i], origin.host);
    }
}

/* -- requests ------------------------------------------------------------------------------------------------------ */

static server_t server;

static int ask (http_t *http, const char *host, bool is_guarded, place_t may_reach, err_t *err)
{
    AUTO_FREE http_answer_t *answer = mem_alloc (sizeof *answer);
    AUTO_FREE char *url = mem_printf ("http://%s/v2/", host);
    http_request_t request = { .method = "GET", .url = url, .timeout_ms = 5000, .is_guarded = is_guarded, .may_reach = may_reach };
    int rc = http_open (http, &request, answer, err);
    if (rc == 0 && !getenv ("http_proxy"))
        assert_int_equal (answer->place, PLACE_LOOPBACK);
    return rc;
}

static void assert_refused (http_t *http, const char *host, place_t may_reach)
{
    err_t err = { 0 };
    int before = fake_requests (&server, "", "");
    if (ask (http, host, true, may_reach, &err) != -1 || err.code != ERR_REGISTRY_DENIED || !strstr (err.text, "under registry/inside"))
        fail_msg ("%s: %s: %s", host, err_name (err.code), err.text);
    assert_int_equal (fake_requests (&server, "", ""), before);
}

static void test_who_is_elsewhere_does_not_send_us_here (void **state)
{
    (void) state;
    http_t *http = http_new ();
    AUTO_FREE char *number = mem_printf ("2130706433%s", strchr (server.host, ':'));
    AUTO_FREE char *wrapped = mem_printf ("[::ffff:127.0.0.1]%s", strchr (server.host, ':'));
    const char *const hosts [] = { server.host, server.name, number, wrapped };
    for (size_t i = 0; i < 4; i++) {
        assert_refused (http, hosts [i], PLACE_OUTSIDE);
        assert_refused (http, hosts [i], PLACE_PRIVATE);
    }
    assert_int_equal (ask (http, server.host, true, PLACE_LOOPBACK, NULL), 0);
    http_destroy (&http);
}

static void test_a_kept_connection_is_no_way_around (void **state)
{
    (void) state;
    http_t *http = http_new ();
    assert_int_equal (ask (http, server.host, false, PLACE_OUTSIDE, NULL), 0);
    assert_refused (http, server.host, PLACE_OUTSIDE);
    assert_int_equal (ask (http, server.host, false, PLACE_OUTSIDE, NULL), 0);
    http_destroy (&http);
}

static void test_a_proxy_is_not_sent_to_an_address_inside (void **state)
{
    (void) state;
    http_t *http = http_new ();
    AUTO_FREE char *proxy = mem_printf ("http://%s", server.host);
    setenv ("http_proxy", proxy, 1);
    assert_refused (http, "10.11.12.13", PLACE_OUTSIDE);
    assert_int_equal (ask (http, "registry.example.com", true, PLACE_OUTSIDE, NULL), 0);
    assert_int_equal (fake_requests_to (&server, "registry.example.com"), 1);
    setenv ("no_proxy", "10.0.0.1, .localhost,127.0.0.1", 1);
    assert_refused (http, server.host, PLACE_OUTSIDE);
    assert_refused (http, server.name, PLACE_OUTSIDE);
    unsetenv ("http_proxy");
    unsetenv ("no_proxy");
    http_destroy (&http);
}

/* A registry outside (one behind a proxy is taken for that) sends us to this machine. */
static void test_what_is_listed_may_be_named (void **state)
{
    (void) state;
    AUTO_FREE char *proxy = mem_printf ("http://%s", server.host);
    const char *plain [] = { "registry.example.com", server.host, NULL }, *listed [] = { server.host, NULL };
    char digest [OCI_DIGEST_SIZE];
    err_t err = { 0 };
    int64_t size = 0;
    reference_t app = reference_of ("registry.example.com", "team/app");
    oci_digest_of ("layer", 5, digest);
    assert_int_equal (fake_script (&server, "{\"rules\":[{\"path\":\"registry.example.com\",\"status\":307,\"headers\":{\"Location\":"
                                   "\"http://@HOST/store\"}},{\"path\":\"/store\",\"status\":200,\"body\":\"layer\"}]}", &err), 0);
    setenv ("http_proxy", proxy, 1);
    setenv ("no_proxy", "127.0.0.1", 1);
    for (int is_listed = 0; is_listed < 2; is_listed++) {
        registry_settings_t settings = { .plain_http_hosts = plain, .inside_hosts = is_listed ? listed : NULL, .timeout_ms = 5000 };
        registry_t *client = registry_new (&settings);
        int rc = registry_head_blob (client, &app, digest, &size, &err);
        assert_int_equal (rc, is_listed ? 0 : -1);
        assert_int_equal (err.code, ERR_REGISTRY_DENIED);       /* of the first time */
        registry_destroy (&client);
    }
    assert_int_equal (size, 5);
    assert_int_equal (fake_requests (&server, "HEAD", "/store"), 1);
    unsetenv ("http_proxy");
    unsetenv ("no_proxy");
}

static int set_up (void **state)
{
    (void) state;
    signal (SIGPIPE, SIG_IGN);
    without_proxies ();
    unsetenv ("no_proxy");
    fake_start (&server, "{}");
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    server_stop (&server);
    return 0;
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (test_addresses_have_their_place),
        cmocka_unit_test (test_spellings_are_seen_through),
        cmocka_unit_test (test_who_is_elsewhere_does_not_send_us_here),
        cmocka_unit_test (test_a_kept_connection_is_no_way_around),
        cmocka_unit_test (test_a_proxy_is_not_sent_to_an_address_inside),
        cmocka_unit_test (test_what_is_listed_may_be_named),
    };
    return cmocka_run_group_tests (tests, set_up, tear_down);
}
