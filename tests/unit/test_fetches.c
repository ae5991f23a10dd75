/* test_fetches.c - contexts that the coordinator fetches, as the engine sees them: who may, when it is tried again, what a restart leaves, and what
 * becomes of the times of a schedule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/engine_private.h"
#include "engines.h"

#define URL "https://git.lan/team/app.git"
#define ONE "1111111111111111111111111111111111111111"
#define TWO "2222222222222222222222222222222222222222"
#define TREE "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define FILE_ "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define BASE "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
enum { MINUTE = 60000, HOUR = 60 * MINUTE };

/* -- words ------------------------------------------------------------------------------------------------------ */

static json_t *rules;

static int setup (void **state)
{
    if (farm_setup (state) < 0)
        return -1;
    farm_t *farm = *state;
    rules = json_pack ("{s:[s, s], s:[s, s], s:[], s:[], s:[], s:[]}", "transports", "https", "ssh", "hosts", "git.lan", "private.lan=ann", "inside", "folders", "keys",
                       "helpers");
    farm->settings.sources = rules;
    farm_reopen (farm);
    return 0;
}

static int teardown (void **state)
{
    int rc = farm_teardown (state);
    json_decref (rules);
    return rc;
}

static json_t *source_spec (const char *platforms, const char *tags, const char *url)
{
    json_t *spec = spec_of (platforms, tags);
    json_object_del (spec, "context");
    json_object_set_new (spec, "dockerfile", json_pack ("{s:s}", "name", "Dockerfile"));
    json_object_set_new (spec, "source", json_pack ("{s:s, s:s}", "url", url, "ref", "main"));
    return spec;
}

/* The build; 0: it was refused. */
static int64_t submit (farm_t *farm, int64_t principal, json_t *spec)
{
    farm_say (farm, "submit", peer_of (principal), principal, submit_of (farm, spec));
    return json_integer_value (json_object_get (farm_sent (farm, peer_of (principal), "accepted"), "build"));
}

static int64_t fetch_of (farm_t *farm)
{
    return json_integer_value (json_object_get (farm_action (farm, ACTION_FETCH, 0), "fetch"));
}

static void fetched (farm_t *farm, int64_t fetch, const char *commit)
{
    farm_say (farm, "fetched", 0, 0, json_pack ("{s:I, s:b, s:s, s:{s:s, s:i}, s:s}", "fetch", (json_int_t) fetch, "ok", 1, "context", TREE, "dockerfile", "digest",
                                                FILE_, "size", 20, "commit", commit));
}

static void not_fetched (farm_t *farm, int64_t fetch, const char *code)
{
    farm_say (farm, "fetched", 0, 0, json_pack ("{s:I, s:b, s:s, s:s}", "fetch", (json_int_t) fetch, "ok", 0, "code", code, "text", "as the host has it"));
}

/* -- builds ----------------------------------------------------------------------------------------------------- */

