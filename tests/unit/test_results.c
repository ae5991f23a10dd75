/* test_results.c - images that are known already: when they are used again, and when not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/mem.h"
#include "coordinator/engine_private.h"
#include "engines.h"

#define SAYS(farm, build, path, text) assert_string_equal (farm_shows (farm, build, path), text)
#define BASE "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

enum { KEEP_MS = 60000 };

static int setup (void **state)
{
    if (farm_setup (state) != 0)
        return -1;
    farm_t *farm = *state;
    farm->settings.result_keep_ms = KEEP_MS;
    farm_reopen (farm);
    return 0;
}

static json_t *pushed (task_t task, bool is_repeatable)
{
    json_t *report = json_pack ("{s:s}", "digest", digest_of_task (task));
    if (is_repeatable)
        json_object_set_new (report, "bases", json_pack ("[{s:s, s:s}]", "reference", "r.lan/base:1", "digest", BASE));
    return report;
}

/* Build it for real, on one worker. */
static int64_t build (farm_t *farm, worker_t *worker, json_t *spec, bool is_repeatable)
{
    farm_say (farm, "submit", peer_of (farm->ann), farm->ann, submit_of (farm, spec));
    int64_t id = json_integer_value (json_object_get (farm_sent (farm, peer_of (farm->ann), "accepted"), "build"));
    task_t task = worker_task (farm, worker);
    assert_true (id > 0 && task.job > 0);
    assert_true (worker_report (farm, worker, task, "building", NULL));
    assert_true (worker_report (farm, worker, task, "pushed", pushed (task, is_repeatable)));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    SAYS (farm, id, "state", "published");
    return id;
}

/* Submit, and say whether a worker got it. */
static int64_t again (farm_t *farm, const worker_t *worker, json_t *spec, bool *is_built)
{
    farm_say (farm, "submit", peer_of (farm->bob), farm->bob, submit_of (farm, spec));
    int64_t id = json_integer_value (json_object_get (farm_sent (farm, peer_of (farm->bob), "accepted"), "build"));
    assert_true (id > 0);
    *is_built = worker_task (farm, worker).job > 0;
    assert_true (!*is_built || !farm_action (farm, ACTION_VERIFY, 0));
    return id;
}

static json_t *spec (void)
{
    return spec_of ("linux/amd64", "r.lan/app:1");
}

static void the_same_again_needs_no_worker (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    bool is_built;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    int64_t first = build (farm, &amd, spec (), true), second = again (farm, &amd, spec_of ("linux/x86_64", "r.lan/app:2"), &is_built);
    assert_false (is_built);
    SAYS (farm, second, "jobs/0/state", "verifying");
    const json_t *verify = farm_action (farm, ACTION_VERIFY, 0);
    assert_string_equal (json_string_value (json_object_get (json_array_get (json_object_get (verify, "bases"), 0), "digest")), BASE);
    AUTO_FREE char *digest = mem_strdup (json_string_value (json_object_get (verify, "digest")));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    SAYS (farm, second, "state", "published");
    SAYS (farm, second, "jobs/0/digest", digest);
    char note [64];
    snprintf (note, sizeof note, "unchanged, from build %lld", (long long) first);
    SAYS (farm, second, "note", note);
}

static json_t *hasty (json_t *of)
{
    json_object_set_new (of, "queue_timeout_ms", json_integer (0));
    return of;
}

/* former 0: of none in particular; the code of the refusal, before which nothing was written. */
static const char *refused (farm_t *farm, json_t *spec, int64_t former)
{
    json_t *header = submit_of (farm, spec);
    int64_t changes = db_changes (farm->engine->db);
    if (former)
        json_object_set_new (header, "reuse", json_integer (former));
    farm_say (farm, "submit", peer_of (farm->ann), farm->ann, header);
    assert_true (*farm_error (farm, peer_of (farm->ann)) == 0 || db_changes (farm->engine->db) == changes);
    return farm_error (farm, peer_of (farm->ann));
}

static void whoever_will_not_wait_needs_nobody_for_what_is_known (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    bool is_built;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    int64_t first = build (farm, &amd, spec (), true);
    worker_gone (farm, &amd);
    farm_pass (farm, 50000);
    SAYS (farm, again (farm, &amd, hasty (spec ()), &is_built), "jobs/0/state", "verifying");
    json_t *other = hasty (spec ()), *both = hasty (spec_of ("linux/amd64,linux/arm64", "r.lan/app:1")), *anew = hasty (spec ());
    json_object_set_new (other, "target", json_string ("other"));
    json_object_set_new (anew, "no_result_cache", json_true ());
    assert_string_equal (refused (farm, other, 0), "no-worker");
    assert_string_equal (refused (farm, both, 0), "no-worker");
    assert_string_equal (refused (farm, anew, 0), "no-worker");
    farm_pass (farm, KEEP_MS);
    assert_string_equal (refused (farm, hasty (spec ()), 0), "no-worker");
    assert_string_equal (refused (farm, hasty (spec ()), first), "");
    assert_string_equal (refused (farm, hasty (spec_of ("linux/amd64,linux/arm64", "r.lan/app:1")), first), "no-worker");
}

