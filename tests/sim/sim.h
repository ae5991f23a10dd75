/* sim.h - what the files of the simulator share: a world with one coordinator, which runs the real engine on a disk in memory, and
 * with workers, people, a network and a registry that are made up. Its clock moves from event to event; all chance comes from the
 * seed. docs/simulator.md tells what is simulated and what is looked at.
 *
 *     agenda --> workers, people, registry --> network --> coordinator (engine) --> referee --> network --> agenda
 *
 * The referee sees what was committed before anybody else does: also what never leaves the coordinator, because it is killed then. */
#ifndef FARM_SIM_H
#define FARM_SIM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "coordinator/lanes.h"
#include "coordinator/queue.h"

enum {
    WORKERS = 6, USERS = 4, PLATFORMS = 3, INPUTS = 6, TAGS = 6, HELD_MAX = 12, BASES = 2, REQUIRES = 5, MEMORIES = 4,
    LANES_MAX = PLATFORMS * 2 * (REQUIRES + 1) * MEMORIES * (WORKERS + 1),
    PEOPLE = 100,               /* who: a worker's index, or PEOPLE + a user's */
    ADMIN = USERS - 1           /* the user who is one */
};

typedef struct world world_t;

/* -- random.c: all chance ---------------------------------------------------------------------------------------- */

uint64_t draw (world_t *self, uint64_t below);
int64_t draw_ms (world_t *self, int64_t below);
bool chance (world_t *self, uint64_t one_in);
bool mishap (world_t *self, uint64_t one_in);           /* never while all is calm */

/* -- agenda.c: what will happen ---------------------------------------------------------------------------------- */

typedef enum {
    CHORE_ARRIVE,               /* a message of `peer` at the coordinator */
    CHORE_REACH,                /* a message of the coordinator at whoever has `peer` */
    CHORE_GONE,                 /* the coordinator learns that the connection of `peer` has ended; verb: how */
    CHORE_BEAT, CHORE_SAY, CHORE_BACK,                  /* of a worker; token: of its start, of what it holds */
    CHORE_PUBLISHER,            /* the next stage of a task */
    CHORE_PERSON, CHORE_ASK,    /* a person acts; asks again (token: the submission) */
    CHORE_WEATHER
} chore_kind;

typedef struct {
    int64_t due;
    uint64_t order;             /* among those of one time */
    chore_kind kind;
    int who, stage;
    uint64_t token;             /* or the peer */
    char verb [16];
    json_t *header;             /* owned */
} chore_t;

typedef struct { chore_t *items; size_t count, capacity; uint64_t last_order; } agenda_t;

void agenda_add (world_t *self, int64_t delay_ms, chore_t chore);       /* takes its header */
bool agenda_next (agenda_t *self, int64_t until, chore_t *out);         /* the next that is due by then; its header to the caller */
int64_t agenda_due (const agenda_t *self);                              /* INT64_MAX when it is empty */
void agenda_drop (agenda_t *self, bool (*is_over) (const chore_t *chore));
void agenda_free (agenda_t *self);

/* -- network.c: connections, and what becomes of messages ------------------------------------------------------- */

/* An end of a worker or a person. */
typedef struct {
    uint64_t peer;              /* of the connection; 0: none */
    int64_t cut_until;          /* partition: nothing goes through, and nobody is told */
} end_t;

/* A connection as the coordinator has it. */
typedef struct { uint64_t peer; int who; bool has_greeted; } connection_t;

void network_connect (world_t *self, int who);
/* The coordinator hears of it, soon or late: "gone", "ended"; or never: NULL. */
void network_leave (world_t *self, int who, const char *told);
void network_post (world_t *self, int who, const char *verb, json_t *header);           /* takes header */
void network_send (world_t *self, uint64_t peer, const char *verb, const json_t *header);
void network_arrive (world_t *self, chore_t *chore);
void network_reach (world_t *self, chore_t *chore);
void network_gone (world_t *self, uint64_t peer, const char *told);
void network_restart (world_t *self);                                   /* the coordinator's: everybody connects again */
void network_mend (world_t *self);
end_t *network_end (world_t *self, int who);
int64_t network_principal (const world_t *self, int who);

