/* test_retention.c - what the queue forgets, and what the depot is told to keep: builds by age and by number, and those that have a tag. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "engines.h"

enum { MINUTES_10 = 600000, HOUR = 3600000, DAY = 24 * HOUR };

#define SAYS(farm, build, path, what) assert_string_equal (farm_shows (farm, build, path), what)

/* -- what is to be kept ------------------------------------------------------------------------------------------- */

typedef struct { int live, ended, logs; } plan_counts_t;

static void count_root (void *argument, const char *digest_hex, int64_t used_ms)
{
    plan_counts_t *counts = argument;
    assert_int_equal (strlen (digest_hex), 64);
    if (used_ms == INT64_MAX)
        counts->live++;
    else
        counts->ended++;
}

static void count_log (void *argument, int64_t job, int64_t attempt)
{
    assert_true (job > 0 && attempt > 0);
    ((plan_counts_t *) argument)->logs++;
}

/* How many builds would be forgotten, or were last. */
static int64_t plan (farm_t *farm, int64_t since_ms, bool is_dry, plan_counts_t *counts)
{
    int64_t builds;
    err_t err;
    *counts = (plan_counts_t) { 0 };
    engine_plan_t calls = { .root = count_root, .log = count_log, .argument = counts };
    assert_int_equal (engine_plan (farm->engine, since_ms, is_dry, &calls, &builds, &err), 0);
    return builds;
}

static void contexts_are_kept_for_live_builds_and_for_a_while (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    plan_counts_t counts;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    assert_int_equal (plan (farm, 0, false, &counts), 0);
    assert_true (counts.live == 0 && counts.ended == 0);
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    plan (farm, INT64_MAX - 1, false, &counts);
    assert_true (counts.live == 2 && counts.ended == 0);            /* its context and its Dockerfile */
    farm_cancel (farm, farm->ann, build);
    plan (farm, INT64_MAX - 1, false, &counts);
    assert_true (counts.live == 0 && counts.ended == 0);
    plan (farm, 0, false, &counts);
    assert_true (counts.live == 0 && counts.ended == 2);
}

/* -- forgetting --------------------------------------------------------------------------------------------------- */

static int64_t publish (farm_t *farm, worker_t *worker, const char *tags)
{
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", tags);
    assert_true (worker_push (farm, worker, worker_task (farm, worker)));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    SAYS (farm, build, "state", "published");
    return build;
}

static int64_t fail_build (farm_t *farm, worker_t *worker)
{
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/fails");
    assert_true (worker_fail (farm, worker, worker_task (farm, worker), "build"));
    return build;
}

static size_t count_events (farm_t *farm, int64_t build)
{
    farm_say (farm, "events", 1, farm->viewer, json_pack ("{s:I}", "build", (json_int_t) build));
    return json_array_size (json_object_get (farm_sent (farm, 1, "event-list"), "events"));
}

/* As a prune does: first what would go, then it goes, and is the same. */
static int64_t forget (farm_t *farm)
{
    plan_counts_t before, after, rest;
    int64_t builds, would = plan (farm, 0, true, &before);
    int logs = 0;
    engine_forget_now (farm->engine);
    assert_false (engine_has_forgotten (farm->engine, &builds));
    for (int i = 0; i < 1000 && !engine_has_forgotten (farm->engine, &builds); i++) {
        farm_pass (farm, i ? 50 : 0);
        for (int nth = 0; farm_action (farm, ACTION_DROP_LOG, nth); nth++)
            logs++;
    }
    assert_true (engine_has_forgotten (farm->engine, &builds));
    assert_int_equal (builds, would);
    assert_int_equal (logs, before.logs);
    assert_int_equal (plan (farm, 0, false, &after), builds);
    assert_int_equal (before.ended, after.ended);
    assert_int_equal (plan (farm, 0, true, &rest), 0);
    return builds;
}

