/* test_queue.c - who is served next: classes, users in turn, age; over restarts and lost batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"
#include "engines.h"

/* -- words ------------------------------------------------------------------------------------------------------ */

static int64_t submit (farm_t *farm, int64_t principal, const char *platforms, const char *priority)
{
    json_t *spec = spec_of (platforms, "r.lan/app:1");
    if (priority)
        json_object_set_new (spec, "priority", json_string (priority));
    farm_say (farm, "submit", peer_of (principal), principal, submit_of (farm, spec));
    int64_t build = json_integer_value (json_object_get (farm_sent (farm, peer_of (principal), "accepted"), "build"));
    assert_true (build > 0);
    return build;
}

static int64_t assigned_build (const farm_t *farm, const worker_t *worker)
{
    return json_integer_value (json_object_get (farm_sent (farm, worker->peer, "assign"), "build"));
}

/* The worker ends what it has through the user's fault, and gets the next: which build's? 0 for none. */
static int64_t next (farm_t *farm, const worker_t *worker, task_t *task)
{
    assert_true (worker_fail (farm, worker, *task, "build"));
    *task = worker_task (farm, worker);
    return assigned_build (farm, worker);
}

/* A worker that is busy with a build of ann's, so that what follows is queued. */
static task_t busy (farm_t *farm, worker_t *worker, const char *platforms)
{
    worker_join (farm, worker, "board", platforms, 1);
    submit (farm, farm->ann, "linux/amd64", NULL);
    task_t task = worker_task (farm, worker);
    assert_true (task.job > 0);
    return task;
}

/* -- tests ------------------------------------------------------------------------------------------------------ */

static void one_users_builds_come_in_their_order (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    task_t task = busy (farm, &worker, "linux/amd64");
    int64_t first = submit (farm, farm->ann, "linux/amd64", NULL), second = submit (farm, farm->ann, "linux/amd64", NULL);
    assert_int_equal (next (farm, &worker, &task), first);
    assert_int_equal (next (farm, &worker, &task), second);
    assert_int_equal (next (farm, &worker, &task), 0);
}

static void whoever_has_one_build_waits_for_one_of_the_other_users (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    int64_t anns [500];
    task_t task = busy (farm, &worker, "linux/amd64");
    for (int i = 0; i < 500; i++)
        anns [i] = submit (farm, farm->ann, "linux/amd64", NULL);
    int64_t bobs = submit (farm, farm->bob, "linux/amd64", NULL), admins = submit (farm, farm->admin, "linux/amd64", NULL);
    int64_t one = next (farm, &worker, &task), other = next (farm, &worker, &task);
    assert_true ((one == bobs && other == admins) || (one == admins && other == bobs));
    assert_int_equal (next (farm, &worker, &task), anns [0]);
    bobs = submit (farm, farm->bob, "linux/amd64", NULL);
    assert_int_equal (next (farm, &worker, &task), bobs);
    assert_int_equal (next (farm, &worker, &task), anns [1]);
    assert_int_equal (next (farm, &worker, &task), anns [2]);
}

static void users_take_turns_over_platforms_too (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    task_t task = busy (farm, &worker, "linux/amd64,linux/386");
    int64_t ann [2] = { submit (farm, farm->ann, "linux/amd64", NULL), submit (farm, farm->ann, "linux/amd64", NULL) };
    int64_t bob [2] = { submit (farm, farm->bob, "linux/386", NULL), submit (farm, farm->bob, "linux/386", NULL) };
    assert_int_equal (next (farm, &worker, &task), bob [0]);
    assert_int_equal (next (farm, &worker, &task), ann [0]);
    assert_int_equal (next (farm, &worker, &task), bob [1]);
    assert_int_equal (next (farm, &worker, &task), ann [1]);
}

static void a_higher_class_goes_first (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    task_t task = busy (farm, &worker, "linux/amd64");
    int64_t low = submit (farm, farm->bob, "linux/amd64", "low"), normal = submit (farm, farm->ann, "linux/amd64", NULL);
    int64_t high [2] = { submit (farm, farm->ann, "linux/amd64", "high"), submit (farm, farm->ann, "linux/amd64", "high") };
    assert_int_equal (next (farm, &worker, &task), high [0]);
    assert_int_equal (next (farm, &worker, &task), high [1]);
    assert_int_equal (next (farm, &worker, &task), normal);
    assert_int_equal (next (farm, &worker, &task), low);
}

static void what_waits_for_long_rises (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    task_t task = busy (farm, &worker, "linux/amd64");
    int64_t low = submit (farm, farm->bob, "linux/amd64", "low");
    for (int i = 0; i < 61; i++) {                  /* an hour and a minute: two classes */
        farm_pass (farm, 30000);
        worker_beat (farm, &worker, &task, 1);
        farm_pass (farm, 30000);
        worker_beat (farm, &worker, &task, 1);
    }
    int64_t high = submit (farm, farm->ann, "linux/amd64", "high");
    assert_int_equal (next (farm, &worker, &task), low);
    assert_int_equal (next (farm, &worker, &task), high);
}

