/* test_news.c - which news for which event, and that of one cause there is one; that nothing is lost or made twice by restarts; who may be told
 * what. No mail server and no hook: what the courier would do is said here. The farm's clock begins at 2023-11-14T22:30Z. */
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
#include "coordinator/news_words.h"
#include "engines.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

/* -- words ------------------------------------------------------------------------------------------------------ */

/* extra is taken. "": it was added; else the error's code. */
static const char *add (farm_t *farm, int64_t principal, const char *name, json_t *extra)
{
    json_t *header = json_pack ("{s:o, s:s, s:s, s:s}", "request", json_sprintf ("%032llx", (unsigned long long) ++farm->requests), "name", name,
                                "kind", "mail", "address", "ann@example.com");
    if (extra)
        json_object_update_new (header, extra);
    farm_say (farm, "add-news", peer_of (principal), principal, header);
    return farm_error (farm, peer_of (principal));
}

static int64_t count (farm_t *farm, const char *sql)
{
    query_t query = db_query (farm->engine->db, sql);
    int64_t number = query_step (&query) ? query_get_int (&query, 0) : -1;
    assert_int_equal (query_end (&query, NULL), 0);
    return number;
}

/* A cell of the outbox: good until the next call. */
static const char *cell (farm_t *farm, const char *sql)
{
    static char text [2048];
    query_t query = db_query (farm->engine->db, sql);
    const char *value = query_step (&query) ? query_get_text (&query, 0) : "nothing";
    snprintf (text, sizeof text, "%s", value ? value : "null");
    assert_int_equal (query_end (&query, NULL), 0);
    return text;
}

/* All of the outbox, oldest first: "failed fixed". */
static const char *events (farm_t *farm)
{
    return cell (farm, "SELECT coalesce (group_concat (event, ' '), '') FROM (SELECT event FROM news ORDER BY id)");
}

static const char *title (farm_t *farm)
{
    return cell (farm, "SELECT json_extract (facts, '$.title') FROM news ORDER BY id DESC LIMIT 1");
}

/* What the courier says of a task. */
static void deliver (farm_t *farm, const json_t *task, bool is_ok, bool is_final, const char *text)
{
    farm_say (farm, "delivered", 0, 0, json_pack ("{s:O, s:b, s:b, s:s}", "id", json_object_get (task, "id"), "ok", is_ok, "final", is_final, "text", text));
}

/* The task of the last step; to the caller. */
static json_t *task (farm_t *farm)
{
    json_t *found = (json_t *) farm_action (farm, ACTION_NEWS, 0);
    assert_non_null (found);
    return json_incref (found);
}

/* All that is on its way arrives. */
static void deliver_all (farm_t *farm)
{
    farm_pass (farm, 11 * SECOND);
    while (farm_action (farm, ACTION_NEWS, 0)) {
        AUTO_JSON json_t *all = json_array ();
        for (int i = 0; farm_action (farm, ACTION_NEWS, i); i++)
            json_array_append (all, (json_t *) farm_action (farm, ACTION_NEWS, i));
        for (size_t i = 0; i < json_array_size (all); i++)
            deliver (farm, json_array_get (all, i), true, false, "");
        farm_pass (farm, 1);
    }
}

static void build (farm_t *farm, worker_t *worker, int64_t principal, const char *tag, const char *step)
{
    worker_hello (farm, worker, NULL, 0);
    farm_submit (farm, principal, "linux/amd64", tag);
    task_t job = worker_task (farm, worker);
    assert_true (job.job > 0);
    if (!step) {
        worker_push (farm, worker, job);
        farm_verify (farm, NULL);
        farm_publish (farm, NULL);
    } else
        worker_report (farm, worker, job, "failed", json_pack ("{s:s, s:s, s:s, s:i}", "code", "build", "text", "make: *** Error 1", "step", step, "exit_status", 2));
    deliver_all (farm);
}

/* -- builds ----------------------------------------------------------------------------------------------------- */

