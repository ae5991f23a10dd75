/* test_reference.c - image references: each row is what somebody writes and what Docker makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/reference.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA256 "sha256:" HEX64
#define SHA512 "sha512:" HEX64 HEX64

typedef struct { const char *text, *host, *path, *tag, *digest; } row_t;

static const row_t rows [] = {
    /* where the host ends */
    { "registry.lan/app", "registry.lan", "app", "", "" },
    { "registry.lan/team/app:1.4", "registry.lan", "team/app", "1.4", "" },
    { "registry.lan:5000/app", "registry.lan:5000", "app", "", "" },
    { "registry:5000/app:x", "registry:5000", "app", "x", "" },
    { "localhost/app", "localhost", "app", "", "" },
    { "localhost:5000/a/b/c:d", "localhost:5000", "a/b/c", "d", "" },
    { "127.0.0.1:5000/app", "127.0.0.1:5000", "app", "", "" },
    { "[::1]/app", "[::1]", "app", "", "" },
    { "[::1]:5000/app:1", "[::1]:5000", "app", "1", "" },
    { "[fe80::ffff:10.0.0.1]:5000/app", "[fe80::ffff:10.0.0.1]:5000", "app", "", "" },
    { "Registry.LAN/app", "Registry.LAN", "app", "", "" },
    { "a-b.c-d/app", "a-b.c-d", "app", "", "" },
    { "1.2/app", "1.2", "app", "", "" },
    { "xn--bcher-kva.example/app", "xn--bcher-kva.example", "app", "", "" },
    { "r.lan:1/app", "r.lan:1", "app", "", "" }, { "r.lan:65535/app", "r.lan:65535", "app", "", "" },
    /* docker.io's short names */
    { "alpine", "docker.io", "library/alpine", "", "" },
    { "alpine:3.19", "docker.io", "library/alpine", "3.19", "" },
    { "localhost", "docker.io", "library/localhost", "", "" },
    { "localhost:5000", "docker.io", "library/localhost", "5000", "" },
    { "registry.lan", "docker.io", "library/registry.lan", "", "" },
    { "team/app", "docker.io", "team/app", "", "" },
    { "library/alpine", "docker.io", "library/alpine", "", "" },
    { "docker.io/alpine", "docker.io", "library/alpine", "", "" },
    { "docker.io/team/app", "docker.io", "team/app", "", "" },
    { "index.docker.io/alpine:1", "docker.io", "library/alpine", "1", "" },
    /* paths */
    { "r.lan/a.b/c_d/e__f/g-h/i--j/k---l", "r.lan", "a.b/c_d/e__f/g-h/i--j/k---l", "", "" },
    { "r.lan/0", "r.lan", "0", "", "" },
    /* tags */
    { "r.lan/a:_", "r.lan", "a", "_", "" }, { "r.lan/a:A", "r.lan", "a", "A", "" }, { "r.lan/a:1_2.3-4", "r.lan", "a", "1_2.3-4", "" },
    { "r.lan/a:v1.", "r.lan", "a", "v1.", "" }, { "r.lan/a:" HEX64 HEX64, "r.lan", "a", HEX64 HEX64, "" },
    /* digests */
    { "r.lan/a@" SHA256, "r.lan", "a", "", SHA256 }, { "r.lan:5/a:t@" SHA256, "r.lan:5", "a", "t", SHA256 },
    { "alpine@" SHA256, "docker.io", "library/alpine", "", SHA256 }, { "r.lan/a@" SHA512, "r.lan", "a", "", SHA512 },
};

static void what_is_written_is_taken_apart_as_docker_does (void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reference_t reference, again;
        char text [REFERENCE_MAX], same [REFERENCE_MAX];
        err_t err = { 0 };
        if (reference_parse (&reference, rows [i].text, &err) < 0)
            fail_msg ("%s", err.text);
        assert_string_equal (reference.host, rows [i].host);
        assert_string_equal (reference.path, rows [i].path);
        assert_string_equal (reference.tag, rows [i].tag);
        assert_string_equal (reference.digest, rows [i].digest);
        reference_format (&reference, text);
        assert_int_equal (reference_parse (&again, text, &err), 0);
        reference_format (&again, same);
        assert_string_equal (same, text);
    }
}

