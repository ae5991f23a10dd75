/* test_engine.c - the engine's rules, as scripts: what people and workers say, and what is done about it. What goes wrong
 * (leases, restarts, full disks) stands in test_engine_faults.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/manifest.h"
#include "common/mem.h"
#include "engines.h"

#define SAYS(farm, build, path, text) assert_string_equal (farm_shows (farm, build, path), text)

/* -- the whole way ---------------------------------------------------------------------------------------------- */

static void a_build_goes_all_the_way (void **state)
{
    farm_t *farm = *state;
    worker_t amd, arm;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    worker_join (farm, &arm, "arm", "linux/arm64", 1);
    int64_t build = farm_submit (farm, farm->ann, "linux/arm64,linux/amd64", "r.lan/team/app:1,r.lan/team/app:2");
    assert_true (build > 0);
    task_t on_amd = worker_task (farm, &amd), on_arm = worker_task (farm, &arm);
    assert_true (on_amd.job > 0 && on_arm.job > 0 && on_amd.job != on_arm.job);
    const json_t *assign = farm_sent (farm, arm.peer, "assign");
    assert_string_equal (json_string_value (json_object_get (assign, "platform")), "linux/arm64");
    assert_string_equal (json_string_value (json_object_get (assign, "repository")), "r.lan/team/app");
    assert_false (json_is_true (json_object_get (assign, "emulated")));
    SAYS (farm, build, "state", "running");
    SAYS (farm, build, "user", "ann");
    SAYS (farm, build, "jobs/0/state", "assigned");
    SAYS (farm, build, "jobs/0/worker", "arm");
    static const char *const steps [] = { "fetching", "building", "pushing" };
    for (int i = 0; i < 3; i++) {
        assert_true (worker_report (farm, &arm, on_arm, steps [i], NULL));
        SAYS (farm, build, "jobs/0/state", steps [i]);
    }
    assert_true (worker_report (farm, &arm, on_arm, "pushed", json_pack ("{s:s}", "digest", digest_of_task (on_arm))));
    SAYS (farm, build, "jobs/0/state", "verifying");
    const json_t *verify = farm_action (farm, ACTION_VERIFY, 0);
    assert_string_equal (json_string_value (json_object_get (verify, "platform")), "linux/arm64");
    assert_string_equal (json_string_value (json_object_get (verify, "repository")), "r.lan/team/app");
    assert_string_equal (json_string_value (json_object_get (verify, "digest")), digest_of_task (on_arm));
    farm_verify (farm, NULL);
    SAYS (farm, build, "jobs/0/state", "done");
    SAYS (farm, build, "state", "running");
    assert_null (farm_action (farm, ACTION_PUBLISH, 0));
    assert_true (worker_push (farm, &amd, on_amd));
    farm_verify (farm, NULL);
    SAYS (farm, build, "state", "publishing");
    const json_t *publish = farm_action (farm, ACTION_PUBLISH, 0);
    assert_non_null (publish);
    assert_null (farm_action (farm, ACTION_PUBLISH, 1));
    assert_int_equal (json_array_size (json_object_get (publish, "tags")), 2);
    char digest [128];
    snprintf (digest, sizeof digest, "%s", json_string_value (json_object_get (publish, "index_digest")));
    farm_publish (farm, NULL);
    SAYS (farm, build, "state", "published");
    SAYS (farm, build, "digest", digest);
    SAYS (farm, build, "note", "null");
    SAYS (farm, build, "code", "null");
}

static void a_worker_s_platforms_are_normalised_too (void **state)
{
    farm_t *farm = *state;
    worker_t arm;
    worker_join (farm, &arm, "arm", "linux/aarch64,linux/arm64/v8", 1);
    farm_submit (farm, farm->ann, "linux/arm64", "r.lan/app");
    assert_true (worker_task (farm, &arm).job > 0);
}

/* The bytes of the index: those that manifest.h composes of the verified images, in the order asked for, whatever came first. */
static void the_index_names_the_platforms_in_the_order_asked (void **state)
{
    farm_t *farm = *state;
    worker_t all;
    static const char *const platforms [] = { "linux/s390x", "linux/amd64", "linux/arm/v7", "linux/arm64" };
    worker_join (farm, &all, "all", "linux/amd64,linux/arm64,linux/arm/v7,linux/s390x", 4);
    farm_submit (farm, farm->ann, "linux/s390x,linux/x86_64,linux/arm,linux/arm64/v8,linux/amd64", "r.lan/app");
    task_t tasks [4];
    for (int i = 0; i < 4; i++) {
        const json_t *header = NULL;
        for (size_t j = 0; j < farm->actions.count; j++)
            if (strcmp (farm->actions.items [j].verb, "assign") == 0
                && strcmp (json_string_value (json_object_get (farm->actions.items [j].header, "platform")), platforms [i]) == 0)
                header = farm->actions.items [j].header;
        assert_non_null (header);
        tasks [i] = (task_t) { json_integer_value (json_object_get (header, "job")), 1 };
    }
    for (int i = 3; i >= 0; i--) {
        assert_true (worker_push (farm, &all, tasks [i]));
        farm_verify (farm, NULL);
    }
    const json_t *publish = farm_action (farm, ACTION_PUBLISH, 0);
    descriptor_t children [4] = { { .size_bytes = 500 } };
    for (int i = 0; i < 4; i++) {
        children [i].size_bytes = 500;
        strcpy (children [i].media_type, "application/vnd.oci.image.manifest.v1+json");
        strcpy (children [i].digest, digest_of_task (tasks [i]));
        assert_int_equal (platform_parse (&children [i].platform, platforms [i], NULL), 0);
        const json_t *child = json_array_get (json_object_get (publish, "children"), (size_t) i);
        assert_string_equal (json_string_value (json_object_get (child, "platform")), platforms [i]);
        assert_string_equal (json_string_value (json_object_get (child, "digest")), children [i].digest);
    }
    AUTO_BUFFER buffer_t expected = { 0 };
    char media_type [128], digest [OCI_DIGEST_SIZE];
    manifest_compose_index (children, 4, NULL, &expected, media_type);
    oci_digest_of (expected.data, expected.size, digest);
    assert_string_equal (json_string_value (json_object_get (publish, "index_media_type")), media_type);
    assert_string_equal (json_string_value (json_object_get (publish, "index_digest")), digest);
    const char *base64 = json_string_value (json_object_get (publish, "index"));
    uint8_t bytes [8192];
    size_t size;
    assert_int_equal (sodium_base642bin (bytes, sizeof bytes, base64, strlen (base64), NULL, &size, NULL,
                                         sodium_base64_VARIANT_ORIGINAL), 0);
    assert_int_equal (size, expected.size);
    assert_memory_equal (bytes, expected.data, size);
}

/* -- submit ----------------------------------------------------------------------------------------------------- */