static void the_order_outlives_a_restart (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    task_t task = busy (farm, &worker, "linux/amd64");
    int64_t low = submit (farm, farm->ann, "linux/amd64", "low"), normal = submit (farm, farm->ann, "linux/amd64", NULL);
    int64_t high = submit (farm, farm->ann, "linux/amd64", "high");
    farm_reopen (farm);
    worker_hello (farm, &worker, &task, 1);
    assert_int_equal (next (farm, &worker, &task), high);
    assert_int_equal (next (farm, &worker, &task), normal);
    assert_int_equal (next (farm, &worker, &task), low);
}

/* It rests before its next attempt; others are served meanwhile, and a restart ends the rest. */
static void a_job_that_rests_is_passed_over (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    task_t task = busy (farm, &worker, "linux/amd64"), first = task;
    int64_t second = submit (farm, farm->ann, "linux/amd64", NULL);
    assert_true (worker_fail (farm, &worker, task, "registry"));
    assert_int_equal (assigned_build (farm, &worker), second);
    task = worker_task (farm, &worker);
    assert_int_equal (next (farm, &worker, &task), 0);
    farm_pass (farm, 1999);
    assert_int_equal (worker_task (farm, &worker).job, 0);
    farm_pass (farm, 1);
    task = worker_task (farm, &worker);
    assert_int_equal (task.job, first.job);
    assert_true (worker_fail (farm, &worker, task, "registry"));
    farm_reopen (farm);
    worker_hello (farm, &worker, NULL, 0);
    assert_int_equal (worker_task (farm, &worker).job, first.job);
}

static void a_cancelled_job_is_passed_over (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    task_t task = busy (farm, &worker, "linux/amd64");
    int64_t first = submit (farm, farm->ann, "linux/amd64", NULL), second = submit (farm, farm->ann, "linux/amd64", NULL);
    farm_cancel (farm, farm->ann, first);
    assert_int_equal (next (farm, &worker, &task), second);
    assert_int_equal (next (farm, &worker, &task), 0);
    int64_t third = submit (farm, farm->ann, "linux/amd64", NULL);
    assert_int_equal (assigned_build (farm, &worker), third);
}

/* An event that fails after it has changed rows is undone, in memory too: the job is still there, and served. */
static void an_undone_event_leaves_the_queue_as_it_was (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    task_t task = busy (farm, &worker, "linux/amd64");
    json_t *bad = spec_of ("linux/386", "r.lan/app:1,r.lan/app:2");
    json_array_append_new (json_object_get (bad, "tags"), json_string ("other.lan/app:1"));
    farm_say (farm, "submit", peer_of (farm->bob), farm->bob, submit_of (farm, bad));
    assert_string_equal (farm_error (farm, peer_of (farm->bob)), "usage");
    int64_t build = submit (farm, farm->bob, "linux/amd64", NULL);
    assert_int_equal (next (farm, &worker, &task), build);
}

static void emulation_only_serves_who_asked_for_it (void **state)
{
    farm_t *farm = *state;
    worker_t worker, arm;
    task_t task = busy (farm, &worker, "linux/amd64,linux/arm64*");
    worker_join (farm, &arm, "arm", "linux/arm64", 1);
    worker_gone (farm, &arm);
    submit (farm, farm->ann, "linux/arm64", NULL);
    json_t *spec = spec_of ("linux/arm64", "r.lan/app:1");
    json_object_set_new (spec, "emulation", json_string ("allow"));
    farm_say (farm, "submit", peer_of (farm->ann), farm->ann, submit_of (farm, spec));
    int64_t emulated = json_integer_value (json_object_get (farm_sent (farm, peer_of (farm->ann), "accepted"), "build"));
    assert_int_equal (next (farm, &worker, &task), emulated);
    assert_int_equal (next (farm, &worker, &task), 0);
}