typedef struct { const char *text, *says; } bad_t;

static void what_is_no_reference_is_refused_with_the_reason (void **state)
{
    (void) state;
    static const bad_t bad [] = {
        { "", "1 to 799" },
        /* hosts */
        { "https://r.lan/app", "no registry" }, { "http://localhost:5000/app", "no registry" }, { "r.lan:/app", "no registry" },
        { ":5000/app", "no registry" }, { ".lan/app", "no registry" }, { "-r.lan/app", "no registry" }, { "r-.lan/app", "no registry" },
        { "r..lan/app", "no registry" }, { "r.lan./app", "no registry" }, { "r.lan:0/app", "no registry" }, { "r.lan:65536/app", "no registry" },
        { "r.lan:123456/app", "no registry" }, { "r.lan:50a/app", "no registry" }, { "r.lan:-1/app", "no registry" }, { "a b.c/app", "no registry" },
        { "r_x.lan/app", "no registry" }, { "r.lan:5000:1/app", "no registry" }, { "user:password@r.lan/app", "behind the @" },
        { "[::1/app", "no registry" }, { "[]:5000/app", "no registry" }, { "[::1]x/app", "no registry" }, { "[::1].lan/app", "no registry" },
        { "[a b?c#]:5/app", "no registry" }, { "[::1\n]:5/app", "no registry" }, { "[fe80::1%25eth0]/app", "no registry" },
        { "r.lan\xc3\xa9/app", "no registry" }, { "?.lan/app", "no registry" }, { "../app", "no registry" },
        /* paths */
        { "r.lan/", "no image reference" }, { "r.lan//app", "no image reference" }, { "r.lan/app/", "no image reference" },
        { "/app", "no image reference" }, { "app/", "no image reference" }, { "/", "no image reference" },
        { "r.lan/a..b", "no image reference" }, { "r.lan/a___b", "no image reference" }, { "r.lan/a._b", "no image reference" },
        { "r.lan/.a", "no image reference" }, { "r.lan/a.", "no image reference" }, { "r.lan/-a", "no image reference" }, { "r.lan/a-", "no image reference" },
        { "r.lan/_a", "no image reference" }, { "r.lan/a_", "no image reference" }, { "r.lan/a/../b", "no image reference" }, { "r.lan/a/./b", "no image reference" },
        { "r.lan/a b", "no image reference" }, { "r.lan/a%2fb", "no image reference" }, { "r.lan/a?b", "no image reference" }, { "r.lan/a#b", "no image reference" },
        { "r.lan/\xc3\xa9", "no image reference" }, { "r.lan/a\n", "no image reference" }, { " r", "no image reference" }, { ".", "no image reference" },
        { "r.lan/App", "lower case" }, { "Team/app", "lower case" }, { "ALPINE", "lower case" }, { "r.lan/team/appX:1", "lower case" },
        /* tags */
        { "r.lan/a:", "a tag" }, { "r.lan/a:.x", "a tag" }, { "r.lan/a:-x", "a tag" }, { "r.lan/a:x y", "a tag" }, { "r.lan/a:x+1", "a tag" },
        { "r.lan/a:b:", "a tag" }, { ":", "a tag" }, { ":x", "no image reference" }, { "r.lan/a:b:c", "no image reference" },
        { "r.lan/a:" HEX64 HEX64 "0", "a tag" }, { "r.lan/a:\xc3\xa9", "a tag" },
        /* digests */
        { "r.lan/a@", "behind the @" }, { "r.lan/a@sha256:", "behind the @" }, { "r.lan/a@" HEX64, "behind the @" }, { "r.lan/a@sha256:" HEX64 "0", "behind the @" },
        { "r.lan/a@sha256:" HEX64 "\n", "behind the @" }, { "r.lan/a@sha512:" HEX64, "behind the @" }, { "r.lan/a@md5:" HEX64, "behind the @" },
        { "r.lan/a@sha256:ABCDEF6789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "behind the @" },
        { "r.lan/a@" SHA256 "@" SHA256, "behind the @" }, { "@" SHA256, "no image reference" }, { "r.lan/a:@" SHA256, "a tag" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        reference_t reference;
        err_t err = { 0 };
        if (reference_parse (&reference, bad [i].text, &err) == 0)
            fail_msg ("\"%s\" was taken", bad [i].text);
        assert_int_equal (err.code, ERR_USAGE);
        if (!strstr (err.text, bad [i].says))
            fail_msg ("\"%s\": \"%s\" does not say \"%s\"", bad [i].text, err.text, bad [i].says);
    }
    reference_t reference;
    assert_int_equal (reference_parse (&reference, NULL, NULL), -1);
}

/* Repeats a character: host or path of this many bytes. */
static const char *many (char c, size_t size)
{
    static char text [1200];
    memset (text, c, size);
    text [size] = 0;
    return text;
}

static void each_part_has_a_longest (void **state)
{
    (void) state;
    static const struct { const char *format; char c; size_t fits; } limits [] = {
        { "%s.lan/app", 'h', REFERENCE_HOST_MAX - 1 - 4 },
        { "r.lan/%s", 'p', REFERENCE_PATH_MAX - 1 },
        { "%s", 'p', REFERENCE_PATH_MAX - 1 - 8 },              /* "library/" comes in front */
        { "docker.io/%s", 'p', REFERENCE_PATH_MAX - 1 - 8 },
        { "team/%s", 'p', REFERENCE_PATH_MAX - 1 - 5 },
        { "r.lan/a:%s", 't', REFERENCE_TAG_MAX - 1 },
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        for (size_t over = 0; over <= 1; over++) {
            reference_t reference;
            char text [1300];
            snprintf (text, sizeof text, limits [i].format, many (limits [i].c, limits [i].fits + over));
            if ((reference_parse (&reference, text, NULL) == 0) != (over == 0))
                fail_msg ("%s with %zu: %s", limits [i].format, limits [i].fits + over, over ? "taken" : "refused");
        }
    reference_t reference;
    err_t err = { 0 };
    assert_int_equal (reference_parse (&reference, many ('a', 1100), &err), -1);
    assert_int_equal (err.code, ERR_USAGE);
}

static void the_longest_reference_is_written_whole (void **state)
{
    (void) state;
    reference_t reference = { 0 }, again;
    char text [REFERENCE_MAX];
    memset (reference.host, 'h', REFERENCE_HOST_MAX - 1);
    reference.host [1] = '.';
    memset (reference.path, 'p', REFERENCE_PATH_MAX - 1);
    memset (reference.tag, 't', REFERENCE_TAG_MAX - 1);
    strcpy (reference.digest, SHA512);
    reference_format (&reference, text);
    assert_int_equal (reference_parse (&again, text, NULL), 0);
    assert_memory_equal (&again, &reference, sizeof again);
}

static void a_digest_is_lower_case_and_whole (void **state)
{
    (void) state;
    static const char *const bad [] = { "", "sha256", "sha256:", HEX64, "sha256:" HEX64 "0", "sha256-" HEX64, "SHA256:" HEX64,
                                        " sha256:" HEX64, "sha512:" HEX64, "sha384:" HEX64, SHA256 " ",
                                        "sha256:g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" };
    assert_true (reference_is_digest (SHA256));
    assert_true (reference_is_digest (SHA512));
    assert_false (reference_is_digest (NULL));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false (reference_is_digest (bad [i]));
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (what_is_written_is_taken_apart_as_docker_does),
        cmocka_unit_test (what_is_no_reference_is_refused_with_the_reason),
        cmocka_unit_test (each_part_has_a_longest),
        cmocka_unit_test (the_longest_reference_is_written_whole),
        cmocka_unit_test (a_digest_is_lower_case_and_whole),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
