/* test_restore.c - what the coordinator's depot has lost by damage is given back by a worker that has it; over real sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/pack.h"
#include "transfers.h"
#include "trees.h"
#include "worker/restore.h"

enum { SNIPPET = 32 };

/* -- damage ----------------------------------------------------------------------------------------------------- */

/* One bit of each place in the file where these bytes are. */
static int flip_in (const char *path, const uint8_t *bytes)
{
    int count = 0;
    AUTO_BUFFER buffer_t data = { 0 };
    assert_int_equal (file_read (path, SIZE_MAX / 4, &data, NULL), 0);
    AUTO_CLOSE int fd = open (path, O_WRONLY | O_CLOEXEC);
    for (uint8_t *at = data.data; data.size && (at = memmem (at, data.size - (size_t) (at - data.data), bytes, SNIPPET)); at++) {
        uint8_t other = *at ^ 1;
        assert_int_equal (pwrite (fd, &other, 1, at - data.data), 1);
        count++;
    }
    return count;
}

static int flip (const char *folder, const uint8_t *bytes)
{
    int count = 0;
    struct dirent *item;
    DIR *all = opendir (folder);
    assert_non_null (all);
    while ((item = readdir (all))) {
        AUTO_FREE char *path = file_join (folder, item->d_name);
        if (item->d_type == DT_DIR && item->d_name [0] != '.')
            count += flip (path, bytes);
        else if (item->d_type == DT_REG)
            count += flip_in (path, bytes);
    }
    closedir (all);
    return count;
}

/* A bit of this file's content in the coordinator's depot; noise is stored as it is. */
static void damage (farm_t *self, const char *name)
{
    AUTO_FREE char *path = file_join (self->context, name);
    AUTO_FREE char *depot = file_join (self->state, "depot");
    AUTO_FREE char *endpoint = mem_strdup (depot_service_endpoint (self->service));
    AUTO_BUFFER buffer_t content = { 0 };
    int count = 0;
    assert_int_equal (file_read (path, SIZE_MAX / 4, &content, NULL), 0);
    stop_service (self);
    for (size_t at = 0; count == 0 && at + SNIPPET <= content.size; at += SNIPPET)      /* pages may part it */
        count = flip (depot, content.data + at);
    assert_true (count > 0);
    start_service (self, endpoint);
}

/* Another worker's cache. */
static depot_t *open_cache (farm_t *self, const char *name)
{
    depot_t *depot = NULL;
    AUTO_FREE char *folder = file_join (self->top, name);
    assert_int_equal (depot_open (&depot, folder, NULL), 0);
    return depot;
}

/* The service says so; others that named the same object may have gone too. */
static void assert_lost (farm_t *self, const digest_t *root)
{
    char hex [DIGEST_HEX_SIZE + 1];
    bool is_it = false;
    digest_to_hex (root, hex);
    zsock_set_rcvtimeo (self->service_actor, 10000);
    while (!is_it) {
        char *verb = NULL, *digest = NULL;
        assert_int_equal (zstr_recvx (self->service_actor, &verb, &digest, NULL), 2);
        assert_string_equal (verb, "LOST");
        is_it = streq (digest, hex);
        zstr_free (&verb);
        zstr_free (&digest);
    }
}

static void give_back (farm_t *self, const digest_t *root)
{
    err_t err = { 0 };
    if (restore_root (self->cache, self->objects, root, NULL, &err) != 1)
        fail_msg ("%s", err.text);
}

/* -- tests ------------------------------------------------------------------------------------------------------ */

/* One worker has the context whole; another's fetch finds the damage. */
static void assert_comes_back (farm_t *self, const char *damaged)
{
    upload_stats_t sent;
    fetch_stats_t fetched = { 0 };
    err_t err = { 0 };
    digest_t root = send_context (self, &sent);
    fetch (self, &root, &fetched);
    damage (self, damaged);
    AUTO (depot) depot_t *other = open_cache (self, damaged);
    int times = 0;
    while (fetch_context (self->objects, other, &root, NULL, &fetched, &err) < 0) {
        assert_true (++times < 10);         /* the bytes may be in several objects, found one after the other */
        assert_lost (self, &root);
        give_back (self, &root);
    }
    assert_true (times > 0);
    if (tree_check_out (other, &root, self->out, NULL, &err) < 0)
        fail_msg ("%s", err.text);
    assert_true (tree_equal (self->context, self->out));
    tree_remove (self->out);
    give_back (self, &root);            /* there is nothing to do */
}

static void a_file_comes_back (void **state)
{
    farm_t *self = *state;
    tree_nasty (self->context);
    tree_folder (self->context, "x", 0755);
    tree_file (self->context, "x/y", 5000, 99, 0644);
    tree_file (self->context, "z", 5000, 99, 0644);         /* the same content twice */
    assert_comes_back (self, "z");
    tree_file (self->context, "x/y", 6000, 98, 0644);
    assert_comes_back (self, "257k");
}

static void a_piece_of_a_long_file_comes_back (void **state)
{
    farm_t *self = *state;
    tree_file (self->context, "long", 20000000, 3, 0644);
    tree_file (self->context, "beside", 100, 4, 0644);
    assert_comes_back (self, "long");
}

