/* engine.h - all decisions of the farm: what a submit becomes, which worker gets which job, when a lease ends, what is
 * tried again, when a build is done, which tag may move. It owns farm.db and touches nothing else: no socket, no thread,
 * no clock.
 *
 *     event + now  ->  engine  ->  one SQLite transaction  ->  actions
 *
 * The gateway hands over every event that is ready between engine_begin and engine_commit; actions are only handed out by
 * engine_commit. If the commit fails nothing happened, and each event that wanted an answer gets an `error`.
 *
 * An event is a message of docs/protocol.md, checked against its schema, from a peer (the gateway's number for a
 * connection) that speaks for a principal; or one of the engine's own: `gone` (the peer's connection has ended), `ended` (the same, and
 * as it seems so has its program), `lost`, `logs-gone` ([[job, attempt]] in `logs`), `verified`, `published`, `looked` ({schedule, scheduled_ms, ok, text}), `fetched`, `resolved`, `delivered` ({id, ok, final, text,
 * retry_after_s}), `tick` (below),
 * `metrics` (answered by `metrics`, {samples: [[name, value, label…] …]}) and `probe` (answered by `fine` once something is written). */
#ifndef FARM_ENGINE_H
#define FARM_ENGINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/keys.h"

typedef struct engine engine_t;

/* Times in milliseconds; see settings of the coordinator. */
typedef struct {
    int64_t heartbeat_ms;           /* 5,000: told to workers */
    int64_t lease_ms;               /* 45,000 */
    int64_t gone_grace_ms;          /* 3,000: how long a worker whose connection was lost may take to come back */
    int64_t ended_grace_ms;         /* 200: the same, when it was closed by the worker's end */
    int64_t retry_ms;               /* 2,000: before the second attempt; doubles */
    int64_t job_timeout_ms;         /* 3,600,000: how long an attempt of a job may take that asked for no other time */
    int64_t job_timeout_max_ms;     /* 86,400,000: the most that one may ask for */
    int64_t quarantine_ms;          /* 300,000: how long a worker that fails gets no jobs; doubles; 0: it gets them */
    int64_t affinity_ms;            /* 3,000: how long a job waits for the worker that built the same before, when another is free */
    int64_t ageing_ms;              /* 1,800,000: how long a job waits in its class before it rises into the next */
    int64_t build_keep_ms;          /* 90 days: how long a build is remembered after its end; 0: for ever */
    int64_t builds_max;             /* 100,000: so many that have ended are remembered; 0: all */
    int64_t result_keep_ms;         /* 86,400,000: how long a result is used again; 0: never */
    bool looks_up;                  /* base images, before a build begins; else when the first worker asks for them */
    int verify_least;               /* verify_level.h: what all images are given to be verified at */
    const json_t *sources;          /* source_rules.h: what may be fetched for whom; borrowed; NULL: nothing */
    const char *const *bases;       /* patterns of "host/path": what workers may read for any build with the coordinator's account; borrowed; NULL: nothing */
    const char *staging;            /* where workers push: in this folder of the registry, not under the tags' own names; borrowed; NULL: there */
    int64_t news_gather_ms;         /* 10,000: how long news wait for what comes of the same cause */
    int64_t news_retry_ms;          /* 30,000: before the second try; doubles, an hour at most */
    int64_t news_give_up_ms;        /* 3 days: when the last try is */
    int64_t news_lost_ms;           /* 300,000: how long a worker is away before that is news */
    int64_t news_remind_ms;         /* 7 days: what goes on is told again after that; 0: never */
    bool has_mail;                  /* there is a mail server */
    const char *const *mail_allow;          /* patterns of addresses; NULL or empty: any. These three are borrowed */
    const char *const *hook_plain_http, *const *hook_inside;        /* "host[:port]"; may be NULL */
    int attempts_max;               /* 3 */
    int queue_max;                  /* 100,000 builds queued or running; more are refused */
} engine_settings_t;

