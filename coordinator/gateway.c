/* gateway.c - the coordinator's loop.
 *
 *     control ROUTER --+                                    +--> control ROUTER (answers, assignments, changes)
 *     monitor (ends) --+--> batch --> engine --> actions ---+--> depot service (logs, keys)
 *     depot service  --+      one transaction               +--> publishers (verify, publish)
 *     publishers     --+                                    +--> courier (news)
 *     courier        --+                                    +--> fetchers (contexts)
 *     fetchers       --+
 */
#include "coordinator/gateway_private.h"

#include <string.h>

#include "common/actor.h"
#include "common/backlog.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "coordinator/courier.h"
#include "coordinator/denials.h"
#include "coordinator/news_words.h"
#include "coordinator/rights.h"
#include "coordinator/zap.h"

enum { BATCH_MAX = 96, CONTROL_HIGH_WATER = 250, TICK_WAITS_MS = 1000, DETAIL_MAX = 400 };

/* -- who may speak ---------------------------------------------------------------------------------------------- */

static void tell_depot (gateway_t *self, const char *key_hex)
{
    principal_t principal;
    if (engine_find_principal (self->parts.engine, key_hex, &principal, NULL) < 0)
        return;
    char id [24];
    snprintf (id, sizeof id, "%lld", (long long) principal.id);
    zstr_sendx (self->parts.depot, "PRINCIPAL", key_hex, id, principal.role, NULL);
}

static void let_in (void *argument, const char *key_hex)
{
    gateway_t *self = argument;
    zap_allow (self->parts.zap, key_hex);
    tell_depot (self, key_hex);
}

/* Whatever it asked to be told of is not for it any more, or will be asked for again. */
static void forget_watches (gateway_t *self, const char *key_hex)
{
    for (peer_t *peer = peers_first (self->peers); peer; peer = peers_next (self->peers))
        if (streq (peer->key_hex, key_hex))
            peer->watch_count = 0;
}

/* Before the answer leaves, so that a joiner can connect at once, and whoever took a right back can rely on it. */
void gateway_let (gateway_t *self, const json_t *header)
{
    const char *key_hex = json_string_value (json_object_get (header, "key"));
    forget_watches (self, key_hex);
    if (*json_string_value (json_object_get (header, "role"))) {
        let_in (self, key_hex);
        return;
    }
    zap_deny (self->parts.zap, key_hex);
    zstr_sendx (self->parts.depot, "REVOKE", key_hex, NULL);
}

/* -- events ----------------------------------------------------------------------------------------------------- */

void gateway_give_engine (gateway_t *self, const char *verb, uint64_t peer, int64_t principal, const json_t *header)
{
    event_t event = { .verb = verb, .peer = peer, .principal = principal, .header = header };
    engine_handle (self->parts.engine, &event);
}

void gateway_note_denial (gateway_t *self, const char *key_hex, const char *act, const char *detail, int64_t times)
{
    AUTO_FREE char *line = news_words_line (detail, DETAIL_MAX);       /* there may be a stranger's bytes in it */
    AUTO_JSON json_t *header = json_pack ("{s:s, s:s, s:s, s:I}", "key", key_hex, "act", act, "detail", line, "times", (json_int_t) times);
    if (header)
        gateway_give_engine (self, "denied", 0, 0, header);
}

static void take_denials (gateway_t *self)
{
    for (int i = 0; i < BATCH_MAX && zsock_events (self->denials) & ZMQ_POLLIN; i++) {
        char *key = NULL, *act = NULL, *text = NULL, *times = NULL;
        if (zstr_recvx (self->denials, &key, &act, &text, &times, NULL) >= 0 && times)
            gateway_note_denial (self, key, act, text, strtoll (times, NULL, 10));
        zstr_free (&key);
        zstr_free (&act);
        zstr_free (&text);
        zstr_free (&times);
    }
}

/* After the commit: a row that the file knows is in the database. */
static void note_head (gateway_t *self)
{
    int64_t id;
    char hash [65];
    err_t err;
    if (!self->parts.audit_head || !engine_take_audit_head (self->parts.engine, &id, hash))
        return;
    AUTO_FREE char *text = mem_printf ("%lld %s\n", (long long) id, hash);
    if (file_write (self->parts.audit_head, text, strlen (text), 0600, &err) < 0)
        log_error ("gateway", "note the audit log's last row: %s", err.text);
}

/* The engine has a row of it, once it is taken. */
static void on_prune (gateway_t *self, peer_t *peer, int64_t principal, const msg_t *message)
{
    err_t err = { 0 };
    int64_t seq = msg_int (message, "seq");
    if (collector_ask (self->collector, peer->number, seq, msg_bool (message, "dry_run"))) {
        gateway_give_engine (self, "prune", 0, principal, msg_header (message));
        return;
    }
    err_set (&err, ERR_FULL, "prune: too many wait for one: ask again later");
    gateway_send_error (self, peer, seq, &err);
}

