/* test_owners.c - what one user has sent is not there for another who has not, whatever digests they name; and a worker has what its
 * attempts are built from, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/pack.h"
#include "transfers.h"
#include "trees.h"

/* -- words ------------------------------------------------------------------------------------------------------- */

static msg_t *ask (client_t *client, const char *verb, const void *body, size_t size, err_t *err)
{
    const char *expected = strcmp (verb, "put") == 0 ? "stored" : verb;
    return client_ask_objects (client, verb, json_object (), body, size, expected, 5000, err);
}

static bool misses (client_t *client, const digest_t *digest)
{
    err_t err = { 0 };
    size_t size;
    AUTO (msg) msg_t *answer = ask (client, "missing", digest, sizeof *digest, &err);
    if (!answer)
        fail_msg ("%s", err.text);
    msg_body (answer, &size);
    return size > 0;
}

static int put (client_t *client, object_kind kind, const void *data, size_t size, err_t *err)
{
    AUTO_BUFFER buffer_t pack = { 0 };
    digest_t digest = digest_of (data, size);
    assert_true (pack_add (&pack, kind, &digest, data, size));
    AUTO (msg) msg_t *answer = ask (client, "put", pack.data, pack.size, err);
    return answer ? 0 : -1;
}

static digest_t send_again (farm_t *self, client_t *client)
{
    err_t err = { 0 };
    upload_stats_t sent = { 0 };
    AUTO (scan) scan_t *scan = NULL;
    if (scan_context (&scan, self->context, NULL, &err) < 0 || upload_context (client, scan, &sent, &err) < 0)
        fail_msg ("%s", err.text);
    return *scan_root (scan);
}

/* The context's one file, with this text. */
static digest_t send_file (farm_t *self, client_t *client, const char *text)
{
    err_t err = { 0 };
    AUTO_FREE char *path = file_join (self->context, "file");
    assert_int_equal (file_write (path, text, strlen (text), 0644, &err), 0);
    return send_again (self, client);
}

static int ask_for (zsock_t *objects, const digest_t *digest, err_t *err)
{
    AUTO (msg) msg_t *question = msg_new ("want", json_pack ("{s:i}", "seq", 1), digest, sizeof *digest);
    return msg_send (&question, objects, NULL, err);
}

static int want (farm_t *self, const digest_t *digest, err_t *err)
{
    if (ask_for (self->objects, digest, err) < 0)
        return -1;
    AUTO (msg) msg_t *answer = msg_recv (self->objects, NULL, NULL, NULL, err);
    if (!answer)
        return -1;
    return msg_is (answer, "objects") ? 0 : err_set (err, err_from_name (msg_text (answer, "code")), "%s", msg_text (answer, "text"));
}

/* -- users ------------------------------------------------------------------------------------------------------- */

static void what_somebody_else_has_sent_is_missing (void **state)
{
    farm_t *self = *state;
    digest_t file = digest_of ("secret", 6), root = send_file (self, self->client, "secret");
    assert_false (misses (self->client, &file));
    assert_false (misses (self->client, &root));
    assert_true (misses (self->other_client, &file));
    assert_true (misses (self->other_client, &root));
    digest_t again = send_again (self, self->other_client);         /* with the bytes it is theirs too */
    assert_true (digest_equal (&again, &root));
    assert_false (misses (self->other_client, &file));
    assert_false (misses (self->other_client, &root));
}

/* A folder whose bytes are ours, with an entry whose bytes are not. */
static void a_folder_cannot_be_made_of_digests_that_were_only_heard_of (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    AUTO_BUFFER buffer_t folder = { 0 };
    send_file (self, self->client, "secret");
    tree_entry_t entry = { .kind = TREE_FILE, .mode = 0644, .name = "stolen", .name_size = 6,
                           .content = { .size_bytes = 6, .level = 0, .digest = digest_of ("secret", 6) } };
    tree_write_entry (&folder, &entry);
    assert_int_equal (put (self->other_client, OBJECT_FOLDER, folder.data, folder.size, &err), -1);
    assert_int_equal (err.code, ERR_PROTOCOL);
    assert_non_null (strstr (err.text, "not in the depot: send that first"));
    assert_int_equal (put (self->other_client, OBJECT_CONTENT, folder.data, folder.size, &err), -1);       /* nor under another name */
    assert_int_equal (put (self->client, OBJECT_FOLDER, folder.data, folder.size, &err), 0);
    assert_int_equal (put (self->other_client, OBJECT_FOLDER, folder.data, folder.size, &err), -1);        /* though it is there now */
    digest_t digest = digest_of (folder.data, folder.size);
    assert_true (misses (self->other_client, &digest));
    assert_int_equal (put (self->other_client, OBJECT_CONTENT, "secret", 6, &err), 0);
    assert_int_equal (put (self->other_client, OBJECT_FOLDER, folder.data, folder.size, &err), 0);
    assert_false (misses (self->other_client, &digest));
}