static void the_same_request_is_the_same_build (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    AUTO_JSON json_t *request = submit_of (farm, spec_of ("linux/amd64", "r.lan/app"));
    int64_t ids [4];
    for (int i = 0; i < 4; i++) {
        int64_t who = i == 3 ? farm->bob : farm->ann;
        if (i == 2)
            farm_reopen (farm);
        farm_say (farm, "submit", peer_of (who), who, json_deep_copy (request));
        ids [i] = json_integer_value (json_object_get (farm_sent (farm, peer_of (who), "accepted"), "build"));
    }
    assert_true (ids [0] > 0);
    assert_int_equal (ids [1], ids [0]);
    assert_int_equal (ids [2], ids [0]);
    assert_int_not_equal (ids [3], ids [0]);        /* a request is its user's own */
}

/* As one who will not wait for a worker. */
static int64_t submit_at_once (farm_t *farm, const char *platforms, const char *tags)
{
    json_t *spec = spec_of (platforms, tags);
    json_object_set_new (spec, "queue_timeout_ms", json_integer (0));
    farm_say (farm, "submit", peer_of (farm->ann), farm->ann, submit_of (farm, spec));
    return json_integer_value (json_object_get (farm_sent (farm, peer_of (farm->ann), "accepted"), "build"));
}

/* An answer may get lost while the last worker leaves: the repeated request is still the same build. */
static void a_repeated_request_is_not_looked_at_anew (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    AUTO_JSON json_t *request = submit_of (farm, spec_of ("linux/amd64", "r.lan/app"));
    farm_say (farm, "submit", 1, farm->ann, json_deep_copy (request));
    amd.platforms = "linux/arm64";
    worker_restart (farm, &amd);
    farm_say (farm, "submit", 1, farm->ann, json_deep_copy (request));
    assert_non_null (farm_sent (farm, 1, "accepted"));
    assert_int_equal (submit_at_once (farm, "linux/amd64", "r.lan/app"), 0);
}

static void what_cannot_be_built_is_refused_with_the_reason (void **state)
{
    farm_t *farm = *state;
    worker_t amd, emulator;
    static const struct { const char *platforms, *tags, *code, *says; } rows [] = {
        { "linux/amd64", "R.lan/App", "usage", "lower case" },
        { "linux/amd64", "r.lan/a:b:c", "usage", "r.lan/a:b:c" },
        { "linux/amd64", "r.lan/a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "usage", "digest" },
        { "linux/amd64", "r.lan/a,other.lan/a", "usage", "two registries" },
        { "linux/amd46/x/y", "r.lan/a", "usage", "no platform" },
        { "linux/riscv64", "r.lan/a", "no-worker", "no worker for linux/riscv64; the workers run linux/amd64, and none could emulate it" },
        { "linux/amd64,linux/riscv64", "r.lan/a", "no-worker", "riscv64" },
        { "linux/arm64", "r.lan/a", "no-worker", "with --emulation allow it could be emulated by emu" },
    };
    assert_int_equal (submit_at_once (farm, "linux/amd64", "r.lan/app"), 0);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "no-worker");
    assert_non_null (strstr (farm_error_text (farm, peer_of (farm->ann)), "none has joined"));
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    worker_join (farm, &emulator, "emu", "linux/amd64,linux/arm64*", 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal (submit_at_once (farm, rows [i].platforms, rows [i].tags), 0);
        assert_string_equal (farm_error (farm, peer_of (farm->ann)), rows [i].code);
        if (!strstr (farm_error_text (farm, peer_of (farm->ann)), rows [i].says))
            fail_msg ("\"%s\" does not say \"%s\"", farm_error_text (farm, peer_of (farm->ann)), rows [i].says);
    }
    farm_say (farm, "list", 1, farm->admin, json_object ());
    assert_int_equal (json_array_size (json_object_get (farm_sent (farm, 1, "builds"), "builds")), 0);
}

static void the_queue_has_an_end (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    farm->settings.queue_max = 2;
    farm_reopen (farm);
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    int64_t first = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    assert_true (first > 0 && farm_submit (farm, farm->ann, "linux/amd64", "r.lan/b") > 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal (farm_submit (farm, farm->ann, "linux/amd64", "r.lan/c"), 0);
        assert_string_equal (farm_error (farm, peer_of (farm->ann)), "full");
        farm_reopen (farm);
    }
    farm_cancel (farm, farm->ann, first);
    assert_true (farm_submit (farm, farm->ann, "linux/amd64", "r.lan/c") > 0);
    assert_int_equal (farm_submit (farm, farm->ann, "linux/amd64", "r.lan/d"), 0);
}

static void a_build_waits_for_a_worker_that_is_away_and_says_so (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    worker_gone (farm, &amd);
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    assert_true (build > 0);
    SAYS (farm, build, "state", "queued");
    SAYS (farm, build, "jobs/0/waiting", "no worker takes jobs for linux/amd64: amd is lost");
    worker_hello (farm, &amd, NULL, 0);
    assert_true (worker_task (farm, &amd).job > 0);
    int64_t second = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/b");
    SAYS (farm, second, "jobs/0/waiting", "no free worker for linux/amd64");
}

