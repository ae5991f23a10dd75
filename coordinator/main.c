/* main.c - farm-coordinator: puts the parts together, and waits for a signal to take them apart. */
#include <czmq.h>
#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/actor.h"
#include "common/clock.h"
#include "common/daemon.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/msg.h"
#include "common/secret.h"
#include "coordinator/db.h"
#include "coordinator/depot_service.h"
#include "coordinator/gateway.h"
#include "coordinator/options.h"
#include "coordinator/setup.h"
#include "coordinator/source_rules.h"
#include "coordinator/verify_level.h"
#include "coordinator/watchman.h"
#include "coordinator/web.h"
#include "coordinator/zap.h"

typedef struct {
    settings_t *settings;
    registry_settings_t registry;
    registry_tally_t tally;
    letter_settings_t letters;
    char *logs_folder;
    setup_keys_t keys;
    int lock;
    int signals;
    int64_t stop_until;             /* boot clock; INT64_MAX: not told to end */
    seal_t *seal;
    json_t *sources;                /* source_rules.h */
    engine_t *engine;
    char *audit_head;
    depot_service_t *depot_service;
    web_t *web;                     /* NULL: http/bind is off */
    gateway_t *gateway;
    watchman_settings_t watched;
    zsock_t *zap, *depot_actor, *web_actor, *gateway_actor, *watchman;
} coordinator_t;

static engine_settings_t engine_settings (const settings_t *settings)
{
    return (engine_settings_t) {
        .heartbeat_ms = settings_number (settings, "lease/heartbeat-ms"),
        .lease_ms = settings_number (settings, "lease/duration-ms"),
        .gone_grace_ms = settings_number (settings, "lease/gone-grace-ms"),
        .ended_grace_ms = settings_number (settings, "lease/ended-grace-ms"),
        .retry_ms = settings_number (settings, "retry/delay-ms"),
        .quarantine_ms = settings_number (settings, "worker/quarantine-ms"),
        .affinity_ms = settings_number (settings, "queue/affinity-ms"),
        .ageing_ms = settings_number (settings, "queue/ageing-ms"),
        .build_keep_ms = settings_number (settings, "retention/build-ms"),
        .builds_max = settings_number (settings, "retention/builds"),
        .result_keep_ms = settings_number (settings, "result/keep-ms"),
        .looks_up = settings_bool (settings, "bases/lookup"),
        .verify_least = (int) verify_level_of (settings_text (settings, "verify/least")),
        .bases = settings_list (settings, "registry/bases"),
        .staging = settings_text (settings, "registry/staging"),
        .news_gather_ms = settings_number (settings, "news/gather-ms"),
        .news_retry_ms = settings_number (settings, "news/retry-ms"),
        .news_give_up_ms = settings_number (settings, "news/give-up-ms"),
        .news_lost_ms = settings_number (settings, "news/lost-ms"),
        .news_remind_ms = settings_number (settings, "news/remind-ms"),
        .has_mail = settings_text (settings, "mail/server") != NULL,
        .mail_allow = settings_list (settings, "mail/allow"),
        .hook_plain_http = settings_list (settings, "hook/plain-http"),
        .hook_inside = settings_list (settings, "hook/inside"),
        .attempts_max = (int) settings_number (settings, "retry/attempts"),
        .job_timeout_ms = settings_number (settings, "job/timeout-ms"),
        .job_timeout_max_ms = settings_number (settings, "job/timeout-max-ms"),
        .queue_max = (int) settings_number (settings, "queue/limit"),
    };
}

static int open_state (coordinator_t *self, err_t *err)
{
    const char *state = settings_text (self->settings, "state");
    AUTO_FREE char *lock = file_join (state, "lock");
    AUTO_FREE char *database = file_join (state, "farm.db");
    if (file_make_folders (state, 0700, err) < 0)
        return err_wrap (err, "state folder");
    self->lock = file_lock (lock, 0, err);
    if (self->lock < 0)
        return err_wrap (err, "state folder %s", state);
    file_sweep (state);
    if (setup_keys (&self->keys, self->settings, err) < 0)
        return -1;
    self->seal = seal_new (self->keys.secrets.secret_key);
    sodium_memzero (&self->keys.secrets, sizeof self->keys.secrets);
    engine_settings_t times = engine_settings (self->settings);
    times.sources = self->sources = source_rules_new (self->settings, err);
    if (!self->sources)
        return -1;
    if (engine_open (&self->engine, database, &times, clock_boot_ms (), err) < 0)
        return -1;
    self->audit_head = file_join (state, "audit.head");
    if (setup_audit (self->engine, self->audit_head, clock_wall_ms (), err) < 0)
        return -1;
    return setup_principals (self->engine, &self->keys, clock_wall_ms (), err);
}

