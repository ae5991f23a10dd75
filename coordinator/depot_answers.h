/* depot_answers.h - what the depot service answers to each verb: its state, and one function per verb. */
#ifndef FARM_DEPOT_ANSWERS_H
#define FARM_DEPOT_ANSWERS_H

#include <czmq.h>

#include "common/depot.h"
#include "common/digest_map.h"
#include "common/msg.h"
#include "coordinator/build_log.h"
#include "coordinator/conduct.h"
#include "coordinator/denials.h"
#include "coordinator/depot_service.h"
#include "coordinator/id_map.h"
#include "coordinator/scopes.h"

enum { BATCH_MAX = 16 };         /* messages taken at once, of 260 KiB at most: what bounds the memory */

typedef struct {
    int64_t id;
    char role [16];
    bool is_worker;
} speaker_t;

/* A message that came in, until it is answered. */
typedef struct {
    zframe_t *peer;
    msg_t *message;
    char key [KEY_HEX_SIZE + 1];
    int fd;                     /* of the connection, as msg_recv has it */
    speaker_t speaker;
    int64_t deadline_ms;        /* of a read-log that waits */
    int64_t asking;             /* the number of the question to the gateway whose build it is about; 0: none is open */
} request_t;
void request_destroy (request_t **self);

/* In the depot's order of use. 0: none. */
typedef struct {
    int64_t set_ms;             /* boot clock */
    int64_t mark;
} collection_mark_t;
enum { MARKS = 9 };

/* What is being collected (collection.c). */
typedef struct {
    bool is_running, is_dry;
    depot_gone_t gone;          /* so far */
    uint64_t logs, log_bytes;
    uint64_t dropped_logs, dropped_bytes;       /* with their builds, since a collection was announced */
    int64_t grace_ms;
    collection_mark_t marks [MARKS];            /* oldest first, the last is the latest */
} collection_t;

struct depot_service {
    zsock_t *pipe;              /* to the gateway; borrowed */
    depot_t *depot;
    build_logs_t *logs;
    zsock_t *socket;
    char endpoint [256];
    uint16_t port;
    bool is_open;
    bool shall_end;             /* the gateway has ended */
    bool shall_rest;            /* the gateway waits to hear that nobody sends anything */
    int64_t put_at;             /* boot clock: when somebody did */
    char *folder;               /* of the depot: whose disk must keep free_floor_bytes */
    int64_t free_floor_bytes;
    int64_t log_keep_ms, log_total_bytes;       /* retention of logs */
    int64_t context_total_bytes;                /* and of contexts */
    context_limits_t context_limits;
    collection_t collection;
    buffer_t lost;              /* what workers may bring back (lost.c) */
    digest_map_t lost_by_digest;                /* its places */
    bool is_lost_back, is_lost_root_back;       /* something of it was put, a root was */
    uint64_t asked_objects, absent_objects, sent_objects;       /* since the start: by farmctl, of them not there; to workers */
    denials_t *denials;         /* on their way to the audit log */
    scopes_t *scopes;           /* what workers may ask for */
    id_map_t owners;            /* job -> the principal whose build it is of; of jobs that are there */
    int64_t asked;              /* questions of that so far */
    conduct_t *conduct;
    zhashx_t *speakers;         /* key hex -> speaker_t */
    zlistx_t *waiters;          /* request_t: read-log with nothing to say yet, oldest first */
};

/* depot_answers.c: each answers exactly once, but for what was refused or denied once too often, which ends the connection (conduct.h). What is denied
 * is for the audit log. answer_refused: of a request that is not looked at further, whatever the error. */
void answer (depot_service_t *self, request_t *request, const char *verb, json_t *header, const buffer_t *body);
void answer_error (depot_service_t *self, request_t *request, const err_t *err);
void answer_refused (depot_service_t *self, request_t *request, const err_t *err);
denials_fn depot_service_tell_denied;           /* context: the service */
void answer_missing (depot_service_t *self, request_t *request);
void answer_want (depot_service_t *self, request_t *request);
void answer_log (depot_service_t *self, request_t *request);
void answer_stats (depot_service_t *self, request_t *request);
json_t *depot_service_figures (depot_service_t *self);
bool depot_service_has_room (const depot_service_t *self);
/* One transaction for all where all are good, else one each. */
void answer_puts (depot_service_t *self, request_t **requests, size_t count);

/* collection.c: set a mark; one will come, once builds have been forgotten; a log goes with its build; begin with what the builds still
 * need; do a part, and say over the pipe when it is over. */
void collection_tick (depot_service_t *self);
void collection_announce (depot_service_t *self);
void collection_drop_log (depot_service_t *self, int64_t job, int64_t attempt);
void collection_begin (depot_service_t *self, zmsg_t *command, zsock_t *pipe);
void collection_step (depot_service_t *self, zsock_t *pipe);

/* lost.c: note what the depot has lost meanwhile, forget what is back, and tell the gateway of the roots; hear of an object that is put;
 * may whoever asks put this object? ERR_DENIED. Awaited is what was lost less than patience_ms ago and is not back. */
void lost_tell (depot_service_t *self);
void lost_put (depot_service_t *self, const digest_t *digest);
bool lost_holds (const depot_service_t *self, const digest_t *digest);
bool lost_is_awaited (const depot_service_t *self, const digest_t *digest, int64_t patience_ms);
int lost_check (const depot_service_t *self, const request_t *request, const digest_t *digest, err_t *err);

/* log_waiters.c: answer a read-log, or, with nothing to say and time left, take it over and keep it. */
void answer_read_log (depot_service_t *self, request_t **request);
void waiters_note_owner (depot_service_t *self, int64_t job, int64_t owner, int64_t question);       /* owner 0: there was no such job when that was asked */
void waiters_wake (depot_service_t *self, int64_t job, int64_t attempt);    /* the log grew or ended */
void waiters_note_speaker (depot_service_t *self, const char *key, const speaker_t *speaker);       /* it may be another's log for them by now */
void waiters_drop_key (depot_service_t *self, const char *key);
int waiters_expire (depot_service_t *self);     /* answers those whose time is over; ms until the next, -1 none */

#endif
