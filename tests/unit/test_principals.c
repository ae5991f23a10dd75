/* test_principals.c - who is invited and joins, what their role and limits let them do, and that a right that was taken back is worth
 * nothing from the next message on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <string.h>

#include "common/digest.h"
#include "common/embedded.h"
#include "common/mem.h"
#include "coordinator/holds.h"
#include "coordinator/rights.h"
#include "engines.h"

enum { HOUR_MS = 3600000, DAY_MS = 86400000, PEER = 5000 };

#define SAYS(farm, build, path, text) assert_string_equal (farm_shows (farm, build, path), text)

/* -- words ------------------------------------------------------------------------------------------------------- */

/* A key of its own for each word. In one of a few static buffers. */
static const char *key_of (const char *word)
{
    static char keys [8] [65];
    static int turn;
    char *hex = keys [turn++ % 8];
    digest_t key = digest_of (word, strlen (word));
    digest_to_hex (&key, hex);
    return hex;
}

/* The admin invites; the principal of the invitation, 0 where that was refused. */
static int64_t invite (farm_t *farm, const char *role, const char *name, const char *string, json_t *limits)
{
    principal_t found = { 0 };
    json_t *header = json_pack ("{s:s, s:s, s:s, s:i}", "public_key", key_of (string), "role", role, "name", name, "expire_ms", HOUR_MS);
    if (limits)
        json_object_set_new (header, "limits", limits);
    farm_say (farm, "invite", PEER, farm->admin, header);
    return farm_sent (farm, PEER, "invited") && engine_find_principal (farm->engine, key_of (string), &found, NULL) == 0 ? found.id : 0;
}

/* The code of the refusal, "" where it was not refused. */
static const char *join (farm_t *farm, int64_t invitation, const char *kind, const char *key)
{
    farm_say (farm, "join", PEER + 1, invitation, json_pack ("{s:s, s:s, s:s}", "kind", kind, "name", "whatever", "public_key", key_of (key)));
    return farm_error (farm, PEER + 1);
}

static principal_t find (farm_t *farm, const char *key)
{
    principal_t found = { 0 };
    engine_find_principal (farm->engine, key_of (key), &found, NULL);
    return found;
}

static int64_t new_user (farm_t *farm, const char *role, const char *name, json_t *limits)
{
    AUTO_FREE char *string = mem_printf ("string of %s", name), *key = mem_printf ("key of %s", name);
    assert_string_equal (join (farm, invite (farm, role, name, string, limits), "submitter", key), "");
    return find (farm, key).id;
}

static const char *revoke (farm_t *farm, int64_t by, const char *kind, const char *name)
{
    farm_say (farm, "revoke", PEER, by, json_pack ("{s:s, s:s}", "kind", kind, "name", name));
    return farm_error (farm, PEER);
}

static const char *grant (farm_t *farm, const char *name, json_t *more)
{
    json_object_set_new (more, "name", json_string (name));
    farm_say (farm, "grant", PEER, farm->admin, more);
    return farm_error (farm, PEER);
}

/* What the gateway is told of a key: its role, "" when it may not connect any more, NULL when nothing. */
static const char *told (const farm_t *farm, const char *key)
{
    const json_t *header;
    const char *role = NULL;
    for (int i = 0; (header = farm_action (farm, ACTION_PRINCIPAL, i)); i++)
        if (strcmp (json_string_value (json_object_get (header, "key")), key_of (key)) == 0)
            role = json_string_value (json_object_get (header, "role"));
    return role;
}

/* -- invitations -------------------------------------------------------------------------------------------------- */

static void a_join_string_works_once (void **state)
{
    farm_t *farm = *state;
    int64_t invitation = invite (farm, "viewer", "eve", "string", NULL);
    assert_string_equal (told (farm, "string"), "invitation");
    assert_string_equal (join (farm, invitation, "submitter", "laptop"), "");
    assert_string_equal (told (farm, "laptop"), "viewer");
    assert_string_equal (find (farm, "laptop").role, "viewer");
    assert_string_equal (find (farm, "laptop").name, "eve");        /* not what the newcomer says */
    assert_string_equal (join (farm, invitation, "submitter", "laptop"), "");      /* the answer was lost: the same join */
    assert_string_equal (join (farm, invitation, "submitter", "another"), "denied");
    assert_non_null (strstr (farm_error_text (farm, PEER + 1), "works once"));
    farm_reopen (farm);
    assert_string_equal (join (farm, invitation, "submitter", "another"), "denied");
}

