/* want.h - asks the coordinator for objects, several requests on the way at once, and hands them out as they come. */
#ifndef FARM_WANT_H
#define FARM_WANT_H

#include <czmq.h>
#include <stdatomic.h>

#include "common/digest.h"
#include "common/err.h"
#include "common/zip.h"

typedef struct want want_t;

/* objects: a connected DEALER on which nothing else is asked meanwhile: answers to other questions are dropped. */
want_t *want_new (zsock_t *objects, atomic_int *is_cancelled);
void want_destroy (want_t **self);

/* Put an object in the queue, once. size_bytes: what is known of its size, to fill a request well. */
void want_add (want_t *self, const digest_t *digest, size_t size_bytes);

/* So many are in it, and not asked for yet. */
size_t want_queued (const want_t *self);

/* An object that has come, its digest compared: its bytes, and how they travelled. Borrowed. */
typedef struct {
    digest_t digest;
    const uint8_t *data;
    size_t size;
    zip_t zip;
} arrival_t;

/* The next object, in any order; valid until the next call. 0 when all have come. ERR_CANCELLED soon after *is_cancelled;
 * ERR_NETWORK after 60 s without an answer: a request is repeated every 10 s, as a coordinator that is restarted forgets it. */
int want_next (want_t *self, arrival_t *out, err_t *err);

/* Bytes of messages received. */
uint64_t want_wire_bytes (const want_t *self);

#endif
