/* test_outcome.c - what becomes of a build when some of its jobs fail, when it is asked for again, and when a newer one takes its
 * place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "engines.h"

#define SAYS(farm, build, path, text) assert_string_equal (farm_shows (farm, build, path), text)
#define BOTH "linux/amd64,linux/arm64"

typedef struct { worker_t amd, arm; task_t on_amd, on_arm; int64_t build; } pair_t;

/* Takes options. */
static int64_t submit (farm_t *farm, int64_t principal, const char *platforms, const char *tags, json_t *options)
{
    json_t *spec = spec_of (platforms, tags);
    if (options)
        json_object_update_new (spec, options);
    farm_say (farm, "submit", peer_of (principal), principal, submit_of (farm, spec));
    return json_integer_value (json_object_get (farm_sent (farm, peer_of (principal), "accepted"), "build"));
}

/* A build of two platforms, begun on two workers. */
static void begin (farm_t *farm, pair_t *self, json_t *options)
{
    worker_join (farm, &self->amd, "amd", "linux/amd64", 1);
    worker_join (farm, &self->arm, "arm", "linux/arm64", 1);
    self->build = submit (farm, farm->ann, BOTH, "r.lan/app:1", options);
    assert_true (self->build > 0);
    self->on_amd = worker_task (farm, &self->amd);
    self->on_arm = worker_task (farm, &self->arm);
}

static void end_well (farm_t *farm, const worker_t *worker, task_t task)
{
    assert_true (worker_push (farm, worker, task));
    farm_verify (farm, NULL);
}

/* -- some fail -------------------------------------------------------------------------------------------------- */

static void with_keep_going_the_others_may_end (void **state)
{
    farm_t *farm = *state;
    pair_t pair;
    begin (farm, &pair, json_pack ("{s:b}", "keep_going", 1));
    assert_true (worker_fail (farm, &pair.amd, pair.on_amd, "build"));
    assert_null (farm_sent (farm, pair.arm.peer, "abort"));
    SAYS (farm, pair.build, "state", "running");
    SAYS (farm, pair.build, "jobs/0/state", "failed");
    end_well (farm, &pair.arm, pair.on_arm);
    SAYS (farm, pair.build, "jobs/1/state", "done");
    SAYS (farm, pair.build, "state", "failed");
    SAYS (farm, pair.build, "code", "build");
    SAYS (farm, pair.build, "reason", "linux/amd64: the reason");
    assert_null (farm_action (farm, ACTION_PUBLISH, 0));
}

static void what_is_not_required_may_be_missing (void **state)
{
    farm_t *farm = *state;
    pair_t pair;
    begin (farm, &pair, json_pack ("{s:[s]}", "required_platforms", "linux/x86_64"));
    assert_true (worker_fail (farm, &pair.arm, pair.on_arm, "build"));
    SAYS (farm, pair.build, "state", "running");
    farm_reopen (farm);                             /* that it may be missing outlives a restart */
    worker_hello (farm, &pair.amd, &pair.on_amd, 1);
    end_well (farm, &pair.amd, pair.on_amd);
    SAYS (farm, pair.build, "state", "publishing");
    const json_t *children = json_object_get (farm_action (farm, ACTION_PUBLISH, 0), "children");
    assert_int_equal (json_array_size (children), 1);
    assert_string_equal (json_string_value (json_object_get (json_array_get (children, 0), "platform")), "linux/amd64");
    farm_publish (farm, NULL);
    SAYS (farm, pair.build, "state", "published");
    SAYS (farm, pair.build, "note", "without linux/arm64: the reason");
}

static void what_is_not_required_is_waited_for (void **state)
{
    farm_t *farm = *state;
    pair_t pair;
    begin (farm, &pair, json_pack ("{s:[s]}", "required_platforms", "linux/amd64"));
    end_well (farm, &pair.amd, pair.on_amd);
    SAYS (farm, pair.build, "state", "running");
    assert_true (worker_fail (farm, &pair.arm, pair.on_arm, "build"));
    SAYS (farm, pair.build, "state", "publishing");
}

