/* depot_service.c - the loop of the objects socket.
 *
 *     pipe (gateway: keys, logs, has?) --+
 *                                        +--> a batch: puts together in one transaction, then the others one by one
 *     objects ROUTER --------------------+
 */
#include "coordinator/depot_service.h"

#include <string.h>

#include "common/backlog.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "coordinator/depot_answers.h"
#include "coordinator/rights.h"

/* A peer has 8 requests on the way at most. libzmq counts a queue down in steps of half of it, so 8 would at times look
 * full with fewer, and an answer be lost. */
enum { HIGH_WATER = 16, REST_MS = 1000 };

/* -- new and destroy -------------------------------------------------------------------------------------------- */

static void free_speaker (void **item)
{
    auto_free (item);
}

static void free_request (void **item)
{
    request_destroy ((request_t **) item);
}

static void tell_damage (depot_t *depot, const char *folder)
{
    depot_stats_t stats;
    depot_stats (depot, &stats);
    if (stats.damaged_objects > 0)
        log_error ("depot", "%s: %llu objects are gone, for segments are shorter than they were, or missing: check the disk. What needs"
                   " them was taken out too and is sent again with the next submit", folder, (unsigned long long) stats.damaged_objects);
}

int depot_service_new (depot_service_t **out, const depot_service_settings_t *settings, err_t *err)
{
    AUTO (depot_service) depot_service_t *self = mem_alloc (sizeof *self);
    AUTO_FREE char *logs = file_join (settings->state_folder, "logs");
    self->folder = file_join (settings->state_folder, "depot");
    self->free_floor_bytes = settings->free_floor_bytes;
    self->collection.grace_ms = settings->collect_grace_ms;
    self->log_keep_ms = settings->log_keep_ms;
    self->log_total_bytes = settings->log_total_bytes;
    self->context_total_bytes = settings->context_total_bytes;
    self->context_limits = settings->context_limits;
    self->conduct = conduct_new ("depot", (size_t) settings->connections_max);
    self->denials = denials_new (depot_service_tell_denied, self);
    self->speakers = zhashx_new ();
    zhashx_set_destructor (self->speakers, free_speaker);
    self->waiters = zlistx_new ();
    zlistx_set_destructor (self->waiters, free_request);
    if (depot_open (&self->depot, self->folder, err) < 0 || depot_keep_owners (self->depot, err) < 0
    ||  build_logs_new (&self->logs, logs, settings->log_limit_bytes, err) < 0)
        return -1;
    self->scopes = scopes_new (self->depot);
    tell_damage (self->depot, self->folder);
    self->socket = msg_bind (settings->endpoint, settings->server, HIGH_WATER, self->endpoint, err);
    if (!self->socket)
        return -1;
    self->port = msg_port (self->endpoint);
    *out = take (&self);
    return 0;
}

void depot_service_destroy (depot_service_t **self_p)
{
    depot_service_t *self = *self_p;
    if (!self)
        return;
    buffer_free (&self->lost);
    digest_map_free (&self->lost_by_digest);
    zlistx_destroy (&self->waiters);
    zhashx_destroy (&self->speakers);
    conduct_destroy (&self->conduct);
    denials_destroy (&self->denials);
    zsock_destroy (&self->socket);
    build_logs_destroy (&self->logs);
    scopes_destroy (&self->scopes);
    id_map_clear (&self->owners);
    depot_destroy (&self->depot);
    free (self->folder);
    free (self);
    *self_p = NULL;
}

depot_t *depot_service_depot (const depot_service_t *self)
{
    return self->depot;
}

const char *depot_service_endpoint (const depot_service_t *self)
{
    return self->endpoint;
}

/* -- the gateway's commands ------------------------------------------------------------------------------------- */

/* The next frame of a command, to be freed by AUTO_FREE; "" where there is none. */
static char *next_word (zmsg_t *command)
{
    char *word = zmsg_popstr (command);
    return word ? word : mem_strdup ("");
}

static int64_t next_number (zmsg_t *command)
{
    AUTO_FREE char *word = next_word (command);
    return strtoll (word, NULL, 10);
}

static void on_principal (depot_service_t *self, zmsg_t *command)
{
    AUTO_FREE char *key = next_word (command);
    speaker_t *speaker = mem_alloc (sizeof *speaker);
    speaker->id = next_number (command);
    AUTO_FREE char *role = next_word (command);
    snprintf (speaker->role, sizeof speaker->role, "%s", role);
    speaker->is_worker = streq (role, "worker");
    zhashx_update (self->speakers, key, speaker);
    waiters_note_speaker (self, key, speaker);
}

static void on_revoke (depot_service_t *self, zmsg_t *command)
{
    AUTO_FREE char *key = next_word (command);
    zhashx_delete (self->speakers, key);
    waiters_drop_key (self, key);
}

