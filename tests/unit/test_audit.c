/* test_audit.c - what is done with rights and what is denied stands in the audit log, whose rows cannot be changed, taken out or cut off
 * unnoticed; and who is denied without end does not make it grow without end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "common/chain.h"
#include "common/digest.h"
#include "common/mem.h"
#include "engines.h"

enum { PEER = 5000, MINUTE_MS = 60000 };

/* -- words ------------------------------------------------------------------------------------------------------- */

/* All rows, to the caller. */
static json_t *read_log (farm_t *farm)
{
    json_t *all = json_array ();
    bool has_more = true;
    while (has_more) {
        int64_t after = json_integer_value (json_object_get (json_array_get (all, json_array_size (all) - 1), "id"));
        farm_say (farm, "audit", PEER, farm->admin, json_pack ("{s:I}", "after", (json_int_t) after));
        const json_t *answer = farm_sent (farm, PEER, "audit-rows");
        assert_non_null (answer);
        json_array_extend (all, json_object_get (answer, "rows"));
        has_more = json_is_true (json_object_get (answer, "has_more"));
    }
    return all;
}

static size_t count_rows (farm_t *farm)
{
    AUTO_JSON json_t *rows = read_log (farm);
    return json_array_size (rows);
}

/* A field of the nth row, as text; in a static buffer. */
static const char *says (farm_t *farm, size_t nth, const char *field)
{
    static char text [512];
    AUTO_JSON json_t *rows = read_log (farm);
    const json_t *value = json_object_get (json_array_get (rows, nth), field);
    if (json_is_integer (value))
        snprintf (text, sizeof text, "%lld", (long long) json_integer_value (value));
    else
        snprintf (text, sizeof text, "%s", json_string_value (value) ? json_string_value (value) : "");
    return text;
}

/* The first row whose hash does not follow from those before it, -1 where all do. As farmctl audit verify. */
static int first_wrong (farm_t *farm)
{
    AUTO_JSON json_t *rows = read_log (farm);
    char before [CHAIN_HEX_SIZE + 1], hash [CHAIN_HEX_SIZE + 1];
    strcpy (hash, chain_start);
    for (size_t i = 0; i < json_array_size (rows); i++) {
        const json_t *row = json_array_get (rows, i);
        strcpy (before, hash);
        chain_hash (before, row, hash);
        if (json_integer_value (json_object_get (row, "id")) != (json_int_t) i + 1 || strcmp (hash, json_string_value (json_object_get (row, "hash"))) != 0)
            return (int) i;
    }
    return -1;
}

static const char *key_of (int number)
{
    static char hex [65];
    digest_t key = digest_of (&number, sizeof number);
    digest_to_hex (&key, hex);
    return hex;
}

static void invite (farm_t *farm, int number)
{
    AUTO_FREE char *name = mem_printf ("user%d", number);
    farm_say (farm, "invite", PEER, farm->admin, json_pack ("{s:s, s:s, s:s, s:i}", "public_key", key_of (number), "role", "viewer", "name", name,
                                                            "expire_ms", 3600000));
    assert_non_null (farm_sent (farm, PEER, "invited"));
}

/* Of a schedule; NULL: of one's own builds. */
static void add_news (farm_t *farm, int64_t principal, const char *name, const char *schedule)
{
    json_t *header = json_pack ("{s:s, s:s, s:s, s:s}", "request", "00000000000000000000000000000001", "name", name, "kind", "mail", "address", "ann@example.com");
    if (schedule)
        json_object_set_new (header, "schedule", json_string (schedule));
    farm_say (farm, "add-news", PEER, principal, header);
    assert_string_equal (farm_error (farm, PEER), "");
}

static void deny (farm_t *farm, const char *key, const char *act, const char *detail, int64_t times)
{
    farm_say (farm, "denied", 0, 0, json_pack ("{s:s, s:s, s:s, s:I}", "key", key, "act", act, "detail", detail, "times", (json_int_t) times));
}