static void one_cause_is_told_once (void **state)
{
    farm_t *farm = *state;
    worker_t pi;
    worker_join (farm, &pi, "pi", "linux/amd64", 1);
    assert_string_equal (add (farm, farm->ann, "mine", NULL), "");
    build (farm, &pi, farm->ann, "r.lan/app:1", "RUN make test");
    assert_string_equal (events (farm), "failed");
    assert_string_equal (title (farm), "build 1 of r.lan/app:1 failed: linux/amd64, RUN make test: make: *** Error 1");
    build (farm, &pi, farm->ann, "r.lan/app:2", "RUN make test");               /* the same repository, the same step */
    assert_string_equal (events (farm), "failed");
    build (farm, &pi, farm->ann, "r.lan/app:2", "RUN make");
    assert_string_equal (events (farm), "failed failed");
    build (farm, &pi, farm->ann, "r.lan/app:2", "RUN make test");               /* it is still not over */
    build (farm, &pi, farm->bob, "r.lan/app:2", "RUN make test");               /* not hers */
    assert_string_equal (events (farm), "failed failed");
    build (farm, &pi, farm->ann, "r.lan/app:3", NULL);
    assert_string_equal (events (farm), "failed failed fixed");
    assert_int_equal (count (farm, "SELECT count (DISTINCT thread) FROM news"), 1);
    assert_int_equal (count (farm, "SELECT count (*) FROM news WHERE state = 'sent'"), 3);
    build (farm, &pi, farm->ann, "r.lan/app:3", NULL);                          /* nothing to fix, and successes are not asked for */
    assert_string_equal (events (farm), "failed failed fixed");
    build (farm, &pi, farm->ann, "r.lan/app:2", "RUN make test");
    assert_string_equal (events (farm), "failed failed fixed failed");
    assert_int_equal (count (farm, "SELECT count (DISTINCT thread) FROM news"), 2);
}

static void success_is_told_where_it_is_asked_for (void **state)
{
    farm_t *farm = *state;
    worker_t pi;
    worker_join (farm, &pi, "pi", "linux/amd64", 1);
    add (farm, farm->ann, "mine", json_pack ("{s:[s,s]}", "events", "failed", "succeeded"));
    build (farm, &pi, farm->ann, "r.lan/app:1", NULL);
    assert_string_equal (events (farm), "succeeded");
    build (farm, &pi, farm->ann, "r.lan/app:1", "RUN x");
    build (farm, &pi, farm->ann, "r.lan/app:1", NULL);                          /* no `fixed` for who does not take it */
    assert_string_equal (events (farm), "succeeded failed succeeded");
    int64_t cancelled = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    farm_cancel (farm, farm->ann, cancelled);
    assert_string_equal (events (farm), "succeeded failed succeeded");
}

static void what_goes_on_is_told_again_after_a_week (void **state)
{
    farm_t *farm = *state;
    worker_t pi;
    worker_join (farm, &pi, "pi", "linux/amd64", 1);
    add (farm, farm->ann, "mine", NULL);
    for (int i = 0; i < 9; i++) {
        worker_hello (farm, &pi, NULL, 0);
        build (farm, &pi, farm->ann, "r.lan/app:1", "RUN x");
        farm_pass (farm, DAY);
    }
    assert_string_equal (events (farm), "failed failed");
}

/* -- the farm's causes ------------------------------------------------------------------------------------------- */

static void a_board_that_is_down_is_one_news (void **state)
{
    farm_t *farm = *state;
    worker_t pi, pc;
    add (farm, farm->admin, "farm", json_pack ("{s:b}", "farm", 1));
    add (farm, farm->ann, "mine", json_pack ("{s:s}", "address", "own@example.com"));
    worker_join (farm, &pi, "pi", "linux/arm64", 1);
    worker_join (farm, &pc, "pc", "linux/amd64", 1);
    worker_gone (farm, &pi);
    worker_gone (farm, &pc);
    farm_pass (farm, 4 * MINUTE);
    worker_hello (farm, &pc, NULL, 0);                                          /* away, but not for long */
    for (int i = 0; i < 5; i++)
        farm_submit (farm, farm->ann, "linux/arm64", i % 2 ? "r.lan/a:1" : "r.lan/b:1");
    assert_string_equal (events (farm), "");
    for (int i = 0; i < 20; i++) {
        farm_pass (farm, 30 * SECOND);
        worker_beat (farm, &pc, NULL, 0);
    }
    assert_string_equal (cell (farm, "SELECT event || json_extract (facts, '$.worker') FROM news WHERE name = 'farm'"), "lostpi");
    assert_int_equal (count (farm, "SELECT count (*) FROM news WHERE name = 'farm'"), 1);
    assert_string_equal (farm_shows (farm, 5, "state"), "failed");
    assert_int_equal (count (farm, "SELECT count (*) FROM news WHERE name = 'mine'"), 1);           /* of five builds */
    assert_int_equal (count (farm, "SELECT json_array_length (facts, '$.also') FROM news WHERE name = 'mine'"), 4);
    assert_string_equal (cell (farm, "SELECT subject FROM news WHERE name = 'mine'"), "platform/linux/arm64");
    deliver_all (farm);
    worker_hello (farm, &pi, NULL, 0);
    farm_pass (farm, 1);
    assert_string_equal (cell (farm, "SELECT group_concat (event, ' ') FROM (SELECT event FROM news WHERE name = 'farm' ORDER BY id)"), "lost fixed");
    deliver_all (farm);
    farm_submit (farm, farm->ann, "linux/arm64", "r.lan/c:1");
    worker_push (farm, &pi, worker_task (farm, &pi));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    assert_string_equal (cell (farm, "SELECT group_concat (event, ' ') FROM (SELECT event FROM news WHERE name = 'mine' ORDER BY id)"), "failed fixed");
    assert_string_equal (cell (farm, "SELECT group_concat (event, ' ') FROM (SELECT event FROM news WHERE name = 'farm' ORDER BY id)"), "lost fixed");
}