static void a_join_string_expires (void **state)
{
    farm_t *farm = *state;
    int64_t invitation = invite (farm, "submitter", "eve", "string", NULL);
    farm->now += HOUR_MS - 1;
    farm_reopen (farm);
    farm->now += 1;
    assert_string_equal (join (farm, invitation, "submitter", "laptop"), "denied");
    assert_non_null (strstr (farm_error_text (farm, PEER + 1), "has expired"));
    assert_int_equal (find (farm, "laptop").id, 0);
    invite (farm, "submitter", "eve", "string 2", NULL);            /* the name is free again */
    assert_string_equal (told (farm, "string"), "");
    farm->now += DAY_MS + HOUR_MS + 1;
    invite (farm, "submitter", "mallory", "string 3", NULL);
    assert_string_equal (told (farm, "string 2"), "");              /* forgotten a day later */
    assert_int_equal (find (farm, "string 2").id, 0);
}

static void a_join_string_is_for_a_user_or_for_a_worker (void **state)
{
    farm_t *farm = *state;
    int64_t user = invite (farm, "admin", "eve", "string", NULL), worker = invite (farm, "worker", "pi4", "string 2", NULL);
    assert_string_equal (join (farm, user, "worker", "laptop"), "denied");
    assert_string_equal (join (farm, worker, "submitter", "board"), "denied");
    assert_string_equal (join (farm, worker, "worker", "board"), "");
    assert_string_equal (join (farm, user, "submitter", "laptop"), "");
    assert_string_equal (find (farm, "laptop").role, "admin");
    farm_say (farm, "invite", PEER, find (farm, "laptop").id, json_pack ("{s:s, s:s, s:s, s:i}", "public_key", key_of ("x"), "role", "viewer",
                                                                         "name", "vera", "expire_ms", HOUR_MS));
    assert_non_null (farm_sent (farm, PEER, "invited"));
}

static void only_an_admin_invites (void **state)
{
    farm_t *farm = *state;
    int64_t others [] = { farm->ann, farm->viewer, farm->invitation };
    for (size_t i = 0; i < 3; i++) {
        farm_say (farm, "invite", PEER, others [i], json_pack ("{s:s, s:s, s:s, s:i}", "public_key", key_of ("x"), "role", "admin", "name", "eve",
                                                               "expire_ms", HOUR_MS));
        assert_string_equal (farm_error (farm, PEER), "denied");
        assert_string_equal (revoke (farm, others [i], "user", "bob"), "denied");
    }
    assert_int_equal (invite (farm, "submitter", "ann", "string", NULL), 0);
    assert_string_equal (farm_error (farm, PEER), "usage");
}

static void of_two_strings_for_a_name_the_later_counts (void **state)
{
    farm_t *farm = *state;
    int64_t first = invite (farm, "submitter", "eve", "string", NULL);
    int64_t second = invite (farm, "submitter", "eve", "string 2", NULL);
    assert_string_equal (told (farm, "string"), "");
    assert_string_equal (join (farm, first, "submitter", "laptop"), "denied");
    assert_string_equal (join (farm, second, "submitter", "laptop"), "");
}

