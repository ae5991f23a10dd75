/* test_gateway.c - the control socket of a real gateway, with peers that say what they may not: verbs of other roles, and
 * bytes that are no message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <czmq.h>
#include <sodium.h>
#include <sys/socket.h>

#include "common/actor.h"
#include "common/agent.h"
#include "common/clock.h"
#include "common/depot.h"
#include "common/file.h"
#include "common/http.h"
#include "common/monitor.h"
#include "common/msg.h"
#include "coordinator/conduct.h"
#include "coordinator/depot_service.h"
#include "coordinator/engine_private.h"
#include "coordinator/gateway_private.h"
#include "coordinator/zap.h"
#include "registries.h"

enum { PATIENCE_MS = 10000 };

static const char instance [] = "00000000000000000000000000000001";
static const char content [] = "a context";

/* What the gateway reads of the coordinator's settings. */
static const setting_def_t table [] = {
    { "control/bind", SETTING_TEXT, "tcp://127.0.0.1:*", "" }, { "connections/per-key", SETTING_NUMBER, "6", "" }, { "registry/auth-file", SETTING_TEXT, NULL, "" },
    { "publishers", SETTING_NUMBER, "1", "" }, { "verify/readers", SETTING_NUMBER, "1", "" }, { "verify/timeout-ms", SETTING_NUMBER, "60000", "" },
    { "verify/unpacked-max", SETTING_BYTES, "1G", "" }, { "depot/collect-ms", SETTING_NUMBER, "0", "" },
    { "retention/context-ms", SETTING_NUMBER, "0", "" },
    { "state", SETTING_TEXT, "/nonexistent", "" }, { "git/fetchers", SETTING_NUMBER, "1", "" }, { "git/timeout-ms", SETTING_NUMBER, "60000", "" },
    { "git/size", SETTING_BYTES, "1G", "" }, { "git/entries", SETTING_NUMBER, "1000", "" }, { "git/mirrors", SETTING_BYTES, "1G", "" },
    { "context/entries", SETTING_NUMBER, "1000", "" }, { "context/size", SETTING_BYTES, "1G", "" },
    { "depot/free-floor", SETTING_BYTES, "0", "" }, { NULL, SETTING_TEXT, NULL, NULL }
};

typedef struct {
    char folder [64];
    settings_t *settings;
    registry_settings_t registry;
    server_t fake;                          /* for who begins with a registry */
    keypair_t server;
    engine_t *engine;
    zsock_t *zap, *depot, *actor;
    depot_service_t *service;
    gateway_t *gateway;
    char object [DIGEST_HEX_SIZE + 1];      /* what the depot has */
    int64_t seq;
} farm_t;

/* -- the coordinator, without its main --------------------------------------------------------------------------- */

static void fill_depot (farm_t *self)
{
    err_t err = { 0 };
    depot_t *depot = NULL;
    AUTO_FREE char *folder = file_join (self->folder, "depot");
    digest_t digest = digest_of (content, sizeof content);
    digest_to_hex (&digest, self->object);
    if (depot_open (&depot, folder, &err) < 0 || depot_keep_owners (depot, &err) < 0 || depot_begin (depot, &err) < 0
        || depot_put (depot, OBJECT_CONTENT, &digest, content, sizeof content, &err) < 0)
        fail_msg ("%s", err.text);
    for (int64_t who = 1; who <= 8; who++)
        assert_int_equal (depot_own (depot, &digest, who, &err), 0);
    assert_int_equal (depot_commit (depot, &err), 0);
    depot_destroy (&depot);
}

static void open_parts (farm_t *self, err_t *err)
{
    AUTO_FREE char *database = file_join (self->folder, "farm.db");
    engine_settings_t times = { .heartbeat_ms = 5000, .lease_ms = 45000, .gone_grace_ms = 3000, .ended_grace_ms = 200, .retry_ms = 2000,
                                .job_timeout_ms = 3600000, .job_timeout_max_ms = 86400000, .ageing_ms = 1800000, .attempts_max = 3, .queue_max = 1000 };
    depot_service_settings_t depot = { .state_folder = self->folder, .endpoint = "tcp://127.0.0.1:*", .server = &self->server,
                                       .log_limit_bytes = 1 << 20, .collect_grace_ms = 1 };
    self->settings = settings_new (table);
    assert_int_equal (engine_open (&self->engine, database, &times, clock_boot_ms (), err), 0);
    assert_int_equal (depot_service_new (&self->service, &depot, err), 0);
}

static int open_farm (farm_t *self)
{
    err_t err = { 0 };
    strcpy (self->folder, "/tmp/gateway-XXXXXX");
    assert_non_null (mkdtemp (self->folder));
    keypair_make (&self->server);
    fill_depot (self);
    open_parts (self, &err);
    self->zap = actor_new (zap_actor, NULL, NULL);
    self->depot = actor_new (depot_service_actor, self->service, NULL);
    gateway_parts_t parts = {
        .settings = self->settings, .server = &self->server, .registry = &self->registry, .engine = self->engine, .zap = self->zap, .depot = self->depot,
    };
    assert_int_equal (gateway_new (&self->gateway, &parts, &err), 0);
    return 0;
}

static int setup (void **state)
{
    farm_t *self = *state = mem_alloc (sizeof *self);
    return open_farm (self);
}

/* A registry whose token service answers two questions at the same time, and never one alone. */
static int setup_with_slow_tokens (void **state)
{
    farm_t *self = *state = mem_alloc (sizeof *self);
    fake_start (&self->fake, "{\"auth\": {\"kind\": \"bearer\"}, \"rules\": [{\"path\": \"^/token\", \"together\": 2}]}");
    self->registry.plain_http_hosts = self->fake.plain;
    return open_farm (self);
}

static int teardown (void **state)
{
    farm_t *self = *state;
    actor_destroy (&self->actor);
    gateway_destroy (&self->gateway);
    actor_destroy (&self->depot);
    depot_service_destroy (&self->service);
    actor_destroy (&self->zap);
    engine_destroy (&self->engine);
    settings_destroy (&self->settings);
    if (self->fake.pid)
        server_stop (&self->fake);
    int rc = file_remove_tree (self->folder, NULL);
    free (self);
    return rc;
}

/* -- peers --------------------------------------------------------------------------------------------------------- */

static zsock_t *connect_to (farm_t *self, const char *endpoint, const keypair_t *key)
{
    err_t err = { 0 };
    zsock_t *peer = msg_connect (endpoint, key, self->server.public_key, &err);
    assert_non_null (peer);
    zsock_set_rcvtimeo (peer, PATIENCE_MS);
    zsock_set_linger (peer, 0);
    return peer;
}

/* Before the gateway runs: the key of somebody with this role. */
static void enrol (farm_t *self, const char *role, keypair_t *key)
{
    char hex [KEY_HEX_SIZE + 1], text [24];
    int64_t id;
    err_t err = { 0 };
    keypair_make (key);
    key_to_hex (key->public_key, hex);
    assert_int_equal (engine_add_principal (self->engine, hex, role, role, 1, &id, &err), 0);
    snprintf (text, sizeof text, "%lld", (long long) id);
    zap_allow (self->zap, hex);
    zstr_sendx (self->depot, "PRINCIPAL", hex, text, role, NULL);
}

/* A connection of somebody with this role to the control socket, and to the objects socket. */
static zsock_t *somebody (farm_t *self, const char *role)
{
    keypair_t key;
    enrol (self, role, &key);
    return connect_to (self, gateway_endpoint (self->gateway), &key);
}

static zsock_t *somebody_at_objects (farm_t *self, const char *role)
{
    keypair_t key;
    enrol (self, role, &key);
    return connect_to (self, depot_service_endpoint (self->service), &key);
}

static void run (farm_t *self)
{
    self->actor = actor_new (gateway_actor, self->gateway, NULL);
}

static void say_body (farm_t *self, zsock_t *peer, const char *verb, json_t *header, const void *body, size_t size)
{
    err_t err = { 0 };
    if (strcmp (verb, "heartbeat") != 0)
        json_object_set_new (header, "seq", json_integer (++self->seq));
    msg_t *message = msg_new (verb, header, body, size);
    assert_int_equal (msg_send (&message, peer, NULL, &err), 0);
}

