/* test_lookups.c - base images as the engine sees them: looked up before a build begins, one digest for all its jobs, whatever restarts, and what
 * becomes of a build whose base images are not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/engine_private.h"
#include "engines.h"

#define ONE "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define BASE "r.lan/base:1"
enum { SECOND = 1000, TRIES = 5 };

/* -- words ------------------------------------------------------------------------------------------------------ */

static void resolved (farm_t *farm, int64_t lookup, const char *digest)
{
    farm_say (farm, "resolved", 0, 0, json_pack ("{s:I, s:b, s:[{s:s, s:s, s:b}]}", "lookup", (json_int_t) lookup, "ok", 1, "bases", "reference", BASE, "digest", digest,
                                                 "is_last", 1));
}

static void not_resolved (farm_t *farm, int64_t lookup, const char *code)
{
    farm_say (farm, "resolved", 0, 0, json_pack ("{s:I, s:b, s:s, s:s}", "lookup", (json_int_t) lookup, "ok", 0, "code", code, "text", "as the registry has it"));
}

/* What the worker was last told that BASE means; "" where it was told nothing. */
static const char *told (const farm_t *farm, const worker_t *worker)
{
    const json_t *base = json_array_get (json_object_get (farm_sent (farm, worker->peer, "assign"), "bases"), 0);
    const char *digest = json_string_value (json_object_get (base, "digest"));
    return digest ? digest : "";
}

/* A worker's question, and the answer. */
static const char *pin (farm_t *farm, const worker_t *worker, task_t task, const char *reference, const char *digest)
{
    farm_say (farm, "pin", worker->peer + 5000, worker->principal, json_pack ("{s:I, s:I, s:s, s:s}", "job", (json_int_t) task.job, "attempt", (json_int_t) task.attempt,
                                                                              "reference", reference, "digest", digest));
    const char *answer = json_string_value (json_object_get (farm_sent (farm, worker->peer + 5000, "pinned"), "digest"));
    return answer ? answer : farm_error (farm, worker->peer + 5000);
}

/* It says to have built on that. */
static bool pushes_on (farm_t *farm, worker_t *worker, task_t task, const char *reference, const char *digest)
{
    return worker_report (farm, worker, task, "pushed", json_pack ("{s:s, s:[{s:s, s:s}]}", "digest", digest_of_task (task), "bases", "reference", reference,
                                                                   "digest", digest));
}

/* A worker, and a build that it has begun, on ONE. */
static int64_t begin_one (farm_t *farm, worker_t *worker, task_t *task)
{
    worker_join (farm, worker, "amd", "linux/amd64", 1);
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    resolved (farm, farm_lookup (farm), ONE);
    *task = worker_task (farm, worker);
    return build;
}

/* -- looked up -------------------------------------------------------------------------------------------------- */

static void a_build_begins_when_they_are_known (void **state)
{
    farm_t *farm = *state;
    worker_t amd, arm;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    worker_join (farm, &arm, "arm", "linux/arm64", 1);
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64,linux/arm64", "r.lan/app:1");
    assert_true (build > 0);
    const json_t *question = json_object_get (farm_action (farm, ACTION_RESOLVE, 0), "question");
    assert_string_equal (json_string_value (json_object_get (question, "repository")), "r.lan/app");
    assert_int_equal (json_array_size (json_object_get (question, "platforms")), 2);
    int64_t lookup = farm_lookup (farm);
    assert_int_equal (worker_task (farm, &amd).job, 0);
    assert_string_equal (farm_shows (farm, build, "state"), "queued");
    assert_string_equal (farm_shows (farm, build, "jobs/0/waiting"), "its base images are being looked up");
    resolved (farm, lookup, ONE);
    assert_string_equal (told (farm, &amd), ONE);
    assert_string_equal (told (farm, &arm), ONE);
    assert_string_equal (farm_shows (farm, build, "bases/0/reference"), BASE);
    assert_string_equal (farm_shows (farm, build, "bases/0/digest"), ONE);
    resolved (farm, lookup, TWO);               /* said twice */
    assert_string_equal (farm_shows (farm, build, "bases/0/digest"), ONE);
}

