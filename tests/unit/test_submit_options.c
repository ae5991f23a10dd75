/* test_submit_options.c - command lines of submit, and the spec or the error that each becomes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/platform.h"
#include "common/schema.h"
#include "farmctl/options.h"
#include "farmctl/submit_options.h"

enum { WORDS_MAX = 32 };

/* "submit" and the words; NULL behind the last. Copies, since reading moves them. */
typedef struct {
    const char *words [WORDS_MAX];
    const char *expected;           /* the spec as JSON without what is default, or a part of the error's text */
} case_t;

#define DEFAULTS "\"emulation\":\"deny\",\"priority\":\"normal\",\"queue_timeout_ms\":600000,\"no_cache\":false,\"no_result_cache\":false,\"pull\":false"
#define APP "\"tags\":[\"registry.lan/team/app:1.4\"]"
#define ARM "\"platforms\":[\"linux/arm64\"]"

static int read_words (submit_options_t *options, const char *const *words, char **argv, err_t *err)
{
    int argc = 0;
    argv [argc++] = "submit";
    for (; *words; words++)
        argv [argc++] = (char *) *words;
    argv [argc] = NULL;
    return submit_options_read (options, argc, argv, err);
}

/* The spec as it goes on the wire must fit the wire's schema. */
static void check_against_schema (json_t *spec)
{
    err_t err = { 0 };
    static const char zeros [] = "0000000000000000000000000000000000000000000000000000000000000000";
    json_object_set_new (spec, "context", json_string (zeros));
    json_object_set_new (spec, "dockerfile", json_pack ("{s:s, s:i, s:s}", "digest", zeros, "size", 1, "name", "Dockerfile"));
    if (schema_check (schema_messages (), "_spec", spec, &err) < 0)
        fail_msg ("%s", err.text);
}

static void check_spec (const case_t *one)
{
    err_t err = { 0 };
    submit_options_t options;
    char *argv [WORDS_MAX + 2];
    if (read_words (&options, one->words, argv, &err) < 0)
        fail_msg ("%s: %s", one->words [0], err.text);
    AUTO_JSON json_t *expected = json_loads (one->expected, 0, NULL);
    assert_non_null (expected);
    if (!json_equal (expected, options.spec))
        fail_msg ("%s: got %s", one->expected, json_dumps (options.spec, JSON_SORT_KEYS));
    check_against_schema (options.spec);
    submit_options_free (&options);
}

static void options_become_the_spec (void **state)
{
    (void) state;
    static const case_t cases [] = {
        { { "--platform", "linux/arm64", "-t", "registry.lan/team/app:1.4", "." }, "{" ARM "," APP "," DEFAULTS "}" },
        { { "--platform=linux/arm64", "--tag=registry.lan/team/app:1.4", "--push", "." }, "{" ARM "," APP "," DEFAULTS "}" },
        { { "-tregistry.lan/team/app:1.4", ".", "--platform", "linux/arm64/v8" }, "{" ARM "," APP "," DEFAULTS "}" },
        { { "--platform", "linux/amd64,linux/arm64", "--platform", "linux/arm/v7", "-t", "registry.lan/team/app:1.4", "." },
          "{\"platforms\":[\"linux/amd64\",\"linux/arm64\",\"linux/arm/v7\"]," APP "," DEFAULTS "}" },
        { { "--platform", "linux/arm64,aarch64", "-t", "registry.lan/team/app:1.4", "." }, "{" ARM "," APP "," DEFAULTS "}" },
        { { "--platform", "linux/arm64", "-t", "registry.lan/a", "-t", "registry.lan/b:2", "-t", "registry.lan/a", "." },
          "{" ARM ",\"tags\":[\"registry.lan/a:latest\",\"registry.lan/b:2\"]," DEFAULTS "}" },
        { { "--platform", "linux/arm64", "-t", "alpine", "." },
          "{" ARM ",\"tags\":[\"docker.io/library/alpine:latest\"]," DEFAULTS "}" },
        { { "--platform", "linux/arm64", "-t", "registry.lan/team/app:1.4", "--build-arg", "A=1=2", "--build-arg", "FARM_T_SET",
            "--build-arg", "FARM_T_UNSET", "--build-arg=B=", "--label", "a.b=c", "--label", "d", "." },
          "{" ARM "," APP "," DEFAULTS ",\"build_args\":{\"A\":\"1=2\",\"B\":\"\",\"FARM_T_SET\":\"seen\"},"
          "\"labels\":{\"a.b\":\"c\",\"d\":\"\"}}" },
        { { "--platform", "linux/arm64", "-t", "registry.lan/team/app:1.4", "--target", "test", "--no-cache", "--pull",
            "--emulation", "allow", "--priority", "high", "--queue-timeout", "5s", "--require", "ssd=yes", "--require=!slow", "--require", "ssd=yes",
            "--required-platform", "aarch64", "--keep-going", "--supersede", "." },
          "{" ARM "," APP ",\"target\":\"test\",\"no_cache\":true,\"no_result_cache\":false,\"pull\":true,\"emulation\":\"allow\",\"priority\":\"high\",\"queue_timeout_ms\":5000,\"require\":[\"ssd=yes\",\"!slow\"],"
          "\"required_platforms\":[\"linux/arm64\"],\"keep_going\":true,\"supersede\":true}" },
        { { "--platform", "linux/arm64", "-t", "registry.lan/team/app:1.4", "--network", "none", "." },
          "{" ARM "," APP "," DEFAULTS ",\"network\":\"none\"}" },
        { { "--platform", "linux/arm64", "-t", "registry.lan/team/app:1.4", "--network=default", "." }, "{" ARM "," APP "," DEFAULTS "}" },
        { { "--platform", "linux/arm64", "-t", "registry.lan/team/app:1.4", "--no-cache=true", "--no-result-cache", "--pull=false", "." },
          "{" ARM "," APP ",\"no_cache\":true,\"no_result_cache\":true,\"pull\":false,\"emulation\":\"deny\",\"priority\":\"normal\",\"queue_timeout_ms\":600000}" },
        { { "--platform", "linux/arm64", "-t", "registry.lan/team/app:1.4", "--memory", "1536M", "--cpus=1.5", "--timeout", "2h", "." },
          "{" ARM "," APP "," DEFAULTS ",\"memory_bytes\":1610612736,\"cpu_percent\":150,\"timeout_ms\":7200000}" },
        { { "--platform", "linux/arm64", "-t", "registry.lan/team/app:1.4", "--memory=64M", "--cpus=0.1", "--timeout", "1", "." },
          "{" ARM "," APP "," DEFAULTS ",\"memory_bytes\":67108864,\"cpu_percent\":10,\"timeout_ms\":1000}" },
        { { "--platform", "linux/arm64", "-t", "registry.lan/team/app:1.4", "--memory=1024T", "--cpus=65536", "--timeout", "365d", "." },
          "{" ARM "," APP "," DEFAULTS ",\"memory_bytes\":1125899906842624,\"cpu_percent\":6553600,\"timeout_ms\":31536000000}" },
    };
    setenv ("FARM_T_SET", "seen", 1);
    unsetenv ("FARM_T_UNSET");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_spec (&cases [i]);
}