static void say (farm_t *self, zsock_t *peer, const char *verb, json_t *header)
{
    say_body (self, peer, verb, header, NULL, 0);
}

/* "denied" for an error of that code, else the verb; borrowed until the next call. */
static const char *hear (zsock_t *peer)
{
    static char heard [64];
    err_t err = { 0 };
    AUTO (msg) msg_t *message = msg_recv (peer, NULL, NULL, NULL, &err);
    if (!message)
        fail_msg ("%s", err.text);
    snprintf (heard, sizeof heard, "%s", msg_is (message, "error") ? msg_text (message, "code") : msg_verb (message));
    return heard;
}

static const char *ask (farm_t *self, zsock_t *peer, const char *verb, json_t *header)
{
    say (self, peer, verb, header);
    return hear (peer);
}

/* What is answered to a verb with a body of so many bytes, which are no digests that anybody has and no pack. */
static const char *ask_body (farm_t *self, zsock_t *peer, const char *verb, json_t *header, size_t body_size)
{
    static const char body [MSG_BODY_MAX];
    say_body (self, peer, verb, header, body, body_size);
    return hear (peer);
}

static json_t *of_build (int64_t id)
{
    return json_pack ("{s:I}", "build", (json_int_t) id);
}

static json_t *submit_of (const char *context)
{
    return json_pack ("{s:s, s:{s:s, s:{s:s, s:i, s:s}, s:[s], s:[s]}}", "request", instance, "spec", "context", context,
                      "dockerfile", "digest", context, "size", 9, "name", "Dockerfile", "platforms", "linux/s390x", "tags", "a.lan/b:1");
}

/* Another request for the same. */
static json_t *submit_again (const char *context, char digit)
{
    char request [33] = { 0 };
    memset (request, digit, 32);
    json_t *header = submit_of (context);
    json_object_set_new (header, "request", json_string (request));
    return header;
}

/* -- hello --------------------------------------------------------------------------------------------------------- */

static json_t *hello_of (bool is_worker)
{
    json_t *header = json_pack ("{s:s, s:s, s:s}", "program", is_worker ? "farm-worker" : "farmctl", "version", "1",
                                "instance", instance);
    if (is_worker)
        json_object_set_new (header, "worker",
            json_pack ("{s:s, s:[{s:s, s:b}], s:i, s:i, s:i, s:s, s:s}", "name", "w", "platforms", "platform", "linux/s390x",
                       "emulated", 0, "slots", 1, "cpus", 1, "memory_bytes", 1, "builder", "b", "isolation", "oci"));
    return header;
}

static const char *hello (farm_t *self, zsock_t *peer, bool is_worker)
{
    return ask (self, peer, "hello", hello_of (is_worker));
}

/* Both are there before the gateway is, so it takes them in one batch. */
static void a_question_may_follow_hello_at_once (void **state)
{
    farm_t *self = *state;
    zsock_t *admin = somebody (self, "admin"), *stranger = somebody (self, "worker");
    say (self, admin, "hello", hello_of (false));
    say (self, admin, "list", json_object ());
    say (self, stranger, "hello", hello_of (false));
    say (self, stranger, "heartbeat", json_pack ("{s:[]}", "attempts"));
    run (self);
    assert_string_equal (hear (admin), "welcome");
    assert_string_equal (hear (admin), "builds");
    bool is_who_first = strcmp (hear (stranger), "who") == 0;      /* it does not wait for the end of the batch, as a refusal does */
    assert_string_equal (hear (stranger), is_who_first ? "denied" : "who");
    zsock_destroy (&admin);
    zsock_destroy (&stranger);
}

/* -- roles --------------------------------------------------------------------------------------------------------- */

/* A refused `watch` must not leave the connection among those that are told of changes. */
static void a_worker_that_watches_hears_nothing (void **state)
{
    farm_t *self = *state;
    zsock_t *admin = somebody (self, "admin"), *worker = somebody (self, "worker");
    run (self);
    assert_string_equal (hello (self, admin, false), "welcome");
    assert_string_equal (hello (self, worker, true), "welcome");
    assert_string_equal (ask (self, admin, "submit", submit_of (self->object)), "accepted");
    assert_string_equal (ask (self, admin, "watch", of_build (1)), "build");
    assert_string_equal (hear (worker), "assign");
    assert_string_equal (ask (self, worker, "watch", of_build (1)), "denied");
    assert_string_equal (ask (self, admin, "cancel", of_build (1)), "build");
    assert_string_equal (hear (admin), "build");
    assert_string_equal (hear (worker), "abort");
    assert_string_equal (ask (self, worker, "heartbeat", json_pack ("{s:[]}", "attempts")), "alive");
    zsock_destroy (&admin);
    zsock_destroy (&worker);
}

/* Refused too, though the verb is theirs: of what the builds of others come to they hear nothing, be the number one that is still to come. */
static void who_watches_another_s_build_hears_nothing (void **state)
{
    farm_t *self = *state;
    zsock_t *owner = somebody (self, "submitter"), *other = somebody (self, "submitter");
    run (self);
    assert_string_equal (hello (self, owner, false), "welcome");
    assert_string_equal (hello (self, other, false), "welcome");
    assert_string_equal (ask (self, other, "watch", of_build (1)), "not-found");
    assert_string_equal (ask (self, owner, "submit", submit_of (self->object)), "accepted");
    assert_string_equal (ask (self, owner, "watch", of_build (1)), "build");
    assert_string_equal (ask (self, other, "watch", of_build (1)), "denied");
    assert_string_equal (ask (self, owner, "cancel", of_build (1)), "build");
    assert_string_equal (hear (owner), "build");
    assert_string_equal (ask (self, other, "list", json_object ()), "builds");
    zsock_destroy (&other);
    zsock_destroy (&owner);
}

static json_t *revoke_of (const char *kind, const char *name)
{
    return json_pack ("{s:s, s:s}", "kind", kind, "name", name);
}

/* From the answer on: nothing more is told, the next message of a session that lives is denied on both sockets, and nobody gets in
 * with the key again. */
static void a_right_that_was_taken_back_is_worth_nothing_at_once (void **state)
{
    farm_t *self = *state;
    keypair_t key;
    err_t err = { 0 };
    enrol (self, "submitter", &key);
    zsock_t *admin = somebody (self, "admin"), *user = connect_to (self, gateway_endpoint (self->gateway), &key);
    zsock_t *objects = connect_to (self, depot_service_endpoint (self->service), &key);
    run (self);
    assert_string_equal (hello (self, admin, false), "welcome");
    assert_string_equal (hello (self, user, false), "welcome");
    assert_string_equal (ask_body (self, objects, "missing", json_object (), 32), "missing");
    assert_string_equal (ask (self, user, "submit", submit_of (self->object)), "accepted");
    assert_string_equal (ask (self, user, "watch", of_build (1)), "build");
    assert_string_equal (ask (self, admin, "revoke", revoke_of ("user", "submitter")), "revoked");
    assert_string_equal (ask (self, user, "list", json_object ()), "denied");       /* the build was cancelled, and it did not hear of that */
    assert_string_equal (ask_body (self, objects, "missing", json_object (), 32), "denied");
    zsock_t *again = connect_to (self, gateway_endpoint (self->gateway), &key);
    say (self, again, "hello", hello_of (false));
    zsock_set_rcvtimeo (again, 1000);
    assert_null (msg_recv (again, NULL, NULL, NULL, &err));
    assert_int_equal (err.code, ERR_NETWORK);
    zsock_destroy (&again);
    zsock_destroy (&objects);
    zsock_destroy (&user);
    zsock_destroy (&admin);
}

/* Who may not build does not learn either whether the depot has an object. */
static void who_may_not_build_is_not_told_what_is_there (void **state)
{
    farm_t *self = *state;
    static const char nothing [] = "0000000000000000000000000000000000000000000000000000000000000000";
    zsock_t *viewer = somebody (self, "viewer"), *worker = somebody (self, "worker");
    run (self);
    assert_string_equal (hello (self, viewer, false), "welcome");
    assert_string_equal (hello (self, worker, true), "welcome");
    assert_string_equal (ask (self, viewer, "submit", submit_of (nothing)), "denied");
    assert_string_equal (ask (self, viewer, "submit", submit_of (self->object)), "denied");
    assert_string_equal (ask (self, worker, "submit", submit_of (nothing)), "denied");
    zsock_destroy (&viewer);
    zsock_destroy (&worker);
}