/* A restart of the coordinator makes nobody lost, and does not make anybody forget that they are. */
static void a_lost_board_is_told_once_over_restarts (void **state)
{
    farm_t *farm = *state;
    worker_t pi;
    add (farm, farm->admin, "farm", json_pack ("{s:b}", "farm", 1));
    worker_join (farm, &pi, "pi", "linux/arm64", 1);
    for (int i = 0; i < 4; i++) {
        farm_reopen (farm);
        farm_pass (farm, 3 * MINUTE);
        worker_hello (farm, &pi, NULL, 0);
    }
    assert_string_equal (events (farm), "");
    for (int i = 0; i < 4; i++) {
        farm_reopen (farm);
        farm_pass (farm, 6 * MINUTE);
    }
    assert_string_equal (events (farm), "lost");
    farm_reopen (farm);
    farm_pass (farm, 1);
    worker_hello (farm, &pi, NULL, 0);
    farm_pass (farm, 1);
    assert_string_equal (events (farm), "lost fixed");
    farm_say (farm, "order", peer_of (farm->admin), farm->admin, json_pack ("{s:s, s:s}", "name", "pi", "mode", "paused"));
    worker_gone (farm, &pi);
    farm_pass (farm, HOUR);
    assert_string_equal (events (farm), "lost fixed");
}

static void a_quarantine_is_told_and_its_end (void **state)
{
    farm_t *farm = *state;
    worker_t pi;
    farm->settings.quarantine_ms = 300000;
    farm->settings.attempts_max = 1;
    farm_reopen (farm);
    worker_join (farm, &pi, "pi", "linux/amd64", 1);
    add (farm, farm->admin, "farm", json_pack ("{s:b, s:[s,s]}", "farm", 1, "events", "quarantined", "fixed"));
    for (int i = 0; i < 4; i++) {
        farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
        farm_pass (farm, i < 3 ? 0 : 5 * MINUTE);
        worker_hello (farm, &pi, NULL, 0);
        worker_fail (farm, &pi, worker_task (farm, &pi), "farm");
    }
    assert_string_equal (events (farm), "quarantined");
    farm_pass (farm, HOUR);
    worker_hello (farm, &pi, NULL, 0);
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    worker_push (farm, &pi, worker_task (farm, &pi));
    assert_string_equal (events (farm), "quarantined fixed");
}

/* -- schedules ---------------------------------------------------------------------------------------------------- */

static void schedule (farm_t *farm, int64_t principal, const char *name, const char *cron)
{
    farm_say (farm, "add-schedule", peer_of (principal), principal, json_pack ("{s:s, s:s, s:s, s:o}", "name", name, "cron", cron, "zone", "UTC", "spec",
                                                                               spec_of ("linux/amd64", "r.lan/app")));
    assert_non_null (farm_sent (farm, peer_of (principal), "schedule-state"));
}

