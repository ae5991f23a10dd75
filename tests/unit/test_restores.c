/* test_restores.c - a context that the coordinator's depot has lost comes back from a worker, or its builds fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/engine_private.h"
#include "engines.h"

static const char other [] = "9999999999999999999999999999999999999999999999999999999999999999";

/* -- words ------------------------------------------------------------------------------------------------------ */

static const char *root_of (const char *field)
{
    static char text [80];
    AUTO_JSON json_t *spec = spec_of ("linux/amd64", "r.lan/app:1");
    const json_t *value = json_object_get (spec, field);
    snprintf (text, sizeof text, "%s", json_string_value (json_is_object (value) ? json_object_get (value, "digest") : value));
    return text;
}

static void lose (farm_t *farm, const char *root)
{
    farm_say (farm, "lost", 0, 0, json_pack ("{s:s}", "root", root));
}

static bool is_asked (const farm_t *farm, const worker_t *worker, const char *root)
{
    const char *asked = json_string_value (json_object_get (farm_sent (farm, worker->peer, "restore"), "root"));
    return asked && strcmp (asked, root) == 0;
}

static void answer (farm_t *farm, const worker_t *worker, const char *root, bool found)
{
    farm_say (farm, "restored", worker->peer, worker->principal, json_pack ("{s:s, s:b}", "root", root, "found", found));
}

/* Two workers; one has the build's job, and the other's slot is free. */
typedef struct { worker_t first, second; int64_t build; task_t task; } scene_t;

static void begin (farm_t *farm, scene_t *self)
{
    worker_join (farm, &self->first, "first", "linux/amd64", 1);
    worker_join (farm, &self->second, "second", "linux/amd64", 1);
    self->build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    self->task = worker_task (farm, &self->first);
    assert_true (self->task.job > 0);
}

/* The context is found damaged when the job's worker asks for it. */
static void break_it (farm_t *farm, scene_t *self)
{
    begin (farm, self);
    lose (farm, root_of ("context"));
    assert_true (is_asked (farm, &self->first, root_of ("context")));
    assert_true (is_asked (farm, &self->second, root_of ("context")));
    assert_true (worker_fail (farm, &self->first, self->task, "farm"));
}

/* -- tests ------------------------------------------------------------------------------------------------------ */

static void a_job_waits_until_its_context_is_back (void **state)
{
    farm_t *farm = *state;
    scene_t scene;
    break_it (farm, &scene);
    for (int i = 0; i < 10; i++) {
        assert_int_equal (worker_task (farm, &scene.first).job, 0);
        assert_int_equal (worker_task (farm, &scene.second).job, 0);
        worker_beat (farm, &scene.first, NULL, 0);
        worker_beat (farm, &scene.second, NULL, 0);
        farm_pass (farm, 10000);
    }
    assert_non_null (strstr (farm_shows (farm, scene.build, "jobs/0/waiting"), "the workers are asked for it"));
    answer (farm, &scene.second, root_of ("context"), true);
    task_t again = worker_task (farm, &scene.first).job ? worker_task (farm, &scene.first) : worker_task (farm, &scene.second);
    assert_int_equal (again.job, scene.task.job);
    assert_int_equal (again.attempt, 2);
}

/* However often it happens: neither the job nor the worker has failed. */
static void it_costs_no_try (void **state)
{
    farm_t *farm = *state;
    scene_t scene;
    begin (farm, &scene);
    for (int i = 0; i < 6; i++) {
        task_t task = worker_task (farm, &scene.first);
        const worker_t *worker = task.job ? &scene.first : &scene.second;
        if (!task.job)
            task = worker_task (farm, worker);
        assert_int_equal (task.job, scene.task.job);
        lose (farm, root_of ("context"));
        assert_true (worker_fail (farm, worker, task, "farm"));
        answer (farm, &scene.second, root_of ("context"), true);
    }
    assert_string_equal (farm_shows (farm, scene.build, "state"), "running");
}

/* But not for ever. */
static void a_job_that_breaks_too_often_waits_no_more (void **state)
{
    farm_t *farm = *state;
    scene_t scene;
    farm->settings.attempts_max = 1;
    farm_reopen (farm);
    begin (farm, &scene);
    for (int i = 1; i <= 20; i++) {
        assert_int_equal (scene.task.attempt, i);
        lose (farm, root_of ("context"));
        assert_true (worker_fail (farm, &scene.first, scene.task, "farm"));
        answer (farm, &scene.second, root_of ("context"), true);
        scene.task = worker_task (farm, &scene.first);
    }
    assert_string_equal (farm_shows (farm, scene.build, "state"), "failed");
    assert_int_equal (farm->engine->wait_count, 0);
}