static void expect_publish (farm_t *farm, bool was_published)
{
    farm_verify (farm, NULL);
    assert_true (json_is_true (json_object_get (farm_action (farm, ACTION_PUBLISH, 0), "was_published")) == was_published);
    farm_publish (farm, NULL);
}

static void tags_that_may_show_it_already_are_known (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    bool is_built;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    build (farm, &amd, spec (), true);
    again (farm, &amd, spec (), &is_built);
    expect_publish (farm, true);
    again (farm, &amd, spec_of ("linux/amd64", "r.lan/app:2"), &is_built);
    expect_publish (farm, false);
    json_t *other = spec ();
    json_object_set_new (other, "target", json_string ("other"));
    build (farm, &amd, other, true);
    again (farm, &amd, spec (), &is_built);
    assert_false (is_built);
    expect_publish (farm, false);
}

static void a_base_that_moved_means_building (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    bool is_built;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    build (farm, &amd, spec (), true);
    int64_t second = again (farm, &amd, spec (), &is_built);
    assert_false (is_built);
    farm_verify (farm, "stale");
    task_t task = worker_task (farm, &amd);
    assert_true (task.job > 0 && task.attempt == 1);
    SAYS (farm, second, "jobs/0/state", "assigned");
    SAYS (farm, second, "jobs/0/from_build", "null");
    worker_push (farm, &amd, task);
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    SAYS (farm, second, "state", "published");
    SAYS (farm, second, "note", "null");
}

static void other_inputs_mean_building (void **state)
{
    static const char *const fields [] = { "build_args", "labels", "target", "no_cache", "pull", "no_result_cache", "context" };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        farm_t *farm = *state;
        worker_t amd;
        bool is_built;
        worker_join (farm, &amd, "amd", "linux/amd64", 2);
        build (farm, &amd, spec (), true);
        json_t *other = spec ();
        json_t *value = i < 2 ? json_pack ("{s:s}", "A", "1") : i == 2 ? json_string ("stage") : i < 6 ? json_true ()
                        : json_string ("0000000000000000000000000000000000000000000000000000000000000001");
        json_object_set_new (other, fields [i], value);
        again (farm, &amd, other, &is_built);
        assert_true (is_built);
        farm_teardown (state);
        setup (state);
    }
}

static void another_platform_or_repository_means_building (void **state)
{
    farm_t *farm = *state;
    worker_t all;
    bool is_built;
    worker_join (farm, &all, "all", "linux/amd64,linux/arm64", 4);
    build (farm, &all, spec (), true);
    again (farm, &all, spec_of ("linux/arm64", "r.lan/app:1"), &is_built);
    assert_true (is_built);
    again (farm, &all, spec_of ("linux/amd64", "r.lan/other:1"), &is_built);
    assert_true (is_built);
}

static void what_cannot_be_repeated_is_not_kept (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    bool is_built;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    build (farm, &amd, spec (), false);
    again (farm, &amd, spec (), &is_built);
    assert_true (is_built);
}

/* Nobody gets round the limit by what is known, and is then found to have changed. */
static void a_held_build_whose_image_is_gone_is_held_still (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    bool is_built;
    worker_join (farm, &amd, "amd", "linux/amd64", 4);
    build (farm, &amd, spec (), true);
    farm_say (farm, "grant", peer_of (farm->admin), farm->admin, json_pack ("{s:s, s:{s:i}}", "name", "bob", "limits", "max_running", 1));
    int64_t first = farm_submit (farm, farm->bob, "linux/amd64", "r.lan/other:1"), second = again (farm, &amd, spec (), &is_built);
    assert_false (is_built);
    SAYS (farm, second, "jobs/0/state", "verifying");
    farm_verify (farm, "not-found");
    assert_int_equal (worker_task (farm, &amd).job, 0);
    SAYS (farm, second, "state", "queued");
    assert_non_null (strstr (farm_shows (farm, second, "jobs/0/waiting"), "bob may have 1 builds at work"));
    farm_cancel (farm, farm->bob, first);
    SAYS (farm, second, "state", "running");
}

static void results_age (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    bool is_built;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    build (farm, &amd, spec (), true);
    farm_pass (farm, KEEP_MS + 1);
    worker_hello (farm, &amd, NULL, 0);
    again (farm, &amd, spec (), &is_built);
    assert_true (is_built);
}