static void a_required_one_that_fails_ends_all (void **state)
{
    farm_t *farm = *state;
    pair_t pair;
    begin (farm, &pair, json_pack ("{s:[s]}", "required_platforms", "linux/amd64"));
    assert_true (worker_fail (farm, &pair.amd, pair.on_amd, "build"));
    assert_non_null (farm_sent (farm, pair.arm.peer, "abort"));
    SAYS (farm, pair.build, "state", "failed");
    SAYS (farm, pair.build, "jobs/1/state", "cancelled");
}

static void nothing_is_not_published (void **state)
{
    farm_t *farm = *state;
    pair_t pair;
    begin (farm, &pair, json_pack ("{s:[s], s:b}", "required_platforms", "linux/amd64", "keep_going", 1));
    assert_true (worker_fail (farm, &pair.arm, pair.on_arm, "build"));
    assert_true (worker_fail (farm, &pair.amd, pair.on_amd, "verify"));
    SAYS (farm, pair.build, "state", "failed");
    SAYS (farm, pair.build, "code", "verify");              /* the required one speaks */
    assert_int_equal (submit (farm, farm->ann, BOTH, "r.lan/app:1", json_pack ("{s:[s]}", "required_platforms", "linux/386")), 0);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "usage");
}

/* -- once more -------------------------------------------------------------------------------------------------- */

static json_t *spec_again (farm_t *farm, int64_t principal, int64_t build)
{
    farm_say (farm, "spec", peer_of (principal), principal, json_pack ("{s:I}", "build", (json_int_t) build));
    return json_incref (json_object_get (farm_sent (farm, peer_of (principal), "build-spec"), "spec"));
}

/* Takes spec. */
static int64_t submit_reusing (farm_t *farm, int64_t principal, json_t *spec, int64_t former)
{
    json_t *header = submit_of (farm, spec);
    json_object_set_new (header, "reuse", json_integer (former));
    farm_say (farm, "submit", peer_of (principal), principal, header);
    return json_integer_value (json_object_get (farm_sent (farm, peer_of (principal), "accepted"), "build"));
}

static void only_what_failed_is_built_again (void **state)
{
    farm_t *farm = *state;
    pair_t pair;
    begin (farm, &pair, json_pack ("{s:b}", "keep_going", 1));
    end_well (farm, &pair.arm, pair.on_arm);
    assert_true (worker_fail (farm, &pair.amd, pair.on_amd, "build"));
    SAYS (farm, pair.build, "state", "failed");
    int64_t again = submit_reusing (farm, farm->ann, spec_again (farm, farm->ann, pair.build), pair.build);
    assert_true (again > pair.build);
    AUTO_JSON json_t *verify = json_deep_copy (farm_action (farm, ACTION_VERIFY, 0));
    assert_null (farm_action (farm, ACTION_VERIFY, 1));
    assert_string_equal (json_string_value (json_object_get (verify, "digest")), digest_of_task (pair.on_arm));
    assert_int_equal (worker_task (farm, &pair.arm).job, 0);
    pair.on_amd = worker_task (farm, &pair.amd);
    farm_verified (farm, verify, NULL);
    end_well (farm, &pair.amd, pair.on_amd);
    farm_publish (farm, NULL);
    SAYS (farm, again, "state", "published");
    SAYS (farm, again, "note", "null");
    assert_int_equal (atoll (farm_shows (farm, again, "jobs/1/from_build")), pair.build);
}

static void an_image_that_is_gone_is_built_again (void **state)
{
    farm_t *farm = *state;
    pair_t pair;
    begin (farm, &pair, json_pack ("{s:b}", "keep_going", 1));
    end_well (farm, &pair.arm, pair.on_arm);
    assert_true (worker_fail (farm, &pair.amd, pair.on_amd, "build"));
    submit_reusing (farm, farm->ann, spec_again (farm, farm->ann, pair.build), pair.build);
    AUTO_JSON json_t *verify = json_deep_copy (farm_action (farm, ACTION_VERIFY, 0));
    farm_reopen (farm);
    worker_hello (farm, &pair.arm, NULL, 0);
    farm_pass (farm, 0);
    assert_true (json_equal (farm_action (farm, ACTION_VERIFY, 0), verify));
    farm_verified (farm, verify, "not-found");
    assert_true (worker_task (farm, &pair.arm).job > 0);
}

