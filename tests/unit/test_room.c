/* test_room.c - peers of the depot service that do not read: others are served beside them, and nothing that they asked for is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <string.h>

#include "common/backlog.h"
#include "common/pack.h"
#include "depots.h"
#include "transfers.h"

enum { BODY = 250000, PEERS = 32, QUESTIONS = 8, PATIENCE_MS = 30000 };

static digest_t put_noise (farm_t *self)
{
    err_t err = { 0 };
    AUTO_BUFFER buffer_t data = { 0 };
    AUTO_BUFFER buffer_t pack = { 0 };
    noise (&data, BODY, 1);
    digest_t digest = digest_of (data.data, data.size);
    assert_true (pack_add (&pack, OBJECT_CONTENT, &digest, data.data, data.size));
    AUTO (msg) msg_t *answer = client_ask_objects (self->client, "put", json_object (), pack.data, pack.size, "stored", PATIENCE_MS, &err);
    if (!answer)
        fail_msg ("%s", err.text);
    begin_attempt (&digest);
    return digest;
}

/* A worker whose end takes next to nothing that it does not read. */
static zsock_t *narrow_worker (farm_t *self)
{
    err_t err = { 0 };
    zsock_t *objects = msg_dealer (&self->worker, self->server.public_key, 1, &err);
    assert_non_null (objects);
    zsock_set_rcvbuf (objects, 4096);
    zsock_set_rcvtimeo (objects, PATIENCE_MS);
    assert_int_equal (zsock_connect (objects, "%s", depot_service_endpoint (self->service)), 0);
    return objects;
}

static void ask (zsock_t *objects, int seq, const digest_t *digest)
{
    err_t err = { 0 };
    AUTO (msg) msg_t *question = msg_new ("want", json_pack ("{s:i}", "seq", seq), digest, sizeof *digest);
    if (msg_send (&question, objects, NULL, &err) < 0)
        fail_msg ("%s", err.text);
}

/* How many answers with the body come, each question's once. */
static int read_answers (zsock_t *objects)
{
    err_t err = { 0 };
    bool has_come [QUESTIONS + 1] = { false };
    int count = 0;
    for (int i = 0; i < QUESTIONS; i++) {
        AUTO (msg) msg_t *answer = msg_recv (objects, NULL, NULL, NULL, &err);
        int64_t seq = answer && msg_is (answer, "objects") ? msg_int (answer, "re") : 0;
        assert_in_range (seq, 1, QUESTIONS);
        count += !has_come [seq];
        has_come [seq] = true;
    }
    return count;
}

static void who_does_not_read_waits_alone_and_loses_nothing (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    zsock_t *workers [PEERS];
    digest_t digest = put_noise (self);
    assert_true (PEERS * QUESTIONS * BODY > BACKLOG_UNSENT_ALL_MAX / 2);            /* more than one key may have */
    for (int i = 0; i < PEERS; i++) {
        workers [i] = narrow_worker (self);
        for (int seq = 1; seq <= QUESTIONS; seq++)
            ask (workers [i], seq, &digest);
    }
    AUTO (msg) msg_t *answer = client_ask_objects (self->client, "missing", json_object (), &digest, sizeof digest, "missing", 5000, &err);
    if (!answer)
        fail_msg ("%s", err.text);
    for (int i = 0; i < PEERS; i++)
        assert_int_equal (read_answers (workers [i]), QUESTIONS);
    for (int i = 0; i < PEERS; i++)
        zsock_destroy (&workers [i]);
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
    zsys_init ();
    zsys_handler_set (NULL);
    const struct CMUnitTest tests [] = {
        cmocka_unit_test_setup_teardown (who_does_not_read_waits_alone_and_loses_nothing, set_up, tear_down),
    };
    int failed = cmocka_run_group_tests (tests, NULL, NULL);
    zsys_shutdown ();
    return failed;
}
