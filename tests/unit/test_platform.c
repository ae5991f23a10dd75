/* test_platform.c - names of platforms: containerd's, whatever people, uname and image configs call them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "common/platform.h"

static void what_people_write_becomes_one_name (void **state)
{
    (void) state;
    static const struct { const char *text, *name; } rows [] = {
        { "linux/amd64", "linux/amd64" }, { "linux/arm64", "linux/arm64" }, { "linux/arm/v7", "linux/arm/v7" },
        { "linux/arm/v6", "linux/arm/v6" }, { "linux/386", "linux/386" }, { "linux/riscv64", "linux/riscv64" },
        { "windows/amd64", "windows/amd64" }, { "freebsd/arm64", "freebsd/arm64" }, { "wasip1/wasm", "wasip1/wasm" },
        /* other names */
        { "linux/x86_64", "linux/amd64" }, { "linux/x86-64", "linux/amd64" }, { "linux/aarch64", "linux/arm64" },
        { "linux/i386", "linux/386" }, { "linux/armhf", "linux/arm/v7" }, { "linux/armel", "linux/arm/v6" },
        { "linux/arm", "linux/arm/v7" }, { "macos/arm64", "darwin/arm64" },
        /* variants that go without saying, and numbers without their v */
        { "linux/arm64/v8", "linux/arm64" }, { "linux/arm64/8", "linux/arm64" }, { "linux/aarch64/v8", "linux/arm64" },
        { "linux/amd64/v1", "linux/amd64" }, { "linux/x86_64/v1", "linux/amd64" }, { "linux/arm/7", "linux/arm/v7" },
        { "linux/arm/5", "linux/arm/v5" }, { "linux/arm64/v9", "linux/arm64/v9" }, { "linux/amd64/v3", "linux/amd64/v3" },
        { "linux/amd64/2", "linux/amd64/v2" }, { "linux/arm/v8", "linux/arm/v8" },
        { "linux/i386/pentium", "linux/386" }, { "linux/armhf/v6", "linux/arm/v7" },
        /* case */
        { "Linux/AMD64", "linux/amd64" }, { "LINUX/Arm/V7", "linux/arm/v7" },
        /* an architecture alone */
        { "amd64", "linux/amd64" }, { "arm64", "linux/arm64" }, { "aarch64", "linux/arm64" }, { "X86_64", "linux/amd64" },
        { "arm", "linux/arm/v7" }, { "armhf", "linux/arm/v7" }, { "riscv64", "linux/riscv64" }, { "s390x", "linux/s390x" },
        /* an architecture that is not known may be new */
        { "linux/sparc64", "linux/sparc64" }, { "linux/armv7l", "linux/armv7l" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        platform_t platform, again;
        char text [PLATFORM_MAX];
        err_t err = { 0 };
        if (platform_parse (&platform, rows [i].text, &err) < 0)
            fail_msg ("%s", err.text);
        platform_format (&platform, text);
        assert_string_equal (text, rows [i].name);
        assert_int_equal (platform_parse (&again, text, &err), 0);
        assert_true (platform_equal (&platform, &again));
    }
}

static void what_is_no_platform_is_refused_by_name (void **state)
{
    (void) state;
    static const char *const bad [] = {
        "", "/", "//", "linux", "linux/", "/amd64", "linux//v7", "linux/arm/", "linux/arm/v7/", "linux/arm/v7/more", "a/b/c/d/e",
        "windows", "darwin", "macos", "lunux/amd64", "Linuxx/amd64", "amd46", "armv7l", "native", "local",
        "linux/amd64,linux/arm64", "linux amd64", "linux/amd 64", " linux/amd64", "linux/amd64 ", "linux/amd64\n", "linux/\xc3\xa9",
        "linux/amd64;rm", "linux/../amd64x/", "linux/..", "linux/../etc", "linux/arm/-v7",
        "windows(10.0.17763)/amd64", "linux:amd64", "linux\\amd64", "*", "linux/*",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        platform_t platform;
        err_t err = { 0 };
        if (platform_parse (&platform, bad [i], &err) == 0)
            fail_msg ("\"%s\" was taken", bad [i]);
        assert_int_equal (err.code, ERR_USAGE);
        assert_non_null (strstr (err.text, "linux/arm64"));
    }
}

