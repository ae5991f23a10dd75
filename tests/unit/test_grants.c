/* test_grants.c - what a worker may show a registry: its build's repository to push to, that one and the build's base images to read, and nothing else that the
 * coordinator's account may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/credentials.h"
#include "engines.h"
#include "registries.h"

#define ONE "sha256:1111111111111111111111111111111111111111111111111111111111111111"
enum { SECOND = 1000, AUDITOR = 7000 };

/* -- words ------------------------------------------------------------------------------------------------------ */

/* The error's code; "": it gets one. */
static const char *wants_token (farm_t *farm, const worker_t *worker, task_t task, const char *host, const char *scope)
{
    uint64_t peer = worker->peer + 5000;
    farm_say (farm, "want-token", peer, worker->principal, json_pack ("{s:I, s:I, s:s, s:s}", "job", (json_int_t) task.job, "attempt", (json_int_t) task.attempt,
                                                                      "host", host, "scope", scope));
    const char *code = farm_error (farm, peer);
    const json_t *token = farm_sent (farm, peer, "token");
    if ((token == NULL) != (*code != 0) || (token && strcmp (json_string_value (json_object_get (token, "scope")), scope) != 0))
        fail_msg ("%s %s: %s", host, scope, farm_error_text (farm, peer));
    return code;
}

typedef struct { const char *host, *scope, *code; } wish_t;

static void assert_wishes (farm_t *farm, const worker_t *worker, task_t task, const wish_t *wishes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *code = wants_token (farm, worker, task, wishes [i].host, wishes [i].scope);
        if (strcmp (code, wishes [i].code) != 0)
            fail_msg ("%s %s: \"%s\" and not \"%s\"", wishes [i].host, wishes [i].scope, code, wishes [i].code);
    }
}
#define ASSERT_WISHES(farm, worker, task, wishes) assert_wishes (farm, worker, task, wishes, sizeof wishes / sizeof *wishes)

static json_t *base_of (const char *reference)
{
    return json_pack ("{s:s, s:s}", "reference", reference, "digest", ONE);
}

/* What the coordinator has read off the last build's Dockerfile; NULL: nothing. */
static void resolved (farm_t *farm, const char *reference)
{
    int64_t lookup = farm_lookup (farm);
    json_t *bases = json_array ();
    assert_true (lookup > 0);
    if (reference)
        json_array_append_new (bases, base_of (reference));
    farm_say (farm, "resolved", 0, 0, json_pack ("{s:I, s:b, s:o}", "lookup", (json_int_t) lookup, "ok", 1, "bases", bases));
}

/* What ann submits: of a Dockerfile that names this image. */
static task_t begin_on (farm_t *farm, const worker_t *worker, const char *reference)
{
    assert_true (farm_submit (farm, farm->ann, "linux/amd64", "r.lan/team/app:1") > 0);
    resolved (farm, reference);
    return worker_task (farm, worker);
}

static void set_bases (farm_t *farm, const char *const *bases)
{
    farm_close (farm);
    farm->settings.bases = bases;
    farm_open (farm);
}

/* -- its own ---------------------------------------------------------------------------------------------------- */

static void it_pushes_to_its_own_repository_alone (void **state)
{
    farm_t *farm = *state;
    worker_t one = { .principal = 0 }, two = { .principal = 0 };
    worker_join (farm, &one, "one", "linux/amd64", 1);
    task_t task = begin_on (farm, &one, "r.lan/team/base:1");
    worker_join (farm, &two, "two", "linux/amd64", 1);
    static const struct { const char *host, *scope, *code; bool is_own; } rows [] = {
        { "r.lan", "repository:team/app:pull,push", "", true }, { "r.lan", "repository:team/app:pull", "", true },
        { "r.lan", "repository:team/app:pull,push repository:team/base:pull", "", true }, { "r.lan", "repository:team/base:pull", "", true },
        { "r.lan", "repository:team/app:pull,push repository:team/other:pull", "denied", false }, { "r.lan", "repository:team/base:pull,push", "denied", false },
        { "r.lan", "repository:team/other:pull,push", "denied", false }, { "r.lan", "repository:team/app2:pull,push", "denied", false },
        { "r.lan", "repository:team:pull,push", "denied", false }, { "other.lan", "repository:team/app:pull,push", "denied", false },
        { "other.lan", "repository:team/app:pull", "denied", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp (wants_token (farm, &one, task, rows [i].host, rows [i].scope), rows [i].code) != 0)
            fail_msg ("%s %s: %s", rows [i].host, rows [i].scope, farm_error_text (farm, one.peer + 5000));
        assert_int_equal (json_is_true (json_object_get (farm_sent (farm, one.peer + 5000, "token"), "is_own")), rows [i].is_own);
    }
    assert_string_equal (wants_token (farm, &two, task, "r.lan", "repository:team/app:pull"), "denied");
}