static void an_emulated_result_is_for_who_allows_it (void **state)
{
    farm_t *farm = *state;
    worker_t emulator, native;
    bool is_built;
    worker_join (farm, &emulator, "emulator", "linux/arm64*", 1);
    json_t *allowing = spec_of ("linux/arm64", "r.lan/app:1");
    json_object_set_new (allowing, "emulation", json_string ("allow"));
    build (farm, &emulator, json_deep_copy (allowing), true);
    worker_join (farm, &native, "native", "linux/arm64", 1);
    int64_t second = again (farm, &native, allowing, &is_built);
    assert_false (is_built);
    SAYS (farm, second, "jobs/0/emulated", "true");
    again (farm, &native, spec_of ("linux/arm64", "r.lan/app:1"), &is_built);
    assert_true (is_built);
}

static void a_known_image_is_looked_at_again_after_a_restart (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    bool is_built;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    build (farm, &amd, spec (), true);
    int64_t second = again (farm, &amd, spec (), &is_built);
    assert_false (is_built);
    farm_reopen (farm);
    farm_pass (farm, 10);
    farm_verify (farm, NULL);
    farm_pass (farm, 10);
    SAYS (farm, second, "jobs/0/state", "done");
}

static void a_known_image_can_be_cancelled (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    bool is_built;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    build (farm, &amd, spec (), true);
    int64_t second = again (farm, &amd, spec (), &is_built);
    json_t *verify = json_deep_copy (farm_action (farm, ACTION_VERIFY, 0));
    farm_cancel (farm, farm->bob, second);
    farm_verified (farm, verify, NULL);
    json_decref (verify);
    SAYS (farm, second, "state", "cancelled");
}

/* A worker with other labels may make another image; so may another build of the builder, which boards of the platform have now. */
static void what_a_worker_has_to_be_counts_too (void **state)
{
    farm_t *farm = *state;
    worker_t amd, other;
    bool is_built;
    worker_join (farm, &amd, "amd", "linux/amd64", 2);
    build (farm, &amd, spec (), true);
    json_t *picky = spec ();
    json_object_set_new (picky, "require", json_pack ("[s]", "name=amd"));
    again (farm, &amd, picky, &is_built);
    assert_true (is_built);
    again (farm, &amd, spec (), &is_built);
    assert_false (is_built);
    worker_join (farm, &other, "other", "linux/arm64", 1);      /* has the builder too, but not this platform */
    worker_gone (farm, &amd);
    farm_say (farm, "order", 1, farm->admin, json_pack ("{s:s, s:s}", "name", "amd", "mode", "forgotten"));
    again (farm, &amd, spec (), &is_built);
    assert_null (farm_action (farm, ACTION_VERIFY, 0));
}

/* Whoever will not wait for a worker does not have to where none is needed. */
static void what_is_known_is_not_refused_for_want_of_workers (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    bool is_built;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    build (farm, &amd, spec (), true);
    farm_say (farm, "order", 1, farm->admin, json_pack ("{s:s, s:s}", "name", "amd", "mode", "paused"));
    json_t *hasty = spec ();
    json_object_set_new (hasty, "queue_timeout_ms", json_integer (0));
    again (farm, &amd, hasty, &is_built);
    assert_false (is_built);
    hasty = spec_of ("linux/amd64", "r.lan/other:1");
    json_object_set_new (hasty, "queue_timeout_ms", json_integer (0));
    farm_say (farm, "submit", peer_of (farm->bob), farm->bob, submit_of (farm, hasty));
    assert_string_equal (farm_error (farm, peer_of (farm->bob)), "no-worker");
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test_setup_teardown (the_same_again_needs_no_worker, setup, farm_teardown),
        cmocka_unit_test_setup_teardown (whoever_will_not_wait_needs_nobody_for_what_is_known, setup, farm_teardown),
        cmocka_unit_test_setup_teardown (tags_that_may_show_it_already_are_known, setup, farm_teardown),
        cmocka_unit_test_setup_teardown (a_base_that_moved_means_building, setup, farm_teardown),
        cmocka_unit_test_setup_teardown (other_inputs_mean_building, setup, farm_teardown),
        cmocka_unit_test_setup_teardown (another_platform_or_repository_means_building, setup, farm_teardown),
        cmocka_unit_test_setup_teardown (what_cannot_be_repeated_is_not_kept, setup, farm_teardown),
        cmocka_unit_test_setup_teardown (a_held_build_whose_image_is_gone_is_held_still, setup, farm_teardown),
        cmocka_unit_test_setup_teardown (results_age, setup, farm_teardown),
        cmocka_unit_test_setup_teardown (what_a_worker_has_to_be_counts_too, setup, farm_teardown),
        cmocka_unit_test_setup_teardown (what_is_known_is_not_refused_for_want_of_workers, setup, farm_teardown),
        cmocka_unit_test_setup_teardown (an_emulated_result_is_for_who_allows_it, setup, farm_teardown),
        cmocka_unit_test_setup_teardown (a_known_image_is_looked_at_again_after_a_restart, setup, farm_teardown),
        cmocka_unit_test_setup_teardown (a_known_image_can_be_cancelled, setup, farm_teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