static void only_an_admin_prunes (void **state)
{
    farm_t *self = *state;
    zsock_t *admin = somebody (self, "admin"), *submitter = somebody (self, "submitter"), *worker = somebody (self, "worker");
    run (self);
    assert_string_equal (hello (self, admin, false), "welcome");
    assert_string_equal (hello (self, submitter, false), "welcome");
    assert_string_equal (hello (self, worker, true), "welcome");
    assert_string_equal (ask (self, submitter, "prune", json_object ()), "denied");
    assert_string_equal (ask (self, worker, "prune", json_object ()), "denied");
    assert_string_equal (ask (self, admin, "submit", submit_of (self->object)), "accepted");
    assert_string_equal (hear (worker), "assign");
    assert_string_equal (ask (self, admin, "prune", json_object ()), "pruned");
    assert_string_equal (ask (self, admin, "submit", submit_again (self->object, 'b')), "accepted");      /* a live build needs it */
    assert_string_equal (ask (self, admin, "cancel", of_build (1)), "build");
    assert_string_equal (hear (worker), "abort");
    assert_string_equal (ask (self, admin, "cancel", of_build (2)), "build");
    for (int i = 0; i < 3; i++) {
        zclock_sleep (5);           /* longer than the grace: one writes down the last use, one sets a mark behind it, one is beyond that */
        assert_string_equal (ask (self, admin, "prune", json_object ()), "pruned");
    }
    assert_string_equal (ask (self, admin, "submit", submit_again (self->object, 'c')), "not-found");
    zsock_destroy (&admin);
    zsock_destroy (&submitter);
    zsock_destroy (&worker);
}

/* -- the end of a worker --------------------------------------------------------------------------------------------- */

/* A worker that has a job, and another that could have it. */
static void give_job (farm_t *self, zsock_t *first, zsock_t *second)
{
    zsock_t *admin = somebody (self, "admin");
    json_t *other = hello_of (true);
    json_object_set_new (json_object_get (other, "worker"), "name", json_string ("other"));
    run (self);
    assert_string_equal (hello (self, admin, false), "welcome");
    assert_string_equal (hello (self, first, true), "welcome");
    assert_string_equal (ask (self, admin, "submit", submit_of (self->object)), "accepted");
    assert_string_equal (hear (first), "assign");
    assert_string_equal (ask (self, second, "hello", other), "welcome");
    zsock_destroy (&admin);
}

/* As the kernel closes it, whatever became of the process. */
static void a_job_of_a_worker_that_has_ended_is_another_s_at_once (void **state)
{
    farm_t *self = *state;
    zsock_t *first = somebody (self, "worker"), *second = somebody (self, "worker");
    give_job (self, first, second);
    json_t *beat = json_pack ("{s:[{s:i, s:i}]}", "attempts", "job", 1, "attempt", 1);
    assert_string_equal (ask (self, first, "heartbeat", beat), "alive");     /* all is read: else its end would be a reset */
    int64_t start = clock_boot_ms ();
    zsock_destroy (&first);
    assert_string_equal (hear (second), "assign");
    assert_in_range (clock_boot_ms () - start, 199, 2999);      /* gone_grace_ms is 3,000 */
    zsock_destroy (&second);
}

