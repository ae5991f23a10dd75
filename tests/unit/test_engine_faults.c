/* test_engine_faults.c - the engine when things go wrong: workers that fail, fall silent, vanish or start again, a registry in
 * trouble, a coordinator that is killed, a disk that is full. Scripts, as in test_engine.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "coordinator/engine_private.h"
#include "engines.h"

#define SAYS(farm, build, path, text) assert_string_equal (farm_shows (farm, build, path), text)

/* One worker, one build on it; the task is just assigned. */
typedef struct {
    worker_t worker;
    int64_t build;
    task_t task;
} one_t;

static void start_one (farm_t *farm, one_t *self)
{
    worker_join (farm, &self->worker, "one", "linux/amd64", 1);
    self->build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    self->task = worker_task (farm, &self->worker);
    assert_true (self->task.job > 0);
    assert_int_equal (self->task.attempt, 1);
}

/* -- farm's faults ---------------------------------------------------------------------------------------------- */

static void a_farm_s_fault_is_tried_again_on_the_other_worker_three_times (void **state)
{
    farm_t *farm = *state;
    static const char *const codes [] = { "farm", "network", "full", "protocol", "registry", "stale", "none", "gibberish" };
    worker_t one, two;
    worker_join (farm, &one, "one", "linux/amd64", 1);
    worker_join (farm, &two, "two", "linux/amd64", 1);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app");
        task_t task = worker_task (farm, &one);
        assert_true (worker_fail (farm, &one, task, codes [i]));
        SAYS (farm, build, "jobs/0/state", "queued");
        SAYS (farm, build, "jobs/0/waiting", "a moment before the next attempt");
        assert_false (worker_fail (farm, &one, task, codes [i]));          /* its attempt is over */
        farm_pass (farm, 1999);
        assert_int_equal (worker_task (farm, &two).job, 0);
        farm_pass (farm, 1);
        task = worker_task (farm, &two);
        assert_int_equal (task.attempt, 2);
        assert_true (worker_fail (farm, &two, task, codes [i]));
        farm_pass (farm, 3999);
        assert_int_equal (farm_sent (farm, one.peer, "assign") != NULL, 0);
        farm_pass (farm, 1);
        task = worker_task (farm, &one);                                    /* both have failed: any will do */
        worker_t *third = task.job ? &one : &two;
        task = worker_task (farm, third);
        assert_int_equal (task.attempt, 3);
        assert_true (worker_fail (farm, third, task, codes [i]));
        SAYS (farm, build, "state", "failed");
        SAYS (farm, build, "code", i < 5 ? codes [i] : "farm");
        SAYS (farm, build, "jobs/0/attempts/0/worker", "one");
        SAYS (farm, build, "jobs/0/attempts/1/worker", "two");
        SAYS (farm, build, "jobs/0/attempts/2/state", "failed");
        farm_pass (farm, 1000);
        worker_beat (farm, &one, NULL, 0);
        worker_beat (farm, &two, NULL, 0);
    }
}

static void a_worker_that_failed_gets_the_job_again_when_there_is_no_other (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    assert_true (worker_fail (farm, &one.worker, one.task, "full"));
    farm_pass (farm, 2000);
    task_t again = worker_task (farm, &one.worker);
    assert_int_equal (again.job, one.task.job);
    assert_int_equal (again.attempt, 2);
    assert_true (worker_push (farm, &one.worker, again));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    SAYS (farm, one.build, "state", "published");
}

/* A worker that is being stopped has not failed: nothing is counted, and it gets nothing until it is there anew. */
static void an_interrupted_attempt_does_not_count (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    for (int i = 1; i <= 6; i++) {
        assert_true (worker_report (farm, &one.worker, one.task, "building", NULL));
        assert_true (worker_fail (farm, &one.worker, one.task, "interrupted"));
        assert_int_equal (worker_task (farm, &one.worker).job, 0);
        worker_gone (farm, &one.worker);
        worker_restart (farm, &one.worker);
        one.task = worker_task (farm, &one.worker);
        assert_int_equal (one.task.attempt, i + 1);
    }
    SAYS (farm, one.build, "state", "running");
}

/* -- leases ----------------------------------------------------------------------------------------------------- */

static void a_silent_worker_s_job_goes_to_another_when_the_lease_ends (void **state)
{
    farm_t *farm = *state;
    one_t one;
    worker_t other;
    start_one (farm, &one);
    assert_true (worker_report (farm, &one.worker, one.task, "building", NULL));
    worker_join (farm, &other, "two", "linux/amd64", 1);
    farm_pass (farm, 44999);
    SAYS (farm, one.build, "jobs/0/state", "building");
    worker_beat (farm, &other, NULL, 0);
    farm_pass (farm, 1);
    task_t task = worker_task (farm, &other);
    assert_int_equal (task.attempt, 2);
    SAYS (farm, one.build, "jobs/0/attempts/0/code", "network");
    /* the silent one is heard again: what it says of the old attempt changes nothing, and it is told to stop */
    assert_false (worker_push (farm, &one.worker, one.task));
    worker_beat (farm, &one.worker, &one.task, 1);
    assert_int_equal (json_integer_value (json_object_get (farm_sent (farm, one.worker.peer, "abort"), "attempt")), 1);
    assert_non_null (farm_sent (farm, one.worker.peer, "alive"));
    SAYS (farm, one.build, "jobs/0/state", "assigned");
    assert_true (worker_push (farm, &other, task));
}

static void heartbeats_renew_a_lease_for_as_long_as_they_come (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    assert_true (worker_report (farm, &one.worker, one.task, "building", NULL));
    for (int i = 0; i < 500; i++) {
        farm_pass (farm, 5000);
        worker_beat (farm, &one.worker, &one.task, 1);
        assert_null (farm_sent (farm, one.worker.peer, "abort"));
    }
    SAYS (farm, one.build, "jobs/0/state", "building");
    SAYS (farm, one.build, "jobs/0/attempt", "1");
}

static void the_first_heartbeat_that_names_an_attempt_renews_its_lease (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    assert_true (worker_report (farm, &one.worker, one.task, "building", NULL));
    farm_pass (farm, farm->settings.heartbeat_ms);
    worker_beat (farm, &one.worker, &one.task, 1);
    farm_pass (farm, farm->settings.lease_ms - 1);
    SAYS (farm, one.build, "jobs/0/state", "building");
    farm_pass (farm, 1);
    SAYS (farm, one.build, "jobs/0/state", "queued");
}