typedef enum {
    ACTION_SEND,        /* send `verb` with `header` to `peer` */
    ACTION_VERIFY,      /* header: {job, attempt, build, repository, digest, platform}, verify (layers or deep) where that is asked for, same_as: {digest, worker, second}
                           where another worker's image has to be the same (names for messages), and, for an image that is known from another
                           build, bases: [{reference, digest}], which must still hold; answer with event `verified` */
    ACTION_PUBLISH,     /* header: {build, repository, index_media_type, index_digest, index (base64 of the bytes),
                           children: [{media_type, digest, size, platform}], tags: […], was_published: bool (this index, under
                           all these tags), is_unsure: bool (an earlier try may have moved tags)}; answer with `published`, which
                           says of one that failed which tags it has moved, or may have (`moved`) */
    ACTION_LOOK,        /* header: {schedule, scheduled_ms, repository, bases: [{reference, digest}]}: do these still hold? Answer with `looked` */
    ACTION_FETCH,       /* header: {fetch, principal, user, source, dockerfile}: fetch this context, which is to be the principal's; answer with event `fetched`:
                           {fetch, ok, context, dockerfile: {digest, size}, commit} or {fetch, ok, code, text} */
    ACTION_RESOLVE,     /* header: {lookup, question: {dockerfile, platforms, repository, build_args, target}}, the last two where there are some: what do the
                           base images mean that this Dockerfile names? Answer with `resolved`: {lookup, ok, bases: [{reference, digest, is_last}]}, is_last
                           where all its platforms begin with it, or {lookup, ok, code, text} */
    ACTION_DROP_FETCH,  /* header: {fetch}: nobody waits for that any more */
    ACTION_CHANGED,     /* header: the build as `inspect` shows it; for those who watch it */
    ACTION_OPEN_LOG,    /* header: {job, attempt, principal, context, dockerfile}: this worker may write this log, and fetch these */
    ACTION_CLOSE_LOG,   /* header: {job, attempt}: no more will come */
    ACTION_DROP_LOG,    /* header: {job, attempt}: it goes with its build, which is forgotten */
    ACTION_PRINCIPAL,   /* header: {key, id, role}: this key may connect, as that role; role "": not any more */
    ACTION_NEWS,        /* header: {id, uid, thread, name, kind, address, salt, event, facts, at_ms} as news_outbox.h has them; answer with `delivered` */
    ACTION_TELL,        /* header: {text}: a line for the coordinator's own log */
    ACTION_COUNT        /* header: {sample: [name, value, label…]}: for the metrics (metrics.h) */
} action_type;

typedef struct {
    action_type type;
    uint64_t peer;
    char verb [32];
    bool was_undone;    /* an error: what was written for the event had to be taken back */
    json_t *header;     /* owned by the list */
} action_t;

typedef struct {
    action_t *items;
    size_t count, capacity;
} actions_t;

void actions_clear (actions_t *self);       /* releases the headers */
void actions_free (actions_t *self);

typedef struct {
    const char *verb;
    uint64_t peer;              /* 0: nobody waits for an answer */
    int64_t principal;          /* 0: the coordinator itself */
    const json_t *header;       /* borrowed; NULL for `gone`, `ended` and `tick` */
} event_t;

/* Open or make farm.db at path (":memory:" for the simulator), migrate it, check it, and take up what was under way:
 * every live attempt gets a lease from now. ERR_FARM for a damaged or a newer database. */
int engine_open (engine_t **out, const char *path, const engine_settings_t *settings, int64_t now_ms, err_t *err);
void engine_destroy (engine_t **self);

/* boot_ms: clock for leases and time-outs; wall_ms: for records. Both must not be read elsewhere in the engine. */
int engine_begin (engine_t *self, int64_t boot_ms, int64_t wall_ms, err_t *err);
void engine_handle (engine_t *self, const event_t *event);
/* Commit and append what is to be done to *actions. A full disk is no end: then the events are answered with ERR_FULL and 0
 * is returned. -1: the database is in an unknown state (after an I/O error at COMMIT), or a publisher's word cannot be taken
 * down, or what is due cannot be done, time after time: the process has to start again. */
int engine_commit (engine_t *self, actions_t *actions, err_t *err);

/* The coordinator is about to end: from now on no job is assigned, no image given to be verified, no index to be published. All of
 * that waits in the queue for the next start. What is said is taken down as ever. */
void engine_wind_down (engine_t *self);

