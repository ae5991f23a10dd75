/* test_conduct.c - how many connections a key may have, what becomes of one that sends what is refused, and how little the log has of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <czmq.h>
#include <sodium.h>

#include "common/actor.h"
#include "common/log_limit.h"
#include "common/monitor.h"
#include "common/msg.h"
#include "coordinator/conduct.h"
#include "coordinator/zap.h"

enum { PATIENCE_MS = 10000, MAX = 3 };

static keypair_t server, one, other;

typedef struct {
    zsock_t *zap, *router;
    char bound [256];
} place_t;

static void place_open (place_t *self)
{
    char hex [KEY_HEX_SIZE + 1];
    err_t err = { 0 };
    self->zap = actor_new (zap_actor, NULL, NULL);
    key_to_hex (one.public_key, hex);
    zap_allow (self->zap, hex);
    key_to_hex (other.public_key, hex);
    zap_allow (self->zap, hex);
    self->router = msg_bind ("tcp://127.0.0.1:*", &server, 10, self->bound, &err);
    assert_non_null (self->router);
    zsock_set_rcvtimeo (self->router, PATIENCE_MS);
}

static void place_close (place_t *self)
{
    zsock_destroy (&self->router);
    actor_destroy (&self->zap);
}

static zsock_t *dial (const place_t *self, const keypair_t *key)
{
    err_t err = { 0 };
    zsock_t *dealer = msg_connect (self->bound, key, server.public_key, &err);
    assert_non_null (dealer);
    return dealer;
}

/* A message that is none; returns the descriptor that it came over. */
static int say (const place_t *self, zsock_t *dealer, char key_hex [KEY_HEX_SIZE + 1])
{
    zframe_t *peer = NULL;
    int fd = -1;
    err_t err = { 0 };
    assert_int_equal (zstr_send (dealer, "nonsense"), 0);
    msg_t *message = msg_recv (self->router, &peer, key_hex, &fd, &err);
    assert_null (message);
    assert_non_null (peer);
    zframe_destroy (&peer);
    return fd;
}

static void a_key_has_so_many_connections (void **state)
{
    (void) state;
    place_t place;
    zsock_t *dealers [MAX + 2];
    char key_hex [KEY_HEX_SIZE + 1];
    err_t err = { 0 };
    conduct_t *conduct = conduct_new ("test", MAX);
    place_open (&place);
    for (int i = 0; i < MAX + 1; i++) {
        dealers [i] = dial (&place, &one);
        assert_int_equal (conduct_admit (conduct, say (&place, dealers [i], key_hex), &err), i < MAX ? 0 : -1);
    }
    assert_int_equal (err.code, ERR_FULL);
    assert_non_null (strstr (err.text, "connections/per-key"));
    dealers [MAX + 1] = dial (&place, &other);
    assert_int_equal (conduct_admit (conduct, say (&place, dealers [MAX + 1], key_hex), &err), 0);
    assert_int_equal (conduct_admit (conduct, say (&place, dealers [0], key_hex), &err), 0);
    zsock_destroy (&dealers [1]);               /* the one that waits takes its place */
    int64_t until = zclock_mono () + PATIENCE_MS;
    while (conduct_admit (conduct, say (&place, dealers [MAX], key_hex), &err) < 0)
        assert_true (zclock_mono () < until);
    for (int i = 0; i < MAX + 2; i++)
        zsock_destroy (&dealers [i]);
    conduct_destroy (&conduct);
    place_close (&place);
}

static void a_flood_of_what_is_refused_ends_its_connection_alone (void **state)
{
    (void) state;
    place_t place;
    char key_hex [KEY_HEX_SIZE + 1], other_hex [KEY_HEX_SIZE + 1];
    err_t why = { .code = ERR_PROTOCOL, .text = "it is nonsense" };
    conduct_t *conduct = conduct_new ("test", 0);
    place_open (&place);
    zsock_t *bad = dial (&place, &one), *good = dial (&place, &other);
    int64_t now_ms = 1000000;
    int fd = say (&place, bad, key_hex), good_fd = say (&place, good, other_hex);
    for (int i = 0; i < CONDUCT_REFUSED_MAX; i++)
        assert_false (conduct_refuse (conduct, key_hex, fd, &why, now_ms));
    now_ms += 2000;
    for (int i = 0; i < 2 * CONDUCT_REFUSED_PER_S; i++)
        assert_false (conduct_refuse (conduct, key_hex, fd, &why, now_ms));
    assert_false (conduct_refuse (conduct, other_hex, good_fd, &why, now_ms));
    monitor_t *monitor = monitor_new (bad, ZMQ_EVENT_DISCONNECTED, NULL);
    zpoller_t *poller = zpoller_new (monitor_socket (monitor), NULL);
    assert_true (conduct_refuse (conduct, key_hex, fd, &why, now_ms));
    assert_non_null (zpoller_wait (poller, PATIENCE_MS));
    assert_int_equal (say (&place, good, other_hex), good_fd);
    zpoller_destroy (&poller);
    monitor_destroy (&monitor);
    zsock_destroy (&bad);
    zsock_destroy (&good);
    conduct_destroy (&conduct);
    place_close (&place);
}

static void the_log_has_some_lines_of_a_minute_and_a_count (void **state)
{
    (void) state;
    log_limit_t limit = { 0 };
    int written = 0;
    for (int i = 0; i < 1000; i++)
        written += log_limit_may (&limit, 5000 + i);
    assert_int_equal (written, LOG_LIMIT_LINES);
    assert_int_equal (log_limit_take (&limit, 5000 + LOG_LIMIT_MS - 1), 0);
    assert_int_equal (log_limit_take (&limit, 5000 + LOG_LIMIT_MS), 1000 - LOG_LIMIT_LINES);
    assert_int_equal (log_limit_take (&limit, 5000 + LOG_LIMIT_MS), 0);
    assert_true (log_limit_may (&limit, 5000 + LOG_LIMIT_MS));
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
    zsys_init ();
    zsys_handler_set (NULL);
    keypair_make (&server);
    keypair_make (&one);
    keypair_make (&other);
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (a_key_has_so_many_connections),
        cmocka_unit_test (a_flood_of_what_is_refused_ends_its_connection_alone),
        cmocka_unit_test (the_log_has_some_lines_of_a_minute_and_a_count),
    };
    int failed = cmocka_run_group_tests (tests, NULL, NULL);
    zsys_shutdown ();
    return failed;
}
