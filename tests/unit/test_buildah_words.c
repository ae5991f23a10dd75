/* test_buildah_words.c - what a user is told of a build that failed, out of what buildah 1.28 prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "worker/buildah_private.h"
#include "worker/builder_judge.h"

#define FOLDER "/var/lib/archfarm/worker/attempts/17-1/"

typedef struct {
    door_t *door;
    char handed_on [2048];
} state_t;

static int make_door (void **state)
{
    static state_t self;
    registry_settings_t settings = { .timeout_ms = 1000 };
    *state = &self;
    return door_new (&self.door, 0, &settings, NULL, NULL);
}

static int destroy_door (void **state)
{
    state_t *self = *state;
    door_destroy (&self->door);
    return 0;
}

static void on_line (void *argument, char stream, const char *line, size_t size)
{
    state_t *self = argument;
    assert_int_equal (stream, 'o');
    assert_true (size < sizeof self->handed_on);
    memcpy (self->handed_on, line, size);
    self->handed_on [size] = 0;
}

/* A build that says "STEP 2/2: …" and the error, and ends with a status: how that is judged. */
static void judge (state_t *self, const char *error, int status, builder_outcome_t *outcome, err_t *err)
{
    static const char step [] = "STEP 2/2: as the error has it";
    builder_task_t task = { .context_folder = FOLDER "context", .door = self->door, .on_line = on_line, .argument = self };
    buildah_t builder = { .program = "buildah", .state_folder = "/" };
    buildah_words_t words = { .task = &task };
    *outcome = (builder_outcome_t) { 0 };
    buildah_on_line (&words, 'o', step, strlen (step));
    buildah_on_line (&words, 'o', error, strlen (error));
    assert_int_equal (buildah_judge_build (&builder, &words, status, outcome, err), -1);
    assert_int_equal (err->code, ERR_BUILD);
    assert_string_equal (outcome->failed_step, step);
}

static void paths_are_told_without_the_folder_of_the_attempt (void **state)
{
    static const struct { const char *error, *says; } cases [] = {
        { "Error: building at STEP \"COPY nothere /x\": checking on sources under \"" FOLDER "context\": copier: stat: \"/nothere\"",
          "building at STEP \"COPY nothere /x\": checking on sources under \"context\": copier: stat: \"/nothere\"" },
        { "Error: stat " FOLDER "context/a: and " FOLDER "context/b", "stat context/a: and context/b" },
        { "Error: " FOLDER "Dockerfile: no such file", "Dockerfile: no such file" },
        { "Error: /var/lib/archfarm/worker/attempts/17-10/context", "/var/lib/archfarm/worker/attempts/17-10/context" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        state_t *self = *state;
        err_t err = { 0 };
        builder_outcome_t outcome;
        judge (self, cases [i].error, 125, &outcome, &err);
        assert_string_equal (err.text, cases [i].says);
        assert_string_equal (self->handed_on + 7, cases [i].says);
    }
}

static void a_builder_without_memory_says_so (void **state)
{
    static const char *const lines [] = { "runtime/cgo: pthread_create failed: Resource temporarily unavailable", "fatal error: runtime: out of memory" };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        err_t err = { 0 };
        builder_outcome_t outcome;
        judge (*state, lines [i], 2, &outcome, &err);
        assert_string_equal (err.text, "buildah itself does not get by with the memory that the job may have: raise --memory, or limit/memory of the worker");
    }
}

/* A Dockerfile can bring them: STOPSIGNAL x: no space left on device. /proc has no room for anybody. */
static void words_of_a_full_disk_are_the_farms_fault_where_it_is_full (void **state)
{
    static const char *const errors [] = {
        "Error: building at STEP \"STOPSIGNAL x: no space left on device\": Invalid signal: x: no space left on device",
        "Error: committing container for step {Env:[PATH=/bin] Command:copy}: storing layer: write /layer: no space left on device",
        "Error: building at STEP \"RUN cp a b\": while running runtime: I/O error",
    };
    state_t *self = *state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        builder_task_t task = { .door = self->door };
        buildah_t builder = { .program = "buildah" };
        for (int is_full = 0; is_full < 2; is_full++) {
            buildah_words_t words = { .task = &task, .disk = { .folders = { "/", is_full ? "/proc" : NULL } } };
            builder_outcome_t outcome = { 0 };
            err_t err = { 0 };
            buildah_on_line (&words, 'o', errors [i], strlen (errors [i]));
            assert_int_equal (buildah_judge_build (&builder, &words, 125, &outcome, &err), -1);
            assert_int_equal (err.code, is_full ? ERR_FULL : ERR_BUILD);
            assert_int_equal (strncmp (err.text, "the worker's disk is full below /proc: ", 39) == 0, is_full);
            assert_int_equal (builder_judge_push (&task, &words.disk, words.error, &err), -1);
            assert_int_equal (err.code, is_full ? ERR_FULL : ERR_FARM);
        }
    }
}