/* A reset may come from anywhere on the way: the worker has time to come back. */
static void a_job_of_a_worker_whose_connection_was_reset_waits_for_it (void **state)
{
    farm_t *self = *state;
    static const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
    int fd = -1;
    keypair_t key;
    err_t err = { 0 };
    enrol (self, "worker", &key);
    zsock_t *first = msg_dealer (&key, self->server.public_key, 10, &err), *second = somebody (self, "worker");
    AUTO (monitor) monitor_t *monitor = monitor_new (first, ZMQ_EVENT_CONNECTED, NULL);
    zsock_set_rcvtimeo (first, PATIENCE_MS);
    zsock_set_reconnect_ivl (first, -1);
    assert_int_equal (zsock_connect (first, "%s", gateway_endpoint (self->gateway)), 0);
    give_job (self, first, second);
    assert_int_equal (monitor_next (monitor, &fd), ZMQ_EVENT_CONNECTED);
    assert_int_equal (connect (fd, &nowhere, sizeof nowhere), 0);           /* the kernel sends a reset */
    zsock_set_rcvtimeo (second, 1000);
    err_t why = { 0 };
    assert_null (msg_recv (second, NULL, NULL, NULL, &why));
    zsock_set_rcvtimeo (second, PATIENCE_MS);
    assert_string_equal (hear (second), "assign");
    monitor_destroy (&monitor);
    zsock_destroy (&first);
    zsock_destroy (&second);
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

/* What the gateway says over its pipe; NULL: nothing for a while. Borrowed until the next call. */
static const char *word (farm_t *self, int patience_ms)
{
    static char heard [16];
    zsock_set_rcvtimeo (self->actor, patience_ms);
    char *text = zstr_recv (self->actor);
    snprintf (heard, sizeof heard, "%s", text ? text : "");
    zstr_free (&text);
    return *heard ? heard : NULL;
}

static void a_coordinator_that_stops_begins_nothing_new (void **state)
{
    farm_t *self = *state;
    zsock_t *admin = somebody (self, "admin"), *worker = somebody (self, "worker");
    run (self);
    assert_string_equal (hello (self, admin, false), "welcome");
    assert_string_equal (ask (self, admin, "submit", submit_of (self->object)), "accepted");
    assert_string_equal (ask (self, admin, "watch", of_build (1)), "build");
    zstr_send (self->actor, "STOP");
    assert_string_equal (hear (admin), "closing");
    assert_string_equal (hello (self, worker, true), "welcome");
    assert_string_equal (ask (self, worker, "heartbeat", json_pack ("{s:[]}", "attempts")), "alive");      /* and no assign before it */
    assert_string_equal (ask (self, admin, "submit", submit_again (self->object, 'b')), "network");
    assert_string_equal (ask (self, admin, "prune", json_object ()), "network");
    assert_string_equal (ask (self, admin, "watch", of_build (1)), "closing");
    assert_string_equal (ask (self, admin, "inspect", of_build (1)), "build");
    assert_string_equal (ask (self, admin, "cancel", of_build (1)), "build");
    assert_string_equal (hear (admin), "build");                   /* and who watches it hears of it still */
    assert_string_equal (word (self, PATIENCE_MS), "STOPPED");
    assert_null (word (self, 200));                                 /* once */
    zsock_destroy (&admin);
    zsock_destroy (&worker);
}

/* What the audit log's rows of an act come to, once the gateway has ended; NULL: of any. */
static int64_t sum_of_audit (farm_t *self, const keypair_t *admin, const char *act)
{
    char hex [KEY_HEX_SIZE + 1];
    principal_t who;
    actions_t actions = { 0 };
    err_t err = { 0 };
    size_t i;
    const json_t *row;
    int64_t sum = 0;
    key_to_hex (admin->public_key, hex);
    assert_int_equal (engine_begin (self->engine, clock_boot_ms (), clock_wall_ms (), &err), 0);
    assert_int_equal (engine_find_principal (self->engine, hex, &who, &err), 0);
    AUTO_JSON json_t *header = json_object ();
    engine_handle (self->engine, &(event_t) { .verb = "audit", .peer = 1, .principal = who.id, .header = header });
    assert_int_equal (engine_commit (self->engine, &actions, &err), 0);
    json_array_foreach (json_object_get (actions.items [0].header, "rows"), i, row)
        if (!act || strcmp (json_string_value (json_object_get (row, "act")), act) == 0)
            sum += json_integer_value (json_object_get (row, "times"));
    actions_free (&actions);
    return sum;
}

/* Also what is denied when it has said that it is done. */
static void a_stop_loses_no_number_of_what_was_denied (void **state)
{
    farm_t *self = *state;
    keypair_t admin;
    enrol (self, "admin", &admin);
    zsock_t *viewer = somebody (self, "viewer");
    run (self);
    assert_string_equal (hello (self, viewer, false), "welcome");
    for (int i = 0; i < 5; i++)
        assert_string_equal (ask (self, viewer, "users", json_object ()), "denied");
    zstr_send (self->actor, "STOP");
    assert_string_equal (word (self, PATIENCE_MS), "STOPPED");
    for (int i = 0; i < 5; i++)
        assert_string_equal (ask (self, viewer, "users", json_object ()), "denied");
    zsock_destroy (&viewer);
    actor_destroy (&self->actor);
    assert_int_equal (sum_of_audit (self, &admin, NULL), 10);
}

/* A depot that goes through its objects for ever. */
static void busy_depot (zsock_t *pipe, void *unused)
{
    (void) unused;
    zsock_signal (pipe, 0);
    for (bool goes_on = true; goes_on;) {
        char *verb = zstr_recv (pipe);
        goes_on = verb && !streq (verb, "$TERM");
        zstr_free (&verb);
    }
}

static void whoever_waits_for_a_prune_is_answered_when_the_coordinator_stops (void **state)
{
    farm_t *self = *state;
    zsock_t *admin = somebody (self, "admin");
    zsock_t *depot = actor_new (busy_depot, NULL, NULL);
    self->gateway->parts.depot = depot;
    run (self);
    assert_string_equal (hello (self, admin, false), "welcome");
    say (self, admin, "prune", json_object ());
    say (self, admin, "prune", json_pack ("{s:b}", "dry_run", 1));
    assert_string_equal (ask (self, admin, "inspect", of_build (1)), "not-found");         /* so both wait */
    zstr_send (self->actor, "STOP");
    assert_string_equal (hear (admin), "network");
    assert_string_equal (hear (admin), "network");
    zsock_destroy (&admin);
    actor_destroy (&self->actor);
    actor_destroy (&depot);
}

/* So many wait for one already that it is refused: it was not done. */
static void a_prune_too_many_is_no_row (void **state)
{
    farm_t *self = *state;
    enum { WAITERS = 64 };
    keypair_t key;
    enrol (self, "admin", &key);
    zsock_t *admin = connect_to (self, gateway_endpoint (self->gateway), &key);
    zsock_t *depot = actor_new (busy_depot, NULL, NULL);
    self->gateway->parts.depot = depot;
    run (self);
    assert_string_equal (hello (self, admin, false), "welcome");
    for (int i = 0; i < WAITERS; i++)
        say (self, admin, "prune", json_object ());
    assert_string_equal (ask (self, admin, "prune", json_object ()), "full");
    zsock_destroy (&admin);
    actor_destroy (&self->actor);
    actor_destroy (&depot);
    assert_int_equal (sum_of_audit (self, &key, "prune"), WAITERS);
}

static json_t *join_of (const char *digit)
{
    char key [KEY_HEX_SIZE + 1];
    memset (key, *digit, KEY_HEX_SIZE);
    key [KEY_HEX_SIZE] = 0;
    return json_pack ("{s:s, s:s, s:s}", "kind", "worker", "name", "w", "public_key", key);
}

static json_t *report_of (void)
{
    return json_pack ("{s:i, s:i, s:s}", "job", 1, "attempt", 1, "state", "building");
}

static void each_role_says_its_own_verbs_only (void **state)
{
    farm_t *self = *state;
    zsock_t *invited = somebody (self, "invitation"), *submitter = somebody (self, "submitter"), *worker = somebody (self, "worker");
    run (self);
    assert_string_equal (hello (self, invited, false), "denied");
    assert_string_equal (hello (self, invited, true), "denied");
    assert_string_equal (ask (self, invited, "list", json_object ()), "who");
    assert_string_equal (ask (self, invited, "watch", of_build (1)), "who");
    assert_string_equal (ask (self, invited, "join", join_of ("a")), "joined");
    assert_string_equal (hello (self, submitter, true), "denied");
    assert_string_equal (hello (self, submitter, false), "welcome");
    assert_string_equal (ask (self, submitter, "join", join_of ("b")), "denied");
    assert_string_equal (ask (self, submitter, "report", report_of ()), "denied");
    assert_string_equal (ask (self, submitter, "heartbeat", json_pack ("{s:[]}", "attempts")), "denied");
    assert_string_equal (hello (self, worker, true), "welcome");
    assert_string_equal (ask (self, worker, "list", json_object ()), "denied");
    assert_string_equal (ask (self, worker, "cancel", of_build (1)), "denied");
    assert_string_equal (ask (self, worker, "workers", json_object ()), "denied");
    assert_string_equal (ask (self, worker, "join", join_of ("b")), "denied");
    assert_string_equal (ask (self, worker, "assign", json_object ()), "protocol");
    assert_string_equal (ask (self, worker, "report", report_of ()), "noted");        /* of nothing: stale */
    zsock_destroy (&invited);
    zsock_destroy (&submitter);
    zsock_destroy (&worker);
}

static char *many (const char *text, size_t count)
{
    size_t size = strlen (text);
    char *out = mem_alloc (count * size + 1);
    for (size_t i = 0; i < count; i++)
        memcpy (out + i * size, text, size);
    return out;
}

/* -- objects -------------------------------------------------------------------------------------------------------- */

static json_t *log_of (int64_t offset)
{
    return json_pack ("{s:i, s:i, s:I}", "job", 1, "attempt", 1, "offset", (json_int_t) offset);
}

static void each_role_asks_for_its_own_objects_only (void **state)
{
    farm_t *self = *state;
    zsock_t *viewer = somebody_at_objects (self, "viewer"), *worker = somebody_at_objects (self, "worker");
    zsock_t *invited = somebody_at_objects (self, "invitation");
    run (self);
    assert_string_equal (ask_body (self, invited, "stats", json_object (), 0), "denied");
    assert_string_equal (ask_body (self, invited, "missing", json_object (), 32), "denied");
    assert_string_equal (ask_body (self, viewer, "stats", json_object (), 0), "depot");
    assert_string_equal (ask_body (self, viewer, "missing", json_object (), 32), "denied");
    assert_string_equal (ask_body (self, viewer, "put", json_object (), 32), "denied");
    assert_string_equal (ask_body (self, viewer, "want", json_object (), 32), "denied");
    assert_string_equal (ask_body (self, viewer, "log", log_of (0), 1), "denied");
    assert_string_equal (ask_body (self, worker, "missing", json_object (), 32), "missing");     /* of what was lost: nothing */
    assert_string_equal (ask_body (self, worker, "put", json_object (), 32), "protocol");        /* test_restore.c has the rest */
    assert_string_equal (ask_body (self, worker, "read-log", log_of (0), 0), "denied");
    assert_string_equal (ask_body (self, worker, "log", log_of (0), 1), "stale");
    assert_string_equal (ask_body (self, worker, "want", json_object (), 32), "not-found");
    assert_string_equal (ask (self, viewer, "list", json_object ()), "protocol");
    zsock_destroy (&viewer);
    zsock_destroy (&worker);
    zsock_destroy (&invited);
}

static void pass_over (zsock_t *pipe)
{
    zmsg_t *said = zmsg_recv (pipe);
    assert_non_null (said);
    zmsg_destroy (&said);
}

/* While the service is kept busy with other questions as many requests come as a peer may have on the way; the right is taken back when it has just begun
 * to take them. All that leaves after the first denial has to be one. */
static void take_back_meanwhile (farm_t *self)
{
    enum { REQUESTS = 8, QUESTIONS = 100 };
    char hex [KEY_HEX_SIZE + 1];
    keypair_t key;
    bool is_over = false;
    enrol (self, "submitter", &key);
    key_to_hex (key.public_key, hex);
    zsock_t *peer = connect_to (self, depot_service_endpoint (self->service), &key);
    assert_string_equal (ask_body (self, peer, "missing", json_object (), DIGEST_SIZE), "missing");
    for (int i = 0; i < QUESTIONS; i++)
        zstr_sendx (self->depot, "FIGURES", "1", NULL);
    for (int i = 0; i < REQUESTS; i++)
        say_body (self, peer, "missing", json_object (), key.public_key, DIGEST_SIZE);
    for (int i = 0; i < QUESTIONS; i++)
        pass_over (self->depot);
    zstr_sendx (self->depot, "REVOKE", hex, NULL);
    for (int i = 0; i < REQUESTS; i++) {
        bool is_denied = strcmp (hear (peer), "denied") == 0;
        if (is_over && !is_denied)
            fail_msg ("answer %d is no denial, and there was one before", i);
        is_over = is_denied;
    }
    zsock_destroy (&peer);
}

/* The gateway does not run here: its pipe is the test's. */
static void what_was_taken_already_is_denied_with_the_right (void **state)
{
    for (int round = 0; round < 40; round++)
        take_back_meanwhile (*state);
}

/* A viewer waits for more of somebody's log and is made a submitter, who may not read it. Here too the gateway's words are the test's. */
static void who_waits_for_a_log_waits_with_the_right_of_now (void **state)
{
    farm_t *self = *state;
    char hex [KEY_HEX_SIZE + 1];
    keypair_t key;
    enrol (self, "viewer", &key);
    key_to_hex (key.public_key, hex);
    zsock_t *viewer = connect_to (self, depot_service_endpoint (self->service), &key);
    zstr_sendx (self->depot, "OPEN-LOG", "1", "1", "999", NULL);
    json_t *wait = log_of (0);
    json_object_set_new (wait, "wait_ms", json_integer (4000));
    say (self, viewer, "read-log", wait);
    assert_string_equal (ask_body (self, viewer, "stats", json_object (), 0), "depot");        /* so that one waits */
    zstr_sendx (self->depot, "PRINCIPAL", hex, "7", "submitter", NULL);
    zstr_sendx (self->depot, "OWNER", "1", "8", NULL);
    assert_string_equal (hear (viewer), "denied");
    zsock_destroy (&viewer);
}

/* This user's first build, at this worker. */
static void build_at (farm_t *self, zsock_t *owner, zsock_t *worker)
{
    assert_string_equal (hello (self, owner, false), "welcome");
    assert_string_equal (hello (self, worker, true), "welcome");
    assert_string_equal (ask (self, owner, "submit", submit_of (self->object)), "accepted");
    assert_string_equal (hear (worker), "assign");
}

/* Nobody takes another's log from him by asking for it before it is there. */
static void who_asks_too_early_denies_the_log_to_himself_alone (void **state)
{
    farm_t *self = *state;
    keypair_t key;
    enrol (self, "submitter", &key);
    zsock_t *owner = connect_to (self, gateway_endpoint (self->gateway), &key), *logs = connect_to (self, depot_service_endpoint (self->service), &key);
    zsock_t *worker = somebody (self, "worker"), *stranger = somebody_at_objects (self, "submitter");
    run (self);
    assert_string_equal (ask_body (self, stranger, "read-log", log_of (0), 0), "denied");
    assert_string_equal (ask_body (self, logs, "read-log", log_of (0), 0), "denied");
    build_at (self, owner, worker);
    assert_string_equal (ask_body (self, logs, "read-log", log_of (0), 0), "log-part");
    assert_string_equal (ask_body (self, stranger, "read-log", log_of (0), 0), "denied");
    zsock_destroy (&stranger);
    zsock_destroy (&worker);
    zsock_destroy (&logs);
    zsock_destroy (&owner);
}

/* "There was none" is for the question that it answers: of two who wait, the second may have asked when there was one. Here too the words are the test's. */
static void that_a_job_was_not_there_is_told_whoever_asked_then (void **state)
{
    farm_t *self = *state;
    char hex [KEY_HEX_SIZE + 1];
    keypair_t key;
    enrol (self, "submitter", &key);
    key_to_hex (key.public_key, hex);
    zstr_sendx (self->depot, "PRINCIPAL", hex, "7", "submitter", NULL);
    zsock_t *logs = connect_to (self, depot_service_endpoint (self->service), &key), *stranger = somebody_at_objects (self, "submitter");
    zstr_sendx (self->depot, "OPEN-LOG", "1", "1", "999", NULL);
    say (self, stranger, "read-log", log_of (0));
    pass_over (self->depot);
    say (self, logs, "read-log", log_of (0));
    pass_over (self->depot);
    zstr_sendx (self->depot, "OWNER", "1", "0", "1", NULL);
    assert_string_equal (hear (stranger), "denied");
    zstr_sendx (self->depot, "OWNER", "1", "7", "2", NULL);
    assert_string_equal (hear (logs), "log-part");
    zsock_destroy (&stranger);
    zsock_destroy (&logs);
}

/* Submitted in a batch that is lost, and asked for in the same; the number is another user's then. The batch is the test's, the next ones the gateway's. */
static void a_job_of_a_lost_batch_is_nobody_s (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    keypair_t key;
    enrol (self, "submitter", &key);
    zsock_t *owner = connect_to (self, gateway_endpoint (self->gateway), &key), *logs = connect_to (self, depot_service_endpoint (self->service), &key);
    zsock_t *unlucky = somebody_at_objects (self, "submitter"), *worker = somebody (self, "worker");
    AUTO_JSON json_t *header = submit_of (self->object);
    event_t event = { .verb = "submit", .principal = 2, .header = header };           /* of the unlucky one, who was enrolled second */
    say (self, unlucky, "read-log", log_of (0));
    zpoller_t *poller = zpoller_new (self->depot, NULL);
    assert_ptr_equal (zpoller_wait (poller, PATIENCE_MS), self->depot);
    assert_int_equal (engine_begin (self->engine, clock_boot_ms (), clock_wall_ms (), &err), 0);
    engine_handle (self->engine, &event);
    assert_int_equal (engine_owner_of_job (self->engine, 1), 2);
    gateway_take_depot (self->gateway);
    err_set (&self->engine->lost, ERR_FULL, "the disk is full");
    assert_int_equal (engine_commit (self->engine, &self->gateway->actions, &err), 0);
    gateway_do_actions (self->gateway);
    assert_string_equal (hear (unlucky), "denied");
    run (self);
    build_at (self, owner, worker);
    assert_string_equal (ask_body (self, logs, "read-log", log_of (0), 0), "log-part");
    zpoller_destroy (&poller);
    zsock_destroy (&worker);
    zsock_destroy (&unlucky);
    zsock_destroy (&logs);
    zsock_destroy (&owner);
}

/* As many questions as may wait at all, a few at a time: each is answered at once or is left to wait. */
static void wait_for_much (farm_t *self, zsock_t *peer)
{
    enum { ALL = 1024, AT_ONCE = 8 };
    for (int i = 0; i < ALL / AT_ONCE; i++) {
        for (int j = 0; j < AT_ONCE; j++) {
            json_t *wait = log_of (0);
            json_object_set_new (wait, "wait_ms", json_integer (4000));
            say (self, peer, "read-log", wait);
        }
        say (self, peer, "stats", json_object ());
        while (strcmp (hear (peer), "depot") != 0)
            ;
    }
}

static void who_waits_for_logs_leaves_room_for_others (void **state)
{
    farm_t *self = *state;
    keypair_t key;
    enrol (self, "submitter", &key);
    zsock_t *owner = connect_to (self, gateway_endpoint (self->gateway), &key), *logs = connect_to (self, depot_service_endpoint (self->service), &key);
    zsock_t *worker = somebody (self, "worker"), *viewer = somebody_at_objects (self, "viewer");
    run (self);
    build_at (self, owner, worker);
    wait_for_much (self, viewer);
    assert_string_equal (ask_body (self, logs, "read-log", log_of (0), 0), "log-part");
    zsock_destroy (&viewer);
    zsock_destroy (&worker);
    zsock_destroy (&logs);
    zsock_destroy (&owner);
}

/* A read-log is kept while it waits, 1,024 of them: with what hangs on it they would be 260 MiB. */
static void bodies_that_are_none_are_refused (void **state)
{
    farm_t *self = *state;
    zsock_t *submitter = somebody_at_objects (self, "submitter"), *worker = somebody_at_objects (self, "worker");
    zsock_t *viewer = somebody_at_objects (self, "viewer");
    run (self);
    zstr_sendx (self->depot, "OPEN-LOG", "1", "1", "999", NULL);
    assert_string_equal (ask_body (self, viewer, "read-log", log_of (0), MSG_BODY_MAX), "protocol");
    assert_string_equal (ask_body (self, viewer, "read-log", log_of (9007199254740991), 0), "log-part");
    assert_string_equal (ask_body (self, submitter, "read-log", log_of (0), 0), "denied");      /* of no build of theirs */
    assert_string_equal (ask_body (self, viewer, "stats", json_object (), 1), "protocol");
    assert_string_equal (ask_body (self, submitter, "missing", json_object (), 0), "protocol");
    assert_string_equal (ask_body (self, submitter, "missing", json_object (), 31), "protocol");
    assert_string_equal (ask_body (self, submitter, "missing", json_object (), MSG_BODY_MAX), "protocol");
    assert_string_equal (ask_body (self, submitter, "put", json_object (), MSG_BODY_MAX), "protocol");
    assert_string_equal (ask_body (self, worker, "want", json_object (), 0), "protocol");
    assert_string_equal (ask_body (self, worker, "want", json_object (), 33), "protocol");
    assert_string_equal (ask_body (self, worker, "log", log_of (0), 1), "denied");      /* another's */
    zsock_destroy (&submitter);
    zsock_destroy (&viewer);
    zsock_destroy (&worker);
}

/* -- ssh agents ----------------------------------------------------------------------------------------------------- */

static json_t *submit_with_agent (const farm_t *self)
{
    json_t *submit = submit_of (self->object);
    json_object_set_new (json_object_get (submit, "spec"), "ssh", json_pack ("[s]", "default"));
    return submit;
}

static json_t *offer_of (int64_t build)
{
    json_t *header = of_build (build);
    json_object_set_new (header, "agents", json_pack ("[s]", "default"));
    return header;
}

/* For the list of its keys. */
static void ask_agent (farm_t *self, zsock_t *worker)
{
    static const uint8_t list = AGENT_LIST;
    say_body (self, worker, "ask-agent", json_pack ("{s:i, s:i, s:s}", "job", 1, "attempt", 1, "agent", "default"), &list, sizeof list);
}

/* Nobody is asked in their place who may look at the build, or only tried to. */
static void the_agent_of_the_build_s_owner_alone_is_asked (void **state)
{
    farm_t *self = *state;
    zsock_t *owner = somebody (self, "submitter"), *other = somebody (self, "submitter"), *viewer = somebody (self, "viewer"), *worker = somebody (self, "worker");
    run (self);
    assert_string_equal (hello (self, owner, false), "welcome");
    assert_string_equal (hello (self, other, false), "welcome");
    assert_string_equal (hello (self, viewer, false), "welcome");
    assert_string_equal (hello (self, worker, true), "welcome");
    assert_string_equal (ask (self, owner, "submit", submit_with_agent (self)), "accepted");
    assert_string_equal (hear (worker), "assign");
    assert_string_equal (ask (self, other, "watch", offer_of (1)), "denied");
    assert_string_equal (ask (self, viewer, "watch", offer_of (1)), "build");
    ask_agent (self, worker);
    assert_string_equal (hear (worker), "not-found");
    assert_string_equal (ask (self, owner, "watch", offer_of (1)), "build");
    ask_agent (self, worker);
    assert_string_equal (hear (owner), "agent-request");
    assert_string_equal (ask (self, other, "list", json_object ()), "builds");          /* and nothing before it */
    assert_string_equal (ask (self, viewer, "list", json_object ()), "builds");
    zsock_destroy (&worker);
    zsock_destroy (&viewer);
    zsock_destroy (&other);
    zsock_destroy (&owner);
}

/* There are none. */
static const uint8_t keys [] = { AGENT_LIST_ANSWER, 0, 0, 0, 0 };

static void reply (farm_t *self, zsock_t *laptop, int64_t ticket, const void *answer, size_t size)
{
    say_body (self, laptop, "agent-reply", json_pack ("{s:I}", "ticket", (json_int_t) ticket), answer, size);
}

/* A step of this worker waits for what the owner's agent says: to ticket 1. */
static void wait_for_agent (farm_t *self, zsock_t *owner, zsock_t *worker)
{
    run (self);
    assert_string_equal (hello (self, owner, false), "welcome");
    assert_string_equal (hello (self, worker, true), "welcome");
    assert_string_equal (ask (self, owner, "submit", submit_with_agent (self)), "accepted");
    assert_string_equal (hear (worker), "assign");
    assert_string_equal (ask (self, owner, "watch", offer_of (1)), "build");
    ask_agent (self, worker);
    assert_string_equal (hear (owner), "agent-request");
}

static void an_agent_s_answer_has_the_form_of_one (void **state)
{
    farm_t *self = *state;
    static const struct { const char *bytes; size_t size; } bent [] = {
        { "c what is this", 14 }, { "\x0c", 1 }, { "\x0c\0\0\0\1", 5 }, { "\x0c\0\0\0\0x", 6 }, { "\x0e\0\0\0\1s", 6 }, { "\x05x", 2 },
    };
    size_t count = sizeof bent / sizeof *bent;
    zsock_t *owner = somebody (self, "submitter"), *worker = somebody (self, "worker");
    wait_for_agent (self, owner, worker);
    for (size_t i = 0; i < count; i++) {
        reply (self, owner, (int64_t) i + 1, bent [i].bytes, bent [i].size);
        assert_string_equal (hear (worker), "protocol");
        ask_agent (self, worker);
        assert_string_equal (hear (owner), "agent-request");
    }
    reply (self, owner, (int64_t) count + 1, keys, sizeof keys);
    assert_string_equal (hear (worker), "agent-answer");
    zsock_destroy (&worker);
    zsock_destroy (&owner);
}

/* What an admin says while somebody confirms takes the attempt from the worker. */
static void hold_back_signature (farm_t *self, const char *verb, json_t *header, const char *answer)
{
    zsock_t *owner = somebody (self, "submitter"), *worker = somebody (self, "worker"), *admin = somebody (self, "admin");
    wait_for_agent (self, owner, worker);
    assert_string_equal (hello (self, admin, false), "welcome");
    assert_string_equal (ask (self, admin, verb, header), answer);
    assert_string_equal (hear (worker), "stale");
    assert_string_equal (hear (worker), "abort");
    reply (self, owner, 1, keys, sizeof keys);
    assert_string_equal (hear (owner), "build");
    assert_string_equal (ask (self, owner, "list", json_object ()), "builds");         /* so that the reply was taken */
    assert_string_equal (hello (self, worker, true), strcmp (verb, "revoke") == 0 ? "denied" : "welcome");      /* and nothing came before this */
    zsock_destroy (&admin);
    zsock_destroy (&worker);
    zsock_destroy (&owner);
}

static void an_agent_s_answer_that_comes_when_the_attempt_has_ended_stays_here (void **state)
{
    hold_back_signature (*state, "cancel", of_build (1), "build");
}

static void an_agent_s_answer_that_comes_when_the_worker_was_revoked_stays_here (void **state)
{
    hold_back_signature (*state, "revoke", json_pack ("{s:s, s:s}", "kind", "worker", "name", "w"), "revoked");
}

/* Both are likely in one batch, at whose end those that wait in vain are looked for. */
static void an_agent_s_answer_that_comes_with_the_end_stays_here_too (void **state)
{
    farm_t *self = *state;
    zsock_t *owner = somebody (self, "submitter"), *worker = somebody (self, "worker");
    wait_for_agent (self, owner, worker);
    say (self, owner, "cancel", of_build (1));
    reply (self, owner, 1, keys, sizeof keys);
    assert_string_equal (hear (worker), "stale");
    zsock_destroy (&worker);
    zsock_destroy (&owner);
}

/* -- tokens --------------------------------------------------------------------------------------------------------- */

/* A worker with a job that pushes to the registry. */
static void give_job_there (farm_t *self, zsock_t *admin, zsock_t *worker)
{
    AUTO_FREE char *tag = mem_printf ("%s/b:1", self->fake.host);
    json_t *submit = submit_of (self->object);
    json_object_set_new (json_object_get (submit, "spec"), "tags", json_pack ("[s]", tag));
    assert_string_equal (hello (self, admin, false), "welcome");
    assert_string_equal (hello (self, worker, true), "welcome");
    assert_string_equal (ask (self, admin, "submit", submit), "accepted");
    assert_string_equal (hear (worker), "assign");
}

/* Returns when the gateway has taken it: the registry is being asked. */
static void want_token (farm_t *self, zsock_t *worker, const char *scope)
{
    say (self, worker, "want-token", json_pack ("{s:i, s:i, s:s, s:s}", "job", 1, "attempt", 1, "host", self->fake.host, "scope", scope));
    assert_string_equal (ask (self, worker, "heartbeat", json_pack ("{s:[{s:i, s:i}]}", "attempts", "job", 1, "attempt", 1)), "alive");
}

static void let_the_token_come (farm_t *self)
{
    err_t err = { 0 };
    AUTO_FREE char *url = mem_printf ("http://%s/token", self->fake.host);
    AUTO_FREE http_answer_t *answer = mem_alloc (sizeof *answer);
    http_t *http = http_new ();
    assert_int_equal (http_open (http, &(http_request_t) { .method = "GET", .url = url, .timeout_ms = PATIENCE_MS }, answer, &err), 0);
    assert_int_equal (answer->status, 200);
    http_destroy (&http);
}

/* What an admin says while the registry is being asked takes the attempt from the worker. */
static void hold_back_token (farm_t *self, const char *verb, json_t *header, const char *answer)
{
    zsock_t *admin = somebody (self, "admin"), *worker = somebody (self, "worker");
    run (self);
    give_job_there (self, admin, worker);
    want_token (self, worker, "repository:b:pull");
    let_the_token_come (self);
    assert_string_equal (hear (worker), "token");
    want_token (self, worker, "repository:b:pull,push");
    assert_string_equal (ask (self, admin, verb, header), answer);
    assert_string_equal (hear (worker), "abort");
    let_the_token_come (self);
    assert_string_equal (hear (worker), "stale");
    zsock_destroy (&worker);
    zsock_destroy (&admin);
}

static void a_token_that_comes_when_the_attempt_has_ended_stays_here (void **state)
{
    hold_back_token (*state, "cancel", of_build (1), "build");
}

static void a_token_that_comes_when_the_worker_was_revoked_stays_here (void **state)
{
    hold_back_token (*state, "revoke", revoke_of ("worker", "worker"), "revoked");
}

/* -- bytes --------------------------------------------------------------------------------------------------------- */

static void send_frames (zsock_t *peer, const char *const *frames)
{
    zmsg_t *message = zmsg_new ();
    for (; *frames; frames++)
        zmsg_addstr (message, *frames);
    assert_int_equal (zmsg_send (&message, peer), 0);
}

/* Says what is denied, and answered by that code, until the connection ends; how often that was denied. Takes header. */
static int count_denied (farm_t *self, zsock_t *peer, const char *verb, json_t *header, const void *body, size_t size, const char *code)
{
    int fd, count = 0;
    AUTO (monitor) monitor_t *monitor = monitor_new (peer, ZMQ_EVENT_DISCONNECTED, NULL);
    zpoller_t *poller = zpoller_new (monitor_socket (monitor), peer, NULL);
    zsock_set_reconnect_ivl (peer, -1);
    for (say_body (self, peer, verb, json_incref (header), body, size); count < 3 * CONDUCT_REFUSED_MAX && zpoller_wait (poller, PATIENCE_MS) == peer; count++) {
        assert_string_equal (hear (peer), code);
        say_body (self, peer, verb, json_incref (header), body, size);
    }
    assert_int_equal (monitor_next (monitor, &fd), ZMQ_EVENT_DISCONNECTED);
    zpoller_destroy (&poller);
    json_decref (header);
    return count;
}

/* By its role, or because its right was taken back. */
static void who_is_denied_again_and_again_loses_the_connection (void **state)
{
    farm_t *self = *state;
    zsock_t *admin = somebody (self, "admin"), *viewer = somebody (self, "viewer"), *user = somebody (self, "submitter");
    run (self);
    assert_string_equal (hello (self, admin, false), "welcome");
    assert_string_equal (hello (self, viewer, false), "welcome");
    assert_string_equal (hello (self, user, false), "welcome");
    assert_string_equal (ask (self, admin, "revoke", revoke_of ("user", "submitter")), "revoked");
    assert_in_range (count_denied (self, viewer, "users", json_object (), NULL, 0, "denied"), CONDUCT_REFUSED_MAX, 3 * CONDUCT_REFUSED_MAX);
    assert_in_range (count_denied (self, user, "list", json_object (), NULL, 0, "denied"), CONDUCT_REFUSED_MAX, 3 * CONDUCT_REFUSED_MAX);
    assert_string_equal (ask (self, admin, "list", json_object ()), "builds");
    zsock_destroy (&user);
    zsock_destroy (&viewer);
    zsock_destroy (&admin);
}

/* What is refused after rows were written for it costs a look through the whole queue: here the role is another already when the limits are seen to be none. */
static void who_has_rows_taken_back_again_and_again_loses_the_connection (void **state)
{
    farm_t *self = *state;
    zsock_t *admin = somebody (self, "admin"), *user = somebody (self, "submitter");
    json_t *header = json_pack ("{s:s, s:s, s:{s:[s]}}", "name", "submitter", "role", "viewer", "limits", "repositories", "a pattern of none");
    run (self);
    assert_string_equal (hello (self, admin, false), "welcome");
    assert_in_range (count_denied (self, admin, "grant", header, NULL, 0, "usage"), CONDUCT_REFUSED_MAX, 3 * CONDUCT_REFUSED_MAX - 1);
    zsock_destroy (&user);
    zsock_destroy (&admin);
}

/* What its role may, but not with what is another's. */
static void who_asks_for_anothers_logs_and_objects_again_and_again_loses_the_connection (void **state)
{
    farm_t *self = *state;
    static const char *const acts [] = { "read-log", "log", "want" };
    digest_t object = digest_of (content, sizeof content);
    keypair_t admin;
    enrol (self, "admin", &admin);
    zsock_t *user = somebody_at_objects (self, "submitter"), *writer = somebody_at_objects (self, "worker"), *reader = somebody_at_objects (self, "worker");
    zsock_t *other = somebody_at_objects (self, "worker");
    zstr_sendx (self->depot, "OPEN-LOG", "1", "1", "999", NULL);
    run (self);
    assert_in_range (count_denied (self, user, "read-log", log_of (0), NULL, 0, "denied"), CONDUCT_REFUSED_MAX, 3 * CONDUCT_REFUSED_MAX);
    assert_in_range (count_denied (self, writer, "log", log_of (0), "x", 1, "denied"), CONDUCT_REFUSED_MAX, 3 * CONDUCT_REFUSED_MAX);
    assert_in_range (count_denied (self, reader, "want", json_object (), object.bytes, DIGEST_SIZE, "not-found"), CONDUCT_REFUSED_MAX, 3 * CONDUCT_REFUSED_MAX);
    for (int i = 0; i < 2 * CONDUCT_REFUSED_MAX; i++)           /* what is not there is no denial */
        assert_string_equal (ask_body (self, other, "want", json_object (), DIGEST_SIZE), "not-found");
    zsock_destroy (&other);
    zsock_destroy (&reader);
    zsock_destroy (&writer);
    zsock_destroy (&user);
    zstr_send (self->actor, "STOP");
    assert_string_equal (word (self, PATIENCE_MS), "STOPPED");         /* the depot has told all but its last second's by then */
    actor_destroy (&self->actor);
    for (size_t i = 0; i < 3; i++)
        assert_in_range (sum_of_audit (self, &admin, acts [i]), 1, 3 * CONDUCT_REFUSED_MAX);
}

/* The gateway asks for agents itself. */
static void who_asks_for_the_agent_of_anothers_attempt_is_in_the_audit_log (void **state)
{
    farm_t *self = *state;
    err_t err = { 0 };
    zsock_t *admin = somebody (self, "admin"), *builder = somebody (self, "worker"), *worker = somebody (self, "worker");
    give_job (self, builder, worker);
    assert_string_equal (hello (self, admin, false), "welcome");
    json_t *asked = json_pack ("{s:i, s:i, s:s}", "job", 1, "attempt", 1, "agent", "default");
    assert_string_equal (ask_body (self, worker, "ask-agent", asked, 1), "denied");
    AUTO_JSON json_t *row = NULL;
    for (int i = 0; i < 100 && !row; i++) {             /* it is written at the end of the batch, and the answer may leave before */
        say (self, admin, "audit", json_object ());
        AUTO (msg) msg_t *log = msg_recv (admin, NULL, NULL, NULL, &err);
        row = json_incref (json_array_get (json_object_get (msg_header (log), "rows"), 0));
    }
    assert_non_null (row);
    assert_string_equal (json_string_value (json_object_get (row, "act")), "ask-agent");
    assert_string_equal (json_string_value (json_object_get (row, "outcome")), "denied");
    zsock_destroy (&worker);
    zsock_destroy (&builder);
    zsock_destroy (&admin);
}

static void what_is_no_message_is_answered_and_harms_nobody (void **state)
{
    farm_t *self = *state;
    AUTO_FREE char *deep = many ("[", 60000), *deeper = many ("{\"seq\":", 9000), *large = many (" ", 65537), *body = many ("x", 300000);
    const char *const parcels [] [7] = {
        { "list" }, { "list", "{\"seq\":1}" }, { "list", "{\"seq\":1}", "", "" }, { "list", "{\"seq\":1}", "", "", "", "" },
        { "", "{\"seq\":1}", "" }, { "LIST", "{\"seq\":1}", "" }, { "_seq", "1", "" }, { "list\n", "{\"seq\":1}", "" },
        { "list-of-all-that-there-is-or-was-here", "{}", "" }, { "nothing", "{}", "" },
        { "list", "", "" }, { "list", "{", "" }, { "list", "1", "" }, { "list", "[]", "" }, { "list", "{\"seq\":1} ", "x", "" },
        { "list", "{\"seq\":0}", "" }, { "list", "{\"seq\":-1}", "" }, { "list", "{\"seq\":9007199254740992}", "" },
        { "list", "{\"seq\":18446744073709551617}", "" }, { "list", "{\"seq\":1.5}", "" }, { "list", "{\"seq\":\"1\"}", "" },
        { "list", "{\"seq\":1,\"seq\":2}", "" }, { "list", "{\"seq\":1,\"limit\":51}", "" }, { "list", "{\"seq\":1,\"\xff\":1}", "" },
        { "list", "{\"seq\":1,\"\\u0000\":1}", "" }, { "list", "{\"seq\":1,\"\\u001b[2J\":1}", "" },
        { "inspect", "{\"seq\":1,\"build\":0}", "" }, { "list", deep, "" }, { "list", deeper, "" }, { "list", large, "" },
        { "list", "{\"seq\":1}", body },
    };
    zsock_t *submitter = somebody (self, "submitter");
    run (self);
    assert_string_equal (hello (self, submitter, false), "welcome");
    for (size_t i = 0; i < sizeof parcels / sizeof *parcels; i++) {
        send_frames (submitter, parcels [i]);
        if (strcmp (hear (submitter), "protocol") != 0)
            fail_msg ("parcel %zu is not refused", i);
    }
    assert_string_equal (ask (self, submitter, "list", json_object ()), "builds");
    zsock_destroy (&submitter);
}

/* libzmq closes the connection of a frame above ZMQ_MAXMSGSIZE; the client's socket connects again by itself. */
static void a_giant_frame_ends_its_own_connection (void **state)
{
    farm_t *self = *state;
    AUTO_FREE char *giant = many ("x", 400 * 1024);
    const char *const frames [] = { "list", "{\"seq\":1}", giant, NULL };
    zsock_t *submitter = somebody (self, "submitter"), *other = somebody (self, "viewer");
    run (self);
    assert_string_equal (hello (self, submitter, false), "welcome");
    send_frames (submitter, frames);
    assert_string_equal (hello (self, other, false), "welcome");
    zsock_set_rcvtimeo (submitter, 200);
    assert_null (zframe_recv (submitter));
    zsock_set_rcvtimeo (submitter, PATIENCE_MS);
    assert_string_equal (hello (self, submitter, false), "welcome");
    zsock_destroy (&submitter);
    zsock_destroy (&other);
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
    zsys_init ();
    zsys_handler_set (NULL);
    without_proxies ();
    const struct CMUnitTest tests [] = {
        cmocka_unit_test_setup_teardown (a_question_may_follow_hello_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown (a_right_that_was_taken_back_is_worth_nothing_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown (a_worker_that_watches_hears_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown (who_watches_another_s_build_hears_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown (who_may_not_build_is_not_told_what_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown (only_an_admin_prunes, setup, teardown),
        cmocka_unit_test_setup_teardown (a_job_of_a_worker_that_has_ended_is_another_s_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown (a_job_of_a_worker_whose_connection_was_reset_waits_for_it, setup, teardown),
        cmocka_unit_test_setup_teardown (a_coordinator_that_stops_begins_nothing_new, setup, teardown),
        cmocka_unit_test_setup_teardown (a_stop_loses_no_number_of_what_was_denied, setup, teardown),
        cmocka_unit_test_setup_teardown (whoever_waits_for_a_prune_is_answered_when_the_coordinator_stops, setup, teardown),
        cmocka_unit_test_setup_teardown (a_prune_too_many_is_no_row, setup, teardown),
        cmocka_unit_test_setup_teardown (each_role_says_its_own_verbs_only, setup, teardown),
        cmocka_unit_test_setup_teardown (each_role_asks_for_its_own_objects_only, setup, teardown),
        cmocka_unit_test_setup_teardown (what_was_taken_already_is_denied_with_the_right, setup, teardown),
        cmocka_unit_test_setup_teardown (who_waits_for_a_log_waits_with_the_right_of_now, setup, teardown),
        cmocka_unit_test_setup_teardown (who_asks_too_early_denies_the_log_to_himself_alone, setup, teardown),
        cmocka_unit_test_setup_teardown (that_a_job_was_not_there_is_told_whoever_asked_then, setup, teardown),
        cmocka_unit_test_setup_teardown (a_job_of_a_lost_batch_is_nobody_s, setup, teardown),
        cmocka_unit_test_setup_teardown (who_waits_for_logs_leaves_room_for_others, setup, teardown),
        cmocka_unit_test_setup_teardown (bodies_that_are_none_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown (who_is_denied_again_and_again_loses_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown (who_has_rows_taken_back_again_and_again_loses_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown (who_asks_for_anothers_logs_and_objects_again_and_again_loses_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown (who_asks_for_the_agent_of_anothers_attempt_is_in_the_audit_log, setup, teardown),
        cmocka_unit_test_setup_teardown (the_agent_of_the_build_s_owner_alone_is_asked, setup, teardown),
        cmocka_unit_test_setup_teardown (an_agent_s_answer_has_the_form_of_one, setup, teardown),
        cmocka_unit_test_setup_teardown (an_agent_s_answer_that_comes_when_the_attempt_has_ended_stays_here, setup, teardown),
        cmocka_unit_test_setup_teardown (an_agent_s_answer_that_comes_when_the_worker_was_revoked_stays_here, setup, teardown),
        cmocka_unit_test_setup_teardown (an_agent_s_answer_that_comes_with_the_end_stays_here_too, setup, teardown),
        cmocka_unit_test_setup_teardown (a_token_that_comes_when_the_attempt_has_ended_stays_here, setup_with_slow_tokens, teardown),
        cmocka_unit_test_setup_teardown (a_token_that_comes_when_the_worker_was_revoked_stays_here, setup_with_slow_tokens, teardown),
        cmocka_unit_test_setup_teardown (what_is_no_message_is_answered_and_harms_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown (a_giant_frame_ends_its_own_connection, setup, teardown),
    };
    int failed = cmocka_run_group_tests (tests, NULL, NULL);
    zsys_shutdown ();
    return failed;
}
