/* slot.h - one attempt of a job, in a thread of its own: fetch, check out, build, push, and clean up.
 *
 * The thread talks with the link over the actor's pipe in frames of text:
 *   to the link    ["REPORT", header of a `report` without its seq, as JSON]
 *                  ["OVER"]                everything is cleaned; it waits for $TERM
 *   from the link  ["STOP"]                a wait between two tries of the push ends
 *                  ["$TERM"] */
#ifndef FARM_SLOT_H
#define FARM_SLOT_H

#include <czmq.h>

#include "worker/attempt.h"

/* Why an attempt has to stop. */
typedef enum { STOP_NOT = 0, STOP_ABORTED, STOP_WORKER, STOP_TIMEOUT } stop_t;

typedef struct slot slot_t;

/* Takes the header of `assign`. */
slot_t *slot_new (const attempt_parts_t *parts, json_t **assign);
void slot_destroy (slot_t **self);

/* For actor_new (slot_actor, slot); the slot stays the caller's to destroy, after the actor. */
void slot_actor (zsock_t *pipe, void *slot);

/* Stop it soon; the first reason counts. Any thread. A STOP over the pipe should follow. */
void slot_stop (slot_t *self, stop_t why);

#endif