static void a_build_that_ended_long_ago_is_forgotten (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    farm->settings.build_keep_ms = 10 * (int64_t) DAY;
    farm_reopen (farm);
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    int64_t first = publish (farm, &amd, "r.lan/app"), last = publish (farm, &amd, "r.lan/app"), failed = fail_build (farm, &amd);
    int64_t cancelled = farm_submit (farm, farm->ann, "linux/arm64", "r.lan/app");
    farm_cancel (farm, farm->ann, cancelled);
    farm_pass (farm, 10 * (int64_t) DAY - HOUR);
    int64_t late = farm_submit (farm, farm->ann, "linux/riscv64", "r.lan/app");
    SAYS (farm, first, "state", "published");
    farm_pass (farm, 2 * HOUR);
    SAYS (farm, first, "state", "");
    SAYS (farm, failed, "state", "");
    SAYS (farm, cancelled, "state", "");
    SAYS (farm, late, "state", "failed");
    assert_true (count_events (farm, late) > 0);
    assert_true (farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app") > late);
    /* The tag's owner loses its events alone. */
    SAYS (farm, last, "state", "published");
    SAYS (farm, last, "jobs/0/attempts/0/worker", "amd");
    assert_int_equal (count_events (farm, last), 0);
}

/* 120 are more than go at a time. Tag owners count and go too, with their tags. */
static void the_oldest_of_too_many_builds_are_forgotten (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    plan_counts_t counts;
    farm->settings.builds_max = 10;
    farm_reopen (farm);
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    int64_t owner = publish (farm, &amd, "r.lan/app"), builds [130];
    for (int i = 0; i < 130; i++)
        builds [i] = fail_build (farm, &amd);
    assert_int_equal (plan (farm, 0, true, &counts), 0);             /* somebody may still ask for them */
    farm_pass (farm, MINUTES_10);
    SAYS (farm, owner, "state", "published");
    assert_int_equal (plan (farm, 0, true, &counts), 121);
    assert_int_equal (counts.logs, 121);
    assert_int_equal (counts.ended, 20);
    assert_int_equal (forget (farm), 121);
    SAYS (farm, owner, "state", "");
    SAYS (farm, builds [119], "state", "");
    SAYS (farm, builds [120], "state", "failed");
    assert_int_equal (forget (farm), 0);
    farm_reopen (farm);
    worker_hello (farm, &amd, NULL, 0);
    publish (farm, &amd, "r.lan/app");
    farm_pass (farm, 0);                    /* it looks by itself, at the start first */
    SAYS (farm, builds [120], "state", "");
    SAYS (farm, builds [121], "state", "failed");
    assert_int_equal (forget (farm), 0);
}

/* Else it would move the tag back. */
static void a_tag_s_owner_stays_while_an_older_build_lives (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    farm->settings.builds_max = 1;
    farm_reopen (farm);
    worker_join (farm, &amd, "amd", "linux/amd64", 2);
    int64_t old = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app");
    task_t task = worker_task (farm, &amd);
    int64_t owner = publish (farm, &amd, "r.lan/app");
    for (int i = 0; i < 3; i++)
        fail_build (farm, &amd);
    for (int i = 0; i < 60; i++) {
        farm_pass (farm, MINUTES_10 / 60);
        worker_beat (farm, &amd, &task, 1);
    }
    assert_int_equal (forget (farm), 3);
    SAYS (farm, owner, "state", "published");
    farm_pass (farm, 1);
    assert_true (worker_push (farm, &amd, task));
    farm_verify (farm, NULL);
    assert_int_equal (json_array_size (json_object_get (farm_action (farm, ACTION_PUBLISH, 0), "tags")), 0);
    farm_publish (farm, NULL);
    SAYS (farm, old, "state", "published");
    assert_int_equal (forget (farm), 1);
    SAYS (farm, owner, "state", "");
}

static void nothing_is_forgotten_unasked (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    farm->settings.build_keep_ms = 0;
    farm_reopen (farm);
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    int64_t build = fail_build (farm, &amd);
    farm_pass (farm, 400 * (int64_t) DAY);
    assert_int_equal (forget (farm), 0);
    SAYS (farm, build, "state", "failed");
}

static int64_t last_event (farm_t *farm, int64_t build)
{
    size_t count = count_events (farm, build);
    const json_t *events = json_object_get (farm_sent (farm, 1, "event-list"), "events");
    return json_integer_value (json_object_get (json_array_get (events, count - 1), "id"));
}

/* Who follows events goes on behind a number, also over a time in which all of them were forgotten. */
static void the_number_of_an_event_is_never_given_again (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    farm->settings.build_keep_ms = HOUR;
    farm_reopen (farm);
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    int64_t first = fail_build (farm, &amd), last = last_event (farm, first);
    farm_pass (farm, 3 * HOUR);
    SAYS (farm, first, "state", "");
    farm_reopen (farm);
    worker_hello (farm, &amd, NULL, 0);
    int64_t second = fail_build (farm, &amd);
    assert_true (last_event (farm, second) > last);
}

/* -- logs ---------------------------------------------------------------------------------------------------------- */

static void an_attempt_says_when_its_log_was_removed (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    int64_t build = fail_build (farm, &amd);
    int64_t job = atoll (farm_shows (farm, build, "jobs/0/id"));
    SAYS (farm, build, "jobs/0/attempts/0/log_removed_ms", "null");
    farm_say (farm, "logs-gone", 0, 0, json_pack ("{s:[[I,i],[i,i]]}", "logs", (json_int_t) job, 1, 999, 1));
    assert_true (atoll (farm_shows (farm, build, "jobs/0/attempts/0/log_removed_ms")) > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, farm_setup, farm_teardown)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (contexts_are_kept_for_live_builds_and_for_a_while),
        TEST (a_build_that_ended_long_ago_is_forgotten),
        TEST (the_oldest_of_too_many_builds_are_forgotten),
        TEST (a_tag_s_owner_stays_while_an_older_build_lives),
        TEST (nothing_is_forgotten_unasked),
        TEST (the_number_of_an_event_is_never_given_again),
        TEST (an_attempt_says_when_its_log_was_removed),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