static void it_is_built_when_it_was_fetched (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    json_t *spec = source_spec ("linux/amd64", "r.lan/app:1", URL);
    json_object_set_new (spec, "labels", json_pack ("{s:s}", "org.opencontainers.image.source", "mine"));
    int64_t build = submit (farm, farm->ann, spec), fetch = fetch_of (farm);
    assert_int_not_equal (build, 0);
    assert_int_not_equal (fetch, 0);
    assert_string_equal (json_string_value (json_object_get (farm_action (farm, ACTION_FETCH, 0), "user")), "ann");
    assert_int_equal (json_integer_value (json_object_get (farm_action (farm, ACTION_FETCH, 0), "principal")), farm->ann);
    assert_int_equal (worker_task (farm, &amd).job, 0);
    assert_string_equal (farm_shows (farm, build, "state"), "queued");
    assert_string_equal (farm_shows (farm, build, "fetch/tries"), "0");
    assert_string_equal (farm_shows (farm, build, "context"), "null");
    assert_string_equal (farm_shows (farm, build, "jobs/0/waiting"), "its context is being fetched");
    worker_beat (farm, &amd, NULL, 0);
    assert_int_equal (worker_task (farm, &amd).job, 0);
    fetched (farm, fetch, ONE);
    task_t task = worker_task (farm, &amd);
    assert_int_not_equal (task.job, 0);
    const json_t *given = json_object_get (farm_sent (farm, amd.peer, "assign"), "spec"), *labels = json_object_get (given, "labels");
    assert_string_equal (json_string_value (json_object_get (given, "context")), TREE);
    assert_string_equal (json_string_value (json_object_get (json_object_get (given, "dockerfile"), "digest")), FILE_);
    assert_string_equal (json_string_value (json_object_get (json_object_get (given, "dockerfile"), "name")), "Dockerfile");
    assert_string_equal (json_string_value (json_object_get (labels, "org.opencontainers.image.revision")), ONE);
    assert_string_equal (json_string_value (json_object_get (labels, "org.opencontainers.image.source")), "mine");
    assert_null (json_object_get (given, "source"));
    assert_string_equal (farm_shows (farm, build, "fetch"), "null");
    assert_string_equal (farm_shows (farm, build, "source/commit"), ONE);
    worker_push (farm, &amd, task);
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    assert_string_equal (farm_shows (farm, build, "state"), "published");
    fetched (farm, fetch, TWO);                                 /* once more: nobody asked */
    assert_string_equal (farm_shows (farm, build, "source/commit"), ONE);
}

static void a_host_s_fault_is_tried_again (void **state)
{
    farm_t *farm = *state;
    int64_t build = submit (farm, farm->ann, source_spec ("linux/amd64,linux/arm64", "r.lan/app:1", URL)), fetch = fetch_of (farm), delay = 2000;
    for (int i = 1; i < 5; i++, delay *= 2) {
        not_fetched (farm, fetch, "network");
        assert_null (farm_action (farm, ACTION_FETCH, 0));
        assert_int_equal (atoi (farm_shows (farm, build, "fetch/tries")), i);
        assert_non_null (strstr (farm_shows (farm, build, "jobs/1/waiting"), "as the host has it"));
        farm_pass (farm, delay - 1);
        assert_null (farm_action (farm, ACTION_FETCH, 0));
        farm_pass (farm, 1);
        assert_int_equal (fetch_of (farm), fetch);
    }
    not_fetched (farm, fetch, "network");
    assert_string_equal (farm_shows (farm, build, "state"), "failed");
    assert_string_equal (farm_shows (farm, build, "code"), "network");
    assert_non_null (strstr (farm_shows (farm, build, "reason"), "the context cannot be fetched: as the host has it"));
    farm_pass (farm, HOUR);
    assert_null (farm_action (farm, ACTION_FETCH, 0));
}

static void a_user_s_fault_fails_at_once (void **state)
{
    farm_t *farm = *state;
    json_t *spec = source_spec ("linux/amd64,linux/arm64", "r.lan/app:1", URL);
    json_object_set_new (spec, "keep_going", json_true ());
    int64_t build = submit (farm, farm->ann, spec);
    not_fetched (farm, fetch_of (farm), "usage");
    assert_string_equal (farm_shows (farm, build, "state"), "failed");
    assert_string_equal (farm_shows (farm, build, "code"), "usage");
    assert_string_equal (farm_shows (farm, build, "jobs/1/state"), "failed");
    assert_string_equal (farm_shows (farm, build, "fetch"), "null");
}

static void it_goes_on_after_a_restart (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    int64_t build = submit (farm, farm->ann, source_spec ("linux/amd64", "r.lan/app:1", URL)), fetch = fetch_of (farm);
    not_fetched (farm, fetch, "network");
    farm_reopen (farm);
    worker_hello (farm, &amd, NULL, 0);
    assert_int_equal (worker_task (farm, &amd).job, 0);
    farm_pass (farm, 0);
    assert_int_equal (fetch_of (farm), fetch);
    assert_string_equal (farm_shows (farm, build, "fetch/tries"), "1");
    farm_pass (farm, HOUR);                                     /* not twice, and it does not run out of time meanwhile */
    assert_null (farm_action (farm, ACTION_FETCH, 0));
    assert_string_equal (farm_shows (farm, build, "state"), "queued");
    worker_hello (farm, &amd, NULL, 0);
    fetched (farm, fetch, ONE);
    assert_int_not_equal (worker_task (farm, &amd).job, 0);
}