static void workers_push_to_the_staging_folder (void **state)
{
    farm_t *farm = *state;
    worker_t one = { .principal = 0 };
    farm_close (farm);
    farm->settings.staging = "staging/farm";
    farm_open (farm);
    worker_join (farm, &one, "one", "linux/amd64", 1);
    task_t task = begin_on (farm, &one, NULL);
    const json_t *assign = farm_sent (farm, one.peer, "assign");
    assert_string_equal (json_string_value (json_object_get (assign, "repository")), "r.lan/staging/farm/team/app");
    assert_string_equal (farm_shows (farm, 1, "tags/0"), "r.lan/team/app:1");
    static const wish_t wishes [] = {
        { "r.lan", "repository:staging/farm/team/app:pull,push", "" }, { "r.lan", "repository:team/app:pull", "" },
        { "r.lan", "repository:staging/farm/team/app:pull,push repository:team/app:pull", "" },
        { "r.lan", "repository:team/app:pull,push", "denied" },         /* what is released there the coordinator alone writes */
        { "r.lan", "repository:staging/farm/team/other:pull", "denied" }, { "r.lan", "repository:team/other:pull", "denied" },
    };
    ASSERT_WISHES (farm, &one, task, wishes);
}

/* -- base images ------------------------------------------------------------------------------------------------ */

static void it_reads_the_base_images_of_its_build (void **state)
{
    farm_t *farm = *state;
    worker_t one = { .principal = 0 };
    worker_join (farm, &one, "one", "linux/amd64", 1);
    task_t task = begin_on (farm, &one, "Bases.lan/private/base:1");
    static const wish_t wishes [] = {
        { "Bases.lan", "repository:private/base:pull", "" }, { "bases.lan", "repository:private/base:pull", "" },
        { "bases.lan", "repository:private/base2:pull", "denied" }, { "bases.lan", "repository:private:pull", "denied" },
        { "r.lan", "repository:private/base:pull", "denied" }, { "docker.io", "repository:library/alpine:pull", "denied" },
        { "r.lan", "repository:team/secret:pull", "denied" },
    };
    ASSERT_WISHES (farm, &one, task, wishes);
    assert_non_null (strstr (farm_error_text (farm, one.peer + 5000), "r.lan/team/secret"));
    assert_non_null (strstr (farm_error_text (farm, one.peer + 5000), "registry/bases of the coordinator"));
}

/* What another build of the same user stands on is another build's. */
static void and_not_those_of_another_build (void **state)
{
    farm_t *farm = *state;
    worker_t one = { .principal = 0 };
    worker_join (farm, &one, "one", "linux/amd64", 2);
    task_t first = begin_on (farm, &one, "r.lan/private/first:1");
    assert_true (farm_submit (farm, farm->ann, "linux/amd64", "r.lan/team/other:1") > 0);
    resolved (farm, "r.lan/private/second:1");
    task_t second = worker_task (farm, &one);
    assert_string_equal (wants_token (farm, &one, first, "r.lan", "repository:private/first:pull"), "");
    assert_string_equal (wants_token (farm, &one, first, "r.lan", "repository:private/second:pull"), "denied");
    assert_string_equal (wants_token (farm, &one, second, "r.lan", "repository:private/second:pull"), "");
    assert_string_equal (wants_token (farm, &one, second, "r.lan", "repository:private/first:pull"), "denied");
}

