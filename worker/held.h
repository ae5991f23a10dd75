/* held.h - an attempt that this worker holds: from its assignment until its thread has cleaned up and the coordinator has noted
 * how it ended. Only the link uses it. */
#ifndef FARM_HELD_H
#define FARM_HELD_H

#include <czmq.h>

#include "worker/connection.h"
#include "worker/slot.h"

typedef struct {
    int64_t job;
    int64_t attempt;
    slot_t *slot;               /* NULL: never started, or over */
    zsock_t *actor;
    json_t *report;             /* the last one, until it is noted */
    int64_t seq;                /* under which it was sent last */
    int64_t repeat_at;          /* boot clock */
    int repeat_ms;
    int64_t timeout_at;         /* boot clock: stop it then, if it has not stopped by itself */
    bool has_ended;             /* its last report is made: its slot is free, although it may still clean up */
    bool is_unwanted;           /* the coordinator only wants to hear that it has stopped: its slot is taken until then */
} held_t;

/* Take an assignment on and start its thread; NULL when there is none to be had. Takes assign. */
held_t *held_start (const attempt_parts_t *parts, json_t **assign, err_t *err);
/* Take it on only to say that it is not done, and why. */
held_t *held_refuse (const json_t *assign, const err_t *why);
/* The thread must be over. */
void held_destroy (held_t **self);

bool held_is_busy (const held_t *self);         /* takes a slot */
bool held_is_done (const held_t *self);         /* nothing more to do or to say: destroy it */

/* Take what its thread says: true for a report, which is to be sent now. */
bool held_take (held_t *self);

void held_stop (held_t *self, stop_t why);

/* Nobody wants it: stop it, and say only that it has. */
void held_drop (held_t *self);

/* Send its report, if there is one, as number seq. */
void held_send (held_t *self, connection_t *connection, int64_t seq);
/* When it is to be sent again: boot clock, INT64_MAX never. */
int64_t held_repeat_at (const held_t *self);
void held_noted (held_t *self);

#endif