/* What the rows of a key and an act come to; NULL: of any. */
static int64_t sum_of (farm_t *farm, const char *key, const char *act)
{
    int64_t sum = 0;
    AUTO_JSON json_t *rows = read_log (farm);
    for (size_t i = 0; i < json_array_size (rows); i++) {
        const json_t *row = json_array_get (rows, i);
        if ((!key || strcmp (json_string_value (json_object_get (row, "key")), key) == 0) && (!act || strcmp (json_string_value (json_object_get (row, "act")), act) == 0))
            sum += json_integer_value (json_object_get (row, "times"));
    }
    return sum;
}

/* A key of the people in engines.c. */
static const char *key_of_user (const char *name)
{
    static char hex [65];
    digest_t key = digest_of (name, strlen (name));
    digest_to_hex (&key, hex);
    return hex;
}

static void tamper (farm_t *farm, const char *sql)
{
    sqlite3 *db = NULL;
    farm_close (farm);
    assert_int_equal (sqlite3_open (farm->path, &db), SQLITE_OK);
    if (sqlite3_exec (db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg ("%s: %s", sql, sqlite3_errmsg (db));
    sqlite3_close (db);
    farm_open (farm);
}

/* -- tests ------------------------------------------------------------------------------------------------------- */

static void what_an_admin_does_is_a_row (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    assert_int_equal (count_rows (farm), 0);                        /* a user's own builds are none */
    invite (farm, 1);
    farm_say (farm, "grant", PEER, farm->admin, json_pack ("{s:s, s:s}", "name", "ann", "role", "viewer"));
    farm_say (farm, "order", PEER, farm->admin, json_pack ("{s:s, s:s, s:s}", "name", "amd", "mode", "paused", "comment", "hot"));
    farm_cancel (farm, farm->admin, build);
    farm_say (farm, "revoke", PEER, farm->admin, json_pack ("{s:s, s:s}", "kind", "user", "name", "bob"));
    static const char *const acts [] = { "invite", "grant", "order", "cancel", "revoke" };
    assert_int_equal (count_rows (farm), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal (says (farm, i, "act"), acts [i]);
        assert_string_equal (says (farm, i, "who"), "root");
        assert_string_equal (says (farm, i, "outcome"), "done");
    }
    assert_string_equal (says (farm, 2, "detail"), "paused: hot");
    assert_string_equal (says (farm, 4, "subject"), "bob");
    farm_say (farm, "grant", PEER, farm->admin, json_pack ("{s:s, s:s}", "name", "nobody", "role", "viewer"));
    assert_int_equal (count_rows (farm), 5);                        /* what was not done is not there */
    assert_int_equal (first_wrong (farm), -1);
    farm_say (farm, "audit", PEER, farm->viewer, json_object ());
    assert_string_equal (farm_error (farm, PEER), "denied");
}

static void is_row_of (farm_t *farm, const char *who, size_t nth, const char *act, const char *subject, const char *detail)
{
    assert_int_equal (count_rows (farm), nth + 1);
    assert_string_equal (says (farm, nth, "act"), act);
    assert_string_equal (says (farm, nth, "who"), who);
    assert_string_equal (says (farm, nth, "outcome"), "done");
    assert_string_equal (says (farm, nth, "subject"), subject);
    assert_string_equal (says (farm, nth, "detail"), detail);
}

static void is_row (farm_t *farm, size_t nth, const char *act, const char *subject, const char *detail)
{
    is_row_of (farm, "root", nth, act, subject, detail);
}

/* By the invitation, which has the newcomer's name, or is the standing one. */
static void who_joins_is_a_row (void **state)
{
    farm_t *farm = *state;
    principal_t invitation;
    invite (farm, 1);
    assert_int_equal (engine_find_principal (farm->engine, key_of (1), &invitation, NULL), 0);
    const struct { int64_t principal; const char *name; } joins [] = { { invitation.id, "user1" }, { farm->invitation, "eve" } };
    for (size_t i = 0; i < 2; i++) {
        farm_say (farm, "join", PEER, joins [i].principal, json_pack ("{s:s, s:s, s:s}", "kind", "submitter", "name", "eve", "public_key", key_of (20 + (int) i)));
        assert_non_null (farm_sent (farm, PEER, "joined"));
        is_row_of (farm, i == 0 ? "user1" : "invitation", 1 + i, "join", joins [i].name, key_of (20 + (int) i));
    }
}

static void a_prune_is_a_row (void **state)
{
    farm_t *farm = *state;
    for (int is_dry = 0; is_dry < 2; is_dry++) {
        farm_say (farm, "prune", 0, farm->admin, json_pack ("{s:b}", "dry_run", is_dry));
        is_row (farm, (size_t) is_dry, "prune", "", is_dry ? "dry run" : "");
    }
}

/* Each thing that an admin may do because they are one; their owner does all of it without a row. */
static void what_an_admin_does_to_what_is_anothers_is_a_row (void **state)
{
    farm_t *farm = *state;
    static const char *const orders [] = { "pause", "resume", "run", "hook", "unhook", "remove" };
    const int64_t by [] = { farm->ann, farm->admin };
    for (size_t who = 0; who < 2; who++) {
        size_t rows = count_rows (farm);
        bool is_foreign = by [who] == farm->admin;
        int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
        farm_say (farm, "add-schedule", PEER, farm->ann, json_pack ("{s:s, s:s, s:s, s:o}", "name", "nightly", "cron", "0 2 * * *", "zone", "UTC",
                                                                    "spec", spec_of ("linux/amd64", "r.lan/a")));
        add_news (farm, farm->ann, "mine", NULL);
        assert_int_equal (count_rows (farm), rows);
        add_news (farm, by [who], "told", "nightly");
        if (is_foreign)
            is_row (farm, rows++, "add-news", "told", "mail ann@example.com, schedule, of another user");
        for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
            farm_say (farm, "order-schedule", PEER, by [who], json_pack ("{s:s, s:s, s:s, s:s}", "name", "nightly", "order", orders [i],
                                                                         "request", "000000000000000000000000000000ab", "sealed", "AAAA"));
            assert_string_equal (farm_error (farm, PEER), "");
            AUTO_FREE char *detail = mem_printf ("%s, of another user", orders [i]);
            if (is_foreign)
                is_row (farm, rows++, "order-schedule", "nightly", detail);
        }
        farm_say (farm, "order-news", PEER, by [who], json_pack ("{s:s, s:s}", "name", "mine", "order", "remove"));
        if (is_foreign)
            is_row (farm, rows++, "order-news", "mine", "remove, of another user");
        AUTO_FREE char *number = mem_printf ("%lld", (long long) build);
        farm_say (farm, "spec", PEER, by [who], json_pack ("{s:I}", "build", (json_int_t) build));
        assert_non_null (farm_sent (farm, PEER, "build-spec"));
        if (is_foreign)
            is_row (farm, rows++, "spec", number, "of another user");
        json_t *again = submit_of (farm, spec_of ("linux/amd64", "r.lan/a"));
        json_object_set_new (again, "reuse", json_integer (build));
        farm_say (farm, "submit", PEER, by [who], again);
        assert_string_equal (farm_error (farm, PEER), "");
        if (is_foreign)
            is_row (farm, rows++, "submit", number, "of another user");
        assert_int_equal (count_rows (farm), rows);
    }
    assert_int_equal (first_wrong (farm), -1);
}

/* Whoever is told of the whole farm is an admin's word, and so is that they are not any more. */
static void news_of_the_whole_farm_are_rows (void **state)
{
    farm_t *farm = *state;
    const char *const acts [] = { "add-news", "add-news", "add-news", "order-news" };
    const char *const details [] = { "mail root@example.com, farm", "mail root@example.com, user", "mail root@example.com, farm", "remove, farm" };
    for (int i = 0; i < 3; i++) {
        farm_say (farm, "add-news", PEER, farm->admin, json_pack ("{s:s, s:s, s:s, s:s, s:b, s:b}", "request", "00000000000000000000000000000001", "name", "all",
                                                                 "kind", "mail", "address", "root@example.com", "farm", i != 1, "replace", 1));
        assert_string_equal (farm_error (farm, PEER), "");
    }
    farm_say (farm, "order-news", PEER, farm->admin, json_pack ("{s:s, s:s}", "name", "all", "order", "remove"));
    assert_int_equal (count_rows (farm), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal (says (farm, i, "act"), acts [i]);
        assert_string_equal (says (farm, i, "detail"), details [i]);
    }
}

/* All that a worker may say of an attempt, which is refused with this code, or noted as stale. */
static void ask_for (farm_t *farm, const worker_t *worker, task_t task, const char *code)
{
    static const struct { const char *verb, *more; } words [] = {
        { "want-secret", "{\"secret\": \"npm\", \"part\": 0}" }, { "want-token", "{\"host\": \"r.lan\", \"scope\": \"repository:a:pull\"}" },
        { "pin", "{\"reference\": \"r.lan/base:1\", \"digest\": \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"}" },
        { "report", "{\"state\": \"building\"}" },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        json_t *header = json_loads (words [i].more, 0, NULL);
        json_object_set_new (header, "job", json_integer (task.job));
        json_object_set_new (header, "attempt", json_integer (task.attempt));
        farm_say (farm, words [i].verb, worker->peer, worker->principal, header);
        if (strcmp (words [i].verb, "report") != 0)
            assert_string_equal (farm_error (farm, worker->peer), code);
        else
            assert_true (json_is_true (json_object_get (farm_sent (farm, worker->peer, "noted"), "stale")));
    }
}

/* Of another's it lies. Of one that it had once, or that is forgotten, it asks late. */
static void a_worker_that_speaks_of_anothers_attempt_is_denied_that (void **state)
{
    farm_t *farm = *state;
    static const char *const acts [] = { "want-secret", "want-token", "pin", "report" };
    int64_t build, owner;
    err_t err = { 0 };
    worker_t one, two;
    worker_join (farm, &one, "one", "linux/amd64", 1);
    int64_t number = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    task_t task = worker_task (farm, &one), none = { task.job, task.attempt + 1 };
    worker_join (farm, &two, "two", "linux/amd64", 1);
    ask_for (farm, &two, task, "denied");
    assert_int_equal (count_rows (farm), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal (says (farm, i, "who"), "two");
        assert_string_equal (says (farm, i, "act"), acts [i]);
        assert_string_equal (says (farm, i, "outcome"), "denied");
    }
    assert_non_null (strstr (says (farm, 3, "detail"), "job 1, attempt 1 is another worker's: "));
    assert_int_equal (engine_find_agent (farm->engine, two.principal, task.job, task.attempt, "default", &build, &owner, &err), -1);
    assert_int_equal (err.code, ERR_DENIED);
    farm_cancel (farm, farm->ann, number);
    ask_for (farm, &one, none, "stale");
    ask_for (farm, &one, task, "stale");
    assert_int_equal (count_rows (farm), 4);
    assert_int_equal (engine_find_agent (farm->engine, one.principal, none.job, none.attempt, "default", &build, &owner, &err), -1);
    assert_int_equal (err.code, ERR_STALE);
    assert_int_equal (engine_find_agent (farm->engine, one.principal, task.job, task.attempt, "default", &build, &owner, &err), -1);
    assert_int_equal (err.code, ERR_STALE);
}

/* It is told to end it, as if it had it; and that is for the log. */
static void a_worker_that_names_anothers_attempt_as_its_own_is_denied_that (void **state)
{
    farm_t *farm = *state;
    worker_t one, two;
    worker_join (farm, &one, "one", "linux/amd64", 1);
    int64_t number = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    task_t task = worker_task (farm, &one), none = { task.job, task.attempt + 1 };
    worker_join (farm, &two, "two", "linux/amd64", 1);
    worker_beat (farm, &two, &task, 1);
    assert_non_null (farm_sent (farm, two.peer, "abort"));
    assert_int_equal (count_rows (farm), 1);
    assert_string_equal (says (farm, 0, "who"), "two");
    assert_string_equal (says (farm, 0, "act"), "heartbeat");
    assert_string_equal (says (farm, 0, "outcome"), "denied");
    assert_string_equal (says (farm, 0, "detail"), "job 1, attempt 1 is another worker's: what it says of it is not heard");
    worker_hello (farm, &two, &task, 1);
    assert_int_equal (count_rows (farm), 2);
    assert_string_equal (says (farm, 1, "act"), "hello");
    assert_string_equal (farm_shows (farm, number, "jobs/0/worker"), "one");
    farm_cancel (farm, farm->ann, number);
    worker_beat (farm, &one, &task, 1);             /* late is no lie */
    worker_beat (farm, &one, &none, 1);
    assert_int_equal (count_rows (farm), 2);
    for (int i = 0; i < 100; i++)
        worker_beat (farm, &two, &task, 1);
    assert_int_equal (count_rows (farm), 2);
    farm_pass (farm, MINUTE_MS);
    assert_int_equal (sum_of (farm, NULL, "heartbeat"), 101);
}

static void the_first_denial_is_a_row_at_once_and_the_others_one_a_minute_later (void **state)
{
    farm_t *farm = *state;
    for (int i = 0; i < 1000; i++)
        farm_say (farm, "users", PEER, farm->bob, json_object ());
    assert_int_equal (count_rows (farm), 1);
    assert_string_equal (says (farm, 0, "who"), "bob");
    assert_string_equal (says (farm, 0, "outcome"), "denied");
    farm_pass (farm, MINUTE_MS);
    assert_int_equal (count_rows (farm), 2);
    assert_string_equal (says (farm, 1, "times"), "999");
    farm_pass (farm, 10 * MINUTE_MS);
    assert_int_equal (count_rows (farm), 2);
    farm_say (farm, "users", PEER, farm->bob, json_object ());
    assert_int_equal (count_rows (farm), 3);                        /* quiet for so long: at once */
}

/* After 1, 2, 4 … minutes, and each hour anew. */
static void who_is_denied_without_end_has_seven_rows_an_hour (void **state)
{
    farm_t *farm = *state;
    for (int second = 0; second < 24 * 3600; second += 10) {
        deny (farm, key_of_user ("bob"), "users", "why", 3);
        farm_pass (farm, 10000);
    }
    assert_int_equal (count_rows (farm), 24 * 7 + 1);
    farm_pass (farm, 60 * MINUTE_MS);
    assert_int_equal (sum_of (farm, key_of_user ("bob"), "users"), 24 * 360 * 3);
}

/* Nor for another reason: of each the first is there. */
static void nobody_hides_what_another_was_denied (void **state)
{
    farm_t *farm = *state;
    static const int floods = 500;
    for (int i = 0; i < floods; i++) {
        AUTO_FREE char *reason = mem_printf ("reason %d", i);
        deny (farm, key_of_user ("ann"), "put", reason, 3);         /* a known key, for all reasons that there are */
        deny (farm, key_of (i), "connect", "from 10.0.0.1", 2);     /* and strangers */
        deny (farm, "", "hook", reason, 1);                         /* and who has no key */
    }
    assert_int_equal (sum_of (farm, key_of_user ("ann"), "put"), 3 * 16);
    farm_say (farm, "users", PEER, farm->bob, json_object ());
    size_t last = count_rows (farm) - 1;
    assert_string_equal (says (farm, last, "who"), "bob");
    assert_string_equal (says (farm, last, "act"), "users");
    farm_pass (farm, 2 * MINUTE_MS);
    assert_int_equal (sum_of (farm, key_of_user ("ann"), "others"), 3 * (floods - 16));
    assert_int_equal (sum_of (farm, NULL, "connect"), 2 * 28);
    assert_int_equal (sum_of (farm, NULL, "hook"), 16);
    assert_int_equal (sum_of (farm, NULL, NULL), 6 * floods + 1);
    assert_true (count_rows (farm) < 100);
}

/* So many that there is no place for all of them. */
static void of_more_known_keys_than_places_the_rest_are_a_number (void **state)
{
    farm_t *farm = *state;
    enum { KEYS = 260, REASONS = 16, PLACES = 4096 };
    tamper (farm, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 260) INSERT INTO principals (key, role, name, created_ms) "
            "SELECT printf ('%064d', i), 'viewer', 'user' || i, 1 FROM n");
    farm_begin (farm);
    for (int i = 0; i < KEYS * REASONS; i++) {
        AUTO_FREE char *key = mem_printf ("%064d", i / REASONS + 1), *reason = mem_printf ("reason %d", i % REASONS);
        farm_add (farm, "denied", 0, 0, json_pack ("{s:s, s:s, s:s, s:i}", "key", key, "act", "put", "detail", reason, "times", 1));
    }
    farm_commit (farm);
    assert_int_equal (sum_of (farm, NULL, "put"), PLACES);
    assert_int_equal (sum_of (farm, "", "others"), KEYS * REASONS - PLACES);
}

