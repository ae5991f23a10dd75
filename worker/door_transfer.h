/* door_transfer.h - one HTTP request to a registry, driven by the thread that waits for it, in bounded memory both ways. */
#ifndef FARM_DOOR_TRANSFER_H
#define FARM_DOOR_TRANSFER_H

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/http.h"
#include "common/mem.h"

enum { TRANSFER_LINE_MAX = 8192 };

/* Headers of an answer that the door looks at. "" where missing. */
typedef struct {
    int status;
    int64_t content_length;         /* -1 unknown */
    char content_type [256], digest [128], range [64], content_range [128], etag [256];
    char location [TRANSFER_LINE_MAX], challenge [TRANSFER_LINE_MAX];
    int retry_after_s;              /* -1 none */
    place_t place;                  /* where it came from */
} answer_t;

typedef struct {
    const char *method, *url;
    const char *const *headers;     /* NULL-ended "Name: value"; borrowed for the call */
    bool has_body;
    int64_t body_bytes;             /* -1: unknown, sent in chunks */
    const http_certs_t *certs;      /* NULL: the system's */
    bool is_guarded;                /* the registry has named this URL: it may lie outside, or in this place (common/inside.h) */
    place_t may_reach;
    int timeout_ms;                 /* without progress while we wait for the registry */
    atomic_bool *is_stopped;        /* looked at often */
} request_t;

typedef struct transfer transfer_t;

/* Begin a request. `multi` is borrowed and keeps connections between requests; one transfer at a time uses it. */
transfer_t *transfer_new (CURLM *multi, const request_t *request);
void transfer_destroy (transfer_t **self);

/* Hand over a part of the body; returns when all of it is sent, or the registry has answered early (then it is dropped). */
int transfer_send (transfer_t *self, const void *data, size_t size, err_t *err);

/* The body, if any, is complete: wait for the answer's headers. */
int transfer_answer (transfer_t *self, answer_t *answer, err_t *err);

/* Has the registry answered, or the connection failed, before the body was complete? */
bool transfer_is_early (const transfer_t *self);

/* Read some of the answer's body: bytes, 0 at its end, -1 with an error. */
ssize_t transfer_read (transfer_t *self, void *data, size_t size, err_t *err);

#endif
