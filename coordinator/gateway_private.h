/* gateway_private.h - what the files of the gateway share. */
#ifndef FARM_GATEWAY_PRIVATE_H
#define FARM_GATEWAY_PRIVATE_H

#include "common/monitor.h"
#include "common/msg.h"
#include "coordinator/agents.h"
#include "coordinator/collector.h"
#include "coordinator/conduct.h"
#include "coordinator/credentials.h"
#include "coordinator/fetchers.h"
#include "coordinator/gateway.h"
#include "coordinator/metrics.h"
#include "coordinator/peers.h"
#include "coordinator/publishers.h"
#include "coordinator/submissions.h"

/* Of the depot service: whose build a job is of. */
typedef struct { int64_t job, question; } owner_asked_t;

struct gateway {
    gateway_parts_t parts;
    zsock_t *control;
    char endpoint [256];
    uint16_t port;
    monitor_t *monitor;
    peers_t *peers;
    conduct_t *conduct;
    publishers_t *publishers;
    submissions_t *submissions;     /* wait for the depot's word that their context is there */
    credentials_t *credentials;
    fetchers_t *fetchers;
    collector_t *collector;
    agents_t *agents;
    zsock_t *courier;               /* NULL: news are not delivered */
    int letters;                    /* that it has */
    zsock_t *denials;               /* what ZAP and the HTTP service have refused (denials.h) */
    metrics_t *metrics;
    json_t *depot_samples, *web_samples;    /* as told last; owned */
    int64_t started_ms;             /* wall clock */
    actions_t actions;
    buffer_t owners_asked;          /* owner_asked_t, in this batch */
    bool is_stopping, is_depot_quiet, has_stopped;  /* gateway_stop.c; has_stopped: and has said so */
};

/* -- out (gateway_out.c) */
void gateway_send (gateway_t *self, peer_t *peer, const char *verb, json_t *header);        /* takes header */
void gateway_send_error (gateway_t *self, peer_t *peer, int64_t re, const err_t *err);      /* re 0: not asked for */
void gateway_send_body (gateway_t *self, peer_t *peer, const char *verb, json_t *header, buffer_t *body);      /* takes both */
/* What was denied before the engine heard of it: an answer, a row of the audit log, and one more that counts against its key (conduct.h). */
void gateway_deny (gateway_t *self, peer_t *peer, const msg_t *message, const err_t *why);
/* What the engine says is to be done. */
void gateway_do_actions (gateway_t *self);

/* -- in (gateway.c): into the batch */
void gateway_give_engine (gateway_t *self, const char *verb, uint64_t peer, int64_t principal, const json_t *header);

/* For the audit log: what was refused before the engine heard of it. */
void gateway_note_denial (gateway_t *self, const char *key_hex, const char *act, const char *detail, int64_t times);

/* -- who may speak (gateway.c): {key, id, role}, as ACTION_PRINCIPAL has it. It holds when this returns. */
void gateway_let (gateway_t *self, const json_t *header);

/* -- the end in good order (gateway_stop.c) */
void gateway_begin_stop (gateway_t *self);
/* Nothing is under way any more that would have to be done again. */
bool gateway_is_idle (const gateway_t *self);
/* True for what asks to begin something, or for the time to come: the next coordinator will do that, and this is the answer. */
bool gateway_puts_off (gateway_t *self, peer_t *peer, const msg_t *message);

/* Secrets (gateway_secrets.c): a `secret` of a peer, and the header of a `secret-part` as the engine makes it. */
void gateway_take_secret (gateway_t *self, peer_t *peer, int64_t principal, const msg_t *message);
enum { HOOK_SECRET_MIN = 16, HOOK_SECRET_MAX = 256 };
void gateway_take_hook (gateway_t *self, peer_t *peer, int64_t principal, const msg_t *message);     /* an `order-schedule` that sets one */
void gateway_send_secret (gateway_t *self, peer_t *peer, const json_t *part);

/* ssh agents (gateway_agents.c): a worker asks, a laptop answers, a laptop says what it has; and what comes to no end, where a peer (0: none) is gone too, or
 * the attempt is not the worker's any more. */
void gateway_ask_agent (gateway_t *self, peer_t *worker, int64_t principal, const msg_t *message);
void gateway_reply_agent (gateway_t *self, peer_t *laptop, const msg_t *message);
void gateway_offer_agents (peer_t *peer, int64_t build, const json_t *agents);
void gateway_end_agents (gateway_t *self, uint64_t gone);

/* The HTTP service (gateway_web.c). To the engine each of its requests is a peer: no number of libzmq's has this bit. */
#define WEB_PEER (1ull << 62)
void gateway_take_web (gateway_t *self);
/* What the depot service says for one of them; why_full "": it has room. */
void gateway_take_figures (gateway_t *self, const char *token, const char *samples, const char *why_full);
void gateway_answer_web (gateway_t *self, const action_t *action);

/* News (gateway_news.c): a task for the courier, what it says, and the header of a `news-state` as the engine makes it. */
void gateway_send_news (gateway_t *self, const json_t *task);
void gateway_take_news (gateway_t *self);
void gateway_send_secret_of_hook (gateway_t *self, peer_t *peer, const json_t *state);

/* What the depot service says over its pipe (gateway_depot.c). */
void gateway_take_depot (gateway_t *self);
/* What it asked meanwhile, after the commit: a batch that is lost has made nobody the owner of anything. */
void gateway_tell_owners (gateway_t *self);

#endif
