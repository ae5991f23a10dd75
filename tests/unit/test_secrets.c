/* test_secrets.c - secrets of builds: options that name them, the seal, and the engine's keeping of them. */
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
#include "common/secret.h"
#include "coordinator/engine_private.h"
#include "coordinator/seal.h"
#include "farmctl/secret_options.h"
#include "engines.h"

/* -- options ------------------------------------------------------------------------------------------------------ */

static int read_option (const char *option, secrets_t *out, err_t *err)
{
    const char *items [] = { option };
    option_list_t list = { items, 1 };
    return secret_options_read (&list, out, err);
}

static void a_secret_comes_from_a_file_or_the_environment (void **state)
{
    (void) state;
    char folder [] = "/tmp/secrets-XXXXXX", text [128];
    err_t err = { 0 };
    assert_non_null (mkdtemp (folder));
    AUTO_FREE char *path = file_join (folder, "npmrc");
    assert_int_equal (file_write (path, "of a file", 9, 0600, &err), 0);
    setenv ("FARM_SECRET_TEST", "of the environment", 1);
    static const char *const forms [] = { "id=a,src=%s", "source=%s,id=a", "id=a,type=file,src=%s" };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        AUTO_SECRETS secrets_t secrets = { .count = 0 };
        snprintf (text, sizeof text, forms [i], path);
        assert_int_equal (read_option (text, &secrets, &err), 0);
        assert_int_equal (secrets.items [0].size, 9);
        assert_memory_equal (secrets.items [0].data, "of a file", 9);
    }
    static const char *const variables [] = { "id=a,env=FARM_SECRET_TEST", "id=a,type=env,src=FARM_SECRET_TEST", "id=FARM_SECRET_TEST",
                                              "id=FARM_SECRET_TEST,type=env" };
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        AUTO_SECRETS secrets_t secrets = { .count = 0 };
        assert_int_equal (read_option (variables [i], &secrets, &err), 0);
        assert_memory_equal (secrets.items [0].data, "of the environment", 18);
    }
    unsetenv ("FARM_SECRET_TEST");
    assert_int_equal (file_remove_tree (folder, &err), 0);
}