/* Its submit brings the context back that others wait for. */
static void a_context_that_is_back_begins_nothing (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    farm_say (farm, "lost", 0, 0, json_pack ("{s:s}", "root", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"));
    assert_non_null (farm_sent (farm, amd.peer, "restore"));
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    int64_t lookup = farm_lookup (farm);
    assert_int_equal (worker_task (farm, &amd).job, 0);
    resolved (farm, lookup, ONE);
    assert_string_equal (told (farm, &amd), ONE);
}

static void who_asks_the_same_shares_the_answer (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 9);
    int64_t one = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1"), lookup = farm_lookup (farm);
    int64_t two = farm_submit (farm, farm->bob, "linux/amd64", "r.lan/app:2");
    assert_null (farm_action (farm, ACTION_RESOLVE, 0));
    farm_submit (farm, farm->ann, "linux/arm64", "r.lan/app:3");
    assert_true (farm_lookup (farm) > lookup);                        /* something else */
    resolved (farm, lookup, ONE);
    assert_string_equal (told (farm, &amd), ONE);
    assert_string_equal (farm_shows (farm, one, "bases/0/digest"), ONE);
    assert_string_equal (farm_shows (farm, two, "bases/0/digest"), ONE);
    int64_t four = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:4");
    assert_true (farm_lookup (farm) > lookup);                        /* it may have moved since */
    resolved (farm, farm_lookup (farm), TWO);
    assert_string_equal (farm_shows (farm, four, "bases/0/digest"), TWO);
    assert_string_equal (farm_shows (farm, one, "bases/0/digest"), ONE);
}

static void a_registry_s_fault_is_tried_again (void **state)
{
    farm_t *farm = *state;
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1"), lookup = farm_lookup (farm);
    for (int i = 1; i < TRIES; i++) {
        not_resolved (farm, lookup, "registry");
        assert_string_equal (farm_shows (farm, build, "state"), "queued");
        assert_non_null (strstr (farm_shows (farm, build, "jobs/0/waiting"), "as the registry has it"));
        farm_pass (farm, (2 * SECOND << i) / 2);
        assert_int_equal (farm_lookup (farm), lookup);
    }
    not_resolved (farm, lookup, "registry");
    assert_string_equal (farm_shows (farm, build, "state"), "failed");
    assert_string_equal (farm_shows (farm, build, "code"), "registry");
}

static void an_image_that_is_not_there_fails_at_once (void **state)
{
    farm_t *farm = *state;
    int64_t one = farm_submit (farm, farm->ann, "linux/amd64,linux/arm64", "r.lan/app:1"), lookup = farm_lookup (farm);
    int64_t two = farm_submit (farm, farm->bob, "linux/amd64,linux/arm64", "r.lan/app:2");
    not_resolved (farm, lookup, "build");
    assert_string_equal (farm_shows (farm, one, "state"), "failed");
    assert_string_equal (farm_shows (farm, one, "code"), "build");
    assert_non_null (strstr (farm_shows (farm, one, "reason"), "as the registry has it"));
    assert_string_equal (farm_shows (farm, two, "state"), "failed");
}

static void it_goes_on_after_a_restart (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1"), lookup = farm_lookup (farm);
    farm_reopen (farm);
    farm_pass (farm, SECOND);
    assert_int_equal (farm_lookup (farm), lookup);
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    assert_int_equal (worker_task (farm, &amd).job, 0);
    resolved (farm, lookup, ONE);
    assert_string_equal (told (farm, &amd), ONE);
    farm_reopen (farm);
    assert_string_equal (farm_shows (farm, build, "bases/0/digest"), ONE);
}

static void a_cancelled_build_waits_for_nothing (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 9);
    int64_t one = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1"), lookup = farm_lookup (farm);
    int64_t two = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:2");
    farm_cancel (farm, farm->ann, one);
    resolved (farm, lookup, ONE);
    assert_string_equal (farm_shows (farm, one, "state"), "cancelled");
    assert_string_equal (farm_shows (farm, two, "bases/0/digest"), ONE);
    farm_pass (farm, 10 * SECOND);
    int64_t three = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:3");
    lookup = farm_lookup (farm);
    farm_cancel (farm, farm->ann, three);
    not_resolved (farm, lookup, "registry");
    assert_false (engine_next_tick (farm->engine) < farm->now + SECOND);
}

