/* test_waiting.c - what is said of a job that no worker takes: with which workers, in which state, what it waits for, and that it fails after its time with
 * that as the reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "engines.h"

enum { HANDS = 3, MINUTE = 60000 };

/* -- scenes ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *name, *platforms, *label;
    const char *state;                  /* that it is brought into; NULL: it is well */
} hand_t;

typedef struct {
    hand_t hands [HANDS];               /* all workers of the farm */
    const char *require;                /* of a job for linux/riscv64 */
    bool may_emulate;
    const char *waiting;
} scene_t;

#define NONE "no worker for linux/riscv64"
#define NOBODY "no worker takes jobs for linux/riscv64"

static const scene_t scenes [] = {
    { .waiting = NONE ": none has joined this farm yet (farm-worker join)" },
    { { { "rv", "linux/riscv64", NULL, "forgotten" } }, .waiting = NONE ": all that had joined were forgotten (start one of them, or farm-worker join)" },
    { { { "amd", "linux/amd64", NULL, NULL } }, .waiting = NONE "; the workers run linux/amd64, and none could emulate it" },
    { { { "amd", "linux/amd64", NULL, NULL } }, .may_emulate = true, .waiting = NONE "; the workers run linux/amd64, and none could emulate it" },
    { { { "amd", "linux/amd64", NULL, NULL }, { "rv", "linux/riscv64", NULL, "forgotten" } },
      .waiting = NONE "; the workers run linux/amd64, and none could emulate it" },
    { { { "amd", "linux/amd64,linux/riscv64*", NULL, NULL } },
      .waiting = NONE "; the workers run linux/amd64; with --emulation allow it could be emulated by amd" },
    { { { "amd", "linux/amd64,linux/riscv64*", NULL, "forgotten" }, { "arm", "linux/arm64", NULL, NULL } }, .may_emulate = true,
      .waiting = NONE "; the workers run linux/arm64, and none could emulate it" },

    { { { "rv", "linux/riscv64", NULL, "draining" } }, .waiting = NOBODY ": rv is draining" },
    { { { "rv", "linux/riscv64", NULL, "paused" } }, .waiting = NOBODY ": rv is paused" },
    { { { "rv", "linux/riscv64", NULL, "lost" } }, .waiting = NOBODY ": rv is lost" },
    { { { "rv", "linux/riscv64", NULL, "unfit" } }, .waiting = NOBODY ": rv is unfit (the disk is full)" },
    { { { "rv", "linux/riscv64", NULL, "quarantined" } },
      .waiting = NOBODY ": rv is quarantined (its last 3 attempts failed through the farm's fault)" },
    { { { "rv", "linux/riscv64", NULL, "draining" }, { "rv2", "linux/riscv64", NULL, "lost" }, { "amd", "linux/amd64", NULL, NULL } },
      .waiting = NOBODY ": rv is draining, rv2 is lost" },
    { { { "rv", "linux/riscv64", NULL, "draining" }, { "rv2", "linux/riscv64", NULL, "forgotten" } }, .waiting = NOBODY ": rv is draining" },

    { { { "amd", "linux/amd64,linux/riscv64*", NULL, "paused" } }, .may_emulate = true, .waiting = NOBODY ": amd is paused" },
    { { { "amd", "linux/amd64,linux/riscv64*", NULL, "draining" }, { "rv", "linux/riscv64", NULL, "lost" } }, .may_emulate = true,
      .waiting = NOBODY ": amd is draining, rv is lost" },
    { { { "amd", "linux/amd64,linux/riscv64*", NULL, NULL }, { "rv", "linux/riscv64", NULL, "draining" } }, .waiting = NOBODY ": rv is draining" },

    { { { "rv", "linux/riscv64", NULL, NULL } }, "ssd",
      .waiting = NONE " with ssd: those for linux/riscv64 have other labels (farmctl worker inspect)" },
    { { { "rv", "linux/riscv64", NULL, "draining" } }, "ssd",
      .waiting = NONE " with ssd: those for linux/riscv64 have other labels (farmctl worker inspect)" },
    { { { "rv", "linux/riscv64", NULL, NULL }, { "rv2", "linux/riscv64", "ssd", "draining" } }, "ssd",
      .waiting = NOBODY " with ssd: rv2 is draining" },
    { { { "rv", "linux/riscv64", NULL, NULL }, { "rv2", "linux/riscv64", "ssd", "forgotten" } }, "ssd",
      .waiting = NONE " with ssd: those for linux/riscv64 have other labels (farmctl worker inspect)" },
    { { { "amd", "linux/amd64", "ssd", NULL } }, "ssd", .waiting = NONE " with ssd; the workers run linux/amd64, and none could emulate it" },
    { { { "amd", "linux/amd64,linux/riscv64*", NULL, NULL } }, "ssd", .may_emulate = true,
      .waiting = NONE " with ssd: those for linux/riscv64 have other labels (farmctl worker inspect)" },
    { { { "amd", "linux/amd64,linux/riscv64*", "ssd", "lost" }, { "rv", "linux/riscv64", NULL, NULL } }, "ssd", .may_emulate = true,
      .waiting = NOBODY " with ssd: amd is lost" },
};