static void check_error (const case_t *one)
{
    err_t err = { 0 };
    submit_options_t options;
    char *argv [WORDS_MAX + 2];
    if (read_words (&options, one->words, argv, &err) == 0)
        fail_msg ("%s: accepted", one->expected);
    if (err.code != ERR_USAGE || !strstr (err.text, one->expected))
        fail_msg ("expected \"%s\", got %s: %s", one->expected, err_name (err.code), err.text);
    submit_options_free (&options);
}

static void what_cannot_be_used_is_refused_and_named (void **state)
{
    (void) state;
    static const case_t cases [] = {
        { { "." }, "no tag" },
        { { "-t", "registry.lan/a" }, "CONTEXT" },
        { { "-t", "registry.lan/a", ".", "two" }, "\"two\" is too much" },
        { { "-t", "registry.lan/a", "--network", "private", "." }, "--network is default, none or host" },
        { { "-t", "registry.lan/a", "--privileged", "." }, "no build has more rights" },
        { { "-t", "registry.lan/a", "--device", "/dev/kvm", "." }, "no devices" },
        { { "-t", "registry.lan/a", "--cap-add=SYS_ADMIN", "." }, "no build has more rights" },
        { { "-t", "registry.lan/a", "--security-opt", "seccomp=unconfined", "." }, "no build has more rights" },
        { { "-t", "registry.lan/A", "." }, "lower" },
        { { "-t", "registry.lan/a:b:c", "." }, "--tag" },
        { { "-t", "", "." }, "--tag" },
        { { "-t", "registry.lan/a", "-t", "other.lan/a", "." }, "one registry" },
        { { "-t", "registry.lan/a@sha256:0000000000000000000000000000000000000000000000000000000000000000", "." },
          "digest cannot be chosen" },
        { { "-t", "registry.lan/a", "--platform", "linux/", "." }, "--platform" },
        { { "-t", "registry.lan/a", "--platform", "linux/amd64,", "." }, "--platform" },
        { { "-t", "registry.lan/a", "--platform", "linux/arm64/v8/x", "." }, "--platform" },
        { { "-t", "registry.lan/a", "--build-arg", "=x", "." }, "--build-arg \"=x\"" },
        { { "-t", "registry.lan/a", "--build-arg", "1A=x", "." }, "--build-arg \"1A=x\"" },
        { { "-t", "registry.lan/a", "--build-arg", "A B=x", "." }, "--build-arg" },
        { { "-t", "registry.lan/a", "--build-arg", "A=\xff", "." }, "not UTF-8" },
        { { "-t", "registry.lan/a", "--label", "=x", "." }, "--label" },
        { { "-t", "registry.lan/a", "--target", "", "." }, "--target" },
        { { "-t", "registry.lan/a", "-f", "", "." }, "--file" },
        { { "-t", "registry.lan/a", "--push=no", "." }, "--push cannot be turned off" },
        { { "-t", "registry.lan/a", "--push=false", "." }, "--push cannot be turned off" },
        { { "-t", "registry.lan/a", "--pull=perhaps", "." }, "--pull is yes or no" },
        { { "-t", "registry.lan/a", "--emulation", "yes", "." }, "--emulation is deny or allow" },
        { { "-t", "registry.lan/a", "--priority", "urgent", "." }, "--priority is low, normal or high" },
        { { "-t", "registry.lan/a", "--keep-going", "--fail-fast", "." }, "are opposites" },
        { { "-t", "registry.lan/a", "--platform", "linux/arm64", "--required-platform", "linux/amd64", "." }, "--required-platform linux/amd64: it is none of" },
        { { "-t", "registry.lan/a", "--require", "a b", "." }, "--require: requirement \"a b\": give NAME=VALUE" },
        { { "-t", "registry.lan/a", "--timeout", "soon", "." }, "--timeout is a time" },
        { { "-t", "registry.lan/a", "--timeout", "0", "." }, "--timeout is a time" },
        { { "-t", "registry.lan/a", "--timeout", "366d", "." }, "--timeout is a time" },
        { { "-t", "registry.lan/a", "--memory", "much", "." }, "--memory is a size" },
        { { "-t", "registry.lan/a", "--memory", "63M", "." }, "--memory is a size" },
        { { "-t", "registry.lan/a", "--memory", "1025T", "." }, "--memory is a size" },
        { { "-t", "registry.lan/a", "--cpus", "all", "." }, "--cpus is a number" },
        { { "-t", "registry.lan/a", "--cpus", "0.05", "." }, "--cpus is a number" },
        { { "-t", "registry.lan/a", "--cpus", "65537", "." }, "--cpus is a number" },
        { { "-t", "registry.lan/a", "--queue-timeout", "366d", "." }, "--queue-timeout takes a time such as" },
        { { "-t", "registry.lan/a", "--follow-timeout", "soon", "." }, "--follow-timeout takes a time such as" },
        { { "-t", "registry.lan/a", "--platfrom", "linux/arm64", "." }, "did you mean --platform?)" },
        { { "-t", "registry.lan/a", "-z", "." }, "no option -z" },
        { { "-t", "registry.lan/a", "--progress=plain", "." }, "--progress: it is plain always" },
        { { "-t", "registry.lan/a", "-o", "type=local,dest=out", "." }, "--output: the image is published" },
        { { ".", "-t" }, "--tag needs a value" },
        { { "--emulation", "-t", "registry.lan/a", "." }, "--emulation needs a value" },
        { { "-t", "--emulation", "allow", "." }, "--tag needs a value" },
        { { "-t", "registry.lan/a", "--target", "--", "." }, "--target needs a value" },
        { { "-t", "registry.lan/a", "--label", "-x", "." }, "--label=-x" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_error (&cases [i]);
}

static void without_a_platform_it_is_this_machine_s (void **state)
{
    (void) state;
    err_t err = { 0 };
    submit_options_t options;
    platform_t host;
    char name [PLATFORM_MAX];
    char *argv [WORDS_MAX];
    static const char *const words [] = { "-t", "registry.lan/a", ".", NULL };
    assert_int_equal (platform_host (&host, &err), 0);
    platform_format (&host, name);
    assert_int_equal (read_words (&options, words, argv, &err), 0);
    json_t *platforms = json_object_get (options.spec, "platforms");
    assert_int_equal (json_array_size (platforms), 1);
    assert_string_equal (json_string_value (json_array_get (platforms, 0)), name);
    submit_options_free (&options);
}

static void how_to_follow_is_read (void **state)
{
    (void) state;
    err_t err = { 0 };
    submit_options_t options;
    char *argv [WORDS_MAX];
    static const char *const words [] = { "-qtregistry.lan/a", "--detach", "--cancel-on-interrupt", "--follow-timeout=90", "-f-", "--",
                                          "-context", NULL };
    assert_int_equal (read_words (&options, words, argv, &err), 0);
    assert_true (options.after.is_quiet && options.after.is_detached && options.after.cancels_on_interrupt);
    assert_int_equal (options.after.timeout_ms, 90000);
    assert_string_equal (options.dockerfile, "-");
    assert_string_equal (options.context, "-context");
    submit_options_free (&options);
}

static void only_a_near_word_is_suggested (void **state)
{
    (void) state;
    static const char *const names [] = { "submit", "inspect", "logs", NULL };
    assert_string_equal (options_nearest ("sumbit", names), "submit");
    assert_string_equal (options_nearest ("log", names), "logs");
    assert_null (options_nearest ("frobnicate", names));
    static const char *const short_names [] = { "push", "pull", NULL };
    assert_null (options_nearest ("ssh", short_names));
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (options_become_the_spec),
        cmocka_unit_test (what_cannot_be_used_is_refused_and_named),
        cmocka_unit_test (without_a_platform_it_is_this_machine_s),
        cmocka_unit_test (how_to_follow_is_read),
        cmocka_unit_test (only_a_near_word_is_suggested),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