static int start_depot (coordinator_t *self, err_t *err)
{
    depot_service_settings_t settings = {
        .state_folder = settings_text (self->settings, "state"),
        .endpoint = settings_text (self->settings, "objects/bind"),
        .connections_max = settings_number (self->settings, "connections/per-key"),
        .server = &self->keys.server,
        .log_limit_bytes = settings_number (self->settings, "log/limit"),
        .log_keep_ms = settings_number (self->settings, "retention/log-ms"),
        .log_total_bytes = settings_number (self->settings, "retention/log-total"),
        .context_total_bytes = settings_number (self->settings, "retention/context-total"),
        .context_limits = { settings_number (self->settings, "context/entries"), settings_number (self->settings, "context/size") },
        .collect_grace_ms = settings_number (self->settings, "depot/grace-ms"),
        .free_floor_bytes = settings_number (self->settings, "depot/free-floor"),
    };
    if (depot_service_new (&self->depot_service, &settings, err) < 0)
        return -1;
    self->depot_actor = actor_new (depot_service_actor, self->depot_service, err);
    return self->depot_actor ? 0 : -1;
}

static int start_web (coordinator_t *self, err_t *err)
{
    const char *bind = settings_text (self->settings, "http/bind");
    if (streq (bind, "off"))
        return 0;
    if (web_new (&self->web, bind, self->seal, err) < 0)
        return -1;
    self->web_actor = actor_new (web_actor, self->web, err);
    return self->web_actor ? 0 : -1;
}

static void set_letters (coordinator_t *self)
{
    const settings_t *settings = self->settings;
    self->logs_folder = file_join (settings_text (settings, "state"), "logs");
    self->letters = (letter_settings_t) {
        .logs_folder = self->logs_folder, .mail_server = settings_text (settings, "mail/server"), .mail_from = settings_text (settings, "mail/from"),
        .mail_user = settings_text (settings, "mail/user"), .mail_password_file = settings_text (settings, "mail/password-file"),
        .mail_allow = settings_list (settings, "mail/allow"),
        .mail_ca_file = settings_text (settings, "mail/ca-file"), .is_mail_tls = settings_bool (settings, "mail/tls"),
        .mail_timeout_ms = (int) settings_number (settings, "mail/timeout-ms"), .hook_plain_http = settings_list (settings, "hook/plain-http"),
        .hook_inside = settings_list (settings, "hook/inside"), .hook_ca_file = settings_text (settings, "hook/ca-file"),
        .hook_timeout_ms = (int) settings_number (settings, "hook/timeout-ms"),
    };
    memcpy (self->letters.key, self->keys.news.secret_key, KEY_SIZE);
    sodium_memzero (&self->keys.news, sizeof self->keys.news);
}

static int start_gateway (coordinator_t *self, err_t *err)
{
    set_letters (self);
    self->registry = (registry_settings_t) {
        .plain_http_hosts = settings_list (self->settings, "registry/plain-http"),
        .inside_hosts = settings_list (self->settings, "registry/inside"),
        .auth_file = settings_text (self->settings, "registry/auth-file"),
        .certs_folder = settings_text (self->settings, "registry/certs"),
        .timeout_ms = (int) settings_number (self->settings, "registry/timeout-ms"),
        .tally = &self->tally,
    };
    gateway_parts_t parts = {
        .settings = self->settings, .server = &self->keys.server, .registry = &self->registry,
        .engine = self->engine, .zap = self->zap, .depot = self->depot_actor, .web = self->web_actor, .objects = depot_service_depot (self->depot_service),
        .sources = self->sources, .audit_head = self->audit_head, .seal = self->seal, .letters = &self->letters,
    };
    if (gateway_new (&self->gateway, &parts, err) < 0)
        return -1;
    if (setup_invite (&self->keys, self->settings, gateway_endpoint (self->gateway),
                      depot_service_endpoint (self->depot_service), err) < 0)
        return -1;
    self->gateway_actor = actor_new (gateway_actor, self->gateway, err);
    return self->gateway_actor ? 0 : -1;
}

static void let_in (void *zap, const char *key_hex)
{
    zap_allow (zap, key_hex);
}

static int start_watchman (coordinator_t *self, err_t *err)
{
    self->watched = (watchman_settings_t) {
        .ports = { msg_port (gateway_endpoint (self->gateway)), msg_port (depot_service_endpoint (self->depot_service)) } };
    self->watchman = actor_new (watchman_actor, &self->watched, err);
    return self->watchman ? 0 : -1;
}

/* Keys before sockets: whom ZAP refuses once, libzmq never lets try again. */
static int start (coordinator_t *self, err_t *err)
{
    if (open_state (self, err) < 0)
        return -1;
    self->zap = actor_new (zap_actor, NULL, err);
    if (!self->zap)
        return -1;
    engine_each_key (self->engine, let_in, self->zap);
    if (start_depot (self, err) < 0 || start_web (self, err) < 0 || start_gateway (self, err) < 0 || start_watchman (self, err) < 0)
        return -1;
    log_info ("main", "control socket %s, objects socket %s, state %s", gateway_endpoint (self->gateway),
              depot_service_endpoint (self->depot_service), settings_text (self->settings, "state"));
    if (self->web)
        log_info ("main", "http://%s/ has metrics, healthz, readyz and hooks", web_endpoint (self->web));
    log_info ("main", "ready");
    return 0;
}