static void platforms_are_checked_before_anything_is_sent (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64,linux/arm64*", 1);
    static const struct { const char *platform, *emulation, *code; } table [] = {
        { "linux/x86_64", "deny", "" }, { "linux/arm64", "deny", "no-worker" }, { "linux/arm64", "allow", "" },
        { "linux/riscv64", "allow", "no-worker" }, { "amd64/..", "deny", "usage" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        farm_say (farm, "check", peer_of (farm->ann), farm->ann,
                  json_pack ("{s:[s], s:s, s:i}", "platforms", table [i].platform, "emulation", table [i].emulation,
                             "queue_timeout_ms", 0));
        assert_string_equal (farm_error (farm, peer_of (farm->ann)), table [i].code);
        assert_true (!*table [i].code == (farm_sent (farm, peer_of (farm->ann), "fine") != NULL));
    }
    farm_say (farm, "check", peer_of (farm->viewer), farm->viewer, json_pack ("{s:[s]}", "platforms", "linux/amd64"));
    assert_string_equal (farm_error (farm, peer_of (farm->viewer)), "denied");
}

/* -- matching --------------------------------------------------------------------------------------------------- */

static void jobs_start_in_order_and_slots_are_never_over_full (void **state)
{
    farm_t *farm = *state;
    worker_t one;
    int64_t builds [5];
    worker_join (farm, &one, "one", "linux/amd64", 2);
    for (int i = 0; i < 5; i++)
        builds [i] = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    for (int i = 0; i < 5; i++)
        SAYS (farm, builds [i], "jobs/0/state", i < 2 ? "assigned" : "queued");
    farm_cancel (farm, farm->ann, builds [0]);
    const json_t *abort = farm_sent (farm, one.peer, "abort");
    assert_non_null (abort);
    task_t stopped = { json_integer_value (json_object_get (abort, "job")), 1 };
    SAYS (farm, builds [2], "jobs/0/state", "queued");      /* the slot is taken until the worker has stopped */
    assert_false (worker_fail (farm, &one, stopped, "cancelled"));
    SAYS (farm, builds [2], "jobs/0/state", "assigned");
    SAYS (farm, builds [3], "jobs/0/state", "queued");
}

static void the_least_busy_worker_gets_the_job (void **state)
{
    farm_t *farm = *state;
    worker_t big, small;
    worker_join (farm, &big, "big", "linux/amd64", 4);
    worker_join (farm, &small, "small", "linux/amd64", 1);
    int on_big = 0, on_small = 0;
    for (int i = 0; i < 5; i++) {
        farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
        on_big += worker_task (farm, &big).job > 0;
        on_small += worker_task (farm, &small).job > 0;
        if (i == 1)
            assert_int_equal (on_small, 1);
    }
    assert_int_equal (on_big, 4);
    assert_int_equal (on_small, 1);
}

static json_t *may_emulate (const char *platforms, const char *tags)
{
    json_t *spec = spec_of (platforms, tags);
    json_object_set_new (spec, "emulation", json_string ("allow"));
    return spec;
}

static void nothing_is_emulated_unasked_and_natives_come_first (void **state)
{
    farm_t *farm = *state;
    worker_t emulator, native;
    worker_join (farm, &emulator, "emu", "linux/amd64,linux/arm64*", 4);
    farm_say (farm, "submit", 1, farm->ann, submit_of (farm, may_emulate ("linux/arm64", "r.lan/a")));
    assert_non_null (farm_sent (farm, 1, "accepted"));
    task_t task = worker_task (farm, &emulator);
    assert_true (task.job > 0);
    assert_true (json_is_true (json_object_get (farm_sent (farm, emulator.peer, "assign"), "emulated")));
    worker_join (farm, &native, "nat", "linux/arm64", 2);
    for (int i = 0; i < 2; i++) {                           /* the second time the native is the busier of the two */
        farm_say (farm, "submit", 1, farm->ann, submit_of (farm, may_emulate ("linux/arm64", "r.lan/b")));
        assert_true (worker_task (farm, &native).job > 0);
        assert_false (json_is_true (json_object_get (farm_sent (farm, native.peer, "assign"), "emulated")));
    }
    int64_t strict = farm_submit (farm, farm->ann, "linux/arm64", "r.lan/c");
    SAYS (farm, strict, "jobs/0/state", "queued");         /* the emulator has slots, and may not */
    assert_int_equal (worker_task (farm, &emulator).job, 0);
    farm_say (farm, "submit", 1, farm->ann, submit_of (farm, may_emulate ("linux/arm64", "r.lan/d")));
    assert_true (worker_task (farm, &emulator).job > 0);    /* it does not wait behind the strict one */
    SAYS (farm, strict, "jobs/0/state", "queued");
    SAYS (farm, strict, "jobs/0/waiting", "no free worker for linux/arm64");
}

/* -- faults of the user ----------------------------------------------------------------------------------------- */

static void a_user_s_fault_fails_the_build_and_stops_its_siblings (void **state)
{
    farm_t *farm = *state;
    static const char *const codes [] = { "build", "usage", "timeout", "verify", "registry-denied", "denied", "not-found" };
    worker_t amd, arm;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    worker_join (farm, &arm, "arm", "linux/arm64", 1);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        int64_t build = farm_submit (farm, farm->ann, "linux/amd64,linux/arm64,linux/arm64", "r.lan/app");
        task_t on_amd = worker_task (farm, &amd), on_arm = worker_task (farm, &arm);
        assert_true (worker_push (farm, &arm, on_arm));
        const json_t *verify = farm_action (farm, ACTION_VERIFY, 0);
        AUTO_JSON json_t *late = json_deep_copy (verify);
        assert_true (worker_report (farm, &amd, on_amd, "failed", json_pack ("{s:s, s:s, s:s, s:i}", "code", codes [i], "text", "exit 1",
                                                                            "step", "STEP 2/3: RUN false", "exit_status", 1)));
        SAYS (farm, build, "state", "failed");
        SAYS (farm, build, "code", codes [i]);
        SAYS (farm, build, "reason", "linux/amd64: exit 1");
        SAYS (farm, build, "jobs/0/state", "failed");
        SAYS (farm, build, "jobs/0/step", "STEP 2/3: RUN false");
        SAYS (farm, build, "jobs/0/exit_status", "1");
        SAYS (farm, build, "jobs/1/state", "cancelled");
        SAYS (farm, build, "jobs/1/reason", "another platform failed");
        farm_verified (farm, late, NULL);
        assert_null (farm_action (farm, ACTION_PUBLISH, 0));
        SAYS (farm, build, "jobs/1/state", "cancelled");
        assert_false (worker_push (farm, &arm, on_arm));
    }
}

static void a_sibling_that_is_still_built_is_told_to_stop (void **state)
{
    farm_t *farm = *state;
    worker_t amd, arm;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    worker_join (farm, &arm, "arm", "linux/arm64", 1);
    farm_submit (farm, farm->ann, "linux/amd64,linux/arm64", "r.lan/app");
    task_t on_amd = worker_task (farm, &amd), on_arm = worker_task (farm, &arm);
    int64_t next = farm_submit (farm, farm->ann, "linux/arm64", "r.lan/next");
    assert_true (worker_fail (farm, &amd, on_amd, "build"));
    const json_t *abort = farm_sent (farm, arm.peer, "abort");
    assert_int_equal (json_integer_value (json_object_get (abort, "job")), on_arm.job);
    SAYS (farm, next, "jobs/0/state", "queued");
    assert_false (worker_fail (farm, &arm, on_arm, "cancelled"));
    SAYS (farm, next, "jobs/0/state", "assigned");
}

static void an_image_that_is_not_what_was_asked_for_fails_the_build (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app");
    assert_true (worker_push (farm, &amd, worker_task (farm, &amd)));
    farm_verify (farm, "verify");
    SAYS (farm, build, "state", "failed");
    SAYS (farm, build, "code", "verify");
    assert_null (farm_action (farm, ACTION_PUBLISH, 0));
}

/* -- cancel ----------------------------------------------------------------------------------------------------- */

