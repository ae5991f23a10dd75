/* test_link.c - a worker's link against a coordinator played by the test, with real slots, logs and objects. The builder is a
 * script in buildah's place: a "Dockerfile" is what it runs to build, so a build can be slow or fail as a test needs it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/actor.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/monitor.h"
#include "coordinator/depot_service.h"
#include "coordinator/zap.h"
#include "farmctl/upload.h"
#include "threads.h"
#include "trees.h"
#include "worker/link.h"

enum { PATIENCE_MS = 10000, BEAT_MS = 100, JOB = 7, LOG_MAX = 1000000 };

static const char script [] =
    "#!/bin/sh\n"
    "for word; do\n"
    "    case $word in\n"
    "    --version) echo 'buildah version 9.9.9'; exit ;;\n"
    "    from) echo container-1; exit ;;\n"
    "    rm) while [ -e \"${XDG_DATA_HOME%/*/*}/data.hold\" ]; do sleep 0.02; done; exit ;;\n"
    "    rmi) echo \"$*\" >> \"${XDG_DATA_HOME%/*/*}/data.calls\"; [ ! -e \"${XDG_DATA_HOME%/*/*}/data.prunes-long\" ] || exec sleep 60; case $* in *--all*) rm \"${XDG_DATA_HOME%/*}\"/storage-*/*-layers/layers.json ;; esac; exit ;;\n"
    "    run) exit ;;\n"
    "    --file=*) echo build >> \"${XDG_DATA_HOME%/*/*}/data.calls\"; exec sh \"${word#--file=}\" \"$@\" ;;\n"
    "    --iidfile=*) echo 0123456789abcdef > \"${word#--iidfile=}\" ;;\n"
    "    push) echo push >> \"${XDG_DATA_HOME%/*/*}/data.calls\"; echo 'Error: the registry stumbled'; exit 1 ;;\n"
    "    esac\n"
    "done\n";

static spawner_t *spawner;          /* started before anything else */

typedef struct {
    char *top, *state, *attempts;
    zsock_t *zap, *service_actor;
    depot_service_t *service;
    keypair_t server, user, worker;
    client_t *client;
    allowance_t *allowance;
    builder_t *builder;
    door_t *door;
    cache_t *cache;
    shelf_t *shelf;
    health_settings_t health;       /* root NULL: not told */
    json_t *description;
    zsock_t *control;
    char endpoint [256];
    zframe_t *peer;                 /* the worker's connection, as of its last message */
    int signals [2];                /* a pipe in signalfd's place */
    int64_t stop_ms;
    int lease_ms;                   /* what the coordinator says */
    link_t *link;
    pthread_t thread;
    bool is_running;
    int run_rc;
    scan_t *scan;
} farm_t;

/* -- the farm --------------------------------------------------------------------------------------------------- */

static void let_in (farm_t *self, const keypair_t *key, const char *id, const char *role)
{
    char hex [KEY_HEX_SIZE + 1];
    key_to_hex (key->public_key, hex);
    zap_allow (self->zap, hex);
    zstr_sendx (self->service_actor, "PRINCIPAL", hex, id, role, NULL);
}

static void start_service (farm_t *self)
{
    err_t err = { 0 };
    depot_service_settings_t settings = {
        .state_folder = self->state, .endpoint = "tcp://127.0.0.1:*", .server = &self->server, .log_limit_bytes = LOG_MAX
    };
    if (depot_service_new (&self->service, &settings, &err) < 0)
        fail_msg ("%s", err.text);
    self->service_actor = actor_new (depot_service_actor, self->service, NULL);
    zstr_send (self->service_actor, "OPEN");
    let_in (self, &self->user, "1", "submitter");
    self->client = client_new_to ("tcp://127.0.0.1:1", depot_service_endpoint (self->service), self->server.public_key,
                                  &self->user);
}

static void make_builder (farm_t *self, int64_t free_floor_bytes)
{
    err_t err = { 0 };
    AUTO_FREE char *program = file_join (self->top, "buildah");
    AUTO_FREE char *folder = file_join (self->top, "builder");
    builder_settings_t settings = { .state_folder = folder, .isolation = "chroot", .program = program, .free_floor_bytes = free_floor_bytes };
    if (builder_new (&self->builder, &settings, spawner, &err) < 0)
        fail_msg ("%s", err.text);
}

static void start_builder (farm_t *self)
{
    err_t err = { 0 };
    static const registry_settings_t registry = { .timeout_ms = 1000 };
    AUTO_FREE char *program = file_join (self->top, "buildah");
    AUTO_FREE char *cache = file_join (self->top, "cache");
    AUTO_FREE char *checkouts = file_join (self->top, "checkouts");
    shelf_settings_t kept = { .folder = checkouts, .keep = 4, .limit_bytes = 1000000 };
    assert_int_equal (file_write (program, script, strlen (script), 0755, &err), 0);
    make_builder (self, 0);
    if (door_new (&self->door, 0, &registry, NULL, &err) < 0
        || cache_new (&self->cache, cache, 1000000, 0, &err) < 0 || shelf_new (&self->shelf, &kept, &err) < 0)
        fail_msg ("%s", err.text);
}

static void scan (farm_t *self)
{
    err_t err = { 0 };
    AUTO_FREE char *context = file_join (self->top, "context");
    tree_folder (self->top, "context", 0755);
    tree_file (context, "file", 1000, 1, 0644);
    if (scan_context (&self->scan, context, NULL, &err) < 0)
        fail_msg ("%s", err.text);
}