static void a_queued_job_rests_too (void **state)
{
    farm_t *farm = *state;
    scene_t scene;
    begin (farm, &scene);
    task_t blocker = { 0 };
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/block:1");
    blocker = worker_task (farm, &scene.second);
    assert_true (blocker.job > 0);
    int64_t build = farm_submit (farm, farm->bob, "linux/amd64", "r.lan/app:2");
    lose (farm, root_of ("dockerfile"));
    assert_true (worker_push (farm, &scene.second, blocker));
    assert_int_equal (worker_task (farm, &scene.second).job, 0);
    answer (farm, &scene.first, root_of ("dockerfile"), true);
    assert_true (worker_task (farm, &scene.second).job > 0);
    assert_string_equal (farm_shows (farm, build, "state"), "running");
}

static void what_no_worker_has_fails_and_says_what_to_do (void **state)
{
    farm_t *farm = *state;
    scene_t scene;
    break_it (farm, &scene);
    answer (farm, &scene.first, root_of ("context"), false);
    assert_string_equal (farm_shows (farm, scene.build, "state"), "running");
    answer (farm, &scene.second, root_of ("context"), false);
    assert_string_equal (farm_shows (farm, scene.build, "state"), "failed");
    assert_string_equal (farm_shows (farm, scene.build, "code"), "farm");
    assert_non_null (strstr (farm_shows (farm, scene.build, "reason"), "submit again"));
}

static void fail_to_give (farm_t *farm, const worker_t *worker, const char *root, const char *text)
{
    farm_say (farm, "restored", worker->peer, worker->principal, json_pack ("{s:s, s:b, s:s}", "root", root, "found", 0, "text", text));
}

static void a_worker_that_could_not_give_it_back_is_asked_again (void **state)
{
    farm_t *farm = *state;
    scene_t scene;
    break_it (farm, &scene);
    answer (farm, &scene.first, root_of ("context"), false);
    for (int i = 0; i < 3; i++) {
        fail_to_give (farm, &scene.second, root_of ("context"), "the coordinator does not answer");
        assert_string_equal (farm_shows (farm, scene.build, "state"), "running");
        farm_pass (farm, 9000);
        assert_false (is_asked (farm, &scene.second, root_of ("context")));
        worker_beat (farm, &scene.first, NULL, 0);
        worker_beat (farm, &scene.second, NULL, 0);
        farm_pass (farm, 1000);
        assert_true (is_asked (farm, &scene.second, root_of ("context")));
        assert_false (is_asked (farm, &scene.first, root_of ("context")));
    }
    answer (farm, &scene.second, root_of ("context"), true);
    assert_true (worker_task (farm, &scene.first).job || worker_task (farm, &scene.second).job);
}

static void one_that_never_can_is_asked_for_a_while_and_its_words_are_shown (void **state)
{
    farm_t *farm = *state;
    scene_t scene;
    break_it (farm, &scene);
    answer (farm, &scene.first, root_of ("context"), false);
    for (int i = 0; i < 61; i++) {
        assert_string_equal (farm_shows (farm, scene.build, "state"), i < 60 ? "running" : "failed");
        fail_to_give (farm, &scene.second, root_of ("context"), "its disk is slow");
        farm_pass (farm, 10000);
        worker_beat (farm, &scene.first, NULL, 0);
        worker_beat (farm, &scene.second, NULL, 0);
    }
    assert_non_null (strstr (farm_shows (farm, scene.build, "reason"), "second: its disk is slow"));
    assert_non_null (strstr (farm_shows (farm, scene.build, "reason"), "submit again"));
}

/* Its attempt had the context asked for, and tells later that it broke off. */
static void a_late_word_of_an_attempt_changes_nothing (void **state)
{
    farm_t *farm = *state;
    scene_t scene;
    begin (farm, &scene);
    for (int i = 0; i < 5; i++) {           /* more often than a job may fail */
        lose (farm, root_of ("context"));
        answer (farm, &scene.second, root_of ("context"), true);
        assert_true (worker_fail (farm, &scene.first, scene.task, "farm"));
        scene.task = worker_task (farm, &scene.first);
        assert_true (scene.task.job > 0);
    }
    lose (farm, root_of ("context"));
    answer (farm, &scene.first, root_of ("context"), false);
    answer (farm, &scene.second, root_of ("context"), false);
    assert_string_equal (farm_shows (farm, scene.build, "state"), "running");
    assert_true (worker_fail (farm, &scene.first, scene.task, "farm"));
    assert_string_equal (farm_shows (farm, scene.build, "state"), "failed");
    assert_non_null (strstr (farm_shows (farm, scene.build, "reason"), "submit again"));
    int64_t again = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    assert_true (worker_task (farm, &scene.first).job || worker_task (farm, &scene.second).job);
    assert_string_equal (farm_shows (farm, again, "state"), "running");
}

