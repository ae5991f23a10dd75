/* engines.h - what the tests of the engine share: an engine with a clock that the test moves, people, workers, and words for
 * what they say. Every message in and out is held against its schema. */
#ifndef FARM_TESTS_ENGINES_H
#define FARM_TESTS_ENGINES_H

#include <stdbool.h>

#include "coordinator/engine.h"

typedef struct {
    engine_t *engine;
    engine_settings_t settings;
    char folder [64], path [96];
    int64_t now;                        /* boot clock */
    actions_t actions;                  /* of the last step */
    int64_t seq, requests;
    uint64_t peers;
    int64_t admin, ann, bob, viewer, invitation;        /* principals; ann and bob are submitters */
} farm_t;

/* A worker as the engine sees it. */
typedef struct {
    int64_t principal;
    uint64_t peer;
    char name [32], instance [33];
    const char *platforms;              /* "linux/amd64,linux/arm64*": the star says emulated */
    int slots;
    int64_t memory_bytes, cpu_percent;  /* the most that it gives one job; 0: it says nothing of limits */
} worker_t;

typedef struct { int64_t job, attempt; } task_t;        /* job 0: none */

/* cmocka's set-up and teardown: *state is the farm_t, with farm.db in a folder of its own. */
int farm_setup (void **state);
int farm_setup_lookups (void **state);          /* the same, and base images are looked up */
int farm_teardown (void **state);
void farm_open (farm_t *self);
void farm_close (farm_t *self);         /* as kill -9 does it: nothing is said */
void farm_reopen (farm_t *self);

/* The number of what is to be looked up first; 0: nothing is. */
int64_t farm_lookup (const farm_t *self);

/* -- steps: each is one batch, and replaces self->actions */
/* takes header; seq is added where the verb has one */
void farm_say (farm_t *self, const char *verb, uint64_t peer, int64_t principal, json_t *header);
void farm_pass (farm_t *self, int64_t ms);              /* the clock goes on; ticks come when they are due */
/* several events in one batch */
void farm_begin (farm_t *self);
void farm_add (farm_t *self, const char *verb, uint64_t peer, int64_t principal, json_t *header);
void farm_commit (farm_t *self);

/* -- what came of the last step; borrowed */
const json_t *farm_action (const farm_t *self, action_type type, int nth);      /* its header, NULL when there is none */
const json_t *farm_sent (const farm_t *self, uint64_t peer, const char *verb);
const char *farm_error (const farm_t *self, uint64_t peer);                     /* its code, "" for none */
const char *farm_error_text (const farm_t *self, uint64_t peer);

/* -- people */
json_t *spec_of (const char *platforms, const char *tags);
json_t *submit_of (farm_t *self, json_t *spec);                                 /* a header with a new request; takes spec */
/* The build's number; 0 when it was refused. Peer is 1000 + principal. */
int64_t farm_submit (farm_t *self, int64_t principal, const char *platforms, const char *tags);
uint64_t peer_of (int64_t principal);
void farm_cancel (farm_t *self, int64_t principal, int64_t build);
/* "published", "running amd64"…; a text of the build as `inspect` shows it, by path: "state", "jobs/0/attempts/1/code". "null" for
 * null, "" for what is not there. Good until the next call but seven. */
const char *farm_shows (farm_t *self, int64_t build, const char *path);

/* -- workers */
void worker_join (farm_t *farm, worker_t *self, const char *name, const char *platforms, int slots);       /* and say hello */
void worker_hello (farm_t *farm, worker_t *self, const task_t *held, size_t count);     /* on a new connection */
void worker_restart (farm_t *farm, worker_t *self);     /* its connection ends, a new instance says hello */
void worker_gone (farm_t *farm, const worker_t *self);
void worker_beat (farm_t *farm, const worker_t *self, const task_t *held, size_t count);
/* What the last step assigned to it. */
task_t worker_task (const farm_t *farm, const worker_t *self);
/* true: the attempt is wanted; extra is taken, NULL for none */
bool worker_report (farm_t *farm, const worker_t *self, task_t task, const char *state, json_t *extra);
bool worker_push (farm_t *farm, const worker_t *self, task_t task);                     /* fetching, building, pushing, pushed */
bool worker_fail (farm_t *farm, const worker_t *self, task_t task, const char *code);
const char *digest_of_task (task_t task);

/* -- publishers; task is an ACTION_VERIFY's or ACTION_PUBLISH's header; code NULL: fine */
void farm_verified (farm_t *self, const json_t *task, const char *code);
void farm_published (farm_t *self, const json_t *task, const char *code);
/* Of the last step's: the verify of a pushed image. */
void farm_verify (farm_t *self, const char *code);
void farm_publish (farm_t *self, const char *code);

#endif