static void an_outage_is_one_news (void **state)
{
    farm_t *farm = *state;
    for (int i = 0; i < 40; i++) {
        AUTO_FREE char *name = mem_printf ("s%02d", i);
        schedule (farm, i % 2 ? farm->ann : farm->bob, name, "0 * * * *");
    }
    add (farm, farm->admin, "farm", json_pack ("{s:b}", "farm", 1));
    add (farm, farm->ann, "mine", json_pack ("{s:s}", "address", "own@example.com"));
    add (farm, farm->ann, "one", json_pack ("{s:s, s:s}", "address", "one@example.com", "schedule", "s01"));
    for (int i = 0; i < 2; i++) {
        farm_close (farm);
        farm->now += 3 * HOUR;
        farm_open (farm);
        farm_pass (farm, SECOND);
        assert_int_equal (count (farm, "SELECT count (*) FROM news WHERE event <> 'missed'"), 0);
        assert_int_equal (count (farm, "SELECT count (*) FROM news"), 3 * (i + 1));
        deliver_all (farm);
    }
    assert_int_equal (count (farm, "SELECT json_array_length (facts, '$.also') FROM news WHERE name = 'farm'"), 39);
    assert_int_equal (count (farm, "SELECT json_array_length (facts, '$.also') FROM news WHERE name = 'mine'"), 19);
    assert_string_equal (cell (farm, "SELECT json_extract (facts, '$.title') FROM news WHERE name = 'one'"), "s01 did not run: the coordinator did not run then (3 times)");
}

static void a_schedule_that_cannot_run_is_told_once (void **state)
{
    farm_t *farm = *state;
    worker_t pi;
    schedule (farm, farm->ann, "nightly", "0 * * * *");
    add (farm, farm->ann, "mine", json_pack ("{s:s}", "schedule", "nightly"));
    farm_pass (farm, 29 * MINUTE);
    farm_submit (farm, farm->bob, "linux/arm64", "r.lan/x:1");
    farm->settings.queue_max = 1;
    farm_reopen (farm);
    farm_pass (farm, MINUTE);
    assert_string_equal (cell (farm, "SELECT outcome FROM firings"), "refused");
    assert_string_equal (events (farm), "missed");
    for (int i = 0; i < 3; i++) {
        farm_pass (farm, 59 * MINUTE);
        farm_submit (farm, farm->bob, "linux/arm64", "r.lan/x:1");
        farm_pass (farm, MINUTE);
        assert_int_equal (count (farm, "SELECT count (*) FROM firings WHERE outcome = 'refused'"), i + 2);
    }
    assert_string_equal (events (farm), "missed");
    farm->settings.queue_max = 100;
    farm_reopen (farm);
    worker_join (farm, &pi, "pi", "linux/amd64", 1);
    farm_pass (farm, HOUR);
    worker_hello (farm, &pi, NULL, 0);
    worker_push (farm, &pi, worker_task (farm, &pi));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    assert_string_equal (events (farm), "missed fixed");
    assert_int_equal (count (farm, "SELECT count (DISTINCT thread) FROM news"), 1);
}

static void a_schedule_that_ends_says_so (void **state)
{
    farm_t *farm = *state;
    schedule (farm, farm->ann, "nightly", "0 * * * *");
    add (farm, farm->admin, "farm", json_pack ("{s:b}", "farm", 1));
    add (farm, farm->ann, "mine", json_pack ("{s:s}", "address", "own@example.com"));
    farm_say (farm, "revoke", peer_of (farm->admin), farm->admin, json_pack ("{s:s, s:s}", "kind", "user", "name", "ann"));
    assert_string_equal (events (farm), "missed");                              /* the admin's: ann is told nothing any more */
    assert_string_equal (title (farm), "nightly did not run: its owner's key was taken back");
}

/* -- who -------------------------------------------------------------------------------------------------------- */