/* A heartbeat may cross an assignment on its way; one that misses the attempt later says that it never arrived. */
/* Its thread hangs there, on a dead disk say, while its heartbeats go on. */
static void an_attempt_that_outlives_its_time_limit_goes_to_another (void **state)
{
    farm_t *farm = *state;
    one_t one;
    worker_t other;
    start_one (farm, &one);
    assert_true (worker_report (farm, &one.worker, one.task, "building", NULL));
    int64_t until = farm->now + farm->settings.job_timeout_ms;
    while (farm->now < until + 240000) {
        farm_pass (farm, farm->settings.heartbeat_ms);
        worker_beat (farm, &one.worker, &one.task, 1);
        SAYS (farm, one.build, "jobs/0/state", "building");
    }
    farm_pass (farm, 60000 - 4 * farm->settings.heartbeat_ms);
    worker_beat (farm, &one.worker, &one.task, 1);
    farm_pass (farm, 4 * farm->settings.heartbeat_ms);
    assert_non_null (farm_sent (farm, one.worker.peer, "abort"));
    SAYS (farm, one.build, "jobs/0/state", "queued");           /* the slot is still taken */
    worker_join (farm, &other, "two", "linux/amd64", 1);
    assert_int_equal (worker_task (farm, &other).attempt, 2);
}

static void an_attempt_that_no_heartbeat_names_goes_back (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    farm_pass (farm, 9999);
    worker_beat (farm, &one.worker, NULL, 0);
    SAYS (farm, one.build, "jobs/0/attempt", "1");
    farm_pass (farm, 1);
    worker_beat (farm, &one.worker, NULL, 0);
    task_t again = worker_task (farm, &one.worker);
    assert_int_equal (again.attempt, 2);
    SAYS (farm, one.build, "jobs/0/state", "assigned");
    assert_false (worker_report (farm, &one.worker, one.task, "fetching", NULL));
}

/* What never reached its worker costs no try, however often. */
static void an_assignment_that_never_arrived_does_not_count (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    for (int i = 2; i < 12; i++) {
        worker_restart (farm, &one.worker);
        assert_int_equal (worker_task (farm, &one.worker).attempt, i);
    }
    for (int i = 0; i < 3; i++) {
        task_t task = worker_task (farm, &one.worker);
        assert_int_equal (task.attempt, 11 + i);
        assert_true (worker_report (farm, &one.worker, task, "fetching", NULL));
        worker_restart (farm, &one.worker);
    }
    assert_int_equal (worker_task (farm, &one.worker).job, 0);
    SAYS (farm, one.build, "state", "failed");
    SAYS (farm, one.build, "code", "network");
}

static void a_closed_connection_has_three_seconds_to_come_back (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    assert_true (worker_report (farm, &one.worker, one.task, "building", NULL));
    for (int i = 0; i < 5; i++) {
        worker_gone (farm, &one.worker);
        farm_pass (farm, 2999);
        SAYS (farm, one.build, "jobs/0/state", "building");
        worker_hello (farm, &one.worker, &one.task, 1);
        assert_null (farm_sent (farm, one.worker.peer, "abort"));
        farm_pass (farm, 10000);
        worker_beat (farm, &one.worker, &one.task, 1);
    }
    SAYS (farm, one.build, "jobs/0/attempt", "1");
    worker_gone (farm, &one.worker);
    farm_pass (farm, 3000);
    SAYS (farm, one.build, "jobs/0/state", "queued");
    worker_hello (farm, &one.worker, &one.task, 1);
    assert_non_null (farm_sent (farm, one.worker.peer, "abort"));
}

/* The end of an old connection may be told after the new one has said hello. */
static void the_end_of_a_former_connection_is_nothing (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    worker_t former = one.worker;
    worker_hello (farm, &one.worker, &one.task, 1);
    worker_gone (farm, &former);
    farm_pass (farm, 20000);
    SAYS (farm, one.build, "jobs/0/attempt", "1");
    worker_beat (farm, &former, &one.task, 1);
    assert_non_null (farm_sent (farm, former.peer, "who"));
    worker_beat (farm, &one.worker, &one.task, 1);
    assert_non_null (farm_sent (farm, one.worker.peer, "alive"));
}

/* Say, a worker that cannot understand what it is assigned. */
static void an_assignment_that_never_arrives_is_not_made_for_ever (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    for (int i = 0; i < 1000 && strcmp (farm_shows (farm, one.build, "state"), "running") == 0; i++) {
        farm_pass (farm, farm->settings.heartbeat_ms);
        worker_beat (farm, &one.worker, NULL, 0);
    }
    SAYS (farm, one.build, "state", "failed");
    SAYS (farm, one.build, "code", "network");
    SAYS (farm, one.build, "jobs/0/attempt", "22");
}

/* A hello that a busy coordinator has not answered is said again; an assignment may have crossed it. */
static void a_hello_that_comes_twice_takes_nothing_back (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    farm->peers = one.worker.peer - 1;
    worker_hello (farm, &one.worker, NULL, 0);
    SAYS (farm, one.build, "jobs/0/attempt", "1");
    SAYS (farm, one.build, "jobs/0/state", "assigned");
    farm_pass (farm, 2 * farm->settings.heartbeat_ms);
    worker_beat (farm, &one.worker, NULL, 0);
    SAYS (farm, one.build, "jobs/0/attempt", "2");
}

static void a_new_instance_holds_nothing_of_the_former_one_s (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    assert_true (worker_report (farm, &one.worker, one.task, "building", NULL));
    worker_gone (farm, &one.worker);
    strcpy (one.worker.instance, "ffffffffffffffffffffffffffffffff");
    worker_hello (farm, &one.worker, &one.task, 1);         /* it may name it, and is not believed */
    assert_non_null (farm_sent (farm, one.worker.peer, "abort"));
    assert_int_equal (worker_task (farm, &one.worker).attempt, 2);
}

/* The coordinator's process was stopped, or its machine slept: what was said meanwhile comes behind the clock, on new connections too. */
static void a_coordinator_that_was_away_waits_for_whoever_it_has_not_heard (void **state)
{
    farm_t *farm = *state;
    one_t one;
    worker_t other;
    start_one (farm, &one);
    assert_true (worker_report (farm, &one.worker, one.task, "building", NULL));
    worker_join (farm, &other, "two", "linux/amd64", 1);
    farm->now += 600000;
    farm_say (farm, "tick", 0, 0, NULL);
    SAYS (farm, one.build, "jobs/0/attempt", "1");
    farm_say (farm, "ended", one.worker.peer, 0, NULL);     /* nothing was heard, so it had dialled anew */
    farm_pass (farm, 2999);
    SAYS (farm, one.build, "jobs/0/state", "building");
    worker_hello (farm, &one.worker, &one.task, 1);
    farm_pass (farm, 10000);
    SAYS (farm, one.build, "jobs/0/attempt", "1");
    farm->now += 600000;
    farm_say (farm, "tick", 0, 0, NULL);
    worker_beat (farm, &other, NULL, 0);
    farm_pass (farm, 2999);                                 /* and one that is not heard then is silent */
    SAYS (farm, one.build, "jobs/0/attempt", "1");
    farm_pass (farm, 1);
    SAYS (farm, one.build, "jobs/0/attempt", "2");
}

