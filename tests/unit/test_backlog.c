/* test_backlog.c - how much may be handed to libzmq for a far end that does not read, over one connection and over all of a key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
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
    while (bodies < 1000 && backlog_hand (near, BODY, key_hex))
        bodies++;
    return bodies;
}

static void test_one_that_does_not_read (void **state)
{
    (void) state;
    int far, near = connection ("aa", &far);
    assert_int_equal (hand_all (near, "aa"), BACKLOG_UNSENT_MAX / BODY + 1);
    close (near);
    close (far);
}

/* Each byte is sent and read, and so acknowledged once the next comes: by far more than may be unsent. */
static void test_one_that_reads (void **state)
{
    static char block [BODY];
    (void) state;
    int far, near = connection ("bb", &far);
    for (int i = 0; i < MANY; i++) {
        assert_true (backlog_hand (near, BODY, "bb"));
        for (size_t sent = 0, got = 0; got < BODY;) {
            ssize_t more = sent < BODY ? send (near, block + sent, BODY - sent, MSG_DONTWAIT) : 0;
            sent += more > 0 ? (size_t) more : 0;
            more = recv (far, block, sizeof block, MSG_DONTWAIT);
            got += more > 0 ? (size_t) more : 0;
        }
    }
    close (near);
    close (far);
}

static void test_all_of_a_key (void **state)
{
    int near [32], far [32], other_far;
    size_t bodies = 0;
    (void) state;
    for (int i = 0; i < 32; i++)
        near [i] = connection ("cc", &far [i]);
    for (int i = 0; i < 32; i++) {
        size_t one = hand_all (near [i], "cc");
        assert_true (one > BACKLOG_UNSENT_FREE / BODY);
        bodies += one;
    }
    assert_true (bodies * BODY < 48 * 1024 * 1024);
    int other = connection ("dd", &other_far);
    assert_int_equal (hand_all (other, "dd"), BACKLOG_UNSENT_MAX / BODY + 1);
    for (int i = 0; i < 32; i++) {
        close (near [i]);
        close (far [i]);
    }
    close (other);
    close (other_far);
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
        cmocka_unit_test (test_what_is_no_connection),
    };
    int rc = cmocka_run_group_tests_name ("backlog", tests, NULL, NULL);
    close (listener);
    return rc;
}