static void bind_control (farm_t *self, const char *endpoint)
{
    err_t err = { 0 };
    self->control = msg_bind (endpoint, &self->server, 100, self->endpoint, &err);
    if (!self->control)
        fail_msg ("%s", err.text);
    zsock_set_rcvtimeo (self->control, PATIENCE_MS);
}

static int set_up (void **state)
{
    farm_t *self = mem_alloc (sizeof *self);
    self->top = tree_new ();
    self->state = file_join (self->top, "state");
    self->attempts = file_join (self->top, "attempts");
    tree_folder (self->top, "state", 0700);
    keypair_make (&self->server);
    keypair_make (&self->user);
    keypair_make (&self->worker);
    self->zap = actor_new (zap_actor, NULL, NULL);
    assert_int_equal (pipe2 (self->signals, O_CLOEXEC | O_NONBLOCK), 0);
    self->stop_ms = 2 * PATIENCE_MS;
    self->lease_ms = 60000;
    start_service (self);
    start_builder (self);
    scan (self);
    bind_control (self, "tcp://127.0.0.1:*");
    *state = self;
    return 0;
}

static void signal_worker (farm_t *self, int number)
{
    struct signalfd_siginfo info = { .ssi_signo = (uint32_t) number };
    assert_int_equal (write (self->signals [1], &info, sizeof info), sizeof info);
}

static void await_end (farm_t *self)
{
    pthread_join (self->thread, NULL);
    self->is_running = false;
    assert_int_equal (self->run_rc, 0);
}

/* Without a coordinator nothing is left to be noted. */
static void stop_link (farm_t *self)
{
    zsock_destroy (&self->control);
    if (self->is_running) {
        signal_worker (self, SIGINT);
        await_end (self);
    }
}

static int tear_down (void **state)
{
    farm_t *self = *state;
    stop_link (self);
    link_destroy (&self->link);
    json_decref (self->description);
    client_destroy (&self->client);
    scan_destroy (&self->scan);
    zframe_destroy (&self->peer);
    actor_destroy (&self->service_actor);
    depot_service_destroy (&self->service);
    actor_destroy (&self->zap);
    cache_destroy (&self->cache);
    shelf_destroy (&self->shelf);
    door_destroy (&self->door);
    builder_destroy (&self->builder);
    allowance_destroy (&self->allowance);
    close (self->signals [0]);
    close (self->signals [1]);
    tree_remove (self->top);
    free (self->top);
    free (self->state);
    free (self->attempts);
    free (self);
    return 0;
}

/* -- the worker ------------------------------------------------------------------------------------------------- */

static void *run (void *argument)
{
    farm_t *self = argument;
    err_t err;
    self->run_rc = link_run (self->link, self->signals [0], &err);
    return NULL;
}

static void start_worker (farm_t *self)
{
    err_t err = { 0 };
    allowance_settings_t allowance = { .pids = 1000, .host_memory_bytes = (int64_t) 1 << 30, .host_cpus = 2, .state_folder = self->top,
                                       .cgroup_mount = "/no/cgroups" };
    allowance_destroy (&self->allowance);
    self->allowance = allowance_new (&allowance);
    self->description = json_pack ("{s:s, s:[{s:s, s:b}], s:i, s:i, s:i, s:s, s:s}", "name", "w1", "platforms", "platform",
                                   "linux/amd64", "emulated", 0, "slots", 1, "cpus", 2, "memory_bytes", 1000000, "builder",
                                   "buildah 9.9.9", "isolation", "chroot");
    link_settings_t settings = {
        .control = self->endpoint, .worker = self->description, .slots = 1, .health = self->health, .stop_ms = self->stop_ms,
        .parts = {
            .worker_name = "w1", .folder = self->attempts, .objects = depot_service_endpoint (self->service),
            .own = &self->worker, .server_key = self->server.public_key, .cache = self->cache, .shelf = self->shelf,
            .builder = self->builder, .door = self->door, .allowance = self->allowance, .push_wait_ms = 10,
        },
    };
    if (link_new (&self->link, &settings, &err) < 0)
        fail_msg ("%s", err.text);
    assert_int_equal (pthread_create (&self->thread, NULL, run, self), 0);
    self->is_running = true;
}

/* -- the coordinator -------------------------------------------------------------------------------------------- */

static void tell (farm_t *self, const char *verb, json_t *header)
{
    err_t err = { 0 };
    msg_t *message = msg_new (verb, header, NULL, 0);
    if (msg_send (&message, self->control, self->peer, &err) < 0)
        fail_msg ("%s", err.text);
}

/* The next message within some time; NULL when there is none. */
static msg_t *next_message (farm_t *self, int timeout_ms)
{
    err_t err = { 0 };
    zframe_t *peer = NULL;
    zsock_set_rcvtimeo (self->control, timeout_ms);
    msg_t *message = msg_recv (self->control, &peer, NULL, NULL, &err);
    if (!message && err.code == ERR_PROTOCOL)
        fail_msg ("the worker sent what is no message: %s", err.text);
    if (peer) {
        zframe_destroy (&self->peer);
        self->peer = peer;
    }
    return message;
}

/* The next message of this verb; heartbeats before it are passed over, others fail the test. */
static msg_t *expect (farm_t *self, const char *verb)
{
    int64_t until = clock_boot_ms () + PATIENCE_MS;
    for (;;) {
        int64_t left = until - clock_boot_ms ();
        msg_t *message = left > 0 ? next_message (self, (int) left) : NULL;
        if (!message)
            fail_msg ("no %s came", verb);
        if (msg_is (message, verb))
            return message;
        if (!msg_is (message, "heartbeat"))
            fail_msg ("%s came, %s was expected", msg_verb (message), verb);
        msg_destroy (&message);
    }
}

