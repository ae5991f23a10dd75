/* test_zap.c - who gets in: known keys only, and nobody while no handler runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <czmq.h>
#include <sodium.h>
#include <sys/resource.h>

#include "common/monitor.h"
#include "gates.h"

enum { PATIENCE_MS = 5000 };

/* How the handshake of this socket ended, as it tells itself: the only event that says "refused" for sure. */
static int handshake_of (zsock_t *dealer, const char *endpoint)
{
    static int count;
    char place [64];
    snprintf (place, sizeof place, "inproc://handshake-%d", ++count);
    int rc = zmq_socket_monitor (zsock_resolve (dealer), place, ZMQ_EVENT_HANDSHAKE_SUCCEEDED
                                 | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
                                 | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED);
    assert_int_equal (rc, 0);
    zsock_t *events = zsock_new (ZMQ_PAIR);
    zsock_connect (events, "%s", place);
    zsock_set_rcvtimeo (events, PATIENCE_MS);
    zsock_connect (dealer, "%s", endpoint);
    zmsg_t *message = zmsg_recv (events);
    uint16_t event = 0;
    if (message)
        memcpy (&event, zframe_data (zmsg_first (message)), sizeof event);
    zmsg_destroy (&message);
    zmq_socket_monitor (zsock_resolve (dealer), NULL, 0);      /* an event that nobody takes would stop the I/O thread for good */
    zsock_destroy (&events);
    return event;
}

static int handshake (const char *endpoint, const keypair_t *client, const uint8_t *server_key)
{
    err_t err = { 0 };
    zsock_t *dealer = msg_connect ("inproc://unused", client, server_key, &err);
    int event = handshake_of (dealer, endpoint);
    zsock_destroy (&dealer);
    return event;
}