/* Sent as a file's content while what it would name as a folder is not there: that is no claim on what comes later. */
static void content_that_becomes_a_folder_later_is_nobody_s_before (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    AUTO_BUFFER buffer_t folder = { 0 };
    tree_entry_t entry = { .kind = TREE_FILE, .mode = 0644, .name = "stolen", .name_size = 6,
                           .content = { .size_bytes = 6, .level = 0, .digest = digest_of ("secret", 6) } };
    tree_write_entry (&folder, &entry);
    digest_t digest = digest_of (folder.data, folder.size);
    assert_int_equal (put (self->other_client, OBJECT_CONTENT, folder.data, folder.size, &err), 0);
    assert_int_equal (put (self->client, OBJECT_CONTENT, "secret", 6, &err), 0);
    assert_int_equal (put (self->client, OBJECT_FOLDER, folder.data, folder.size, &err), 0);
    assert_false (misses (self->client, &digest));
    assert_true (misses (self->other_client, &digest));
}

static void has_answers_for_the_one_who_submits (void **state)
{
    farm_t *self = *state;
    char hex [DIGEST_HEX_SIZE + 1];
    static const struct { const char *who; bool has; } rows [] = { { "1", true }, { "3", false }, { "0", true } };
    digest_t root = send_file (self, self->client, "secret");
    digest_to_hex (&root, hex);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *verb = NULL, *token = NULL, *missing = NULL, *excess = NULL;
        zstr_sendx (self->service_actor, "HAS", "7", rows [i].who, hex, NULL);
        assert_int_equal (zstr_recvx (self->service_actor, &verb, &token, &missing, &excess, NULL), 4);
        assert_string_equal (missing, rows [i].has ? "" : hex);
        zstr_free (&verb);
        zstr_free (&token);
        zstr_free (&missing);
        zstr_free (&excess);
    }
}

static char *excess_of (farm_t *self, const digest_t *root)
{
    char hex [DIGEST_HEX_SIZE + 1], *verb = NULL, *token = NULL, *missing = NULL, *excess = NULL;
    digest_to_hex (root, hex);
    zstr_sendx (self->service_actor, "HAS", "8", "1", hex, hex, NULL);
    assert_int_equal (zstr_recvx (self->service_actor, &verb, &token, &missing, &excess, NULL), 4);
    assert_string_equal (missing, "");
    zstr_free (&verb);
    zstr_free (&token);
    zstr_free (&missing);
    return excess;
}