static void welcome (farm_t *self, const msg_t *hello)
{
    tell (self, "welcome", json_pack ("{s:I, s:s, s:s, s:s, s:i, s:i, s:i}", "re", (json_int_t) msg_int (hello, "seq"), "version",
                                      "1", "principal", "w1", "role", "worker", "heartbeat_ms", BEAT_MS, "lease_ms", self->lease_ms,
                                      "now_ms", 1));
}

static void note (farm_t *self, const msg_t *report, bool is_stale)
{
    json_t *header = json_pack ("{s:I}", "re", (json_int_t) msg_int (report, "seq"));
    if (is_stale)
        json_object_set_new (header, "stale", json_true ());
    tell (self, "noted", header);
}

static void greet (farm_t *self)
{
    let_in (self, &self->worker, "2", "worker");
    start_worker (self);
    AUTO (msg) msg_t *hello = expect (self, "hello");
    welcome (self, hello);
}

static void open_log (farm_t *self, int64_t job)
{
    char number [24];
    snprintf (number, sizeof number, "%lld", (long long) job);
    zstr_sendx (self->service_actor, "OPEN-LOG", number, "1", "2", NULL);
}

/* The worker may fetch it: another attempt of its own is built from it. */
static void let_fetch (farm_t *self, const char *context, const char *dockerfile)
{
    zstr_sendx (self->service_actor, "OPEN-LOG", "900", "1", "2", context, dockerfile, NULL);
}

static void assign_without_log (farm_t *self, int64_t job, const char *dockerfile)
{
    err_t err = { 0 };
    upload_stats_t stats = { 0 };
    digest_t digest;
    char context [DIGEST_HEX_SIZE + 1], hex [DIGEST_HEX_SIZE + 1];
    if (upload_build (self->client, self->scan, dockerfile, strlen (dockerfile), &digest, &stats, &err) < 0)
        fail_msg ("%s", err.text);
    digest_to_hex (scan_root (self->scan), context);
    digest_to_hex (&digest, hex);
    let_fetch (self, context, hex);
    json_t *spec = json_pack ("{s:s, s:{s:s, s:i, s:s}, s:[s], s:[s]}", "context", context, "dockerfile", "digest", hex, "size",
                              (int) strlen (dockerfile), "name", "Dockerfile", "platforms", "linux/amd64", "tags",
                              "127.0.0.1:1/team/app:1");
    tell (self, "assign", json_pack ("{s:I, s:i, s:i, s:s, s:b, s:s, s:o, s:i}", "job", (json_int_t) job, "attempt", 1, "build",
                                     1, "platform", "linux/amd64", "emulated", 0, "repository", "127.0.0.1:1/team/app",
                                     "spec", spec, "timeout_ms", 60000));
}

static void assign (farm_t *self, int64_t job, const char *dockerfile)
{
    open_log (self, job);
    assign_without_log (self, job, dockerfile);
}

/* The report of a state; earlier states, and repeats of them, are noted and passed over. */
static msg_t *expect_report (farm_t *self, int64_t job, const char *state)
{
    for (;;) {
        msg_t *report = expect (self, "report");
        if (msg_int (report, "job") == job && streq (msg_text (report, "state"), state))
            return report;
        assert_string_not_equal (msg_text (report, "state"), "failed");
        note (self, report, false);
        msg_destroy (&report);
    }
}

/* How many attempts the next heartbeat names; it must be the worker's next message. */
static size_t beating (farm_t *self)
{
    AUTO (msg) msg_t *beat = next_message (self, PATIENCE_MS);
    assert_non_null (beat);
    assert_string_equal (msg_verb (beat), "heartbeat");
    return json_array_size (json_object_get (msg_header (beat), "attempts"));
}

/* The attempts have gone: heartbeats that were on their way may name them still. */
static void expect_none_beating (farm_t *self)
{
    int64_t until = clock_boot_ms () + PATIENCE_MS;
    while (beating (self) > 0)
        assert_true (clock_boot_ms () < until);
}

/* Nothing but heartbeats for a while. */
static void expect_silence (farm_t *self, int ms)
{
    int64_t until = clock_boot_ms () + ms;
    for (int64_t left; (left = until - clock_boot_ms ()) > 0; ) {
        AUTO (msg) msg_t *message = next_message (self, (int) left);
        if (message && !msg_is (message, "heartbeat"))
            fail_msg ("a %s came", msg_verb (message));
    }
}

static bool is_empty (const char *folder)
{
    return rmdir (folder) == 0 || !file_exists (folder);
}

static void expect_cleaned (farm_t *self)
{
    for (int i = 0; i < PATIENCE_MS / 20 && !is_empty (self->attempts); i++)
        zclock_sleep (20);
    assert_false (file_exists (self->attempts));
}

static char *read_text (const char *folder, const char *name)
{
    AUTO_BUFFER buffer_t text = { 0 };
    AUTO_FREE char *path = file_join (folder, name);
    return file_read (path, LOG_MAX, &text, NULL) < 0 ? mem_strdup ("") : mem_strndup ((const char *) text.data, text.size);
}