/* Such are told apart as long as their beginning is. */
static void a_long_reason_is_cut_and_is_one (void **state)
{
    farm_t *farm = *state;
    AUTO_FREE char *tail = mem_printf ("%0300d", 0);
    for (int i = 0; i < 40; i++) {
        AUTO_FREE char *reason = mem_printf ("%s%d", tail, i);
        deny (farm, key_of_user ("ann"), "an act with a name that is much too long", reason, 1);
    }
    farm_pass (farm, MINUTE_MS);
    assert_int_equal (count_rows (farm), 2);
    assert_int_equal (sum_of (farm, NULL, NULL), 40);
}

static void what_is_counted_is_a_row_before_the_end (void **state)
{
    farm_t *farm = *state;
    for (int i = 0; i < 10; i++)
        farm_say (farm, "users", PEER, farm->bob, json_object ());
    for (int i = 0; i < 100; i++)
        deny (farm, key_of (i), "connect", "", 1);
    engine_wind_down (farm->engine);
    farm_pass (farm, 0);
    assert_int_equal (sum_of (farm, NULL, "users"), 10);
    assert_int_equal (sum_of (farm, NULL, NULL), 110);
    size_t count = count_rows (farm);
    for (int i = 0; i < 10; i++)
        deny (farm, key_of_user ("ann"), "put", "", 1);
    farm_pass (farm, 1000);                                         /* and once a second then */
    assert_int_equal (count_rows (farm), count + 2);
    assert_int_equal (sum_of (farm, NULL, "put"), 10);
}

