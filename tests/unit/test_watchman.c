/* test_watchman.c - what has come over a connection and is no message, to the byte, and which connections have to end for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <czmq.h>
#include <sodium.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/monitor.h"
#include "coordinator/watchman.h"
#include "gates.h"

enum { PATIENCE_MS = 10000, MIB = 1024 * 1024, NOW_MS = 1000000 };

/* -- counting ---------------------------------------------------------------------------------------------------- */

typedef struct {
    gate_t gate;
    zsock_t *router, *dealer;           /* router: the gate's */
    uint16_t port;
} line_t;

static void line_open (line_t *self)
{
    gate_open (&self->gate, 10);
    self->router = self->gate.router;
    self->port = msg_port (self->gate.bound);
    zsock_set_rcvtimeo (self->router, PATIENCE_MS);
    self->dealer = gate_dial (&self->gate);
}

static void line_close (line_t *self)
{
    zsock_destroy (&self->dealer);
    gate_close (&self->gate);
}

/* Three frames there; returns the connection's descriptor. They need not be what the farm says. */
static int pass (line_t *self, size_t verb, size_t header, size_t body)
{
    static const char bytes [MSG_BODY_MAX];
    void *handle = zsock_resolve (self->dealer);
    zframe_t *peer = NULL;
    int fd = -1;
    err_t err = { 0 };
    zmq_send (handle, bytes, verb, ZMQ_SNDMORE);
    zmq_send (handle, bytes, header, ZMQ_SNDMORE);
    assert_true (zmq_send (handle, bytes, body, 0) >= 0);
    msg_t *message = msg_recv (self->router, &peer, NULL, &fd, &err);
    assert_non_null (peer);
    msg_destroy (&message);
    zframe_destroy (&peer);
    return fd;
}

static void what_was_read_is_counted_to_the_byte (void **state)
{
    static const size_t bodies [] = { 0, 1, 221, 222, 223, 255, 256, 8191, 8192, 65536, MSG_BODY_MAX };
    (void) state;
    line_t line;
    backlog_t first, last;
    line_open (&line);
    int fd = pass (&line, 5, 2, 0);
    assert_true (backlog_of (fd, &line.port, 1, clock_boot_ms (), &first));
    assert_true (first.unread_bytes < 2048);         /* the handshake */
    assert_true (first.was_read);
    for (int round = 0; round < 20; round++)
        for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
            pass (&line, 5, bodies [i] % 1000, bodies [i]);
    assert_true (backlog_of (fd, &line.port, 1, clock_boot_ms (), &last));
    assert_int_equal (last.unread_bytes, first.unread_bytes);
    assert_true (last.still_at_ms >= first.still_at_ms);
    line_close (&line);
}

static void only_connections_to_the_port_count (void **state)
{
    (void) state;
    line_t line;
    backlog_t one;
    line_open (&line);
    int fd = pass (&line, 5, 2, 0), found = 0;
    uint16_t other = (uint16_t) (line.port + 1);
    assert_false (backlog_of (fd, &other, 1, clock_boot_ms (), &one));
    assert_false (backlog_of (0, &line.port, 1, clock_boot_ms (), &one));
    for (int i = 0; i < 64; i++)                     /* the ROUTER's listening socket and the far end are none */
        found += backlog_of (i, &line.port, 1, clock_boot_ms (), &one);
    assert_int_equal (found, 1);
    line_close (&line);
}

/* Nothing is ever read by it, so else all that comes would seem to be unread. */
static void a_second_descriptor_counts_nothing (void **state)
{
    (void) state;
    line_t line;
    backlog_t one;
    line_open (&line);
    int fd = pass (&line, 5, 2, 0), copy = backlog_copy (fd);
    pass (&line, 5, 2, MSG_BODY_MAX);
    assert_true (copy >= 0);
    assert_false (backlog_of (copy, &line.port, 1, clock_boot_ms (), &one));
    assert_true (backlog_of (fd, &line.port, 1, clock_boot_ms (), &one));
    assert_true (one.unread_bytes < 2048);
    close (copy);
    line_close (&line);
}

static void an_ended_connection_is_gone_and_another_comes (void **state)
{
    (void) state;
    line_t line;
    backlog_t one;
    line_open (&line);
    int fd = pass (&line, 5, 2, 0), spare = dup (0);
    assert_true (backlog_of (fd, &line.port, 1, clock_boot_ms (), &one));
    monitor_t *monitor = monitor_new (line.dealer, ZMQ_EVENT_DISCONNECTED, NULL);
    zpoller_t *poller = zpoller_new (monitor_socket (monitor), NULL);
    assert_true (backlog_end (&one, spare));
    assert_non_null (zpoller_wait (poller, PATIENCE_MS));
    pass (&line, 5, 2, 0);
    assert_false (backlog_end (&one, spare));
    close (spare);
    zpoller_destroy (&poller);
    monitor_destroy (&monitor);
    line_close (&line);
}

