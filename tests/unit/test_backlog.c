/* test_backlog.c - how much may be handed to libzmq for a far end that does not read, over one connection and over all of a key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/backlog.h"

enum { BODY = 256 * 1024, MANY = 40 };

static int listener = -1;
static struct sockaddr_in place;

/* The near end of a connection that a message of this key came over; *far: the other. */
static int connection (const char *key_hex, int *far)
{
    *far = socket (AF_INET, SOCK_STREAM, 0);
    assert_int_equal (connect (*far, (struct sockaddr *) &place, sizeof place), 0);
    int near = accept (listener, NULL, NULL);
    assert_true (near >= 0);
    assert_true (backlog_note (near, 100, key_hex));
    return near;
}

/* How many bodies may be handed while none is sent. */
static size_t hand_all (int near, const char *key_hex)
{
    size_t bodies = 0;
    for (; bodies < 1000 && backlog_has_room (near, key_hex); bodies++)
        backlog_hand (near, BODY, key_hex);
    return bodies;
}

/* They count until all are looked at again, which is so every 5 ms. */
static void close_many (int *near, int *far, int count)
{
    for (int i = 0; i < count; i++) {
        close (near [i]);
        close (far [i]);
    }
    usleep (20000);
}

static void test_one_that_does_not_read (void **state)
{
    (void) state;
    int far, near = connection ("aa", &far);
    assert_int_equal (hand_all (near, "aa"), BACKLOG_UNSENT_MAX / BODY + 1);
    close_many (&near, &far, 1);
}

/* Each byte is sent and read, and so acknowledged once the next comes: by far more than may be unsent. */
static void test_one_that_reads (void **state)
{
    static char block [BODY];
    (void) state;
    int far, near = connection ("bb", &far);
    for (int i = 0; i < MANY; i++) {
        assert_true (backlog_has_room (near, "bb"));
        backlog_hand (near, BODY, "bb");
        for (size_t sent = 0, got = 0; got < BODY;) {
            ssize_t more = sent < BODY ? send (near, block + sent, BODY - sent, MSG_DONTWAIT) : 0;
            sent += more > 0 ? (size_t) more : 0;
            more = recv (far, block, sizeof block, MSG_DONTWAIT);
            got += more > 0 ? (size_t) more : 0;
        }
    }
    close_many (&near, &far, 1);
}

/* So many connections that do not read, of one key or of as many; how many bodies they have together. */
static size_t hand_many (int *near, int *far, int count, bool is_one_key)
{
    char key_hex [16];
    size_t bodies = 0;
    for (int i = 0; i < count; i++) {
        snprintf (key_hex, sizeof key_hex, "%d", is_one_key ? 0 : i);
        near [i] = connection (key_hex, &far [i]);
        bodies += hand_all (near [i], key_hex);
    }
    return bodies;
}

/* A key may have what it leaves of three quarters, and so half of them. */
static void test_all_of_a_key (void **state)
{
    int near [MANY], far [MANY], other_far;
    (void) state;
    size_t bodies = hand_many (near, far, MANY, true);
    assert_in_range (bodies * BODY, BACKLOG_UNSENT_ALL_MAX / 8 * 3, BACKLOG_UNSENT_ALL_MAX / 8 * 3 + BODY);
    int other = connection ("dd", &other_far);
    assert_int_equal (hand_all (other, "dd"), BACKLOG_UNSENT_MAX / BODY + 1);
    close_many (near, far, MANY);
    close_many (&other, &other_far, 1);
}

/* However many there are, there is room for who comes; and room for all again when they have gone. */
static void test_all_keys (void **state)
{
    int near [2 * MANY], far [2 * MANY], other_far;
    (void) state;
    size_t bodies = hand_many (near, far, 2 * MANY, false);
    assert_in_range (bodies * BODY, BACKLOG_UNSENT_ALL_MAX / 4 * 3, BACKLOG_UNSENT_ALL_MAX);
    int other = connection ("dd", &other_far);
    assert_int_equal (hand_all (other, "dd"), 1);
    close_many (near, far, 2 * MANY);
    assert_true (backlog_has_room (other, "dd"));
    close_many (&other, &other_far, 1);
}

/* A descriptor that is another's connection by now, or none: nothing to count. */
static void test_what_is_no_connection (void **state)
{
    (void) state;
    int far, near = connection ("ee", &far);
    assert_int_equal (hand_all (near, "ff"), 1000);
    assert_int_equal (hand_all (-1, "ee"), 1000);
    close (near);
    assert_int_equal (hand_all (near, "ee"), 1000);
    close (far);
}

int main (void)
{
    socklen_t size = sizeof place;
    place = (struct sockaddr_in) { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
    listener = socket (AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind (listener, (struct sockaddr *) &place, sizeof place) != 0 || listen (listener, 64) != 0
    ||  getsockname (listener, (struct sockaddr *) &place, &size) != 0)
        return 99;
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (test_one_that_does_not_read),
        cmocka_unit_test (test_one_that_reads),
        cmocka_unit_test (test_all_of_a_key),
        cmocka_unit_test (test_all_keys),
        cmocka_unit_test (test_what_is_no_connection),
    };
    int rc = cmocka_run_group_tests_name ("backlog", tests, NULL, NULL);
    close (listener);
    return rc;
}