static void a_known_key_gets_in_and_a_stranger_does_not (void **state)
{
    (void) state;
    gate_t gate;
    keypair_t stranger;
    keypair_make (&stranger);
    gate_open (&gate, 10);
    assert_int_equal (handshake (gate.bound, &gate.known, gate.server.public_key), ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    assert_int_not_equal (handshake (gate.bound, &stranger, gate.server.public_key), ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    assert_int_not_equal (handshake (gate.bound, &gate.known, stranger.public_key), ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    zap_deny (gate.zap, gate.known_hex);
    assert_int_not_equal (handshake (gate.bound, &gate.known, gate.server.public_key), ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    gate_close (&gate);
}

/* A server without CURVE, in the farm's domain: what the handler itself says to a peer that names a known key and proves nothing. */
static zsock_t *bind_without_curve (bool is_plain)
{
    zsock_t *router = zsock_new (ZMQ_ROUTER);
    zsock_set_zap_domain (router, "farm");
    if (is_plain)
        zsock_set_plain_server (router, 1);
    assert_true (zsock_bind (router, "tcp://127.0.0.1:*") > 0);
    return router;
}

static int handshake_without_curve (const char *endpoint, const char *user)
{
    zsock_t *dealer = zsock_new (ZMQ_DEALER);
    zsock_set_linger (dealer, 0);
    if (user) {
        zsock_set_plain_username (dealer, user);
        zsock_set_plain_password (dealer, "x");
    }
    int event = handshake_of (dealer, endpoint);
    zsock_destroy (&dealer);
    return event;
}

static void who_does_not_speak_curve_does_not_get_in (void **state)
{
    (void) state;
    gate_t gate;
    char raw [KEY_SIZE + 1] = { 0 };
    gate_open (&gate, 10);
    do
        keypair_make (&gate.known);
    while (memchr (gate.known.public_key, 0, KEY_SIZE));         /* it has to be a username */
    memcpy (raw, gate.known.public_key, KEY_SIZE);
    key_to_hex (gate.known.public_key, gate.known_hex);
    zap_allow (gate.zap, gate.known_hex);
    zsock_t *null = bind_without_curve (false), *plain = bind_without_curve (true);
    assert_int_not_equal (handshake_without_curve (gate.bound, NULL), ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    assert_int_not_equal (handshake_without_curve (gate.bound, gate.known_hex), ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    assert_int_not_equal (handshake_without_curve (zsock_endpoint (null), NULL), ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    assert_int_not_equal (handshake_without_curve (zsock_endpoint (plain), gate.known_hex), ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    assert_int_not_equal (handshake_without_curve (zsock_endpoint (plain), raw), ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    assert_int_equal (handshake (gate.bound, &gate.known, gate.server.public_key), ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    zsock_destroy (&plain);
    zsock_destroy (&null);
    gate_close (&gate);
}

static void say_alive (zsock_t *socket, zframe_t *to)
{
    err_t err = { 0 };
    msg_t *message = msg_new ("alive", NULL, NULL, 0);
    assert_int_equal (msg_send (&message, socket, to, &err), 0);
}

/* Routing ids are counted up from a number that is not secret; whoever sets another's must not get what is meant for that one. */
static void a_routing_id_is_not_taken_from_who_has_it (void **state)
{
    (void) state;
    gate_t gate;
    err_t err = { 0 };
    gate_open (&gate, 10);
    zsock_t *first = gate_dial (&gate), *second = msg_connect ("inproc://unused", &gate.known, gate.server.public_key, &err);
    zsock_set_rcvtimeo (gate.router, PATIENCE_MS);
    zsock_set_rcvtimeo (first, PATIENCE_MS);
    say_alive (first, NULL);
    zframe_t *id = NULL, *other = NULL;
    AUTO (msg) msg_t *heard = msg_recv (gate.router, &id, NULL, NULL, &err);
    assert_non_null (heard);
    zsock_disconnect (second, "inproc://unused");
    assert_int_equal (zmq_setsockopt (zsock_resolve (second), ZMQ_ROUTING_ID, zframe_data (id), zframe_size (id)), 0);
    assert_int_equal (handshake_of (second, gate.bound), ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    say_alive (second, NULL);
    zsock_set_rcvtimeo (gate.router, 500);
    AUTO (msg) msg_t *taken = msg_recv (gate.router, &other, NULL, NULL, &err);
    assert_null (taken);
    say_alive (gate.router, id);
    AUTO (msg) msg_t *answer = msg_recv (first, NULL, NULL, NULL, &err);
    assert_non_null (answer);
    zframe_destroy (&other);
    zframe_destroy (&id);
    zsock_destroy (&second);
    zsock_destroy (&first);
    gate_close (&gate);
}

static void nobody_gets_in_while_no_handler_runs (void **state)
{
    (void) state;
    gate_t gate;
    gate_open (&gate, 10);
    actor_destroy (&gate.zap);
    assert_int_not_equal (handshake (gate.bound, &gate.known, gate.server.public_key), ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    gate_close (&gate);
}

static void a_closed_connection_is_told_with_its_descriptor (void **state)
{
    (void) state;
    gate_t gate;
    err_t err = { 0 };
    gate_open (&gate, 10);
    zsock_set_rcvtimeo (gate.router, PATIENCE_MS);
    monitor_t *monitor = monitor_new (gate.router, ZMQ_EVENT_DISCONNECTED, NULL);
    zsock_t *dealer = gate_dial (&gate);
    say_alive (dealer, NULL);
    zframe_t *peer = NULL;
    int fd = -1, ended = -1;
    AUTO (msg) msg_t *in = msg_recv (gate.router, &peer, NULL, &fd, &err);
    assert_non_null (in);
    assert_int_equal (monitor_next (monitor, &ended), 0);
    zsock_destroy (&dealer);
    zpoller_t *poller = zpoller_new (monitor_socket (monitor), NULL);
    assert_non_null (zpoller_wait (poller, PATIENCE_MS));
    assert_int_equal (monitor_next (monitor, &ended), ZMQ_EVENT_DISCONNECTED);
    assert_int_equal (ended, fd);
    zpoller_destroy (&poller);
    zframe_destroy (&peer);
    monitor_destroy (&monitor);
    gate_close (&gate);
}

/* A worker that has heard nothing for long makes its connection anew at once (worker/connection.c). */
static void a_monitor_may_follow_another_at_once (void **state)
{
    (void) state;
    for (int i = 0; i < 200; i++) {
        zsock_t *dealer = zsock_new (ZMQ_DEALER);
        monitor_t *monitor = monitor_new (dealer, ZMQ_EVENT_DISCONNECTED, NULL);
        monitor_destroy (&monitor);
        zsock_destroy (&dealer);
    }
}

static void without_descriptors_a_connection_is_not_watched (void **state)
{
    (void) state;
    zsock_t *dealer = zsock_new (ZMQ_DEALER);
    struct rlimit before, none;
    err_t err = { 0 };
    getrlimit (RLIMIT_NOFILE, &before);
    none = before;
    int next = dup (0);
    none.rlim_cur = (rlim_t) next;
    close (next);
    setrlimit (RLIMIT_NOFILE, &none);
    monitor_t *monitor = monitor_new (dealer, ZMQ_EVENT_DISCONNECTED, &err);
    setrlimit (RLIMIT_NOFILE, &before);
    assert_null (monitor);
    assert_string_equal (err.text, "watch a connection: Too many open files");
    monitor = monitor_new (dealer, ZMQ_EVENT_DISCONNECTED, &err);
    assert_non_null (monitor);
    monitor_destroy (&monitor);
    zsock_destroy (&dealer);
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
    zsys_init ();
    zsys_handler_set (NULL);
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (a_known_key_gets_in_and_a_stranger_does_not),
        cmocka_unit_test (who_does_not_speak_curve_does_not_get_in),
        cmocka_unit_test (a_routing_id_is_not_taken_from_who_has_it),
        cmocka_unit_test (nobody_gets_in_while_no_handler_runs),
        cmocka_unit_test (a_closed_connection_is_told_with_its_descriptor),
        cmocka_unit_test (a_monitor_may_follow_another_at_once),
        cmocka_unit_test (without_descriptors_a_connection_is_not_watched),
    };
    int failed = cmocka_run_group_tests (tests, NULL, NULL);
    zsys_shutdown ();
    return failed;
}