/* Keys are public: whoever has a string of their own names somebody else's. */
static void a_key_that_is_enrolled_does_not_join_again (void **state)
{
    farm_t *farm = *state;
    int64_t eve = new_user (farm, "submitter", "eve", NULL);
    int64_t string = invite (farm, "submitter", "mallory", "string 2", json_pack ("{s:i}", "max_queued", 1));
    assert_string_equal (join (farm, string, "submitter", "key of eve"), "denied");
    assert_non_null (strstr (farm_error_text (farm, PEER + 1), "enrolled already, as the submitter eve"));
    assert_string_equal (find (farm, "key of eve").name, "eve");
    assert_true (farm_submit (farm, eve, "linux/amd64", "r.lan/a") > 0 && farm_submit (farm, eve, "linux/amd64", "r.lan/b") > 0);
    assert_string_equal (join (farm, string, "submitter", "key of mallory"), "");       /* the string is still good */
    assert_string_equal (join (farm, string, "submitter", "key of mallory"), "");       /* the same once more */
    assert_string_equal (join (farm, invite (farm, "worker", "pi4", "string 3", NULL), "worker", "board"), "");
    assert_string_equal (join (farm, invite (farm, "worker", "pi5", "string 4", NULL), "worker", "board"), "denied");
    assert_string_equal (find (farm, "board").name, "pi4");
    assert_string_equal (join (farm, invite (farm, "worker", "pi4", "string 5", NULL), "worker", "board"), "");
}

static size_t count_joins (farm_t *farm)
{
    size_t i, count = 0;
    json_t *row;
    farm_say (farm, "audit", PEER, farm->admin, json_object ());
    json_array_foreach (json_object_get (farm_sent (farm, PEER, "audit-rows"), "rows"), i, row)
        count += strcmp (json_string_value (json_object_get (row, "act")), "join") == 0;
    return count;
}

/* A string that was used is still good for its answer; it fills no log. */
static void a_join_that_is_repeated_is_answered_and_no_more (void **state)
{
    farm_t *farm = *state;
    int64_t string = invite (farm, "submitter", "eve", "string", NULL), board = invite (farm, "worker", "pi4", "string 2", NULL);
    const struct { int64_t with; const char *kind, *key, *name; } joins [] = {
        { string, "submitter", "laptop", "eve" }, { board, "worker", "board", "pi4" }, { farm->invitation, "submitter", "desktop", "whatever" },
    };
    for (size_t i = 0; i < 3; i++)
        for (int times = 0; times < 3; times++) {
            assert_string_equal (join (farm, joins [i].with, joins [i].kind, joins [i].key), "");
            assert_string_equal (json_string_value (json_object_get (farm_sent (farm, PEER + 1, "joined"), "name")), joins [i].name);
            assert_true ((times == 0) == (farm_action (farm, ACTION_PRINCIPAL, 0) != NULL));
            assert_true ((times == 0) == (farm_action (farm, ACTION_TELL, 0) != NULL));
            assert_int_equal (count_joins (farm), i + 1);
        }
    farm_say (farm, "join", PEER + 1, farm->invitation, json_pack ("{s:s, s:s, s:s}", "kind", "submitter", "name", "other", "public_key", key_of ("desktop")));
    assert_string_equal (json_string_value (json_object_get (farm_sent (farm, PEER + 1, "joined"), "name")), "whatever");      /* as it is known */
}

static void an_invitation_is_taken_back (void **state)
{
    farm_t *farm = *state;
    int64_t invitation = invite (farm, "submitter", "eve", "string", NULL);
    assert_string_equal (revoke (farm, farm->admin, "user", "eve"), "");
    assert_string_equal (told (farm, "string"), "");
    assert_string_equal (join (farm, invitation, "submitter", "laptop"), "denied");
    assert_string_equal (revoke (farm, farm->admin, "user", "eve"), "not-found");
}

/* -- taken back --------------------------------------------------------------------------------------------------- */

static void a_right_taken_back_ends_at_the_next_message (void **state)
{
    farm_t *farm = *state;
    int64_t eve = new_user (farm, "submitter", "eve", NULL);
    int64_t build = farm_submit (farm, eve, "linux/amd64", "r.lan/a");
    assert_true (build > 0);
    assert_string_equal (revoke (farm, farm->admin, "user", "eve"), "");
    assert_string_equal (told (farm, "key of eve"), "");
    assert_int_equal (json_integer_value (json_object_get (farm_sent (farm, PEER, "revoked"), "builds")), 1);
    SAYS (farm, build, "reason", "the right of eve was taken back");
    farm_say (farm, "list", peer_of (eve), eve, json_object ());
    assert_string_equal (farm_error (farm, peer_of (eve)), "denied");
    assert_int_equal (find (farm, "key of eve").id, 0);
    farm_reopen (farm);
    farm_say (farm, "list", peer_of (eve), eve, json_object ());
    assert_string_equal (farm_error (farm, peer_of (eve)), "denied");
    assert_string_equal (join (farm, invite (farm, "submitter", "eve", "string 2", NULL), "submitter", "key of eve"), "denied");
    assert_string_equal (join (farm, invite (farm, "submitter", "eve", "string 3", NULL), "submitter", "new key"), "");
}