/* A user's is always welcome, so what comes right behind it need not wait until that was said. */
static bool is_users_hello (const msg_t *message, const principal_t *principal)
{
    return msg_is (message, "hello") && !json_object_get (msg_header (message), "worker") && !streq (principal->role, "worker");
}

/* What is first on a connection, or asked by a thread of a worker on one of its own: for the attempt that it names, whose lease tells whose it is. */
static bool needs_no_hello (const msg_t *message)
{
    return msg_is (message, "hello") || msg_is (message, "join") || msg_is (message, "want-secret") || msg_is (message, "want-token") || msg_is (message, "pin")
           || msg_is (message, "ask-agent");
}

/* Answered when context and Dockerfile are known to be on disk. */
static bool needs_context (const msg_t *message)
{
    return (msg_is (message, "submit") || msg_is (message, "add-schedule")) && json_object_get (json_object_get (msg_header (message), "spec"), "context");
}

static void on_watch (peer_t *peer, const msg_t *message)
{
    const json_t *agents = json_object_get (msg_header (message), "agents");
    peer_watch (peer, msg_int (message, "build"));
    if (agents)
        gateway_offer_agents (peer, msg_int (message, "build"), agents);
}

static void on_message (gateway_t *self, peer_t *peer, msg_t *message)
{
    err_t err = { 0 };
    principal_t principal;
    if (engine_find_principal (self->parts.engine, peer->key_hex, &principal, &err) < 0) {
        if (err.code == ERR_DENIED)
            gateway_deny (self, peer, message, &err);
        else
            gateway_send_error (self, peer, msg_int (message, "seq"), &err);
        return;
    }
    if (!peer->has_said_hello && !needs_no_hello (message)) {
        gateway_send (self, peer, "who", NULL);
        return;
    }
    bool may = rights_may (principal.role, msg_verb (message));       /* if not, that is the answer of who would do it */
    if (may && gateway_puts_off (self, peer, message))
        return;
    if (may && is_users_hello (message, &principal))
        peer->has_said_hello = true;
    if (may && msg_is (message, "watch"))
        on_watch (peer, message);
    if (may && msg_is (message, "prune"))
        on_prune (self, peer, principal.id, message);
    else if (may && msg_is (message, "secret"))
        gateway_take_secret (self, peer, principal.id, message);
    else if (may && msg_is (message, "order-schedule") && streq (msg_text (message, "order"), "hook"))
        gateway_take_hook (self, peer, principal.id, message);
    else if (may && msg_is (message, "ask-agent"))
        gateway_ask_agent (self, peer, principal.id, message);
    else if (may && msg_is (message, "agent-reply"))
        gateway_reply_agent (self, peer, message);
    else if (may && needs_context (message))
        submissions_add (self->submissions, self->parts.depot, peer->number, &principal, msg_verb (message), msg_header (message));
    else
        gateway_give_engine (self, msg_verb (message), peer->number, principal.id, msg_header (message));
}

/* A descriptor is closed after the monitor has told it, so what stands here was its last owner (see take_message). */
static void take_ends (gateway_t *self)
{
    int fd;
    while (monitor_next (self->monitor, &fd)) {
        uint64_t gone [16];
        size_t count = peers_of_fd (self->peers, fd, gone, 16);
        for (size_t i = 0; i < count; i++) {
            bool was_closed = peer_was_closed (peers_find (self->peers, gone [i]));
            gateway_give_engine (self, was_closed ? "ended" : "gone", gone [i], 0, NULL);
            gateway_end_agents (self, gone [i]);
            peers_remove (self->peers, gone [i]);
        }
    }
}

/* One message of the control socket, when there is one: returns false when there was none. A connection that is heard for the first time may have the
 * descriptor of one that has ended since: that one's end comes before it. */
static bool take_message (gateway_t *self)
{
    err_t err = { 0 };
    zframe_t *routing_id = NULL;
    char key [KEY_HEX_SIZE + 1] = "";
    int fd = -1;
    AUTO (msg) msg_t *message = msg_recv (self->control, &routing_id, key, &fd, &err);
    if (!routing_id)
        return false;
    if (!peers_have (self->peers, routing_id))
        take_ends (self);
    peer_t *peer = peers_find_or_add (self->peers, &routing_id, key, fd);
    if (peer && message && conduct_admit (self->conduct, fd, &err) == 0)
        on_message (self, peer, message);
    else if (peer && !conduct_refuse (self->conduct, key, fd, &err, clock_boot_ms ()))
        gateway_send_error (self, peer, message ? msg_int (message, "seq") : 0, &err);
    return true;
}

static void take_fetchers (gateway_t *self)
{
    for (json_t *header; (header = fetchers_next (self->fetchers)); json_decref (header))
        gateway_give_engine (self, "fetched", 0, 0, header);
}

