/* test_limits.c - what a job may take of its worker: who can give it, what the worker is told, and when it has taken too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <string.h>

#include "common/mem.h"
#include "engines.h"

#define GIB ((int64_t) 1 << 30)
enum { HOUR_MS = 3600000, OVERDUE_MS = 300000 };

#define SAYS(farm, build, path, text) assert_string_equal (farm_shows (farm, build, path), text)

/* -- words ------------------------------------------------------------------------------------------------------ */

/* A field of 0 is not asked for. */
static json_t *wishes (int64_t memory_bytes, int64_t cpu_percent, int64_t timeout_ms)
{
    json_t *spec = spec_of ("linux/arm64", "r.lan/app:1");
    if (memory_bytes)
        json_object_set_new (spec, "memory_bytes", json_integer (memory_bytes));
    if (cpu_percent)
        json_object_set_new (spec, "cpu_percent", json_integer (cpu_percent));
    if (timeout_ms)
        json_object_set_new (spec, "timeout_ms", json_integer (timeout_ms));
    return spec;
}

static int64_t submit (farm_t *farm, int64_t memory_bytes, int64_t cpu_percent, int64_t timeout_ms)
{
    farm_say (farm, "submit", peer_of (farm->ann), farm->ann, submit_of (farm, wishes (memory_bytes, cpu_percent, timeout_ms)));
    return json_integer_value (json_object_get (farm_sent (farm, peer_of (farm->ann), "accepted"), "build"));
}

/* A worker that gives one job so much. */
static void add_worker (farm_t *farm, worker_t *self, const char *name, int64_t memory_bytes, int64_t cpu_percent)
{
    worker_join (farm, self, name, "linux/arm64", 8);
    self->memory_bytes = memory_bytes;
    self->cpu_percent = cpu_percent;
    worker_restart (farm, self);
}

static int64_t number_of (const json_t *object, const char *field)
{
    return json_integer_value (json_object_get (object, field));
}

/* -- who can give it -------------------------------------------------------------------------------------------- */

static void a_job_waits_for_a_worker_that_gives_it_enough (void **state)
{
    farm_t *farm = *state;
    worker_t small, large;
    add_worker (farm, &small, "small", GIB, 200);
    int64_t build = submit (farm, 4 * GIB, 0, 0);
    assert_int_equal (worker_task (farm, &small).job, 0);
    SAYS (farm, build, "jobs/0/waiting", "no worker for linux/arm64 with 4G of memory: the most that its workers give one job is 1G of memory "
          "and 2 cpus (limit/memory and limit/cpus of the worker)");
    add_worker (farm, &large, "large", 4 * GIB, 400);
    assert_int_not_equal (worker_task (farm, &large).job, 0);
    build = submit (farm, 0, 401, 0);
    SAYS (farm, build, "jobs/0/waiting", "no worker for linux/arm64 with 4.01 cpus: the most that its workers give one job is 4G of memory "
          "and 4 cpus (limit/memory and limit/cpus of the worker)");
}

static void as_much_as_there_is_can_be_had (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    add_worker (farm, &worker, "pi", GIB, 200);
    submit (farm, GIB, 200, 0);
    const json_t *assign = farm_sent (farm, worker.peer, "assign");
    assert_int_equal (number_of (json_object_get (assign, "spec"), "memory_bytes"), GIB);
    assert_int_equal (number_of (json_object_get (assign, "spec"), "cpu_percent"), 200);
}

/* Of an earlier version, say: it gets what asks for nothing. */
static void a_worker_that_enforces_nothing_gets_no_job_with_limits (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "old", "linux/arm64", 8);
    int64_t build = submit (farm, 64 << 20, 0, 0);
    assert_int_equal (worker_task (farm, &worker).job, 0);
    SAYS (farm, build, "jobs/0/waiting", "no worker for linux/arm64 with 64M of memory: its workers are of a version that enforces no "
          "limits; upgrade them");
    submit (farm, 0, 0, 0);
    assert_int_not_equal (worker_task (farm, &worker).job, 0);
}

static void it_fails_after_its_time_and_says_why (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    add_worker (farm, &worker, "pi", GIB, 400);
    for (int i = 0; i < 5; i++) {               /* nobody else is waited for any more */
        farm_pass (farm, 10000);
        worker_beat (farm, &worker, NULL, 0);
    }
    int64_t build = submit (farm, 64 * GIB, 0, 0);
    farm_pass (farm, 601000);
    SAYS (farm, build, "jobs/0/code", "no-worker");
    assert_non_null (strstr (farm_shows (farm, build, "reason"), "no worker for linux/arm64 with 64G of memory"));
}

static void whoever_does_not_wait_is_told_at_once (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    add_worker (farm, &worker, "pi", GIB, 400);
    farm_say (farm, "check", peer_of (farm->ann), farm->ann, json_pack ("{s:[s], s:I, s:i}", "platforms", "linux/arm64", "memory_bytes",
                                                                        (json_int_t) (64 * GIB), "queue_timeout_ms", 0));
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "no-worker");
    assert_non_null (strstr (farm_error_text (farm, peer_of (farm->ann)), "64G of memory"));
    farm_say (farm, "check", peer_of (farm->ann), farm->ann, json_pack ("{s:[s], s:I, s:i}", "platforms", "linux/arm64", "memory_bytes",
                                                                        (json_int_t) GIB, "queue_timeout_ms", 0));
    assert_non_null (farm_sent (farm, peer_of (farm->ann), "fine"));
}