static void the_last_admin_stays (void **state)
{
    farm_t *farm = *state;
    assert_string_equal (revoke (farm, farm->admin, "user", "root"), "usage");
    assert_string_equal (grant (farm, "root", json_pack ("{s:s}", "role", "viewer")), "usage");
    new_user (farm, "admin", "eve", NULL);
    assert_string_equal (grant (farm, "root", json_pack ("{s:s}", "role", "viewer")), "");
    farm_say (farm, "users", PEER, farm->admin, json_object ());
    assert_string_equal (farm_error (farm, PEER), "denied");
}

/* Else whoever was removed would come back as whatever they had themselves invited before. */
static void the_strings_of_an_admin_go_with_the_right_to_invite (void **state)
{
    farm_t *farm = *state;
    static const char *const names [] = { "mallory", "mike" };
    int64_t strings [2], admins [2], used;
    for (int i = 0; i < 2; i++) {
        admins [i] = new_user (farm, "admin", names [i], NULL);
        int64_t former = farm->admin;
        farm->admin = admins [i];
        strings [i] = invite (farm, "admin", i == 0 ? "back" : "again", i == 0 ? "door" : "gate", NULL);
        used = new_user (farm, "viewer", i == 0 ? "vicky" : "val", NULL);
        farm->admin = former;
    }
    int64_t stays = invite (farm, "viewer", "vera", "of root", NULL);
    assert_string_equal (revoke (farm, farm->admin, "user", "mallory"), "");
    assert_string_equal (told (farm, "door"), "");
    assert_string_equal (grant (farm, "mike", json_pack ("{s:s}", "role", "submitter")), "");
    assert_string_equal (told (farm, "gate"), "");
    for (int i = 0; i < 2; i++)
        assert_string_equal (join (farm, strings [i], "submitter", names [i]), "denied");
    assert_string_equal (join (farm, stays, "submitter", "laptop of vera"), "");
    assert_int_equal (find (farm, "key of val").id, used);          /* who has joined is here by their own right */
}

static void a_worker_whose_right_is_taken_back_loses_its_jobs (void **state)
{
    farm_t *farm = *state;
    worker_t bad, good;
    worker_join (farm, &bad, "bad", "linux/amd64", 1);
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    task_t task = worker_task (farm, &bad);
    worker_join (farm, &good, "good", "linux/amd64", 1);
    worker_report (farm, &bad, task, "building", NULL);
    assert_string_equal (revoke (farm, farm->admin, "worker", "bad"), "");
    assert_non_null (farm_sent (farm, bad.peer, "abort"));
    assert_int_equal (worker_task (farm, &good).job, task.job);
    worker_beat (farm, &bad, &task, 1);
    assert_string_equal (farm_error (farm, bad.peer), "denied");
    assert_false (worker_push (farm, &bad, task));
    assert_string_equal (farm_error (farm, bad.peer), "denied");
    SAYS (farm, build, "jobs/0/worker", "good");
    assert_string_equal (revoke (farm, farm->admin, "worker", "bad"), "not-found");
}

/* The registry may need half a minute for it. */
static void a_token_that_comes_late_is_not_shown (void **state)
{
    farm_t *farm = *state;
    worker_t board = { .platforms = "linux/amd64", .slots = 1, .name = "pi4" };
    assert_string_equal (join (farm, invite (farm, "worker", "pi4", "string", NULL), "worker", "board"), "");
    board.principal = find (farm, "board").id;
    worker_restart (farm, &board);
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    task_t task = worker_task (farm, &board);
    assert_true (engine_may_show (farm->engine, key_of ("board"), task.job, task.attempt));
    assert_false (engine_may_show (farm->engine, key_of ("board"), task.job, task.attempt + 1));
    assert_false (engine_may_show (farm->engine, key_of ("stranger"), task.job, task.attempt));
    assert_string_equal (revoke (farm, farm->admin, "worker", "pi4"), "");
    assert_false (engine_may_show (farm->engine, key_of ("board"), task.job, task.attempt));
}

