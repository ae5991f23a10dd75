/* test_boards.c - what is known of workers beyond what they say, and what follows for the jobs that wait for them: labels, an
 * admin's orders, quarantine, and patience that ends. */
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
#include "coordinator/engine_private.h"
#include "engines.h"

#define SAYS(farm, build, path, text) assert_string_equal (farm_shows (farm, build, path), text)

/* -- words ------------------------------------------------------------------------------------------------------ */

/* option: a field of the spec, taken. */
static int64_t submit (farm_t *farm, const char *platforms, const char *option, json_t *value)
{
    json_t *spec = spec_of (platforms, "r.lan/app:1");
    if (option)
        json_object_set_new (spec, option, value);
    farm_say (farm, "submit", peer_of (farm->ann), farm->ann, submit_of (farm, spec));
    return json_integer_value (json_object_get (farm_sent (farm, peer_of (farm->ann), "accepted"), "build"));
}

static const json_t *order (farm_t *farm, const char *name, const char *field, json_t *value)
{
    farm_say (farm, "order", peer_of (farm->admin), farm->admin, json_pack ("{s:s, s:o}", "name", name, field, value));
    return json_object_get (farm_sent (farm, peer_of (farm->admin), "worker-state"), "worker");
}

static const json_t *look (farm_t *farm, const char *name)
{
    farm_say (farm, "worker", peer_of (farm->viewer), farm->viewer, json_pack ("{s:s}", "name", name));
    return json_object_get (farm_sent (farm, peer_of (farm->viewer), "worker-state"), "worker");
}

static const char *text_of (const json_t *object, const char *field)
{
    const char *text = json_string_value (json_object_get (object, field));
    return text ? text : "";
}

/* So that nobody is waited for any more who may have been there before the start. */
static void settle (farm_t *farm, const worker_t *worker)
{
    for (int i = 0; i < 5; i++) {
        farm_pass (farm, 10000);
        worker_beat (farm, worker, NULL, 0);
    }
}

/* Time goes by, and the worker is heard of. */
static void pass (farm_t *farm, const worker_t *worker, const task_t *held, size_t count, int64_t ms)
{
    for (; ms > 0; ms -= 10000) {
        farm_pass (farm, ms < 10000 ? ms : 10000);
        worker_beat (farm, worker, held, count);
    }
}

/* -- labels ----------------------------------------------------------------------------------------------------- */

static void a_job_goes_to_a_worker_with_the_labels_it_requires (void **state)
{
    farm_t *farm = *state;
    worker_t plain, fast;
    worker_join (farm, &plain, "plain", "linux/amd64", 4);
    worker_join (farm, &fast, "fast", "linux/amd64", 1);
    const json_t *shown = order (farm, "fast", "labels", json_pack ("{s:s, s:s}", "ssd", "yes", "room", "attic"));
    assert_string_equal (text_of (json_object_get (shown, "labels"), "ssd"), "yes");
    assert_true (submit (farm, "linux/amd64", "require", json_pack ("[s, s]", "ssd=yes", "room!=cellar")) > 0);
    assert_true (worker_task (farm, &fast).job > 0);
    int64_t second = submit (farm, "linux/amd64", "require", json_pack ("[s]", "ssd"));
    assert_int_equal (worker_task (farm, &plain).job, 0);
    SAYS (farm, second, "jobs/0/waiting", "no free worker for linux/amd64 with ssd");
    assert_true (submit (farm, "linux/amd64", "require", json_pack ("[s]", "!ssd")) > 0);
    assert_true (worker_task (farm, &plain).job > 0);
    assert_true (submit (farm, "linux/amd64", "require", json_pack ("[s]", "name=plain")) > 0);
    assert_true (worker_task (farm, &plain).job > 0);
    assert_int_equal (submit (farm, "linux/amd64", "require", json_pack ("[s]", "a b")), 0);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "usage");
}