static void one_is_told_what_one_may_see (void **state)
{
    farm_t *farm = *state;
    worker_t pi;
    worker_join (farm, &pi, "pi", "linux/amd64", 1);
    schedule (farm, farm->ann, "nightly", "0 * * * *");
    assert_string_equal (add (farm, farm->viewer, "v", NULL), "denied");
    assert_string_equal (add (farm, farm->bob, "f", json_pack ("{s:b}", "farm", 1)), "denied");
    assert_string_equal (add (farm, farm->bob, "s", json_pack ("{s:s}", "schedule", "nightly")), "denied");
    assert_string_equal (add (farm, farm->bob, "s", json_pack ("{s:s}", "schedule", "none")), "not-found");
    assert_string_equal (add (farm, farm->ann, "s", json_pack ("{s:s}", "schedule", "nightly")), "");
    assert_string_equal (add (farm, farm->bob, "s", NULL), "denied");           /* hers */
    assert_string_equal (add (farm, farm->ann, "s", NULL), "usage");            /* no --replace */
    assert_string_equal (add (farm, farm->ann, "s", json_pack ("{s:b}", "replace", 1)), "");
    farm_say (farm, "news", peer_of (farm->bob), farm->bob, json_object ());
    assert_int_equal (json_array_size (json_object_get (farm_sent (farm, peer_of (farm->bob), "news-list"), "subscribers")), 0);
    farm_say (farm, "order-news", peer_of (farm->bob), farm->bob, json_pack ("{s:s, s:s}", "name", "s", "order", "remove"));
    assert_string_equal (farm_error (farm, peer_of (farm->bob)), "denied");
    build (farm, &pi, farm->ann, "r.lan/app:1", "RUN x");
    farm_say (farm, "outbox", peer_of (farm->bob), farm->bob, json_object ());
    assert_int_equal (json_array_size (json_object_get (farm_sent (farm, peer_of (farm->bob), "outbox-page"), "news")), 0);
    farm_say (farm, "outbox", peer_of (farm->ann), farm->ann, json_object ());
    assert_int_equal (json_array_size (json_object_get (farm_sent (farm, peer_of (farm->ann), "outbox-page"), "news")), 1);
    farm_say (farm, "grant", peer_of (farm->admin), farm->admin, json_pack ("{s:s, s:s}", "name", "ann", "role", "viewer"));
    farm_say (farm, "news", peer_of (farm->admin), farm->admin, json_object ());
    const json_t *list = json_object_get (farm_sent (farm, peer_of (farm->admin), "news-list"), "subscribers");
    assert_true (json_is_true (json_object_get (json_array_get (list, 0), "silent")));
}

static void addresses_are_looked_at (void **state)
{
    farm_t *farm = *state;
    static const char *const bad_mails [] = { "ann", "ann@", "@b.c", "a@b\r\nBcc: c@d", "a b@c.d", "<a@b.c>", "a@b..c",
        "a@-b.c", ".a@b.c", "\"a\"@b.c", "ä@b.c", "a@b.c,d@e.f" };
    static const char *const bad_hooks [] = { "http://example.com/x", "https://user:pw@example.com/", "ftp://example.com/", "https://127.0.0.1/", "https://[::1]/x",
        "https://10.1.2.3/", "https://169.254.169.254/latest", "https://0x7f.1/", "https://2130706433/", "https://e.com/#x", "https://",
        "https:/.0.0.1/", "https:e.com", "javascript:x", "https://[::ffff:127.0.0.1]/" };
    for (size_t i = 0; i < sizeof bad_mails / sizeof *bad_mails; i++)
        if (strcmp (add (farm, farm->ann, "m", json_pack ("{s:s}", "address", bad_mails [i])), "usage") != 0)
            fail_msg ("%s was taken", bad_mails [i]);
    for (size_t i = 0; i < sizeof bad_hooks / sizeof *bad_hooks; i++)
        if (strcmp (add (farm, farm->ann, "h", json_pack ("{s:s, s:s}", "kind", "hook", "address", bad_hooks [i])), "usage") != 0)
            fail_msg ("%s was taken", bad_hooks [i]);
    assert_string_equal (add (farm, farm->ann, "h", json_pack ("{s:s, s:s}", "kind", "hook", "address", "https://example.com:8443/a?b=c")), "");
    assert_non_null (json_object_get (farm_sent (farm, peer_of (farm->ann), "news-state"), "salt"));
    static const char *const plain [] = { "in.lan:80", NULL }, *const inside [] = { "127.0.0.1:8443", NULL }, *const allow [] = { "*@farm.example", NULL };
    farm->settings.hook_plain_http = plain;
    farm->settings.hook_inside = inside;
    farm->settings.mail_allow = allow;
    farm_reopen (farm);
    assert_string_equal (add (farm, farm->ann, "h2", json_pack ("{s:s, s:s}", "kind", "hook", "address", "http://in.lan/")), "");
    assert_string_equal (add (farm, farm->ann, "h3", json_pack ("{s:s, s:s}", "kind", "hook", "address", "https://127.0.0.1:8443/")), "");
    assert_string_equal (add (farm, farm->ann, "h4", json_pack ("{s:s, s:s}", "kind", "hook", "address", "https://127.0.0.1/")), "usage");
    assert_string_equal (add (farm, farm->ann, "m2", NULL), "usage");
    assert_string_equal (add (farm, farm->ann, "m3", json_pack ("{s:s}", "address", "A.b+c@Farm.Example")), "");
    farm->settings.has_mail = false;
    farm_reopen (farm);
    assert_string_equal (add (farm, farm->ann, "m4", json_pack ("{s:s}", "address", "a@farm.example")), "usage");
}