/* A board that was set up anew: the name stays, the former key does not. */
static void a_worker_invited_again_replaces_its_former_key (void **state)
{
    farm_t *farm = *state;
    worker_t first = { .platforms = "linux/amd64", .slots = 1, .name = "pi4" }, second = first, other = first;
    assert_string_equal (join (farm, invite (farm, "worker", "pi4", "string", NULL), "worker", "board"), "");
    first.principal = find (farm, "board").id;
    worker_restart (farm, &first);
    assert_non_null (farm_sent (farm, first.peer, "welcome"));
    assert_string_equal (join (farm, farm->invitation, "worker", "stranger"), "");
    other.principal = find (farm, "stranger").id;
    farm_pass (farm, 10 * 60000);
    worker_restart (farm, &other);                  /* the board is lost, but its name is its own */
    assert_string_equal (farm_error (farm, other.peer), "denied");
    assert_string_equal (join (farm, invite (farm, "worker", "pi4", "string 2", NULL), "worker", "board 2"), "");
    assert_string_equal (told (farm, "board"), "");
    second.principal = find (farm, "board 2").id;
    strcpy (second.name, "pi5");
    worker_restart (farm, &second);
    assert_string_equal (farm_error (farm, second.peer), "denied");         /* it was invited as pi4 */
    strcpy (second.name, "pi4");
    worker_restart (farm, &second);
    assert_non_null (farm_sent (farm, second.peer, "welcome"));
    worker_restart (farm, &first);
    assert_string_equal (farm_error (farm, first.peer), "denied");
}

/* Its connection lives: the machine was stolen, or somebody has its disk. */
static void a_worker_that_is_replaced_is_given_nothing_more (void **state)
{
    farm_t *farm = *state;
    worker_t first = { .platforms = "linux/amd64", .slots = 4, .name = "pi4" }, second = first;
    farm->settings.quarantine_ms = 60000;
    farm_reopen (farm);
    assert_string_equal (join (farm, invite (farm, "worker", "pi4", "string", NULL), "worker", "board"), "");
    first.principal = find (farm, "board").id;
    worker_restart (farm, &first);
    task_t had [3];
    for (int i = 0; i < 3; i++) {
        farm_submit (farm, farm->ann, "linux/amd64", i == 0 ? "r.lan/a" : i == 1 ? "r.lan/b" : "r.lan/c");
        had [i] = worker_task (farm, &first);
        assert_true (worker_report (farm, &first, had [i], "building", NULL));
    }
    farm_say (farm, "order", PEER, farm->admin, json_pack ("{s:s, s:{s:s}}", "name", "pi4", "labels", "disk", "big"));
    assert_string_equal (join (farm, invite (farm, "worker", "pi4", "string 2", NULL), "worker", "board 2"), "");
    assert_non_null (farm_sent (farm, first.peer, "abort"));
    SAYS (farm, 1, "jobs/0/attempts/0/reason", "pi4: another key has joined under its name");
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/d");
    assert_null (farm_sent (farm, first.peer, "assign"));
    second.principal = find (farm, "board 2").id;
    worker_restart (farm, &second);
    assert_non_null (farm_sent (farm, second.peer, "welcome"));
    assert_true (worker_task (farm, &second).job > 0);              /* nor is it quarantined for what the other had */
    farm_say (farm, "worker", PEER, farm->admin, json_pack ("{s:s}", "name", "pi4"));
    AUTO_FREE char *shown = json_dumps (farm_sent (farm, PEER, "worker-state"), JSON_COMPACT);
    assert_non_null (strstr (shown, "\"disk\":\"big\""));
    worker_beat (farm, &first, had, 3);
    assert_string_equal (farm_error (farm, first.peer), "denied");
}