/* A job whose build ends when there is the file `go`. */
static void assign_one_that_waits (farm_t *self)
{
    AUTO_FREE char *dockerfile = mem_printf ("while [ ! -e '%s/go' ]; do sleep 0.02; done; exit 3", self->top);
    greet (self);
    assign (self, JOB, dockerfile);
    AUTO (msg) msg_t *report = expect_report (self, JOB, "building");
    note (self, report, false);
}

/* -- hello and heartbeat ---------------------------------------------------------------------------------------- */

static void hello_comes_first_and_again_when_asked_for (void **state)
{
    farm_t *self = *state;
    let_in (self, &self->worker, "2", "worker");
    start_worker (self);
    AUTO (msg) msg_t *hello = next_message (self, PATIENCE_MS);
    assert_non_null (hello);
    assert_string_equal (msg_verb (hello), "hello");
    assert_string_equal (msg_text (hello, "program"), "farm-worker");
    assert_string_equal (json_string_value (json_object_get (json_object_get (msg_header (hello), "worker"), "name")), "w1");
    assert_int_equal (json_array_size (json_object_get (msg_header (hello), "attempts")), 0);
    welcome (self, hello);
    assert_int_equal (beating (self), 0);
    tell (self, "alive", NULL);
    assert_int_equal (beating (self), 0);
    tell (self, "who", NULL);
    AUTO (msg) msg_t *again = expect (self, "hello");
    assert_string_equal (msg_text (again, "instance"), msg_text (hello, "instance"));
    assert_int_not_equal (msg_int (again, "seq"), msg_int (hello, "seq"));
}

static void a_refused_key_is_tried_until_it_is_known (void **state)
{
    farm_t *self = *state;
    start_worker (self);
    assert_null (next_message (self, 1500));
    let_in (self, &self->worker, "2", "worker");
    AUTO (msg) msg_t *hello = expect (self, "hello");
    welcome (self, hello);
    assert_int_equal (beating (self), 0);
}

static void a_coordinator_that_comes_back_hears_all (void **state)
{
    farm_t *self = *state;
    greet (self);
    assign (self, JOB, "exec sleep 60");
    AUTO (msg) msg_t *before = expect_report (self, JOB, "building");       /* and not noted */
    (void) before;
    zsock_destroy (&self->control);
    zclock_sleep (500);
    bind_control (self, self->endpoint);
    AUTO (msg) msg_t *hello = expect (self, "hello");
    assert_int_equal (json_array_size (json_object_get (msg_header (hello), "attempts")), 1);
    welcome (self, hello);
    AUTO (msg) msg_t *after = expect_report (self, JOB, "building");
    note (self, after, false);
    expect_silence (self, 500);
    assert_int_equal (beating (self), 1);
}

/* As behind a cable that was cut; and the end of the old connection is no goodbye, so it comes when there is another. */
static void a_coordinator_that_is_silent_is_dialled_anew_before_the_lease_ends (void **state)
{
    farm_t *self = *state;
    int fd;
    self->lease_ms = 2000;
    AUTO (monitor) monitor_t *ends = monitor_new (self->control, ZMQ_EVENT_DISCONNECTED, NULL);
    assign_one_that_waits (self);
    int64_t start = clock_boot_ms ();
    AUTO (msg) msg_t *hello = expect (self, "hello");
    assert_in_range (clock_boot_ms () - start, 300, 1500);
    assert_int_equal (json_array_size (json_object_get (msg_header (hello), "attempts")), 1);
    assert_int_equal (monitor_next (ends, &fd), 0);
    welcome (self, hello);
    for (int i = 0; i < PATIENCE_MS / 20 && !(zsock_events (monitor_socket (ends)) & ZMQ_POLLIN); i++)
        zclock_sleep (20);
    assert_int_equal (monitor_next (ends, &fd), ZMQ_EVENT_DISCONNECTED);
}

/* -- reports ---------------------------------------------------------------------------------------------------- */

static void a_report_is_repeated_until_it_is_noted (void **state)
{
    farm_t *self = *state;
    greet (self);
    assign (self, JOB, "exec sleep 60");
    AUTO (msg) msg_t *first = expect_report (self, JOB, "building");
    (void) first;
    int64_t start = clock_boot_ms ();
    AUTO (msg) msg_t *second = expect (self, "report");
    int64_t repeated = clock_boot_ms ();
    AUTO (msg) msg_t *third = expect (self, "report");
    assert_in_range (repeated - start, 800, 1800);
    assert_in_range (clock_boot_ms () - repeated, 1700, 3000);
    assert_string_equal (msg_text (second, "state"), "building");
    assert_string_equal (msg_text (third, "state"), "building");
    assert_true (msg_int (third, "seq") > msg_int (second, "seq"));
    note (self, second, false);                     /* of one that was repeated since: counts no more */
    note (self, third, false);
    expect_silence (self, 4500);
    assert_int_equal (beating (self), 1);
}