/* Its kernel has closed the connection: in all likelihood there is no such process any more. */
static void a_worker_that_has_ended_is_replaced_almost_at_once (void **state)
{
    farm_t *farm = *state;
    one_t one;
    worker_t other;
    start_one (farm, &one);
    assert_true (worker_report (farm, &one.worker, one.task, "building", NULL));
    worker_join (farm, &other, "two", "linux/amd64", 1);
    farm_say (farm, "ended", one.worker.peer, 0, NULL);
    farm_pass (farm, 199);
    SAYS (farm, one.build, "jobs/0/state", "building");
    farm_pass (farm, 1);
    assert_int_equal (worker_task (farm, &other).attempt, 2);
    worker_hello (farm, &one.worker, &one.task, 1);         /* it has not: then its work was for nothing, and no more */
    assert_int_equal (json_integer_value (json_object_get (farm_sent (farm, one.worker.peer, "abort"), "attempt")), 1);
    assert_false (worker_push (farm, &one.worker, one.task));
    SAYS (farm, one.build, "jobs/0/state", "assigned");
    farm_say (farm, "ended", other.peer, 0, NULL);          /* it has not, and says so in time */
    farm_pass (farm, 199);
    task_t task = { one.task.job, 2 };
    worker_hello (farm, &other, &task, 1);
    farm_pass (farm, 10000);
    SAYS (farm, one.build, "jobs/0/attempt", "2");
    assert_true (worker_push (farm, &other, task));
}

/* A machine's disk was copied, key and all: the first keeps its work, the second hears what to do. */
static void a_key_is_for_one_worker_at_a_time (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    assert_true (worker_report (farm, &one.worker, one.task, "building", NULL));
    worker_t copy = one.worker;
    strcpy (copy.instance, "ffffffffffffffffffffffffffffffff");
    worker_hello (farm, &copy, NULL, 0);
    assert_string_equal (farm_error (farm, copy.peer), "denied");
    assert_non_null (strstr (farm_error_text (farm, copy.peer), "farm-worker join"));
    worker_beat (farm, &one.worker, &one.task, 1);
    assert_non_null (farm_sent (farm, one.worker.peer, "alive"));
    SAYS (farm, one.build, "jobs/0/state", "building");
    farm_pass (farm, 11000);                                /* the first is not heard of: it may have been started anew */
    worker_hello (farm, &copy, NULL, 0);
    assert_non_null (farm_sent (farm, copy.peer, "welcome"));
}

/* One lost attempt fails its build and ends the lease of a sibling on another worker: none of the rest may be passed over. */
static void a_new_instance_gives_up_all_its_leases_at_once (void **state)
{
    farm_t *farm = *state;
    worker_t big, other;
    farm->settings.attempts_max = 1;
    farm_reopen (farm);
    worker_join (farm, &other, "other", "linux/arm64", 1);
    int64_t first = farm_submit (farm, farm->ann, "linux/arm64", "r.lan/a");
    task_t cancelled = worker_task (farm, &other);
    farm_cancel (farm, farm->ann, first);
    assert_false (worker_fail (farm, &other, cancelled, "cancelled"));
    worker_join (farm, &big, "big", "linux/amd64", 2);
    first = farm_submit (farm, farm->ann, "linux/arm64,linux/amd64", "r.lan/a");
    assert_true (worker_report (farm, &big, worker_task (farm, &big), "building", NULL));
    int64_t second = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/b");
    task_t task = worker_task (farm, &big);
    assert_true (worker_report (farm, &big, task, "building", NULL));
    worker_restart (farm, &big);
    SAYS (farm, first, "state", "failed");
    SAYS (farm, second, "state", "failed");
    assert_non_null (farm_sent (farm, other.peer, "abort"));
    assert_false (worker_push (farm, &big, task));
}

/* -- stale and repeated ----------------------------------------------------------------------------------------- */

static void what_is_not_the_worker_s_own_attempt_is_stale (void **state)
{
    farm_t *farm = *state;
    one_t one;
    worker_t other;
    start_one (farm, &one);
    worker_join (farm, &other, "two", "linux/amd64", 1);
    static const char *const states [] = { "fetching", "building", "pushing", "failed" };
    for (int i = 0; i < 4; i++) {
        task_t wrong [] = { { one.task.job, 2 }, { one.task.job, 1000000 }, { one.task.job + 1, 1 }, { INT64_C (9007199254740991), 1 } };
        for (int j = 0; j < 4; j++)
            assert_false (worker_report (farm, &one.worker, wrong [j], states [i], NULL));
        assert_false (worker_report (farm, &other, one.task, states [i], NULL));
    }
    assert_false (worker_push (farm, &other, one.task));
    SAYS (farm, one.build, "jobs/0/state", "assigned");
}

/* It names an attempt that it has pushed, and the one in its slot; the latter was lost by a heartbeat from before it was given out. Neither is
 * wanted, and when it is heard that the first has ended the slot is still taken. */
static void what_was_pushed_hides_nothing_that_has_the_slot (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    assert_true (worker_push (farm, &one.worker, one.task));
    int64_t second = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/b");
    task_t held [] = { one.task, worker_task (farm, &one.worker) };
    assert_true (held [1].job > 0);
    farm_cancel (farm, farm->ann, one.build);
    farm_pass (farm, 11000);
    farm_begin (farm);
    farm_add (farm, "heartbeat", one.worker.peer, one.worker.principal, json_pack ("{s:[]}", "attempts"));
    farm_add (farm, "heartbeat", one.worker.peer, one.worker.principal, json_pack ("{s:[{s:I, s:I}, {s:I, s:I}]}", "attempts", "job", (json_int_t) held [0].job,
              "attempt", (json_int_t) held [0].attempt, "job", (json_int_t) held [1].job, "attempt", (json_int_t) held [1].attempt));
    farm_add (farm, "report", one.worker.peer, one.worker.principal, json_pack ("{s:I, s:I, s:s, s:s}", "job", (json_int_t) held [0].job, "attempt",
              (json_int_t) held [0].attempt, "state", "pushed", "digest", digest_of_task (held [0])));
    farm_commit (farm);
    assert_int_equal (worker_task (farm, &one.worker).job, 0);
    assert_non_null (farm_sent (farm, one.worker.peer, "abort"));
    farm_pass (farm, 11000);
    worker_beat (farm, &one.worker, NULL, 0);
    assert_int_equal (worker_task (farm, &one.worker).job, held [1].job);
    SAYS (farm, second, "state", "running");
}

