/* publishers.h - a few publisher actors and the tasks that wait for a free one. */
#ifndef FARM_PUBLISHERS_H
#define FARM_PUBLISHERS_H

#include <czmq.h>
#include <jansson.h>

#include "common/registry.h"
#include "coordinator/publisher.h"

typedef struct publishers publishers_t;

/* readers: actors beside `count`, for images whose layers are read: that may take minutes, and holds up nobody else. A few more look base images up. limits: what one
 * such image may cost (its registry and is_stopped are not looked at). registry is borrowed until destroy. NULL when there are not so
 * many threads. */
publishers_t *publishers_new (int count, int readers, const registry_settings_t *registry, const publisher_settings_t *limits, err_t *err);
void publishers_destroy (publishers_t **self);

/* Add the actors to a poller. */
void publishers_poll (publishers_t *self, zpoller_t *poller);

/* A task ("verify", "publish", "look", "resolve") that is to be handed out. Images of one build that are added one after the other are verified
 * together. task is borrowed. */
void publishers_add (publishers_t *self, const char *kind, const json_t *task);
/* Hand out what was added, now or as soon as an actor is free. Images with bases in other registries than their own go to one
 * actor alone: a registry that does not answer holds up no more, and that actor knows which one it was. */
void publishers_hand_out (publishers_t *self);

/* What is handed out may end, but for layers that are being read, which the next start reads again; the rest, and what is added from now on, is not handed out. */
void publishers_wind_down (publishers_t *self);
bool publishers_are_idle (const publishers_t *self);

/* The next outcome: "verified", "published", "looked" or "resolved" and its header (ownership to the caller); NULL when there is none now. */
const char *publishers_next (publishers_t *self, json_t **header);

#endif