static void on_has (depot_service_t *self, zmsg_t *command, zsock_t *pipe)
{
    AUTO_FREE char *token = next_word (command);
    int64_t owner = next_number (command);
    AUTO_FREE char *root = next_word (command);
    AUTO_FREE char *missing = mem_strdup (root);
    digest_t digest;
    err_t why = { 0 };
    while (missing && digest_from_hex (&digest, missing, NULL) == 0 && depot_has_of (self->depot, &digest, owner)) {
        free (missing);
        missing = zmsg_popstr (command);
    }
    if (!missing && digest_from_hex (&digest, root, NULL) == 0)
        context_limits_check (&self->context_limits, self->depot, &digest, &why);
    zstr_sendx (pipe, "HAS", token, missing ? missing : "", why.text, NULL);
}

static void on_open_log (depot_service_t *self, zmsg_t *command)
{
    int64_t job = next_number (command), attempt = next_number (command), principal = next_number (command);
    build_logs_open (self->logs, job, attempt, principal);
    AUTO_FREE char *context = next_word (command);
    AUTO_FREE char *dockerfile = next_word (command);
    digest_t root, beside;
    if (digest_from_hex (&root, context, NULL) == 0 && digest_from_hex (&beside, dockerfile, NULL) == 0)
        scopes_open (self->scopes, job, attempt, principal, &root, &beside);
}

static void on_owner (depot_service_t *self, zmsg_t *command)
{
    int64_t job = next_number (command), owner = next_number (command), question = next_number (command);
    waiters_note_owner (self, job, owner, question);
}

static void on_close_log (depot_service_t *self, zmsg_t *command)
{
    int64_t job = next_number (command), attempt = next_number (command);
    build_logs_close (self->logs, job, attempt);
    scopes_close (self->scopes, job, attempt);
    waiters_wake (self, job, attempt);
}

static void on_drop_log (depot_service_t *self, zmsg_t *command)
{
    int64_t job = next_number (command), attempt = next_number (command);
    collection_drop_log (self, job, attempt);
}

static void on_figures (depot_service_t *self, zmsg_t *command, zsock_t *pipe)
{
    AUTO_FREE char *token = next_word (command);
    AUTO_JSON json_t *samples = depot_service_figures (self);
    AUTO_FREE char *text = json_dumps (samples, JSON_COMPACT);
    AUTO_FREE char *why = depot_service_has_room (self) ? mem_strdup ("") : mem_printf (
        "the disk of %s has less free than depot/free-floor (%lld MiB): contexts are refused; free some space there", self->folder,
        (long long) (self->free_floor_bytes >> 20));
    zstr_sendx (pipe, "FIGURES", token, text, why, NULL);
}

/* False when the service shall end. */
static bool take_command (depot_service_t *self, zsock_t *pipe)
{
    zmsg_t *command = zmsg_recv (pipe);
    if (!command)
        return false;
    AUTO_FREE char *verb = next_word (command);
    if (streq (verb, "PRINCIPAL"))
        on_principal (self, command);
    else if (streq (verb, "REVOKE"))
        on_revoke (self, command);
    else if (streq (verb, "HAS"))
        on_has (self, command, pipe);
    else if (streq (verb, "OPEN-LOG"))
        on_open_log (self, command);
    else if (streq (verb, "CLOSE-LOG"))
        on_close_log (self, command);
    else if (streq (verb, "OWNER"))
        on_owner (self, command);
    else if (streq (verb, "OPEN"))
        self->is_open = true;
    else if (streq (verb, "FIGURES"))
        on_figures (self, command, pipe);
    else if (streq (verb, "REST"))
        self->shall_rest = true;
    else if (streq (verb, "ANNOUNCE"))
        collection_announce (self);
    else if (streq (verb, "DROP-LOG"))
        on_drop_log (self, command);
    else if (streq (verb, "COLLECT"))
        collection_begin (self, command, pipe);
    else if (!streq (verb, "$TERM"))
        log_error ("depot", "there is no command \"%s\"", verb);
    zmsg_destroy (&command);
    return !streq (verb, "$TERM");
}

static void take_commands (depot_service_t *self)
{
    while (!self->shall_end && zsock_events (self->pipe) & ZMQ_POLLIN)
        self->shall_end = !take_command (self, self->pipe);
}

/* -- messages --------------------------------------------------------------------------------------------------- */

static bool is_request (const msg_t *message)
{
    static const char *const verbs [] = { "missing", "put", "want", "log", "read-log", "stats" };
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (msg_is (message, verbs [i]))
            return true;
    return false;
}

static int check_right (depot_service_t *self, request_t *request, err_t *err)
{
    const char *verb = msg_verb (request->message);
    const speaker_t *speaker = zhashx_lookup (self->speakers, request->key);
    if (!speaker)
        return err_set (err, ERR_DENIED, "this key is not known here (any more): join the farm again");
    if (!is_request (request->message))
        return err_set (err, ERR_PROTOCOL, "%s is no request to the objects socket", verb);
    if (!rights_may (speaker->role, verb))
        return err_set (err, ERR_DENIED, "%s: this key's role may not do that", verb);
    request->speaker = *speaker;
    return 0;
}

