/* queue.h - the order in which queued jobs are served.
 *
 * Jobs wait in lanes (lanes.h), by what they ask of a worker. Of the lanes that a worker serves, the highest class comes
 * first; within a class the users take turns, the one that this worker has served longest ago first; and of one user's jobs the
 * oldest. So whoever has one build waits for one job of each other user at most, however many those have. A job that waits for
 * long rises into the next class: nothing waits for ever.
 *
 * The rows of `jobs` are the queue. Memory has the lanes, and hints at which of their parts are not empty: a part without a
 * hint has no job, one with a hint may have none. So the cost of a choice does not grow with the queue. */
#ifndef FARM_QUEUE_H
#define FARM_QUEUE_H

#include "coordinator/engine_private.h"

enum { CLASS_HIGH, CLASS_NORMAL, CLASS_LOW, CLASSES };

/* "high", "normal", "low"; CLASS_NORMAL for NULL and what is none of them. */
int class_of (const char *name);

/* A job has come (back) into the queue; after queue_rest it waits for queue_wake before anybody gets it. */
int queue_enter (engine_t *self, int64_t job, err_t *err);
int queue_rest (engine_t *self, int64_t job, int64_t delay_ms, err_t *err);
int queue_wake (engine_t *self, int64_t job, err_t *err);

/* The jobs that a worker could be given, in the order in which it should. Of one user only the first few are looked at: the rest
 * would be kept from it by the same reasons. */
typedef struct {
    engine_t *engine;
    const board_t *board;
    int class;
    int64_t turn, user;         /* whose jobs are being looked at, and when this worker served them last */
    int64_t job;                /* the last one of them */
    int left;                   /* so many more; 0: on to the next user */
} queue_walk_t;

void queue_walk_begin (queue_walk_t *self, engine_t *engine, const board_t *board);
int queue_walk_next (queue_walk_t *self, int64_t *job, err_t *err);        /* 1 a job; 0 the end; -1 */

/* Would they be offered the same jobs? */
bool queue_serves_same (engine_t *self, const board_t *one, const board_t *other);

/* The worker was given one of this user's. */
void queue_note_turn (engine_t *self, board_t *board, int64_t principal);

/* Let what has waited for ageing_ms rise; when to look again stands in engine->age_at. */
int queue_age (engine_t *self, err_t *err);

/* Read lanes and hints from the database; rests that only memory knew are ended. */
int queue_load (engine_t *self, err_t *err);
void queue_clear (engine_t *self);

#endif