/* When `tick` should come next, on the boot clock; INT64_MAX for never. */
int64_t engine_next_tick (const engine_t *self);

/* After engine_open, once: the logs of attempts that live on are open again. (What the last run left to be verified or published
 * is handed out at the first commit.) */
void engine_resume (engine_t *self, actions_t *actions);

/* Have all builds forgotten that retention does not keep, from the next tick on; and whether that is done, and how many they were. */
void engine_forget_now (engine_t *self);
bool engine_has_forgotten (const engine_t *self, int64_t *builds);

/* What the depot must keep: contexts and Dockerfiles (hex digests) of builds that are not over (used_ms INT64_MAX), or ended, at used_ms,
 * after `since` (wall clock). Calls back once for each, some more than once. is_dry: as if all that retention does not keep were
 * forgotten, with a call for each log that would go with its build. *builds: how many those are; else how many were forgotten last. */
typedef struct {
    void (*root) (void *argument, const char *digest_hex, int64_t used_ms);
    void (*log) (void *argument, int64_t job, int64_t attempt);
    void *argument;
} engine_plan_t;
int engine_plan (engine_t *self, int64_t since_ms, bool is_dry, const engine_plan_t *plan, int64_t *builds, err_t *err);

/* Principals: who may connect. */
typedef struct {
    int64_t id;
    char role [16], name [64];
    bool is_named;                  /* an admin has given it its name */
    int64_t max_queued, max_running;        /* builds; 0: as many as it likes */
} principal_t;
/* By hex key; ERR_DENIED when unknown or revoked. */
int engine_find_principal (engine_t *self, const char *key_hex, principal_t *out, err_t *err);
/* May whoever has this key look at that build? */
bool engine_may_look (engine_t *self, const char *key_hex, int64_t build);
/* Is that attempt, still, one of the worker who has this key? */
bool engine_may_show (engine_t *self, const char *key_hex, int64_t job, int64_t attempt);
/* role: admin, submitter, viewer, worker, invitation. The same key again is fine when the role is the same. */
int engine_add_principal (engine_t *self, const char *key_hex, const char *role, const char *name, int64_t wall_ms,
                          int64_t *id, err_t *err);
/* The next two are done at a start, and what they change is a row of the audit log. An admin with this key, unless it is one; ERR_DENIED when its right
 * was taken back. */
int engine_make_admin (engine_t *self, const char *key_hex, int64_t wall_ms, err_t *err);
/* The invitation that works for everybody, again and again: this key's alone, or (NULL) there is none. */
int engine_stand_invitation (engine_t *self, const char *key_hex, int64_t wall_ms, err_t *err);
/* Whose build a job is of; 0: there is no such job. */
int64_t engine_owner_of_job (engine_t *self, int64_t job);
/* The audit log's last row, when it is another one than at the last call: for a note of it that is kept elsewhere. hash: 65 bytes. */
bool engine_take_audit_head (engine_t *self, int64_t *id, char *hash);
/* Is a row that was noted there still, with that hash? If not, that is a row of the log itself from now on. After engine_open. */
int engine_check_audit_head (engine_t *self, int64_t id, const char *hash, int64_t wall_ms, bool *is_there, err_t *err);

/* The build that this worker has an attempt of, and its owner, if it was submitted with that ssh agent. ERR_STALE, ERR_DENIED. */
int engine_find_agent (engine_t *self, int64_t worker, int64_t job, int64_t attempt, const char *agent, int64_t *build, int64_t *owner, err_t *err);
/* A schedule's hook (hooks.h): whose builds it starts, its sealed secret. ERR_NOT_FOUND. hook_free in any case. */
enum { HOOK_BRANCH_MAX = 256 };
typedef struct {
    int64_t owner;
    char *sealed;
    char branch [HOOK_BRANCH_MAX];  /* "": any */
    bool is_active;                 /* the schedule */
} hook_t;
int engine_find_hook (engine_t *self, const char *name, hook_t *out, err_t *err);
void hook_free (hook_t *self);

/* Every key that may connect: calls back once per key. */
void engine_each_key (engine_t *self, void (*each) (void *argument, const char *key_hex), void *argument);

#endif
