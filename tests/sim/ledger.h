/* ledger.h - what the referee knows, part of sim.h: what was committed and what was heard, kept beside the engine; and its rules, the
 * invariants. None of it is taken from the engine's memory, which is what is judged. */
#ifndef FARM_SIM_LEDGER_H
#define FARM_SIM_LEDGER_H

#include "common/mem.h"

/* -- ledger.c, seats.c: what was committed, kept beside the engine ------------------------------------------------- */

enum { TOLD_MAX = 4, NAMED_MAX = 64, QUEUE_MAX = 2048, TOUCHED_MAX = 256, TAKEN_MAX = 64 };

typedef struct {
    int64_t id, build, attempt, queued_ms;
    int64_t free_since;                                 /* boot clock: a fitting slot is free; 0: none is */
    int64_t pushed_at;                                  /* boot clock: its worker has said so */
    int64_t looks, entered_at;                          /* the last look at the queue that saw it there; boot clock: the first of them */
    int64_t rests_since, rests_attempt;                 /* boot clock: it was first seen to rest, after that attempt; 0: it does not */
    int64_t rests_until;                                /* wall clock: not before that is it given to a worker */
    int64_t class_since;                                /* boot clock: it waits, and has its class; 0: that was not seen */
    int class;
    int64_t renewed_at;                                 /* boot clock: its worker has named it, or was given it */
    int64_t given_at, kept_from;                        /* boot clock: its lease began; and begins anew, at the earliest */
    int64_t judged_at;                                  /* boot clock: a publisher's verdict of its image was taken down */
    int submission, platform, worker;                   /* worker: of the last attempt */
    job_state state;
    int first;                                          /* the worker that has built it first, of two, and one more; 0: nobody */
    int told [TOLD_MAX], told_count;                    /* images that the last attempt's worker has reported */
    bool is_known, is_open;                             /* is_known: it stands on a known image; is_open: its log */
} job_entry_t;

typedef struct {
    int64_t id;
    int submission;
    build_state state;
    int64_t ended_ms, first_job;                        /* wall clock; its jobs have one number after the other */
    int job_count;
    bool has_begun, is_new;     /* its first event was read; in this batch */
    bool is_kept;               /* the registry has its index */
    int base;                   /* version of the base image that its jobs are given, and one more; 0: none was */
    char index [80];            /* digest, once it was handed out */
} build_entry_t;

/* A queued job that is awake. */
typedef struct { int64_t job, lane; int class, user; } queue_row_t;

typedef struct {
    job_entry_t *jobs;          /* by number */
    build_entry_t *builds;
    int64_t job_max, build_max, last_event, paused_until, tallies [BUILD_STATES];
    size_t job_capacity, build_capacity;
    int held, open_logs;        /* jobs that a worker has */
    buffer_t changed;           /* numbers of builds, while events are read */
    bool has_new_events, has_new_workers;       /* rows were written since ledger_read, seats_read */
    queue_row_t *queue;         /* as of the last ledger_read_queue: by lane, class, user and number */
    int queue_count;
    int64_t touched [TOUCHED_MAX];              /* jobs whose rows were written since then */
    int touched_count;          /* above TOUCHED_MAX: too many to tell, or all are new */
} ledger_t;

void ledger_restart (world_t *self);
void ledger_read (world_t *self);                       /* what has changed in the database */
void ledger_watch_queue (world_t *self);                /* the database was opened */
void ledger_read_queue (world_t *self);
void ledger_free (world_t *self);
job_entry_t *ledger_job (world_t *self, int64_t job);   /* NULL where there is none */
build_entry_t *ledger_build (world_t *self, int64_t build);
int lane_of_job (const world_t *self, const job_entry_t *job);          /* which workers it may have: below LANES_MAX */

/* What has been heard of a worker. */
typedef struct {
    uint64_t peer;
    int64_t seen_at, quarantined_until_ms, last_served [USERS];
    int64_t back_until;                                 /* boot clock: its connection has ended, and until then it may come back; 0: it has not */
    unsigned repositories, inputs;                      /* bits: of jobs that it has had */
    bool is_there, is_unfit, is_stopping;
    char instance [33];
    board_mode mode;
    json_t *labels, *given;     /* all; those of an admin */
    struct { int64_t job, attempt, at; } named [NAMED_MAX];             /* what it may be working on, as far as was heard */
    int named_count;
} seat_t;

