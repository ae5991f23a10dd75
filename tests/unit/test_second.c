/* test_second.c - a platform that is built on two workers (coordinator/second.h), and images that are compared (coordinator/compare.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/compare.h"
#include "engines.h"
#include "layers.h"

#define SAYS(farm, build, path, text) assert_string_equal (farm_shows (farm, build, path), text)

/* -- the engine ----------------------------------------------------------------------------------------------------- */

static json_t *crossed (const char *platforms)
{
    json_t *spec = spec_of (platforms, "r.lan/app:1");
    json_object_set_new (spec, "cross_check", json_true ());
    json_object_set_new (spec, "verify", json_string ("deep"));
    return spec;
}

static int64_t submit (farm_t *farm, json_t *spec)
{
    farm_say (farm, "submit", peer_of (farm->ann), farm->ann, submit_of (farm, spec));
    return json_integer_value (json_object_get (farm_sent (farm, peer_of (farm->ann), "accepted"), "build"));
}

/* Nothing tells a worker that it is looked at, and both are told one time. */
static int64_t check_assignment (const farm_t *farm, const worker_t *worker)
{
    const json_t *spec = json_object_get (farm_sent (farm, worker->peer, "assign"), "spec");
    assert_null (json_object_get (spec, "cross_check"));
    assert_null (json_object_get (spec, "verify"));
    assert_true (json_is_true (json_object_get (spec, "no_cache")));
    assert_true (json_integer_value (json_object_get (spec, "timestamp")) > 0);
    return json_integer_value (json_object_get (spec, "timestamp"));
}

static const json_t *same_as (const farm_t *farm)
{
    return json_object_get (farm_action (farm, ACTION_VERIFY, 0), "same_as");
}

static void a_job_goes_to_two_workers (void **state)
{
    farm_t *farm = *state;
    worker_t one, two;
    worker_join (farm, &one, "one", "linux/amd64", 2);
    int64_t build = submit (farm, crossed ("linux/amd64"));
    task_t task = worker_task (farm, &one), second;
    int64_t timestamp = check_assignment (farm, &one);
    worker_push (farm, &one, task);
    assert_null (same_as (farm));
    AUTO_FREE char *first_digest = mem_strdup (digest_of_task (task));
    farm_verify (farm, NULL);
    SAYS (farm, build, "jobs/0/state", "queued");                   /* it has a free slot, but not for this */
    assert_non_null (strstr (farm_shows (farm, build, "jobs/0/waiting"), "--cross-check wants two workers for linux/amd64, and one is the only one"));
    farm_reopen (farm);
    worker_hello (farm, &one, NULL, 0);
    farm_pass (farm, 1000);
    SAYS (farm, build, "jobs/0/state", "queued");
    strcpy (one.name, "uno");                                       /* another name is the same worker */
    worker_hello (farm, &one, NULL, 0);
    SAYS (farm, build, "jobs/0/state", "queued");
    worker_join (farm, &two, "two", "linux/amd64", 1);
    second = worker_task (farm, &two);
    assert_int_equal (second.job, task.job);
    assert_int_equal (second.attempt, 2);
    assert_int_equal (check_assignment (farm, &two), timestamp);
    worker_push (farm, &two, second);
    assert_string_equal (json_string_value (json_object_get (same_as (farm), "digest")), first_digest);
    assert_string_equal (json_string_value (json_object_get (same_as (farm), "worker")), "uno");
    assert_string_equal (json_string_value (json_object_get (same_as (farm), "second")), "two");
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    SAYS (farm, build, "state", "published");
    SAYS (farm, build, "jobs/0/attempts/0/state", "done");
    SAYS (farm, build, "jobs/0/attempts/1/state", "done");
}

static void images_that_differ_end_the_build (void **state)
{
    farm_t *farm = *state;
    worker_t one, two;
    worker_join (farm, &one, "one", "linux/amd64", 1);
    worker_join (farm, &two, "two", "linux/amd64", 1);
    int64_t build = submit (farm, crossed ("linux/amd64"));
    bool is_one = worker_task (farm, &one).job > 0;
    worker_push (farm, is_one ? &one : &two, worker_task (farm, is_one ? &one : &two));
    farm_verify (farm, NULL);
    task_t second = worker_task (farm, is_one ? &two : &one);
    assert_int_equal (second.attempt, 2);
    worker_push (farm, is_one ? &two : &one, second);
    farm_verify (farm, "verify");
    SAYS (farm, build, "state", "failed");
    SAYS (farm, build, "code", "verify");
    assert_null (farm_action (farm, ACTION_PUBLISH, 0));
}

