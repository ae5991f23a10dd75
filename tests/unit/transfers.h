/* transfers.h - what the tests of sending share: a coordinator's depot service, a user who sends a folder, and a worker who fetches. */
#ifndef FARM_TESTS_TRANSFERS_H
#define FARM_TESTS_TRANSFERS_H

#include <czmq.h>

#include "coordinator/depot_service.h"
#include "farmctl/upload.h"
#include "worker/fetch.h"

typedef struct {
    char *top, *context, *state, *out;
    zsock_t *zap, *service_actor;
    depot_service_t *service;
    keypair_t server, user, other, viewer, worker;
    client_t *client, *other_client, *viewer_client;        /* of two users, and of one who looks */
    zsock_t *objects;           /* the worker's */
    depot_t *cache;
    upload_stats_t sent;        /* of a send that another thread watches */
} farm_t;

/* For cmocka: state is a farm_t with an empty context. */
int set_up (void **state);
int tear_down (void **state);

/* endpoint "tcp://127.0.0.1:*" for any port. */
void start_service (farm_t *self, const char *endpoint);
void stop_service (farm_t *self);

/* Send the farm's context whole; returns its root. */
digest_t send_context (farm_t *self, upload_stats_t *stats);

/* The worker has an attempt that is built from root from now on, so that it may fetch it. */
void begin_attempt (const digest_t *root);

/* As fetch_tree and fetch_object, into a depot alone, of an attempt's. */
int fetch_context (zsock_t *objects, depot_t *depot, const digest_t *root, atomic_int *is_cancelled, fetch_stats_t *stats,
                   err_t *err);
int fetch_content (zsock_t *objects, depot_t *depot, const digest_t *digest, atomic_int *is_cancelled, fetch_stats_t *stats,
                   err_t *err);

/* Bring a context into the worker's cache. */
void fetch (farm_t *self, const digest_t *root, fetch_stats_t *stats);

#endif