/* The next message, or NULL where there is none that may be looked at. *is_empty: no more now. */
static request_t *next_request (depot_service_t *self, bool *is_empty)
{
    err_t err = { 0 };
    *is_empty = !(zsock_events (self->socket) & ZMQ_POLLIN);
    if (*is_empty)
        return NULL;
    AUTO (request) request_t *request = mem_alloc (sizeof *request);
    int fd = -1;
    request->message = msg_recv (self->socket, &request->peer, request->key, &fd, &err);
    request->fd = fd;
    if (!request->peer)
        return NULL;
    if (request->message && conduct_admit (self->conduct, fd, &err) == 0)
        return take (&request);
    answer_refused (self, request, &err);
    return NULL;
}

static void answer_other (depot_service_t *self, request_t **request)
{
    const msg_t *message = (*request)->message;
    if (msg_is (message, "missing"))
        answer_missing (self, *request);
    else if (msg_is (message, "want"))
        answer_want (self, *request);
    else if (msg_is (message, "log"))
        answer_log (self, *request);
    else if (msg_is (message, "read-log"))
        answer_read_log (self, request);
    else
        answer_stats (self, *request);
    request_destroy (request);
}

/* What is there, at most a batch. */
static size_t receive (depot_service_t *self, request_t *batch [BATCH_MAX])
{
    size_t count = 0;
    bool is_empty = false;
    for (int i = 0; i < BATCH_MAX && !is_empty; i++)
        if ((batch [count] = next_request (self, &is_empty)))
            count++;
    return count;
}

/* Puts first and together: a sync is shared by all of them. */
static void take_messages (depot_service_t *self)
{
    request_t *batch [BATCH_MAX], *puts [BATCH_MAX], *others [BATCH_MAX];
    size_t put_count = 0, other_count = 0, count = receive (self, batch);
    take_commands (self);       /* again: the gateway told of a key, an attempt or a revocation before it told the peer, but perhaps only just */
    for (size_t i = 0; i < count; i++) {
        err_t err = { 0 };
        if (check_right (self, batch [i], &err) < 0) {
            answer_refused (self, batch [i], &err);
            request_destroy (&batch [i]);
        } else if (msg_is (batch [i]->message, "put"))
            puts [put_count++] = batch [i];
        else
            others [other_count++] = batch [i];
    }
    if (put_count > 0) {
        answer_puts (self, puts, put_count);
        self->put_at = clock_boot_ms ();
    }
    for (size_t i = 0; i < put_count; i++)
        request_destroy (&puts [i]);
    for (size_t i = 0; i < other_count; i++)
        answer_other (self, &others [i]);
}

/* -- rest ------------------------------------------------------------------------------------------------------- */

static int64_t rests_in_ms (const depot_service_t *self)
{
    return self->shall_rest ? self->put_at + REST_MS - clock_boot_ms () : INT64_MAX;
}

static void rest (depot_service_t *self)
{
    if (rests_in_ms (self) > 0)
        return;
    self->shall_rest = false;
    zstr_send (self->pipe, "RESTS");
}

/* ms until the first of two; -1: never. */
static int sooner (int a_ms, int b_ms)
{
    return a_ms < 0 ? b_ms : b_ms < 0 || a_ms < b_ms ? a_ms : b_ms;
}

static int wait_ms (depot_service_t *self, bool is_idle)
{
    int waiters_ms = is_idle ? waiters_expire (self) : 0, denials_ms = denials_tell (self->denials, clock_boot_ms ());
    int64_t rest_ms = rests_in_ms (self);
    return sooner (sooner (waiters_ms, denials_ms), rest_ms > REST_MS ? -1 : rest_ms < 0 ? 0 : (int) rest_ms);
}

/* -- the loop --------------------------------------------------------------------------------------------------- */

void depot_service_actor (zsock_t *pipe, void *service)
{
    depot_service_t *self = service;
    self->pipe = pipe;
    zpoller_t *poller = zpoller_new (pipe, self->socket, NULL);
    zpoller_t *pipe_only = zpoller_new (pipe, NULL);
    zpoller_set_nonstop (poller, true);     /* ends by $TERM alone, when the gateway has ended */
    zpoller_set_nonstop (pipe_only, true);
    zsock_signal (pipe, 0);
    while (!self->shall_end) {
        bool is_idle = !(zsock_events (self->socket) & ZMQ_POLLIN) && !self->collection.is_running;
        backlog_note_rest (self->port, is_idle);
        zpoller_wait (self->is_open ? poller : pipe_only, wait_ms (self, is_idle || !self->is_open));
        backlog_note_rest (self->port, false);
        take_commands (self);
        if (!self->shall_end && self->is_open) {
            take_messages (self);
            waiters_expire (self);
            collection_tick (self);
            collection_step (self, pipe);
            lost_tell (self);
            conduct_tell (self->conduct, clock_boot_ms ());
        }
        rest (self);
    }
    zpoller_destroy (&pipe_only);
    zpoller_destroy (&poller);
}