/* -- whose builds ------------------------------------------------------------------------------------------------- */

static size_t shown_to (farm_t *farm, int64_t who)
{
    farm_say (farm, "list", PEER, who, json_object ());
    return json_array_size (json_object_get (farm_sent (farm, PEER, "builds"), "builds"));
}

static void a_submitter_sees_the_own_builds (void **state)
{
    farm_t *farm = *state;
    static const char *const verbs [] = { "inspect", "watch", "events" };
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    farm_submit (farm, farm->bob, "linux/amd64", "r.lan/b");
    farm_submit (farm, farm->ann, "linux/amd64", "r.lan/c");
    assert_int_equal (shown_to (farm, farm->ann), 2);
    assert_int_equal (shown_to (farm, farm->bob), 1);
    assert_int_equal (shown_to (farm, farm->viewer), 3);
    assert_int_equal (shown_to (farm, farm->admin), 3);
    for (size_t i = 0; i < 3; i++) {
        int64_t who [] = { farm->ann, farm->viewer, farm->admin, farm->bob };
        for (int j = 0; j < 4; j++) {
            farm_say (farm, verbs [i], PEER, who [j], json_pack ("{s:I}", "build", (json_int_t) build));
            assert_string_equal (farm_error (farm, PEER), j < 3 ? "" : "denied");
        }
    }
}

static const char *const roles [] = { "admin", "submitter", "viewer", "worker", "invitation", "", "root" };
static const struct { const char *verb, *allowed; } rights [] = {
    { "join", "nnnnynn" }, { "hello", "yyyynnn" }, { "heartbeat", "nnnynnn" }, { "report", "nnnynnn" }, { "restored", "nnnynnn" },
    { "check", "yynnnnn" }, { "secret", "yynnnnn" }, { "want-secret", "nnnynnn" }, { "want-token", "nnnynnn" }, { "ask-agent", "nnnynnn" }, { "agent-reply", "yynnnnn" }, { "submit", "yynnnnn" }, { "cancel", "yynnnnn" }, { "spec", "yynnnnn" }, { "list", "yyynnnn" },
    { "inspect", "yyynnnn" }, { "events", "yyynnnn" }, { "watch", "yyynnnn" }, { "workers", "yyynnnn" }, { "worker", "yyynnnn" },
    { "pin", "nnnynnn" }, { "add-schedule", "yynnnnn" }, { "order-schedule", "yynnnnn" }, { "schedule", "yyynnnn" }, { "schedules", "yyynnnn" },
    { "add-news", "yynnnnn" }, { "order-news", "yynnnnn" }, { "retry-news", "yynnnnn" }, { "news", "yyynnnn" }, { "outbox", "yyynnnn" },
    { "order", "ynnnnnn" }, { "prune", "ynnnnnn" }, { "invite", "ynnnnnn" }, { "users", "ynnnnnn" }, { "grant", "ynnnnnn" },
    { "revoke", "ynnnnnn" }, { "audit", "ynnnnnn" }, { "missing", "yynynnn" }, { "put", "yynynnn" }, { "want", "nnnynnn" }, { "log", "nnnynnn" },
    { "read-log", "yyynnnn" }, { "stats", "ynynnnn" }, { "tick", "nnnnnnn" }, { "verified", "nnnnnnn" }, { "", "nnnnnnn" },
};

static void each_verb_has_its_roles (void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++)
        for (int j = 0; j < 7; j++)
            if (rights_may (roles [j], rights [i].verb) != (rights [i].allowed [j] == 'y'))
                fail_msg ("%s says \"%s\"", roles [j], rights [i].verb);
}

static bool has_row (const char *verb)
{
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++)
        if (strcmp (rights [i].verb, verb) == 0)
            return true;
    return false;
}

/* A question has a number, and what anybody may say is one too: none of them is without a row above. */
static void no_verb_is_left_out (void **state)
{
    (void) state;
    const char *verb;
    json_t *schema;
    AUTO_JSON json_t *all = json_loads (embedded_messages, 0, NULL);
    json_object_foreach (json_object_get (all, "$defs"), verb, schema) {
        bool is_said = json_object_get (json_object_get (schema, "properties"), "seq") != NULL;
        for (int j = 0; j < 7; j++)
            is_said |= rights_may (roles [j], verb);
        if (*verb != '_' && is_said && !has_row (verb))
            fail_msg ("\"%s\" has no row", verb);
    }
}