static void an_emulated_image_is_reused_by_who_allows_it (void **state)
{
    farm_t *farm = *state;
    worker_t emulator;
    worker_join (farm, &emulator, "emulator", "linux/arm64*", 1);
    int64_t former = submit (farm, farm->ann, "linux/arm64", "r.lan/app:1", json_pack ("{s:s}", "emulation", "allow"));
    task_t task = worker_task (farm, &emulator);
    end_well (farm, &emulator, task);
    json_t *allowing = spec_again (farm, farm->ann, former), *denying = json_deep_copy (allowing);
    json_object_set_new (denying, "emulation", json_string ("deny"));
    assert_true (submit_reusing (farm, farm->ann, denying, former) > 0);
    assert_null (farm_action (farm, ACTION_VERIFY, 0));
    assert_true (submit_reusing (farm, farm->ann, allowing, former) > 0);
    assert_non_null (farm_action (farm, ACTION_VERIFY, 0));
}

static void nobody_uses_another_s_images_or_other_inputs (void **state)
{
    farm_t *farm = *state;
    pair_t pair;
    begin (farm, &pair, NULL);
    AUTO_JSON json_t *spec = spec_again (farm, farm->ann, pair.build);
    assert_null (spec_again (farm, farm->bob, pair.build));
    assert_string_equal (farm_error (farm, peer_of (farm->bob)), "denied");
    assert_int_equal (submit_reusing (farm, farm->bob, json_deep_copy (spec), pair.build), 0);
    assert_string_equal (farm_error (farm, peer_of (farm->bob)), "denied");
    json_t *other = json_deep_copy (spec);
    json_object_set_new (other, "target", json_string ("test"));
    assert_int_equal (submit_reusing (farm, farm->ann, other, pair.build), 0);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "usage");
    assert_int_equal (submit_reusing (farm, farm->ann, json_deep_copy (spec), 99), 0);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "not-found");
    assert_true (submit_reusing (farm, farm->admin, json_deep_copy (spec), pair.build) > 0);
}

/* -- in its place ----------------------------------------------------------------------------------------------- */

static void a_newer_build_supersedes_those_that_wait_for_its_tags (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    json_t *const yes = json_pack ("{s:b}", "supersede", 1);
    int64_t running = submit (farm, farm->ann, "linux/amd64", "r.lan/a:1,r.lan/a:2", NULL);
    int64_t same = submit (farm, farm->ann, "linux/amd64", "r.lan/a:2,r.lan/a:1", NULL);
    int64_t fewer = submit (farm, farm->ann, "linux/amd64", "r.lan/a:1", NULL);
    int64_t bobs = submit (farm, farm->bob, "linux/amd64", "r.lan/a:1,r.lan/a:2", NULL);
    int64_t newer = submit (farm, farm->ann, "linux/amd64", "r.lan/a:1,r.lan/a:2", yes);
    AUTO_FREE char *cause = mem_printf ("superseded by %lld", (long long) newer);
    SAYS (farm, running, "state", "running");
    SAYS (farm, same, "state", "cancelled");
    SAYS (farm, same, "reason", cause);
    SAYS (farm, fewer, "state", "queued");
    SAYS (farm, bobs, "state", "queued");
    SAYS (farm, newer, "state", "queued");
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
#define TEST(name) cmocka_unit_test_setup_teardown (name, farm_setup, farm_teardown)
    const struct CMUnitTest tests [] = {
        TEST (with_keep_going_the_others_may_end),
        TEST (what_is_not_required_may_be_missing),
        TEST (what_is_not_required_is_waited_for),
        TEST (a_required_one_that_fails_ends_all),
        TEST (nothing_is_not_published),
        TEST (only_what_failed_is_built_again),
        TEST (an_image_that_is_gone_is_built_again),
        TEST (an_emulated_image_is_reused_by_who_allows_it),
        TEST (nobody_uses_another_s_images_or_other_inputs),
        TEST (a_newer_build_supersedes_those_that_wait_for_its_tags),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
