/* gateway_out.c - what leaves the gateway once a batch is committed: answers, assignments, changes, tasks. */
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "coordinator/gateway_private.h"

void gateway_send_body (gateway_t *self, peer_t *peer, const char *verb, json_t *header, buffer_t *body)
{
    err_t err;
    msg_t *message = msg_new_with (verb, header, body);
    if (msg_send (&message, self->control, peer->routing_id, &err) < 0)
        log_warn ("gateway", "peer %llu: %s", (unsigned long long) peer->number, err.text);
}

void gateway_send (gateway_t *self, peer_t *peer, const char *verb, json_t *header)
{
    buffer_t none = { 0 };
    gateway_send_body (self, peer, verb, header, &none);
}

void gateway_send_error (gateway_t *self, peer_t *peer, int64_t re, const err_t *err)
{
    json_t *header = json_pack ("{s:s, s:s}", "code", err_name (err->code), "text", err->text);
    if (re > 0)
        json_object_set_new (header, "re", json_integer (re));
    gateway_send (self, peer, "error", header);
}

/* What is denied, or was half done and is taken back, counts against its key, as does what is refused unread; false: there was too much of it, and its
 * connection was ended. */
static bool may_deny (gateway_t *self, const peer_t *peer, const char *text)
{
    err_t why = { 0 };
    err_set (&why, ERR_DENIED, "%s", text);
    return !conduct_refuse (self->conduct, peer->key_hex, peer->fd, &why, clock_boot_ms ());
}

void gateway_deny (gateway_t *self, peer_t *peer, const msg_t *message, const err_t *why)
{
    gateway_note_denial (self, peer->key_hex, msg_verb (message), why->text, 1);
    if (may_deny (self, peer, why->text))
        gateway_send_error (self, peer, msg_int (message, "seq"), why);
}

/* How a worker's connection ends says whether its jobs are to be given to others at once. */
static void note_welcome (peer_t *peer, const json_t *welcome)
{
    peer->has_said_hello = true;
    if (streq (json_string_value (json_object_get (welcome, "role")), "worker"))
        peer_keep_line (peer);
}

/* It is looked up first (send_tokens): the engine, its database and the log never see one. */
static void ask_token (gateway_t *self, peer_t *peer, const json_t *token)
{
    err_t err = { 0 };
    if (credentials_ask (self->credentials, peer->number, token, &err) < 0)
        gateway_send_error (self, peer, json_integer_value (json_object_get (token, "re")), &err);
}

static void do_send (gateway_t *self, action_t *action)
{
    if (action->peer & WEB_PEER) {
        gateway_answer_web (self, action);
        return;
    }
    peer_t *peer = peers_find (self->peers, action->peer);
    if (!peer)
        return;
    bool is_denied = streq (action->verb, "error") && streq (json_string_value (json_object_get (action->header, "code")), err_name (ERR_DENIED));
    if ((is_denied || action->was_undone) && !may_deny (self, peer, json_string_value (json_object_get (action->header, "text"))))
        return;
    if (streq (action->verb, "welcome"))
        note_welcome (peer, action->header);
    if (streq (action->verb, "token"))
        ask_token (self, peer, action->header);
    else if (streq (action->verb, "secret-part"))
        gateway_send_secret (self, peer, action->header);
    else if (streq (action->verb, "news-state"))
        gateway_send_secret_of_hook (self, peer, action->header);
    else
        gateway_send (self, peer, action->verb, json_incref (action->header));
}

/* The registry may have taken half a minute: what is not the worker's any more by then it does not get. */
static void send_token (gateway_t *self, peer_t *peer, const asker_t *asker, const json_t *token, err_t *why)
{
    if (token && !engine_may_show (self->parts.engine, peer->key_hex, asker->job, asker->attempt))
        err_set (why, ERR_STALE, "job %lld, attempt %lld is not this worker's any more: nothing is shown to registries for it", (long long) asker->job,
                 (long long) asker->attempt);
    else if (token) {
        gateway_send (self, peer, "token", json_incref ((json_t *) token));
        return;
    }
    gateway_send_error (self, peer, asker->re, why);
}

static void send_tokens (gateway_t *self)
{
    asker_t asker;
    json_t *token;
    err_t why = { 0 };
    while (credentials_next (self->credentials, &asker, &token, &why)) {
        peer_t *peer = peers_find (self->peers, asker.peer);
        if (peer)
            send_token (self, peer, &asker, token, &why);
        json_decref (token);
    }
}

/* Whoever watches may have been refused: it is asked each time. */
static void do_changed (gateway_t *self, const action_t *action)
{
    int64_t build = json_integer_value (json_object_get (action->header, "id"));
    for (peer_t *peer = peers_first (self->peers); peer; peer = peers_next (self->peers))
        if (peer_watches (peer, build) && engine_may_look (self->parts.engine, peer->key_hex, build))
            gateway_send (self, peer, "build", json_pack ("{s:O}", "build", action->header));
}

static void do_log (gateway_t *self, const action_t *action)
{
    char job [24], attempt [24], principal [24];
    snprintf (job, sizeof job, "%lld", (long long) json_integer_value (json_object_get (action->header, "job")));
    snprintf (attempt, sizeof attempt, "%lld", (long long) json_integer_value (json_object_get (action->header, "attempt")));
    snprintf (principal, sizeof principal, "%lld",
              (long long) json_integer_value (json_object_get (action->header, "principal")));
    if (action->type == ACTION_OPEN_LOG)
        zstr_sendx (self->parts.depot, "OPEN-LOG", job, attempt, principal, json_string_value (json_object_get (action->header, "context")),
                    json_string_value (json_object_get (action->header, "dockerfile")), NULL);
    else
        zstr_sendx (self->parts.depot, action->type == ACTION_DROP_LOG ? "DROP-LOG" : "CLOSE-LOG", job, attempt, NULL);
}

void gateway_do_actions (gateway_t *self)
{
    for (size_t i = 0; i < self->actions.count; i++) {
        action_t *action = &self->actions.items [i];
        switch (action->type) {
            case ACTION_SEND:      do_send (self, action); break;
            case ACTION_CHANGED:   do_changed (self, action); break;
            case ACTION_OPEN_LOG:
            case ACTION_CLOSE_LOG:
            case ACTION_DROP_LOG:  do_log (self, action); break;
            case ACTION_VERIFY:    publishers_add (self->publishers, "verify", action->header); break;
            case ACTION_PRINCIPAL: gateway_let (self, action->header); break;
            case ACTION_RESOLVE:   publishers_add (self->publishers, "resolve", action->header); break;
            case ACTION_LOOK:      publishers_add (self->publishers, "look", action->header); break;
            case ACTION_NEWS:      gateway_send_news (self, action->header); break;
            case ACTION_FETCH:     fetchers_add (self->fetchers, action->header); break;
            case ACTION_DROP_FETCH: fetchers_drop (self->fetchers, json_integer_value (json_object_get (action->header, "fetch"))); break;
            case ACTION_TELL:      log_info ("builds", "%s", json_string_value (json_object_get (action->header, "text"))); break;
            case ACTION_COUNT:     metrics_add_sample (self->metrics, json_object_get (action->header, "sample")); break;
            case ACTION_PUBLISH:   publishers_add (self->publishers, "publish", action->header); break;
        }
    }
    publishers_hand_out (self->publishers);
    fetchers_hand_out (self->fetchers);
    actions_clear (&self->actions);
    gateway_tell_owners (self);
    send_tokens (self);
}