/* The schedule's, then the user's, then the farm's: one mailbox gets it once. */
static void one_address_is_told_once (void **state)
{
    farm_t *farm = *state;
    worker_t pi;
    worker_join (farm, &pi, "pi", "linux/amd64", 1);
    add (farm, farm->admin, "farm", json_pack ("{s:b}", "farm", 1));
    add (farm, farm->ann, "mine", NULL);
    add (farm, farm->ann, "again", NULL);
    build (farm, &pi, farm->ann, "r.lan/app:1", "RUN x");
    assert_string_equal (cell (farm, "SELECT group_concat (name) FROM news"), "mine");
    build (farm, &pi, farm->ann, "r.lan/app:1", NULL);
    assert_string_equal (cell (farm, "SELECT group_concat (name) FROM news"), "mine,mine");
}

/* -- the outbox --------------------------------------------------------------------------------------------------- */

static void nothing_is_lost_over_a_restart (void **state)
{
    farm_t *farm = *state;
    worker_t pi;
    char uid [64];
    worker_join (farm, &pi, "pi", "linux/amd64", 1);
    add (farm, farm->ann, "mine", NULL);
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    worker_fail (farm, &pi, worker_task (farm, &pi), "build");
    farm_reopen (farm);
    assert_int_equal (count (farm, "SELECT count (*) FROM news WHERE state = 'waiting'"), 1);
    farm_pass (farm, 10 * SECOND);
    snprintf (uid, sizeof uid, "%s", json_string_value (json_object_get (farm_action (farm, ACTION_NEWS, 0), "uid")));
    farm_pass (farm, HOUR);
    assert_null (farm_action (farm, ACTION_NEWS, 0));                           /* the courier has it */
    farm_reopen (farm);                                                         /* and died with it */
    farm_pass (farm, 1);
    AUTO_JSON json_t *again = task (farm);
    assert_string_equal (json_string_value (json_object_get (again, "uid")), uid);
    deliver (farm, again, true, false, "250 queued");
    deliver (farm, again, true, false, "said twice");
    farm_reopen (farm);
    farm_pass (farm, HOUR);
    assert_null (farm_action (farm, ACTION_NEWS, 0));
    assert_string_equal (cell (farm, "SELECT state || tries || text FROM news"), "sent2250 queued");
}

static void it_is_tried_again_and_given_up (void **state)
{
    farm_t *farm = *state;
    worker_t pi;
    worker_join (farm, &pi, "pi", "linux/amd64", 1);
    add (farm, farm->ann, "mine", NULL);
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    worker_fail (farm, &pi, worker_task (farm, &pi), "build");
    farm_pass (farm, 10 * SECOND);
    int tries = 0;
    int64_t before = farm->now, waited = 0;
    while (count (farm, "SELECT count (*) FROM news WHERE state = 'waiting'") > 0 && tries < 200) {
        AUTO_JSON json_t *given = task (farm);
        deliver (farm, given, false, false, "503 from it");
        tries++;
        before = farm->now;
        for (int i = 0; i < 200 && !farm_action (farm, ACTION_NEWS, 0) && count (farm, "SELECT count (*) FROM news WHERE state = 'waiting'") > 0; i++)
            farm_pass (farm, 30 * SECOND);
        waited = farm->now - before > waited ? farm->now - before : waited;
    }
    assert_in_range (tries, 70, 90);                                            /* 3 days, mostly by the hour */
    assert_in_range (waited, HOUR, HOUR + MINUTE);
    assert_string_equal (cell (farm, "SELECT state || ' ' || text FROM news"), "given-up 503 from it");
    assert_int_equal (count (farm, "SELECT ended_ms - at_ms - 259200000 BETWEEN 0 AND 60000 FROM news"), 1);
    assert_int_equal (count (farm, "SELECT count (*) FROM audit WHERE act = 'deliver' AND outcome = 'found'"), 1);
    farm_say (farm, "retry-news", peer_of (farm->bob), farm->bob, json_object ());
    assert_int_equal (json_integer_value (json_object_get (farm_sent (farm, peer_of (farm->bob), "news-retried"), "count")), 0);
    farm_say (farm, "retry-news", peer_of (farm->ann), farm->ann, json_object ());
    assert_int_equal (json_integer_value (json_object_get (farm_sent (farm, peer_of (farm->ann), "news-retried"), "count")), 1);
    farm_pass (farm, 0);
    AUTO_JSON json_t *given = task (farm);
    deliver (farm, given, false, true, "550 no such mailbox");                  /* for good */
    assert_string_equal (cell (farm, "SELECT state FROM news"), "given-up");
    assert_int_equal (count (farm, "SELECT count (*) FROM audit WHERE outcome = 'done'"), 0);
    farm_say (farm, "retry-news", peer_of (farm->admin), farm->admin, json_object ());         /* of another user: a row */
    farm_say (farm, "retry-news", peer_of (farm->admin), farm->admin, json_object ());         /* there are none any more */
    assert_string_equal (cell (farm, "SELECT group_concat (act || ' ' || detail) FROM audit WHERE outcome = 'done'"), "retry-news 1 of other users");
}