static void reports_may_come_twice_and_overtake_each_other (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    assert_true (worker_report (farm, &one.worker, one.task, "building", NULL));
    assert_true (worker_report (farm, &one.worker, one.task, "fetching", NULL));
    SAYS (farm, one.build, "jobs/0/state", "building");
    assert_true (worker_report (farm, &one.worker, one.task, "building", NULL));
    for (int i = 0; i < 3; i++) {
        assert_true (worker_report (farm, &one.worker, one.task, "pushed", json_pack ("{s:s}", "digest", digest_of_task (one.task))));
        assert_int_equal (farm_action (farm, ACTION_VERIFY, 0) != NULL, i == 0);
    }
    assert_true (worker_report (farm, &one.worker, one.task, "pushing", NULL));
    assert_true (worker_fail (farm, &one.worker, one.task, "farm"));        /* too late to change anything */
    SAYS (farm, one.build, "jobs/0/state", "verifying");
}

static void a_push_without_a_digest_is_no_push (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    worker_report (farm, &one.worker, one.task, "pushed", NULL);
    assert_string_equal (farm_error (farm, one.worker.peer), "protocol");
    SAYS (farm, one.build, "jobs/0/state", "assigned");
}

static void a_publisher_s_word_counts_once (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    assert_true (worker_push (farm, &one.worker, one.task));
    AUTO_JSON json_t *verify = json_deep_copy (farm_action (farm, ACTION_VERIFY, 0));
    farm_verified (farm, verify, NULL);
    AUTO_JSON json_t *publish = json_deep_copy (farm_action (farm, ACTION_PUBLISH, 0));
    farm_verified (farm, verify, NULL);
    assert_null (farm_action (farm, ACTION_PUBLISH, 0));
    farm_verified (farm, verify, "verify");
    SAYS (farm, one.build, "state", "publishing");
    farm_published (farm, publish, NULL);
    farm_published (farm, publish, "registry");
    farm_published (farm, publish, NULL);
    SAYS (farm, one.build, "state", "published");
}

/* -- a registry in trouble -------------------------------------------------------------------------------------- */

static void a_registry_in_trouble_is_waited_for (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    assert_true (worker_push (farm, &one.worker, one.task));
    for (int64_t wait = 2000; wait <= 16000; wait *= 2) {
        farm_verify (farm, "registry");
        SAYS (farm, one.build, "jobs/0/state", "verifying");
        farm_pass (farm, wait - 1);
        assert_null (farm_action (farm, ACTION_VERIFY, 0));
        farm_pass (farm, 1);
        assert_non_null (farm_action (farm, ACTION_VERIFY, 0));
        assert_null (farm_action (farm, ACTION_VERIFY, 1));
    }
    farm_verify (farm, NULL);
    for (int64_t wait = 2000; wait <= 16000; wait *= 2) {
        farm_publish (farm, "network");
        SAYS (farm, one.build, "state", "publishing");
        farm_pass (farm, wait - 1);
        assert_null (farm_action (farm, ACTION_PUBLISH, 0));
        farm_pass (farm, 1);
        assert_non_null (farm_action (farm, ACTION_PUBLISH, 0));
    }
    farm_publish (farm, NULL);
    SAYS (farm, one.build, "state", "published");
}

static void a_registry_that_stays_in_trouble_fails_the_build (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    assert_true (worker_push (farm, &one.worker, one.task));
    for (int i = 0; i < 5; i++) {
        farm_verify (farm, "registry");
        farm_pass (farm, 20000);
    }
    SAYS (farm, one.build, "state", "failed");
    SAYS (farm, one.build, "code", "registry");
    assert_null (farm_action (farm, ACTION_VERIFY, 0));
    one.build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    worker_restart (farm, &one.worker);
    assert_true (worker_push (farm, &one.worker, worker_task (farm, &one.worker)));
    farm_verify (farm, NULL);
    for (int i = 0; i < 5; i++) {
        farm_publish (farm, "registry");
        farm_pass (farm, 20000);
    }
    SAYS (farm, one.build, "state", "failed");
    SAYS (farm, one.build, "code", "registry");
    assert_null (farm_action (farm, ACTION_PUBLISH, 0));
}

static void the_registry_s_last_word_ends_it (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    assert_true (worker_push (farm, &one.worker, one.task));
    farm_verify (farm, NULL);
    farm_publish (farm, "registry-denied");
    SAYS (farm, one.build, "state", "failed");
    SAYS (farm, one.build, "code", "registry-denied");
    SAYS (farm, one.build, "digest", "null");
    one.build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");     /* the tag is not taken by the failed one */
    assert_true (worker_push (farm, &one.worker, worker_task (farm, &one.worker)));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    SAYS (farm, one.build, "state", "published");
}

/* -- restarts --------------------------------------------------------------------------------------------------- */

/* Killed in each state of a job; the worker comes back and goes on, or stays away. */
static void a_restart_takes_up_what_workers_hold (void **state)
{
    farm_t *farm = *state;
    static const char *const states [] = { "assigned", "fetching", "building", "pushing" };
    one_t one;
    start_one (farm, &one);
    for (int stop = 0; stop < 4; stop++) {
        if (stop > 0)
            assert_true (worker_report (farm, &one.worker, one.task, states [stop], NULL));
        farm_reopen (farm);
        assert_non_null (farm_action (farm, ACTION_OPEN_LOG, 0));
        SAYS (farm, one.build, "jobs/0/state", states [stop]);
        farm_pass (farm, 30000);
        worker_hello (farm, &one.worker, &one.task, 1);
        assert_null (farm_sent (farm, one.worker.peer, "abort"));
        assert_int_equal (worker_task (farm, &one.worker).job, 0);
    }
    farm_reopen (farm);
    farm_pass (farm, 44999);
    SAYS (farm, one.build, "jobs/0/state", "pushing");
    farm_pass (farm, 1);
    SAYS (farm, one.build, "jobs/0/state", "queued");
    assert_false (worker_push (farm, &one.worker, one.task));
    farm_reopen (farm);
    worker_hello (farm, &one.worker, &one.task, 1);
    assert_non_null (farm_sent (farm, one.worker.peer, "abort"));
    assert_int_equal (worker_task (farm, &one.worker).job, 0);
    assert_false (worker_fail (farm, &one.worker, one.task, "cancelled"));
    assert_int_equal (worker_task (farm, &one.worker).attempt, 2);
}