/* The farm's fault at the second: tried again, and never on the first. */
static void a_second_that_fails_is_tried_again_by_another (void **state)
{
    farm_t *farm = *state;
    worker_t one, two;
    worker_join (farm, &one, "one", "linux/amd64", 2);
    int64_t build = submit (farm, crossed ("linux/amd64"));
    worker_push (farm, &one, worker_task (farm, &one));
    farm_verify (farm, NULL);
    worker_join (farm, &two, "two", "linux/amd64", 1);
    task_t second = worker_task (farm, &two);
    worker_fail (farm, &two, second, "farm");
    SAYS (farm, build, "jobs/0/state", "queued");
    task_t third = { 0 };
    for (int i = 0; i < 10 && !third.job; i++) {
        farm_pass (farm, 1000);
        assert_int_equal (worker_task (farm, &one).job, 0);
        third = worker_task (farm, &two);
    }
    assert_int_equal (third.attempt, 3);
    worker_push (farm, &two, third);
    assert_non_null (same_as (farm));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    SAYS (farm, build, "state", "published");
}

static void one_worker_is_told_at_once_to_who_will_not_wait (void **state)
{
    farm_t *farm = *state;
    worker_t one, arm;
    json_t *spec = crossed ("linux/amd64");
    worker_join (farm, &one, "one", "linux/amd64", 4);
    worker_join (farm, &arm, "arm", "linux/arm64", 4);
    farm_say (farm, "check", peer_of (farm->ann), farm->ann, json_pack ("{s:[s], s:b}", "platforms", "linux/amd64", "cross_check", 1));
    assert_non_null (strstr (json_string_value (json_object_get (farm_sent (farm, peer_of (farm->ann), "fine"), "waiting")), "one is the only one"));
    json_object_set_new (spec, "queue_timeout_ms", json_integer (0));
    assert_int_equal (submit (farm, json_deep_copy (spec)), 0);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "no-worker");
    assert_non_null (strstr (farm_error_text (farm, peer_of (farm->ann)), "enrol another"));
    worker_join (farm, &arm, "both", "linux/amd64,linux/arm64", 1);
    assert_true (submit (farm, spec) > 0);
}

/* What was made once is not taken for what is to be made twice. */
static void nothing_known_is_used_again (void **state)
{
    farm_t *farm = *state;
    worker_t one;
    worker_join (farm, &one, "one", "linux/amd64", 4);
    int64_t former = submit (farm, spec_of ("linux/amd64", "r.lan/app:1"));
    worker_push (farm, &one, worker_task (farm, &one));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    json_t *again = submit_of (farm, crossed ("linux/amd64"));
    json_object_set_new (again, "reuse", json_integer (former));
    farm_say (farm, "submit", peer_of (farm->ann), farm->ann, again);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "usage");
    assert_true (submit (farm, crossed ("linux/amd64")) > 0);
    assert_true (worker_task (farm, &one).job > 0);
}

/* -- comparing ------------------------------------------------------------------------------------------------------ */

static server_t server;
static bool has_registry;
static registry_t *client;

typedef struct {
    const char *name, *text;
    packing_t packing;
    file_entry_t files [4];
    const char *platform;
} image_row_t;