/* RUN kill -9 -1: with chroot it sees the builder. The kernel counts what it kills for want of memory. */
static void a_builder_that_a_step_can_kill_is_no_fault_of_the_farm (void **state)
{
    static const char step [] = "STEP 2/2: RUN kill -9 -1";
    int64_t now = builder_oom_kills ();
    const struct { const char *runtime; int64_t oom_kills; err_code code; } cases [] = {
        { NULL, now, ERR_BUILD }, { NULL, now - 1, ERR_FARM }, { NULL, -1, ERR_FARM }, { "runc", now, ERR_FARM },
    };
    state_t *self = *state;
    if (now < 0)
        skip ();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        builder_task_t task = { .door = self->door };
        buildah_t builder = { .program = "buildah", .runtime = cases [i].runtime };
        buildah_words_t words = { .task = &task, .oom_kills = cases [i].oom_kills };
        builder_outcome_t outcome = { 0 };
        err_t err = { 0 };
        buildah_on_line (&words, 'o', step, strlen (step));
        assert_int_equal (buildah_judge_build (&builder, &words, 128 + 9, &outcome, &err), -1);
        if (builder_oom_kills () != now)
            skip ();                    /* just now, somewhere on this host */
        assert_int_equal (err.code, cases [i].code);
        assert_string_equal (outcome.failed_step, err.code == ERR_BUILD ? step : "");
    }
}

static void the_exit_status_is_that_of_a_run_step_or_none (void **state)
{
    static const struct { const char *error; int status, told; } cases [] = {
        { "Error: building at STEP \"RUN exit 7\": while running runtime: exit status 7", 7, 7 },
        { "Error: building at STEP \"RUN exit 255\": while running runtime: exit status 255", 255, 255 },
        { "Error: building at STEP \"RUN exit 125\": while running runtime: exit status 125", 125, 125 },
        { "Error: building at STEP \"RUN echo exit status 5\": signal: killed", 125, 0 },
        { "Error: building at STEP \"RUN x\": exit status 256", 1, 0 },
        { "Error: building at STEP \"RUN x\": exit status ", 1, 0 },
        { "Error: building at STEP \"COPY nothere /x\": checking on sources under \"/\": exit status 9", 125, 0 },
        { "Error: Unknown instruction: BAKE", 125, 0 },
        { "Error: 7", 125, 0 },
        { "Error: ", 125, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_t err = { 0 };
        builder_outcome_t outcome;
        judge (*state, cases [i].error, cases [i].status, &outcome, &err);
        if (outcome.exit_status != cases [i].told)
            fail_msg ("%s: %d", cases [i].error, outcome.exit_status);
    }
}

/* What a builder says of a build whose Dockerfile reads only src. */
static const struct { const char *what, *lines [8]; bool reads_more; } builds [] = {
    { "nothing more", { "STEP 1/3: FROM x", "STEP 2/3: COPY  src /", "STEP 3/3: RUN true" }, false },
    { "a trigger", { "STEP 1/3: FROM x", "STEP 2/4: COPY . /app" }, true },
    { "a second trigger", { "STEP 1/1: FROM x", "STEP 2/3: RUN true", "STEP 3/3: ADD other /app" }, true },
    { "a trigger that reads the same", { "STEP 1/3: FROM x", "STEP 2/4: COPY --chown=1 src /app", "STEP 3/4: COPY src /" }, false },
    { "a trigger of a later stage", { "[1/3] STEP 1/1: FROM x", "[3/3] STEP 1/2: FROM y", "[3/3] STEP 2/3: COPY . /" }, true },
    { "what a RUN step prints", { "STEP 1/2: FROM x", "STEP 2/2: RUN make", "STEP 1/2: FROM y", "STEP 2/2: COPY . /", "STEP 3/9: COPY . /" }, false },
    { "what a RUN step prints, then a trigger", { "[1/2] STEP 1/2: FROM x", "[1/2] STEP 2/2: RUN make", "STEP 1/2: FROM y", "[2/2] STEP 1/1: FROM z",
                                                  "[2/2] STEP 2/2: COPY . /" }, true },
    { "no step", { "STEP 1/2: FROM x", "STEP 2/3 COPY . /", "STEP: COPY . /", "COPY . /" }, false },
};

static void a_trigger_that_reads_more_is_seen (void **state)
{
    static const char text [] = "FROM x\nCOPY src /\nRUN true\n";
    state_t *self = *state;
    AUTO (reach) reach_t *reach = reach_new (text, strlen (text), NULL);
    for (size_t i = 0; i < sizeof builds / sizeof *builds; i++) {
        builder_task_t task = { .door = self->door, .on_line = on_line, .argument = self };
        buildah_words_t words = { .task = &task, .reach = reach }, unasked = { .task = &task };
        for (const char *const *line = builds [i].lines; *line; line++) {
            buildah_on_line (&words, 'o', *line, strlen (*line));
            buildah_on_line (&unasked, 'o', *line, strlen (*line));
        }
        if (words.reads_more != builds [i].reads_more)
            fail_msg ("%s", builds [i].what);
        assert_false (unasked.reads_more);
    }
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test_setup_teardown (paths_are_told_without_the_folder_of_the_attempt, make_door, destroy_door),
        cmocka_unit_test_setup_teardown (a_trigger_that_reads_more_is_seen, make_door, destroy_door),
        cmocka_unit_test_setup_teardown (a_builder_without_memory_says_so, make_door, destroy_door),
        cmocka_unit_test_setup_teardown (words_of_a_full_disk_are_the_farms_fault_where_it_is_full, make_door, destroy_door),
        cmocka_unit_test_setup_teardown (a_builder_that_a_step_can_kill_is_no_fault_of_the_farm, make_door, destroy_door),
        cmocka_unit_test_setup_teardown (the_exit_status_is_that_of_a_run_step_or_none, make_door, destroy_door),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
