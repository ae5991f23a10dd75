/* test_schedules_month.c - a month of 200 schedules with the real engine, in which clocks are put on and back in three zones. The coordinator is
 * killed at random: before a tick, within its transaction, behind it, and for up to 20 minutes. Each time is fired exactly once.
 * SCHEDULES_SEED: another month. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "coordinator/cron.h"
#include "coordinator/engine_private.h"
#include "engines.h"

enum { SCHEDULES = 200, MINUTE = 60000, OUTAGE_MS = 20 * MINUTE };
static const int64_t begin_ms = 1772668800000, end_ms = begin_ms + 32ll * 86400000;         /* 2026-03-05T00:00Z */

static uint64_t seed = 1;
static uint64_t draw (uint64_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
}

typedef struct { char name [16]; const char *cron, *zone; } wish_t;

static wish_t wish_of (int i)
{
    static const char *const crons [] = { "H H * * *", "H H(0-3) * * *", "30 2 * * *", "H 2 * * 1-5", "@daily", "15 0 * * mon-fri", "H H * * H", "0 3 * * *",
                                          "@weekly", "H H 1,15 * *", "45 1 * * *", "0 2,14 * * *", "0 */8 * * *", "0 0 13 * 5", "*/59 2 * * *", "30 2 29 3 *" };
    static const char *const zones [] = { "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu" };
    wish_t wish = { .cron = i < 5 ? "H * * * *" : crons [i % 16], .zone = zones [i % 5] };
    snprintf (wish.name, sizeof wish.name, "s%03d", i);
    return wish;
}

static int64_t wall (const farm_t *farm)
{
    return farm->now + 1700000000000;
}

static void add_all (farm_t *farm)
{
    for (int i = 0; i < SCHEDULES; i++) {
        wish_t wish = wish_of (i);
        char tag [32];
        snprintf (tag, sizeof tag, "r.lan/%s:{date}", wish.name);
        json_t *spec = spec_of ("linux/amd64", tag);
        json_object_set_new (spec, "queue_timeout_ms", json_integer (MINUTE));      /* no worker comes: they end by themselves */
        farm_say (farm, "add-schedule", peer_of (farm->ann), farm->ann, json_pack ("{s:s, s:s, s:s, s:s, s:s, s:o}", "name", wish.name, "cron", wish.cron,
                  "zone", wish.zone, "catch_up", "last", "overlap", "queue", "spec", spec));
        assert_non_null (farm_sent (farm, peer_of (farm->ann), "schedule-state"));
    }
}

/* One that is due; killed in its middle it has not happened. */
static void tick (farm_t *farm, bool is_killed)
{
    farm_begin (farm);
    farm_add (farm, "tick", 0, 0, NULL);
    if (is_killed)
        farm_reopen (farm);
    else
        farm_commit (farm);
}

static void live_on (farm_t *farm, int *kills, int *outages)
{
    while (wall (farm) < end_ms) {
        int64_t next = engine_next_tick (farm->engine);
        farm->now = next > farm->now ? next : farm->now;
        if (draw (150) == 0) {
            farm_reopen (farm);
            ++*kills;
        }
        bool is_killed = draw (150) == 0;
        tick (farm, is_killed);
        *kills += is_killed;
        if (draw (1500) == 0) {
            farm_close (farm);
            farm->now += (int64_t) draw (OUTAGE_MS);
            farm_open (farm);
            ++*outages;
        }
    }
}

/* The firings of a schedule, oldest first; of each its build, made soon. */
static int check_schedule (farm_t *farm, int i)
{
    wish_t wish = wish_of (i);
    cron_t cron;
    zone_t *zone = NULL;
    int count = 0;
    assert_int_equal (cron_parse (&cron, wish.cron, wish.name, NULL), 0);
    assert_int_equal (zone_new (&zone, wish.zone, NULL), 0);
    int64_t due = cron_next (&cron, zone, begin_ms), last = wall (farm);
    query_t query = db_query (farm->engine->db, "SELECT scheduled_ms, outcome, builds.created_ms FROM firings JOIN schedules ON schedules.id = schedule "
                              "LEFT JOIN builds ON builds.id = build WHERE schedules.name = :name ORDER BY scheduled_ms");
    query_text (&query, ":name", wish.name);
    for (; query_step (&query); count++, due = cron_next (&cron, zone, due)) {
        int64_t at = query_get_int (&query, 0), late = query_get_int (&query, 2) - due;
        if (at != due || late < 0 || late > OUTAGE_MS + 2 * MINUTE)
            fail_msg ("%s (%s, %s): fired %lld where %lld was due, %s, after %lld ms", wish.name, wish.cron, wish.zone, (long long) at, (long long) due,
                      query_get_text (&query, 1), (long long) late);
    }
    assert_int_equal (query_end (&query, NULL), 0);
    if (due <= last - 2 * MINUTE)
        fail_msg ("%s (%s, %s): not fired at %lld", wish.name, wish.cron, wish.zone, (long long) due);
    zone_destroy (&zone);
    return count;
}

static void a_month (void **state)
{
    farm_t *farm = *state;
    int kills = 0, outages = 0, fired = 0;
    farm->now = begin_ms - 1700000000000;
    farm_reopen (farm);
    add_all (farm);
    live_on (farm, &kills, &outages);
    for (int i = 0; i < SCHEDULES; i++)
        fired += check_schedule (farm, i);
    query_t query = db_query (farm->engine->db, "SELECT count (*) FROM builds");
    assert_true (query_step (&query));
    assert_int_equal (query_get_int (&query, 0), fired);
    assert_int_equal (query_end (&query, NULL), 0);
    assert_true (fired > 5000 && kills > 300 && outages > 10);
    print_message ("# %d schedules, %d times fired once, %d kills, %d outages\n", SCHEDULES, fired, kills, outages);
}

int main (void)
{
    const struct CMUnitTest tests [] = { cmocka_unit_test_setup_teardown (a_month, farm_setup, farm_teardown) };
    if (access ("/dev/shm", W_OK) == 0)
        setenv ("TMPDIR", "/dev/shm", 0);                   /* thousands of commits */
    if (getenv ("SCHEDULES_SEED"))
        seed = strtoull (getenv ("SCHEDULES_SEED"), NULL, 10);
    return cmocka_run_group_tests (tests, NULL, NULL);
}