static void a_restart_waits_for_nobody_with_what_is_queued (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    worker_gone (farm, &amd);
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app");
    farm_reopen (farm);
    SAYS (farm, build, "state", "queued");
    worker_restart (farm, &amd);
    assert_int_equal (worker_task (farm, &amd).attempt, 1);
}

static void a_restart_verifies_and_publishes_again_byte_for_byte (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    assert_true (worker_push (farm, &one.worker, one.task));
    AUTO_JSON json_t *verify = json_deep_copy (farm_action (farm, ACTION_VERIFY, 0));
    farm_reopen (farm);
    farm_pass (farm, 0);
    assert_true (json_equal (farm_action (farm, ACTION_VERIFY, 0), verify));
    assert_null (farm_action (farm, ACTION_VERIFY, 1));
    farm_verify (farm, NULL);
    AUTO_JSON json_t *publish = json_deep_copy (farm_action (farm, ACTION_PUBLISH, 0));
    json_object_set_new (publish, "is_unsure", json_true ());
    for (int i = 0; i < 3; i++) {
        farm_reopen (farm);
        farm_pass (farm, 0);
        assert_true (json_equal (farm_action (farm, ACTION_PUBLISH, 0), publish));
        assert_null (farm_action (farm, ACTION_PUBLISH, 1));
    }
    farm_publish (farm, NULL);
    SAYS (farm, one.build, "state", "published");
    farm_reopen (farm);
    farm_pass (farm, 100000);
    assert_null (farm_action (farm, ACTION_PUBLISH, 0));
    SAYS (farm, one.build, "state", "published");
    worker_hello (farm, &one.worker, &one.task, 1);         /* it may not have heard that its push was noted */
    assert_null (farm_sent (farm, one.worker.peer, "abort"));
    assert_true (worker_report (farm, &one.worker, one.task, "pushed", json_pack ("{s:s}", "digest", digest_of_task (one.task))));
}

/* What was said in a batch that was not committed was never said. */
static void what_is_not_committed_never_was (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    AUTO_JSON json_t *request = submit_of (farm, spec_of ("linux/amd64", "r.lan/other"));
    farm_begin (farm);
    farm_add (farm, "submit", 1, farm->ann, json_deep_copy (request));
    farm_reopen (farm);
    farm_say (farm, "list", 1, farm->admin, json_object ());
    assert_int_equal (json_array_size (json_object_get (farm_sent (farm, 1, "builds"), "builds")), 1);
    farm_say (farm, "submit", 1, farm->ann, json_incref (request));
    assert_non_null (farm_sent (farm, 1, "accepted"));
}