/* A subscriber that does not answer holds up nobody else, and what follows in a thread waits for what is before it. */
static void order_is_kept_and_others_go_on (void **state)
{
    farm_t *farm = *state;
    worker_t pi;
    worker_join (farm, &pi, "pi", "linux/amd64", 1);
    add (farm, farm->ann, "mine", NULL);
    add (farm, farm->bob, "his", NULL);
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    worker_fail (farm, &pi, worker_task (farm, &pi), "build");
    farm_pass (farm, 10 * SECOND);
    AUTO_JSON json_t *first = task (farm);
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    worker_push (farm, &pi, worker_task (farm, &pi));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    assert_string_equal (events (farm), "failed fixed");
    farm_pass (farm, 20 * SECOND);
    assert_null (farm_action (farm, ACTION_NEWS, 0));
    deliver (farm, first, false, false, "hangs");
    farm_pass (farm, 1);
    assert_null (farm_action (farm, ACTION_NEWS, 0));                           /* `fixed` does not overtake */
    farm_submit (farm, farm->bob, "linux/amd64", "r.lan/b:1");
    worker_fail (farm, &pi, worker_task (farm, &pi), "build");
    farm_pass (farm, 11 * SECOND);
    AUTO_JSON json_t *his = task (farm);
    assert_string_equal (json_string_value (json_object_get (his, "name")), "his");
    farm_pass (farm, 20 * SECOND);
    AUTO_JSON json_t *again = task (farm);
    assert_true (json_equal (json_object_get (again, "uid"), json_object_get (first, "uid")));
    deliver (farm, again, true, false, "");
    farm_pass (farm, 1);
    AUTO_JSON json_t *fixed = task (farm);
    assert_string_equal (json_string_value (json_object_get (fixed, "event")), "fixed");
    assert_true (json_equal (json_object_get (fixed, "thread"), json_object_get (first, "uid")));
    farm_say (farm, "order-news", peer_of (farm->ann), farm->ann, json_pack ("{s:s, s:s}", "name", "mine", "order", "remove"));
    assert_int_equal (count (farm, "SELECT count (*) FROM news WHERE state = 'waiting' AND name = 'mine'"), 0);
    deliver (farm, fixed, true, false, "");                                     /* of one that is not there any more */
}