static void a_part_has_31_characters_at_most (void **state)
{
    (void) state;
    char text [256], formatted [PLATFORM_MAX];
    for (int part = 1; part <= 2; part++)
        for (int size = 30; size <= 33; size++) {
            platform_t platform;
            err_t err = { 0 };
            snprintf (text, sizeof text, part == 1 ? "linux/%.*s" : "linux/amd64/%.*s", size, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
            assert_int_equal (platform_parse (&platform, text, &err), size < PLATFORM_PART_MAX ? 0 : -1);
            if (size < PLATFORM_PART_MAX) {
                platform_format (&platform, formatted);
                assert_string_equal (formatted, text);
            }
        }
    platform_t platform;
    memset (text, '7', sizeof text);
    memcpy (text, "linux/arm/", 10);
    text [10 + PLATFORM_PART_MAX - 1] = 0;          /* no room for the v */
    assert_int_equal (platform_parse (&platform, text, NULL), 0);
    platform_format (&platform, formatted);
    assert_string_equal (formatted, text);
    memset (text, 'x', sizeof text);
    text [sizeof text - 1] = 0;
    err_t err = { 0 };
    assert_int_equal (platform_parse (&platform, text, &err), -1);
    assert_true (strlen (err.text) < 300);
}

static void an_image_s_config_is_read_by_the_same_rules (void **state)
{
    (void) state;
    static const struct { const char *os, *architecture, *variant, *name; } rows [] = {
        { "linux", "amd64", NULL, "linux/amd64" }, { "linux", "amd64", "", "linux/amd64" }, { "linux", "arm64", "v8", "linux/arm64" },
        { "linux", "arm", NULL, "linux/arm/v7" }, { "linux", "arm", "v6", "linux/arm/v6" }, { "Linux", "AARCH64", NULL, "linux/arm64" },
        { "unknown", "unknown", NULL, "unknown/unknown" }, { "plan9", "386", NULL, "plan9/386" },
    };
    static const struct { const char *os, *architecture, *variant; } bad [] = {
        { NULL, "amd64", NULL }, { "linux", NULL, NULL }, { "", "amd64", NULL }, { "linux", "", NULL }, { NULL, NULL, NULL },
        { "li nux", "amd64", NULL }, { "linux", "amd/64", NULL }, { "linux", "arm", "v7\n" },
        { "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "amd64", NULL }, { "linux", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", NULL },
        { "linux", "arm", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        platform_t platform;
        char text [PLATFORM_MAX];
        assert_int_equal (platform_from_parts (&platform, rows [i].os, rows [i].architecture, rows [i].variant, NULL), 0);
        platform_format (&platform, text);
        assert_string_equal (text, rows [i].name);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        platform_t platform;
        err_t err = { 0 };
        assert_int_equal (platform_from_parts (&platform, bad [i].os, bad [i].architecture, bad [i].variant, &err), -1);
        assert_int_equal (err.code, ERR_VERIFY);
    }
}

static void platforms_differ_in_any_part (void **state)
{
    (void) state;
    static const char *const names [] = { "linux/amd64", "linux/amd64/v3", "linux/arm64", "linux/arm/v7", "linux/arm/v6",
                                          "windows/amd64", "linux/386" };
    enum { COUNT = sizeof names / sizeof *names };
    platform_t platforms [COUNT];
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal (platform_parse (&platforms [i], names [i], NULL), 0);
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < COUNT; k++)
            assert_int_equal (platform_equal (&platforms [i], &platforms [k]) != 0, i == k);
}

static void the_host_has_a_platform_of_linux (void **state)
{
    (void) state;
    platform_t platform;
    struct utsname host;
    err_t err = { 0 };
    assert_int_equal (platform_host (&platform, &err), 0);
    assert_string_equal (platform.os, "linux");
    assert_int_equal (uname (&host), 0);
    if (strcmp (host.machine, "x86_64") == 0)
        assert_string_equal (platform.architecture, "amd64");
    if (strcmp (host.machine, "aarch64") == 0)
        assert_string_equal (platform.architecture, "arm64");
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (what_people_write_becomes_one_name),
        cmocka_unit_test (what_is_no_platform_is_refused_by_name),
        cmocka_unit_test (a_part_has_31_characters_at_most),
        cmocka_unit_test (an_image_s_config_is_read_by_the_same_rules),
        cmocka_unit_test (platforms_differ_in_any_part),
        cmocka_unit_test (the_host_has_a_platform_of_linux),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