/* -- coordinator.c: the process around the engine --------------------------------------------------------------- */

/* Something for the engine, and how it was taken. */
typedef struct { char verb [16]; uint64_t peer; int who; json_t *header; bool is_refused; } heard_event_t;
bool is_end (const heard_event_t *event);               /* of a connection */

typedef struct {
    heard_event_t *items;
    size_t count, capacity;
    int64_t due;                /* when it is looked at */
} inbox_t;

void coordinator_prepare (void);                        /* once in a process: the database that each world begins with */
void coordinator_start (world_t *self);
void coordinator_hear (world_t *self, const char *verb, uint64_t peer, int who, json_t *header);       /* takes header */
void coordinator_work (world_t *self);                  /* one batch */
int64_t coordinator_due (const world_t *self);
void coordinator_kill (world_t *self);                  /* and start anew */
void coordinator_wind_down (world_t *self, int64_t ms); /* told to end: that long it begins nothing, then it is killed */
void coordinator_end (world_t *self);
extern int64_t coordinator_workers [WORKERS], coordinator_users [USERS];               /* principals */

/* -- workers.c --------------------------------------------------------------------------------------------------- */

enum { STAGE_PUSHED = 3, STAGE_FAILED = 4 };            /* before them fetching, building, pushing */

/* An attempt as its worker sees it. */
typedef struct {
    uint64_t token;
    int64_t job, attempt;
    int submission, platform;
    int stage;                  /* of the next report */
    const char *code;
    int64_t seq;                /* of the report that is not noted yet; 0: none */
    int image;                  /* what it pushed */
    int base;                   /* the version that its base image is for the build; -1: it has to ask */
    int64_t pin_seq;            /* of that question; 0: it has not asked */
    bool is_stuck, is_stopping;
} held_t;

typedef struct {
    end_t end;
    bool is_up, is_liar, is_unfit, has_greeted, is_stopping;
    uint64_t start;             /* of the program; its instance */
    int64_t silent_until, stop_until;                   /* stop_until: what it has may go on until then */
    int trait;                  /* of those in workers.c: platforms, labels, slots */
    held_t held [HELD_MAX];
    int held_count;
} worker_t;

void workers_start (world_t *self);
void workers_on_chore (world_t *self, const chore_t *chore);
void workers_on_message (world_t *self, int who, const char *verb, const json_t *header);
void workers_recover (world_t *self);                   /* calm begins */
void worker_post_report (world_t *self, int who, const held_t *held, int64_t seq);
void worker_come_back (world_t *self, int who);         /* on a new connection; started anew where it was down */
void worker_drop (worker_t *self, held_t *held);
void worker_give_up (held_t *self, const char *code);   /* it will report that it failed */
const char *worker_name (int index);
int worker_named (const char *name);                     /* its index */
int worker_slots (const world_t *self, int index);
runs_t worker_runs (const world_t *self, int index, int platform, bool may_emulate);    /* its CPU; labels aside */
bool worker_gives (const world_t *self, int index, int memory);                          /* so much to one job */
extern const int64_t memories [MEMORIES];
json_t *worker_labels (const world_t *self, int index);                                  /* its own; to the caller */
extern const char *const platform_names [PLATFORMS];

/* -- what somebody wants ------------------------------------------------------------------------------------------ */

typedef struct {
    int user, class, requires, memory, inputs, repository;      /* requires: of those in people.c; -1 none. memory: of those in workers.c */
    unsigned platforms, required, faulty, tags;         /* bits */
    bool may_emulate, keep_going, is_answered, cross_check;
    int64_t timeout_ms, build;  /* build: what it became, once that was committed; 0 */
    json_t *header;             /* owned */
} submission_t;

/* -- mishaps.c: what befalls a worker ------------------------------------------------------------------------------ */

bool worker_has_mishap (world_t *self, int who);        /* true: it is gone, or its connection is */
void worker_die (world_t *self, int who);               /* and come back some time */
bool worker_ends (world_t *self, int who);              /* true: it was told to end, and has */
void worker_lie (world_t *self, int who);               /* about an attempt that somebody has, or had, or will have */