/* One row of the batch was written and the next was not: both are counted again, and what was heard in it is heard again. */
static void a_batch_that_is_lost_loses_no_number (void **state)
{
    farm_t *farm = *state;
    tamper (farm, "CREATE TRIGGER fails BEFORE INSERT ON audit WHEN new.times = 7 AND NOT EXISTS (SELECT 1 FROM builds) BEGIN SELECT raise (ABORT, 'as it was told'); END");
    deny (farm, key_of_user ("ann"), "put", "", 1);
    deny (farm, key_of_user ("ann"), "want", "", 1);
    deny (farm, key_of_user ("ann"), "put", "", 5);
    deny (farm, key_of_user ("ann"), "want", "", 7);
    farm->now += MINUTE_MS;
    deny (farm, key_of_user ("bob"), "log", "", 100);               /* its batch has the two rows */
    assert_int_equal (count_rows (farm), 2);
    farm_say (farm, "users", PEER, farm->bob, json_object ());      /* the disk is in trouble, and who is denied hears of that */
    assert_string_equal (farm_error (farm, PEER), "denied");
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    farm_pass (farm, 2000);
    assert_int_equal (sum_of (farm, NULL, "put"), 6);
    assert_int_equal (sum_of (farm, NULL, "want"), 8);
    assert_int_equal (sum_of (farm, NULL, "log"), 100);
    assert_int_equal (sum_of (farm, NULL, "users"), 1);
    assert_int_equal (count_rows (farm), 6);
    assert_int_equal (first_wrong (farm), -1);
}