/* Else it would only have to say first that it needs them. */
static void what_a_worker_calls_a_base_image_is_none (void **state)
{
    farm_t *farm = *state;
    worker_t one = { .principal = 0 };
    farm->settings.result_keep_ms = 24 * 3600 * SECOND;
    farm_reopen (farm);
    worker_join (farm, &one, "one", "linux/amd64", 1);
    task_t task = begin_on (farm, &one, "r.lan/team/base:1");
    farm_say (farm, "pin", one.peer + 5000, one.principal, json_pack ("{s:I, s:I, s:s, s:s}", "job", (json_int_t) task.job, "attempt", (json_int_t) task.attempt,
                                                                      "reference", "r.lan/team/secret:1", "digest", ONE));
    assert_non_null (farm_sent (farm, one.peer + 5000, "pinned"));
    assert_string_equal (farm_shows (farm, 1, "bases/1/reference"), "r.lan/team/secret:1");
    assert_string_equal (wants_token (farm, &one, task, "r.lan", "repository:team/secret:pull"), "denied");
    worker_report (farm, &one, task, "pushed", json_pack ("{s:s, s:[o, o]}", "digest", digest_of_task (task), "bases", base_of ("r.lan/team/secret:2"),
                                                          base_of ("r.lan/team/base:1")));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    assert_string_equal (farm_shows (farm, 1, "state"), "published");
    farm_submit (farm, farm->ann, "linux/amd64,linux/arm64", "r.lan/team/app:1");       /* which uses that image, and has another job */
    resolved (farm, "r.lan/team/base:1");
    farm_verify (farm, NULL);
    assert_string_equal (farm_shows (farm, 2, "bases/1/reference"), "r.lan/team/secret:2");
    worker_t two = { .principal = 0 };
    worker_join (farm, &two, "two", "linux/arm64", 1);
    task = worker_task (farm, &two);
    assert_true (task.job > 0);
    assert_string_equal (wants_token (farm, &two, task, "r.lan", "repository:team/secret:pull"), "denied");
    assert_string_equal (wants_token (farm, &two, task, "r.lan", "repository:team/base:pull"), "");
}

static task_t retry (farm_t *farm, const worker_t *worker, int64_t former)
{
    json_t *header = submit_of (farm, spec_of ("linux/amd64", "r.lan/team/app:1"));
    json_object_set_new (header, "reuse", json_integer (former));
    farm_say (farm, "submit", peer_of (farm->ann), farm->ann, header);
    return worker_task (farm, worker);
}

static void a_retry_has_those_of_what_it_repeats (void **state)
{
    farm_t *farm = *state;
    worker_t one = { .principal = 0 };
    worker_join (farm, &one, "one", "linux/amd64", 1);
    worker_fail (farm, &one, begin_on (farm, &one, "r.lan/private/base:1"), "build");
    farm_pass (farm, 10 * SECOND);
    task_t task = retry (farm, &one, 1);
    assert_true (task.job > 0);
    assert_string_equal (wants_token (farm, &one, task, "r.lan", "repository:private/base:pull"), "");
    assert_string_equal (wants_token (farm, &one, task, "r.lan", "repository:team/secret:pull"), "denied");
}

/* That one has none to give: it failed, or was cancelled, before they were known. */
static void or_has_them_looked_up (void **state)
{
    farm_t *farm = *state;
    worker_t one = { .principal = 0 };
    worker_join (farm, &one, "one", "linux/amd64", 1);
    farm_cancel (farm, farm->ann, farm_submit (farm, farm->ann, "linux/amd64", "r.lan/team/app:1"));
    farm_say (farm, "resolved", 0, 0, json_pack ("{s:i, s:b, s:[]}", "lookup", 1, "ok", 1, "bases"));
    assert_int_equal (retry (farm, &one, 1).job, 0);
    resolved (farm, "r.lan/private/base:1");
    task_t task = worker_task (farm, &one);
    assert_true (task.job > 0);
    assert_string_equal (wants_token (farm, &one, task, "r.lan", "repository:private/base:pull"), "");
}

static void settings_let_every_build_have_some (void **state)
{
    farm_t *farm = *state;
    worker_t one = { .principal = 0 };
    static const char *const bases [] = { "r.lan/base/*", "docker.io/library/alpine", NULL };
    set_bases (farm, bases);
    worker_join (farm, &one, "one", "linux/amd64", 1);
    task_t task = begin_on (farm, &one, NULL);
    static const wish_t wishes [] = {
        { "r.lan", "repository:base/a:pull", "" }, { "r.lan", "repository:base/a/b:pull", "" }, { "docker.io", "repository:library/alpine:pull", "" },
        { "r.lan", "repository:team/app:pull,push repository:base/a:pull", "" }, { "r.lan", "repository:base/a:pull,push", "denied" },
        { "r.lan", "repository:base:pull", "denied" }, { "r.lan", "repository:team/base/a:pull", "denied" }, { "other.lan", "repository:base/a:pull", "denied" },
        { "docker.io", "repository:library/alpine2:pull", "denied" },
    };
    ASSERT_WISHES (farm, &one, task, wishes);
    set_bases (farm, NULL);
}