static void change_database (farm_t *farm, const char *sql)
{
    sqlite3 *db = NULL;
    farm_close (farm);
    assert_int_equal (sqlite3_open (farm->path, &db), SQLITE_OK);
    assert_int_equal (sqlite3_exec (db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close (db);
    farm_open (farm);
}

static void count_root (void *argument, const char *digest_hex, int64_t used_ms)
{
    (void) digest_hex;
    (void) used_ms;
    (*(int *) argument)++;
}

/* A row that cannot be read any more fails its own build; whoever looks, and everything else, goes on. */
static void a_spec_that_cannot_be_read_fails_its_own_build (void **state)
{
    farm_t *farm = *state;
    err_t err = { 0 };
    worker_t amd;
    int roots = 0;
    int64_t forgotten, builds [3];
    for (int i = 0; i < 3; i++)
        builds [i] = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app");
    change_database (farm, "UPDATE builds SET spec = substr (spec, 1, 40) WHERE id = 1");
    farm_say (farm, "lost", 0, 0, json_pack ("{s:s}", "root", "00000000000000000000000000000000000000000000000000000000000000aa"));
    engine_plan_t plan = { .root = count_root, .argument = &roots };
    assert_int_equal (engine_plan (farm->engine, 0, false, &plan, &forgotten, &err), 0);
    assert_true (roots >= 2);
    farm_say (farm, "watch", 7, farm->viewer, json_pack ("{s:I}", "build", (json_int_t) builds [0]));
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    const char *reason = farm_shows (farm, builds [0], "reason");
    if (!strstr (reason, "the spec of build 1 cannot be read any more"))
        fail_msg ("%s", reason);
    assert_string_equal (farm_shows (farm, builds [0], "state"), "failed");
    assert_string_equal (farm_shows (farm, builds [0], "code"), "farm");
    assert_string_equal (farm_shows (farm, builds [0], "jobs/0/attempt"), "0");
    assert_string_equal (farm_shows (farm, builds [1], "jobs/0/state"), "assigned");
    farm_say (farm, "list", 1, farm->admin, json_object ());
    assert_int_equal (json_array_size (json_object_get (farm_sent (farm, 1, "builds"), "builds")), 3);
    task_t task = { atoll (farm_shows (farm, builds [1], "jobs/0/id")), 1 };
    change_database (farm, "UPDATE builds SET spec = '' WHERE id = 2");        /* too late to matter */
    worker_hello (farm, &amd, &task, 1);
    assert_true (worker_push (farm, &amd, task));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    assert_string_equal (farm_shows (farm, builds [1], "state"), "published");
    assert_string_equal (farm_shows (farm, builds [2], "jobs/0/state"), "assigned");
}

static void say_in_one_batch (farm_t *farm, const one_t *one, const json_t *request)
{
    farm_begin (farm);
    farm_add (farm, "submit", 1, farm->ann, json_deep_copy (request));
    farm_add (farm, "report", one->worker.peer, one->worker.principal,
              json_pack ("{s:I, s:I, s:s}", "job", (json_int_t) one->task.job, "attempt", (json_int_t) one->task.attempt, "state", "building"));
    farm_commit (farm);
}

/* A report has no savepoint of its own: one that the database fails, behind what was written, has the batch lost. It is said again,
 * and fails alone then. */
static void a_report_that_the_database_fails_takes_others_along_once (void **state)
{
    farm_t *farm = *state;
    one_t one;
    start_one (farm, &one);
    AUTO_JSON json_t *request = submit_of (farm, spec_of ("linux/arm64", "r.lan/other"));
    change_database (farm, "CREATE TRIGGER fails BEFORE UPDATE ON jobs WHEN new.state = 'building' BEGIN SELECT raise (ABORT, 'as it was told'); END");
    worker_hello (farm, &one.worker, &one.task, 1);
    say_in_one_batch (farm, &one, request);
    assert_string_equal (farm_error (farm, 1), "farm");
    assert_string_equal (farm_error (farm, one.worker.peer), "farm");
    farm_pass (farm, 1000);
    SAYS (farm, one.build, "jobs/0/state", "assigned");
    assert_string_equal (farm_shows (farm, one.build, "jobs/0/attempts/0/state"), "assigned");
    for (int i = 0; i < 2; i++) {
        say_in_one_batch (farm, &one, request);
        assert_non_null (farm_sent (farm, 1, "accepted"));
        assert_string_equal (farm_error (farm, one.worker.peer), "farm");
        assert_string_equal (farm_shows (farm, one.build, "jobs/0/attempts/0/state"), "assigned");
    }
}

static void a_database_of_somebody_else_is_left_alone (void **state)
{
    farm_t *farm = *state;
    static const char *const sql [] = { "PRAGMA application_id = 7", "PRAGMA application_id = 1178686029; PRAGMA user_version = 99" };
    static const char *const says [] = { "no queue", "newer" };
    engine_t *second = NULL;
    err_t err = { 0 };
    assert_int_equal (engine_open (&second, farm->path, &farm->settings, 0, &err), -1);      /* the first has it */
    assert_int_equal (err.code, ERR_FARM);
    farm_close (farm);
    for (int i = 0; i < 2; i++) {
        sqlite3 *db = NULL;
        assert_int_equal (sqlite3_open (farm->path, &db), SQLITE_OK);
        assert_int_equal (sqlite3_exec (db, sql [i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close (db);
        assert_int_equal (engine_open (&farm->engine, farm->path, &farm->settings, 0, &err), -1);
        assert_int_equal (err.code, ERR_FARM);
        if (!strstr (err.text, says [i]))
            fail_msg ("\"%s\" does not say \"%s\"", err.text, says [i]);
    }
    AUTO_BUFFER buffer_t text = { 0 };
    while (text.size < 20000)
        buffer_text (&text, "a letter to a friend\n");
    assert_int_equal (file_write (farm->path, text.data, text.size, 0600, NULL), 0);
    assert_int_equal (engine_open (&farm->engine, farm->path, &farm->settings, 0, &err), -1);
    assert_int_equal (err.code, ERR_FARM);
}

/* The words stand in the schema as well: a second fence behind the tables of states.c. */
static void a_state_that_there_is_not_cannot_be_stored (void **state)
{
    farm_t *farm = *state;
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app");
    farm_close (farm);
    sqlite3 *db = NULL;
    assert_int_equal (sqlite3_open (farm->path, &db), SQLITE_OK);
    assert_int_equal (sqlite3_exec (db, "UPDATE jobs SET state = 'lost'", NULL, NULL, NULL), SQLITE_CONSTRAINT);
    assert_int_equal (sqlite3_exec (db, "UPDATE builds SET state = 'assigned'", NULL, NULL, NULL), SQLITE_CONSTRAINT);
    for (int i = 0; i < JOB_STATES + BUILD_STATES; i++) {
        AUTO_FREE char *sql = i < JOB_STATES ? mem_printf ("UPDATE jobs SET state = '%s'", job_state_name (i))
                                             : mem_printf ("UPDATE builds SET state = '%s'", build_state_name (i - JOB_STATES));
        assert_int_equal (sqlite3_exec (db, sql, NULL, NULL, NULL), SQLITE_OK);
    }
    sqlite3_close (db);
    farm_open (farm);
}

static void a_key_that_was_taken_back_cannot_join_again (void **state)
{
    farm_t *farm = *state;
    static const char key [] = "00000000000000000000000000000000000000000000000000000000000000ee";
    int64_t id;
    err_t err = { 0 };
    assert_int_equal (engine_add_principal (farm->engine, key, "submitter", "carol", 1, &id, &err), 0);
    assert_int_equal (engine_add_principal (farm->engine, key, "submitter", "carol", 2, &id, &err), 0);
    change_database (farm, "UPDATE principals SET revoked_ms = 3 WHERE name = 'carol'");
    assert_int_equal (engine_add_principal (farm->engine, key, "submitter", "carol", 4, &id, &err), -1);
    assert_int_equal (err.code, ERR_DENIED);
    assert_non_null (strstr (err.text, "taken back"));
}

/* -- a full disk ------------------------------------------------------------------------------------------------ */

/* A file system of 2 MiB on the farm's folder, for this process alone, and farm.db anew on it. */
static bool on_small_disk (farm_t *farm)
{
    farm_close (farm);
    if (geteuid () != 0)
        return print_message ("# skipped: only root can mount a small disk\n"), false;
    if (unshare (CLONE_NEWNS) != 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0
    ||  mount ("tmpfs", farm->folder, "tmpfs", 0, "size=2m") != 0)
        return print_message ("# skipped: no small disk can be mounted here: %s\n", strerror (errno)), false;
    farm_open (farm);
    err_t err = { 0 };
    assert_int_equal (engine_add_principal (farm->engine, "00000000000000000000000000000000000000000000000000000000000000cc", "submitter",
                                            "ann", 1, &farm->ann, &err), 0);
    assert_int_equal (engine_add_principal (farm->engine, "00000000000000000000000000000000000000000000000000000000000000dd", "admin",
                                            "root", 1, &farm->admin, &err), 0);
    return true;
}

static void off_small_disk (farm_t *farm)
{
    farm_close (farm);
    assert_int_equal (umount2 (farm->folder, MNT_DETACH), 0);
}

static void fill (const farm_t *farm)
{
    AUTO_FREE char *path = file_join (farm->folder, "filler");
    AUTO_CLOSE int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    static const char zeros [4096];
    while (write (fd, zeros, sizeof zeros) > 0)
        ;
    assert_int_equal (errno, ENOSPC);
}

static void empty (const farm_t *farm)
{
    AUTO_FREE char *path = file_join (farm->folder, "filler");
    assert_int_equal (unlink (path), 0);
}

/* Submit until a commit finds the disk full; the request that was refused, and how many were taken. */
static json_t *submit_until_full (farm_t *farm, int *taken)
{
    for (*taken = 0; *taken < 5000; ++*taken) {
        AUTO_JSON json_t *request = submit_of (farm, spec_of ("linux/amd64", "r.lan/app"));
        farm_say (farm, "submit", 1, farm->ann, json_incref (request));
        if (farm_sent (farm, 1, "accepted"))
            continue;
        assert_string_equal (farm_error (farm, 1), "full");
        return take (&request);
    }
    fail_msg ("the disk is never full");
    return NULL;
}

static int count_builds (farm_t *farm)
{
    int count = 0;
    int64_t before = 0;
    for (;;) {
        json_t *header = before ? json_pack ("{s:I}", "before", (json_int_t) before) : json_object ();
        farm_say (farm, "list", 1, farm->admin, header);
        const json_t *page = json_object_get (farm_sent (farm, 1, "builds"), "builds");
        size_t size = json_array_size (page);
        if (size == 0)
            return count;
        count += (int) size;
        before = json_integer_value (json_object_get (json_array_get (page, size - 1), "id"));
    }
}

static void a_full_disk_is_told_to_who_asked_and_nothing_happened (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    int taken;
    if (!on_small_disk (farm))
        skip ();
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    fill (farm);
    AUTO_JSON json_t *refused = submit_until_full (farm, &taken);
    for (int i = 0; i < 3; i++) {
        farm_say (farm, "submit", 1, farm->ann, json_deep_copy (refused));
        assert_string_equal (farm_error (farm, 1), "full");
        farm_pass (farm, 1500);
    }
    assert_int_equal (count_builds (farm), taken);          /* reading goes on */
    farm_reopen (farm);                                     /* so does a restart */
    assert_int_equal (count_builds (farm), taken);
    empty (farm);
    farm_say (farm, "submit", 1, farm->ann, json_deep_copy (refused));
    assert_non_null (farm_sent (farm, 1, "accepted"));
    assert_int_equal (count_builds (farm), taken + 1);
    off_small_disk (farm);
}

/* Its hello was refused: it is not there, neither for jobs nor for the next one of its key. */
static void a_hello_that_a_full_disk_refused_has_greeted_nobody (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    int taken;
    if (!on_small_disk (farm))
        skip ();
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    worker_gone (farm, &amd);
    fill (farm);
    json_decref (submit_until_full (farm, &taken));
    worker_restart (farm, &amd);
    assert_string_equal (farm_error (farm, amd.peer), "full");
    empty (farm);
    farm_pass (farm, 2000);
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app");
    assert_int_equal (worker_task (farm, &amd).job, 0);
    worker_beat (farm, &amd, NULL, 0);
    assert_non_null (farm_sent (farm, amd.peer, "who"));
    worker_t next = amd;
    strcpy (next.instance, "ffffffffffffffffffffffffffffffff");
    worker_hello (farm, &next, NULL, 0);
    assert_non_null (farm_sent (farm, next.peer, "welcome"));
    assert_true (worker_task (farm, &next).job > 0);
    off_small_disk (farm);
}

/* A hello that means ill, on a worker's own connection, changes nothing. */
static void a_hello_that_is_refused_leaves_the_worker_there (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    farm_say (farm, "hello", amd.peer, amd.principal, json_pack ("{s:s, s:s, s:s}", "program", "farm-worker", "version", "0.1", "instance", amd.instance));
    assert_string_equal (farm_error (farm, amd.peer), "denied");
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app");
    assert_true (worker_task (farm, &amd).job > 0);
}

/* A publisher says a thing once: it is kept until it can be taken down. */
static void a_publisher_s_word_survives_a_full_disk (void **state)
{
    farm_t *farm = *state;
    one_t one;
    int taken;
    if (!on_small_disk (farm))
        skip ();
    start_one (farm, &one);
    assert_true (worker_push (farm, &one.worker, one.task));
    AUTO_JSON json_t *verify = json_deep_copy (farm_action (farm, ACTION_VERIFY, 0));
    fill (farm);
    json_decref (submit_until_full (farm, &taken));
    farm_verified (farm, verify, NULL);
    assert_null (farm_action (farm, ACTION_PUBLISH, 0));
    SAYS (farm, one.build, "jobs/0/state", "verifying");
    farm_pass (farm, 20000);
    SAYS (farm, one.build, "jobs/0/state", "verifying");
    empty (farm);
    farm_pass (farm, 1000);
    SAYS (farm, one.build, "state", "publishing");
    farm_publish (farm, NULL);
    SAYS (farm, one.build, "state", "published");
    off_small_disk (farm);
}

/* Its job was to rest before the next attempt; it has not failed. */
static void a_failure_that_was_not_taken_down_leaves_nothing_to_wait_for (void **state)
{
    farm_t *farm = *state;
    one_t one;
    int taken;
    if (!on_small_disk (farm))
        skip ();
    start_one (farm, &one);
    fill (farm);
    json_decref (submit_until_full (farm, &taken));
    assert_false (worker_fail (farm, &one.worker, one.task, "farm"));
    assert_int_equal (farm->engine->wait_count, 0);
    SAYS (farm, one.build, "jobs/0/state", "assigned");
    off_small_disk (farm);
}

static void a_job_that_no_worker_takes_fails_though_the_disk_was_full_just_then (void **state)
{
    farm_t *farm = *state;
    int taken;
    if (!on_small_disk (farm))
        skip ();
    farm_pass (farm, 45000);            /* workers have had the time to come back */
    json_t *spec = spec_of ("linux/riscv64", "r.lan/app:1");
    json_object_set_new (spec, "queue_timeout_ms", json_integer (5000));
    farm_say (farm, "submit", 1, farm->ann, submit_of (farm, spec));
    int64_t build = json_integer_value (json_object_get (farm_sent (farm, 1, "accepted"), "build"));
    fill (farm);
    json_decref (submit_until_full (farm, &taken));
    farm_pass (farm, 6000);
    SAYS (farm, build, "state", "queued");
    empty (farm);
    farm_pass (farm, 1000);
    SAYS (farm, build, "state", "failed");
    off_small_disk (farm);
}

/* An image is to be verified again just while the disk is full and a submit of the same batch cannot be taken down. */
static void what_was_to_be_verified_while_the_disk_was_full_is_verified_later (void **state)
{
    farm_t *farm = *state;
    one_t one;
    int taken;
    if (!on_small_disk (farm))
        skip ();
    start_one (farm, &one);
    assert_true (worker_push (farm, &one.worker, one.task));
    farm_verify (farm, "registry");
    fill (farm);
    json_decref (submit_until_full (farm, &taken));
    farm->now = engine_next_tick (farm->engine) > farm->now ? engine_next_tick (farm->engine) : farm->now;
    farm->now += 2000;
    farm_begin (farm);
    farm_add (farm, "tick", 0, 0, NULL);
    farm_add (farm, "submit", 1, farm->ann, submit_of (farm, spec_of ("linux/amd64", "r.lan/app")));
    farm_commit (farm);
    assert_null (farm_action (farm, ACTION_VERIFY, 0));
    empty (farm);
    farm_pass (farm, 60000);
    assert_non_null (farm_action (farm, ACTION_VERIFY, 0));
    farm_verify (farm, NULL);
    SAYS (farm, one.build, "state", "publishing");
    off_small_disk (farm);
}

/* Its verifying waits for the registry; a cancel that could not be taken down must not make it wait for ever. */
static void a_cancel_that_was_undone_takes_no_verifying_with_it (void **state)
{
    farm_t *farm = *state;
    one_t one;
    int taken;
    if (!on_small_disk (farm))
        skip ();
    start_one (farm, &one);
    assert_true (worker_push (farm, &one.worker, one.task));
    farm_verify (farm, "registry");
    fill (farm);
    json_decref (submit_until_full (farm, &taken));
    farm_cancel (farm, farm->admin, one.build);
    assert_string_equal (farm_error (farm, peer_of (farm->admin)), "full");
    SAYS (farm, one.build, "jobs/0/state", "verifying");
    empty (farm);
    farm_pass (farm, 60000);
    assert_non_null (farm_action (farm, ACTION_VERIFY, 0));
    farm_verify (farm, NULL);
    SAYS (farm, one.build, "state", "publishing");
    off_small_disk (farm);
}

/* -- a row that cannot be written -------------------------------------------------------------------------------- */

/* At the time when the engine asks for it; 0 or -1, as engine_commit says. */
static int tick (farm_t *farm, err_t *err)
{
    farm->now = engine_next_tick (farm->engine);
    farm_begin (farm);
    farm_add (farm, "tick", 0, 0, NULL);
    return engine_commit (farm->engine, &farm->actions, err);
}

/* A job rises into the next class at the next tick, and that cannot be taken down. */
static int64_t break_ageing (farm_t *farm)
{
    farm->engine->settings.ageing_ms = 1000;
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    assert_int_equal (db_exec (farm->engine->db, "CREATE TRIGGER broken BEFORE UPDATE OF class ON jobs BEGIN SELECT raise (ABORT, 'broken'); END", NULL), 0);
    farm_pass (farm, 999);
    return build;
}

static void what_is_due_and_cannot_be_done_is_tried_again_after_a_moment (void **state)
{
    farm_t *farm = *state;
    err_t err = { 0 };
    int64_t build = break_ageing (farm);
    for (int i = 0; i < 3; i++) {
        actions_clear (&farm->actions);
        assert_int_equal (tick (farm, &err), 0);
        assert_int_equal (engine_next_tick (farm->engine), farm->now + 1000);
        const json_t *told = farm_action (farm, ACTION_TELL, 0);
        assert_int_equal (told != NULL, i == 0);
        assert_true (!told || strstr (json_string_value (json_object_get (told, "text")), "broken"));
    }
    assert_int_equal (db_exec (farm->engine->db, "DROP TRIGGER broken", NULL), 0);
    assert_int_equal (tick (farm, &err), 0);
    assert_int_equal (farm->engine->failures, 0);
    SAYS (farm, build, "state", "queued");
}

static void what_is_due_and_can_never_be_done_is_met_by_a_fresh_start (void **state)
{
    farm_t *farm = *state;
    err_t err = { 0 };
    break_ageing (farm);
    for (int i = 0; i < 3; i++)
        assert_int_equal (tick (farm, &err), 0);
    assert_int_equal (tick (farm, &err), -1);
    assert_non_null (strstr (err.text, "broken"));
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, farm_setup, farm_teardown)

int main (void)
{
    if (sodium_init () < 0)
        return 99;
    const struct CMUnitTest tests [] = {
        TEST (a_farm_s_fault_is_tried_again_on_the_other_worker_three_times),
        TEST (a_worker_that_failed_gets_the_job_again_when_there_is_no_other),
        TEST (an_interrupted_attempt_does_not_count),
        TEST (a_silent_worker_s_job_goes_to_another_when_the_lease_ends),
        TEST (heartbeats_renew_a_lease_for_as_long_as_they_come),
        TEST (the_first_heartbeat_that_names_an_attempt_renews_its_lease),
        TEST (an_attempt_that_outlives_its_time_limit_goes_to_another),
        TEST (an_attempt_that_no_heartbeat_names_goes_back),
        TEST (an_assignment_that_never_arrived_does_not_count),
        TEST (a_closed_connection_has_three_seconds_to_come_back),
        TEST (the_end_of_a_former_connection_is_nothing),
        TEST (an_assignment_that_never_arrives_is_not_made_for_ever),
        TEST (a_hello_that_comes_twice_takes_nothing_back),
        TEST (a_key_is_for_one_worker_at_a_time),
        TEST (a_new_instance_holds_nothing_of_the_former_one_s),
        TEST (a_coordinator_that_was_away_waits_for_whoever_it_has_not_heard),
        TEST (a_worker_that_has_ended_is_replaced_almost_at_once),
        TEST (a_new_instance_gives_up_all_its_leases_at_once),
        TEST (what_is_not_the_worker_s_own_attempt_is_stale),
        TEST (what_was_pushed_hides_nothing_that_has_the_slot),
        TEST (reports_may_come_twice_and_overtake_each_other),
        TEST (a_push_without_a_digest_is_no_push),
        TEST (a_publisher_s_word_counts_once),
        TEST (a_registry_in_trouble_is_waited_for),
        TEST (a_registry_that_stays_in_trouble_fails_the_build),
        TEST (the_registry_s_last_word_ends_it),
        TEST (a_restart_takes_up_what_workers_hold),
        TEST (a_restart_waits_for_nobody_with_what_is_queued),
        TEST (a_restart_verifies_and_publishes_again_byte_for_byte),
        TEST (what_is_not_committed_never_was),
        TEST (a_spec_that_cannot_be_read_fails_its_own_build),
        TEST (a_report_that_the_database_fails_takes_others_along_once),
        TEST (a_database_of_somebody_else_is_left_alone),
        TEST (a_state_that_there_is_not_cannot_be_stored),
        TEST (a_key_that_was_taken_back_cannot_join_again),
        TEST (a_full_disk_is_told_to_who_asked_and_nothing_happened),
        TEST (a_hello_that_a_full_disk_refused_has_greeted_nobody),
        TEST (a_hello_that_is_refused_leaves_the_worker_there),
        TEST (a_publisher_s_word_survives_a_full_disk),
        TEST (a_failure_that_was_not_taken_down_leaves_nothing_to_wait_for),
        TEST (a_job_that_no_worker_takes_fails_though_the_disk_was_full_just_then),
        TEST (what_was_to_be_verified_while_the_disk_was_full_is_verified_later),
        TEST (a_cancel_that_was_undone_takes_no_verifying_with_it),
        TEST (what_is_due_and_cannot_be_done_is_tried_again_after_a_moment),
        TEST (what_is_due_and_can_never_be_done_is_met_by_a_fresh_start),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
