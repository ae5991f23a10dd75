/* test_box.c - what an attempt may take, where no cgroup v2 helps, and what is said when a limit ended it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "worker/box.h"

#define MIB ((int64_t) 1 << 20)

static allowance_t *allowance;          /* 7/8 of 2 GiB, 4 cpus, 1000 processes, no cgroup */

/* Takes spec. */
static json_t *assign_of (json_t *spec)
{
    return json_pack ("{s:i, s:i, s:i, s:s, s:o}", "job", 99, "attempt", 1, "build", 42, "platform", "linux/arm64", "spec", spec);
}

static box_t *open_box (json_t *spec)
{
    AUTO_JSON json_t *assign = assign_of (spec);
    box_t *box;
    err_t err;
    if (box_open (&box, allowance, assign, &err) < 0)
        fail_msg ("%s", err.text);
    return box;
}

static void a_host_keeps_an_eighth_for_itself (void **state)
{
    (void) state;
    const cgroup_limits_t *most = allowance_most (allowance);
    assert_int_equal (most->memory_bytes, 1792 * MIB);
    assert_int_equal (most->cpu_percent, 400);
    assert_int_equal (most->pids, 1000);
    assert_non_null (strstr (allowance_enforced (allowance), "without cgroup v2 (/no/cgroups is no cgroup v2): memory of each process by RLIMIT_DATA, "
                             "cpus by affinity, processes"));
}

static void settings_count_more_than_the_host (void **state)
{
    (void) state;
    allowance_settings_t settings = { .memory_bytes = 512 * MIB, .cpus = 1, .pids = 64, .host_memory_bytes = 2048 * MIB, .host_cpus = 4,
                                      .state_folder = "/", .cgroup_mount = "/no/cgroups" };
    allowance_t *own = allowance_new (&settings);
    assert_int_equal (allowance_most (own)->memory_bytes, 512 * MIB);
    assert_int_equal (allowance_most (own)->cpu_percent, 100);
    allowance_destroy (&own);
}

static void what_is_not_asked_for_is_all_that_there_is (void **state)
{
    (void) state;
    box_t *box = open_box (json_object ());
    const spawner_rules_t *rules = box_rules (box);
    AUTO_FREE char *text = box_describe (box);
    assert_string_equal (text, "1792M of memory, 4 cpus, 1000 processes");
    assert_int_equal (rules->data_bytes, 1792 * MIB);
    assert_int_equal (rules->cpus, 4);
    assert_int_equal (rules->processes, 1000);
    assert_true (rules->oom_score > 0);
    assert_null (rules->cgroup);
    assert_null (box_run_group (box));
    box_close (&box);
}

static void a_part_of_a_cpu_is_one_where_there_are_whole_ones_only (void **state)
{
    (void) state;
    box_t *box = open_box (json_pack ("{s:I, s:i}", "memory_bytes", (json_int_t) (128 * MIB), "cpu_percent", 150));
    AUTO_FREE char *text = box_describe (box);
    assert_string_equal (text, "128M of memory, 1.5 cpus, 1000 processes");
    assert_int_equal (box_rules (box)->data_bytes, 128 * MIB);
    assert_int_equal (box_rules (box)->cpus, 2);
    box_close (&box);
}