static void take_publishers (gateway_t *self)
{
    const char *verb;
    json_t *header;
    while ((verb = publishers_next (self->publishers, &header))) {
        gateway_give_engine (self, verb, 0, 0, header);
        json_decref (header);
    }
}

/* Whoever has spoken is heard before anybody counts as silent; but a stream of messages holds the clock up for no longer than that. */
static bool is_tick_due (gateway_t *self)
{
    int64_t overdue_ms = clock_boot_ms () - engine_next_tick (self->parts.engine);
    return overdue_ms >= (zsock_events (self->control) & ZMQ_POLLIN ? TICK_WAITS_MS : 0);
}

/* All that is ready, in one transaction. */
static int take_batch (gateway_t *self, err_t *err)
{
    if (engine_begin (self->parts.engine, clock_boot_ms (), clock_wall_ms (), err) < 0)
        return -1;
    take_ends (self);
    for (int i = 0; i < BATCH_MAX && take_message (self); i++)
        ;
    take_publishers (self);
    take_fetchers (self);
    gateway_take_news (self);
    take_denials (self);
    gateway_take_web (self);
    gateway_take_depot (self);
    gateway_end_agents (self, 0);
    conduct_tell (self->conduct, clock_boot_ms ());
    if (is_tick_due (self))
        gateway_give_engine (self, "tick", 0, 0, NULL);
    int64_t begun_ns = clock_span_ns ();
    if (engine_commit (self->parts.engine, &self->actions, err) < 0)
        return -1;
    metrics_add (self->metrics, "farm_commit_seconds", (double) (clock_span_ns () - begun_ns) / 1e9, NULL, NULL, NULL);
    note_head (self);
    gateway_do_actions (self);
    return self->is_stopping ? 0 : collector_go_on (self->collector, self->parts.engine, self->parts.depot, err);
}

/* -- the loop --------------------------------------------------------------------------------------------------- */

static int wait_ms (const gateway_t *self)
{
    int64_t tick = engine_next_tick (self->parts.engine);
    int64_t collect = self->is_stopping ? INT64_MAX : collector_next (self->collector);
    int64_t agents = agents_due_ms (self->agents);
    int64_t next = collect < tick ? collect : tick;
    next = agents < next ? agents : next;
    int64_t left = next == INT64_MAX ? 60000 : next - clock_boot_ms ();
    return left < 0 ? 0 : left > 60000 ? 60000 : (int) left;
}

static void *rest (gateway_t *self, zpoller_t *poller)
{
    backlog_note_rest (self->port, true);
    void *which = zpoller_wait (poller, wait_ms (self));
    backlog_note_rest (self->port, false);
    return which;
}

/* Only "something is ready" counts, each source is then asked; but the pipe goes first, so that no stream of messages keeps the
 * coordinator from ending. */
static bool wait_for_work (gateway_t *self, zsock_t *pipe, zpoller_t *poller)
{
    if (!(zsock_events (pipe) & ZMQ_POLLIN)) {
        bool has_message = zsock_events (self->control) & ZMQ_POLLIN;
        void *which = has_message ? self->control : rest (self, poller);
        if (which != pipe)
            return which || !zpoller_terminated (poller);
    }
    char *command = zstr_recv (pipe);
    bool goes_on = command && !streq (command, "$TERM");
    if (goes_on && streq (command, "STOP"))
        gateway_begin_stop (self);
    zstr_free (&command);
    return goes_on;
}

static void tell_stopped (gateway_t *self, zsock_t *pipe)
{
    if (!self->is_stopping || self->has_stopped || !gateway_is_idle (self))
        return;
    self->has_stopped = true;
    zstr_send (pipe, "STOPPED");
}

/* What was counted and is no row yet: there is no later batch. */
static void write_last (gateway_t *self)
{
    err_t err = { 0 };
    engine_wind_down (self->parts.engine);
    if (take_batch (self, &err) < 0)
        log_error ("gateway", "%s", err.text);
}

void gateway_actor (zsock_t *pipe, void *gateway)
{
    gateway_t *self = gateway;
    zpoller_t *poller = zpoller_new (pipe, self->control, monitor_socket (self->monitor), self->parts.depot, NULL);
    zpoller_add (poller, self->denials);
    if (self->parts.web)
        zpoller_add (poller, self->parts.web);
    if (self->courier)
        zpoller_add (poller, self->courier);
    publishers_poll (self->publishers, poller);
    credentials_poll (self->credentials, poller);
    fetchers_poll (self->fetchers, poller);
    zsock_signal (pipe, 0);
    engine_resume (self->parts.engine, &self->actions);
    gateway_do_actions (self);
    err_t err = { 0 };
    while (err.code == ERR_NONE && wait_for_work (self, pipe, poller)) {
        if (take_batch (self, &err) < 0) {
            log_error ("gateway", "%s", err.text);
            zstr_sendx (pipe, "FATAL", err.text, NULL);
        } else
            tell_stopped (self, pipe);
    }
    if (err.code == ERR_NONE && self->is_stopping)
        write_last (self);
    zpoller_destroy (&poller);
}

