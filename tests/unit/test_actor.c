/* test_actor.c - threads that are talked with over a pipe: how they begin, and how they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <string.h>

#include "common/actor.h"
#include "common/mem.h"
#include "threads.h"

/* Answers each word with itself until it is told to end; counts its ends. */
static void echo (zsock_t *pipe, void *ends)
{
    bool is_over = false;
    zsock_signal (pipe, 0);
    while (!is_over) {
        AUTO_FREE char *word = zstr_recv (pipe);
        is_over = !word || streq (word, "$TERM");
        if (!is_over)
            zstr_send (pipe, word);
    }
    atomic_fetch_add ((atomic_int *) ends, 1);
}

static void one_word (zsock_t *pipe, void *ends)
{
    zsock_signal (pipe, 0);
    zstr_send (pipe, "OVER");
    atomic_fetch_add ((atomic_int *) ends, 1);
}

/* More than the pipe holds while nobody listens, and signals as if each were the last. */
static void chatter (zsock_t *pipe, void *ends)
{
    zsock_signal (pipe, 0);
    for (int i = 0; i < 3000; i++) {
        zstr_send (pipe, "LINE");
        zsock_signal (pipe, 0);
    }
    echo (pipe, ends);
}

static void an_actor_hears_and_answers (void **state)
{
    (void) state;
    atomic_int ends = 0;
    err_t err = { 0 };
    zsock_t *actor = actor_new (echo, &ends, &err);
    assert_non_null (actor);
    zstr_send (actor, "word");
    AUTO_FREE char *answer = zstr_recv (actor);
    assert_string_equal (answer, "word");
    assert_int_equal (ends, 0);
    actor_destroy (&actor);
    assert_null (actor);
    assert_int_equal (ends, 1);
    actor_destroy (&actor);
}

static void one_that_ended_by_itself_is_not_waited_for (void **state)
{
    (void) state;
    atomic_int ends = 0;
    zsock_t *actor = actor_new (one_word, &ends, NULL);
    AUTO_FREE char *word = zstr_recv (actor);
    assert_string_equal (word, "OVER");
    actor_destroy (&actor);
    assert_int_equal (ends, 1);
}

static void one_that_nobody_hears_any_more_is_waited_for (void **state)
{
    (void) state;
    atomic_int ends = 0;
    zsock_t *actor = actor_new (chatter, &ends, NULL);
    actor_destroy (&actor);
    assert_int_equal (ends, 1);
}

static void without_a_thread_there_is_an_error (void **state)
{
    (void) state;
    atomic_int ends = 0;
    err_t err = { 0 };
    size_t before = threads_forbid ();
    zsock_t *actor = actor_new (echo, &ends, &err);
    threads_allow (before);
    assert_null (actor);
    assert_int_equal (err.code, ERR_FARM);
    assert_non_null (strstr (err.text, "start a thread"));
    actor = actor_new (echo, &ends, &err);
    assert_non_null (actor);
    actor_destroy (&actor);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (an_actor_hears_and_answers),
        cmocka_unit_test (one_that_ended_by_itself_is_not_waited_for),
        cmocka_unit_test (one_that_nobody_hears_any_more_is_waited_for),
        cmocka_unit_test (without_a_thread_there_is_an_error),
    };
    zsys_handler_set (NULL);
    return cmocka_run_group_tests (tests, NULL, NULL);
}
