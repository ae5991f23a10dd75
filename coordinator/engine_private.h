/* engine_private.h - what the files of the engine share: its state in memory, and how they answer.
 *
 * farm.db is the truth. In memory stand only what a restart may forget: connections, leases, pending waits. */
#ifndef FARM_ENGINE_PRIVATE_H
#define FARM_ENGINE_PRIVATE_H

#include <stdbool.h>

#include "common/platform.h"
#include "coordinator/db.h"
#include "coordinator/engine.h"
#include "coordinator/states.h"

enum { BOARD_PLATFORMS_MAX = 32 };

/* A registered worker. */
typedef struct {
    int64_t id, principal;
    char name [64];
    char instance [33];
    int slots;
    size_t platform_count;
    struct { char name [PLATFORM_MAX]; bool is_emulated; } platforms [BOARD_PLATFORMS_MAX];
    uint64_t peer;              /* 0: not connected */
    int64_t seen_at;            /* boot clock: last heartbeat or hello */
    int64_t gone_at;            /* boot clock: when its connection closed; 0: it did not */
    bool is_online;
    int busy;                   /* attempts under lease */
} board_t;

/* An attempt that a worker has. */
typedef struct {
    int64_t build, job, attempt, worker;
    int64_t assigned_at, lease_until;       /* boot clock */
} lease_t;

/* Something to do later: match a job again, verify it again, publish a build again. */
typedef enum { WAIT_MATCH, WAIT_VERIFY, WAIT_PUBLISH } wait_kind;
typedef struct {
    wait_kind kind;
    int64_t id;                 /* of the job or the build */
    int64_t due_at;             /* boot clock */
    int tries;
} wait_t;

struct engine {
    db_t *db;
    engine_settings_t settings;
    int64_t boot_ms, wall_ms;
    bool has_begun;             /* the transaction */
    bool must_match;            /* something changed that lets a job be assigned */
    board_t *boards;
    size_t board_count;
    lease_t *leases;
    size_t lease_count;
    wait_t *waits;
    size_t wait_count;
    int64_t *changed;           /* builds changed in this transaction */
    size_t changed_count;
    actions_t pending;          /* handed out by commit */
};

/* -- answers (engine.c) */
void engine_send (engine_t *self, uint64_t peer, const char *verb, json_t *header);     /* takes header */
void engine_answer (engine_t *self, const event_t *event, const char *verb, json_t *header);
void engine_act (engine_t *self, action_type type, json_t *header);                     /* takes header */
void engine_note_change (engine_t *self, int64_t build);

/* -- memory (live.c) */
board_t *board_find (engine_t *self, int64_t worker);
board_t *board_of_principal (engine_t *self, int64_t principal);
board_t *board_of_peer (engine_t *self, uint64_t peer);
board_t *board_add (engine_t *self, int64_t worker, int64_t principal);
lease_t *lease_find (engine_t *self, int64_t job);
void lease_add (engine_t *self, int64_t build, int64_t job, int64_t attempt, int64_t worker);
void lease_drop (engine_t *self, int64_t job);
void wait_set (engine_t *self, wait_kind kind, int64_t id, int64_t delay_ms);       /* counts tries of the same */
int wait_tries (const engine_t *self, wait_kind kind, int64_t id);
bool wait_is_pending (const engine_t *self, wait_kind kind, int64_t id);
void wait_drop (engine_t *self, wait_kind kind, int64_t id);
void live_clear (engine_t *self);

#endif