/* -- end -------------------------------------------------------------------------------------------------------- */

/* It goes on; nothing is under way any more; whatever is under way is left as it is. */
typedef enum { END_NOT, END_DONE, END_NOW } end_t;

/* A second signal, and SIGINT, wait for nothing. */
static end_t take_signal (coordinator_t *self, int signal)
{
    if (signal == 0)
        return END_NOT;
    if (signal != SIGTERM || self->stop_until != INT64_MAX) {
        log_info ("main", "told to end at once");
        return END_NOW;
    }
    int64_t stop_ms = settings_number (self->settings, "stop-ms");
    self->stop_until = clock_boot_ms () + stop_ms;
    log_info ("main", "told to end: nothing new is begun; what is being published, verified or sent may go on for %lld s (stop-ms)",
              (long long) stop_ms / 1000);
    zstr_send (self->gateway_actor, "STOP");
    return END_NOT;
}

/* The gateway has stopped, or cannot go on (err). */
static end_t take_word (coordinator_t *self, err_t *err)
{
    char *kind = NULL, *text = NULL;
    zstr_recvx (self->gateway_actor, &kind, &text, NULL);
    bool has_stopped = kind && streq (kind, "STOPPED");
    if (!has_stopped)
        err_set (err, ERR_FARM, "the gateway ended: %s", text ? text : "?");
    zstr_free (&kind);
    zstr_free (&text);
    return has_stopped ? END_DONE : END_NOW;
}

static end_t wait_for_end (coordinator_t *self, err_t *err)
{
    zmq_pollitem_t items [] = {
        { .socket = zsock_resolve (self->gateway_actor), .events = ZMQ_POLLIN },
        { .fd = self->signals, .events = ZMQ_POLLIN },
    };
    end_t end = END_NOT;
    while (end == END_NOT) {
        int64_t left = self->stop_until == INT64_MAX ? -1 : self->stop_until - clock_boot_ms ();
        if (zmq_poll (items, 2, self->stop_until == INT64_MAX ? -1 : left < 0 ? 0 : (long) left) < 0)
            continue;           /* EINTR */
        if (items [1].revents & ZMQ_POLLIN)
            end = take_signal (self, daemon_next_signal (self->signals));
        else if (items [0].revents & ZMQ_POLLIN)
            end = take_word (self, err);
        else if (clock_boot_ms () >= self->stop_until) {
            log_warn ("main", "something is still being published, verified or sent: it is taken up again at the next start");
            end = END_NOW;
        }
    }
    return end;
}

/* A publisher may wait for a registry for long, so what it uses is left to it: the process ends. Its task stands in the queue. */
static void leave (coordinator_t *self, int status)
{
    actor_destroy (&self->gateway_actor);
    if (self->gateway)
        gateway_end_fetches (self->gateway);
    actor_destroy (&self->web_actor);
    actor_destroy (&self->depot_actor);
    depot_service_destroy (&self->depot_service);
    engine_destroy (&self->engine);
    _exit (status);
}

static void stop (coordinator_t *self)
{
    actor_destroy (&self->watchman);
    actor_destroy (&self->gateway_actor);
    gateway_destroy (&self->gateway);
    actor_destroy (&self->web_actor);
    web_destroy (&self->web);
    actor_destroy (&self->depot_actor);
    depot_service_destroy (&self->depot_service);
    actor_destroy (&self->zap);
    engine_destroy (&self->engine);
    seal_destroy (&self->seal);
    json_decref (self->sources);
    settings_destroy (&self->settings);
    free (self->audit_head);
    free (self->logs_folder);
    sodium_memzero (&self->letters, sizeof self->letters);
    sodium_memzero (&self->keys, sizeof self->keys);
    auto_close (&self->lock);
    auto_close (&self->signals);
}

int main (int argc, char **argv)
{
    err_t err = { 0 };
    coordinator_t self = { .lock = -1, .signals = -1, .stop_until = INT64_MAX };
    if (sodium_init () < 0)
        return 1;
    mallopt (M_MMAP_THRESHOLD, 128 * 1024);         /* for good: what a crowd sends goes back to the system when it is ended, at once */
    db_prepare_process ();
    secret_guard_process ();
    umask (S_IRWXG | S_IRWXO);          /* the queue has build arguments, the depot the contexts: also in a folder that was there */
    self.settings = options_read (argc, argv, &err);
    if (!self.settings)
        fprintf (stderr, "farm-coordinator: %s\n", err.text);      /* to the person who called it: no line of a log */
    else {
        daemon_raise_limits (4096);
        self.signals = daemon_catch_signals ();
        zsys_init ();
        zsys_handler_set (NULL);
        end_t end = start (&self, &err) < 0 ? END_DONE : wait_for_end (&self, &err);
        if (err.code != ERR_NONE)
            log_error ("main", "%s", err.text);
        if (end == END_NOW)
            leave (&self, err_exit_code (err.code));
    }
    stop (&self);
    return err_exit_code (err.code);
}
