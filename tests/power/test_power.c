/* test_power.c - the power fails, at each moment of a day of the queue: whatever the disk holds then, the queue opens, is whole, and
 * knows each build that was acknowledged and how it had ended.
 *
 * POWER_STATES=N: so many states of the disk; POWER_SEED=S: other chances. */
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
#include "coordinator/db.h"
#include "coordinator/engine_private.h"
#include "disk.h"
#include "engines.h"

enum { STATES = 600, BUILDS = 60, WORKERS = 3, PROMISES_MAX = 4096 };

/* What somebody has been told, and from which moment on it has to hold. */
typedef struct {
    size_t moment;
    int64_t build;
    char state [16];            /* "" it is there; or how it ended */
} promise_t;

static promise_t promises [PROMISES_MAX];
static size_t promise_count;

static void promise (int64_t build, const char *state)
{
    assert_true (promise_count < PROMISES_MAX);
    promise_t *one = &promises [promise_count++];
    *one = (promise_t) { .moment = disk_moments (), .build = build };
    snprintf (one->state, sizeof one->state, "%s", state);
}

/* -- a day of the queue ----------------------------------------------------------------------------------------- */

/* How the build has ended, if it has. */
static void note_end (farm_t *farm, int64_t build)
{
    const char *state = farm_shows (farm, build, "state");
    if (strcmp (state, "published") == 0 || strcmp (state, "failed") == 0 || strcmp (state, "cancelled") == 0)
        promise (build, state);
}

/* Each job that a worker has goes a way of its own: most to the end, some fail, some are tried again. */
static void work (farm_t *farm, worker_t *worker, int turn)
{
    task_t task = worker_task (farm, worker);
    static const char *const faults [] = { "build", "full", "verify", "network" };
    if (task.job == 0)
        return;
    if (turn % 4 == 3) {
        worker_fail (farm, worker, task, faults [turn / 4 % 4]);
        return;
    }
    worker_push (farm, worker, task);
    farm_verify (farm, NULL);
    if (farm_action (farm, ACTION_PUBLISH, 0))
        farm_publish (farm, turn % 5 == 1 ? "registry-denied" : NULL);
}

static void submit_one (farm_t *farm, int turn, int64_t *builds)
{
    static const char *const platforms [] = { "linux/amd64", "linux/amd64,linux/arm64", "linux/arm64" };
    AUTO_FREE char *tag = mem_printf ("r.lan/app%d:%d", turn % 3, turn % 7);
    builds [turn] = farm_submit (farm, turn % 2 ? farm->ann : farm->bob, platforms [turn % 3], tag);
    assert_true (builds [turn] > 0);
    promise (builds [turn], "");
}

/* The day is short: else the log would be written back at its ends alone, and never begun anew. */
static void write_back_often (farm_t *farm)
{
    err_t err = { 0 };
    if (db_exec (farm->engine->db, "PRAGMA wal_autocheckpoint = 40", &err) < 0)
        fail_msg ("%s", err.text);
}

static void live_through_a_day (farm_t *farm)
{
    worker_t workers [WORKERS];
    int64_t builds [BUILDS];
    write_back_often (farm);
    worker_join (farm, &workers [0], "amd", "linux/amd64", 2);
    worker_join (farm, &workers [1], "arm", "linux/arm64", 1);
    worker_join (farm, &workers [2], "both", "linux/amd64,linux/arm64*", 1);
    for (int turn = 0; turn < BUILDS; turn++) {
        submit_one (farm, turn, builds);
        if (turn % 9 == 8)
            farm_cancel (farm, farm->admin, builds [turn - 1]);
        for (int i = 0; i < WORKERS; i++) {
            worker_beat (farm, &workers [i], NULL, 0);      /* whatever it had is lost, and queued again */
            work (farm, &workers [i], turn + i);
        }
        farm_pass (farm, 30000);
        for (int i = 0; i <= turn; i++)
            note_end (farm, builds [i]);
        if (turn % 20 == 19) {
            farm_reopen (farm);
            write_back_often (farm);
        }
    }
}

/* -- each moment ------------------------------------------------------------------------------------------------ */

static int64_t number_of (db_t *db, const char *sql)
{
    err_t err = { 0 };
    query_t query = db_query (db, sql);
    int64_t number = query_step (&query) ? query_get_int (&query, 0) : -1;
    return query_end (&query, &err) < 0 ? -1 : number;
}

static void check_whole (const char *path, size_t moment)
{
    err_t err = { 0 };
    db_t *db = NULL;
    if (db_open (&db, path, &err) < 0)
        fail_msg ("moment %zu: %s", moment, err.text);
    query_t query = db_query (db, "PRAGMA integrity_check");
    if (!query_step (&query) || strcmp (query_get_text (&query, 0), "ok") != 0)
        fail_msg ("moment %zu: %s", moment, query_get_text (&query, 0));
    query_end (&query, &err);
    if (number_of (db, "SELECT count (*) FROM pragma_foreign_key_check") != 0)
        fail_msg ("moment %zu: rows that refer to nothing", moment);
    db_destroy (&db);
}

static void check_promises (farm_t *farm, size_t moment)
{
    for (size_t i = 0; i < promise_count && promises [i].moment <= moment; i++) {
        const promise_t *one = &promises [i];
        const char *state = farm_shows (farm, one->build, "state");
        if (!*state)
            fail_msg ("moment %zu: build %lld was acknowledged at moment %zu, and is not there", moment, (long long) one->build, one->moment);
        if (*one->state && strcmp (state, one->state) != 0)
            fail_msg ("moment %zu: build %lld was %s, and is %s", moment, (long long) one->build, one->state, state);
    }
}

/* Before the first migration there is no queue that could be asked. */
static void check_moment (farm_t *farm, size_t moment, disk_loss loss, uint64_t *random)
{
    AUTO_FREE char *path = file_join (farm->folder, "restored");
    disk_restore (moment, loss, random, path);
    snprintf (farm->path, sizeof farm->path, "%s/farm.db", path);
    check_whole (farm->path, moment);
    farm_open (farm);
    check_promises (farm, moment);
    farm_pass (farm, 1000);                                 /* and it goes on */
    farm_close (farm);
}

static void whatever_the_disk_holds_the_queue_is_whole (void **state)
{
    farm_t *farm = *state;
    const char *states_text = getenv ("POWER_STATES"), *seed = getenv ("POWER_SEED");
    size_t states = states_text ? (size_t) atoll (states_text) : STATES;
    uint64_t random = seed ? (uint64_t) atoll (seed) : 1;
    live_through_a_day (farm);
    farm_close (farm);
    disk_leave ();
    size_t moments = disk_moments ();
    print_message ("# %zu moments, %zu promises, %zu states\n", moments, promise_count, states);
    for (size_t i = 0; i < states; i++)
        check_moment (farm, 1 + i * (moments - 1) / states, (disk_loss) (i % LOSE_KINDS), &random);
    farm_open (farm);                                       /* for the teardown */
}

static int start (void **state)
{
    disk_install ();
    setenv ("TMPDIR", "/dev/shm", 0);
    return farm_setup (state);
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
    const struct CMUnitTest tests [] = {
        cmocka_unit_test_setup_teardown (whatever_the_disk_holds_the_queue_is_whole, start, farm_teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