static void a_label_that_is_given_starts_who_waited_for_it (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "pi4", "linux/arm64", 1);
    int64_t build = submit (farm, "linux/arm64", "require", json_pack ("[s, s]", "ssd=yes", "room"));
    SAYS (farm, build, "jobs/0/waiting",
          "no worker for linux/arm64 with room, ssd=yes: those for linux/arm64 have other labels (farmctl worker inspect)");
    order (farm, "pi4", "labels", json_pack ("{s:s}", "ssd", "yes"));
    assert_int_equal (worker_task (farm, &worker).job, 0);
    order (farm, "pi4", "labels", json_pack ("{s:s}", "room", "1"));
    assert_true (worker_task (farm, &worker).job > 0);
    farm_reopen (farm);
    worker_hello (farm, &worker, NULL, 0);
    const json_t *labels = json_object_get (look (farm, "pi4"), "labels");
    assert_int_equal (json_object_size (labels), 3);                /* and its name */
    order (farm, "pi4", "labels", json_pack ("{s:n}", "ssd"));
    assert_null (json_object_get (json_object_get (look (farm, "pi4"), "labels"), "ssd"));
}

/* -- orders ----------------------------------------------------------------------------------------------------- */

static void a_draining_worker_ends_what_it_has_and_gets_nothing_new (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "pi4", "linux/arm64", 2);
    int64_t first = submit (farm, "linux/arm64", NULL, NULL);
    task_t task = worker_task (farm, &worker);
    const char *const modes [] = { "draining", "paused" };
    for (int i = 0; i < 2; i++) {
        const json_t *shown = order (farm, "pi4", "mode", json_string (modes [i]));
        assert_string_equal (text_of (shown, "state"), modes [i]);
        assert_int_equal (json_array_size (json_object_get (shown, "tasks")), 1);
        assert_int_equal (json_integer_value (json_object_get (json_array_get (json_object_get (shown, "tasks"), 0), "build")), first);
    }
    assert_true (worker_report (farm, &worker, task, "building", NULL));
    int64_t second = submit (farm, "linux/arm64", NULL, NULL);
    assert_int_equal (worker_task (farm, &worker).job, 0);
    SAYS (farm, second, "jobs/0/waiting", "no worker takes jobs for linux/arm64: pi4 is paused");
    farm_reopen (farm);                                     /* an order outlives the coordinator */
    worker_hello (farm, &worker, &task, 1);
    assert_int_equal (worker_task (farm, &worker).job, 0);
    assert_true (worker_push (farm, &worker, task));
    order (farm, "pi4", "mode", json_string ("active"));
    assert_true (worker_task (farm, &worker).job > 0);
}

static void a_comment_says_why (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "pi4", "linux/arm64", 1);
    farm_say (farm, "order", 1, farm->admin, json_pack ("{s:s, s:s, s:s}", "name", "pi4", "mode", "paused", "comment", "new disk"));
    assert_string_equal (text_of (look (farm, "pi4"), "comment"), "new disk");
    order (farm, "pi4", "labels", json_pack ("{s:s}", "disk", "new"));
    assert_string_equal (text_of (look (farm, "pi4"), "comment"), "new disk");
    assert_string_equal (text_of (look (farm, "pi4"), "state"), "paused");
}

static void only_an_admin_gives_orders_and_only_to_workers_there_are (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "pi4", "linux/arm64", 1);
    farm_say (farm, "order", peer_of (farm->ann), farm->ann, json_pack ("{s:s, s:s}", "name", "pi4", "mode", "paused"));
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "denied");
    assert_null (order (farm, "pi5", "mode", json_string ("paused")));
    assert_string_equal (farm_error (farm, peer_of (farm->admin)), "not-found");
    assert_null (order (farm, "pi4", "labels", json_pack ("{s:s}", "a b", "c")));
    assert_null (order (farm, "pi4", "labels", json_pack ("{s:s}", "name", "pi5")));       /* it would be taken for that one */
    assert_null (order (farm, "pi4", "labels", json_pack ("{s:n}", "name")));
    assert_string_equal (farm_error (farm, peer_of (farm->admin)), "usage");
    assert_null (look (farm, "pi5"));
    assert_string_equal (farm_error (farm, peer_of (farm->viewer)), "not-found");
}