static void a_build_can_be_cancelled_until_it_is_published (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    static const char *const states [] = { "queued", "assigned", "fetching", "building", "pushing", "verifying" };
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    for (int stop = 0; stop < 6; stop++) {
        if (stop == 0)
            worker_gone (farm, &amd);
        int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app");
        task_t task = worker_task (farm, &amd);
        for (int i = 2; i <= stop && i < 5; i++)
            assert_true (worker_report (farm, &amd, task, states [i], NULL));
        if (stop == 5)
            assert_true (worker_report (farm, &amd, task, "pushed", json_pack ("{s:s}", "digest", digest_of_task (task))));
        SAYS (farm, build, "jobs/0/state", states [stop]);
        farm_cancel (farm, farm->ann, build);
        assert_int_equal (farm_sent (farm, amd.peer, "abort") != NULL, stop >= 1 && stop <= 4);
        SAYS (farm, build, "state", "cancelled");
        SAYS (farm, build, "code", "cancelled");
        SAYS (farm, build, "reason", "cancelled by ann");
        SAYS (farm, build, "jobs/0/state", "cancelled");
        if (task.job)
            assert_false (worker_fail (farm, &amd, task, "cancelled"));
        farm_cancel (farm, farm->ann, build);
        assert_string_equal (farm_error (farm, peer_of (farm->ann)), "usage");
        if (stop == 0)
            worker_hello (farm, &amd, NULL, 0);
        assert_int_equal (worker_task (farm, &amd).job, 0);
    }
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app");
    assert_true (worker_push (farm, &amd, worker_task (farm, &amd)));
    farm_verify (farm, NULL);
    AUTO_JSON json_t *publish = json_deep_copy (farm_action (farm, ACTION_PUBLISH, 0));
    farm_cancel (farm, farm->ann, build);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "usage");
    assert_non_null (strstr (farm_error_text (farm, peer_of (farm->ann)), "too late"));
    farm_published (farm, publish, NULL);
    SAYS (farm, build, "state", "published");
    farm_cancel (farm, farm->ann, build);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "usage");
    farm_cancel (farm, farm->ann, 12345);
    assert_string_equal (farm_error (farm, peer_of (farm->ann)), "not-found");
}

/* -- tags ------------------------------------------------------------------------------------------------------- */

/* Take a build to the point where its index is ready; *publish gets the action, NULL when it has to wait. */
static int64_t ready (farm_t *farm, worker_t *worker, const char *tags, json_t **publish)
{
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", tags);
    assert_true (worker_push (farm, worker, worker_task (farm, worker)));
    farm_verify (farm, NULL);
    const json_t *task = farm_action (farm, ACTION_PUBLISH, 0);
    *publish = task ? json_deep_copy (task) : NULL;
    return build;
}

static void a_tag_never_goes_back_to_an_older_build (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 2);
    int64_t old = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1,r.lan/app:old");
    task_t old_task = worker_task (farm, &amd);
    json_t *publish;
    int64_t young = ready (farm, &amd, "r.lan/app:1,r.lan/app:2", &publish);
    farm_published (farm, publish, NULL);
    json_decref (publish);
    SAYS (farm, young, "state", "published");
    assert_true (worker_push (farm, &amd, old_task));
    farm_verify (farm, NULL);
    const json_t *tags = json_object_get (farm_action (farm, ACTION_PUBLISH, 0), "tags");
    assert_int_equal (json_array_size (tags), 1);
    assert_string_equal (json_string_value (json_array_get (tags, 0)), "r.lan/app:old");
    farm_publish (farm, NULL);
    SAYS (farm, old, "state", "published");
    char note [64];
    snprintf (note, sizeof note, "superseded by %lld: r.lan/app:1", (long long) young);
    SAYS (farm, old, "note", note);
    int64_t next = ready (farm, &amd, "r.lan/app:1", &publish);
    assert_int_equal (json_array_size (json_object_get (publish, "tags")), 1);
    farm_published (farm, publish, NULL);
    json_decref (publish);
    SAYS (farm, next, "note", "null");
}

static void builds_that_move_one_tag_go_one_after_the_other (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    json_t *first, *second, *other;
    worker_join (farm, &amd, "amd", "linux/amd64", 4);
    int64_t one = ready (farm, &amd, "r.lan/app:1,r.lan/app:x", &first);
    int64_t two = ready (farm, &amd, "r.lan/app:x,r.lan/app:2", &second);
    int64_t three = ready (farm, &amd, "r.lan/other", &other);
    assert_non_null (first);
    assert_null (second);
    assert_non_null (other);
    SAYS (farm, two, "state", "publishing");
    farm_published (farm, first, NULL);
    SAYS (farm, one, "state", "published");
    assert_int_equal (json_integer_value (json_object_get (farm_action (farm, ACTION_PUBLISH, 0), "build")), two);
    farm_publish (farm, NULL);
    farm_published (farm, other, NULL);
    SAYS (farm, two, "state", "published");
    SAYS (farm, three, "state", "published");
    json_decref (first);
    json_decref (other);
}

/* While the registry's trouble with an older build is waited out a newer one goes by: then the older leaves the tag alone. */
static void a_newer_build_does_not_wait_for_an_older_one_in_trouble (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    json_t *first, *second;
    worker_join (farm, &amd, "amd", "linux/amd64", 4);
    int64_t old = ready (farm, &amd, "r.lan/app:1", &first);
    int64_t young = ready (farm, &amd, "r.lan/app:1", &second);
    assert_null (second);
    farm_published (farm, first, "registry");
    json_decref (first);
    assert_int_equal (json_integer_value (json_object_get (farm_action (farm, ACTION_PUBLISH, 0), "build")), young);
    farm_publish (farm, NULL);
    SAYS (farm, young, "state", "published");
    farm_pass (farm, 2000);
    const json_t *again = farm_action (farm, ACTION_PUBLISH, 0);
    assert_int_equal (json_integer_value (json_object_get (again, "build")), old);
    assert_int_equal (json_array_size (json_object_get (again, "tags")), 0);
    farm_publish (farm, NULL);
    SAYS (farm, old, "state", "published");
}

/* A newer build that is in trouble may have moved the tag before: an older one waits for its end, a restart or not. */
static void an_older_build_waits_for_a_newer_one_in_trouble (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    json_t *publish;
    worker_join (farm, &amd, "amd", "linux/amd64", 4);
    int64_t old = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1");
    task_t task = worker_task (farm, &amd);
    int64_t young = ready (farm, &amd, "r.lan/app:1", &publish);
    farm_published (farm, publish, "registry");
    json_decref (publish);
    assert_true (worker_push (farm, &amd, task));
    farm_verify (farm, NULL);
    assert_null (farm_action (farm, ACTION_PUBLISH, 0));
    for (int i = 0; i < 2; i++) {
        farm_reopen (farm);
        farm_pass (farm, 0);
        assert_int_equal (json_integer_value (json_object_get (farm_action (farm, ACTION_PUBLISH, 0), "build")), young);
        assert_null (farm_action (farm, ACTION_PUBLISH, 1));
    }
    farm_publish (farm, NULL);
    const json_t *last = farm_action (farm, ACTION_PUBLISH, 0);
    assert_int_equal (json_integer_value (json_object_get (last, "build")), old);
    assert_int_equal (json_array_size (json_object_get (last, "tags")), 0);
}