static void a_fault_of_the_user_is_told_with_its_step_and_all_of_the_log (void **state)
{
    farm_t *self = *state;
    greet (self);
    assign_without_log (self, JOB, "echo 'STEP 2/3: RUN false'; echo 'no such thing'; echo 'Error: building at STEP \"RUN false\": exit status 3'; exit 3");
    AUTO (msg) msg_t *building = expect_report (self, JOB, "building");
    note (self, building, false);
    expect_silence (self, 500);             /* the log is not taken yet: its end is not told before that */
    open_log (self, JOB);
    AUTO (msg) msg_t *failed = expect_report (self, JOB, "failed");
    AUTO_FREE char *log = read_text (self->state, "logs/7-1.log");
    assert_string_equal (msg_text (failed, "code"), "build");
    assert_string_equal (msg_text (failed, "step"), "STEP 2/3: RUN false");
    assert_int_equal (msg_int (failed, "exit_status"), 3);
    assert_non_null (strstr (msg_text (failed, "text"), "no such thing"));
    assert_true (msg_int (failed, "fetched_bytes") > 0);
    assert_non_null (strstr (log, " w w1 builds linux/amd64 with buildah 9.9.9, isolation chroot"));
    assert_non_null (strstr (log, " o STEP 2/3: RUN false\n"));
    assert_non_null (strstr (log, " w failed (build): "));
    assert_int_equal (log [strlen (log) - 1], '\n');
    note (self, failed, false);
    expect_cleaned (self);
    expect_none_beating (self);
}

static void a_push_is_tried_again_without_a_build (void **state)
{
    farm_t *self = *state;
    greet (self);
    assign (self, JOB, "exit 0");
    AUTO (msg) msg_t *failed = expect_report (self, JOB, "failed");
    AUTO_FREE char *folder = file_join (self->top, "builder");
    AUTO_FREE char *calls = read_text (folder, "data.calls");
    assert_string_equal (calls, "build\npush\npush\npush\npush\n");
    assert_string_equal (msg_text (failed, "code"), "farm");
    assert_non_null (strstr (msg_text (failed, "text"), "the registry stumbled"));
}

static void the_next_job_is_taken_before_the_last_one_is_noted (void **state)
{
    farm_t *self = *state;
    greet (self);
    assign (self, JOB, "exit 3");
    AUTO (msg) msg_t *first = expect_report (self, JOB, "failed");
    assign (self, JOB + 1, "exec sleep 60");
    AUTO (msg) msg_t *second = expect_report (self, JOB + 1, "building");
    note (self, second, false);
    note (self, first, false);
    expect_silence (self, 1500);
    assert_int_equal (beating (self), 1);
}

/* A container of the attempt is left, and removing it takes long. */
static const char leaves_a_container [] =
    "for word; do case $word in --secret=id=farm-attempt-7-1-*) mark=${word#--secret=} ;; esac; done\n"
    "for driver in overlay vfs; do\n"
    "    folder=${XDG_DATA_HOME%/*}/storage-$driver/$driver-containers/$(printf %064d 1)/userdata\n"
    "    mkdir -p $folder && echo \"$mark\" > $folder/buildah.json\n"
    "done\n"
    "touch \"${XDG_DATA_HOME%/*/*}/data.hold\"\n"
    "exit 3\n";

static void the_next_job_finds_the_checkout_of_the_last_one (void **state)
{
    farm_t *self = *state;
    AUTO_FREE char *hold = file_join (self->top, "builder/data.hold");
    AUTO_FREE char *tree = file_join (self->top, "checkouts/1/tree");
    greet (self);
    assign (self, JOB, leaves_a_container);
    AUTO (msg) msg_t *failed = expect_report (self, JOB, "failed");
    bool is_held = file_exists (hold), is_back = file_exists (tree);
    unlink (hold);
    assert_true (is_held);
    assert_true (is_back);
    note (self, failed, false);
    expect_cleaned (self);
}

/* -- what the coordinator does not want ------------------------------------------------------------------------- */

static void a_stale_attempt_stops_and_tells_its_end (void **state)
{
    farm_t *self = *state;
    greet (self);
    assign (self, JOB, "exec sleep 60");
    AUTO (msg) msg_t *report = expect_report (self, JOB, "building");
    assert_true (file_exists (self->attempts));
    note (self, report, true);
    AUTO (msg) msg_t *failed = expect_report (self, JOB, "failed");
    assert_string_equal (msg_text (failed, "code"), "cancelled");
    note (self, failed, true);
    expect_silence (self, 1500);
    expect_none_beating (self);
    expect_cleaned (self);
    assign (self, JOB + 1, "exec sleep 60");        /* its slot is free again */
    AUTO (msg) msg_t *next = expect_report (self, JOB + 1, "building");
    (void) next;
}

/* Whoever would kill the builder stands still. Returns its process. */
static pid_t await_stopped_keeper (farm_t *self)
{
    AUTO_FREE char *folder = file_join (self->top, "builder");
    for (int i = 0; i < PATIENCE_MS / 20; i++) {
        AUTO_FREE char *text = read_text (folder, "data.keeper");
        AUTO_FREE char *path = mem_printf ("/proc/%d/stat", atoi (text)), *stat = file_text (path);
        if (strstr (stat, ") T "))
            return atoi (text);
        zclock_sleep (20);
    }
    fail_msg ("the keeper does not stop");
    return -1;
}

/* Until it has stopped it is named, and takes its slot. */
static void a_stale_attempt_that_takes_long_to_stop_is_named (void **state)
{
    farm_t *self = *state;
    greet (self);
    assign (self, JOB, "echo $PPID > \"${XDG_DATA_HOME%/*/*}/data.keeper\"; kill -STOP $PPID; exec sleep 60");
    AUTO (msg) msg_t *report = expect_report (self, JOB, "building");
    pid_t keeper = await_stopped_keeper (self);
    note (self, report, true);
    expect_silence (self, 1000);
    assert_int_equal (beating (self), 1);
    kill (keeper, SIGCONT);
    AUTO (msg) msg_t *failed = expect_report (self, JOB, "failed");
    note (self, failed, true);
    expect_silence (self, 300);
    expect_none_beating (self);
}