/* Strangers come with a new key each time, or again and again. */
static void nobody_fills_the_disk_by_being_denied (void **state)
{
    farm_t *farm = *state;
    for (int minute = 0; minute < 60; minute++) {
        for (int i = 0; i < 250; i++) {
            deny (farm, key_of (minute * 1000 + i), "connect", "from 10.0.0.1", 1);
            deny (farm, key_of (i), "connect", "from 10.0.0.1", 1);
        }
        farm_pass (farm, MINUTE_MS);
    }
    assert_in_range (count_rows (farm), 29, 29 * 8);                   /* the last at its very end */
    assert_int_equal (sum_of (farm, NULL, NULL), 60 * 500);             /* none is left out of the sum */
    assert_int_equal (first_wrong (farm), -1);
}

static void a_changed_row_is_found_whatever_was_changed (void **state)
{
    farm_t *farm = *state;
    static const char *const changes [] = {
        "UPDATE audit SET at_ms = at_ms + 1 WHERE id = 3", "UPDATE audit SET who = 'ann' WHERE id = 3", "UPDATE audit SET key = '' WHERE id = 3",
        "UPDATE audit SET act = 'order' WHERE id = 3", "UPDATE audit SET subject = 'x' WHERE id = 3", "UPDATE audit SET outcome = 'denied' WHERE id = 3",
        "UPDATE audit SET detail = '' WHERE id = 3", "UPDATE audit SET times = 2 WHERE id = 3",
        "UPDATE audit SET hash = (SELECT hash FROM audit WHERE id = 2) WHERE id = 3", "DELETE FROM audit WHERE id = 3",
        "DELETE FROM audit WHERE id = 3; UPDATE audit SET id = id - 1 WHERE id > 3",
    };
    for (int i = 0; i < 6; i++)
        invite (farm, i);
    assert_int_equal (first_wrong (farm), -1);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        tamper (farm, "CREATE TABLE kept AS SELECT * FROM audit");
        tamper (farm, changes [i]);
        if (first_wrong (farm) != 2)
            fail_msg ("%s: %d", changes [i], first_wrong (farm));
        tamper (farm, "DELETE FROM audit; INSERT INTO audit SELECT * FROM kept; DROP TABLE kept");
        assert_int_equal (first_wrong (farm), -1);
    }
}

