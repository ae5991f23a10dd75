/* fetcher.h - the actors that fetch contexts: each runs farm-coordinator-fetch (fetch.h) for one at a time, and puts what comes into the depot.
 *
 * Pipe: ["fetch", JSON] is answered by ["fetched", JSON]: the headers of engine.h's ACTION_FETCH and of the event. Nothing is durable: what is lost with
 * the process is handed out again by the engine. */
#ifndef FARM_FETCHER_H
#define FARM_FETCHER_H

#include <czmq.h>
#include <jansson.h>
#include <stdatomic.h>

#include "common/depot.h"
#include "common/err.h"
#include "coordinator/context_limits.h"

/* What all of them are told; it must outlive them. */
typedef struct {
    depot_t *depot;
    const json_t *rules;            /* source_rules.h */
    char *folder;                   /* of mirrors and work */
    context_limits_t context_limits;
    int64_t timeout_ms, size_max, entries_max, mirrors_max, free_floor_bytes;
} fetcher_settings_t;

typedef struct {
    const fetcher_settings_t *settings;
    int number;                     /* which one it is */
    int wake_fd;                    /* an eventfd: look at the next two */
    atomic_bool is_stopped;         /* end what is under way, without an outcome that counts */
    atomic_llong dropped;           /* nobody waits for this fetch any more */
} fetcher_t;

/* argument: fetcher_t */
void fetcher_actor (zsock_t *pipe, void *fetcher);

/* Remove repositories from the folder of mirrors, the least lately used first, until they have no more than so many bytes; what is being
 * fetched stays. (mirrors.c) */
void mirrors_trim (const char *folder, int64_t bytes_max);

#endif
