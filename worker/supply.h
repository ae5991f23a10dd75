/* supply.h - where a checkout takes its objects from: the depot, and what is just arriving for it. Thread-safe.
 *
 *     one thread fetches: ---- round --- what was fetched is in the depot now; is more wanted? ---- round ---- ...
 *                              |  offered, held          ^ stored                 ^
 *     checkout's threads:      supply_get: at hand? in the depot? else wait ------+ not there, or damaged: ask for a round
 *
 * So files are written while later objects are under way, mostly from memory; and an object that the depot finds damaged, and
 * drops with all that names it, is fetched again while the checkout waits for it. */
#ifndef FARM_SUPPLY_H
#define FARM_SUPPLY_H

#include "common/depot.h"
#include "common/err.h"

typedef struct supply supply_t;

/* Of the depot alone, until a round begins. */
supply_t *supply_new (depot_t *depot);
void supply_destroy (supply_t **self);
depot_t *supply_depot (supply_t *self);

/* -- for the checkout ------------------------------------------------------------------------------------------- */

/* Read one object into out (replaced). */
int supply_get (supply_t *self, const digest_t *digest, buffer_t *out, err_t *err);

/* Nothing more is wanted. err says how the checkout went (code ERR_NONE: well). */
void supply_close (supply_t *self, const err_t *err);

/* -- for the one who fetches ------------------------------------------------------------------------------------ */

/* A round of fetching: from now on an object that is not there is waited for. */
void supply_begin (supply_t *self);

/* Came, its digest compared: held until supply_clear, borrowed; or copied and kept at hand until it is read, or a few
 * MiB have come after it. */
void supply_hold (supply_t *self, const digest_t *digest, const void *data, size_t size);
void supply_offer (supply_t *self, const digest_t *digest, const void *data, size_t size);

/* -1 with the checkout's error once it has failed: what is still to come is of no use. */
int supply_check (supply_t *self, err_t *err);

/* More of what came is in the depot. argument: the supply. */
void supply_stored (void *argument);

/* Nothing is at hand any more: it is in the depot, or will not be. */
void supply_clear (supply_t *self);

/* The round is over, err says how (code ERR_NONE: well). One that failed because the depot lost something under its hands did
 * its part: the next one brings the rest. */
void supply_end (supply_t *self, const err_t *err);

/* Wait until the checkout is over (false) or wants another round (true), which it does as long as they bring something or more
 * damage is found. */
bool supply_await (supply_t *self);

#endif