static void what_names_no_secret_is_refused (void **state)
{
    (void) state;
    static const struct { const char *option, *words; } rows [] = {
        { "", "there is no \"\"" }, { "npm", "there is no \"npm\"" }, { "src=/etc/hostname", "its id is missing" },
        { "id=a,id=b,src=/etc/hostname", "given twice" }, { "id=a,src=/etc/hostname,env=HOME", "give src or env" },
        { "id=a,type=tar,src=/etc/hostname", "type is file or env" }, { "id=../a,src=/etc/hostname", "an id has letters" },
        { "id=,src=/etc/hostname", "an id has letters" }, { "id=a b,src=/etc/hostname", "an id has letters" },
        { "id=a,src=/no/such/file", "/no/such/file: No such file" }, { "id=a,src=/", "Is a directory" },
        { "id=a,env=FARM_NO_SUCH_VARIABLE", "FARM_NO_SUCH_VARIABLE is not in the environment" }, { "id=a,src=/dev/zero", "512000 at most" },
        { "id=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,src=/etc/hostname", "longer than 63" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_SECRETS secrets_t secrets = { .count = 0 };
        err_t err = { 0 };
        assert_int_equal (read_option (rows [i].option, &secrets, &err), -1);
        assert_int_equal (err.code, ERR_USAGE);
        if (!strstr (err.text, rows [i].words))
            fail_msg ("%s: %s", rows [i].option, err.text);
    }
}

static void a_build_has_32_at_most (void **state)
{
    (void) state;
    AUTO_SECRETS secrets_t secrets = { .count = 0 };
    err_t err = { 0 };
    char id [16];
    for (int i = 0; i < SECRETS_MAX; i++) {
        snprintf (id, sizeof id, "s%d", i);
        assert_non_null (secrets_add (&secrets, id, 1, &err));
    }
    assert_null (secrets_add (&secrets, "s32", 1, &err));
    assert_non_null (strstr (err.text, "can have 32 secrets"));
    assert_null (secrets_add (&secrets, "s1", 1, &err));
    assert_non_null (strstr (err.text, "is given twice"));
}

/* -- the seal ----------------------------------------------------------------------------------------------------- */

static void only_what_was_sealed_opens (void **state)
{
    (void) state;
    uint8_t key [KEY_SIZE] = { 1 }, other_key [KEY_SIZE] = { 2 };
    AUTO (seal) seal_t *seal = seal_new (key), *other = seal_new (other_key);
    AUTO_FREE char *sealed = seal_close (seal, "of build 1", "a canary", 8), *again = seal_close (seal, "of build 1", "a canary", 8);
    AUTO_BUFFER buffer_t out = { 0 };
    err_t err = { 0 };
    assert_string_not_equal (sealed, again);                    /* each has a nonce of its own */
    assert_int_equal (seal_open (seal, "of build 1", sealed, &out, &err), 0);
    assert_int_equal (out.size, 8);
    assert_memory_equal (out.data, "a canary", 8);
    assert_int_equal (seal_open (seal, "of build 2", sealed, &out, &err), -1);
    assert_int_equal (err.code, ERR_FARM);
    assert_int_equal (seal_open (other, "of build 1", sealed, &out, &err), -1);
    for (size_t i = 0; sealed [i] && sealed [i] != '='; i++) {
        char was = sealed [i];
        sealed [i] = was == 'A' ? 'B' : 'A';
        if (seal_open (seal, "of build 1", sealed, &out, &err) == 0 && sealed [i + 1] != '=')   /* its last bits may mean nothing */
            fail_msg ("opens with another character %zu", i);
        sealed [i] = was;
    }
    assert_int_equal (seal_open (seal, "of build 1", "", &out, &err), -1);
    assert_int_equal (seal_open (seal, "of build 1", "%%%", &out, &err), -1);
}

static void an_empty_one_is_sealed_too (void **state)
{
    (void) state;
    uint8_t key [KEY_SIZE] = { 1 };
    AUTO (seal) seal_t *seal = seal_new (key);
    AUTO_FREE char *sealed = seal_close (seal, "x", "", 0);
    AUTO_BUFFER buffer_t out = { 0 };
    assert_int_equal (seal_open (seal, "x", sealed, &out, NULL), 0);
    assert_int_equal (out.size, 0);
}

/* -- the engine ---------------------------------------------------------------------------------------------------- */

static const char sealed_canary [] = "Y2FuYXJ5LW9mLXRoZS10ZXN0", canary [] = "canary-of-the-test";
static const char request_of_ann [] = "0123456789abcdef0123456789abcdef";

static void send_part_of (farm_t *farm, int64_t principal, const char *request, const char *id, int part, int parts, int size)
{
    farm_say (farm, "secret", peer_of (principal), principal,
              json_pack ("{s:s, s:s, s:i, s:i, s:i, s:s}", "request", request, "secret", id, "part", part, "parts", parts, "size", size, "sealed",
                         sealed_canary));
}

static void send_part (farm_t *farm, int64_t principal, const char *request, const char *id, int part, int parts)
{
    send_part_of (farm, principal, request, id, part, parts, 4);
}

static bool was_kept (const farm_t *farm, int64_t principal)
{
    return farm_sent (farm, peer_of (principal), "kept") != NULL;
}

static int64_t submit_with (farm_t *farm, int64_t principal, const char *request, const char *id)
{
    json_t *spec = spec_of ("linux/amd64", "r.lan/a:1");
    json_object_set_new (spec, "secrets", json_pack ("[s]", id));
    farm_say (farm, "submit", peer_of (principal), principal, json_pack ("{s:s, s:o}", "request", request, "spec", spec));
    return json_integer_value (json_object_get (farm_sent (farm, peer_of (principal), "accepted"), "build"));
}

static const json_t *want (farm_t *farm, const worker_t *worker, task_t task, const char *id, int part)
{
    farm_say (farm, "want-secret", worker->peer + 5000, worker->principal,
              json_pack ("{s:I, s:I, s:s, s:i}", "job", (json_int_t) task.job, "attempt", (json_int_t) task.attempt, "secret", id, "part", part));
    return farm_sent (farm, worker->peer + 5000, "secret-part");
}

static void the_worker_that_builds_has_it_and_nobody_else (void **state)
{
    farm_t *farm = *state;
    worker_t one = { .principal = 0 }, two = { .principal = 0 };
    worker_join (farm, &one, "one", "linux/amd64", 1);
    send_part (farm, farm->ann, request_of_ann, "npm", 0, 2);
    assert_true (was_kept (farm, farm->ann));
    send_part (farm, farm->ann, request_of_ann, "npm", 1, 2);
    assert_true (submit_with (farm, farm->ann, request_of_ann, "npm") > 0);
    task_t task = worker_task (farm, &one);
    worker_join (farm, &two, "two", "linux/amd64", 1);
    const json_t *part = want (farm, &one, task, "npm", 1);
    assert_non_null (part);
    assert_string_equal (json_string_value (json_object_get (part, "sealed")), sealed_canary);
    assert_string_equal (json_string_value (json_object_get (part, "request")), request_of_ann);
    assert_int_equal (json_integer_value (json_object_get (part, "principal")), farm->ann);
    assert_null (want (farm, &two, task, "npm", 0));
    assert_string_equal (farm_error (farm, two.peer + 5000), "denied");
    assert_null (want (farm, &one, (task_t) { task.job, task.attempt + 1 }, "npm", 0));
    assert_null (want (farm, &one, task, "pypi", 0));
    assert_string_equal (farm_error (farm, one.peer + 5000), "farm");
    farm_say (farm, "want-secret", peer_of (farm->ann), farm->ann,
              json_pack ("{s:I, s:I, s:s, s:i}", "job", (json_int_t) task.job, "attempt", (json_int_t) task.attempt, "secret", "npm", "part", 0));
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "denied");
}