static const image_row_t first = { "first", NULL, PACKED_GZIP, { { "a", 0644, "one", 0, NULL }, { "b", 0755, "two", 0, NULL } }, "linux/amd64" };
static const image_row_t rows [] = {
    { "the same", NULL, PACKED_GZIP, { { "a", 0644, "one", 0, NULL }, { "b", 0755, "two", 0, NULL } }, "linux/amd64" },
    { "packed otherwise", NULL, PACKED_ZSTD, { { "a", 0644, "one", 0, NULL }, { "b", 0755, "two", 0, NULL } }, "linux/amd64" },
    { "not packed", NULL, PACKED_NOT, { { "a", 0644, "one", 0, NULL }, { "b", 0755, "two", 0, NULL } }, "linux/amd64" },
    { "content", "layer 1: /a has another content in A than in B", PACKED_GZIP, { { "a", 0644, "eno", 0, NULL }, { "b", 0755, "two", 0, NULL } }, "linux/amd64" },
    { "size", "layer 1: /b has another content in A than in B", PACKED_GZIP, { { "a", 0644, "one", 0, NULL }, { "b", 0755, "two more", 0, NULL } }, "linux/amd64" },
    { "mode", "layer 1: /b has another kind, owner, mode", PACKED_GZIP, { { "a", 0644, "one", 0, NULL }, { "b", 04755, "two", 0, NULL } }, "linux/amd64" },
    { "name", "layer 1: A has /b where B has /c", PACKED_GZIP, { { "a", 0644, "one", 0, NULL }, { "c", 0755, "two", 0, NULL } }, "linux/amd64" },
    { "order", "layer 1: A has /a where B has /b", PACKED_GZIP, { { "b", 0755, "two", 0, NULL }, { "a", 0644, "one", 0, NULL } }, "linux/amd64" },
    { "less", "layer 1: A has /b, and B nothing more", PACKED_GZIP, { { "a", 0644, "one", 0, NULL } }, "linux/amd64" },
    { "more", "layer 1: B has /c, and A nothing more", PACKED_GZIP, { { "a", 0644, "one", 0, NULL }, { "b", 0755, "two", 0, NULL }, { "c", 0644, "x", 0, NULL } }, "linux/amd64" },
    { "a link", "layer 1: /b has another", PACKED_GZIP, { { "a", 0644, "one", 0, NULL }, { "b", 0755, "two", 0, "a" } }, "linux/amd64" },
    { "config", "config: architecture is \"amd64\" in A, and \"386\" in B", PACKED_GZIP, { { "a", 0644, "one", 0, NULL }, { "b", 0755, "two", 0, NULL } }, "linux/386" },
};

static void push (const image_row_t *row, manifest_t *out)
{
    AUTO_BUFFER buffer_t tar = { 0 };
    layer_bytes_t layer;
    tar_of (row->files, &tar);
    layer_make (&layer, row->packing, &tar);
    image_push (&server, client, "compared", row->platform, &layer, 1, out);
    buffer_free (&layer.bytes);
}

static void differences_are_told (void **state)
{
    (void) state;
    if (!has_registry)
        skip ();
    manifest_t one, other;
    push (&first, &one);
    reference_t repository = reference_of (server.host, "compared");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err_t err = { 0 };
        reading_t reading = { 0 };
        compared_t a = { .name = "A" }, b = { .name = "B" };
        push (&rows [i], &other);
        strcpy (a.digest, one.digest);
        strcpy (b.digest, other.digest);
        int rc = compare_images (client, &repository, &a, &b, &reading, &err);
        if ((rc == 0) != (rows [i].text == NULL) || (rc < 0 && (err.code != ERR_VERIFY || !strstr (err.text, rows [i].text))))
            fail_msg ("%s: %s (%s)", rows [i].name, rc ? err.text : "the same", err_name (err.code));
        manifest_free (&other);
    }
    manifest_free (&one);
}

static void an_image_that_is_gone_is_none_to_compare (void **state)
{
    (void) state;
    if (!has_registry)
        skip ();
    manifest_t one;
    err_t err = { 0 };
    reading_t reading = { 0 };
    compared_t a = { .name = "A" }, b = { .name = "B" };
    push (&first, &one);
    reference_t repository = reference_of (server.host, "compared");
    snprintf (a.digest, sizeof a.digest, "sha256:%064d", 7);
    strcpy (b.digest, one.digest);
    assert_int_equal (compare_images (client, &repository, &a, &b, &reading, &err), -1);
    assert_int_equal (err.code, ERR_VERIFY);
    manifest_free (&one);
}

static int group_setup (void **state)
{
    (void) state;
    has_registry = real_begin (&server, &client);
    return 0;
}

static int group_teardown (void **state)
{
    (void) state;
    real_end (&server, &client);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, farm_setup, farm_teardown)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (a_job_goes_to_two_workers),
        TEST (images_that_differ_end_the_build),
        TEST (a_second_that_fails_is_tried_again_by_another),
        TEST (one_worker_is_told_at_once_to_who_will_not_wait),
        TEST (nothing_known_is_used_again),
        cmocka_unit_test (differences_are_told),
        cmocka_unit_test (an_image_that_is_gone_is_none_to_compare),
    };
    return cmocka_run_group_tests (tests, group_setup, group_teardown);
}