/* A right that is taken back holds at once, a corrected address counts for what waits, and a clock that was put back delays nothing. */
static void what_waits_follows (void **state)
{
    farm_t *farm = *state;
    worker_t pi;
    worker_join (farm, &pi, "pi", "linux/amd64", 1);
    add (farm, farm->ann, "mine", NULL);
    add (farm, farm->bob, "his", json_pack ("{s:s}", "address", "bob@example.com"));
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a:1");
    worker_fail (farm, &pi, worker_task (farm, &pi), "build");
    farm_submit (farm, farm->bob, "linux/amd64", "r.lan/b:1");
    worker_fail (farm, &pi, worker_task (farm, &pi), "build");
    assert_int_equal (count (farm, "SELECT count (*) FROM news WHERE state = 'waiting'"), 2);
    assert_string_equal (add (farm, farm->ann, "mine", json_pack ("{s:b, s:s}", "replace", 1, "address", "new@example.com")), "");
    farm_say (farm, "grant", peer_of (farm->admin), farm->admin, json_pack ("{s:s, s:s}", "name", "bob", "role", "viewer"));
    err_t err;
    assert_int_equal (db_exec (farm->engine->db, "UPDATE news SET due_ms = due_ms + 864000000", &err), 0);
    farm_pass (farm, 11 * SECOND);
    AUTO_JSON json_t *given = task (farm);
    assert_null (farm_action (farm, ACTION_NEWS, 1));
    assert_string_equal (json_string_value (json_object_get (given, "address")), "new@example.com");
    farm_pass (farm, 1);
    assert_int_equal (count (farm, "SELECT count (*) FROM news"), 1);
}

static void a_test_is_answered (void **state)
{
    farm_t *farm = *state;
    add (farm, farm->ann, "mine", NULL);
    for (int i = 0; i < NEWS_WAITS_MAX + 1; i++) {                               /* removed before they were sent: nobody is told */
        add (farm, farm->bob, "his", json_pack ("{s:s}", "address", "bob@example.com"));
        farm_say (farm, "order-news", peer_of (farm->bob), farm->bob, json_pack ("{s:s, s:s}", "name", "his", "order", "test"));
        farm_say (farm, "order-news", peer_of (farm->bob), farm->bob, json_pack ("{s:s, s:s}", "name", "his", "order", "remove"));
    }
    for (int i = 0; i < 2; i++) {
        farm_say (farm, "order-news", peer_of (farm->ann), farm->ann, json_pack ("{s:s, s:s}", "name", "mine", "order", "test"));
        farm_pass (farm, 1);
        AUTO_JSON json_t *given = task (farm);
        deliver (farm, given, i == 0, false, i == 0 ? "250 fine" : "refused");
        const json_t *tested = farm_sent (farm, peer_of (farm->ann), "news-tested");
        assert_non_null (tested);
        assert_int_equal (json_is_true (json_object_get (tested, "ok")), i == 0);
    }
    assert_int_equal (count (farm, "SELECT count (*) FROM news WHERE state = 'waiting'"), 0);
    assert_int_equal (count (farm, "SELECT count (*) FROM audit WHERE act = 'deliver'"), 0);
}

/* -- words ------------------------------------------------------------------------------------------------------ */

static void words_stay_on_their_line (void **state)
{
    (void) state;
    static const struct { const char *given, *line; } rows [] = {
        { "a\r\nBcc: x@y", "a Bcc: x@y" }, { "\x1b[31mred\x1b[0m", "[31mred [0m" }, { "\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd" }, { "  a  b ", "a b " },
        { "a\xe2\x80\xaexyz", "a xyz" }, { "a\xe2\x80\xa8" "b", "a b" }, { "grün", "grün" }, { "\xc2\x85" "a", "a" }, { "", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_FREE char *line = news_words_line (rows [i].given, 100);
        assert_string_equal (line, rows [i].line);
    }
    AUTO_FREE char *cut = news_words_line ("aaaaaaaaaaü", 10);
    assert_string_equal (cut, "aaaaaaa…");
}

int main (void)
{
    const struct CMUnitTest tests [] = {
#define TEST(name) cmocka_unit_test_setup_teardown (name, farm_setup, farm_teardown)
        TEST (one_cause_is_told_once), TEST (success_is_told_where_it_is_asked_for), TEST (what_goes_on_is_told_again_after_a_week),
        TEST (a_board_that_is_down_is_one_news), TEST (a_lost_board_is_told_once_over_restarts), TEST (a_quarantine_is_told_and_its_end),
        TEST (an_outage_is_one_news), TEST (a_schedule_that_cannot_run_is_told_once), TEST (a_schedule_that_ends_says_so),
        TEST (one_is_told_what_one_may_see), TEST (addresses_are_looked_at), TEST (one_address_is_told_once), TEST (nothing_is_lost_over_a_restart),
        TEST (it_is_tried_again_and_given_up), TEST (order_is_kept_and_others_go_on), TEST (what_waits_follows), TEST (a_test_is_answered), cmocka_unit_test (words_stay_on_their_line),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
