/* fetch.h - brings a context into the worker's depot: asks the coordinator for the objects that are missing, top down by
 * folders, several requests on the way at once, each object checked, stored children first. */
#ifndef FARM_FETCH_H
#define FARM_FETCH_H

#include <czmq.h>
#include <stdatomic.h>

#include "common/depot.h"
#include "common/err.h"
#include "worker/supply.h"

typedef struct {
    uint64_t objects, bytes, wire_bytes;
    uint64_t content_bytes;             /* of the bytes, those of files */
} fetch_stats_t;

/* objects: the attempt's DEALER to the coordinator's objects socket, connected. The supply's depot gets what it does not have,
 * and the supply as it comes: folders first, then content in about the order in which a checkout wants it. Stops with
 * ERR_CANCELLED soon after *is_cancelled; ERR_NETWORK after 60 s without an answer (a coordinator that restarts in between is
 * waited for); with the checkout's own error soon after that has failed (supply_close). stats may be NULL. */
int fetch_tree (zsock_t *objects, supply_t *supply, const digest_t *root, atomic_int *is_cancelled, fetch_stats_t *stats,
                err_t *err);

/* One object of level 0 (the Dockerfile). */
int fetch_object (zsock_t *objects, supply_t *supply, const digest_t *digest, atomic_int *is_cancelled, fetch_stats_t *stats,
                  err_t *err);

#endif
