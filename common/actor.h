/* actor.h - a thread that is talked with over a pipe, as czmq's zactor is; but where the system has no thread to give, or no memory for
 * one, that is an error: zactor_new of czmq 4.2.1 does not look whether there is one, and waits for it for ever, or crashes.
 *
 * The function is a zactor_fn: it signals its pipe when it is ready, and returns after "$TERM". An actor is known by its end of the
 * pipe, to send, receive and poll on. */
#ifndef FARM_ACTOR_H
#define FARM_ACTOR_H

#include <czmq.h>

#include "common/err.h"

/* Returns when it is ready; NULL when there is no thread (ERR_FARM). argument is borrowed until destroy. */
zsock_t *actor_new (zactor_fn *run, void *argument, err_t *err);
/* Tells it to end, and waits until it has; what it still said is thrown away. */
void actor_destroy (zsock_t **self);

#endif