static void an_aborted_attempt_says_that_it_was_cancelled (void **state)
{
    farm_t *self = *state;
    greet (self);
    assign (self, JOB, "exec sleep 60");
    AUTO (msg) msg_t *report = expect_report (self, JOB, "building");
    note (self, report, false);
    int64_t start = clock_boot_ms ();
    tell (self, "abort", json_pack ("{s:i, s:i, s:s}", "job", JOB, "attempt", 1, "reason", "a test"));
    AUTO (msg) msg_t *failed = expect_report (self, JOB, "failed");
    assert_string_equal (msg_text (failed, "code"), "cancelled");
    assert_true (clock_boot_ms () - start < 2000);
    note (self, failed, true);
    expect_cleaned (self);
    expect_none_beating (self);
    tell (self, "abort", json_pack ("{s:i, s:i, s:s}", "job", JOB, "attempt", 1, "reason", "unknown by now"));
    expect_silence (self, 300);
}

static void an_assignment_that_comes_twice_is_one (void **state)
{
    farm_t *self = *state;
    greet (self);
    assign (self, JOB, "exec sleep 60");
    assign (self, JOB, "exec sleep 60");
    AUTO (msg) msg_t *report = expect_report (self, JOB, "building");
    note (self, report, false);
    expect_silence (self, 1500);
    assert_int_equal (beating (self), 1);
}

static void an_assignment_beyond_the_slots_is_given_back (void **state)
{
    farm_t *self = *state;
    greet (self);
    assign (self, JOB, "exec sleep 60");
    AUTO (msg) msg_t *report = expect_report (self, JOB, "building");
    note (self, report, false);
    assign (self, JOB + 1, "exec sleep 60");
    AUTO (msg) msg_t *failed = expect_report (self, JOB + 1, "failed");
    assert_string_equal (msg_text (failed, "code"), "farm");
    note (self, failed, false);
    expect_silence (self, 1500);
    assert_int_equal (beating (self), 1);
}

/* The depot was damaged: a worker gives back what it has, and says so; and also what it has not. */
static void an_assignment_without_a_thread_for_it_is_given_back (void **state)
{
    farm_t *self = *state;
    greet (self);
    size_t before = threads_forbid ();
    assign (self, JOB, "exec sleep 60");
    AUTO (msg) msg_t *failed = expect_report (self, JOB, "failed");
    threads_allow (before);
    assert_string_equal (msg_text (failed, "code"), "farm");
    assert_non_null (strstr (msg_text (failed, "text"), "worker w1: start a thread: "));
    note (self, failed, false);
    assign (self, JOB + 1, "exec sleep 60");
    AUTO (msg) msg_t *report = expect_report (self, JOB + 1, "building");
    note (self, report, false);
}

static void what_the_coordinator_lost_is_answered_for (void **state)
{
    static const char none [] = "0000000000000000000000000000000000000000000000000000000000000000";
    farm_t *self = *state;
    char hex [DIGEST_HEX_SIZE + 1];
    greet (self);
    assign (self, JOB, "exec sleep 60");
    AUTO (msg) msg_t *report = expect_report (self, JOB, "building");
    note (self, report, false);
    digest_to_hex (scan_root (self->scan), hex);
    tell (self, "restore", json_pack ("{s:s}", "root", none));
    tell (self, "restore", json_pack ("{s:s}", "root", hex));
    AUTO (msg) msg_t *first = expect (self, "restored");
    assert_string_equal (msg_text (first, "root"), none);
    assert_false (msg_bool (first, "found"));
    AUTO (msg) msg_t *second = expect (self, "restored");
    assert_string_equal (msg_text (second, "root"), hex);
    assert_true (msg_bool (second, "found"));
    assert_int_equal (beating (self), 1);       /* the build goes on */
}

static void what_names_no_platform_is_given_back (void **state)
{
    farm_t *self = *state;
    greet (self);
    json_t *spec = json_pack ("{s:s, s:{s:s, s:i, s:s}, s:[s], s:[s]}", "context", "00", "dockerfile", "digest", "00", "size", 0,
                              "name", "x", "platforms", "linux/amd64", "tags", "x");
    json_object_set_new (spec, "context", json_string ("0000000000000000000000000000000000000000000000000000000000000000"));
    json_object_set_new (json_object_get (spec, "dockerfile"), "digest",
                         json_string ("0000000000000000000000000000000000000000000000000000000000000000"));
    open_log (self, JOB);
    tell (self, "assign", json_pack ("{s:i, s:i, s:i, s:s, s:b, s:s, s:o, s:i}", "job", JOB, "attempt", 1, "build", 1, "platform",
                                     "no such/thing/at/all", "emulated", 0, "repository", "x/y", "spec", spec, "timeout_ms", 1000));
    AUTO (msg) msg_t *failed = expect_report (self, JOB, "failed");
    assert_string_equal (msg_text (failed, "code"), "usage");
    note (self, failed, false);
    expect_cleaned (self);
}

/* -- a full disk ------------------------------------------------------------------------------------------------ */

static uint64_t count_cached (farm_t *self)
{
    depot_stats_t stats;
    depot_stats (cache_enter (self->cache), &stats);
    cache_leave (self->cache);
    return stats.objects;
}

