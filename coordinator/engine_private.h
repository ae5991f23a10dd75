/* engine_private.h - what the files of the engine share: its state in memory, and how they answer.
 *
 * farm.db is the truth. In memory stand only what a restart may forget: connections, leases, pending waits. Whenever an event
 * or a batch is undone, live_load makes the memory agree with the database again. */
#ifndef FARM_ENGINE_PRIVATE_H
#define FARM_ENGINE_PRIVATE_H

#include <stdbool.h>

#include "common/platform.h"
#include "coordinator/db.h"
#include "coordinator/engine.h"
#include "coordinator/id_map.h"
#include "coordinator/states.h"

enum { BOARD_PLATFORMS_MAX = 32, HOLDERS = 1024 };

/* Jobs that ask the same of a worker (lanes.h). */
typedef struct {
    int64_t id;
    char platform [PLATFORM_MAX];
    bool may_emulate;
    json_t *requires;           /* requirements of its labels; owned */
    int64_t memory_bytes, cpu_percent;      /* that a job is to have; 0: none in particular */
    int64_t not_worker;         /* whom it is not for (second.h); 0: nobody */
    int64_t unserved_since_ms;  /* wall clock: no worker takes such jobs; 0: one does, or nobody has looked yet */
    int64_t overdue_ms;         /* wall clock: while it is unserved no job's time is over before; 0: it is to be looked at; INT64_MAX: it has none */
} lane_t;

/* This part of the queue may have jobs. */
typedef struct { int64_t lane, principal; int class; } hint_t;

/* When a worker was given a job of this user. */
typedef struct { int64_t principal, at; } turn_t;

/* What an admin has said of a worker. A forgotten one is forgotten until it says hello again. */
typedef enum { MODE_ACTIVE, MODE_DRAINING, MODE_PAUSED, MODE_FORGOTTEN, MODES } board_mode;

typedef struct { char name [PLATFORM_MAX]; bool is_emulated; } board_platform_t;

/* A registered worker. What is asked of each of them for each job stands first and close together. */
typedef struct {
    int64_t id, principal;
    uint64_t peer;              /* 0: not connected */
    int64_t quarantined_until_ms;           /* wall clock */
    board_mode mode;
    bool is_online;
    bool is_stopping;           /* its program was told to end: until that is heard of anew, or another one of it */
    int busy;                   /* attempts under lease, or being stopped */
    int slots;
    int cpus;
    int strain;                 /* how busy its machine is, for its size: in quarters of all its cpus, as its last heartbeat has it */
    int64_t memory_bytes, cpu_percent;      /* the most that it gives one job; 0: it enforces no limits */
    char unfit [192];           /* why it takes no job just now, in its own words; "": it does */
    int64_t seen_at;            /* boot clock: last heartbeat or hello */
    int64_t noted_at;           /* boot clock: when its row last said so */
    int64_t back_until;         /* boot clock: its connection has ended, and until then it may come back; 0: it has not */
    int faults;                 /* attempts in a row that failed through the farm's fault */
    int64_t away_at;            /* boot clock: since then it is not there; 0: it is, or nobody has looked */
    bool is_lost_told;          /* news of that were told */
    char name [64];
    char instance [33];
    board_platform_t *platforms;            /* owned */
    size_t platform_count;
    json_t *health;             /* of the last heartbeat; NULL: it has told nothing; owned */
    json_t *labels;             /* its own and an admin's; owned */
    turn_t *turns;              /* owned */
    size_t turn_count;
} board_t;

/* Those of the principals that have spoken. */
typedef struct { principal_t who; char key [65]; } known_principal_t;
typedef struct {
    known_principal_t *items;   /* owned */
    size_t count;
    id_map_t by_id, by_key;     /* by_key: of the first digits; two keys may share them, the later one is found */
} known_principals_t;

/* Who has built from a context last: a digest's first 60 bits. */
typedef struct { int64_t context, worker; } holder_t;

/* An attempt that a worker has. */
typedef struct {
    int64_t build, job, attempt, worker;
    int64_t assigned_at, lease_until;       /* boot clock */
    int64_t limit_ms;           /* how long it may take */
} lease_t;

/* An attempt that its worker was told to stop. It takes a slot until the worker says that it has, or does not name it any more. */
typedef struct {
    int64_t job, attempt, worker;
    int64_t since;              /* boot clock */
} halt_t;

/* A context or Dockerfile that the depot has lost: workers are asked for it; it has just come back; none has it. */
typedef enum { RESTORE_NONE, RESTORE_ASKED, RESTORE_BACK, RESTORE_GONE } restore_state;
typedef struct {
    int64_t worker;
    int64_t again_at;           /* boot clock: it could not give it back and is asked again; INT64_MAX: it has it not */
} restore_answer_t;
typedef struct {
    char root [65];             /* hex */
    restore_state state;
    int64_t until;              /* boot clock: nobody is waited for any longer; or, when it is back, this is forgotten */
    restore_answer_t *answers;  /* owned */
    size_t answer_count;
    char text [256];            /* why the last one that has it could not give it back */
} restore_t;