/* A publisher's word: it has failed for good, and had moved these tags. */
static void farm_half_published (farm_t *farm, const json_t *task, const char *code, const char *moved)
{
    json_t *tags = moved ? json_pack ("[s]", moved) : json_array ();
    farm_say (farm, "published", 0, 0, json_pack ("{s:O, s:b, s:s, s:s, s:o}", "build", json_object_get (task, "build"), "ok", 0, "code", code,
                                                  "text", "the registry's reason", "moved", tags));
}

static void a_tag_stays_with_the_failed_build_that_moved_it (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    json_t *publish;
    char note [64];
    worker_join (farm, &amd, "amd", "linux/amd64", 4);
    int64_t old = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app:1,r.lan/app:2");
    task_t task = worker_task (farm, &amd);
    int64_t young = ready (farm, &amd, "r.lan/app:1,r.lan/app:2", &publish);
    assert_true (json_is_false (json_object_get (publish, "is_unsure")));
    farm_half_published (farm, publish, "registry-denied", "r.lan/app:1");
    json_decref (publish);
    SAYS (farm, young, "state", "failed");
    SAYS (farm, young, "note", "moved before it failed: r.lan/app:1");
    farm_reopen (farm);
    worker_hello (farm, &amd, &task, 1);
    assert_true (worker_push (farm, &amd, task));
    farm_verify (farm, NULL);
    const json_t *tags = json_object_get (farm_action (farm, ACTION_PUBLISH, 0), "tags");
    assert_int_equal (json_array_size (tags), 1);
    assert_string_equal (json_string_value (json_array_get (tags, 0)), "r.lan/app:2");
    farm_publish (farm, NULL);
    SAYS (farm, old, "state", "published");
    snprintf (note, sizeof note, "superseded by %lld: r.lan/app:1", (long long) young);
    SAYS (farm, old, "note", note);
}

/* What the first try moved counts, though the last one came to no tag; and one that ended with the coordinator is asked after. */
static void each_try_counts_that_moved_a_tag (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    json_t *publish;
    worker_join (farm, &amd, "amd", "linux/amd64", 4);
    int64_t young = ready (farm, &amd, "r.lan/app:1,r.lan/app:2", &publish);
    farm_half_published (farm, publish, "registry", "r.lan/app:2");
    json_decref (publish);
    farm_pass (farm, 2000);
    assert_true (json_is_false (json_object_get (farm_action (farm, ACTION_PUBLISH, 0), "is_unsure")));
    farm_reopen (farm);
    farm_pass (farm, 0);
    publish = json_deep_copy (farm_action (farm, ACTION_PUBLISH, 0));
    assert_true (json_is_true (json_object_get (publish, "is_unsure")));
    farm_half_published (farm, publish, "registry", NULL);
    json_decref (publish);
    farm_pass (farm, 60000);
    publish = json_deep_copy (farm_action (farm, ACTION_PUBLISH, 0));
    assert_true (json_is_false (json_object_get (publish, "is_unsure")));
    farm_half_published (farm, publish, "registry-denied", NULL);
    json_decref (publish);
    SAYS (farm, young, "state", "failed");
    SAYS (farm, young, "note", "moved before it failed: r.lan/app:2");
}

/* -- who may do what -------------------------------------------------------------------------------------------- */