static void a_worker_is_forgotten_until_it_comes_back (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "pi4", "linux/arm64", 1);
    assert_null (order (farm, "pi4", "mode", json_string ("forgotten")));
    assert_string_equal (farm_error (farm, peer_of (farm->admin)), "usage");
    worker_gone (farm, &worker);
    assert_non_null (order (farm, "pi4", "labels", json_pack ("{s:s}", "disk", "slow")));
    farm_say (farm, "order", 1, farm->admin, json_pack ("{s:s, s:s, s:s}", "name", "pi4", "mode", "paused", "comment", "new disk"));
    assert_string_equal (text_of (look (farm, "pi4"), "comment"), "new disk");
    assert_non_null (order (farm, "pi4", "mode", json_string ("forgotten")));
    assert_null (look (farm, "pi4"));
    farm_say (farm, "workers", 1, farm->admin, json_object ());
    assert_int_equal (json_array_size (json_object_get (farm_sent (farm, 1, "worker-list"), "workers")), 0);
    int64_t build = submit (farm, "linux/arm64", NULL, NULL);
    assert_non_null (strstr (farm_shows (farm, build, "jobs/0/waiting"), "no worker for linux/arm64"));
    worker_hello (farm, &worker, NULL, 0);
    assert_true (worker_task (farm, &worker).job > 0);
    const json_t *back = look (farm, "pi4");
    assert_string_equal (text_of (back, "state"), "online");
    assert_string_equal (text_of (back, "comment"), "");
    assert_null (json_object_get (json_object_get (back, "labels"), "disk"));
}

/* -- health ----------------------------------------------------------------------------------------------------- */

static void a_worker_that_is_unfit_gets_nothing_until_it_is_fit (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "pi4", "linux/arm64", 1);
    farm_say (farm, "heartbeat", worker.peer, worker.principal, json_pack ("{s:[], s:{s:i, s:i}, s:s}", "attempts", "health", "load_percent", 50,
              "temperature_c", 61, "unfit", "the disk is full"));
    const json_t *shown = look (farm, "pi4");
    assert_string_equal (text_of (shown, "state"), "unfit");
    assert_string_equal (text_of (shown, "unfit"), "the disk is full");
    assert_int_equal (json_integer_value (json_object_get (json_object_get (shown, "health"), "temperature_c")), 61);
    int64_t build = submit (farm, "linux/arm64", NULL, NULL);
    assert_int_equal (worker_task (farm, &worker).job, 0);
    SAYS (farm, build, "jobs/0/waiting", "no worker takes jobs for linux/arm64: pi4 is unfit (the disk is full)");
    worker_beat (farm, &worker, NULL, 0);
    assert_true (worker_task (farm, &worker).job > 0);
    assert_string_equal (text_of (look (farm, "pi4"), "state"), "online");
}

static void a_worker_that_stops_gets_nothing_until_it_is_started_anew (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "pi4", "linux/arm64", 2);
    int64_t first = submit (farm, "linux/arm64", NULL, NULL);
    task_t task = worker_task (farm, &worker);
    farm_say (farm, "heartbeat", worker.peer, worker.principal, json_pack ("{s:[{s:I, s:I}], s:s, s:b}", "attempts", "job",
              (json_int_t) task.job, "attempt", (json_int_t) task.attempt, "unfit", "it was told to end", "stopping", 1));
    assert_string_equal (text_of (look (farm, "pi4"), "state"), "stopping");
    int64_t second = submit (farm, "linux/arm64", NULL, NULL);
    assert_int_equal (worker_task (farm, &worker).job, 0);
    SAYS (farm, second, "jobs/0/waiting", "no worker takes jobs for linux/arm64: pi4 is stopping (it was told to end)");
    assert_true (worker_push (farm, &worker, task));                /* what it has may end */
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    SAYS (farm, first, "state", "published");
    worker_hello (farm, &worker, NULL, 0);                          /* on another connection it stops still */
    assert_int_equal (worker_task (farm, &worker).job, 0);
    assert_string_equal (text_of (look (farm, "pi4"), "state"), "stopping");
    worker_restart (farm, &worker);
    assert_true (worker_task (farm, &worker).job > 0);
    assert_string_equal (text_of (look (farm, "pi4"), "state"), "online");
    assert_string_equal (text_of (look (farm, "pi4"), "unfit"), "");
}

/* -- quarantine ------------------------------------------------------------------------------------------------- */

/* A job of its own fails on the worker; its build is cancelled, so that only new ones come. */
static void fail_one (farm_t *farm, const worker_t *worker, const char *code)
{
    int64_t build = submit (farm, "linux/arm64", NULL, NULL);
    task_t task = worker_task (farm, worker);
    assert_true (task.job > 0);
    assert_true (worker_fail (farm, worker, task, code));
    farm_cancel (farm, farm->ann, build);
}