/* What libzmq has of it as a whole comes out of the socket all the same. */
static void what_an_ended_connection_has_sent_is_dropped (void **state)
{
    (void) state;
    line_t line;
    backlog_t one;
    err_t err = { 0 };
    zframe_t *peer = NULL;
    line_open (&line);
    int fd = pass (&line, 5, 2, 0), spare = dup (0);
    void *handle = zsock_resolve (line.dealer);
    assert_true (zmq_send (handle, "hello", 5, ZMQ_SNDMORE) > 0 && zmq_send (handle, "{}", 2, ZMQ_SNDMORE) > 0 && zmq_send (handle, "", 0, 0) == 0);
    zpoller_t *poller = zpoller_new (line.router, NULL);
    assert_ptr_equal (zpoller_wait (poller, PATIENCE_MS), line.router);
    assert_true (backlog_of (fd, &line.port, 1, clock_boot_ms (), &one));
    monitor_t *monitor = monitor_new (line.dealer, ZMQ_EVENT_DISCONNECTED, NULL);
    zpoller_t *ends = zpoller_new (monitor_socket (monitor), NULL);
    assert_true (backlog_end (&one, spare));
    assert_null (msg_recv (line.router, &peer, NULL, NULL, &err));
    assert_null (peer);
    assert_int_equal (err.code, ERR_NETWORK);
    assert_non_null (zpoller_wait (ends, PATIENCE_MS));
    pass (&line, 5, 2, 0);
    close (spare);
    zpoller_destroy (&ends);
    zpoller_destroy (&poller);
    monitor_destroy (&monitor);
    line_close (&line);
}

/* -- choosing ---------------------------------------------------------------------------------------------------- */

static backlog_t one_of (int fd, size_t unread_bytes, int64_t still_ms)
{
    return (backlog_t) { .fd = fd, .unread_bytes = unread_bytes, .still_at_ms = NOW_MS - still_ms, .was_read = true, .reader_rests = true,
                         .is_admitted = true, .key_hex = "one" };
}

static bool is_among (const backlog_t *all, size_t count, int fd)
{
    for (size_t i = 0; i < count; i++)
        if (all [i].fd == fd)
            return true;
    return false;
}

static void a_message_without_an_end_is_ended_at_once (void **state)
{
    (void) state;
    backlog_t all [] = { one_of (1, 2 * MIB, 0), one_of (2, 3 * MIB + 1, 0), one_of (3, 0, 0) };
    assert_int_equal (watchman_choose (all, 3, 0, NOW_MS), 1);
    assert_int_equal (all [0].fd, 2);
}

static void many_are_ended_when_together_they_are_too_much (void **state)
{
    (void) state;
    backlog_t few [] = { one_of (1, 2 * MIB, 900), one_of (2, 2 * MIB, 900), one_of (3, 2 * MIB, 900) };
    assert_int_equal (watchman_choose (few, 3, 0, NOW_MS), 0);
    backlog_t all [] = { one_of (1, 2 * MIB, 300), one_of (2, 2 * MIB, 100), one_of (3, 3 * MIB, 900), one_of (4, 3 * MIB, 500),
                         one_of (5, 3 * MIB, 0), one_of (6, 1000, 5000) };
    assert_int_equal (watchman_choose (all, 6, 0, NOW_MS), 1);
    assert_int_equal (all [0].fd, 3);
}

static void what_one_key_has_is_limited_however_busy_the_reader (void **state)
{
    (void) state;
    backlog_t all [12];
    for (int i = 0; i < 12; i++) {
        all [i] = one_of (i, 2 * MIB, 0);
        all [i].reader_rests = false;
    }
    snprintf (all [3].key_hex, sizeof all [3].key_hex, "other");
    all [5].unread_bytes = 2 * MIB + 1;
    assert_int_equal (watchman_choose (all, 12, 0, NOW_MS), 1);
    assert_int_equal (all [0].fd, 5);
}

static void those_that_nobody_has_spoken_over_share_a_little (void **state)
{
    (void) state;
    backlog_t all [40];
    for (int i = 0; i < 40; i++) {
        all [i] = one_of (i, 250 * 1024 + (size_t) i, 0);
        all [i].is_admitted = i == 39;
    }
    assert_int_equal (watchman_choose (all, 40, 0, NOW_MS), 15);
    assert_false (is_among (all, 15, 39));
    assert_true (is_among (all, 15, 38));
}