/* What waits for a large worker does not hold up the others. */
static void a_restart_keeps_what_a_job_asks (void **state)
{
    farm_t *farm = *state;
    worker_t small, large;
    int64_t build = submit (farm, 4 * GIB, 50, 0);
    farm_reopen (farm);
    add_worker (farm, &small, "small", GIB, 400);
    assert_int_equal (worker_task (farm, &small).job, 0);
    add_worker (farm, &large, "large", 8 * GIB, 400);
    assert_int_not_equal (worker_task (farm, &large).job, 0);
    SAYS (farm, build, "limits/memory_bytes", "4294967296");
    SAYS (farm, build, "limits/cpu_percent", "50");
}

static void what_a_worker_gives_is_shown (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    add_worker (farm, &worker, "pi", GIB, 400);
    farm_say (farm, "worker", peer_of (farm->viewer), farm->viewer, json_pack ("{s:s}", "name", "pi"));
    const json_t *shown = json_object_get (farm_sent (farm, peer_of (farm->viewer), "worker-state"), "worker");
    const json_t *limits = json_object_get (shown, "limits");
    assert_int_equal (number_of (limits, "memory_bytes"), GIB);
    assert_int_equal (number_of (limits, "pids"), 4096);
    assert_string_equal (json_string_value (json_object_get (limits, "enforced")), "cgroup v2");
}

/* -- time ------------------------------------------------------------------------------------------------------- */

static void a_job_has_the_time_that_it_asked_for (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    add_worker (farm, &worker, "pi", GIB, 400);
    int64_t build = submit (farm, 0, 0, 7000);
    const json_t *assign = farm_sent (farm, worker.peer, "assign");
    assert_int_equal (number_of (assign, "timeout_ms"), 7000);
    assert_null (json_object_get (json_object_get (assign, "spec"), "timeout_ms"));
    SAYS (farm, build, "limits/timeout_ms", "7000");
    build = submit (farm, 0, 0, 0);
    assert_int_equal (number_of (farm_sent (farm, worker.peer, "assign"), "timeout_ms"), HOUR_MS);
    SAYS (farm, build, "limits/timeout_ms", "3600000");
    SAYS (farm, build, "limits/memory_bytes", "null");
}

static void more_time_than_the_farm_gives_is_refused (void **state)
{
    farm_t *farm = *state;
    assert_int_not_equal (submit (farm, 0, 0, 24 * HOUR_MS), 0);
    assert_int_equal (submit (farm, 0, 0, 24 * HOUR_MS + 1000), 0);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "usage");
    assert_string_equal (farm_error_text (farm, peer_of (farm->ann)), "a job of this farm may take 1d, and not 1d1s (--timeout): ask for less, or have "
                         "job/timeout-max-ms of the coordinator raised");
    farm_say (farm, "check", peer_of (farm->ann), farm->ann, json_pack ("{s:[s], s:I}", "platforms", "linux/arm64", "timeout_ms",
                                                                        (json_int_t) (25 * HOUR_MS)));
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "usage");
}

/* Named by its worker every 10 s. false: the attempt was taken away meanwhile. */
static bool is_kept (farm_t *farm, const worker_t *worker, task_t task, int64_t ms)
{
    for (int64_t until = farm->now + ms; farm->now < until; ) {
        farm_pass (farm, 10000);
        worker_beat (farm, worker, &task, 1);
        if (farm_sent (farm, worker->peer, "abort"))
            return false;
    }
    return true;
}

static void an_attempt_that_is_stuck_ends_by_its_own_limit (void **state)
{
    farm_t *farm = *state;
    for (int is_restarted = 0; is_restarted < 2; is_restarted++) {
        worker_t worker;
        add_worker (farm, &worker, is_restarted ? "pi" : "other", GIB, 400);
        int64_t build = submit (farm, 0, 0, 60000);
        task_t task = worker_task (farm, &worker);
        assert_int_not_equal (task.job, 0);
        worker_report (farm, &worker, task, "fetching", NULL);
        if (is_restarted) {
            farm_reopen (farm);
            worker_hello (farm, &worker, &task, 1);
        }
        assert_true (is_kept (farm, &worker, task, 60000 + OVERDUE_MS - 20000));
        assert_false (is_kept (farm, &worker, task, 40000));
        farm_cancel (farm, farm->ann, build);
        worker_gone (farm, &worker);
        farm_pass (farm, 60000);
    }
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, farm_setup, farm_teardown)
    const struct CMUnitTest tests [] = {
        TEST (a_job_waits_for_a_worker_that_gives_it_enough),
        TEST (as_much_as_there_is_can_be_had),
        TEST (a_worker_that_enforces_nothing_gets_no_job_with_limits),
        TEST (it_fails_after_its_time_and_says_why),
        TEST (whoever_does_not_wait_is_told_at_once),
        TEST (a_restart_keeps_what_a_job_asks),
        TEST (what_a_worker_gives_is_shown),
        TEST (a_job_has_the_time_that_it_asked_for),
        TEST (more_time_than_the_farm_gives_is_refused),
        TEST (an_attempt_that_is_stuck_ends_by_its_own_limit),
    };
    return sodium_init () < 0 ? 1 : cmocka_run_group_tests (tests, NULL, NULL);
}