static void a_held_build_waits_for_its_turn_too (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    farm_say (farm, "grant", peer_of (farm->admin), farm->admin, json_pack ("{s:s, s:{s:i}}", "name", "ann", "limits", "max_running", 1));
    worker_join (farm, &amd, "amd", "linux/amd64", 9);
    int64_t one = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1"), lookup = farm_lookup (farm);
    int64_t two = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:2");
    resolved (farm, lookup, ONE);
    assert_string_equal (farm_shows (farm, one, "jobs/0/state"), "assigned");
    assert_string_equal (farm_shows (farm, two, "jobs/0/state"), "queued");
    farm_cancel (farm, farm->ann, one);
    assert_string_equal (farm_shows (farm, two, "jobs/0/state"), "assigned");
    assert_string_equal (told (farm, &amd), ONE);
}

/* -- asked for by a worker -------------------------------------------------------------------------------------- */

static void the_first_that_asks_says_what_it_means (void **state)
{
    farm_t *farm = *state;
    worker_t amd, arm;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    worker_join (farm, &arm, "arm", "linux/arm64", 1);
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64,linux/arm64", "r.lan/app:1");
    farm_say (farm, "resolved", 0, 0, json_pack ("{s:I, s:b, s:[]}", "lookup", (json_int_t) farm_lookup (farm), "ok", 1, "bases"));
    task_t one = worker_task (farm, &amd), two = worker_task (farm, &arm);
    assert_string_equal (pin (farm, &amd, one, BASE, ONE), ONE);
    assert_string_equal (pin (farm, &arm, two, BASE, TWO), ONE);
    assert_string_equal (pin (farm, &arm, two, "r.lan/other:1", TWO), TWO);
    assert_string_equal (farm_shows (farm, build, "bases/0/digest"), ONE);
    assert_string_equal (pin (farm, &arm, one, BASE, ONE), "denied");               /* not its attempt */
    assert_string_equal (pin (farm, &arm, two, "r.lan/other", ONE), "protocol");
    for (int i = 0; i < 30; i++) {
        AUTO_FREE char *name = mem_printf ("r.lan/many:%d", i);
        assert_string_equal (pin (farm, &arm, two, name, ONE), ONE);
    }
    assert_string_equal (pin (farm, &arm, two, "r.lan/toomany:1", ONE), "full");
}

static void another_attempt_is_told_the_same (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    farm_say (farm, "resolved", 0, 0, json_pack ("{s:I, s:b, s:[]}", "lookup", (json_int_t) farm_lookup (farm), "ok", 1, "bases"));
    task_t task = worker_task (farm, &amd);
    assert_string_equal (told (farm, &amd), "");
    pin (farm, &amd, task, BASE, ONE);
    worker_fail (farm, &amd, task, "farm");
    farm_pass (farm, 3 * SECOND);
    assert_string_equal (told (farm, &amd), ONE);
}

static void an_image_on_another_base_is_refused (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    task_t task;
    int64_t build = begin_one (farm, &amd, &task);
    assert_true (pushes_on (farm, &amd, task, BASE, TWO));
    assert_null (farm_action (farm, ACTION_VERIFY, 0));
    assert_string_equal (farm_shows (farm, build, "jobs/0/state"), "queued");
    assert_non_null (strstr (farm_shows (farm, build, "jobs/0/attempts/0/reason"), "is " ONE " for this build"));
}

/* All of them are told with each assignment, in one header. */
static void their_names_come_to_so_much_and_no_more (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    task_t task;
    char name [513];
    begin_one (farm, &amd, &task);
    for (int i = 0; i < 22; i++) {
        snprintf (name, sizeof name, "r.lan/%0240d:%0120d", i, i);
        assert_string_equal (pin (farm, &amd, task, name, ONE), ONE);
    }
    snprintf (name, sizeof name, "r.lan/%0240d:%0120d", 99, 99);
    assert_string_equal (pin (farm, &amd, task, name, ONE), "full");
    assert_string_equal (pin (farm, &amd, task, BASE, TWO), ONE);
}

/* A report's names are held to the same as a question's. */
static void a_base_that_is_no_name_is_refused (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    task_t task;
    int64_t build = begin_one (farm, &amd, &task);
    assert_true (pushes_on (farm, &amd, task, "\x01 no name", TWO));
    assert_null (farm_action (farm, ACTION_VERIFY, 0));
    assert_string_equal (farm_shows (farm, build, "jobs/0/state"), "queued");
    assert_string_equal (farm_shows (farm, build, "bases/0/reference"), BASE);
}