/* -- limits ------------------------------------------------------------------------------------------------------- */

static void repositories_are_matched_by_pattern (void **state)
{
    (void) state;
    static const struct { const char *pattern, *repository; bool does; } rows [] = {
        { "team/*", "r.lan/team/app", true }, { "team/*", "r.lan/team/sub/app", true }, { "team/*", "r.lan/teams/app", false },
        { "team/*", "r.lan/team", false }, { "team/*", "r.lan/other/team/app", false }, { "team/*", "r.lan:5000/team/app", true },
        { "r.lan/team/*", "r.lan/team/app", true }, { "r.lan/team/*", "evil.lan/team/app", false }, { "*", "r.lan/a/b/c", true },
        { "r.lan/*", "r.lan:5000/a", false }, { "r.lan:5000/*", "r.lan:5000/a", true }, { "localhost/app", "localhost/app", true },
        { "app", "r.lan/app", true }, { "app", "r.lan/apps", false }, { "*-dev", "r.lan/team/app-dev", true }, { "*-dev", "r.lan/team/app", false },
        { "team/ap", "r.lan/team/app", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (repository_matches (rows [i].pattern, rows [i].repository) != rows [i].does)
            fail_msg ("%s and %s", rows [i].pattern, rows [i].repository);
    static const char *const none [] = { "", "/team", "team/", "te am", "team/[a]", "team/\\*", "team/?", "team/\n" };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal (repository_check_pattern (none [i], NULL), -1);
}

static void a_submitter_publishes_to_the_own_repositories (void **state)
{
    farm_t *farm = *state;
    int64_t eve = new_user (farm, "submitter", "eve", json_pack ("{s:[s, s]}", "repositories", "team/*", "r.lan/tools"));
    assert_true (farm_submit (farm, eve, "linux/amd64", "r.lan/team/app:1") > 0);
    assert_true (farm_submit (farm, eve, "linux/amd64", "r.lan/tools") > 0);
    assert_int_equal (farm_submit (farm, eve, "linux/amd64", "r.lan/team/app:1,r.lan/other:1"), 0);      /* each of them */
    assert_string_equal (farm_error (farm, peer_of (eve)), "denied");
    assert_non_null (strstr (farm_error_text (farm, peer_of (eve)), "r.lan/other"));
    assert_string_equal (grant (farm, "eve", json_pack ("{s:{s:[]}}", "limits", "repositories")), "");
    assert_true (farm_submit (farm, eve, "linux/amd64", "r.lan/other") > 0);
    assert_string_equal (grant (farm, "eve", json_pack ("{s:{s:[s]}}", "limits", "repositories", "te am")), "usage");
}

static void so_many_builds_may_wait (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    int64_t eve = new_user (farm, "submitter", "eve", json_pack ("{s:i}", "max_queued", 2));
    int64_t first = farm_submit (farm, eve, "linux/amd64", "r.lan/a");
    assert_true (farm_submit (farm, eve, "linux/amd64", "r.lan/b") > 0);
    assert_int_equal (farm_submit (farm, eve, "linux/amd64", "r.lan/c"), 0);
    assert_string_equal (farm_error (farm, peer_of (eve)), "full");
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    SAYS (farm, first, "state", "running");
    assert_true (farm_submit (farm, eve, "linux/amd64", "r.lan/c") > 0);
    assert_true (farm_submit (farm, farm->ann, "linux/amd64", "r.lan/d") > 0);
}

static void so_many_builds_are_at_work (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 8);
    int64_t eve = new_user (farm, "submitter", "eve", json_pack ("{s:i}", "max_running", 1)), builds [4];
    for (int i = 0; i < 4; i++) {
        AUTO_FREE char *tag = mem_printf ("r.lan/app:%d", i);
        builds [i] = farm_submit (farm, eve, "linux/amd64", tag);
        SAYS (farm, builds [i], "state", i == 0 ? "running" : "queued");
    }
    assert_non_null (strstr (farm_shows (farm, builds [1], "jobs/0/waiting"), "eve may have 1 builds at work"));
    farm_pass (farm, 30000);                        /* held back: that is no waiting for a worker, and nothing wakes it */
    worker_restart (farm, &amd);
    farm_reopen (farm);
    worker_restart (farm, &amd);
    SAYS (farm, builds [1], "state", "queued");
    farm_cancel (farm, eve, builds [0]);
    SAYS (farm, builds [1], "state", "running");
    SAYS (farm, builds [2], "state", "queued");
    farm_cancel (farm, eve, builds [2]);            /* one that was held frees nothing */
    SAYS (farm, builds [3], "state", "queued");
    assert_string_equal (grant (farm, "eve", json_pack ("{s:{s:i}}", "limits", "max_running", 0)), "");
    SAYS (farm, builds [3], "state", "running");
    farm_cancel (farm, eve, builds [1]);
    int64_t more = farm_submit (farm, eve, "linux/amd64", "r.lan/app:9");
    assert_string_equal (grant (farm, "eve", json_pack ("{s:{s:i}}", "limits", "max_running", 2)), "");     /* 3 and 9 count */
    assert_true (more > 0);
    SAYS (farm, farm_submit (farm, eve, "linux/amd64", "r.lan/app:10"), "state", "queued");
}

static void users_are_listed_with_what_they_may (void **state)
{
    farm_t *farm = *state;
    new_user (farm, "submitter", "eve", json_pack ("{s:[s], s:i}", "repositories", "team/*", "max_running", 3));
    invite (farm, "worker", "pi4", "string", NULL);
    farm_say (farm, "users", PEER, farm->admin, json_object ());
    const json_t *users = json_object_get (farm_sent (farm, PEER, "user-list"), "users");
    assert_int_equal (json_array_size (users), 6);          /* root, ann, bob, vic, eve, pi4; not the standing invitation */
    const json_t *eve = json_array_get (users, 4), *pi4 = json_array_get (users, 5);
    assert_string_equal (json_string_value (json_object_get (eve, "name")), "eve");
    assert_string_equal (json_string_value (json_object_get (eve, "state")), "active");
    assert_int_equal (json_integer_value (json_object_get (json_object_get (eve, "limits"), "max_running")), 3);
    assert_string_equal (json_string_value (json_object_get (pi4, "role")), "worker");
    assert_string_equal (json_string_value (json_object_get (pi4, "state")), "invited");
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
#define TEST(name) cmocka_unit_test_setup_teardown (name, farm_setup, farm_teardown)
    const struct CMUnitTest tests [] = {
        TEST (a_join_string_works_once),
        TEST (a_join_string_expires),
        TEST (a_join_string_is_for_a_user_or_for_a_worker),
        TEST (only_an_admin_invites),
        TEST (of_two_strings_for_a_name_the_later_counts),
        TEST (a_key_that_is_enrolled_does_not_join_again),
        TEST (a_token_that_comes_late_is_not_shown),
        TEST (a_join_that_is_repeated_is_answered_and_no_more),
        TEST (an_invitation_is_taken_back),
        TEST (a_right_taken_back_ends_at_the_next_message),
        TEST (the_last_admin_stays),
        TEST (the_strings_of_an_admin_go_with_the_right_to_invite),
        TEST (a_worker_whose_right_is_taken_back_loses_its_jobs),
        TEST (a_worker_invited_again_replaces_its_former_key),
        TEST (a_worker_that_is_replaced_is_given_nothing_more),
        TEST (a_submitter_sees_the_own_builds),
        cmocka_unit_test (each_verb_has_its_roles),
        cmocka_unit_test (no_verb_is_left_out),
        cmocka_unit_test (repositories_are_matched_by_pattern),
        TEST (a_submitter_publishes_to_the_own_repositories),
        TEST (so_many_builds_may_wait),
        TEST (so_many_builds_are_at_work),
        TEST (users_are_listed_with_what_they_may),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