static void a_worker_that_fails_three_times_is_quarantined_for_longer_and_longer (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    int faults = 3;
    farm->settings.quarantine_ms = 60000;
    farm_reopen (farm);
    worker_join (farm, &worker, "pi4", "linux/arm64", 1);
    for (int i = 0; i < faults; i++)
        fail_one (farm, &worker, "full");
    for (int64_t ms = 60000; ms <= 240000; ms *= 2) {
        assert_string_equal (text_of (look (farm, "pi4"), "state"), "quarantined");
        int64_t build = submit (farm, "linux/arm64", NULL, NULL);
        assert_int_equal (worker_task (farm, &worker).job, 0);
        AUTO_FREE char *why = mem_printf ("no worker takes jobs for linux/arm64: pi4 is quarantined (its last %d attempts failed through "
                                          "the farm's fault)", faults++);
        SAYS (farm, build, "jobs/0/waiting", why);
        if (ms == 120000) {                                 /* a restart does not end it */
            farm_reopen (farm);
            worker_hello (farm, &worker, NULL, 0);
            assert_string_equal (text_of (look (farm, "pi4"), "state"), "quarantined");
        }
        pass (farm, &worker, NULL, 0, ms - 1);
        assert_int_equal (worker_task (farm, &worker).job, 0);
        farm_pass (farm, 1);
        task_t task = worker_task (farm, &worker);
        assert_true (task.job > 0);
        assert_true (worker_fail (farm, &worker, task, "farm"));
        farm_cancel (farm, farm->ann, build);
    }
}

/* For a minute, after three faults. */
static void join_into_quarantine (farm_t *farm, worker_t *worker)
{
    farm->settings.quarantine_ms = 60000;
    farm_reopen (farm);
    worker_join (farm, worker, "pi4", "linux/arm64", 1);
    for (int i = 0; i < 3; i++)
        fail_one (farm, worker, "full");
}

/* Its machine was seen to. */
static void an_admin_ends_a_quarantine (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    join_into_quarantine (farm, &worker);
    submit (farm, "linux/arm64", NULL, NULL);
    order (farm, "pi4", "mode", json_string ("draining"));
    assert_int_equal (json_integer_value (json_object_get (look (farm, "pi4"), "faults")), 3);
    order (farm, "pi4", "mode", json_string ("active"));
    assert_true (worker_task (farm, &worker).job > 0);
    assert_string_equal (text_of (look (farm, "pi4"), "state"), "online");
    assert_int_equal (json_integer_value (json_object_get (look (farm, "pi4"), "faults")), 0);
}

static void work_that_ends_well_or_through_the_user_ends_a_row_of_faults (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    farm->settings.quarantine_ms = 60000;
    farm_reopen (farm);
    worker_join (farm, &worker, "pi4", "linux/arm64", 1);
    for (int i = 0; i < 4; i++) {
        fail_one (farm, &worker, "full");
        fail_one (farm, &worker, "registry");               /* nobody's fault here, and no sign of health */
        fail_one (farm, &worker, "farm");
        fail_one (farm, &worker, "build");
    }
    assert_string_equal (text_of (look (farm, "pi4"), "state"), "online");
    assert_int_equal (json_integer_value (json_object_get (look (farm, "pi4"), "faults")), 0);
}

/* -- patience --------------------------------------------------------------------------------------------------- */

/* Not as if they were lost: they connect again within seconds. */
static void after_a_start_the_workers_are_awaited (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "amd", "linux/amd64", 1);
    farm_reopen (farm);
    int64_t build = submit (farm, "linux/amd64", "queue_timeout_ms", json_integer (0));
    assert_true (build > 0);
    SAYS (farm, build, "jobs/0/waiting", "no worker takes jobs for linux/amd64: amd is not back yet since the coordinator was started");
    farm_pass (farm, 45000);
    SAYS (farm, build, "jobs/0/waiting", "no worker takes jobs for linux/amd64: amd is lost");
    int64_t changes = db_changes (farm->engine->db);
    assert_int_equal (submit (farm, "linux/amd64", "queue_timeout_ms", json_integer (0)), 0);
    assert_string_equal (text_of (farm_sent (farm, peer_of (farm->ann), "error"), "code"), "no-worker");
    assert_int_equal (db_changes (farm->engine->db), changes);          /* nothing that had to be taken back */
}