/* No attempt has to end for it. */
static void an_idle_worker_makes_room_on_its_full_disk (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    AUTO_FREE char *folder = file_join (self->top, "cache");
    const char *const disks [] = { self->top, NULL };
    cache_destroy (&self->cache);
    if (cache_new (&self->cache, folder, 1000000, INT64_MAX, &err) < 0
    ||  tree_store (self->scan, cache_enter (self->cache), &err) < 0)
        fail_msg ("%s", err.text);
    cache_leave (self->cache);
    assert_true (count_cached (self) > 0);
    self->health = (health_settings_t) { .root = self->top, .folders = disks, .disk_floor_bytes = INT64_MAX };
    greet (self);
    AUTO (msg) msg_t *beat = expect (self, "heartbeat");
    assert_non_null (strstr (msg_text (beat, "unfit"), "disk/free-floor"));
    for (int i = 0; i < PATIENCE_MS / 20 && count_cached (self) > 0; i++)
        zclock_sleep (20);
    assert_int_equal (count_cached (self), 0);
    expect_none_beating (self);
    stop_link (self);                           /* before its disks go */
}

static size_t count_said (farm_t *self, const char *word)
{
    AUTO_FREE char *path = file_join (self->top, "builder/data.calls");
    AUTO_BUFFER buffer_t calls = { 0 };
    size_t count = 0;
    if (file_read (path, 65536, &calls, NULL) < 0)
        return 0;
    buffer_append (&calls, "", 1);
    for (const char *at = (const char *) calls.data; (at = strstr (at, word)); at++)
        count++;
    return count;
}

/* Its builder keeps layers on a disk that is full. Returns the file that lists them; the caller frees. */
static char *fill_store (farm_t *self, const char *const *disks)
{
    err_t err = { 0 };
    static const char layers [] = "[{\"diff-size\": 1000}]";
    AUTO_FREE char *folder = file_join (self->top, "builder/own/storage-overlay/overlay-layers");
    AUTO_FREE char *file = file_join (folder, "layers.json");
    builder_destroy (&self->builder);
    make_builder (self, INT64_MAX);
    if (file_make_folders (folder, 0700, &err) < 0 || file_write (file, layers, sizeof layers - 1, 0600, &err) < 0)
        fail_msg ("%s", err.text);
    self->health = (health_settings_t) { .root = self->top, .folders = disks, .disk_floor_bytes = INT64_MAX };
    return take (&file);
}

/* What was built goes first, then, as that is not enough, base images; and when nothing is left it is not tried again. */
static void an_idle_worker_prunes_its_builder_on_a_full_disk (void **state)
{
    farm_t *self = *state;
    const char *const disks [] = { self->top, NULL };
    AUTO_FREE char *file = fill_store (self, disks);
    greet (self);
    for (int i = 0; i < PATIENCE_MS / 20 && file_exists (file); i++)
        zclock_sleep (20);
    assert_false (file_exists (file));
    for (int i = 0; i < 4; i++) {
        AUTO (msg) msg_t *beat = expect (self, "heartbeat");
        assert_non_null (beat);
    }
    assert_int_equal (count_said (self, "rmi --prune"), 1);
    assert_int_equal (count_said (self, "rmi --all"), 1);
    stop_link (self);
}

/* The two parts of a pruning may take ten minutes each. */
static void a_worker_that_ends_waits_for_no_pruning (void **state)
{
    farm_t *self = *state;
    const char *const disks [] = { self->top, NULL };
    AUTO_FREE char *file = fill_store (self, disks), *mark = file_join (self->top, "builder/data.prunes-long");
    assert_int_equal (file_write_scratch (mark, "", 0, 0600, NULL), 0);
    greet (self);
    for (int i = 0; i < PATIENCE_MS / 20 && count_said (self, "rmi") == 0; i++)
        zclock_sleep (20);
    assert_int_equal (count_said (self, "rmi"), 1);
    int64_t start = clock_boot_ms ();
    signal_worker (self, SIGTERM);
    await_end (self);
    link_destroy (&self->link);
    assert_true (clock_boot_ms () - start < PATIENCE_MS);
    assert_true (file_exists (file));
    assert_int_equal (count_said (self, "rmi"), 1);
}

/* -- the end ---------------------------------------------------------------------------------------------------- */

static void expect_interrupted (farm_t *self)
{
    AUTO (msg) msg_t *failed = expect_report (self, JOB, "failed");
    assert_string_equal (msg_text (failed, "code"), "interrupted");
    note (self, failed, false);
}

static void a_worker_that_is_stopped_gives_its_jobs_back (void **state)
{
    farm_t *self = *state;
    greet (self);
    assign (self, JOB, "trap '' TERM; sleep 60; sleep 60");     /* only SIGKILL ends it */
    AUTO (msg) msg_t *report = expect_report (self, JOB, "building");
    note (self, report, false);
    int64_t start = clock_boot_ms ();
    signal_worker (self, SIGINT);
    expect_interrupted (self);
    await_end (self);
    assert_true (clock_boot_ms () - start < PATIENCE_MS);
    assert_false (file_exists (self->attempts) && !is_empty (self->attempts));
}

static void expect_stopping_beat (farm_t *self)
{
    AUTO (msg) msg_t *beat = NULL;
    for (int i = 0; i < 3 && !(beat && msg_bool (beat, "stopping")); i++) {     /* two may have been on their way */
        msg_destroy (&beat);
        beat = expect (self, "heartbeat");
    }
    assert_true (msg_bool (beat, "stopping"));
    assert_non_null (strstr (msg_text (beat, "unfit"), "it was told to end"));
}

