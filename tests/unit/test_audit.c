/* test_audit.c - what is done with rights and what is denied stands in the audit log, whose rows cannot be changed, taken out or cut off
 * unnoticed; and who is denied without end does not make it grow without end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <sqlite3.h>
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

static void the_first_denial_is_a_row_at_once_and_the_others_one_a_minute (void **state)
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
}

/* Strangers come with a new key each time. */
static void nobody_fills_the_disk_by_being_denied (void **state)
{
    farm_t *farm = *state;
    for (int minute = 0; minute < 60; minute++) {
        for (int i = 0; i < 500; i++)
            farm_say (farm, "denied", 0, 0, json_pack ("{s:s, s:s, s:s}", "key", key_of (minute * 1000 + i), "act", "connect", "detail", "from 10.0.0.1"));
        farm_pass (farm, MINUTE_MS);
    }
    size_t count = count_rows (farm);
    assert_in_range (count, 200, 200 + 61);
    int64_t all = 0;
    AUTO_JSON json_t *rows = read_log (farm);
    for (size_t i = 0; i < count; i++)
        all += json_integer_value (json_object_get (json_array_get (rows, i), "times"));
    assert_int_equal (all, 60 * 500);                               /* none is left out of the sum */
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

int main (void)
{
    if (sodium_init () < 0)
        return 99;
#define TEST(name) cmocka_unit_test_setup_teardown (name, farm_setup, farm_teardown)
    const struct CMUnitTest tests [] = {
        TEST (what_an_admin_does_is_a_row),
        TEST (the_first_denial_is_a_row_at_once_and_the_others_one_a_minute),
        TEST (nobody_fills_the_disk_by_being_denied),
        TEST (a_changed_row_is_found_whatever_was_changed),
        TEST (a_cut_end_is_found_by_what_was_noted_elsewhere),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