typedef struct { worker_t workers [HANDS]; } crew_t;

static void beat (farm_t *farm, const hand_t *hand, const worker_t *worker)
{
    json_t *header = json_pack ("{s:[]}", "attempts");
    const char *state = hand->state ? hand->state : "";
    if (strcmp (state, "unfit") == 0)
        json_object_set_new (header, "unfit", json_string ("the disk is full"));
    if (strcmp (state, "lost") == 0 || strcmp (state, "forgotten") == 0)
        json_decref (header);
    else
        farm_say (farm, "heartbeat", worker->peer, worker->principal, header);
}

static json_t *build_of (farm_t *farm, const char *platform, const char *require, bool may_emulate, int timeout_ms)
{
    json_t *spec = spec_of (platform, "r.lan/app:1");
    json_object_set_new (spec, "queue_timeout_ms", json_integer (timeout_ms));
    if (require)
        json_object_set_new (spec, "require", json_pack ("[s]", require));
    if (may_emulate)
        json_object_set_new (spec, "emulation", json_string ("allow"));
    return submit_of (farm, spec);
}

/* Its number; 0: it is refused. Its base images are being looked up then. */
static int64_t submit (farm_t *farm, json_t *build)
{
    farm_say (farm, "submit", peer_of (farm->ann), farm->ann, build);
    return json_integer_value (json_object_get (farm_sent (farm, peer_of (farm->ann), "accepted"), "build"));
}

/* They are there, or why not. */
static void look_up (farm_t *farm, const char *text)
{
    json_t *answer = json_pack ("{s:O, s:b}", "lookup", json_object_get (farm_action (farm, ACTION_RESOLVE, 0), "lookup"), "ok", text == NULL);
    json_object_update_new (answer, text ? json_pack ("{s:s, s:s}", "code", "build", "text", text) : json_pack ("{s:[]}", "bases"));
    farm_say (farm, "resolved", 0, 0, answer);
}

static int64_t submit_scene (farm_t *farm, const scene_t *scene, int timeout_ms)
{
    return submit (farm, build_of (farm, "linux/riscv64", scene->require, scene->may_emulate, timeout_ms));
}

/* What an admin sends. */
static void order (farm_t *farm, const char *name, const char *mode)
{
    farm_say (farm, "order", peer_of (farm->admin), farm->admin, json_pack ("{s:s, s:s}", "name", name, "mode", mode));
}

static void give_label (farm_t *farm, const char *name, const char *label)
{
    farm_say (farm, "order", peer_of (farm->admin), farm->admin, json_pack ("{s:s, s:{s:s}}", "name", name, "labels", label, ""));
}

/* By failing so often. */
static void quarantine (farm_t *farm, const worker_t *worker)
{
    AUTO_FREE char *self = mem_printf ("name=%s", worker->name);
    for (int i = 0; i < 3; i++) {
        int64_t build = submit (farm, build_of (farm, worker->platforms, self, false, MINUTE));
        look_up (farm, NULL);
        task_t task = worker_task (farm, worker);
        assert_true (worker_fail (farm, worker, task, "full"));
        farm_cancel (farm, farm->ann, build);
    }
}

static void bring_into (farm_t *farm, const worker_t *worker, const char *state)
{
    if (strcmp (state, "quarantined") == 0)
        quarantine (farm, worker);
    if (strcmp (state, "lost") == 0 || strcmp (state, "forgotten") == 0)
        worker_gone (farm, worker);
    if (strcmp (state, "draining") == 0 || strcmp (state, "paused") == 0 || strcmp (state, "forgotten") == 0)
        order (farm, worker->name, state);
}

static void beat_all (farm_t *farm, const scene_t *scene, const crew_t *crew)
{
    for (int i = 0; i < HANDS && scene->hands [i].name; i++)
        beat (farm, &scene->hands [i], &crew->workers [i]);
}

static void pass (farm_t *farm, const scene_t *scene, const crew_t *crew, int64_t ms)
{
    for (; ms > 0; ms -= 10000) {
        farm_pass (farm, ms < 10000 ? ms : 10000);
        beat_all (farm, scene, crew);
    }
}