/* It waits for those alone who could take it. */
static void after_a_start_nobody_is_awaited_for_another_platform (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "amd", "linux/amd64", 1);
    farm_reopen (farm);
    int64_t build = submit (farm, "linux/riscv64", "queue_timeout_ms", json_integer (3000));
    farm_pass (farm, 2999);
    SAYS (farm, build, "state", "queued");
    farm_pass (farm, 1);
    SAYS (farm, build, "state", "failed");
}

static void a_job_that_no_worker_takes_fails_after_its_time (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "amd", "linux/amd64", 1);
    settle (farm, &worker);
    int64_t build = submit (farm, "linux/amd64,linux/riscv64", NULL, NULL), short_one = submit (farm, "linux/riscv64", "queue_timeout_ms", json_integer (5000));
    task_t task = { atoll (farm_shows (farm, build, "jobs/0/id")), 1 };
    pass (farm, &worker, &task, 1, 4999);
    SAYS (farm, short_one, "state", "queued");
    farm_pass (farm, 1);
    SAYS (farm, short_one, "state", "failed");
    SAYS (farm, short_one, "code", "no-worker");
    SAYS (farm, short_one, "jobs/0/reason", "no worker took it within 5s (--queue-timeout): no worker for linux/riscv64; the workers run linux/amd64, and none could emulate it");
    pass (farm, &worker, &task, 1, 594999);
    SAYS (farm, build, "state", "running");
    farm_pass (farm, 1);
    SAYS (farm, build, "state", "failed");
    SAYS (farm, build, "code", "no-worker");
    SAYS (farm, build, "jobs/0/state", "cancelled");
}

static void patience_counts_from_when_the_last_worker_went (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "pi4", "linux/arm64", 1);
    int64_t first = submit (farm, "linux/arm64", NULL, NULL), build = submit (farm, "linux/arm64", NULL, NULL);
    task_t task = worker_task (farm, &worker);
    task.job = atoll (farm_shows (farm, first, "jobs/0/id"));
    task.attempt = 1;
    pass (farm, &worker, &task, 1, 1000000);                /* busy for long: no reason to give up */
    SAYS (farm, build, "state", "queued");
    order (farm, "pi4", "mode", json_string ("draining"));
    pass (farm, &worker, &task, 1, 599999);
    SAYS (farm, build, "state", "queued");
    order (farm, "pi4", "mode", json_string ("active"));    /* once more from the beginning */
    order (farm, "pi4", "mode", json_string ("paused"));
    pass (farm, &worker, &task, 1, 599999);
    SAYS (farm, build, "state", "queued");
    farm_pass (farm, 1);
    SAYS (farm, build, "state", "failed");
    SAYS (farm, build, "jobs/0/reason", "no worker took it within 10m (--queue-timeout): no worker takes jobs for linux/arm64: pi4 is paused");
    SAYS (farm, first, "state", "running");
}

/* In the very batch in which a job's time is over, for its quarantine ends then. */
static void a_worker_whose_quarantine_ends_in_time_takes_the_job (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    join_into_quarantine (farm, &worker);
    int64_t build = submit (farm, "linux/arm64", "queue_timeout_ms", json_integer (60000));
    pass (farm, &worker, NULL, 0, 60000);
    SAYS (farm, build, "state", "running");
}

/* Or it has said so just before the tick. */
static void a_worker_that_is_fit_again_in_time_takes_the_job (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "pi4", "linux/arm64", 1);
    farm_say (farm, "heartbeat", worker.peer, worker.principal, json_pack ("{s:[], s:s}", "attempts", "unfit", "the disk is full"));
    int64_t build = submit (farm, "linux/arm64", "queue_timeout_ms", json_integer (3000));
    farm_pass (farm, 2999);
    farm->now++;
    farm_begin (farm);
    farm_add (farm, "heartbeat", worker.peer, worker.principal, json_pack ("{s:[]}", "attempts"));
    farm_add (farm, "tick", 0, 0, NULL);
    farm_commit (farm);
    SAYS (farm, build, "state", "running");
}