static void a_cancelled_build_fetches_nothing (void **state)
{
    farm_t *farm = *state;
    int64_t build = submit (farm, farm->ann, source_spec ("linux/amd64", "r.lan/app:1", URL)), fetch = fetch_of (farm);
    farm_cancel (farm, farm->ann, build);
    assert_int_equal (json_integer_value (json_object_get (farm_action (farm, ACTION_DROP_FETCH, 0), "fetch")), fetch);
    fetched (farm, fetch, ONE);
    assert_string_equal (farm_shows (farm, build, "state"), "cancelled");
    assert_string_equal (farm_shows (farm, build, "context"), "null");
    farm_reopen (farm);
    farm_pass (farm, HOUR);
    assert_null (farm_action (farm, ACTION_FETCH, 0));
}

static void who_may_not_is_told_at_once (void **state)
{
    farm_t *farm = *state;
    static const struct { const char *url, *code, *text; } rows [] = {
        { "https://private.lan/app.git", "denied", "git/hosts" }, { "https://elsewhere.lan/app.git", "denied", "git/hosts" },
        { "file:///srv/app.git", "denied", "git/transports" }, { "git://git.lan/app.git", "denied", "git/transports" },
        { "https://bob:hunter2@git.lan/app.git", "usage", "password" }, { "ext::sh -c id", "usage", "no address" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal (submit (farm, farm->bob, source_spec ("linux/amd64", "r.lan/app:1", rows [i].url)), 0);
        assert_string_equal (farm_error (farm, peer_of (farm->bob)), rows [i].code);
        assert_non_null (strstr (farm_error_text (farm, peer_of (farm->bob)), rows [i].text));
        assert_null (strstr (farm_error_text (farm, peer_of (farm->bob)), "hunter2"));
        assert_null (farm_action (farm, ACTION_FETCH, 0));
    }
    static const char *const files [] = { "/etc/passwd", "../Dockerfile", "a/../../b", "", "-" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        json_t *spec = source_spec ("linux/amd64", "r.lan/app:1", URL);
        json_object_set_new (spec, "dockerfile", json_pack ("{s:s}", "name", *files [i] ? files [i] : "/"));
        assert_int_equal (submit (farm, farm->ann, spec), 0);
        assert_string_equal (farm_error (farm, peer_of (farm->ann)), "usage");
    }
    assert_int_not_equal (submit (farm, farm->ann, source_spec ("linux/amd64", "r.lan/app:1", "https://private.lan/app.git")), 0);
    json_t *neither = source_spec ("linux/amd64", "r.lan/app:2", URL);
    json_object_del (neither, "source");
    assert_int_equal (submit (farm, farm->ann, neither), 0);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "protocol");
}

static void a_held_build_waits_for_its_turn_too (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 4);
    farm_say (farm, "grant", peer_of (farm->admin), farm->admin, json_pack ("{s:s, s:{s:i}}", "name", "ann", "limits", "max_running", 1));
    submit (farm, farm->ann, source_spec ("linux/amd64", "r.lan/app:1", URL));
    int64_t first = fetch_of (farm);
    int64_t build = submit (farm, farm->ann, source_spec ("linux/amd64", "r.lan/app:2", URL)), second = fetch_of (farm);
    fetched (farm, second, ONE);
    assert_int_equal (worker_task (farm, &amd).job, 0);
    assert_non_null (strstr (farm_shows (farm, build, "jobs/0/waiting"), "may have 1 builds"));
    not_fetched (farm, first, "usage");
    assert_int_not_equal (worker_task (farm, &amd).job, 0);
}

/* -- schedules -------------------------------------------------------------------------------------------------- */