void seats_restart (world_t *self, bool is_doubtful);   /* doubtful: perhaps its last words were taken down */
void seats_hear (world_t *self, const heard_event_t *events, size_t count, const actions_t *actions);
void seats_glimpse (world_t *self, const heard_event_t *events, size_t count);          /* of a batch that was lost */
void seats_overhear (world_t *self, const heard_event_t *events, size_t count);         /* of one that was perhaps taken down, perhaps not */
void seats_read (world_t *self);                        /* quarantine */
void seats_free (world_t *self);
void seat_name (seat_t *seat, int64_t job, int64_t attempt, int64_t at);
void seats_part (world_t *self, int64_t at);
bool seat_is_silent (const world_t *self, const seat_t *seat);
bool seat_is_open (const world_t *self, int worker);
bool seat_serves (const world_t *self, int worker, const job_entry_t *job);           /* may it have such jobs? */
const board_t *board_of_worker (const world_t *self, int worker);       /* the engine's; NULL where there is none */

/* -- referee.c, assigns.c, tenure.c, publishing.c, fairness.c, patience.c, rows.c: the invariants ------------------------------- */

void violation (world_t *self, const char *rule, const char *format, ...) __attribute__ ((format (printf, 3, 4)));
void referee_judge (world_t *self, const heard_event_t *events, size_t count, const actions_t *actions);
void referee_judge_end (world_t *self);                 /* when the calm is over */
void assigns_judge (world_t *self, const action_t *action);
void assigns_judge_base (world_t *self, int64_t build, int version);
void tenure_restart (world_t *self);                    /* reads the ledger: what was heard before that nobody knows */
void tenure_note_taken (world_t *self, const job_entry_t *job);         /* its worker has the attempt no more, for reasons of the farm's */
void tenure_hear_word (world_t *self, int worker, const json_t *attempts, int64_t fresh_at);   /* what it says it has */
void tenure_hear_end (world_t *self, int worker, int64_t job, int64_t attempt);        /* it reports that it has ended it */
void tenure_part (world_t *self, int worker, int64_t grace_ms);         /* its connection has ended */
void tenure_judge (world_t *self);                      /* after seats_hear */
void tenure_judge_abort (world_t *self, const action_t *action);
void publishing_judge_verify (world_t *self, const json_t *task);
void publishing_judge (world_t *self, const json_t *task);
void publishing_judge_end (world_t *self, const build_entry_t *build);          /* it is published */
void fairness_judge (world_t *self, const actions_t *actions);          /* after ledger_read_queue */
void patience_look (world_t *self, bool has_run);       /* which lanes are served; has_run: the engine has had a batch, and looked as well */
void patience_restart (world_t *self);
bool patience_is_pending (const world_t *self);         /* some job waits beside a free slot */
void patience_judge (world_t *self);                    /* after ledger_read_queue */
void patience_judge_start (world_t *self, const job_entry_t *job);      /* it was assigned */
void patience_judge_end (world_t *self, const job_entry_t *job);        /* it failed in the queue */
void patience_judge_ended (world_t *self);              /* after patience_look: nor did a worker come back in that batch */
void rows_judge (world_t *self);
int64_t rows_count (world_t *self, const char *sql);

typedef struct { int64_t job, attempt, given_at, kept_from, limit_at; int worker; bool is_given_up; } taken_t;
typedef struct { taken_t items [TAKEN_MAX]; int count; } tenure_t;      /* of this batch */

typedef struct {
    int64_t restarted_ms;           /* wall clock: when the coordinator began */
    int64_t since_ms [LANES_MAX], since_start_ms [LANES_MAX];           /* wall clock: no worker takes such jobs; 0: one does */
    int64_t seen;               /* who was open, and with which labels, when it was looked at last */
    bool is_pending;
    int64_t looks;              /* at the queue */
    int64_t ended;              /* a job that failed in this batch for want of a worker; 0 */
} patience_t;

#endif
