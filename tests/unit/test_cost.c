/* test_cost.c - what the database has to do for one build does not grow with those that are remembered: counted in steps of SQLite's
 * machine, so that no clock is needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <sqlite3.h>

#include "common/mem.h"
#include "coordinator/engine_private.h"
#include "engines.h"

enum { REMEMBERED = 5000, STEPS = 100 };

static int64_t steps;           /* in hundreds */

static int count_steps (void *unused)
{
    (void) unused;
    steps++;
    return 0;
}

/* Of each connection that is opened, so of the engine's. */
static int watch_connection (sqlite3 *handle, char **text, const struct sqlite3_api_routines *unused)
{
    (void) text;
    (void) unused;
    sqlite3_progress_handler (handle, STEPS, count_steps, NULL);
    return SQLITE_OK;
}

/* As if so many had been built under the tag. */
static void remember_builds (farm_t *farm)
{
    err_t err = { 0 };
    AUTO_FREE char *sql = mem_printf (
        "INSERT INTO builds (principal, request, spec, repository, state, created_ms, ended_ms) WITH RECURSIVE number (i) AS (SELECT 1 UNION ALL "
        "SELECT i + 1 FROM number WHERE i < %d) SELECT %lld, 'r' || i, '{}', 'r.lan/app', 'cancelled', 0, 4102444800000 FROM number; "
        "INSERT INTO jobs (build, position, platform, may_emulate, state) SELECT id, 0, 'linux/amd64', 0, 'cancelled' FROM builds WHERE spec = '{}'; "
        "INSERT INTO build_tags (build, position, reference) SELECT id, 0, 'r.lan/app:1' FROM builds WHERE spec = '{}'", REMEMBERED, (long long) farm->ann);
    if (db_exec (farm->engine->db, sql, &err) < 0)
        fail_msg ("%s", err.text);
}

/* Far fewer than one for each of them. */
static void assert_cheap (int64_t since)
{
    if ((steps - since) * STEPS > REMEMBERED)
        fail_msg ("%lld steps with %d builds", (long long) (steps - since) * STEPS, REMEMBERED);
}

static void an_index_is_handed_out_however_often_its_tag_was_published (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    remember_builds (farm);
    worker_join (farm, &worker, "one", "linux/amd64", 1);
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    assert_true (worker_push (farm, &worker, worker_task (farm, &worker)));
    int64_t since = steps;
    farm_verify (farm, NULL);
    assert_non_null (farm_action (farm, ACTION_PUBLISH, 0));
    assert_cheap (since);
}

static void lanes_are_tidied_however_many_jobs_there_were (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "one", "linux/amd64", 1);
    farm_cancel (farm, farm->ann, farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1"));
    assert_int_equal (farm->engine->lane_count, 1);
    remember_builds (farm);
    int64_t since = steps;
    farm_pass (farm, 3600000);
    assert_int_equal (farm->engine->lane_count, 0);
    assert_cheap (since);
}

static void jobs_of_a_lost_context_are_found_however_many_there_were (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    remember_builds (farm);
    worker_join (farm, &worker, "one", "linux/amd64", 1);
    int64_t since = steps;
    farm_say (farm, "lost", 0, 0, json_pack ("{s:s}", "root", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"));
    assert_cheap (since);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, farm_setup, farm_teardown)

int main (void)
{
    if (sodium_init () < 0 || sqlite3_auto_extension ((void (*) (void)) watch_connection) != SQLITE_OK)
        return 99;
    const struct CMUnitTest tests [] = {
        TEST (an_index_is_handed_out_however_often_its_tag_was_published),
        TEST (lanes_are_tidied_however_many_jobs_there_were),
        TEST (jobs_of_a_lost_context_are_found_however_many_there_were),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
