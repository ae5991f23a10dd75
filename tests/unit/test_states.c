/* test_states.c - docs/states.md shows the tables that coordinator/states.c keeps: every pair of states is compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "coordinator/states.h"

enum { STATES_MAX = 16 };

/* A machine of the code, as numbers and names. */
typedef struct {
    const char *heading;                        /* of its chapter in the document */
    int count;
    const char *(*name) (int state);
    bool (*may_move) (int from, int to);
    bool (*is_over) (int state);
} machine_t;

static const char *job_name (int state) { return job_state_name ((job_state) state); }
static bool job_may (int from, int to) { return job_may_move ((job_state) from, (job_state) to); }
static bool job_over (int state) { return job_state_is_over ((job_state) state); }
static const char *build_name (int state) { return build_state_name ((build_state) state); }
static bool build_may (int from, int to) { return build_may_move ((build_state) from, (build_state) to); }
static bool build_over (int state) { return build_state_is_over ((build_state) state); }

static const machine_t jobs = { "\n## A job\n", JOB_STATES, job_name, job_may, job_over };
static const machine_t builds = { "\n## A build\n", BUILD_STATES, build_name, build_may, build_over };

static int state_of (const machine_t *machine, const char *name)
{
    for (int state = 0; state < machine->count; state++)
        if (strcmp (machine->name (state), name) == 0)
            return state;
    fail_msg ("docs/states.md:%s: no such state in the code: \"%s\"", machine->heading, name);
    return -1;
}

/* "| queued | assigned, failed |" sets moves [queued] [assigned] and moves [queued] [failed]; the row's state. */
static int read_row (const machine_t *machine, char *line, bool moves [STATES_MAX] [STATES_MAX])
{
    char *rest = NULL, *name = strtok_r (line, "|, ", &rest);
    assert_non_null (name);
    int from = state_of (machine, name);
    while ((name = strtok_r (NULL, "|, ", &rest)))
        moves [from] [state_of (machine, name)] = true;
    return from;
}

/* The first table with the head "| from | to |" of the chapter; the number of its rows. */
static int read_table (const machine_t *machine, char *text, bool moves [STATES_MAX] [STATES_MAX])
{
    bool is_seen [STATES_MAX] = { false };
    int rows = 0;
    char *at = strstr (text, machine->heading), *rest = NULL;
    assert_non_null (at);
    at = strstr (at, "\n| from | to |\n| --- | --- |\n");
    assert_non_null (at);
    at += strlen ("\n| from | to |\n| --- | --- |\n");
    *strstr (at, "\n\n") = 0;
    for (char *line = strtok_r (at, "\n", &rest); line; line = strtok_r (NULL, "\n", &rest), rows++) {
        int from = read_row (machine, line, moves);
        assert_false (is_seen [from]);
        is_seen [from] = true;
    }
    return rows;
}

static void compare (const machine_t *machine)
{
    AUTO_BUFFER buffer_t text = { 0 };
    bool moves [STATES_MAX] [STATES_MAX] = { { false } };
    assert_int_equal (file_read (SOURCE_DIR "/docs/states.md", 1 << 20, &text, NULL), 0);
    buffer_append (&text, "", 1);
    assert_int_equal (read_table (machine, (char *) text.data, moves), machine->count);
    for (int from = 0; from < machine->count; from++)
        for (int to = 0; to < machine->count; to++)
            if (machine->may_move (from, to) != moves [from] [to])
                fail_msg ("%s -> %s: the code says %s, docs/states.md says %s", machine->name (from), machine->name (to),
                          machine->may_move (from, to) ? "yes" : "no", moves [from] [to] ? "yes" : "no");
}

static void the_document_shows_the_moves_of_a_job (void **state)
{
    (void) state;
    compare (&jobs);
}

static void the_document_shows_the_moves_of_a_build (void **state)
{
    (void) state;
    compare (&builds);
}

/* What is over stays as it is, what is not over can come to an end, and nothing moves to itself. */
static void check_ends (const machine_t *machine)
{
    bool can_end [STATES_MAX] = { false };
    for (int round = 0; round < machine->count; round++)
        for (int from = 0; from < machine->count; from++)
            for (int to = 0; to < machine->count; to++)
                can_end [from] |= machine->is_over (from) || (machine->may_move (from, to) && can_end [to]);
    for (int from = 0; from < machine->count; from++) {
        assert_true (can_end [from]);
        assert_false (machine->may_move (from, from));
        for (int to = 0; to < machine->count; to++)
            assert_false (machine->is_over (from) && machine->may_move (from, to));
    }
}

static void what_is_over_stays_and_all_else_can_end (void **state)
{
    (void) state;
    check_ends (&jobs);
    check_ends (&builds);
}

static void no_number_outside_is_a_state (void **state)
{
    (void) state;
    static const int outside [] = { -1, 31, 32, 33, 1000, INT32_MAX };
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        for (int inside = 0; inside < JOB_STATES; inside++) {
            assert_false (job_may (outside [i], inside) || job_may (inside, outside [i]));
            assert_false (build_may (outside [i], inside) || build_may (inside, outside [i]));
        }
    assert_false (job_may (JOB_QUEUED, JOB_STATES) || job_may (JOB_STATES, JOB_QUEUED));
    assert_false (build_may (BUILD_QUEUED, BUILD_STATES) || build_may (BUILD_STATES, BUILD_QUEUED));
}

static void names_lead_back_to_states (void **state)
{
    (void) state;
    for (int i = 0; i < JOB_STATES; i++)
        assert_int_equal (job_state_of (job_name (i)), i);
    for (int i = 0; i < BUILD_STATES; i++)
        assert_int_equal (build_state_of (build_name (i)), i);
    static const char *const bad [] = { "", "Queued", "queue", "queued ", "pushed" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal (job_state_of (bad [i]), JOB_STATES);
        assert_int_equal (build_state_of (bad [i]), BUILD_STATES);
    }
}

static void held_is_what_a_worker_has (void **state)
{
    (void) state;
    for (int i = 0; i < JOB_STATES; i++)
        assert_int_equal (job_state_is_held ((job_state) i),
                          i == JOB_ASSIGNED || i == JOB_FETCHING || i == JOB_BUILDING || i == JOB_PUSHING);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (the_document_shows_the_moves_of_a_job),
        cmocka_unit_test (the_document_shows_the_moves_of_a_build),
        cmocka_unit_test (what_is_over_stays_and_all_else_can_end),
        cmocka_unit_test (no_number_outside_is_a_state),
        cmocka_unit_test (names_lead_back_to_states),
        cmocka_unit_test (held_is_what_a_worker_has),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