static bool add (farm_t *farm, const char *tags, json_t *extra)
{
    json_t *header = json_pack ("{s:s, s:s, s:s, s:o}", "name", "s", "cron", "0 * * * *", "zone", "UTC", "spec", source_spec ("linux/amd64", tags, URL));
    if (extra)
        json_object_update_new (header, extra);
    farm_say (farm, "add-schedule", peer_of (farm->ann), farm->ann, header);
    return farm_sent (farm, peer_of (farm->ann), "schedule-state") != NULL;
}

static const char *last (farm_t *farm, const char *field)
{
    static char texts [4] [256];
    static int turn;
    char *text = texts [turn++ % 4];
    actions_t kept = farm->actions;
    farm->actions = (actions_t) { 0 };
    farm_say (farm, "schedule", 999, farm->admin, json_pack ("{s:s}", "name", "s"));
    const json_t *value = json_object_get (json_object_get (json_object_get (farm_sent (farm, 999, "schedule-state"), "schedule"), "last"), field);
    AUTO_FREE char *dump = value ? json_dumps (value, JSON_ENCODE_ANY) : NULL;
    snprintf (text, sizeof texts [0], "%s", json_is_string (value) ? json_string_value (value) : dump ? dump : "");
    actions_free (&farm->actions);
    farm->actions = kept;
    return text;
}

/* An hour, in which the worker is heard. Actions are those of the time's tick. */
static void hour (farm_t *farm, worker_t *worker, int64_t minutes)
{
    for (int64_t ms = minutes * MINUTE; ms > 0; ms -= 20000) {
        worker_beat (farm, worker, NULL, 0);
        farm_pass (farm, 20000);
    }
}

static void publish (farm_t *farm, worker_t *worker)
{
    task_t task = worker_task (farm, worker);
    assert_int_not_equal (task.job, 0);
    worker_report (farm, worker, task, "fetching", NULL);
    worker_report (farm, worker, task, "building", NULL);
    worker_report (farm, worker, task, "pushing", NULL);
    worker_report (farm, worker, task, "pushed", json_pack ("{s:s, s:[{s:s, s:s}]}", "digest", digest_of_task (task), "bases", "reference", "r.lan/base:1", "digest", BASE));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
}

static void looked (farm_t *farm)
{
    const json_t *task = farm_action (farm, ACTION_LOOK, 0);
    assert_non_null (task);
    farm_say (farm, "looked", 0, 0, json_pack ("{s:O, s:O, s:b}", "schedule", json_object_get (task, "schedule"), "scheduled_ms", json_object_get (task, "scheduled_ms"), "ok", 1));
}

static void a_commit_says_whether_it_is_built (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    assert_true (add (farm, "r.lan/app:n", json_pack ("{s:b}", "if_changed", 1)));
    hour (farm, &amd, 30);
    assert_string_equal (last (farm, "outcome"), "running");    /* nothing to compare with: the build fetches for itself */
    fetched (farm, fetch_of (farm), ONE);
    publish (farm, &amd);
    assert_string_equal (farm_shows (farm, 1, "state"), "published");
    hour (farm, &amd, 60);
    assert_string_equal (last (farm, "outcome"), "looking");
    fetched (farm, fetch_of (farm), ONE);
    looked (farm);
    assert_string_equal (last (farm, "outcome"), "unchanged");
    assert_string_equal (last (farm, "build"), "1");
    hour (farm, &amd, 60);
    fetched (farm, fetch_of (farm), TWO);
    assert_null (farm_action (farm, ACTION_LOOK, 0));
    assert_string_equal (last (farm, "outcome"), "running");
    assert_null (farm_action (farm, ACTION_FETCH, 0));          /* it is there already */
    assert_string_equal (farm_shows (farm, 2, "source/commit"), TWO);
    publish (farm, &amd);
    hour (farm, &amd, 60);
    int64_t late = fetch_of (farm);
    farm_reopen (farm);                                         /* in the middle of it */
    worker_hello (farm, &amd, NULL, 0);
    farm_pass (farm, 0);
    int64_t again = fetch_of (farm);
    assert_int_not_equal (again, 0);
    if (late != again)
        fetched (farm, late, ONE);
    fetched (farm, again, TWO);
    looked (farm);
    assert_string_equal (last (farm, "outcome"), "unchanged");
    assert_string_equal (last (farm, "build"), "2");
}