/* -- registry.c: images, indexes, tags; and the coordinator's publishers ----------------------------------------- */

typedef struct {
    int platform, base;         /* base: the version of its base image */
    int content;                /* the same for the same inputs, unless somebody lies */
    unsigned native_for, emulated_for;                  /* inputs and repositories that it was verified for: wish_bit */
    bool is_there, is_verified;
} image_t;

typedef struct { int64_t build, claimed; char digest [80]; } tag_t;     /* claimed: the newest that a publisher has said to have moved it */

typedef struct {
    image_t *images;
    int image_count;
    tag_t tags [TAGS];
    int base;                   /* version that the base image's tag shows */
    int64_t down_until, slow_until;
} registry_t;

unsigned wish_bit (const submission_t *wish);
int registry_push (world_t *self, int platform, int inputs, int base, bool is_bad);         /* the image's number; inputs -1: of nobody's */
void image_digest (int image, char digest [80]);
int image_of (const world_t *self, const char *digest);                 /* -1: none of ours */
json_t *registry_bases (const world_t *self, int image);
json_t *registry_base (int version);                    /* the base image, as messages name it; to the caller */
int base_of (const json_t *base);                       /* its version; -1: it is none */
void registry_begin (world_t *self, const char *verb, const json_t *task);
void registry_on_chore (world_t *self, chore_t *chore);
extern const char *const tag_names [TAGS];

/* -- depot.c: contexts, which are lost and come back --------------------------------------------------------------- */

typedef struct { bool is_lost [INPUTS], was_lost [INPUTS]; } depot_t;

void depot_lose (world_t *self);
void depot_send (world_t *self, int inputs);            /* a person sends it */
void depot_restore (world_t *self, int who, const json_t *header);      /* a worker is asked for one */
void depot_context (int inputs, char hex [65]);

/* -- people.c ---------------------------------------------------------------------------------------------------- */

typedef struct { end_t end; } person_t;

void people_start (world_t *self);
void people_on_chore (world_t *self, const chore_t *chore);
void people_on_message (world_t *self, int who, const char *verb, const json_t *header);
void people_recover (world_t *self);
const char *requirement (int requires);                 /* "" for none */

/* -- weather.c: what befalls all --------------------------------------------------------------------------------- */

void weather_start (world_t *self);
void weather_on_chore (world_t *self);
void weather_clear (world_t *self);

#include "ledger.h"

/* -- world.c ------------------------------------------------------------------------------------------------------ */

struct world {
    uint64_t seed, random;
    int64_t now;                /* boot clock */
    int64_t steps;              /* events that the engine has handled */
    bool is_calm, is_traced, is_strict;                 /* strict: each message is held against its schema */
    char broken [1200];         /* the first violation; "" */
    char broken_rule [64];
    engine_t *engine;
    engine_settings_t settings;
    actions_t actions;
    agenda_t agenda;
    inbox_t inbox;
    int64_t disk_bad_until, winds_down_until;           /* 0: it does not */
    int64_t frozen_until;       /* the coordinator's process stands still */
    int64_t patient_until;      /* after that nobody counts as silent before this */
    connection_t connections [64];
    int connection_count;
    uint64_t last_peer, last_token;
    int64_t last_seq;
    worker_t workers [WORKERS];
    person_t people [USERS];
    submission_t *submissions;
    int submission_count, submission_capacity;
    registry_t registry;
    depot_t depot;
    ledger_t ledger;
    seat_t seats [WORKERS];
    patience_t patience;
    tenure_t tenure;
    int64_t last_turn, labels_changed, judged;  /* judged: batches */
    bool is_doubtful;           /* the last commit: nobody knows */
    int kills, deaths;
};

int64_t wall_ms (const world_t *self);
void world_run (world_t *self, uint64_t seed, bool is_traced);          /* from beginning to end, or to a violation */
void world_trace (const world_t *self, const char *what, uint64_t peer, const char *verb, const json_t *header);
void world_free (world_t *self);
int64_t number_of (const json_t *header, const char *field);
const char *text_of (const json_t *header, const char *field);          /* "" where there is none */

#endif