/* Rows taken off the end leave a chain that is right: what was noted elsewhere tells. */
static void a_cut_end_is_found_by_what_was_noted_elsewhere (void **state)
{
    farm_t *farm = *state;
    int64_t id = 0;
    char hash [65];
    bool is_there = false;
    err_t err = { 0 };
    for (int i = 0; i < 6; i++)
        invite (farm, i);
    assert_true (engine_take_audit_head (farm->engine, &id, hash));
    assert_int_equal (id, 6);
    assert_false (engine_take_audit_head (farm->engine, &id, hash));        /* nothing new */
    assert_int_equal (engine_check_audit_head (farm->engine, id, hash, 1, &is_there, &err), 0);
    assert_true (is_there);
    tamper (farm, "DELETE FROM audit WHERE id > 4");
    assert_int_equal (first_wrong (farm), -1);
    assert_int_equal (engine_check_audit_head (farm->engine, id, hash, 1, &is_there, &err), 0);
    assert_false (is_there);
    assert_int_equal (count_rows (farm), 5);
    assert_string_equal (says (farm, 4, "outcome"), "found");
    assert_int_equal (first_wrong (farm), -1);
}

/* A row of the coordinator's own. */
static void is_of_start (farm_t *farm, size_t nth, const char *subject, const char *what, const char *key)
{
    AUTO_FREE char *detail = mem_printf ("%s%s", what, key);
    assert_int_equal (count_rows (farm), nth + 1);
    assert_string_equal (says (farm, nth, "who"), "coordinator");
    assert_string_equal (says (farm, nth, "act"), "start");
    assert_string_equal (says (farm, nth, "outcome"), "done");
    assert_string_equal (says (farm, nth, "subject"), subject);
    assert_string_equal (says (farm, nth, "detail"), detail);
}