/* transfers.c has the limits: three entries, of which one is the context's folder, and 100,000 bytes. */
static void a_context_that_comes_to_too_much_is_told (void **state)
{
    farm_t *self = *state;
    static const struct { const char *path; size_t size; const char *says; } rows [] = {
        { "a", 60000, "" }, { "b", 40000, "" }, { "b", 40001, "MiB of files" }, { "c", 1, "the context has 4 files and folders" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tree_file (self->context, rows [i].path, rows [i].size, (unsigned) i, 0644);
        digest_t root = send_again (self, self->client);
        char *excess = excess_of (self, &root);
        if (rows [i].says [0] ? !strstr (excess, rows [i].says) : excess [0] != 0)
            fail_msg ("row %zu: \"%s\"", i, excess);
        zstr_free (&excess);
    }
}

/* -- workers ------------------------------------------------------------------------------------------------------ */

static void a_worker_has_what_its_attempts_are_built_from (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    digest_t file = digest_of ("secret", 6), root = send_file (self, self->client, "secret");
    assert_int_equal (want (self, &root, &err), -1);
    assert_int_equal (err.code, ERR_NOT_FOUND);
    digest_t other_file = digest_of ("mine", 4), other = send_file (self, self->client, "mine");
    begin_attempt (&other);
    assert_int_equal (want (self, &other, &err), 0);
    assert_int_equal (want (self, &other_file, &err), 0);           /* not from the top down: it is looked for */
    assert_int_equal (want (self, &file, &err), -1);
    assert_int_equal (err.code, ERR_NOT_FOUND);
    AUTO_FREE char *words = mem_strdup (err.text);
    digest_t nothing = digest_of ("nowhere", 7);
    assert_int_equal (want (self, &nothing, &err), -1);             /* the same answer as for what is not there */
    assert_string_equal (err.text + DIGEST_HEX_SIZE + 8, words + DIGEST_HEX_SIZE + 8);
    begin_attempt (&root);
    assert_int_equal (want (self, &file, &err), 0);
}

static void an_attempt_that_ended_gives_nothing_any_more (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    char hex [DIGEST_HEX_SIZE + 1];
    digest_t file = digest_of ("secret", 6), root = send_file (self, self->client, "secret");
    digest_to_hex (&root, hex);
    zstr_sendx (self->service_actor, "OPEN-LOG", "901", "1", "2", hex, hex, NULL);
    zstr_sendx (self->service_actor, "OPEN-LOG", "902", "1", "2", hex, hex, NULL);
    assert_int_equal (want (self, &root, &err), 0);
    zstr_sendx (self->service_actor, "CLOSE-LOG", "901", "1", NULL);
    assert_int_equal (want (self, &file, &err), 0);                 /* another one of it lives */
    zstr_sendx (self->service_actor, "CLOSE-LOG", "902", "1", NULL);
    assert_int_equal (want (self, &file, &err), -1);
    zstr_sendx (self->service_actor, "OPEN-LOG", "903", "1", "4", hex, hex, NULL);      /* of another worker */
    assert_int_equal (want (self, &file, &err), -1);
    assert_int_equal (want (self, &root, &err), -1);
}

static atomic_bool is_over;             /* of the floods */

/* Keeps the service busy with questions. */
static void *flood (void *argument)
{
    enum { ON_THE_WAY = 8 };
    farm_t *self = argument;
    err_t err = { 0 };
    const digest_t nothing = { { 1 } };
    zsock_t *objects = msg_connect (depot_service_endpoint (self->service), &self->worker, self->server.public_key, &err);
    for (int sent = 0; !is_over && ask_for (objects, &nothing, &err) == 0; sent++) {
        msg_t *answer = sent < ON_THE_WAY ? NULL : msg_recv (objects, NULL, NULL, NULL, &err);
        msg_destroy (&answer);
    }
    zsock_destroy (&objects);
    return NULL;
}

/* The service hears of an attempt from the gateway and of its worker's question from the network, here while it reads others' questions. */
static void an_attempt_is_known_when_its_worker_asks (void **state)
{
    enum { ATTEMPTS = 1000, FLOODS = 6 };
    farm_t *self = *state;
    err_t err = { 0 };
    pthread_t threads [FLOODS];
    int refused = 0;
    AUTO_BUFFER buffer_t pack = { 0 };
    for (int number = 0; number < ATTEMPTS; number++) {
        digest_t digest = digest_of (&number, sizeof number);
        assert_true (pack_add (&pack, OBJECT_CONTENT, &digest, &number, sizeof number));
    }
    AUTO (msg) msg_t *stored = ask (self->client, "put", pack.data, pack.size, &err);
    assert_non_null (stored);
    is_over = false;
    for (int i = 0; i < FLOODS; i++)
        assert_int_equal (pthread_create (&threads [i], NULL, flood, self), 0);
    for (int number = 0; number < ATTEMPTS; number++) {
        digest_t digest = digest_of (&number, sizeof number);
        begin_attempt (&digest);
        refused += want (self, &digest, &err) < 0;
    }
    is_over = true;
    for (int i = 0; i < FLOODS; i++)
        pthread_join (threads [i], NULL);
    assert_int_equal (refused, 0);
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
    zsys_init ();
    zsys_handler_set (NULL);
#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)
    const struct CMUnitTest tests [] = {
        TEST (what_somebody_else_has_sent_is_missing),
        TEST (a_folder_cannot_be_made_of_digests_that_were_only_heard_of),
        TEST (content_that_becomes_a_folder_later_is_nobody_s_before),
        TEST (has_answers_for_the_one_who_submits),
        TEST (a_context_that_comes_to_too_much_is_told),
        TEST (a_worker_has_what_its_attempts_are_built_from),
        TEST (an_attempt_that_ended_gives_nothing_any_more),
        TEST (an_attempt_is_known_when_its_worker_asks),
    };
    int failed = cmocka_run_group_tests (tests, NULL, NULL);
    zsys_shutdown ();
    return failed;
}
