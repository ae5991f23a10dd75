/* test_agents.c - ssh agents through the farm: what may be asked and answered, the worker's socket, farmctl's end, and what is on its way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/agent.h"
#include "common/file.h"
#include "coordinator/agents.h"
#include "farmctl/agent_offer.h"
#include "worker/agent_line.h"



static void only_lists_and_signatures_are_asked_for (void **state)
{
    (void) state;
    static const struct { const char *bytes; size_t size; bool is_good; } rows [] = {
        { "\x0b", 1, true }, { "\x0b\x00", 2, false }, { "", 0, false },
        { "\x0d\0\0\0\1k\0\0\0\2ab\0\0\0\0", 16, true }, { "\x0d\0\0\0\1k\0\0\0\2ab\0\0\0", 15, false }, { "\x0d\0\0\0\1k\0\0\0\2ab\0\0\0\0\0", 17, false },
        { "\x0d\0\0\0\0\0\0\0\0\0\0\0\0", 13, true }, { "\x0d\xff\xff\xff\xff\0\0\0\0\0\0\0\0", 13, false }, { "\x0d", 1, false },
        { "\x11\0\0\0\0", 5, false }, { "\x12", 1, false }, { "\x13", 1, false }, { "\x16\0\0\0\0", 5, false }, { "\x1b\0\0\0\0", 5, false }, { "\x01", 1, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err_t err = { 0 };
        int rc = agent_check_request ((const uint8_t *) rows [i].bytes, rows [i].size, &err);
        if ((rc == 0) != rows [i].is_good || (rc < 0 && err.code != ERR_DENIED))
            fail_msg ("row %zu: %d %s", i, rc, err.text);
    }
    static uint8_t large [AGENT_MESSAGE_MAX + 1] = { AGENT_SIGN };
    assert_int_equal (agent_check_request (large, sizeof large, NULL), -1);
}

static void only_what_was_asked_for_is_answered (void **state)
{
    (void) state;
    static const struct { const char *request; const char *bytes; size_t size; bool is_good; } rows [] = {
        { "\x0b", "\x05", 1, true }, { "\x0b", "\x05x", 2, false }, { "\x0b", "\x0c\0\0\0\0", 5, true }, { "\x0b", "\x0c\0\0\0\1\0\0\0\1k\0\0\0\1c", 15, true },
        { "\x0b", "\x0c\0\0\0\1\0\0\0\1k\0\0\0\1", 14, false }, { "\x0b", "\x0c\xff\xff\xff\xff", 5, false }, { "\x0b", "\x0c\0\0\0\0x", 6, false },
        { "\x0b", "\x0e\0\0\0\0", 5, false }, { "\x0d", "\x0e\0\0\0\1s", 6, true }, { "\x0d", "\x0e\0\0\0\1", 5, false }, { "\x0d", "\x0c\0\0\0\0", 5, false },
        { "\x0d", "", 0, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((agent_check_answer ((const uint8_t *) rows [i].request, (const uint8_t *) rows [i].bytes, rows [i].size, NULL) == 0) != rows [i].is_good)
            fail_msg ("row %zu", i);
}

/* -- the worker's socket ------------------------------------------------------------------------------------------- */

static char folder [] = "/tmp/agents-XXXXXX";
static atomic_int asked;
static const char *wanted_answer;
static size_t wanted_size;

static int answer_it (void *argument, const char *agent, const uint8_t *request, size_t size, buffer_t *answer, err_t *err)
{
    (void) argument, (void) request, (void) size;
    assert_string_equal (agent, "default");
    atomic_fetch_add (&asked, 1);
    if (!wanted_answer)
        return err_set (err, ERR_NOT_FOUND, "nobody is attached");
    buffer_append (answer, wanted_answer, wanted_size);
    return 0;
}