static void each_role_may_do_its_own (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    static const struct { const char *verb, *allowed; } rows [] = {      /* of admin, submitter, viewer, worker, invitation */
        { "list", "yyynn" }, { "inspect", "yyynn" }, { "watch", "yyynn" }, { "workers", "yyynn" }, { "submit", "yynnn" },
        { "heartbeat", "nnnyn" }, { "report", "nnnyn" }, { "join", "nnnny" }, { "hello", "yyynn" },
        { "gone", "nnnnn" }, { "ended", "nnnnn" }, { "tick", "nnnnn" }, { "verified", "nnnnn" }, { "published", "nnnnn" }, { "put", "nnnnn" }, { "", "nnnnn" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int role = 0; role < 5; role++) {
            int64_t who [] = { farm->admin, farm->ann, farm->viewer, amd.principal, farm->invitation };
            uint64_t peer = role == 3 ? amd.peer : 5000;
            json_t *header =
                strcmp (rows [i].verb, "inspect") == 0 || strcmp (rows [i].verb, "watch") == 0 ? json_pack ("{s:I}", "build", build)
                : strcmp (rows [i].verb, "submit") == 0 ? submit_of (farm, spec_of ("linux/amd64", "r.lan/b"))
                : strcmp (rows [i].verb, "heartbeat") == 0 ? json_pack ("{s:[]}", "attempts")
                : strcmp (rows [i].verb, "report") == 0 ? json_pack ("{s:i, s:i, s:s}", "job", 1, "attempt", 1, "state", "fetching")
                : strcmp (rows [i].verb, "join") == 0 ? json_pack ("{s:s, s:s, s:s}", "kind", "worker", "name", "n", "public_key",
                      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
                : strcmp (rows [i].verb, "hello") == 0 ? json_pack ("{s:s, s:s, s:s}", "program", "farmctl", "version", "1", "instance",
                                                                    "0123456789abcdef0123456789abcdef")
                : json_object ();
            json_object_set_new (header, "seq", json_integer (7));
            if (strcmp (rows [i].verb, "heartbeat") == 0)
                json_object_del (header, "seq");
            event_t event = { .verb = rows [i].verb, .peer = peer, .principal = who [role], .header = header };
            farm_begin (farm);
            engine_handle (farm->engine, &event);
            farm_commit (farm);
            json_decref (header);
            const char *code = farm_error (farm, peer);
            bool is_refused = strcmp (code, "denied") == 0 || strcmp (code, "protocol") == 0;
            if (is_refused != (rows [i].allowed [role] == 'n'))
                fail_msg ("%s by role %d: %s", rows [i].verb, role, *code ? code : "allowed");
        }
    SAYS (farm, build, "state", "running");
}

static void a_build_is_cancelled_by_its_user_or_an_admin (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    int64_t others [] = { farm->bob, farm->viewer, amd.principal, farm->invitation };
    for (int i = 0; i < 4; i++) {
        farm_cancel (farm, others [i], build);
        assert_string_equal (farm_error (farm, peer_of (others [i])), "denied");
    }
    SAYS (farm, build, "state", "running");
    farm_cancel (farm, farm->admin, build);
    SAYS (farm, build, "reason", "cancelled by root");
}

static void a_key_that_is_not_known_may_do_nothing (void **state)
{
    farm_t *farm = *state;
    principal_t principal;
    err_t err = { 0 };
    farm_say (farm, "list", 1, 4711, json_object ());
    assert_string_equal (farm_error (farm, 1), "denied");
    assert_int_equal (engine_find_principal (farm->engine, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                                             &principal, &err), -1);
    assert_int_equal (err.code, ERR_DENIED);
}

static json_t *join_of (const char *kind, const char *key)
{
    return json_pack ("{s:s, s:s, s:s}", "kind", kind, "name", "newcomer", "public_key", key);
}

static json_t *named (json_t *join, const char *name)
{
    json_object_set_new (join, "name", json_string (name));
    return join;
}

/* Whose a build is, is told by a name. */
static void nobody_joins_under_somebody_s_name (void **state)
{
    farm_t *farm = *state;
    char first [65], second [65];
    memset (first, 'e', 64);
    memset (second, 'f', 64);
    first [64] = second [64] = 0;
    static const char *const taken [] = { "root", "ann" };
    for (size_t i = 0; i < 2; i++) {
        farm_say (farm, "join", 1, farm->invitation, named (join_of ("submitter", first), taken [i]));
        assert_string_equal (farm_error (farm, 1), "denied");
        assert_non_null (strstr (farm_error_text (farm, 1), "--name"));
    }
    for (int i = 0; i < 2; i++) {
        farm_say (farm, "join", 1, farm->invitation, named (join_of ("submitter", first), "eve"));
        assert_non_null (farm_sent (farm, 1, "joined"));            /* twice by the same key: the same */
    }
    farm_say (farm, "join", 1, farm->invitation, named (join_of ("submitter", second), "eve"));
    assert_string_equal (farm_error (farm, 1), "denied");
}

static void an_invitation_enrols_keys_and_nothing_else (void **state)
{
    farm_t *farm = *state;
    static const char key [] = "00000000000000000000000000000000000000000000000000000000000000aa";
    principal_t principal;
    for (int i = 0; i < 2; i++) {                   /* sent twice it is the same */
        farm_say (farm, "join", 1, farm->invitation, join_of ("worker", key));
        assert_string_equal (json_string_value (json_object_get (farm_sent (farm, 1, "joined"), "role")), "worker");
    }
    assert_int_equal (engine_find_principal (farm->engine, key, &principal, NULL), 0);
    assert_string_equal (principal.role, "worker");
    farm_say (farm, "join", 1, farm->invitation, join_of ("submitter", key));
    assert_string_equal (farm_error (farm, 1), "denied");
    assert_int_equal (engine_find_principal (farm->engine, key, &principal, NULL), 0);
    assert_string_equal (principal.role, "worker");
    farm_say (farm, "join", 1, principal.id, join_of ("worker", key));
    assert_string_equal (farm_error (farm, 1), "denied");
}

/* A tag that no assignment can carry, once ":latest" stands behind it, is refused and not tried for ever. */
static void a_tag_has_a_limit_as_it_is_sent (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    char tag [513];
    worker_join (farm, &amd, "amd", "linux/amd64", 20);
    for (int size = 500; size <= 512; size++) {
        memset (tag, 'a', sizeof tag);
        tag [250] = '.';
        tag [255] = '/';
        tag [size] = 0;
        int64_t build = farm_submit (farm, farm->ann, "linux/amd64", tag);     /* an assignment is held against the schema */
        if (build)
            farm_cancel (farm, farm->ann, build);
        else
            assert_string_equal (farm_error (farm, peer_of (farm->ann)), "usage");
    }
}

static void a_name_belongs_to_one_worker (void **state)
{
    farm_t *farm = *state;
    worker_t first, second;
    worker_join (farm, &first, "board", "linux/amd64", 1);
    worker_join (farm, &second, "other", "linux/amd64", 1);
    strcpy (second.name, "board");
    worker_restart (farm, &second);
    assert_string_equal (farm_error (farm, second.peer), "denied");
    assert_non_null (strstr (farm_error_text (farm, second.peer), "--name"));
    farm_say (farm, "workers", 1, farm->viewer, json_object ());
    assert_int_equal (json_array_size (json_object_get (farm_sent (farm, 1, "worker-list"), "workers")), 2);
}

static void workers_come_in_pages_by_name (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    char name [32] = "";
    size_t seen = 0;
    bool has_more = true;
    for (int i = 0; i < 300; i++) {
        snprintf (name, sizeof name, "board-%03d", i * 7 % 300);
        worker_join (farm, &worker, name, "linux/arm64,linux/arm/v7", 1);
    }
    name [0] = 0;
    while (has_more) {
        farm_say (farm, "workers", 1, farm->viewer, *name ? json_pack ("{s:s}", "after", name) : json_object ());
        const json_t *answer = farm_sent (farm, 1, "worker-list"), *page = json_object_get (answer, "workers");
        has_more = json_is_true (json_object_get (answer, "has_more"));
        assert_true (json_array_size (page) > 0);
        for (size_t i = 0; i < json_array_size (page); i++, seen++) {
            const char *next = json_string_value (json_object_get (json_array_get (page, i), "name"));
            assert_true (strcmp (next, name) > 0);
            snprintf (name, sizeof name, "%s", next);
        }
    }
    assert_int_equal (seen, 300);
}

/* A machine that was set up anew has another key, and the name that it had. */
static void a_worker_set_up_anew_keeps_its_name (void **state)
{
    farm_t *farm = *state;
    worker_t old, new;
    worker_join (farm, &old, "board", "linux/amd64", 1);
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    task_t lost = worker_task (farm, &old);
    new = old;
    new.principal = 0;
    worker_gone (farm, &old);
    farm_pass (farm, 60000);
    worker_t stranger;
    worker_join (farm, &stranger, "stranger", "linux/arm64", 1);
    err_t err = { 0 };
    assert_int_equal (engine_add_principal (farm->engine, "00000000000000000000000000000000000000000000000000000000000000bb", "worker",
                                            "board", 1, &new.principal, &err), 0);
    worker_restart (farm, &new);
    assert_non_null (farm_sent (farm, new.peer, "welcome"));
    task_t task = worker_task (farm, &new);
    assert_int_equal (task.job, lost.job);
    assert_int_equal (task.attempt, lost.attempt + 1);
    assert_false (worker_push (farm, &old, lost));
    assert_true (worker_push (farm, &new, task));
    SAYS (farm, build, "jobs/0/state", "verifying");
    worker_beat (farm, &old, NULL, 0);
    assert_non_null (farm_sent (farm, old.peer, "who"));
}

/* -- looking ---------------------------------------------------------------------------------------------------- */

static void who_watches_hears_of_each_change_until_the_end (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    task_t task = worker_task (farm, &amd);
    worker_report (farm, &amd, task, "fetching", NULL);
    assert_null (farm_action (farm, ACTION_CHANGED, 0));
    farm_say (farm, "watch", 1, farm->viewer, json_pack ("{s:I}", "build", (json_int_t) build));
    assert_non_null (farm_sent (farm, 1, "build"));
    worker_report (farm, &amd, task, "building", NULL);
    const json_t *changed = farm_action (farm, ACTION_CHANGED, 0);
    assert_int_equal (json_integer_value (json_object_get (changed, "id")), build);
    assert_null (farm_action (farm, ACTION_CHANGED, 1));
    worker_report (farm, &amd, task, "building", NULL);         /* said twice: nothing changes */
    assert_null (farm_action (farm, ACTION_CHANGED, 0));
    worker_fail (farm, &amd, task, "build");
    changed = farm_action (farm, ACTION_CHANGED, 0);
    assert_string_equal (json_string_value (json_object_get (changed, "state")), "failed");
    farm_say (farm, "watch", 1, farm->viewer, json_pack ("{s:I}", "build", (json_int_t) build + 1));
    assert_string_equal (farm_error (farm, 1), "not-found");
}

static void lists_come_newest_first_in_pages (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    int64_t builds [7];
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    for (int i = 0; i < 7; i++)
        builds [i] = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/a");
    farm_say (farm, "list", 1, farm->viewer, json_pack ("{s:i}", "limit", 3));
    const json_t *page = json_object_get (farm_sent (farm, 1, "builds"), "builds");
    assert_int_equal (json_array_size (page), 3);
    assert_int_equal (json_integer_value (json_object_get (json_array_get (page, 0), "id")), builds [6]);
    assert_int_equal (json_integer_value (json_object_get (json_array_get (page, 2), "id")), builds [4]);
    farm_say (farm, "list", 1, farm->viewer, json_pack ("{s:I}", "before", (json_int_t) builds [4]));
    page = json_object_get (farm_sent (farm, 1, "builds"), "builds");
    assert_int_equal (json_array_size (page), 4);
    assert_int_equal (json_integer_value (json_object_get (json_array_get (page, 3), "id")), builds [0]);
}

/* 32 platforms, 64 long tags, long reasons and many attempts still make a header that fits. */
static void the_largest_build_is_shown_within_64_kib (void **state)
{
    farm_t *farm = *state;
    worker_t all;
    AUTO_BUFFER buffer_t platforms = { 0 }, tags = { 0 };
    for (int i = 0; i < 32; i++)
        buffer_printf (&platforms, "%slinux/a%d/%031d", i ? "," : "", i, i);
    for (int i = 0; i < 64; i++)
        buffer_printf (&tags, "%sr.lan/%0200d:%0120d", i ? "," : "", i, i);
    worker_join (farm, &all, "all", (const char *) platforms.data, 1);
    int64_t build = farm_submit (farm, farm->ann, (const char *) platforms.data, (const char *) tags.data);
    if (!build)
        fail_msg ("%s", farm_error_text (farm, peer_of (farm->ann)));
    char text [8001];
    memset (text, '"', sizeof text - 1);            /* two bytes each in JSON */
    text [sizeof text - 1] = 0;
    task_t task = worker_task (farm, &all);
    assert_true (worker_report (farm, &all, task, "failed", json_pack ("{s:s, s:s, s:s}", "code", "build", "text", text, "step",
                                                                      "STEP 1")));
    farm_say (farm, "inspect", 1, farm->viewer, json_pack ("{s:I}", "build", (json_int_t) build));
    AUTO_FREE char *dump = json_dumps (farm_sent (farm, 1, "build"), JSON_COMPACT);
    assert_non_null (dump);
    if (strlen (dump) > 64 * 1024)
        fail_msg ("%zu bytes", strlen (dump));
    farm_say (farm, "list", 1, farm->viewer, json_object ());
    AUTO_FREE char *list = json_dumps (farm_sent (farm, 1, "builds"), JSON_COMPACT);
    assert_true (strlen (list) <= 64 * 1024);
}

/* Every move is there once, in order, over as many pages as it takes. */
static void each_change_of_state_is_told (void **state)
{
    farm_t *farm = *state;
    worker_t amd;
    worker_join (farm, &amd, "amd", "linux/amd64", 1);
    int64_t build = farm_submit (farm, farm->ann, "linux/amd64", "r.lan/app");
    task_t task = worker_task (farm, &amd);
    assert_true (worker_push (farm, &amd, task));
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    static const char *const states [] = { "queued", "assigned", "running", "fetching", "building", "pushing", "verifying", "done", "publishing", "published" };
    farm_say (farm, "events", 1, farm->viewer, json_pack ("{s:I}", "build", (json_int_t) build));
    const json_t *events = json_object_get (farm_sent (farm, 1, "event-list"), "events");
    assert_int_equal (json_array_size (events), sizeof states / sizeof *states);
    assert_string_equal (json_string_value (json_object_get (json_array_get (events, 0), "from")), "");
    assert_string_equal (json_string_value (json_object_get (json_array_get (events, 0), "cause")), "submitted by ann");
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        const json_t *event = json_array_get (events, i);
        bool is_of_job = json_is_string (json_object_get (event, "platform"));
        assert_string_equal (json_string_value (json_object_get (event, "to")), states [i]);
        assert_true (json_integer_value (json_object_get (event, "at_ms")) > 0);
        assert_true (*json_string_value (json_object_get (event, "cause")));
        assert_int_equal (json_integer_value (json_object_get (event, "attempt")), is_of_job && i > 0);
    }
    int64_t third = json_integer_value (json_object_get (json_array_get (events, 2), "id"));
    farm_say (farm, "events", 1, farm->viewer, json_pack ("{s:I, s:I}", "build", (json_int_t) build, "after", (json_int_t) third));
    assert_int_equal (json_array_size (json_object_get (farm_sent (farm, 1, "event-list"), "events")), sizeof states / sizeof *states - 3);
    farm_say (farm, "events", 1, farm->viewer, json_pack ("{s:i}", "build", 99));
    assert_string_equal (farm_error (farm, 1), "not-found");
}

/* Ten attempts of each of 32 jobs. */
static void a_build_of_many_attempts_is_shown_within_64_kib (void **state)
{
    farm_t *farm = *state;
    worker_t all;
    AUTO_BUFFER buffer_t platforms = { 0 };
    for (int i = 0; i < 32; i++)
        buffer_printf (&platforms, "%slinux/a%d/%031d", i ? "," : "", i, i);
    worker_join (farm, &all, "a-name-of-sixty-three-characters-that-a-worker-may-well-have-01", (const char *) platforms.data, 32);
    int64_t build = farm_submit (farm, farm->ann, (const char *) platforms.data, "r.lan/app");
    for (int attempt = 1; attempt <= 11; attempt++) {
        worker_beat (farm, &all, NULL, 0);
        for (int job = 0; job < 32; job++) {
            char path [32];
            snprintf (path, sizeof path, "jobs/%d/id", job);
            task_t task = { atoll (farm_shows (farm, build, path)), attempt };
            if (attempt <= 10)
                worker_fail (farm, &all, task, "interrupted");
        }
    }
    farm_say (farm, "inspect", 1, farm->viewer, json_pack ("{s:I}", "build", (json_int_t) build));
    const json_t *view = json_object_get (farm_sent (farm, 1, "build"), "build");
    AUTO_FREE char *dump = json_dumps (view, JSON_COMPACT);
    assert_int_equal (json_integer_value (json_object_get (json_array_get (json_object_get (view, "jobs"), 31), "attempt")), 11);
    if (strlen (dump) > 64 * 1024 - 64)
        fail_msg ("%zu bytes", strlen (dump));
    assert_int_equal (json_array_size (json_object_get (view, "jobs")), 32);
}

/* Each answer has to fit a header, whatever was said before: one that does not is not sent, and its asker waits for ever. */
static void a_build_of_many_loud_attempts_is_shown_within_64_kib (void **state)
{
    farm_t *farm = *state;
    worker_t all;
    AUTO_BUFFER buffer_t platforms = { 0 }, tags = { 0 };
    char loud [8001];
    memset (loud, 1, sizeof loud - 1);              /* six bytes each in JSON */
    loud [sizeof loud - 1] = 0;
    for (int i = 0; i < 32; i++)
        buffer_printf (&platforms, "%slinux/a%d/%031d", i ? "," : "", i, i);
    for (int i = 0; i < 64; i++)
        buffer_printf (&tags, "%sr.lan/%0249d:%0120d", i ? "," : "", i, i);
    worker_join (farm, &all, "all", (const char *) platforms.data, 32);
    int64_t build = farm_submit (farm, farm->ann, (const char *) platforms.data, (const char *) tags.data);
    assert_int_not_equal (build, 0);
    for (int attempt = 1; attempt <= 3; attempt++) {
        for (int64_t job = 1; job <= 32; job++)
            worker_report (farm, &all, (task_t) { job, attempt }, "failed", json_pack ("{s:s, s:s, s:s%}", "code", "network", "text",
                                                                                       loud, "step", loud, (size_t) 512));
        farm_pass (farm, 60000);                    /* and is lost for a while */
        worker_beat (farm, &all, NULL, 0);
    }
    static const char *const questions [] [2] = { { "inspect", "build" }, { "list", "builds" }, { "workers", "worker-list" } };
    for (size_t i = 0; i < 3; i++) {
        farm_say (farm, questions [i] [0], 1, farm->viewer, i ? json_object () : json_pack ("{s:I}", "build", (json_int_t) build));
        AUTO_FREE char *dump = json_dumps (farm_sent (farm, 1, questions [i] [1]), JSON_COMPACT);
        if (strlen (dump) > 64 * 1024)
            fail_msg ("%s: %zu bytes", questions [i] [0], strlen (dump));
    }
    assert_null (strchr (farm_shows (farm, build, "jobs/0/reason"), 1));
}

/* -- the end in good order -------------------------------------------------------------------------------------- */

static void a_queue_that_winds_down_begins_nothing_and_loses_nothing (void **state)
{
    farm_t *farm = *state;
    worker_t worker;
    worker_join (farm, &worker, "pi4", "linux/arm64", 1);
    int64_t first = farm_submit (farm, farm->ann, "linux/arm64", "r.lan/app:1");
    task_t task = worker_task (farm, &worker);
    int64_t second = farm_submit (farm, farm->ann, "linux/arm64", "r.lan/app:2");
    engine_wind_down (farm->engine);
    assert_true (worker_push (farm, &worker, task));
    assert_null (farm_action (farm, ACTION_VERIFY, 0));
    assert_int_equal (worker_task (farm, &worker).job, 0);
    farm_pass (farm, 10000);
    assert_null (farm_action (farm, ACTION_VERIFY, 0));
    assert_true (engine_next_tick (farm->engine) > farm->now);      /* nor does it ask for ticks meanwhile */
    farm_reopen (farm);
    farm_pass (farm, 0);
    farm_verify (farm, NULL);
    farm_publish (farm, NULL);
    assert_string_equal (farm_shows (farm, first, "state"), "published");
    worker_hello (farm, &worker, NULL, 0);
    task = worker_task (farm, &worker);
    assert_true (worker_push (farm, &worker, task));
    const json_t *verify = farm_action (farm, ACTION_VERIFY, 0);
    engine_wind_down (farm->engine);
    farm_verified (farm, verify, NULL);                             /* what was handed out may end */
    assert_null (farm_action (farm, ACTION_PUBLISH, 0));
    assert_string_equal (farm_shows (farm, second, "state"), "publishing");
    farm_reopen (farm);
    farm_pass (farm, 0);
    farm_publish (farm, NULL);
    assert_string_equal (farm_shows (farm, second, "state"), "published");
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, farm_setup, farm_teardown)

int main (void)
{
    if (sodium_init () < 0)
        return 99;
    const struct CMUnitTest tests [] = {
        TEST (a_build_goes_all_the_way),
        TEST (the_index_names_the_platforms_in_the_order_asked),
        TEST (the_same_request_is_the_same_build),
        TEST (a_repeated_request_is_not_looked_at_anew),
        TEST (what_cannot_be_built_is_refused_with_the_reason),
        TEST (the_queue_has_an_end),
        TEST (a_build_waits_for_a_worker_that_is_away_and_says_so),
        TEST (platforms_are_checked_before_anything_is_sent),
        TEST (jobs_start_in_order_and_slots_are_never_over_full),
        TEST (the_least_busy_worker_gets_the_job),
        TEST (nothing_is_emulated_unasked_and_natives_come_first),
        TEST (a_user_s_fault_fails_the_build_and_stops_its_siblings),
        TEST (a_sibling_that_is_still_built_is_told_to_stop),
        TEST (an_image_that_is_not_what_was_asked_for_fails_the_build),
        TEST (a_build_can_be_cancelled_until_it_is_published),
        TEST (a_tag_never_goes_back_to_an_older_build),
        TEST (builds_that_move_one_tag_go_one_after_the_other),
        TEST (a_newer_build_does_not_wait_for_an_older_one_in_trouble),
        TEST (an_older_build_waits_for_a_newer_one_in_trouble),
        TEST (a_tag_stays_with_the_failed_build_that_moved_it),
        TEST (each_try_counts_that_moved_a_tag),
        TEST (each_role_may_do_its_own),
        TEST (a_build_is_cancelled_by_its_user_or_an_admin),
        TEST (a_key_that_is_not_known_may_do_nothing),
        TEST (nobody_joins_under_somebody_s_name),
        TEST (an_invitation_enrols_keys_and_nothing_else),
        TEST (a_tag_has_a_limit_as_it_is_sent),
        TEST (a_name_belongs_to_one_worker),
        TEST (workers_come_in_pages_by_name),
        TEST (a_worker_set_up_anew_keeps_its_name),
        TEST (who_watches_hears_of_each_change_until_the_end),
        TEST (lists_come_newest_first_in_pages),
        TEST (the_largest_build_is_shown_within_64_kib),
        TEST (a_worker_s_platforms_are_normalised_too),
        TEST (each_change_of_state_is_told),
        TEST (a_queue_that_winds_down_begins_nothing_and_loses_nothing),
        TEST (a_build_of_many_attempts_is_shown_within_64_kib),
        TEST (a_build_of_many_loud_attempts_is_shown_within_64_kib),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