static void a_file_of_a_long_folder_comes_back (void **state)
{
    farm_t *self = *state;
    char name [250];
    for (int i = 0; i < 1300; i++) {
        snprintf (name, sizeof name, "%0220d", i);
        tree_file (self->context, name, 100, (unsigned) i + 1, 0644);
    }
    assert_comes_back (self, name);
}

static void a_dockerfile_comes_back (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent = { 0 };
    fetch_stats_t fetched = { 0 };
    digest_t digest;
    err_t err = { 0 };
    AUTO_FREE char *path = file_join (self->context, "Dockerfile");
    AUTO_BUFFER buffer_t text = { 0 };
    AUTO (scan) scan_t *scan = NULL;
    tree_file (self->context, "Dockerfile", 3000, 7, 0644);
    assert_int_equal (file_read (path, 10000, &text, NULL), 0);
    unlink (path);
    assert_int_equal (scan_context (&scan, self->context, NULL, &err), 0);
    assert_int_equal (upload_build (self->client, scan, text.data, text.size, &digest, &sent, &err), 0);
    assert_int_equal (fetch_content (self->objects, self->cache, &digest, NULL, &fetched, &err), 0);
    tree_file (self->context, "Dockerfile", 3000, 7, 0644);
    damage (self, "Dockerfile");
    AUTO (depot) depot_t *other = open_cache (self, "other");
    assert_int_equal (fetch_content (self->objects, other, &digest, NULL, &fetched, &err), -1);
    assert_lost (self, &digest);
    give_back (self, &digest);
    assert_int_equal (fetch_content (self->objects, other, &digest, NULL, &fetched, &err), 0);
}

static void what_a_worker_has_not_it_says (void **state)
{
    farm_t *self = *state;
    digest_t none = digest_of ("none", 4);
    assert_int_equal (restore_root (self->cache, self->objects, &none, NULL, NULL), 0);
}

/* Answers that nothing is missing, but the first question is lost; how often the worker asked. */
static void *forget_a_question (void *router)
{
    intptr_t asked = 0;
    for (;;) {
        zframe_t *peer = NULL;
        AUTO (msg) msg_t *question = msg_recv (router, &peer, NULL, NULL, NULL);
        if (question && asked++ > 0) {
            msg_t *answer = msg_new ("missing", json_pack ("{s:I}", "re", (json_int_t) msg_int (question, "seq")), NULL, 0);
            assert_int_equal (msg_send (&answer, router, peer, NULL), 0);
        }
        zframe_destroy (&peer);
        if (!question || asked > 1)
            return (void *) asked;
    }
}

static void a_question_that_is_lost_is_repeated (void **state)
{
    farm_t *self = *state;
    upload_stats_t sent;
    fetch_stats_t fetched;
    void *asked;
    pthread_t thread;
    err_t err = { 0 };
    tree_file (self->context, "file", 1000, 1, 0644);
    digest_t root = send_context (self, &sent);
    fetch (self, &root, &fetched);
    zsock_t *router = zsock_new_router ("@inproc://forgets"), *dealer = zsock_new_dealer (">inproc://forgets");
    zsock_set_rcvtimeo (router, 30000);
    assert_int_equal (pthread_create (&thread, NULL, forget_a_question, router), 0);
    if (restore_root (self->cache, dealer, &root, NULL, &err) != 1)
        fail_msg ("%s", err.text);
    pthread_join (thread, &asked);
    assert_int_equal ((intptr_t) asked, 2);
    zsock_destroy (&dealer);
    zsock_destroy (&router);
}

static msg_t *ask (farm_t *self, const char *verb, const void *body, size_t size)
{
    msg_t *message = msg_new (verb, json_pack ("{s:i}", "seq", 77), body, size);
    assert_int_equal (msg_send (&message, self->objects, NULL, NULL), 0);
    return msg_recv (self->objects, NULL, NULL, NULL, NULL);
}

/* A worker cannot fill the coordinator's disk. */
static void a_worker_puts_nothing_else (void **state)
{
    farm_t *self = *state;
    size_t size;
    digest_t digest = digest_of ("anything", 8);
    AUTO_BUFFER buffer_t pack = { 0 };
    pack_add (&pack, OBJECT_CONTENT, &digest, "anything", 8);
    AUTO (msg) msg_t *refused = ask (self, "put", pack.data, pack.size);
    assert_true (msg_is (refused, "error"));
    assert_string_equal (msg_text (refused, "code"), "denied");
    AUTO (msg) msg_t *missing = ask (self, "missing", digest.bytes, DIGEST_SIZE);
    assert_true (msg_is (missing, "missing"));
    msg_body (missing, &size);
    assert_int_equal (size, 0);         /* it is not the worker's to bring */
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (a_file_comes_back),
        TEST (a_piece_of_a_long_file_comes_back),
        TEST (a_file_of_a_long_folder_comes_back),
        TEST (a_dockerfile_comes_back),
        TEST (what_a_worker_has_not_it_says),
        TEST (a_worker_puts_nothing_else),
        TEST (a_question_that_is_lost_is_repeated),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