static bool stands_in (const farm_t *farm, const char *ending)
{
    AUTO_BUFFER buffer_t file = { 0 };
    AUTO_FREE char *path = mem_printf ("%s%s", farm->path, ending);
    return file_read (path, 64 << 20, &file, NULL) == 0 && file.size && memmem (file.data, file.size, canary, strlen (canary));
}

/* In the pages of the database and in SQLite's log too, also where the coordinator is killed just then. */
static void it_is_gone_with_the_end_of_its_build (void **state)
{
    farm_t *farm = *state;
    worker_t one = { .principal = 0 };
    worker_join (farm, &one, "one", "linux/amd64", 1);
    send_part (farm, farm->ann, request_of_ann, "npm", 0, 1);
    assert_true (stands_in (farm, "-wal"));
    int64_t build = submit_with (farm, farm->ann, request_of_ann, "npm");
    task_t task = worker_task (farm, &one);
    assert_non_null (want (farm, &one, task, "npm", 0));
    assert_true (worker_fail (farm, &one, task, "farm"));        /* another attempt has it again */
    farm_pass (farm, 60000);
    worker_beat (farm, &one, NULL, 0);
    task = worker_task (farm, &one);
    if (task.job)
        assert_non_null (want (farm, &one, task, "npm", 0));
    farm_cancel (farm, farm->ann, build);
    assert_false (stands_in (farm, ""));
    assert_false (stands_in (farm, "-wal"));
    send_part (farm, farm->ann, request_of_ann, "npm", 0, 1);    /* late: its build is there, and over */
    assert_true (was_kept (farm, farm->ann));
}