/* The first board has free slots all the time, and would emulate ann's jobs; the second runs them natively, and bob's too. */
static void who_can_be_served_by_one_worker_only_has_a_turn_there (void **state)
{
    farm_t *farm = *state;
    worker_t emulator, native;
    worker_join (farm, &emulator, "emulator", "linux/arm64*", 8);
    worker_join (farm, &native, "native", "linux/arm64", 1);
    json_t *spec = spec_of ("linux/arm64", "r.lan/app:1");
    json_object_set_new (spec, "emulation", json_string ("allow"));
    farm_say (farm, "submit", peer_of (farm->ann), farm->ann, submit_of (farm, json_deep_copy (spec)));
    task_t task = worker_task (farm, &native);
    int64_t bobs = submit (farm, farm->bob, "linux/arm64", NULL);
    farm_begin (farm);                              /* a slot is free, and ann asks for it in the same moment */
    farm_add (farm, "submit", peer_of (farm->ann), farm->ann, submit_of (farm, spec));
    farm_add (farm, "report", native.peer, native.principal, json_pack ("{s:I, s:I, s:s, s:s}", "job", (json_int_t) task.job, "attempt",
                                                                        (json_int_t) task.attempt, "state", "failed", "code", "build"));
    farm_commit (farm);
    assert_int_equal (assigned_build (farm, &native), bobs);
    assert_true (worker_task (farm, &emulator).job > 0);
}

/* -- homes ------------------------------------------------------------------------------------------------------ */

/* A build of the repository that goes all the way on the worker that it was given to. */
static void build_on (farm_t *farm, const worker_t *worker, const char *tags)
{
    assert_true (farm_submit (farm, farm->ann, "linux/amd64", tags) > 0);
    task_t task = worker_task (farm, worker);
    assert_true (task.job > 0);
    assert_true (worker_push (farm, worker, task));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
}

/* From another context than all the others. */
static void submit_other_files (farm_t *farm, const char *platforms, const char *tags)
{
    static int number;
    json_t *spec = spec_of (platforms, tags);
    AUTO_FREE char *context = mem_printf ("%02x%062x", ++number, 0);
    json_object_set_new (spec, "context", json_string (context));
    farm_say (farm, "submit", peer_of (farm->ann), farm->ann, submit_of (farm, spec));
}

/* Its home for the other platform, or for the same files in another repository, has most of the context. */
static void a_first_build_goes_where_its_context_is (void **state)
{
    farm_t *farm = *state;
    worker_t one, two;
    worker_join (farm, &two, "two", "linux/386", 8);
    worker_join (farm, &one, "one", "linux/amd64,linux/386", 2);
    build_on (farm, &one, "r.lan/app:1");
    submit_other_files (farm, "linux/386", "r.lan/other");
    assert_true (worker_task (farm, &two).job > 0);             /* the first */
    submit_other_files (farm, "linux/386", "r.lan/app:2");
    assert_true (worker_task (farm, &one).job > 0);             /* the repository's */
    farm_submit (farm, farm->ann, "linux/386", "r.lan/third");
    assert_true (worker_task (farm, &one).job > 0);             /* the files' */
    int64_t waits = farm_submit (farm, farm->ann, "linux/386", "r.lan/fourth");
    assert_int_equal (worker_task (farm, &two).job, 0);
    assert_string_equal (farm_shows (farm, waits, "jobs/0/waiting"), "a moment for the worker that has built this or its context before "
                         "(queue/affinity-ms of the coordinator)");
    farm_pass (farm, 3000);
    assert_int_equal (assigned_build (farm, &two), waits);
}

static void beat_with_load (farm_t *farm, const worker_t *worker, int percent)
{
    farm_say (farm, "heartbeat", worker->peer, worker->principal, json_pack ("{s:[], s:{s:i}}", "attempts", "health", "load_percent", percent));
}

/* Both are idle, as far as the farm goes; their machines are not. */
static void of_idle_workers_the_less_busy_machine_is_taken (void **state)
{
    farm_t *farm = *state;
    worker_t one, two;
    worker_join (farm, &one, "one", "linux/amd64", 1);
    worker_join (farm, &two, "two", "linux/amd64", 1);
    beat_with_load (farm, &one, 300);
    beat_with_load (farm, &two, 20);
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app");
    assert_true (worker_task (farm, &two).job > 0);
}

static void the_next_build_goes_where_the_last_one_was (void **state)
{
    farm_t *farm = *state;
    worker_t one, two;
    worker_join (farm, &one, "one", "linux/amd64", 2);
    build_on (farm, &one, "r.lan/app:1");
    worker_join (farm, &two, "two", "linux/amd64", 8);
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/other");
    assert_true (worker_task (farm, &one).job > 0);             /* both idle: the first */
    submit_other_files (farm, "linux/amd64", "r.lan/another");
    assert_true (worker_task (farm, &two).job > 0);             /* the less busy */
    farm_reopen (farm);
    worker_hello (farm, &one, NULL, 0);                         /* what they had is queued again after a while */
    worker_hello (farm, &two, NULL, 0);
    build_on (farm, &one, "r.lan/app:2");
}

