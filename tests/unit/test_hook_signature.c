/* test_hook_signature.c - signatures of hooks: examples that others publish, and what is nearly one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "coordinator/hook_signature.h"

/* Of GitHub's page "Validating webhook deliveries". */
#define GITHUB_SECRET "It's a Secret to Everybody"
#define GITHUB_BODY "Hello, World!"
#define GITHUB_HEX "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

static int verify (hook_headers_t headers, const char *secret, const char *body, int64_t wall_ms, char request [HOOK_REQUEST_SIZE], err_t *err)
{
    return hook_verify (&headers, "nightly", secret, body, strlen (body), wall_ms, request, err);
}

static void test_github (void **state)
{
    char request [HOOK_REQUEST_SIZE], again [HOOK_REQUEST_SIZE];
    err_t err = { 0 };
    (void) state;
    assert_int_equal (verify ((hook_headers_t) { .hub = "sha256=" GITHUB_HEX }, GITHUB_SECRET, GITHUB_BODY, 0, request, &err), 0);
    assert_int_equal (strlen (request), 32);
    assert_int_equal (verify ((hook_headers_t) { .gitea = GITHUB_HEX, .delivery = "another" }, GITHUB_SECRET, GITHUB_BODY, 0, again, &err), 0);
    assert_string_equal (request, again);
    assert_int_equal (verify ((hook_headers_t) { .hub = "sha256=" GITHUB_HEX }, GITHUB_SECRET, GITHUB_BODY "!", 0, request, &err), -1);
    assert_int_equal (err.code, ERR_DENIED);
    assert_int_equal (verify ((hook_headers_t) { .hub = GITHUB_HEX }, GITHUB_SECRET, GITHUB_BODY, 0, request, &err), -1);
    assert_int_equal (verify ((hook_headers_t) { .hub = "sha256=", .gitea = GITHUB_HEX }, GITHUB_SECRET, GITHUB_BODY, 0, request, &err), -1);
}

/* Made with openssl: echo -n 'msg.1614265330.{}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f -binary | base64 */
#define STANDARD_SECRET "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define STANDARD_SIGNATURE "C8yGPEYe1kfBuJk7xnUArU5bIGX0HLNMhRmdO9y2Ngg="

static hook_headers_t standard (const char *signature, const char *time)
{
    return (hook_headers_t) { .standard = (char *) signature, .standard_id = "msg", .standard_time = (char *) time };
}

static void test_standard_webhooks (void **state)
{
    const int64_t at = 1614265330000;
    char request [HOOK_REQUEST_SIZE];
    err_t err = { 0 };
    (void) state;
    assert_int_equal (verify (standard ("v1," STANDARD_SIGNATURE, "1614265330"), STANDARD_SECRET, "{}", at, request, &err), 0);
    assert_int_equal (verify (standard ("v1a,x v1, v1," STANDARD_SIGNATURE, "1614265330"), STANDARD_SECRET, "{}", at + 299000, request, &err), 0);
    const struct { const char *signature, *time, *secret; int64_t now; } bad [] = {
        { "v1," STANDARD_SIGNATURE, "1614265330", STANDARD_SECRET, at + 302000 },
        { "v1," STANDARD_SIGNATURE, "1614265330", STANDARD_SECRET, at - 302000 },
        { "v1," STANDARD_SIGNATURE, "1614265331", STANDARD_SECRET, at },
        { "v1," STANDARD_SIGNATURE, "1614265330x", STANDARD_SECRET, at },
        { "v1," STANDARD_SIGNATURE, "", STANDARD_SECRET, at },
        { "v1," STANDARD_SIGNATURE, "99999999999999999999", STANDARD_SECRET, at },
        { STANDARD_SIGNATURE, "1614265330", STANDARD_SECRET, at },
        { "v2," STANDARD_SIGNATURE, "1614265330", STANDARD_SECRET, at },
        { "v1,", "1614265330", STANDARD_SECRET, at },
        { "", "1614265330", STANDARD_SECRET, at },
        { "v1," STANDARD_SIGNATURE, "1614265330", "whsec_", at },
        { "v1," STANDARD_SIGNATURE, "1614265330", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", at },
        { "v1," STANDARD_SIGNATURE, "1614265330", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", at },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal (verify (standard (bad [i].signature, bad [i].time), bad [i].secret, "{}", bad [i].now, request, &err), -1);
        assert_int_equal (err.code, ERR_DENIED);
    }
}

static void test_token (void **state)
{
    char one [HOOK_REQUEST_SIZE], two [HOOK_REQUEST_SIZE], bare [HOOK_REQUEST_SIZE];
    err_t err = { 0 };
    (void) state;
    assert_int_equal (verify ((hook_headers_t) { .token = "a secret of ours", .delivery = "1" }, "a secret of ours", "{}", 0, one, &err), 0);
    assert_int_equal (verify ((hook_headers_t) { .token = "a secret of ours", .delivery = "2" }, "a secret of ours", "{}", 0, two, &err), 0);
    assert_string_not_equal (one, two);
    assert_int_equal (verify ((hook_headers_t) { .token = "a secret of ours" }, "a secret of ours", "{}", 0, bare, &err), 0);
    assert_int_equal (verify ((hook_headers_t) { .token = "a secret of our" }, "a secret of ours", "{}", 0, one, &err), -1);
    assert_int_equal (verify ((hook_headers_t) { .token = "" }, "a secret of ours", "{}", 0, one, &err), -1);
    assert_int_equal (err.code, ERR_DENIED);
    assert_int_equal (verify ((hook_headers_t) { .delivery = "1" }, "a secret of ours", "{}", 0, one, &err), -1);
    assert_int_equal (err.code, ERR_USAGE);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (test_github), cmocka_unit_test (test_standard_webhooks), cmocka_unit_test (test_token),
    };
    return cmocka_run_group_tests_name ("hook_signature", tests, NULL, NULL);
}