/* Whoever can write the state folder or the settings makes an admin without a word to anybody: the log has it. A start that changes nothing is no row. */
static void a_start_that_makes_an_admin_is_a_row (void **state)
{
    farm_t *farm = *state;
    principal_t admin;
    err_t err = { 0 };
    AUTO_FREE char *key = mem_strdup (key_of (1));
    for (int i = 0; i < 2; i++) {
        assert_int_equal (engine_make_admin (farm->engine, key, 10 + i, &err), 0);
        is_of_start (farm, 0, "admin", "", key);
        assert_int_equal (strtoll (says (farm, 0, "at_ms"), NULL, 10), 10);
    }
    assert_int_equal (engine_find_principal (farm->engine, key, &admin, &err), 0);
    assert_string_equal (admin.role, "admin");
    farm_reopen (farm);
    is_of_start (farm, 0, "admin", "", key);
    tamper (farm, "UPDATE principals SET revoked_ms = 3 WHERE name = 'admin'");
    assert_int_equal (engine_make_admin (farm->engine, key, 20, &err), -1);
    assert_int_equal (err.code, ERR_DENIED);
    assert_int_equal (count_rows (farm), 1);
    assert_int_equal (engine_make_admin (farm->engine, key_of (2), 30, &err), 0);
    is_of_start (farm, 1, "admin", "", key_of (2));
    assert_int_equal (first_wrong (farm), -1);
}