static void a_tag_holds_the_commit (void **state)
{
    farm_t *farm = *state;
    assert_true (add (farm, "r.lan/app:n-{commit}", NULL));
    farm_pass (farm, 30 * MINUTE);
    assert_string_equal (last (farm, "outcome"), "looking");
    fetched (farm, fetch_of (farm), ONE);
    assert_string_equal (last (farm, "outcome"), "running");
    assert_string_equal (farm_shows (farm, 1, "tags/0"), "r.lan/app:n-" ONE);
    farm_pass (farm, HOUR);
}

static void a_time_that_cannot_be_fetched_is_refused (void **state)
{
    farm_t *farm = *state;
    assert_true (add (farm, "r.lan/app:n-{commit}", NULL));
    farm_pass (farm, 30 * MINUTE);
    not_fetched (farm, fetch_of (farm), "network");
    assert_string_equal (last (farm, "outcome"), "looking");
    farm_pass (farm, 2000);
    not_fetched (farm, fetch_of (farm), "usage");
    assert_string_equal (last (farm, "outcome"), "refused");
    assert_non_null (strstr (last (farm, "text"), "as the host has it"));
}

/* -- news ------------------------------------------------------------------------------------------------------- */

static const char *events (farm_t *farm)
{
    static char text [256];
    query_t query = db_query (farm->engine->db, "SELECT coalesce (group_concat (event, ' '), '') FROM (SELECT event FROM news ORDER BY id)");
    snprintf (text, sizeof text, "%s", query_step (&query) ? query_get_text (&query, 0) : "");
    assert_int_equal (query_end (&query, NULL), 0);
    return text;
}

static void tell_ann (farm_t *farm)
{
    farm_say (farm, "add-news", peer_of (farm->ann), farm->ann, json_pack ("{s:s, s:s, s:s, s:s}", "request", "00000000000000000000000000000001", "name", "mine", "kind", "mail",
                                                                           "address", "ann@example.com"));
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "");
}

/* It is tried no more. */
static void host_is_down (farm_t *farm)
{
    int64_t delay = 2000;
    for (int64_t fetch; (fetch = fetch_of (farm)) != 0; farm_pass (farm, delay), delay *= 2)
        not_fetched (farm, fetch, "network");
    assert_string_equal (last (farm, "outcome"), "refused");
}

static void what_cannot_be_fetched_is_told_once_and_its_end (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    tell_ann (farm);
    assert_true (add (farm, "r.lan/app:n-{commit}", json_pack ("{s:b}", "if_changed", 1)));
    hour (farm, &amd, 30);
    fetched (farm, fetch_of (farm), ONE);
    publish (farm, &amd);
    for (int i = 0; i < 2; i++) {
        hour (farm, &amd, 59);
        for (int k = 0; k < 6 && !fetch_of (farm); k++)
            farm_pass (farm, 20000);
        host_is_down (farm);
        assert_string_equal (events (farm), "missed");
    }
    worker_beat (farm, &amd, NULL, 0);
    submit (farm, farm->ann, source_spec ("linux/amd64", "r.lan/other:1", URL));
    int64_t delay = 2000;
    for (int64_t fetch; (fetch = fetch_of (farm)) != 0; farm_pass (farm, delay), delay *= 2)
        not_fetched (farm, fetch, "network");                   /* a build of the same host */
    assert_string_equal (events (farm), "missed");
    submit (farm, farm->ann, source_spec ("linux/amd64", "r.lan/other:1", URL));
    not_fetched (farm, fetch_of (farm), "usage");               /* and one that is the user's fault */
    assert_string_equal (events (farm), "missed failed");
}

