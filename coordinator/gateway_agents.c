/* gateway_agents.c - a RUN step's requests to the ssh agent of whoever submitted its build.
 *
 *     worker --ask-agent--> gateway --agent-request--> farmctl of the build's owner, that watches it and offers this agent
 *            <-agent-answer--       <--agent-reply---
 *
 * Nothing of them is kept beside the numbers that bring an answer back. Both ends look at what passes, and so does the gateway. */
#include <string.h>

#include "common/agent.h"
#include "common/clock.h"
#include "coordinator/gateway_private.h"

enum { WAIT_MS = 70000 };           /* somebody may have to touch a token, or to confirm; farmctl gives up before */

static bool offers (const peer_t *peer, int64_t build, const char *agent)
{
    for (size_t i = 0; peer->offered_build == build && i < peer->offered_count; i++)
        if (strcmp (peer->offered [i], agent) == 0)
            return true;
    return false;
}

/* Where several of the owner's offer it, the one that was seen first. */
static peer_t *find_laptop (gateway_t *self, int64_t build, int64_t owner, const char *agent)
{
    principal_t principal;
    for (peer_t *peer = peers_first (self->peers); peer; peer = peers_next (self->peers))
        if (offers (peer, build, agent) && engine_find_principal (self->parts.engine, peer->key_hex, &principal, NULL) == 0 && principal.id == owner)
            return peer;
    return NULL;
}

static void send_request (gateway_t *self, peer_t *laptop, int64_t build, const char *agent, uint64_t ticket, const msg_t *message)
{
    size_t size;
    buffer_t body = { 0 };
    const uint8_t *request = msg_body (message, &size);
    buffer_append (&body, request, size);
    gateway_send_body (self, laptop, "agent-request", json_pack ("{s:I, s:s, s:I}", "build", (json_int_t) build, "agent", agent, "ticket",
                                                                 (json_int_t) ticket), &body);
}

static int ask (gateway_t *self, peer_t *worker, int64_t principal, const msg_t *message, err_t *err)
{
    size_t size;
    int64_t build, owner;
    const char *agent = msg_text (message, "agent");
    const uint8_t *request = msg_body (message, &size);
    if (engine_find_agent (self->parts.engine, principal, msg_int (message, "job"), msg_int (message, "attempt"), agent, &build, &owner, err) < 0
        || agent_check_request (request, size, err) < 0)
        return -1;
    peer_t *laptop = find_laptop (self, build, owner, agent);
    if (!laptop)
        return err_set (err, ERR_NOT_FOUND, "nobody is attached who offers the ssh agent %s to build %lld: farmctl submit --ssh has to stay, or come back with "
                        "farmctl wait %lld --ssh %s", agent, (long long) build, (long long) build, agent);
    agent_asked_t asked = { .worker = worker->number, .laptop = laptop->number, .re = msg_int (message, "seq"), .build = build,
                            .job = msg_int (message, "job"), .attempt = msg_int (message, "attempt"), .kind = request [0], .until_ms = clock_boot_ms () + WAIT_MS };
    uint64_t ticket = agents_add (self->agents, &asked, err);
    if (!ticket)
        return -1;
    send_request (self, laptop, build, agent, ticket, message);
    return 0;
}

void gateway_ask_agent (gateway_t *self, peer_t *worker, int64_t principal, const msg_t *message)
{
    err_t err = { 0 };
    if (agents_has (self->agents, worker->number, msg_int (message, "seq")) || ask (self, worker, principal, message, &err) == 0)
        return;
    if (err.code == ERR_DENIED)
        gateway_deny (self, worker, message, &err);
    else
        gateway_send_error (self, worker, msg_int (message, "seq"), &err);
}

static int say_stale (const agent_asked_t *asked, err_t *err)
{
    return err_set (err, ERR_STALE, "job %lld, attempt %lld is not this worker's any more: no ssh agent answers it", (long long) asked->job,
                    (long long) asked->attempt);
}

/* Somebody may have had to touch a token: what is not the worker's any more by then it does not get. */
static bool is_stale (void *gateway, const agent_asked_t *asked)
{
    gateway_t *self = gateway;
    const peer_t *worker = peers_find (self->peers, asked->worker);
    return !worker || !engine_may_show (self->parts.engine, worker->key_hex, asked->job, asked->attempt);
}

static int check_reply (gateway_t *self, const agent_asked_t *asked, const msg_t *message, err_t *err)
{
    size_t size;
    const uint8_t *answer = msg_body (message, &size);
    const char *text = msg_text (message, "text");
    if (is_stale (self, asked))
        return say_stale (asked, err);
    if (text || size == 0)
        return err_set (err, ERR_DENIED, "the ssh agent on the laptop: %s", text ? text : "no answer");
    return agent_check_answer (&asked->kind, answer, size, err);
}

void gateway_reply_agent (gateway_t *self, peer_t *laptop, const msg_t *message)
{
    agent_asked_t asked;
    size_t size;
    err_t err = { 0 };
    buffer_t body = { 0 };
    const uint8_t *answer = msg_body (message, &size);
    if (!agents_take (self->agents, (uint64_t) msg_int (message, "ticket"), laptop->number, &asked))
        return;
    peer_t *worker = peers_find (self->peers, asked.worker);
    if (!worker)
        return;
    if (check_reply (self, &asked, message, &err) < 0) {
        gateway_send_error (self, worker, asked.re, &err);
        return;
    }
    buffer_append (&body, answer, size);
    gateway_send_body (self, worker, "agent-answer", json_pack ("{s:I}", "re", (json_int_t) asked.re), &body);
}

void gateway_offer_agents (peer_t *peer, int64_t build, const json_t *agents)
{
    size_t i;
    json_t *agent;
    peer->offered_build = build;
    peer->offered_count = 0;
    json_array_foreach ((json_t *) agents, i, agent)
        if (peer->offered_count < AGENTS_MAX)
            snprintf (peer->offered [peer->offered_count++], sizeof *peer->offered, "%s", json_string_value (agent));
}

static void end_stale (gateway_t *self)
{
    agent_asked_t asked;
    err_t err;
    while (agents_next (self->agents, is_stale, self, &asked)) {
        peer_t *worker = peers_find (self->peers, asked.worker);
        say_stale (&asked, &err);
        if (worker)
            gateway_send_error (self, worker, asked.re, &err);
    }
}

void gateway_end_agents (gateway_t *self, uint64_t gone)
{
    agent_asked_t asked;
    err_t err;
    err_set (&err, ERR_NOT_FOUND, gone ? "the laptop that has the ssh agent is not attached any more" : "the laptop that has the ssh agent does not answer");
    while (agents_next_over (self->agents, clock_boot_ms (), gone, &asked)) {
        peer_t *worker = asked.worker == gone ? NULL : peers_find (self->peers, asked.worker);
        if (worker)
            gateway_send_error (self, worker, asked.re, &err);
    }
    end_stale (self);
}