static void more_than_there_is_is_refused (void **state)
{
    (void) state;
    static const struct { const char *field; int64_t value; const char *text; } cases [] = {
        { "memory_bytes", 1792 * MIB + 1, "this worker gives one job 1792M of memory at most (limit/memory)" },
        { "cpu_percent", 401, "this worker gives one job 4 cpus at most (limit/cpus)" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_JSON json_t *assign = assign_of (json_pack ("{s:I}", cases [i].field, (json_int_t) cases [i].value));
        box_t *box;
        err_t err;
        assert_int_equal (box_open (&box, allowance, assign, &err), -1);
        assert_int_equal (err.code, ERR_FARM);          /* another worker may have it */
        assert_string_equal (err.text, cases [i].text);
    }
}

/* -- what a limit did ------------------------------------------------------------------------------------------- */

static void assert_blames (json_t *spec, cgroup_events_t events, err_code code, const char *text)
{
    box_t *box = open_box (spec);
    err_t err;
    err_set (&err, ERR_BUILD, "exit status 1");
    assert_int_equal (box_blame (box, &events, &err), -1);
    assert_int_equal (err.code, code);
    assert_string_equal (err.text, text);
    box_close (&box);
}

static void whoever_set_the_limit_is_told (void **state)
{
    (void) state;
    cgroup_events_t hit = { .has_hit_memory = true, .was_killed = true };
    assert_blames (json_pack ("{s:I}", "memory_bytes", (json_int_t) (512 * MIB)), hit, ERR_BUILD,
                   "job 42/linux/arm64 was killed at its memory limit of 512M; raise --memory or use less");
    assert_blames (json_pack ("{s:I}", "memory_bytes", (json_int_t) (1792 * MIB)), hit, ERR_BUILD,
                   "job 42/linux/arm64 was killed at its memory limit of 1792M; use less, or have limit/memory of the worker raised");
    assert_blames (json_object (), hit, ERR_BUILD, "job 42/linux/arm64 was killed at its memory limit of 1792M, which is this worker's; use less, or have "
                   "limit/memory of the worker raised");
}

static void other_jobs_memory_is_the_farms_fault (void **state)
{
    (void) state;
    assert_blames (json_object (), (cgroup_events_t) { .was_killed = true }, ERR_FARM, "job 42/linux/arm64 was killed because its worker ran out of memory, "
                   "below its own limit: lower slots or limit/memory of the worker");
}

static void refused_forks_are_told_beside_the_failure (void **state)
{
    (void) state;
    assert_blames (json_object (), (cgroup_events_t) { .has_hit_pids = true }, ERR_BUILD, "exit status 1; it had as many processes and threads as it may "
                   "have, 1000 (limit/pids of the worker)");
}

static void what_no_limit_did_stays_as_it_is (void **state)
{
    (void) state;
    assert_blames (json_object (), (cgroup_events_t) { 0 }, ERR_BUILD, "exit status 1");
}

/* -- the kernel's words ----------------------------------------------------------------------------------------- */

static void write_file (const char *folder, const char *name, const char *text)
{
    AUTO_FREE char *path = file_join (folder, name);
    assert_int_equal (file_write_scratch (path, text, strlen (text), 0600, NULL), 0);
}

static void events_are_read (void **state)
{
    (void) state;
    char folder [] = "/tmp/test-box.XXXXXX";
    cgroup_events_t events;
    assert_non_null (mkdtemp (folder));
    cgroup_read_events (folder, &events);
    assert_true (!events.was_killed && !events.has_hit_memory && !events.has_hit_pids);
    write_file (folder, "memory.events", "low 0\nhigh 0\nmax 71\noom 1\noom_kill 2\noom_group_kill 1\n");
    write_file (folder, "memory.events.local", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n");
    write_file (folder, "pids.events", "max 12\n");
    cgroup_read_events (folder, &events);
    assert_true (events.was_killed && !events.has_hit_memory && events.has_hit_pids);
    write_file (folder, "memory.events.local", "low 0\nhigh 0\nmax 71\noom 1\noom_kill 2\n");
    cgroup_read_events (folder, &events);
    assert_true (events.was_killed && events.has_hit_memory);
    write_file (folder, "memory.events", "low 0\nhigh 0\nmax 71\noom 1\noom_kill 0\n");
    cgroup_read_events (folder, &events);
    assert_true (!events.was_killed && !events.has_hit_memory);         /* refused, and it went on */
    write_file (folder, "pids.events", "max 0\n");
    write_file (folder, "pids.max", "64\n");
    write_file (folder, "pids.peak", "63\n");
    cgroup_read_events (folder, &events);
    assert_false (events.has_hit_pids);
    write_file (folder, "pids.peak", "64\n");
    cgroup_read_events (folder, &events);
    assert_true (events.has_hit_pids);
    file_remove_tree (folder, NULL);
}

int main (void)
{
    allowance_settings_t settings = { .pids = 1000, .host_memory_bytes = 2048 * MIB, .host_cpus = 4, .state_folder = "/",
                                      .cgroup_mount = "/no/cgroups" };
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (a_host_keeps_an_eighth_for_itself),
        cmocka_unit_test (settings_count_more_than_the_host),
        cmocka_unit_test (what_is_not_asked_for_is_all_that_there_is),
        cmocka_unit_test (a_part_of_a_cpu_is_one_where_there_are_whole_ones_only),
        cmocka_unit_test (more_than_there_is_is_refused),
        cmocka_unit_test (whoever_set_the_limit_is_told),
        cmocka_unit_test (other_jobs_memory_is_the_farms_fault),
        cmocka_unit_test (refused_forks_are_told_beside_the_failure),
        cmocka_unit_test (what_no_limit_did_stays_as_it_is),
        cmocka_unit_test (events_are_read),
    };
    if (sodium_init () < 0)
        return 1;
    allowance = allowance_new (&settings);
    int rc = cmocka_run_group_tests (tests, NULL, NULL);
    allowance_destroy (&allowance);
    return rc;
}