/* Something to do later: match a job again, give it to another than its home, verify it again, publish a build again, fetch a context again, look base images
 * up again. */
typedef enum { WAIT_MATCH, WAIT_HOME, WAIT_VERIFY, WAIT_PUBLISH, WAIT_FETCH, WAIT_LOOKUP, WAITS } wait_kind;
typedef struct {
    wait_kind kind;
    int64_t id;                 /* of the job, the build, the fetch or the lookup */
    int64_t due_at;             /* boot clock; INT64_MAX: under way */
    int tries;
} wait_t;

/* An event of this batch. Should the batch be lost, who asked is answered, and what a publisher said is taken up again. */
typedef struct {
    char verb [16];             /* "" for a peer's */
    uint64_t peer;
    bool is_greeting;
    int64_t seq;
    json_t *header;             /* of a publisher's word; owned */
    int tries;
} heard_t;

typedef struct {
    heard_t *items;
    size_t count;
} heard_list_t;

/* Through the builds that have ended, oldest end first. */
typedef struct {
    bool is_under_way;
    int64_t after_ms, after_id; /* the last one looked at */
    int64_t surplus;            /* so many of the oldest are too many */
} forget_walk_t;
typedef struct {
    int64_t at;                 /* boot clock: when to go on, or to begin anew */
    forget_walk_t walk;
    int64_t builds;             /* forgotten in this walk, or the last */
    bool is_done;               /* since it was asked for */
} forgetting_t;

/* What one key was denied, for one reason; the first was a row at once. */
typedef struct {
    char key [65], act [33], detail [256];
    bool is_stranger;
    int64_t times;              /* since the last row */
    int64_t since_ms, due_ms;   /* boot clock: of the first row of this hour; no other row before */
} denial_t;
typedef struct {
    denial_t *items;
    size_t count;
    int64_t next_ms;            /* boot clock: when one of them is to be a row; INT64_MAX: never */
} denial_list_t;
typedef struct {
    denial_list_t denials;
    denial_list_t before;       /* this batch, where has_before; else it has changed nothing */
    bool has_before;
    int64_t hour_since;         /* boot clock: of hour_count rows of what was found */
    int hour_count;
    bool is_changed;            /* since it was asked for last (engine_take_audit_head) */
} audit_t;

/* News that the courier has, and whoever waits for what comes of a test. */
enum { FLIGHTS_MAX = 32, NEWS_WAITS_MAX = 16 };
typedef struct { int64_t id, subscriber; } flight_t;
typedef struct {
    char uid [33];
    uint64_t peer;
    int64_t seq;
} news_wait_t;

struct engine {
    db_t *db;
    engine_settings_t settings;
    int64_t boot_ms, wall_ms;
    bool has_begun;             /* the transaction */
    int64_t changes_at_begin;   /* of it (db_changes): nothing is written yet */
    bool winds_down;            /* nothing new is begun */
    bool must_match;            /* something changed that lets a job be assigned */
    bool must_look;             /* which lanes are served may have changed */
    bool must_publish;          /* or an index be handed to a publisher */
    err_t lost;                 /* the batch cannot be committed, and why */
    err_t fatal;                /* nor can the engine go on */
    heard_list_t heard;         /* of this batch */
    heard_list_t again;         /* to be handled at the beginning of a later one, */
    int64_t again_at;           /* not before this (boot clock); nor is anything else that is due done */
    int64_t careful_until;      /* boot clock: a batch was lost not long ago, so each event can be undone alone */
    bool has_ticked;            /* in this batch */
    int failures;               /* ticks that were undone and batches that were lost, in a row */
    int live_builds;
    known_principals_t known;
    audit_t audit;
    lane_t *lanes;
    size_t lane_count;
    hint_t *hints;
    size_t hint_count;
    int64_t last_turn;
    bool has_schedules;         /* there may be some */
    int64_t schedules_at;       /* boot clock: when they are to be looked at */
    bool has_subscribers;       /* there may be some, or news that wait */
    int64_t news_at, news_tidy_at;          /* boot clock: when news are to be looked at, and old ones to be forgotten */
    flight_t flights [FLIGHTS_MAX];
    size_t flight_count;
    news_wait_t news_waits [NEWS_WAITS_MAX];
    size_t news_wait_count;
    int64_t tick_at;            /* boot clock: when the first of all that is to come is due, as the last batch left it */
    forgetting_t forgetting;    /* of builds that are not kept (retention.h) */
    int64_t tidy_at;            /* boot clock: when lanes without jobs are to go */
    int64_t patient_until;      /* boot clock: until then nobody counts as silent: it has not listened for a while itself */
    int64_t settled_at;         /* boot clock: until then workers may still come back from before the start */
    int64_t patience_at;        /* boot clock: when to see whether a job has waited for its time */
    int64_t age_at;             /* boot clock: when to see whether a queued job rises a class */
    board_t *boards;
    size_t board_count;
    id_map_t board_places, principal_places;    /* of a worker, of its key; the latter may be out of date */
    holder_t holders [HOLDERS]; /* a context has one place; a hint, so nothing is lost with it */
    size_t holder_count;
    lease_t *leases;
    size_t lease_count;
    id_map_t lease_places;      /* by job */
    halt_t *halts;
    size_t halt_count;
    wait_t *waits;
    size_t wait_count;
    id_map_t wait_places [WAITS];
    restore_t *restores;
    size_t restore_count;
    int64_t *changed;           /* builds changed in this transaction */
    size_t changed_count;
    int64_t *watched;           /* live builds that somebody watches */
    size_t watched_count;
    int64_t secret_bytes, secret_parts;         /* that builds have, or are to have */
    int64_t secrets_at;         /* boot clock: when to see whether one waits for a build that never came */
    bool must_shred;            /* some were deleted: SQLite's log still has them */
    actions_t pending;          /* handed out by commit */
};