static void let_go (farm_t *self)
{
    err_t err = { 0 };
    AUTO_FREE char *path = file_join (self->top, "go");
    assert_int_equal (file_write (path, "", 0, 0644, &err), 0);
}

static void a_worker_that_is_told_to_end_lets_its_job_end_and_takes_no_other (void **state)
{
    farm_t *self = *state;
    assign_one_that_waits (self);
    signal_worker (self, SIGTERM);
    expect_stopping_beat (self);
    assign (self, JOB + 1, "exec sleep 60");
    AUTO (msg) msg_t *refused = expect_report (self, JOB + 1, "failed");
    assert_string_equal (msg_text (refused, "code"), "interrupted");
    note (self, refused, false);
    let_go (self);
    AUTO (msg) msg_t *failed = expect_report (self, JOB, "failed");
    assert_string_equal (msg_text (failed, "code"), "build");
    assert_true (self->is_running);
    note (self, failed, false);
    await_end (self);
}

static void a_job_that_does_not_end_in_time_is_stopped (void **state)
{
    farm_t *self = *state;
    self->stop_ms = 300;
    assign_one_that_waits (self);
    int64_t start = clock_boot_ms ();
    signal_worker (self, SIGTERM);
    expect_interrupted (self);
    assert_true (clock_boot_ms () - start >= 300);
    await_end (self);
}

static void a_second_signal_stops_it_at_once (void **state)
{
    farm_t *self = *state;
    assign_one_that_waits (self);
    int64_t start = clock_boot_ms ();
    signal_worker (self, SIGTERM);
    expect_stopping_beat (self);
    signal_worker (self, SIGTERM);
    expect_interrupted (self);
    await_end (self);
    assert_true (clock_boot_ms () - start < PATIENCE_MS);
}

/* Both are restarted, as in an upgrade. */
static void what_ended_meanwhile_is_told_to_a_coordinator_that_comes_back (void **state)
{
    farm_t *self = *state;
    assign_one_that_waits (self);
    zsock_destroy (&self->control);
    signal_worker (self, SIGTERM);
    let_go (self);
    expect_cleaned (self);                      /* it has ended, and cannot be told */
    bind_control (self, self->endpoint);
    AUTO (msg) msg_t *hello = expect (self, "hello");
    welcome (self, hello);
    AUTO (msg) msg_t *failed = expect_report (self, JOB, "failed");
    assert_string_equal (msg_text (failed, "code"), "build");
    note (self, failed, false);
    await_end (self);
}

static void a_worker_without_a_job_ends_at_once (void **state)
{
    farm_t *self = *state;
    greet (self);
    assert_int_equal (beating (self), 0);
    int64_t start = clock_boot_ms ();
    signal_worker (self, SIGTERM);
    expect_stopping_beat (self);
    await_end (self);
    assert_true (clock_boot_ms () - start < 2000);
}

static void a_stop_waits_for_no_coordinator_that_is_away (void **state)
{
    farm_t *self = *state;
    greet (self);
    assign (self, JOB, "exec sleep 60");
    AUTO (msg) msg_t *report = expect_report (self, JOB, "building");
    (void) report;
    int64_t start = clock_boot_ms ();
    stop_link (self);
    assert_int_equal (self->run_rc, 0);
    assert_true (clock_boot_ms () - start < 5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (hello_comes_first_and_again_when_asked_for),
        TEST (a_refused_key_is_tried_until_it_is_known),
        TEST (a_coordinator_that_comes_back_hears_all),
        TEST (a_coordinator_that_is_silent_is_dialled_anew_before_the_lease_ends),
        TEST (a_report_is_repeated_until_it_is_noted),
        TEST (a_fault_of_the_user_is_told_with_its_step_and_all_of_the_log),
        TEST (a_push_is_tried_again_without_a_build),
        TEST (the_next_job_is_taken_before_the_last_one_is_noted),
        TEST (the_next_job_finds_the_checkout_of_the_last_one),
        TEST (a_stale_attempt_stops_and_tells_its_end),
        TEST (a_stale_attempt_that_takes_long_to_stop_is_named),
        TEST (an_aborted_attempt_says_that_it_was_cancelled),
        TEST (an_assignment_that_comes_twice_is_one),
        TEST (an_assignment_beyond_the_slots_is_given_back),
        TEST (an_assignment_without_a_thread_for_it_is_given_back),
        TEST (what_the_coordinator_lost_is_answered_for),
        TEST (what_names_no_platform_is_given_back),
        TEST (an_idle_worker_makes_room_on_its_full_disk),
        TEST (an_idle_worker_prunes_its_builder_on_a_full_disk),
        TEST (a_worker_that_ends_waits_for_no_pruning),
        TEST (a_worker_that_is_stopped_gives_its_jobs_back),
        TEST (a_stop_waits_for_no_coordinator_that_is_away),
        TEST (a_worker_that_is_told_to_end_lets_its_job_end_and_takes_no_other),
        TEST (a_job_that_does_not_end_in_time_is_stopped),
        TEST (a_second_signal_stops_it_at_once),
        TEST (what_ended_meanwhile_is_told_to_a_coordinator_that_comes_back),
        TEST (a_worker_without_a_job_ends_at_once),
    };
    err_t err = { 0 };
    if (spawner_start (&spawner, -1, &err) < 0) {
        fprintf (stderr, "%s\n", err.text);
        return 1;
    }
    zsys_handler_set (NULL);
    int rc = cmocka_run_group_tests (tests, NULL, NULL);
    spawner_destroy (&spawner);
    return rc;
}