static void a_standing_invitation_that_comes_or_goes_is_a_row (void **state)
{
    farm_t *farm = *state;
    err_t err = { 0 };
    AUTO_FREE char *one = mem_strdup (key_of (1)), *two = mem_strdup (key_of (2));
    invite (farm, 3);                                               /* another's, which works once: it stays */
    tamper (farm, "UPDATE principals SET revoked_ms = 3 WHERE name = 'invitation'");      /* that of engines.c */
    const char *const keys [] = { NULL, one, one, two, NULL, NULL, two };
    static const struct { const char *what; int key; } rows [] = { { "on, ", 0 }, { "off, ", 0 }, { "on, ", 1 }, { "off, ", 1 }, { "on, ", 1 } };
    static const size_t rows_after [] = { 0, 1, 1, 3, 4, 4, 5 };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        assert_int_equal (engine_stand_invitation (farm->engine, keys [i], 10, &err), 0);
        assert_int_equal (count_rows (farm), 1 + rows_after [i]);
        if (i > 0 && rows_after [i] > rows_after [i - 1])
            is_of_start (farm, rows_after [i], "standing invitation", rows [rows_after [i] - 1].what, rows [rows_after [i] - 1].key ? two : one);
    }
    AUTO_FREE char *off = mem_printf ("off, %s", one);
    assert_string_equal (says (farm, 2, "detail"), off);
    principal_t who;
    assert_int_equal (engine_find_principal (farm->engine, one, &who, &err), -1);
    assert_int_equal (engine_find_principal (farm->engine, two, &who, &err), 0);
    assert_int_equal (engine_find_principal (farm->engine, key_of (3), &who, &err), 0);
    assert_int_equal (first_wrong (farm), -1);
}

/* A row that cannot be written: what it tells was not done either. */
static void what_cannot_be_told_is_not_done (void **state)
{
    farm_t *farm = *state;
    principal_t who;
    err_t err = { 0 };
    AUTO_FREE char *key = mem_strdup (key_of (1));
    tamper (farm, "CREATE TRIGGER no BEFORE INSERT ON audit BEGIN SELECT RAISE (FAIL, 'no'); END");
    assert_int_equal (engine_make_admin (farm->engine, key, 10, &err), -1);
    assert_int_equal (engine_find_principal (farm->engine, key, &who, &err), -1);
    assert_int_equal (engine_stand_invitation (farm->engine, key, 10, &err), -1);
    assert_int_equal (engine_find_principal (farm->engine, key, &who, &err), -1);
    assert_int_equal (engine_find_principal (farm->engine, key_of_user ("invitation"), &who, &err), 0);
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
#define TEST(name) cmocka_unit_test_setup_teardown (name, farm_setup, farm_teardown)
    const struct CMUnitTest tests [] = {
        TEST (what_an_admin_does_is_a_row),
        TEST (what_an_admin_does_to_what_is_anothers_is_a_row),
        TEST (who_joins_is_a_row),
        TEST (a_prune_is_a_row),
        TEST (news_of_the_whole_farm_are_rows),
        TEST (a_worker_that_speaks_of_anothers_attempt_is_denied_that),
        TEST (a_worker_that_names_anothers_attempt_as_its_own_is_denied_that),
        TEST (the_first_denial_is_a_row_at_once_and_the_others_one_a_minute_later),
        TEST (who_is_denied_without_end_has_seven_rows_an_hour),
        TEST (nobody_hides_what_another_was_denied),
        TEST (of_more_known_keys_than_places_the_rest_are_a_number),
        TEST (a_long_reason_is_cut_and_is_one),
        TEST (what_is_counted_is_a_row_before_the_end),
        TEST (a_batch_that_is_lost_loses_no_number),
        TEST (nobody_fills_the_disk_by_being_denied),
        TEST (a_changed_row_is_found_whatever_was_changed),
        TEST (a_cut_end_is_found_by_what_was_noted_elsewhere),
        TEST (a_start_that_makes_an_admin_is_a_row),
        TEST (a_standing_invitation_that_comes_or_goes_is_a_row),
        TEST (what_cannot_be_told_is_not_done),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