static void a_build_waits_for_its_home_but_not_for_long (void **state)
{
    farm_t *farm = *state;
    worker_t one, two;
    worker_join (farm, &one, "one", "linux/amd64", 1);
    build_on (farm, &one, "r.lan/app:1");
    worker_join (farm, &two, "two", "linux/amd64", 1);
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/other");
    task_t task = worker_task (farm, &one);
    assert_true (task.job > 0);
    int64_t waits = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:2");
    assert_int_equal (worker_task (farm, &two).job, 0);
    farm_pass (farm, 2999);
    assert_int_equal (worker_task (farm, &two).job, 0);
    farm_pass (farm, 1);
    assert_int_equal (assigned_build (farm, &two), waits);
    int64_t second = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:3");
    assert_int_equal (next (farm, &one, &task), second);        /* its home is free again in time */
}

static void nobody_waits_for_a_home_that_is_away (void **state)
{
    farm_t *farm = *state;
    worker_t one, two;
    worker_join (farm, &one, "one", "linux/amd64", 1);
    build_on (farm, &one, "r.lan/app:1");
    worker_join (farm, &two, "two", "linux/amd64", 1);
    farm_say (farm, "order", 1, farm->admin, json_pack ("{s:s, s:s}", "name", "one", "mode", "paused"));
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:2");
    assert_true (worker_task (farm, &two).job > 0);
}

/* -- cost ------------------------------------------------------------------------------------------------------- */

static sqlite3 *database;

static int note_database (sqlite3 *opened, char **error, const struct sqlite3_api_routines *api)
{
    (void) error;
    (void) api;
    database = opened;
    return SQLITE_OK;
}

/* Steps of SQLite's machine in all statements since this was asked last. */
static int64_t take_steps (void)
{
    int64_t steps = 0;
    for (sqlite3_stmt *statement = sqlite3_next_stmt (database, NULL); statement; statement = sqlite3_next_stmt (database, statement))
        steps += sqlite3_stmt_status (statement, SQLITE_STMTSTATUS_VM_STEP, 1);
    return steps;
}

/* Of a job's end and the next one's assignment, and of a submit. */
static void measure (farm_t *farm, const worker_t *worker, task_t *task, int64_t *per_job, int64_t *per_submit)
{
    take_steps ();
    for (int i = 0; i < 10; i++)
        assert_true (next (farm, worker, task) > 0);
    *per_job = take_steps () / 10;
    for (int i = 0; i < 10; i++)
        submit (farm, farm->bob, "linux/amd64", NULL);
    *per_submit = take_steps () / 10;
}

/* Nor does it cost more when nobody takes such jobs. */
static void what_a_job_costs_does_not_grow_with_the_queue (void **state)
{
    farm_t *farm = *state;
    worker_t board = { .slots = 0 };
    int64_t per_job [2], per_submit [2], unserved [2];
    assert_int_equal (sqlite3_auto_extension ((void (*) (void)) note_database), SQLITE_OK);
    farm_reopen (farm);
    sqlite3_cancel_auto_extension ((void (*) (void)) note_database);
    task_t task = busy (farm, &board, "linux/amd64");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < (round ? 1000 : 20); i++) {
            submit (farm, farm->ann, "linux/amd64", NULL);
            submit (farm, farm->bob, "linux/riscv64", NULL);
        }
        measure (farm, &board, &task, &per_job [round], &per_submit [round]);
        farm_pass (farm, 2000);
        take_steps ();
        submit (farm, farm->bob, "linux/riscv64", NULL);
        farm_pass (farm, 10);
        unserved [round] = take_steps ();
    }
    assert_in_range (per_job [1], 1, per_job [0] * 11 / 10);
    assert_in_range (per_submit [1], 1, per_submit [0] * 11 / 10);
    assert_in_range (unserved [1], 1, unserved [0] * 11 / 10);
    assert_in_range (per_job [1], 1, 1300);     /* what SQLite builds for an IN of many words shows here */
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
#define TEST(name) cmocka_unit_test_setup_teardown (name, farm_setup, farm_teardown)
    const struct CMUnitTest tests [] = {
        TEST (one_users_builds_come_in_their_order),
        TEST (whoever_has_one_build_waits_for_one_of_the_other_users),
        TEST (users_take_turns_over_platforms_too),
        TEST (a_higher_class_goes_first),
        TEST (what_waits_for_long_rises),
        TEST (the_order_outlives_a_restart),
        TEST (a_job_that_rests_is_passed_over),
        TEST (a_cancelled_job_is_passed_over),
        TEST (an_undone_event_leaves_the_queue_as_it_was),
        TEST (emulation_only_serves_who_asked_for_it),
        TEST (who_can_be_served_by_one_worker_only_has_a_turn_there),
        TEST (the_next_build_goes_where_the_last_one_was),
        TEST (a_first_build_goes_where_its_context_is),
        TEST (of_idle_workers_the_less_busy_machine_is_taken),
        TEST (a_build_waits_for_its_home_but_not_for_long),
        TEST (nobody_waits_for_a_home_that_is_away),
        TEST (what_a_job_costs_does_not_grow_with_the_queue),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