static void an_attempt_that_had_its_context_fails_by_itself (void **state)
{
    farm_t *farm = *state;
    scene_t scene;
    begin (farm, &scene);
    assert_true (worker_report (farm, &scene.first, scene.task, "building", NULL));
    lose (farm, root_of ("context"));
    answer (farm, &scene.first, root_of ("context"), false);
    answer (farm, &scene.second, root_of ("context"), false);
    assert_true (worker_fail (farm, &scene.first, scene.task, "registry"));
    farm_pass (farm, 3000);
    assert_string_equal (farm_shows (farm, scene.build, "state"), "running");
    assert_string_equal (farm_shows (farm, scene.build, "jobs/0/attempts/0/code"), "registry");
}

static void a_worker_that_is_lost_is_not_waited_for (void **state)
{
    farm_t *farm = *state;
    scene_t scene;
    break_it (farm, &scene);
    answer (farm, &scene.first, root_of ("context"), false);
    worker_gone (farm, &scene.second);
    for (int i = 0; i < 3; i++) {
        worker_beat (farm, &scene.first, NULL, 0);
        farm_pass (farm, 5000);
    }
    assert_string_equal (farm_shows (farm, scene.build, "state"), "failed");
}

static void a_worker_that_says_nothing_is_waited_for_a_while (void **state)
{
    farm_t *farm = *state;
    scene_t scene;
    break_it (farm, &scene);
    answer (farm, &scene.first, root_of ("context"), false);
    for (int i = 0; i < 59; i++) {
        farm_pass (farm, 10000);
        worker_beat (farm, &scene.first, NULL, 0);
        worker_beat (farm, &scene.second, NULL, 0);
    }
    assert_string_equal (farm_shows (farm, scene.build, "state"), "running");
    for (int i = 0; i < 2; i++) {
        farm_pass (farm, 10000);
        worker_beat (farm, &scene.first, NULL, 0);
        worker_beat (farm, &scene.second, NULL, 0);
    }
    assert_string_equal (farm_shows (farm, scene.build, "state"), "failed");
}

static void a_worker_that_comes_is_asked (void **state)
{
    farm_t *farm = *state;
    scene_t scene;
    worker_t late;
    break_it (farm, &scene);
    worker_join (farm, &late, "late", "linux/arm64", 1);
    assert_true (is_asked (farm, &late, root_of ("context")));
    answer (farm, &scene.first, root_of ("context"), false);
    answer (farm, &scene.second, root_of ("context"), false);
    answer (farm, &late, root_of ("context"), true);
    assert_true (worker_task (farm, &scene.first).job || worker_task (farm, &scene.second).job);
}

static void sending_it_again_ends_the_wait (void **state)
{
    farm_t *farm = *state;
    scene_t scene;
    break_it (farm, &scene);
    farm_submit (farm, farm->bob, "linux/amd64", "r.lan/other:1");
    assert_true (worker_task (farm, &scene.first).job && worker_task (farm, &scene.second).job);
    answer (farm, &scene.first, root_of ("context"), false);
    answer (farm, &scene.second, root_of ("context"), false);
    assert_string_equal (farm_shows (farm, scene.build, "state"), "running");
}

/* It may be needed by a later submit; nothing waits for it. */
static void what_no_build_needs_is_asked_for_too (void **state)
{
    farm_t *farm = *state;
    scene_t scene;
    begin (farm, &scene);
    lose (farm, other);
    assert_true (is_asked (farm, &scene.first, other));
    lose (farm, other);
    assert_false (is_asked (farm, &scene.first, other));        /* once */
    assert_true (worker_fail (farm, &scene.first, scene.task, "farm"));
    farm_pass (farm, 3000);
    assert_true (worker_task (farm, &scene.second).job > 0);
    answer (farm, &scene.first, other, false);
    answer (farm, &scene.second, other, false);
    assert_string_equal (farm_shows (farm, scene.build, "state"), "running");
}

static void a_user_may_not_say_that_it_is_back (void **state)
{
    farm_t *farm = *state;
    scene_t scene;
    break_it (farm, &scene);
    farm_say (farm, "restored", peer_of (farm->ann), farm->ann, json_pack ("{s:s, s:b}", "root", root_of ("context"), "found", 1));
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "denied");
    assert_int_equal (worker_task (farm, &scene.first).job, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, farm_setup, farm_teardown)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (a_job_waits_until_its_context_is_back),
        TEST (it_costs_no_try),
        TEST (a_job_that_breaks_too_often_waits_no_more),
        TEST (a_queued_job_rests_too),
        TEST (what_no_worker_has_fails_and_says_what_to_do),
        TEST (a_worker_that_could_not_give_it_back_is_asked_again),
        TEST (one_that_never_can_is_asked_for_a_while_and_its_words_are_shown),
        TEST (a_late_word_of_an_attempt_changes_nothing),
        TEST (an_attempt_that_had_its_context_fails_by_itself),
        TEST (a_worker_that_is_lost_is_not_waited_for),
        TEST (a_worker_that_says_nothing_is_waited_for_a_while),
        TEST (a_worker_that_comes_is_asked),
        TEST (sending_it_again_ends_the_wait),
        TEST (what_no_build_needs_is_asked_for_too),
        TEST (a_user_may_not_say_that_it_is_back),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
