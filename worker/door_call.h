/* door_call.h - one request of a builder, from its headers to the last byte of its answer. */
#ifndef FARM_DOOR_CALL_H
#define FARM_DOOR_CALL_H

#include <microhttpd.h>
#include <pthread.h>

#include "worker/door_exchange.h"
#include "worker/door_pass.h"
#include "worker/door_route.h"
#include "worker/door_upstream.h"

enum { IDLE_MULTIS_MAX = 16, CALL_TEXT_MAX = 1024 };

/* What all calls share. Handles of libcurl that nobody uses wait here with their open connections. */
typedef struct {
    const registry_settings_t *settings;
    passes_t *passes;
    pthread_mutex_t lock;
    CURLM *idle [IDLE_MULTIS_MAX];
    int idle_count;
} door_calls_t;

void calls_init (door_calls_t *self, const registry_settings_t *settings, const door_limits_t *limits);
void calls_clear (door_calls_t *self);

/* libmicrohttpd's handlers; the first argument is the door_calls_t. */
enum MHD_Result calls_on_request (void *argument, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *data_size, void **call);
void calls_on_completed (void *argument, struct MHD_Connection *connection, void **call, enum MHD_RequestTerminationCode code);

/* A call, shared by door_call.c (what comes in) and door_answer.c (what goes out). */
typedef struct {
    door_calls_t *calls;
    struct MHD_Connection *connection;
    pass_t *pass;
    route_t route;
    CURLM *multi;
    exchange_t *exchange;
    bool is_head, has_body, is_streaming, is_refused, has_manifest;
    buffer_t body;                      /* of a manifest, in or out */
    char *headers [24];                 /* to send upstream; NULL-ended */
    int header_count;
    char scope [UPSTREAM_SCOPE_MAX];
    err_t failure;                      /* while the body came */
    uint64_t dropped_bytes;             /* of a body that is not wanted any more */
} call_t;

/* Answer with an error of the door's own. */
enum MHD_Result answer_own_error (call_t *self, const err_t *error);
/* Note why it failed, and answer with it. */
enum MHD_Result answer_failure (call_t *self, const err_t *error);
/* Answer with a status and no body; location, digest and range may be NULL. */
enum MHD_Result answer_empty (call_t *self, int status, const char *location, const char *digest, const char *range);
/* Answer 200 {} */
enum MHD_Result answer_ping (call_t *self);
/* Hand the registry's answer on: its body flows through, or an error's body is kept, noted and sent. */
enum MHD_Result answer_stream (call_t *self, const answer_t *answer);
/* The same with a manifest that was kept. */
enum MHD_Result answer_manifest (call_t *self, const answer_t *answer);
enum MHD_Result answer_refusal (call_t *self, const answer_t *answer);
/* "registry.lan:5000/team/app: blob sha256:…" for messages. */
void call_describe (const call_t *self, char text [CALL_TEXT_MAX]);

#endif