/* What a verb's file does with an event. On -1 all that the event did is undone, and err is the answer. */
typedef int (handler_fn) (engine_t *self, const event_t *event, err_t *err);

/* May whoever says it say it? Then the file that decides on it does. (dispatch.c) */
int engine_dispatch (engine_t *self, const event_t *event, err_t *err);
/* Does its handler refuse it only before it has written anything? Then what fails behind that is the database. (dispatch.c) */
bool engine_checks_first (const event_t *event);

/* Act on each id of a query's first column, after all of them were read: act may change its rows. (engine.c) */
int engine_each_id (engine_t *self, query_t query, int (*act) (engine_t *self, int64_t id, err_t *err), err_t *err);

/* A part of an event that may fail by itself: then it is undone, *why says why, and 1 is returned. -1: nor can the event go on. (engine.c) */
typedef int (part_fn) (engine_t *self, void *argument, err_t *err);
int engine_try (engine_t *self, part_fn *part, void *argument, err_t *why, err_t *err);

/* -- answers (actions.c) */
void engine_send (engine_t *self, uint64_t peer, const char *verb, json_t *header);     /* takes header */
void engine_answer (engine_t *self, const event_t *event, const char *verb, json_t *header);
void engine_act (engine_t *self, action_type type, json_t *header);                     /* takes header */
void engine_tell (engine_t *self, const char *format, ...) __attribute__ ((format (printf, 2, 3)));    /* the log */
/* Something has happened that the metrics count (metrics.h): value is added, or put into the histogram. Labels: NULL where there are no more. */
void engine_count (engine_t *self, const char *name, double value, const char *label, const char *second, const char *third);
void engine_refuse (engine_t *self, uint64_t peer, int64_t seq, const err_t *err);       /* peer 0: nobody hears it */
void actions_cut (actions_t *self, size_t count);                                       /* drop what stands behind */
void engine_hand_over (engine_t *self, actions_t *to);

/* -- how often a registry in trouble is tried (engine.c) */
int engine_registry_tries (const engine_t *self);

/* -- watching (watching.c) */
void engine_note_change (engine_t *self, int64_t build);
void engine_watch (engine_t *self, int64_t build);
/* Nobody is told any more of builds that are over: their last change goes out with this batch. */
void watching_end (engine_t *self);

/* A field of a checked header: 0 or NULL where absent. */
int64_t event_int (const event_t *self, const char *field);
const char *event_text (const event_t *self, const char *field);

/* -- leases, halts and waits (live.c) */
/* Does [{job, attempt}] name it? NULL names nothing. */
bool attempts_name (const json_t *attempts, int64_t job, int64_t attempt);
lease_t *lease_find (engine_t *self, int64_t job);
void lease_add (engine_t *self, int64_t build, int64_t job, int64_t attempt, int64_t worker, int64_t limit_ms);
void lease_drop (engine_t *self, int64_t job);
void halt_add (engine_t *self, int64_t worker, int64_t job, int64_t attempt);        /* once */
void halt_drop (engine_t *self, int64_t worker, int64_t job, int64_t attempt);
/* All of a worker; with attempts those that are not named there and older than fresh_at. */
void halts_settle (engine_t *self, int64_t worker, const json_t *attempts, int64_t fresh_at);
void wait_set (engine_t *self, wait_kind kind, int64_t id, int64_t delay_ms);       /* counts tries of the same */
void wait_again (engine_t *self, wait_kind kind, int64_t id, int64_t delay_ms);     /* the same try; nothing where it waits for nothing */
int wait_tries (const engine_t *self, wait_kind kind, int64_t id);
bool wait_is_pending (const engine_t *self, wait_kind kind, int64_t id);
void wait_note_under_way (engine_t *self, wait_kind kind, int64_t id);      /* no longer due; its tries are kept */
void wait_drop (engine_t *self, wait_kind kind, int64_t id);
/* Read boards, leases, counts and what is to be verified from the database; what only memory knows of those that are still there
 * is kept. */
int live_load (engine_t *self, err_t *err);
void live_clear (engine_t *self);

#endif