/* -- what is known ---------------------------------------------------------------------------------------------- */

/* A build on that base, published. */
static int64_t publish (farm_t *farm, worker_t *worker, const char *digest)
{
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    resolved (farm, farm_lookup (farm), digest);
    task_t task = worker_task (farm, worker);
    assert_true (task.job > 0);
    pushes_on (farm, worker, task, BASE, digest);
    farm_verify (farm, NULL);
    const json_t *index = farm_action (farm, ACTION_PUBLISH, 0);
    assert_non_null (index);
    farm_publish (farm, NULL);
    return build;
}

/* An image on base ONE that is known for a day. */
static int64_t publish_and_keep (farm_t *farm, worker_t *worker)
{
    farm->settings.result_keep_ms = 24 * 3600 * SECOND;
    farm_reopen (farm);
    worker_join (farm, worker, "amd", "linux/amd64", 1);
    return publish (farm, worker, ONE);
}

static void a_known_image_is_used_on_the_same_base_only (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    int64_t first = publish_and_keep (farm, &amd);
    farm_pass (farm, 10 * SECOND);
    int64_t same = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    resolved (farm, farm_lookup (farm), ONE);
    const json_t *task = farm_action (farm, ACTION_VERIFY, 0);
    assert_non_null (task);
    assert_int_equal (json_array_size (json_object_get (task, "bases")), 0);        /* nobody need be asked once more */
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    assert_string_equal (farm_shows (farm, same, "state"), "published");
    assert_int_equal (strtol (farm_shows (farm, same, "jobs/0/from_build"), NULL, 10), first);
    farm_pass (farm, 10 * SECOND);
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    resolved (farm, farm_lookup (farm), TWO);
    assert_null (farm_action (farm, ACTION_VERIFY, 0));
    assert_string_equal (told (farm, &amd), TWO);
}

/* Its context was to come back first, and nobody needs it now. */
static void a_known_image_leaves_no_wait_behind (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    publish_and_keep (farm, &amd);
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1"), lookup = farm_lookup (farm);
    farm_say (farm, "lost", 0, 0, json_pack ("{s:s}", "root", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"));
    assert_non_null (farm_sent (farm, amd.peer, "restore"));
    resolved (farm, lookup, ONE);
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    assert_string_equal (farm_shows (farm, build, "state"), "published");
    assert_int_equal (farm->engine->wait_count, 0);
}

static void a_retry_of_what_failed_stands_on_the_same (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    resolved (farm, farm_lookup (farm), ONE);
    worker_fail (farm, &amd, worker_task (farm, &amd), "build");
    farm_pass (farm, 10 * SECOND);
    json_t *header = submit_of (farm, spec_of ("linux/amd64", "r.lan/app:1"));
    json_object_set_new (header, "reuse", json_integer (1));
    farm_say (farm, "submit", peer_of (farm->ann), farm->ann, header);
    assert_null (farm_action (farm, ACTION_RESOLVE, 0));
    assert_string_equal (told (farm, &amd), ONE);
}

static void without_lookups_a_build_begins_at_once (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    farm->settings.looks_up = false;
    farm_reopen (farm);
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    assert_null (farm_action (farm, ACTION_RESOLVE, 0));
    assert_true (worker_task (farm, &amd).job > 0);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test_setup_teardown (a_build_begins_when_they_are_known, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (a_context_that_is_back_begins_nothing, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (who_asks_the_same_shares_the_answer, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (a_registry_s_fault_is_tried_again, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (an_image_that_is_not_there_fails_at_once, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (it_goes_on_after_a_restart, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (a_cancelled_build_waits_for_nothing, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (a_held_build_waits_for_its_turn_too, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (the_first_that_asks_says_what_it_means, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (another_attempt_is_told_the_same, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (an_image_on_another_base_is_refused, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (their_names_come_to_so_much_and_no_more, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (a_base_that_is_no_name_is_refused, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (a_known_image_is_used_on_the_same_base_only, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (a_known_image_leaves_no_wait_behind, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (a_retry_of_what_failed_stands_on_the_same, farm_setup_lookups, farm_teardown),
        cmocka_unit_test_setup_teardown (without_lookups_a_build_begins_at_once, farm_setup_lookups, farm_teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