/* It says so before its connection ends, or without that, when the cable is slow. */
static void patience_counts_from_when_a_worker_says_that_it_stops (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "pi4", "linux/arm64", 1);
    settle (farm, &worker);
    submit (farm, "linux/arm64", NULL, NULL);
    task_t task = worker_task (farm, &worker);
    int64_t build = submit (farm, "linux/arm64", "queue_timeout_ms", json_integer (5000));
    assert_true (worker_fail (farm, &worker, task, "interrupted"));
    farm_pass (farm, 4999);
    SAYS (farm, build, "state", "queued");
    farm_pass (farm, 1);
    SAYS (farm, build, "state", "failed");
    SAYS (farm, build, "code", "no-worker");
}

/* Nobody is there just after a start, and that ends nothing. */
static void a_restart_ends_no_patience (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "pi4", "linux/arm64", 1);
    int64_t first = submit (farm, "linux/arm64", NULL, NULL);
    task_t task = worker_task (farm, &worker);
    int64_t hasty = submit (farm, "linux/arm64", "queue_timeout_ms", json_integer (0));
    int64_t short_one = submit (farm, "linux/arm64", "queue_timeout_ms", json_integer (1000));
    assert_true (hasty > 0 && short_one > 0);
    farm_reopen (farm);
    farm_pass (farm, 32000);                                /* the longest that a worker waits before it connects again */
    SAYS (farm, hasty, "state", "queued");
    SAYS (farm, short_one, "state", "queued");
    worker_hello (farm, &worker, &task, 1);
    pass (farm, &worker, &task, 1, 60000);
    SAYS (farm, hasty, "state", "queued");
    SAYS (farm, first, "state", "running");
    farm_reopen (farm);                                     /* and it does not come */
    farm_pass (farm, 45000 + 999);
    SAYS (farm, short_one, "state", "queued");
    farm_pass (farm, 1);
    SAYS (farm, short_one, "state", "failed");
    SAYS (farm, hasty, "state", "queued");
}

static void whoever_asks_first_hears_that_it_would_wait (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "amd", "linux/amd64", 1);
    farm_say (farm, "check", 1, farm->ann, json_pack ("{s:[s]}", "platforms", "linux/amd64"));
    assert_null (json_object_get (farm_sent (farm, 1, "fine"), "waiting"));
    farm_say (farm, "check", 1, farm->ann, json_pack ("{s:[s, s]}", "platforms", "linux/amd64", "linux/arm64"));
    assert_non_null (strstr (text_of (farm_sent (farm, 1, "fine"), "waiting"), "no worker for linux/arm64"));
    farm_say (farm, "check", 1, farm->ann, json_pack ("{s:[s], s:[s], s:i}", "platforms", "linux/amd64", "require", "ssd", "queue_timeout_ms", 0));
    assert_string_equal (farm_error (farm, 1), "no-worker");
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
#define TEST(name) cmocka_unit_test_setup_teardown (name, farm_setup, farm_teardown)
    const struct CMUnitTest tests [] = {
        TEST (a_job_goes_to_a_worker_with_the_labels_it_requires),
        TEST (a_label_that_is_given_starts_who_waited_for_it),
        TEST (a_draining_worker_ends_what_it_has_and_gets_nothing_new),
        TEST (a_comment_says_why),
        TEST (only_an_admin_gives_orders_and_only_to_workers_there_are),
        TEST (a_worker_is_forgotten_until_it_comes_back),
        TEST (a_worker_that_is_unfit_gets_nothing_until_it_is_fit),
        TEST (a_worker_that_stops_gets_nothing_until_it_is_started_anew),
        TEST (a_worker_that_fails_three_times_is_quarantined_for_longer_and_longer),
        TEST (an_admin_ends_a_quarantine),
        TEST (work_that_ends_well_or_through_the_user_ends_a_row_of_faults),
        TEST (after_a_start_the_workers_are_awaited),
        TEST (after_a_start_nobody_is_awaited_for_another_platform),
        TEST (a_job_that_no_worker_takes_fails_after_its_time),
        TEST (patience_counts_from_when_the_last_worker_went),
        TEST (patience_counts_from_when_a_worker_says_that_it_stops),
        TEST (a_worker_whose_quarantine_ends_in_time_takes_the_job),
        TEST (a_worker_that_is_fit_again_in_time_takes_the_job),
        TEST (a_restart_ends_no_patience),
        TEST (whoever_asks_first_hears_that_it_would_wait),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