static void nothing_new_ends_it_too (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    tell_ann (farm);
    assert_true (add (farm, "r.lan/app:n", json_pack ("{s:b}", "if_changed", 1)));
    hour (farm, &amd, 30);
    fetched (farm, fetch_of (farm), ONE);
    publish (farm, &amd);
    hour (farm, &amd, 60);
    not_fetched (farm, fetch_of (farm), "usage");
    assert_string_equal (events (farm), "missed");
    hour (farm, &amd, 60);
    fetched (farm, fetch_of (farm), ONE);
    looked (farm);
    assert_string_equal (last (farm, "outcome"), "unchanged");
    assert_string_equal (events (farm), "missed fixed");
}

/* How often that was denied her, as the audit log has it. */
static int64_t denied_to_ann (farm_t *farm, const char *act)
{
    query_t query = db_query (farm->engine->db, "SELECT total (times) FROM audit WHERE who = 'ann' AND act = :act AND outcome = 'denied' AND detail LIKE '%as the host has it'");
    query_text (&query, ":act", act);
    int64_t times = query_step (&query) ? query_get_int (&query, 0) : -1;
    assert_int_equal (query_end (&query, NULL), 0);
    return times;
}

/* An address inside is seen by the fetcher alone, long after the submit. */
static void who_has_fetched_what_they_may_not_is_in_the_audit_log (void **state)
{
    farm_t *farm = *state;
    static const char *const codes [] = { "usage", "denied" };
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal (denied_to_ann (farm, "fetch"), 0);
        submit (farm, farm->ann, source_spec ("linux/amd64,linux/arm64", "r.lan/app:1", URL));
        not_fetched (farm, fetch_of (farm), codes [i]);
    }
    assert_int_equal (denied_to_ann (farm, "fetch"), 1);
    assert_string_equal (farm_shows (farm, 2, "code"), "denied");
    assert_true (add (farm, "r.lan/app:n-{commit}", NULL));
    farm_pass (farm, 30 * MINUTE);
    not_fetched (farm, fetch_of (farm), "denied");
    assert_string_equal (last (farm, "outcome"), "refused");
    farm_pass (farm, HOUR - MINUTE);
    assert_int_equal (denied_to_ann (farm, "fetch"), 2);
}

static void a_pause_ends_what_is_fetched (void **state)
{
    farm_t *farm = *state;
    assert_true (add (farm, "r.lan/app:n-{commit}", NULL));
    farm_pass (farm, 30 * MINUTE);
    int64_t fetch = fetch_of (farm);
    farm_say (farm, "order-schedule", peer_of (farm->ann), farm->ann, json_pack ("{s:s, s:s}", "name", "s", "order", "pause"));
    assert_non_null (farm_action (farm, ACTION_DROP_FETCH, 0));
    fetched (farm, fetch, ONE);
    assert_string_equal (last (farm, "outcome"), "skipped");
    farm_say (farm, "order-schedule", peer_of (farm->ann), farm->ann, json_pack ("{s:s, s:s}", "name", "s", "order", "resume"));
    farm_pass (farm, HOUR);
    farm_say (farm, "order-schedule", peer_of (farm->ann), farm->ann, json_pack ("{s:s, s:s}", "name", "s", "order", "remove"));
    assert_non_null (farm_sent (farm, peer_of (farm->ann), "schedule-state"));
}

#define TEST(function) cmocka_unit_test_setup_teardown (function, setup, teardown)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (it_is_built_when_it_was_fetched), TEST (a_host_s_fault_is_tried_again), TEST (a_user_s_fault_fails_at_once), TEST (it_goes_on_after_a_restart),
        TEST (a_cancelled_build_fetches_nothing), TEST (who_may_not_is_told_at_once), TEST (a_held_build_waits_for_its_turn_too),
        TEST (a_commit_says_whether_it_is_built), TEST (a_tag_holds_the_commit), TEST (a_time_that_cannot_be_fetched_is_refused),
        TEST (a_pause_ends_what_is_fetched), TEST (who_has_fetched_what_they_may_not_is_in_the_audit_log),
        TEST (what_cannot_be_fetched_is_told_once_and_its_end), TEST (nothing_new_ends_it_too),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