static int dial (const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = { .tv_sec = 20 };
    setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    snprintf (address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal (connect (fd, (const struct sockaddr *) &address, sizeof address), 0);
    return fd;
}

/* What comes back for these bytes, in answer; its size, 0: hung up. */
static size_t say_to (int fd, const char *bytes, size_t size, uint8_t answer [256])
{
    uint8_t head [AGENT_HEAD];
    assert_int_equal (send (fd, bytes, size, MSG_NOSIGNAL), size);
    if (recv (fd, head, sizeof head, MSG_WAITALL) != sizeof head)
        return 0;
    uint32_t length = agent_read_size (head);
    assert_in_range (length, 1, 256);
    assert_int_equal (recv (fd, answer, length, MSG_WAITALL), length);
    return length;
}

static void the_socket_lets_nothing_else_through (void **state)
{
    (void) state;
    AUTO_FREE char *path = file_join (folder, "socket");
    uint8_t answer [256];
    err_t err = { 0 };
    AUTO (agent_line) agent_line_t *line = agent_line_new (path, "default", answer_it, NULL, &err);
    if (!line)
        fail_msg ("%s", err.text);
    wanted_answer = "\x0c\0\0\0\0", wanted_size = 5;
    AUTO_CLOSE int fd = dial (path);
    assert_int_equal (say_to (fd, "\0\0\0\1\x0b", 5, answer), 5);
    assert_int_equal (answer [0], AGENT_LIST_ANSWER);
    assert_int_equal (say_to (fd, "\0\0\0\1\x13", 5, answer), 1);                /* remove all keys */
    assert_int_equal (answer [0], AGENT_FAILURE);
    assert_int_equal (asked, 1);
    agent_line_take_error (line, &err);
    assert_non_null (strstr (err.text, "request 19 to an ssh agent: only its keys may be listed"));
    wanted_answer = "\x0e\0\0\0\0";                                               /* a signature that nobody asked for */
    assert_int_equal (say_to (fd, "\0\0\0\1\x0b", 5, answer), 1);
    wanted_answer = NULL;
    assert_int_equal (say_to (fd, "\0\0\0\1\x0b", 5, answer), 1);
    agent_line_take_error (line, &err);
    assert_string_equal (err.text, "nobody is attached");
    assert_int_equal (say_to (fd, "\x7f\xff\xff\xff", 4, answer), 0);             /* of 2 GiB */
    AUTO_CLOSE int other = dial (path);
    assert_int_equal (say_to (other, "\0\0\0\0", 4, answer), 0);
}

static void those_that_are_forgotten_make_room (void **state)
{
    (void) state;
    AUTO_FREE char *path = file_join (folder, "many");
    uint8_t answer [256];
    int fds [60];
    AUTO (agent_line) agent_line_t *line = agent_line_new (path, "default", answer_it, NULL, NULL);
    assert_non_null (line);
    wanted_answer = "\x0c\0\0\0\0", wanted_size = 5;
    for (size_t i = 0; i < 60; i++) {
        fds [i] = dial (path);
        assert_int_equal (say_to (fds [i], "\0\0\0\1\x0b", 5, answer), 5);
    }
    for (size_t i = 0; i < 60; i++)
        close (fds [i]);
}

/* -- what is on its way --------------------------------------------------------------------------------------------- */

static void an_answer_comes_from_who_was_asked (void **state)
{
    (void) state;
    AUTO (agents) agents_t *agents = agents_new ();
    agent_asked_t out;
    err_t err = { 0 };
    agent_asked_t asking = { .worker = 1, .laptop = 2, .re = 7, .build = 42, .until_ms = 1000 };
    uint64_t ticket = agents_add (agents, &asking, &err);
    assert_true (agents_has (agents, 1, 7));
    assert_false (agents_has (agents, 1, 8));
    assert_false (agents_take (agents, ticket, 3, &out));
    assert_true (agents_take (agents, ticket, 2, &out));
    assert_int_equal (out.re, 7);
    assert_false (agents_take (agents, ticket, 2, &out));
    for (int i = 0; i < 8; i++)
        assert_true (agents_add (agents, &asking, &err) > 0);
    assert_int_equal (agents_add (agents, &asking, &err), 0);       /* of one build */
    assert_int_equal (err.code, ERR_FULL);
    for (asking.build = 100; asking.build < 100 + 248; asking.build++)
        assert_true (agents_add (agents, &asking, &err) > 0);
    assert_int_equal (agents_add (agents, &asking, &err), 0);       /* of all */
    assert_int_equal (agents_due_ms (agents), 1000);
    assert_false (agents_next_over (agents, 999, 3, &out));
    assert_true (agents_next_over (agents, 999, 2, &out));
    int count = 1;
    while (agents_next_over (agents, 1000, 0, &out))
        count++;
    assert_int_equal (count, 256);
    assert_true (agents_due_ms (agents) == INT64_MAX);
}

static void what_is_no_agent_is_refused (void **state)
{
    (void) state;
    AUTO_FREE char *path = file_join (folder, "agent"), *good = mem_printf ("default=%s", path), *file = file_join (folder, "file"), *bad = mem_printf ("default=%s", file);
    AUTO (agent_line) agent_line_t *line = agent_line_new (path, "default", answer_it, NULL, NULL);
    assert_non_null (line);
    assert_int_equal (file_write (file, "key", 3, 0600, NULL), 0);
    unsetenv ("SSH_AUTH_SOCK");
    const struct { const char *option, *words; } rows [] = {
        { good, NULL }, { "default", "SSH_AUTH_SOCK is not set" }, { bad, "is no agent's socket; a key is not sent" }, { "default=/no/such", "No such file" },
        { "../x", "a name has letters" }, { "default=", "no agent" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO (agent_offer) agent_offer_t *offer = NULL;
        const char *items [] = { rows [i].option };
        option_list_t list = { items, 1 };
        err_t err = { 0 };
        int rc = agent_offer_read (&offer, &list, &err);
        if ((rc == 0) != !rows [i].words || (rows [i].words && !strstr (err.text, rows [i].words)))
            fail_msg ("%s: %s", rows [i].option, err.text);
    }
}

static int set_up (void **state)
{
    (void) state;
    return mkdtemp (folder) ? 0 : -1;
}

static int tear_down (void **state)
{
    (void) state;
    return file_remove_tree (folder, NULL);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (only_lists_and_signatures_are_asked_for),
        cmocka_unit_test (only_what_was_asked_for_is_answered),
        cmocka_unit_test (the_socket_lets_nothing_else_through),
        cmocka_unit_test (those_that_are_forgotten_make_room),
        cmocka_unit_test (an_answer_comes_from_who_was_asked),
        cmocka_unit_test (what_is_no_agent_is_refused),
    };
    return cmocka_run_group_tests (tests, set_up, tear_down);
}
