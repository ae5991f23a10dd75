/* storer.h - puts objects into the depot, some MiB to a transaction, in a thread of its own: so the next ones are received
 * and expanded while these are written. */
#ifndef FARM_STORER_H
#define FARM_STORER_H

#include "common/depot.h"
#include "common/err.h"
#include "worker/want.h"

typedef struct storer storer_t;

/* on_stored is called after each transaction, by the thread; may be NULL. NULL with err when there can be no thread. */
storer_t *storer_new (depot_t *depot, void (*on_stored) (void *argument), void *argument, err_t *err);
/* What was not flushed is dropped. */
void storer_destroy (storer_t **self);

/* Copies the object; waits while two batches are full. The first error of a batch ends it all: it is told by the next call. */
int storer_put (storer_t *self, object_kind kind, const arrival_t *object, err_t *err);

/* Returns when all is in the depot. */
int storer_flush (storer_t *self, err_t *err);

#endif