/* And no start is so near that anybody is still awaited. */
static void set_up (farm_t *farm, const scene_t *scene, crew_t *crew)
{
    for (int i = 0; i < HANDS && scene->hands [i].name; i++) {
        const hand_t *hand = &scene->hands [i];
        worker_join (farm, &crew->workers [i], hand->name, hand->platforms, 1);
        if (hand->label)
            give_label (farm, hand->name, hand->label);
        if (hand->state)
            bring_into (farm, &crew->workers [i], hand->state);
    }
    pass (farm, scene, crew, MINUTE);
}

/* For each scene a farm of its own. */
static void each_scene (void (*act) (farm_t *, const scene_t *, const crew_t *))
{
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        void *state = NULL;
        crew_t crew;
        assert_int_equal (farm_setup (&state), 0);
        farm_t *farm = state;
        farm->settings.quarantine_ms = 60 * MINUTE;
        farm->settings.looks_up = true;
        farm_reopen (farm);
        set_up (farm, &scenes [i], &crew);
        act (farm, &scenes [i], &crew);
        farm_teardown (&state);
    }
}

/* -- tests ------------------------------------------------------------------------------------------------------ */

static void wait_in_vain (farm_t *farm, const scene_t *scene, const crew_t *crew)
{
    int64_t build = submit_scene (farm, scene, 10 * MINUTE);
    look_up (farm, NULL);
    assert_string_equal (farm_shows (farm, build, "jobs/0/waiting"), scene->waiting);
    farm_say (farm, "list", peer_of (farm->viewer), farm->viewer, json_object ());
    const json_t *listed = json_array_get (json_object_get (farm_sent (farm, peer_of (farm->viewer), "builds"), "builds"), 0);
    const json_t *job = json_array_get (json_object_get (listed, "jobs"), 0);
    assert_string_equal (json_string_value (json_object_get (job, "waiting")), scene->waiting);
    pass (farm, scene, crew, 10 * MINUTE - 1);
    assert_string_equal (farm_shows (farm, build, "state"), "queued");
    farm_pass (farm, 1);
    AUTO_FREE char *reason = mem_printf ("no worker took it within 10m (--queue-timeout): %s", scene->waiting);
    assert_string_equal (farm_shows (farm, build, "state"), "failed");
    assert_string_equal (farm_shows (farm, build, "code"), "no-worker");
    assert_string_equal (farm_shows (farm, build, "jobs/0/reason"), reason);
    assert_string_equal (farm_shows (farm, build, "jobs/0/waiting"), "null");
}

static void what_no_worker_takes_says_why_and_fails_with_that (void **state)
{
    (void) state;
    each_scene (wait_in_vain);
}

static void be_refused (farm_t *farm, const scene_t *scene, const crew_t *crew)
{
    (void) crew;
    assert_int_equal (submit_scene (farm, scene, 0), 0);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "no-worker");
    assert_non_null (strstr (farm_error_text (farm, peer_of (farm->ann)), scene->waiting));
}

static void whoever_will_not_wait_is_told_the_same (void **state)
{
    (void) state;
    each_scene (be_refused);
}

/* No worker could help. */
static void fail_at_once (farm_t *farm, const scene_t *scene, const crew_t *crew)
{
    static const char lacking [] = "r.lan/base:1 is not there for linux/riscv64, only for linux/amd64: build for those, or begin with another image";
    (void) crew;
    int64_t build = submit_scene (farm, scene, 10 * MINUTE);
    assert_string_equal (farm_shows (farm, build, "jobs/0/waiting"), "its base images are being looked up");
    look_up (farm, lacking);
    assert_string_equal (farm_shows (farm, build, "state"), "failed");
    assert_string_equal (farm_shows (farm, build, "code"), "build");
    assert_non_null (strstr (farm_shows (farm, build, "jobs/0/reason"), lacking));
}

static void a_base_without_the_platform_is_told_in_place_of_that (void **state)
{
    (void) state;
    each_scene (fail_at_once);
}

static void be_served (farm_t *farm, const scene_t *scene, const crew_t *crew)
{
    (void) crew;
    worker_t late;
    int64_t build = submit_scene (farm, scene, 10 * MINUTE);
    look_up (farm, NULL);
    worker_join (farm, &late, "late", "linux/riscv64", 1);
    if (scene->require)
        give_label (farm, "late", scene->require);
    assert_true (worker_task (farm, &late).job > 0);
    assert_string_equal (farm_shows (farm, build, "jobs/0/waiting"), "null");
}

static void whoever_comes_gets_what_waited (void **state)
{
    (void) state;
    each_scene (be_served);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (what_no_worker_takes_says_why_and_fails_with_that),
        cmocka_unit_test (whoever_will_not_wait_is_told_the_same),
        cmocka_unit_test (whoever_comes_gets_what_waited),
        cmocka_unit_test (a_base_without_the_platform_is_told_in_place_of_that),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
