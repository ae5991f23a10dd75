/* test_schedules.c - builds by the clock: each time once, whatever restarts; what was missed, what overlaps, what is unchanged; whose they
 * are. The farm's clock begins at 2023-11-14T22:30Z. */
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

enum { MINUTE = 60000, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

#define SAYS(farm, name, path, what) assert_string_equal (shows (farm, name, path), what)

/* -- words ------------------------------------------------------------------------------------------------------ */

/* extra: further fields, taken; NULL for none. True when it was added. */
static bool add (farm_t *farm, int64_t principal, const char *name, const char *cron, json_t *extra)
{
    json_t *header = json_pack ("{s:s, s:s, s:s, s:o}", "name", name, "cron", cron, "zone", "UTC", "spec", spec_of ("linux/amd64", "r.lan/app"));
    if (extra)
        json_object_update_new (header, extra);
    farm_say (farm, "add-schedule", peer_of (principal), principal, header);
    return farm_sent (farm, peer_of (principal), "schedule-state") != NULL;
}

static bool order (farm_t *farm, int64_t principal, const char *name, const char *what)
{
    json_t *header = json_pack ("{s:s, s:s}", "name", name, "order", what);
    if (strcmp (what, "run") == 0)
        json_object_set_new (header, "request", json_sprintf ("%032llx", (unsigned long long) ++farm->requests));
    farm_say (farm, "order-schedule", peer_of (principal), principal, header);
    return farm_sent (farm, peer_of (principal), "schedule-state") != NULL;
}

/* As farm_shows, of a schedule. */
static const char *shows (farm_t *farm, const char *name, const char *path)
{
    static char texts [4] [1024];
    static int turn;
    char *text = texts [turn++ % 4];
    actions_t kept = farm->actions;
    farm->actions = (actions_t) { 0 };
    farm_say (farm, "schedule", 999, farm->admin, json_pack ("{s:s, s:i}", "name", name, "count", 3));
    const json_t *at = json_object_get (farm_sent (farm, 999, "schedule-state"), "schedule");
    AUTO_FREE char *copy = mem_strdup (path);
    char *rest = NULL;
    for (char *step = strtok_r (copy, "/", &rest); step && at; step = strtok_r (NULL, "/", &rest))
        at = json_is_array (at) ? json_array_get (at, (size_t) atoi (step)) : json_object_get (at, step);
    AUTO_FREE char *dump = at ? json_dumps (at, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    snprintf (text, sizeof texts [0], "%s", json_is_string (at) ? json_string_value (at) : dump ? dump : "");
    actions_free (&farm->actions);
    farm->actions = kept;
    return text;
}

static int64_t count (farm_t *farm, const char *sql)
{
    query_t query = db_query (farm->engine->db, sql);
    int64_t number = query_step (&query) ? query_get_int (&query, 0) : -1;
    assert_int_equal (query_end (&query, NULL), 0);
    return number;
}

static int64_t builds (farm_t *farm)
{
    return count (farm, "SELECT count (*) FROM builds");
}

static void change (farm_t *farm, const char *sql)
{
    err_t err;
    if (db_exec (farm->engine->db, sql, &err) < 0)
        fail_msg ("%s", err.text);
}

/* The coordinator does not run for that long. */
static void outage (farm_t *farm, int64_t ms)
{
    farm_close (farm);
    farm->now += ms;
    farm_open (farm);
    farm_pass (farm, 0);
}

/* -- times ------------------------------------------------------------------------------------------------------ */

static void each_time_is_one_build (void **state)
{
    farm_t *farm = *state;
    assert_true (add (farm, farm->ann, "hourly", "0 * * * *", json_pack ("{s:o}", "spec", spec_of ("linux/amd64", "r.lan/app:n-{date}-{build},r.lan/app:new"))));
    SAYS (farm, "hourly", "state", "active");
    SAYS (farm, "hourly", "next/text", "2023-11-14T23:00+00:00");
    SAYS (farm, "hourly", "next_times/2/text", "2023-11-15T01:00+00:00");
    SAYS (farm, "hourly", "last", "null");
    farm_pass (farm, 30 * MINUTE - 1);
    assert_int_equal (builds (farm), 0);
    farm_pass (farm, 1);
    assert_int_equal (builds (farm), 1);
    SAYS (farm, "hourly", "last/outcome", "running");
    SAYS (farm, "hourly", "last/build", "1");
    assert_string_equal (farm_shows (farm, 1, "user"), "ann");
    assert_string_equal (farm_shows (farm, 1, "schedule"), "hourly");
    assert_string_equal (farm_shows (farm, 1, "tags"), "[\"r.lan/app:n-2023-11-14-1\",\"r.lan/app:new\"]");
    assert_int_equal (count (farm, "SELECT class FROM jobs WHERE build = 1"), 2);
    farm_pass (farm, 3 * HOUR);
    assert_int_equal (builds (farm), 4);
    assert_string_equal (farm_shows (farm, 4, "tags/0"), "r.lan/app:n-2023-11-15-4");
    SAYS (farm, "hourly", "firings/1/outcome", "built");
    SAYS (farm, "hourly", "firings/1/build_state", "failed");           /* no worker came */
    assert_int_equal (count (farm, "SELECT count (*) FROM firings"), 4);
}

/* The process is killed before the tick, in the middle of its batch, and after it. */
static void restarts_change_nothing (void **state)
{
    farm_t *farm = *state;
    err_t err;
    assert_true (add (farm, farm->ann, "hourly", "0 * * * *", NULL));
    for (int i = 1; i <= 5; i++) {
        farm_pass (farm, i == 1 ? 30 * MINUTE - 1 : HOUR - 1);
        farm_reopen (farm);
        farm->now++;
        farm_begin (farm);
        farm_add (farm, "tick", 0, 0, NULL);
        farm_close (farm);
        assert_int_equal (engine_open (&farm->engine, farm->path, &farm->settings, farm->now, &err), 0);
        assert_int_equal (builds (farm), i - 1);
        farm_pass (farm, 0);
        assert_int_equal (builds (farm), i);
        farm_reopen (farm);
        farm_pass (farm, 0);
        assert_int_equal (builds (farm), i);
    }
    assert_int_equal (count (farm, "SELECT count (*) FROM firings WHERE outcome = 'missed'"), 0);
}

static void what_was_missed (void **state)
{
    farm_t *farm = *state;
    assert_true (add (farm, farm->ann, "none", "0 * * * *", NULL));
    assert_true (add (farm, farm->ann, "last", "0 * * * *", json_pack ("{s:s}", "catch_up", "last")));
    outage (farm, 3 * HOUR);                                    /* 01:30 */
    assert_int_equal (builds (farm), 1);
    SAYS (farm, "none", "last/outcome", "missed");
    SAYS (farm, "none", "last/times", "3");
    SAYS (farm, "none", "next/text", "2023-11-15T02:00+00:00");
    SAYS (farm, "last", "last/outcome", "running");
    SAYS (farm, "last", "last/text", "30 minutes late (--catch-up last)");
    SAYS (farm, "last", "firings/1/outcome", "missed");
    SAYS (farm, "last", "firings/1/times", "2");
    farm_pass (farm, 30 * MINUTE);
    SAYS (farm, "none", "last/outcome", "running");
    outage (farm, HOUR + 40000);                                /* not late */
    assert_int_equal (count (farm, "SELECT count (*) FROM firings WHERE outcome = 'missed'"), 2);
    farm_pass (farm, 20 * MINUTE);                              /* no worker comes */
    outage (farm, 400 * (int64_t) DAY + 10 * MINUTE);           /* what is too old is forgotten */
    SAYS (farm, "none", "last/times", "1001");
    SAYS (farm, "last", "last/outcome", "running");
    assert_true (count (farm, "SELECT count (*) FROM firings") <= 4);
}

/* By an administrator, or a time server. */
static void the_clock_is_put_back (void **state)
{
    farm_t *farm = *state;
    assert_true (add (farm, farm->ann, "hourly", "0 * * * *", NULL));
    farm_pass (farm, 30 * MINUTE);
    farm->now -= 45 * MINUTE;
    farm_pass (farm, 50 * MINUTE);
    assert_int_equal (builds (farm), 1);
    assert_true (order (farm, farm->ann, "hourly", "resume"));          /* also where the next time is reckoned anew */
    farm->now -= 40 * MINUTE;
    farm_pass (farm, 50 * MINUTE);
    assert_int_equal (builds (farm), 1);
    SAYS (farm, "hourly", "last/outcome", "built");
    farm_pass (farm, HOUR);
    assert_int_equal (builds (farm), 2);
}

/* -- overlap ---------------------------------------------------------------------------------------------------- */

static void add_overlapping (farm_t *farm, const char *overlap)
{
    json_t *spec = spec_of ("linux/amd64", "r.lan/app");
    json_object_set_new (spec, "queue_timeout_ms", json_integer (100 * (int64_t) DAY));
    assert_true (add (farm, farm->ann, "s", "0 * * * *", json_pack ("{s:s, s:o}", "overlap", overlap, "spec", spec)));
    farm_pass (farm, 30 * MINUTE + HOUR);
}

static void an_overlap_is_skipped (void **state)
{
    farm_t *farm = *state;
    add_overlapping (farm, "skip");
    assert_int_equal (builds (farm), 1);
    SAYS (farm, "s", "last/outcome", "skipped");
    SAYS (farm, "s", "last/text", "build 1 of an earlier time had not ended");
    assert_false (order (farm, farm->ann, "s", "run"));
    assert_string_equal (farm_error_text (farm, peer_of (farm->ann)), "build 1 of an earlier time had not ended: wait for it, or cancel it");
    farm_cancel (farm, farm->ann, 1);
    farm_pass (farm, MINUTE);
    assert_int_equal (builds (farm), 1);
    farm_pass (farm, HOUR);
    assert_int_equal (builds (farm), 2);
}

static void an_overlap_waits (void **state)
{
    farm_t *farm = *state;
    add_overlapping (farm, "queue");
    assert_int_equal (builds (farm), 1);
    SAYS (farm, "s", "last/outcome", "waiting");
    farm_pass (farm, HOUR);
    SAYS (farm, "s", "last/outcome", "skipped");
    SAYS (farm, "s", "firings/1/outcome", "waiting");
    farm_reopen (farm);
    farm_pass (farm, MINUTE);
    assert_int_equal (builds (farm), 1);
    farm_cancel (farm, farm->ann, 1);
    farm_pass (farm, 0);
    assert_int_equal (builds (farm), 2);
    SAYS (farm, "s", "firings/1/build", "2");
    farm_pass (farm, HOUR);
    SAYS (farm, "s", "last/outcome", "waiting");
    assert_true (order (farm, farm->ann, "s", "pause"));
    SAYS (farm, "s", "last/outcome", "skipped");
    SAYS (farm, "s", "last/text", "paused by ann");
    farm_cancel (farm, farm->ann, 2);
    farm_pass (farm, MINUTE);
    assert_int_equal (builds (farm), 2);
}

static void an_overlap_takes_the_place (void **state)
{
    farm_t *farm = *state;
    add_overlapping (farm, "cancel-old");
    assert_int_equal (builds (farm), 2);
    assert_string_equal (farm_shows (farm, 1, "state"), "cancelled");
    assert_string_equal (farm_shows (farm, 1, "reason"), "the next time of schedule s has come");
    SAYS (farm, "s", "last/build", "2");
    SAYS (farm, "s", "firings/1/outcome", "built");
}

/* -- unchanged -------------------------------------------------------------------------------------------------- */

static json_t *bases_of (const char *digest)
{
    return json_pack ("[{s:s, s:s}]", "reference", "r.lan/base:1", "digest", digest);
}

#define BASE "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* The last step has assigned it. */
static void publish (farm_t *farm, worker_t *worker, json_t *bases)
{
    task_t task = worker_task (farm, worker);
    assert_true (task.job > 0);
    static const char *const states [] = { "fetching", "building", "pushing" };
    for (int i = 0; i < 3; i++)
        assert_true (worker_report (farm, worker, task, states [i], NULL));
    json_t *extra = json_pack ("{s:s}", "digest", digest_of_task (task));
    if (bases)
        json_object_set_new (extra, "bases", bases);
    assert_true (worker_report (farm, worker, task, "pushed", extra));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
}

static void looked (farm_t *farm, const json_t *task, const char *change)
{
    json_t *header = json_pack ("{s:O, s:O, s:b}", "schedule", json_object_get (task, "schedule"), "scheduled_ms",
                                json_object_get (task, "scheduled_ms"), "ok", change == NULL);
    if (change)
        json_object_update_new (header, json_pack ("{s:s, s:s}", "code", "stale", "text", change));
    farm_say (farm, "looked", 0, 0, header);
}

static void beat (farm_t *farm, worker_t *worker, int64_t ms)
{
    for (; ms > 20000; ms -= 20000) {
        farm_pass (farm, 20000);
        worker_beat (farm, worker, NULL, 0);
    }
    farm_pass (farm, ms);
}

static void what_is_unchanged_is_not_built (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    assert_true (add (farm, farm->ann, "s", "0 * * * *", json_pack ("{s:b}", "if_changed", 1)));
    beat (farm, &amd, 30 * MINUTE);
    publish (farm, &amd, bases_of (BASE));
    assert_string_equal (farm_shows (farm, 1, "state"), "published");
    beat (farm, &amd, HOUR);
    const json_t *task = farm_action (farm, ACTION_LOOK, 0);
    assert_non_null (task);
    assert_string_equal (json_string_value (json_object_get (task, "repository")), "r.lan/app");
    assert_string_equal (json_string_value (json_object_get (json_array_get (json_object_get (task, "bases"), 0), "digest")), BASE);
    SAYS (farm, "s", "last/outcome", "looking");
    looked (farm, task, NULL);
    SAYS (farm, "s", "last/outcome", "unchanged");
    SAYS (farm, "s", "unchanged_since", "1");
    assert_int_equal (builds (farm), 1);
    beat (farm, &amd, HOUR);
    AUTO_JSON json_t *second = json_deep_copy (farm_action (farm, ACTION_LOOK, 0));
    farm_reopen (farm);                                         /* nobody looks any more */
    worker_hello (farm, &amd, NULL, 0);
    farm_pass (farm, 0);
    task = farm_action (farm, ACTION_LOOK, 0);
    assert_non_null (task);
    looked (farm, task, "the base image r.lan/base:1 has changed");
    assert_int_equal (builds (farm), 2);
    SAYS (farm, "s", "last/text", "the base image r.lan/base:1 has changed");
    SAYS (farm, "s", "unchanged_since", "null");
    publish (farm, &amd, bases_of (BASE));
    looked (farm, second, "it comes late");                     /* and twice */
    assert_int_equal (builds (farm), 2);
    assert_true (add (farm, farm->ann, "s", "0 * * * *", json_pack ("{s:b, s:b, s:o}", "if_changed", 1, "replace", 1, "spec",
                                                                    spec_of ("linux/amd64", "r.lan/app:2"))));
    beat (farm, &amd, HOUR);
    assert_int_equal (builds (farm), 3);                        /* other options */
    publish (farm, &amd, NULL);                                 /* nobody knows what it stands on */
    beat (farm, &amd, HOUR);
    assert_null (farm_action (farm, ACTION_LOOK, 0));
    assert_int_equal (builds (farm), 4);
    publish (farm, &amd, json_array ());                        /* on nothing */
    beat (farm, &amd, HOUR);
    assert_null (farm_action (farm, ACTION_LOOK, 0));
    assert_int_equal (builds (farm), 4);
    SAYS (farm, "s", "unchanged_since", "4");
    assert_true (order (farm, farm->ann, "s", "run"));          /* whoever says so has it built */
    assert_int_equal (builds (farm), 5);
}

/* -- orders ----------------------------------------------------------------------------------------------------- */

static void orders (void **state)
{
    farm_t *farm = *state;
    assert_true (add (farm, farm->ann, "s", "0 * * * *", NULL));
    assert_false (order (farm, farm->bob, "s", "pause"));
    assert_string_equal (farm_error (farm, peer_of (farm->bob)), "denied");
    assert_false (order (farm, farm->viewer, "s", "pause"));
    assert_string_equal (farm_error (farm, peer_of (farm->viewer)), "denied");
    assert_true (order (farm, farm->admin, "s", "pause"));
    SAYS (farm, "s", "state", "paused");
    SAYS (farm, "s", "reason", "paused by root");
    SAYS (farm, "s", "next", "null");
    farm_pass (farm, 90 * MINUTE);
    assert_int_equal (builds (farm), 0);
    assert_true (order (farm, farm->ann, "s", "resume"));
    assert_int_equal (count (farm, "SELECT count (*) FROM firings"), 0);
    assert_true (order (farm, farm->admin, "s", "run"));
    assert_int_equal (json_integer_value (json_object_get (farm_sent (farm, peer_of (farm->admin), "schedule-state"), "build")), 1);
    assert_string_equal (farm_shows (farm, 1, "user"), "ann");
    SAYS (farm, "s", "last/by_hand", "true");
    json_t *again = json_pack ("{s:s, s:s, s:s}", "name", "s", "order", "run", "request", "");
    json_object_set_new (again, "request", json_sprintf ("%032llx", (unsigned long long) farm->requests));
    farm_say (farm, "order-schedule", peer_of (farm->admin), farm->admin, again);
    assert_int_equal (json_integer_value (json_object_get (farm_sent (farm, peer_of (farm->admin), "schedule-state"), "build")), 1);
    assert_int_equal (builds (farm), 1);
    assert_true (order (farm, farm->ann, "s", "remove"));
    assert_string_equal (farm_shows (farm, 1, "state"), "queued");
    assert_string_equal (farm_shows (farm, 1, "schedule"), "null");
    farm_cancel (farm, farm->ann, 1);
    farm_pass (farm, DAY);
    assert_int_equal (builds (farm), 1);
    assert_false (order (farm, farm->ann, "s", "run"));
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "not-found");
}

static void adding (void **state)
{
    farm_t *farm = *state;
    uint64_t ann = peer_of (farm->ann);
    static const struct { const char *cron, *zone, *tags, *words; } cases [] = {
        { "0 25 * * *", "UTC", "r.lan/a", "times \"0 25 * * *\": hour \"25\": it can be 0 to 23" }, { "0 2 * * *", "Europe/Nowhere", "r.lan/a", "there is no time zone" },
        { "0 2 * * *", "UTC", "r.lan/a:{commit}", "the context is a folder or an archive, and has no commit" }, { "0 2 * * *", "UTC", "r.lan/a:{when}", "only {date}, {commit} and {build}" },
        { "0 2 * * *", "UTC", "r.lan/{build}:1", "behind the colon" }, { "0 2 * * *", "UTC", "r.lan/{build}", "behind the colon" }, { "0 2 * * *", "UTC", "r.lan/A:{date}", "r.lan/A" },
        { "0 2 * * *", "UTC", "r.lan/a,s.lan/a", "tags in two registries" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_false (add (farm, farm->ann, "s", cases [i].cron, json_pack ("{s:s, s:o}", "zone", cases [i].zone, "spec", spec_of ("linux/amd64", cases [i].tags))));
        assert_string_equal (farm_error (farm, ann), "usage");
        if (!strstr (farm_error_text (farm, ann), cases [i].words))
            fail_msg ("%s: %s", cases [i].words, farm_error_text (farm, ann));
    }
    json_t *secret = spec_of ("linux/amd64", "r.lan/app");
    json_object_set_new (secret, "secrets", json_pack ("[s]", "token"));
    assert_false (add (farm, farm->ann, "s", "0 2 * * *", json_pack ("{s:o}", "spec", secret)));
    assert_non_null (strstr (farm_error_text (farm, ann), "cannot have secrets"));
    assert_false (add (farm, farm->viewer, "s", "0 2 * * *", NULL));
    assert_string_equal (farm_error (farm, peer_of (farm->viewer)), "denied");
    farm_say (farm, "add-schedule", ann, farm->ann, json_pack ("{s:s, s:s, s:s}", "name", "s", "cron", "0 2 * * *", "zone", "UTC"));
    assert_non_null (farm_sent (farm, ann, "fine"));            /* only asked */
    assert_int_equal (count (farm, "SELECT count (*) FROM schedules"), 0);
    assert_true (add (farm, farm->ann, "s", "0 2 * * *", NULL));
    assert_true (add (farm, farm->ann, "s", "0 2 * * *", NULL));        /* asked again */
    assert_false (add (farm, farm->ann, "s", "0 3 * * *", NULL));
    assert_non_null (strstr (farm_error_text (farm, ann), "--replace changes it"));
    assert_false (add (farm, farm->bob, "s", "0 3 * * *", json_pack ("{s:b}", "replace", 1)));
    assert_string_equal (farm_error (farm, peer_of (farm->bob)), "denied");
    assert_true (add (farm, farm->ann, "s", "0 3 * * *", json_pack ("{s:b}", "replace", 1)));
    SAYS (farm, "s", "next/text", "2023-11-15T03:00+00:00");
    farm_say (farm, "schedule", 1, farm->bob, json_pack ("{s:s}", "name", "s"));
    assert_string_equal (farm_error (farm, 1), "denied");
    farm_say (farm, "schedules", 1, farm->bob, json_object ());
    assert_int_equal (json_array_size (json_object_get (farm_sent (farm, 1, "schedule-list"), "schedules")), 0);
    farm_say (farm, "schedules", ann, farm->ann, json_object ());
    assert_int_equal (json_array_size (json_object_get (farm_sent (farm, ann, "schedule-list"), "schedules")), 1);
}

static void a_long_list_comes_in_pages (void **state)
{
    farm_t *farm = *state;
    AUTO_JSON json_t *names = json_object ();
    const char *after = "0";
    char name [32];
    int pages = 0;
    for (int i = 0; i < 200; i++) {
        snprintf (name, sizeof name, "schedule-%03d", i);
        assert_true (add (farm, farm->ann, name, "H H * * *", NULL));
    }
    for (bool more = true; more; pages++) {
        farm_say (farm, "schedules", 1, farm->viewer, json_pack ("{s:s}", "after", after));
        const json_t *page = farm_sent (farm, 1, "schedule-list"), *all = json_object_get (page, "schedules");
        for (size_t i = 0; i < json_array_size (all); i++)
            json_object_set_new (names, after = json_string_value (json_object_get (json_array_get (all, i), "name")), json_true ());
        snprintf (name, sizeof name, "%s", after);
        after = name;
        more = json_is_true (json_object_get (page, "has_more"));
    }
    assert_int_equal (json_object_size (names), 200);
    assert_true (pages > 1);
}

/* -- what goes wrong -------------------------------------------------------------------------------------------- */

static void it_ends_with_its_owners_right (void **state)
{
    farm_t *farm = *state;
    assert_true (add (farm, farm->ann, "gone", "0 * * * *", NULL));
    assert_true (add (farm, farm->bob, "viewer", "0 * * * *", NULL));
    assert_true (add (farm, farm->admin, "stays", "0 * * * *", NULL));
    farm_say (farm, "revoke", peer_of (farm->admin), farm->admin, json_pack ("{s:s, s:s}", "name", "ann", "kind", "user"));
    assert_non_null (farm_sent (farm, peer_of (farm->admin), "revoked"));
    farm_say (farm, "grant", peer_of (farm->admin), farm->admin, json_pack ("{s:s, s:s}", "name", "bob", "role", "viewer"));
    assert_non_null (farm_sent (farm, peer_of (farm->admin), "user-state"));
    assert_int_equal (count (farm, "SELECT count (*) FROM schedules WHERE state = 'ended'"), 2);
    change (farm, "UPDATE schedules SET state = 'active' WHERE name = 'gone'");         /* seen to before each time, too */
    farm_reopen (farm);
    farm_pass (farm, 30 * MINUTE);
    assert_int_equal (builds (farm), 1);
    SAYS (farm, "gone", "state", "ended");
    SAYS (farm, "gone", "reason", "its owner's key was taken back");
    SAYS (farm, "viewer", "reason", "its owner, bob, may not submit any more");
    SAYS (farm, "stays", "last/outcome", "running");
    assert_false (order (farm, farm->admin, "gone", "resume"));
    assert_false (order (farm, farm->admin, "viewer", "run"));
    assert_true (order (farm, farm->admin, "gone", "remove"));
}

/* A build that cannot be: of it nothing stays, and others are not held up. */
static void what_is_refused (void **state)
{
    farm_t *farm = *state;
    json_t *spec = spec_of ("linux/amd64", "r.lan/app");
    json_object_set_new (spec, "queue_timeout_ms", json_integer (0));
    assert_true (add (farm, farm->ann, "a", "0 * * * *", json_pack ("{s:o}", "spec", spec)));
    assert_true (add (farm, farm->ann, "b", "0 * * * *", NULL));
    assert_true (add (farm, farm->ann, "c", "0 * * * *", NULL));
    assert_true (add (farm, farm->ann, "d", "0 * * * *", NULL));
    change (farm, "UPDATE schedules SET zone = 'Mars/Olympus' WHERE name = 'b'; UPDATE schedules SET spec = 'x' WHERE name = 'c'");
    farm_pass (farm, 30 * MINUTE);
    assert_int_equal (builds (farm), 1);
    SAYS (farm, "a", "last/outcome", "refused");
    assert_non_null (strstr (shows (farm, "a", "last/text"), "no worker"));
    SAYS (farm, "b", "state", "paused");
    assert_non_null (strstr (shows (farm, "b", "reason"), "there is no time zone Mars/Olympus"));
    SAYS (farm, "c", "last/outcome", "refused");
    SAYS (farm, "d", "last/outcome", "running");
    assert_int_equal (count (farm, "SELECT count (*) FROM jobs"), 1);
    farm->settings.queue_max = 1;
    farm_reopen (farm);
    farm_pass (farm, 0);
    farm->engine->live_builds = 1;
    assert_true (order (farm, farm->ann, "a", "run"));
    assert_non_null (strstr (shows (farm, "a", "last/text"), "the queue is full"));
}

static void one_user_cannot_take_all_the_room (void **state)
{
    farm_t *farm = *state;
    AUTO_FREE char *rows = mem_printf ("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) INSERT INTO schedules (name, principal, cron, zone, "
        "catch_up, overlap, if_changed, spec, created_ms) SELECT 'n' || i, %lld, '0 2 * * *', 'UTC', 'none', 'skip', 0, '{}', 1 FROM n", (long long) farm->ann);
    change (farm, rows);
    assert_true (add (farm, farm->ann, "last", "0 2 * * *", NULL));
    assert_false (add (farm, farm->ann, "more", "0 2 * * *", NULL));
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "full");
    assert_non_null (strstr (farm_error_text (farm, peer_of (farm->ann)), "you have 1000 schedules already"));
    assert_true (add (farm, farm->ann, "last", "0 3 * * *", json_pack ("{s:b}", "replace", 1)));
    assert_true (add (farm, farm->bob, "first", "0 2 * * *", NULL));
}

/* Of those alone, and of nothing else that is due in the same tick. */
static void a_limit_of_its_owner_holds_up_its_own_builds (void **state)
{
    farm_t *farm = *state;
    farm_say (farm, "grant", peer_of (farm->admin), farm->admin, json_pack ("{s:s, s:{s:i}}", "name", "ann", "limits", "max_queued", 1));
    assert_true (farm_submit (farm, farm->ann, "linux/amd64", "r.lan/first") > 0);
    assert_true (add (farm, farm->ann, "full", "* * * * *", NULL));
    assert_true (add (farm, farm->bob, "other", "* * * * *", NULL));
    farm_pass (farm, MINUTE);
    SAYS (farm, "full", "last/outcome", "refused");
    assert_non_null (strstr (shows (farm, "full", "last/text"), "of your builds are queued"));
    SAYS (farm, "other", "last/outcome", "running");
}

/* As it would at a submit; and what is refused for another reason is none. */
static void what_its_owner_may_not_any_more_is_in_the_audit_log (void **state)
{
    farm_t *farm = *state;
    static const char sql [] = "SELECT total (times) FROM audit WHERE who = 'ann' AND act = 'submit' AND outcome = 'denied' AND detail LIKE 'schedule s: you may not publish to r.lan/app,%'";
    json_t *spec = spec_of ("linux/amd64", "r.lan/app");
    json_object_set_new (spec, "queue_timeout_ms", json_integer (0));
    assert_true (add (farm, farm->ann, "s", "0 * * * *", json_pack ("{s:o}", "spec", spec)));
    farm_pass (farm, HOUR);
    SAYS (farm, "s", "last/outcome", "refused");
    assert_int_equal (count (farm, "SELECT count (*) FROM audit WHERE outcome = 'denied'"), 0);
    farm_say (farm, "grant", peer_of (farm->admin), farm->admin, json_pack ("{s:s, s:{s:[s]}}", "name", "ann", "limits", "repositories", "team/*"));
    for (int i = 1; i <= 2; i++) {
        farm_pass (farm, HOUR);
        SAYS (farm, "s", "last/outcome", "refused");
        assert_int_equal (count (farm, sql), i);
    }
    assert_true (order (farm, farm->admin, "s", "run"));
    assert_int_equal (count (farm, sql), 3);
    assert_int_equal (builds (farm), 0);
}

static int roots;
static void count_root (void *unused, const char *digest_hex, int64_t used_ms)
{
    (void) unused;
    roots += strlen (digest_hex) == 64 && used_ms == INT64_MAX;
}

static void no_log (void *unused, int64_t job, int64_t attempt)
{
    fail_msg ("%p %lld %lld", unused, (long long) job, (long long) attempt);
}

static void its_context_is_kept (void **state)
{
    farm_t *farm = *state;
    engine_plan_t plan = { .root = count_root, .log = no_log };
    int64_t forgotten;
    assert_true (add (farm, farm->ann, "s", "0 * * * *", NULL));
    assert_true (order (farm, farm->ann, "s", "pause"));
    roots = 0;
    assert_int_equal (engine_plan (farm->engine, INT64_MAX - 1, false, &plan, &forgotten, NULL), 0);
    assert_int_equal (roots, 2);
    assert_true (order (farm, farm->ann, "s", "remove"));
    assert_int_equal (engine_plan (farm->engine, INT64_MAX - 1, false, &plan, &forgotten, NULL), 0);
    assert_int_equal (roots, 2);
}

#define TEST(function) cmocka_unit_test_setup_teardown (function, farm_setup, farm_teardown)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (each_time_is_one_build), TEST (restarts_change_nothing), TEST (what_was_missed), TEST (the_clock_is_put_back),
        TEST (an_overlap_is_skipped), TEST (an_overlap_waits), TEST (an_overlap_takes_the_place), TEST (what_is_unchanged_is_not_built),
        TEST (orders), TEST (adding), TEST (a_long_list_comes_in_pages), TEST (it_ends_with_its_owners_right), TEST (what_is_refused),
        TEST (what_its_owner_may_not_any_more_is_in_the_audit_log), TEST (one_user_cannot_take_all_the_room),
        TEST (a_limit_of_its_owner_holds_up_its_own_builds), TEST (its_context_is_kept),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