/* They weigh what libzmq has for them. One that has not even greeted has next to nothing. */
static void of_those_that_are_not_admitted_a_thousand_may_stay (void **state)
{
    (void) state;
    static backlog_t all [1600];
    for (int i = 0; i < 1600; i++) {
        all [i] = one_of (i, i < 100 ? 1 : 530, 1600 - i);
        all [i].is_admitted = i >= 1590;
        all [i].was_read = i >= 1590;
    }
    size_t count = watchman_choose (all, 1600, 0, NOW_MS);
    assert_int_equal (count, 369);
    for (int i = 0; i < 1600; i++)                   /* the oldest are ended, for an honest one speaks soon */
        assert_int_equal (is_among (all, count, i), i >= 100 && i < 100 + (int) count);
}

static void those_beyond_what_a_key_may_have_are_ended (void **state)
{
    (void) state;
    backlog_t all [] = { one_of (1, 530, 0), one_of (2, 530, 0), one_of (3, 530, 0) };
    all [1].is_over = true;
    all [1].is_admitted = false;
    assert_int_equal (watchman_choose (all, 3, 0, NOW_MS), 1);
    assert_int_equal (all [0].fd, 2);
}

static void all_keys_together_are_limited_too (void **state)
{
    (void) state;
    backlog_t all [24];
    for (int i = 0; i < 24; i++) {
        all [i] = one_of (i, 2 * MIB, 0);
        all [i].reader_rests = false;
        snprintf (all [i].key_hex, sizeof all [i].key_hex, "%d", i);
    }
    assert_int_equal (watchman_choose (all, 24, 0, NOW_MS), 8);
}

/* Then what is there waits for its turn. */
static void a_busy_readers_peers_have_longer (void **state)
{
    (void) state;
    backlog_t all [8];
    for (int i = 0; i < 8; i++) {
        all [i] = one_of (i, 2 * MIB, 900);
        all [i].reader_rests = false;
    }
    assert_int_equal (watchman_choose (all, 8, 0, NOW_MS), 0);
    all [7].still_at_ms = NOW_MS - 2000;
    assert_int_equal (watchman_choose (all, 8, 0, NOW_MS), 1);
    assert_int_equal (all [0].fd, 7);
}

static void a_slow_line_has_half_a_minute_for_a_part (void **state)
{
    (void) state;
    backlog_t all [64];
    for (int i = 0; i < 64; i++)
        all [i] = one_of (i, 300 * 1024, 20000);
    assert_int_equal (watchman_choose (all, 64, 0, NOW_MS), 0);
    for (int i = 0; i < 64; i++)
        all [i] = one_of (i, 300 * 1024, 31000);
    assert_int_equal (watchman_choose (all, 64, 0, NOW_MS), 24);
}

static void short_of_descriptors_those_end_that_said_nothing (void **state)
{
    (void) state;
    backlog_t all [] = { one_of (1, 0, 9000), one_of (2, 0, 0), one_of (3, 0, 0), one_of (4, 0, 9000) };
    all [1].was_read = all [2].was_read = false;
    all [2].silent_ms = 500;
    assert_int_equal (watchman_choose (all, 4, 0, NOW_MS), 0);
    assert_int_equal (watchman_choose (all, 4, 1, NOW_MS), 1);
    assert_int_equal (all [0].fd, 3);
    assert_int_equal (watchman_choose (all, 4, 4, NOW_MS), 2);
}

static void nobody_is_there (void **state)
{
    (void) state;
    assert_int_equal (watchman_choose (NULL, 0, 5, NOW_MS), 0);
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
    zsys_init ();
    zsys_handler_set (NULL);
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (what_was_read_is_counted_to_the_byte),
        cmocka_unit_test (only_connections_to_the_port_count),
        cmocka_unit_test (a_second_descriptor_counts_nothing),
        cmocka_unit_test (an_ended_connection_is_gone_and_another_comes),
        cmocka_unit_test (what_an_ended_connection_has_sent_is_dropped),
        cmocka_unit_test (a_message_without_an_end_is_ended_at_once),
        cmocka_unit_test (many_are_ended_when_together_they_are_too_much),
        cmocka_unit_test (what_one_key_has_is_limited_however_busy_the_reader),
        cmocka_unit_test (those_that_nobody_has_spoken_over_share_a_little),
        cmocka_unit_test (of_those_that_are_not_admitted_a_thousand_may_stay),
        cmocka_unit_test (those_beyond_what_a_key_may_have_are_ended),
        cmocka_unit_test (all_keys_together_are_limited_too),
        cmocka_unit_test (a_busy_readers_peers_have_longer),
        cmocka_unit_test (a_slow_line_has_half_a_minute_for_a_part),
        cmocka_unit_test (short_of_descriptors_those_end_that_said_nothing),
        cmocka_unit_test (nobody_is_there),
    };
    int failed = cmocka_run_group_tests (tests, NULL, NULL);
    zsys_shutdown ();
    return failed;
}
