/* attempt.h - the steps of an attempt, in their order. One thread uses it; slot.c says when, and what is reported. */
#ifndef FARM_ATTEMPT_H
#define FARM_ATTEMPT_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/keys.h"
#include "worker/agent_line.h"
#include "worker/aside.h"
#include "worker/box.h"
#include "worker/builder.h"
#include "worker/cache.h"
#include "worker/fetch.h"
#include "worker/joblog.h"
#include "worker/shelf.h"

/* What all attempts share; borrowed. */
typedef struct {
    const char *worker_name;
    const char *folder;             /* each attempt has its own below it */
    const char *control, *objects;  /* the coordinator's sockets */
    const char *vault;              /* the same in memory, for secrets; NULL: there is no such place */
    const keypair_t *own;
    const uint8_t *server_key;
    cache_t *cache;
    shelf_t *shelf;                 /* on the file system of `folder` */
    builder_t *builder;
    door_t *door;
    const allowance_t *allowance;
    int64_t context_entries_max;    /* files and folders of one context; 0: no limit */
    int push_wait_ms;               /* before the second try of a push; doubles. 0: 1 s */
} attempt_parts_t;

typedef struct {
    const attempt_parts_t *parts;
    json_t *assign;                 /* owned: header of `assign` */
    int64_t job;
    int number;
    int64_t deadline_ms;            /* boot clock */
    atomic_int *is_stopped;
    char *folder, *context, *dockerfile, *scratch;
    char password [33];             /* for the door */
    joblog_t *log;                  /* NULL before attempt_prepare */
    borrowed_t borrowed;            /* the checkout */
    box_t *box;                     /* NULL before attempt_prepare */
    secrets_t secrets;
    agent_line_t *agents [AGENTS_MAX];
    char *agent_paths [AGENTS_MAX];
    size_t agent_count;
    aside_t *agents_aside;          /* under agents_lock; NULL: it has no agents */
    pthread_mutex_t agents_lock;
    atomic_int asks_no_agent;
    aside_t *grants;                /* NULL before attempt_prepare */
    atomic_int asks_no_more;
    char *vault;                    /* NULL where it has none */
    builder_task_t task;
    bool has_begun_build;
    /* What is known afterwards. */
    fetch_stats_t fetched;
    checkout_stats_t checked_out;
    builder_outcome_t outcome;
    int64_t builder_ms;             /* in which the builder's program ran: build and pushes */
    char digest [OCI_DIGEST_SIZE];
    json_t *bases;                  /* of the image: door_bases; NULL where another build may give another image */
} attempt_t;

/* Takes the header; the time limit begins now. */
void attempt_init (attempt_t *self, const attempt_parts_t *parts, json_t **assign, atomic_int *is_stopped);

/* Folder, log, and the pass for the door. */
int attempt_prepare (attempt_t *self, err_t *err);

/* Context and Dockerfile into the cache, then as files. */
int attempt_fetch (attempt_t *self, err_t *err);

/* A connection of its own for questions about it, until is_stopped or the time limit. The caller destroys. */
aside_t *attempt_aside (const attempt_t *self, const atomic_int *is_stopped);

/* What it was given in confidence. */
int attempt_ask_secrets (attempt_t *self, err_t *err);

/* The folder in memory for both, once. */
int attempt_make_vault (attempt_t *self, err_t *err);

/* The ssh agents that it may ask; until its build has ended. */
int attempt_open_agents (attempt_t *self, err_t *err);
void attempt_close_agents (attempt_t *self);

int attempt_build (attempt_t *self, err_t *err);

/* A door_grant_fn; argument is the attempt. */
int attempt_grant (void *attempt, const char *host, const char *scope, char **authorization, int64_t *keep_ms, err_t *err);

/* A door_pin_fn likewise. */
int attempt_pin (void *attempt, const char *reference, const char *digest, char pinned [OCI_DIGEST_SIZE], err_t *err);

/* One try. 0: digest is what the registry has. */
int attempt_push (attempt_t *self, err_t *err);

/* No builder runs in the checkout any more, whether or not one ever did: the next attempt of the repository may have it. Quick,
 * as it comes before the last report. */
void attempt_give_back (attempt_t *self);

/* Nothing stays but the caches: the builder's, the depot, and checkouts within their limits. Whatever came before. */
void attempt_clean (attempt_t *self);

#endif
