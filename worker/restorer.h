/* restorer.h - a thread that gives lost contexts back (restore.h), one after the other, beside the builds and behind them. */
#ifndef FARM_RESTORER_H
#define FARM_RESTORER_H

#include "worker/attempt.h"

typedef struct restorer restorer_t;

/* parts is borrowed until destroy, which ends what is under way. NULL when there is no thread for it. */
restorer_t *restorer_new (const attempt_parts_t *parts, err_t *err);
void restorer_destroy (restorer_t **self);

void restorer_ask (restorer_t *self, const char *root_hex);

/* For polling; then, until it is NULL: how one ended, {root, found, text}, the caller's. */
zsock_t *restorer_actor (restorer_t *self);
json_t *restorer_next (restorer_t *self);

#endif