static void a_build_without_its_secrets_is_refused (void **state)
{
    farm_t *farm = *state;
    int64_t changes = db_changes (farm->engine->db);
    assert_int_equal (submit_with (farm, farm->ann, request_of_ann, "npm"), 0);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "not-found");
    assert_int_equal (db_changes (farm->engine->db), changes);          /* nothing that had to be taken back */
    send_part (farm, farm->ann, request_of_ann, "npm", 1, 2);
    assert_int_equal (submit_with (farm, farm->ann, request_of_ann, "npm"), 0);
    send_part (farm, farm->bob, request_of_ann, "npm", 0, 2);    /* another's are another's */
    assert_int_equal (submit_with (farm, farm->ann, request_of_ann, "npm"), 0);
    send_part (farm, farm->ann, request_of_ann, "npm", 0, 2);
    assert_true (submit_with (farm, farm->ann, request_of_ann, "npm") > 0);
}

static void what_is_not_submitted_goes_after_ten_minutes (void **state)
{
    farm_t *farm = *state;
    send_part (farm, farm->ann, request_of_ann, "npm", 0, 1);
    farm_pass (farm, 599000);
    farm_reopen (farm);
    farm_pass (farm, 700000);
    assert_int_equal (submit_with (farm, farm->ann, request_of_ann, "npm"), 0);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "not-found");
}

static void nobody_fills_the_coordinator_with_them (void **state)
{
    farm_t *farm = *state;
    char request [33];
    int kept = 0;
    for (int i = 0; i < 300; i++) {
        snprintf (request, sizeof request, "%032x", i + 1);
        send_part (farm, farm->ann, request, "npm", 0, 1);
        kept += was_kept (farm, farm->ann);
    }
    assert_int_equal (kept, 256);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "full");
    send_part (farm, farm->bob, request_of_ann, "npm", 0, 1);
    assert_true (was_kept (farm, farm->bob));
}

/* Those of builds that wait count too: nobody takes all the room there is. */
static void each_user_has_a_part_of_the_room (void **state)
{
    farm_t *farm = *state;
    char request [33];
    int builds = 0;
    bool is_kept = true;
    for (int i = 0; i < 300 && is_kept; i++) {
        snprintf (request, sizeof request, "%032x", i + 1);
        send_part_of (farm, farm->ann, request, "npm", 0, 1, 256 << 10);
        is_kept = was_kept (farm, farm->ann);
        builds += is_kept && submit_with (farm, farm->ann, request, "npm") > 0;
    }
    assert_int_equal (builds, 256);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "full");
    send_part_of (farm, farm->bob, request_of_ann, "npm", 0, 1, 256 << 10);
    assert_true (was_kept (farm, farm->bob));
    farm_cancel (farm, farm->ann, 1);
    send_part_of (farm, farm->ann, request, "npm", 0, 1, 256 << 10);
    assert_true (was_kept (farm, farm->ann));
}

int main (void)
{
    assert_true (sodium_init () >= 0);
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (a_secret_comes_from_a_file_or_the_environment),
        cmocka_unit_test (what_names_no_secret_is_refused),
        cmocka_unit_test (a_build_has_32_at_most),
        cmocka_unit_test (only_what_was_sealed_opens),
        cmocka_unit_test (an_empty_one_is_sealed_too),
        cmocka_unit_test_setup_teardown (the_worker_that_builds_has_it_and_nobody_else, farm_setup, farm_teardown),
        cmocka_unit_test_setup_teardown (it_is_gone_with_the_end_of_its_build, farm_setup, farm_teardown),
        cmocka_unit_test_setup_teardown (a_build_without_its_secrets_is_refused, farm_setup, farm_teardown),
        cmocka_unit_test_setup_teardown (what_is_not_submitted_goes_after_ten_minutes, farm_setup, farm_teardown),
        cmocka_unit_test_setup_teardown (nobody_fills_the_coordinator_with_them, farm_setup, farm_teardown),
        cmocka_unit_test_setup_teardown (each_user_has_a_part_of_the_room, farm_setup, farm_teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