static publishers_t *new_publishers (const gateway_parts_t *parts, err_t *err)
{
    const publisher_settings_t limits = {
        .depot = parts->objects,
        .unpacked_max = settings_number (parts->settings, "verify/unpacked-max"),
        .reading_ms = settings_number (parts->settings, "verify/timeout-ms"),
    };
    return publishers_new ((int) settings_number (parts->settings, "publishers"), (int) settings_number (parts->settings, "verify/readers"),
                           parts->registry, &limits, err);
}

static fetchers_t *new_fetchers (const gateway_parts_t *parts, err_t *err)
{
    AUTO_FREE char *folder = file_join (settings_text (parts->settings, "state"), "git");
    const fetcher_settings_t settings = {
        .depot = parts->objects, .rules = parts->sources, .folder = folder,
        .timeout_ms = settings_number (parts->settings, "git/timeout-ms"), .size_max = settings_number (parts->settings, "git/size"),
        .entries_max = settings_number (parts->settings, "git/entries"), .mirrors_max = settings_number (parts->settings, "git/mirrors"),
        .free_floor_bytes = settings_number (parts->settings, "depot/free-floor"),
        .context_limits = { settings_number (parts->settings, "context/entries"), settings_number (parts->settings, "context/size") },
    };
    return fetchers_new ((int) settings_number (parts->settings, "git/fetchers"), &settings, err);
}

int gateway_new (gateway_t **out, const gateway_parts_t *parts, err_t *err)
{
    AUTO (gateway) gateway_t *self = mem_alloc (sizeof *self);
    self->parts = *parts;
    self->peers = peers_new ();
    self->conduct = conduct_new ("gateway", (size_t) settings_number (parts->settings, "connections/per-key"));
    self->submissions = submissions_new ();
    self->agents = agents_new ();
    self->metrics = metrics_new ();
    self->started_ms = clock_wall_ms ();
    self->credentials = credentials_new (parts->registry, err);
    if (!self->credentials)
        return -1;
    self->collector = collector_new (settings_number (parts->settings, "depot/collect-ms"),
                                     settings_number (parts->settings, "retention/context-ms"));
    self->denials = zsock_new (ZMQ_PULL);
    if (!self->denials || zsock_bind (self->denials, DENIALS_PLACE) != 0)
        return err_set (err, ERR_FARM, "open a socket: %s", zmq_strerror (errno));
    engine_each_key (parts->engine, let_in, self);
    zstr_send (parts->depot, "OPEN");
    self->control = msg_bind (settings_text (parts->settings, "control/bind"), parts->server, CONTROL_HIGH_WATER,
                              self->endpoint, err);
    self->port = msg_port (self->endpoint);
    if (!self->control)
        return -1;
    zsock_set_rcvtimeo (self->control, 0);         /* is there a message? is asked by taking it */
    self->monitor = monitor_new (self->control, ZMQ_EVENT_DISCONNECTED, err);
    if (!self->monitor)
        return -1;
    self->publishers = new_publishers (parts, err);
    if (!self->publishers)
        return -1;
    self->fetchers = new_fetchers (parts, err);
    if (!self->fetchers)
        return -1;
    if (parts->letters && !(self->courier = actor_new (courier_actor, (void *) parts->letters, err)))
        return -1;
    *out = take (&self);
    return 0;
}

void gateway_end_fetches (gateway_t *self)
{
    fetchers_destroy (&self->fetchers);
}

void gateway_destroy (gateway_t **self_p)
{
    gateway_t *self = *self_p;
    if (!self)
        return;
    fetchers_destroy (&self->fetchers);
    actor_destroy (&self->courier);
    publishers_destroy (&self->publishers);
    monitor_destroy (&self->monitor);
    zsock_destroy (&self->control);
    if (self->denials)
        zsock_unbind (self->denials, DENIALS_PLACE);
    zsock_destroy (&self->denials);
    peers_destroy (&self->peers);
    conduct_destroy (&self->conduct);
    submissions_destroy (&self->submissions);
    credentials_destroy (&self->credentials);
    agents_destroy (&self->agents);
    metrics_destroy (&self->metrics);
    json_decref (self->depot_samples);
    json_decref (self->web_samples);
    collector_destroy (&self->collector);
    actions_free (&self->actions);
    buffer_free (&self->owners_asked);
    free (self);
    *self_p = NULL;
}

const char *gateway_endpoint (const gateway_t *self)
{
    return self->endpoint;
}
