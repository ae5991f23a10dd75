/* publishers.h - a few publisher actors and the tasks that wait for a free one. */
#ifndef FARM_PUBLISHERS_H
#define FARM_PUBLISHERS_H

#include <czmq.h>
#include <jansson.h>

#include "common/registry.h"

typedef struct publishers publishers_t;

publishers_t *publishers_new (int count, const registry_settings_t *registry);
void publishers_destroy (publishers_t **self);

/* Add the actors to a poller. */
void publishers_poll (publishers_t *self, zpoller_t *poller);

/* Hand out a task ("verify", "publish") now or as soon as an actor is free. task is borrowed. */
void publishers_add (publishers_t *self, const char *kind, const json_t *task);

/* The next outcome: "verified" or "published" and its header (ownership to the caller); NULL when there is none now. */
const char *publishers_next (publishers_t *self, json_t **header);

#endif