/* Of each of these worker's asking one row; who asks on is counted. */
static void what_is_denied_is_told_in_the_audit_log (void **state)
{
    farm_t *farm = *state;
    worker_t one = { .principal = 0 };
    worker_join (farm, &one, "liar", "linux/amd64", 1);
    task_t task = begin_on (farm, &one, "r.lan/team/base:1");
    assert_string_equal (wants_token (farm, &one, task, "r.lan", "repository:team/base:pull"), "");
    for (int i = 0; i < 10; i++)
        assert_string_equal (wants_token (farm, &one, task, "r.lan", "repository:team/secret:pull"), "denied");
    farm_say (farm, "audit", AUDITOR, farm->admin, json_pack ("{s:i}", "after", 0));
    const json_t *rows = json_object_get (farm_sent (farm, AUDITOR, "audit-rows"), "rows"), *row = json_array_get (rows, 0);
    assert_int_equal (json_array_size (rows), 1);
    assert_string_equal (json_string_value (json_object_get (row, "who")), "liar");
    assert_string_equal (json_string_value (json_object_get (row, "act")), "want-token");
    assert_string_equal (json_string_value (json_object_get (row, "outcome")), "denied");
    assert_non_null (strstr (json_string_value (json_object_get (row, "detail")), "r.lan/team/secret is no base image"));
}

/* -- where it is asked ------------------------------------------------------------------------------------------- */

/* What the registry says to that; the caller frees. */
static char *found (credentials_t *credentials, const char *host, bool is_own)
{
    err_t why = { 0 };
    asker_t asker;
    json_t *token = NULL;
    AUTO_JSON json_t *question = json_pack ("{s:i, s:i, s:i, s:s, s:s, s:b}", "re", 1, "job", 1, "attempt", 1, "host", host, "scope", "repository:base:pull", "is_own", is_own);
    assert_int_equal (credentials_ask (credentials, 1, question, &why), 0);
    zpoller_t *poller = zpoller_new (NULL);
    credentials_poll (credentials, poller);
    assert_non_null (zpoller_wait (poller, 20000));
    zpoller_destroy (&poller);
    assert_true (credentials_next (credentials, &asker, &token, &why));
    char *said = mem_strdup (token ? "a token" : why.text);
    json_decref (token);
    return said;
}

/* This machine's other services: not for a base image that somebody names, as when it is looked up. */
static void nobody_is_asked_inside (void **state)
{
    (void) state;
    server_t server;
    err_t err;
    fake_start (&server, "{\"rules\":[]}");
    credentials_t *credentials = credentials_new (&(registry_settings_t) { .timeout_ms = 5000 }, &err);
    assert_non_null (credentials);
    AUTO_FREE char *other = found (credentials, server.host, false), *own = found (credentials, server.host, true);
    assert_non_null (strstr (other, "lies inside"));
    assert_non_null (strstr (own, "does not speak TLS"));           /* it was asked: the build is published there */
    credentials_destroy (&credentials);
    credentials = credentials_new (&(registry_settings_t) { .timeout_ms = 5000, .plain_http_hosts = server.plain }, &err);
    AUTO_FREE char *listed = found (credentials, server.host, false);
    assert_string_equal (listed, "a token");
    credentials_destroy (&credentials);
    server_stop (&server);
}

int main (void)
{
    without_proxies ();
    const struct CMUnitTest tests [] = {
        cmocka_unit_test_setup_teardown (it_pushes_to_its_own_repository_alone, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (workers_push_to_the_staging_folder, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (it_reads_the_base_images_of_its_build, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (and_not_those_of_another_build, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (what_a_worker_calls_a_base_image_is_none, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (a_retry_has_those_of_what_it_repeats, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (or_has_them_looked_up, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (settings_let_every_build_have_some, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (what_is_denied_is_told_in_the_audit_log, farm_setup_lookups, farm_teardown),
        cmocka_unit_test (nobody_is_asked_inside),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
