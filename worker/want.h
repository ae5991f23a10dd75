/* want.h - asks the coordinator for objects, several requests on the way at once, and hands them out as they come. */
#ifndef FARM_WANT_H
#define FARM_WANT_H

#include <czmq.h>
#include <stdatomic.h>

#include "common/digest.h"
#include "common/err.h"

typedef struct want want_t;

/* objects: a connected DEALER on which nothing else is asked meanwhile: answers to other questions are dropped. */
want_t *want_new (zsock_t *objects, atomic_int *is_cancelled);
void want_destroy (want_t **self);

/* Put an object in the queue, once. size_bytes: what is known of its size, to fill a request well. */
void want_add (want_t *self, const digest_t *digest, size_t size_bytes);

/* The next object that has come, in any order; data is borrowed until the next call, its digest not yet compared. 0 when
 * all have come. ERR_CANCELLED soon after *is_cancelled; ERR_NETWORK after 60 s without an answer: a request is repeated
 * every 10 s, as a coordinator that is restarted forgets it. */
int want_next (want_t *self, digest_t *digest, const uint8_t **data, size_t *size, err_t *err);

/* Bytes of messages received. */
uint64_t want_wire_bytes (const want_t *self);

#endif
