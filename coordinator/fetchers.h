/* fetchers.h - a few fetcher actors and the contexts that wait for a free one. */
#ifndef FARM_FETCHERS_H
#define FARM_FETCHERS_H

#include <jansson.h>

#include "coordinator/fetcher.h"

typedef struct fetchers fetchers_t;

/* settings are copied; what they point at is borrowed until destroy. NULL when there are not so many threads. */
fetchers_t *fetchers_new (int count, const fetcher_settings_t *settings, err_t *err);
/* Ends what is under way. */
void fetchers_destroy (fetchers_t **self);
void fetchers_poll (fetchers_t *self, zpoller_t *poller);

/* An ACTION_FETCH; and when nobody waits for one any more. */
void fetchers_add (fetchers_t *self, const json_t *task);
void fetchers_drop (fetchers_t *self, int64_t fetch);
void fetchers_hand_out (fetchers_t *self);

/* What is under way is ended, and begun anew after the next start; the rest is not handed out. */
void fetchers_wind_down (fetchers_t *self);
bool fetchers_are_idle (const fetchers_t *self);

/* The header of the next `fetched` (to the caller); NULL when there is none now. */
json_t *fetchers_next (fetchers_t *self);

#endif
