/* scopes.h - which objects a worker may ask for: those of the contexts and Dockerfiles of its attempts, as long as these live. */
#ifndef FARM_SCOPES_H
#define FARM_SCOPES_H

#include "common/depot.h"

typedef struct scopes scopes_t;

scopes_t *scopes_new (depot_t *depot);          /* borrowed */
void scopes_destroy (scopes_t **self);

/* An attempt lives, and its worker builds from these; it does not live any more. */
void scopes_open (scopes_t *self, int64_t job, int64_t attempt, int64_t worker, const digest_t *context, const digest_t *dockerfile);
void scopes_close (scopes_t *self, int64_t job, int64_t attempt);

/* May the worker have this object? True also for one that is not in the depot: that is told by who looks for it. */
bool scopes_allow (scopes_t *self, int64_t worker, const digest_t *digest);
/* It was given an object that names others: it may have them next. */
void scopes_give (scopes_t *self, int64_t worker, const digest_t *digest);

/* Is the context of one of its attempts damaged? Then what is below it cannot be told from what is not. */
bool scopes_is_unsure (const scopes_t *self, int64_t worker);

/* Objects were taken out, and may come back under other numbers. */
void scopes_forget (scopes_t *self);

#endif
