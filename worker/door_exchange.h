/* door_exchange.h - what the door says to a registry for one request of a builder: with the attempt's credential, tried again
 * where that can be done, redirects followed. */
#ifndef FARM_DOOR_EXCHANGE_H
#define FARM_DOOR_EXCHANGE_H

#include "common/registry.h"
#include "worker/door_pass.h"
#include "worker/door_transfer.h"

typedef struct exchange exchange_t;

typedef struct {
    const char *method;
    const char *url;                    /* absolute, or a path on the upstream ("/v2/…") */
    place_t from;                       /* of an absolute one: where who gave it stood */
    const char *const *headers;         /* NULL-ended; without Authorization */
    const char *scope;                  /* upstream_scope() */
    const void *body;                   /* sent whole, again at each try; NULL for none */
    size_t body_size;
    bool may_follow;                    /* redirects, without credentials to other origins */
    bool is_quick;                      /* a registry that is well answers this at once: upstream_quick_ms */
} ask_t;

/* multi, settings and pass are borrowed; host is the upstream's name in references. */
exchange_t *exchange_new (CURLM *multi, const registry_settings_t *settings, pass_t *pass, const char *host);
void exchange_destroy (exchange_t **self);

/* Ask, and wait for the answer's headers, of any status. 5xx, 429 and failed connections are tried three times. */
int exchange_ask (exchange_t *self, const ask_t *ask, answer_t *answer, err_t *err);

/* A request whose body comes in parts and cannot be sent again: begin (ask->body is not looked at; body_bytes -1 for unknown),
 * send, finish. exchange_is_early: there is an answer or a failure already, the rest of the body is not wanted. */
int exchange_begin (exchange_t *self, const ask_t *ask, int64_t body_bytes, err_t *err);
int exchange_send (exchange_t *self, const void *data, size_t size, err_t *err);
bool exchange_is_early (const exchange_t *self);
int exchange_finish (exchange_t *self, answer_t *answer, err_t *err);

/* Some of the answer's body: bytes, 0 at its end, -1 with an error. */
ssize_t exchange_read (exchange_t *self, void *data, size_t size, err_t *err);

/* Why the registry was shown no more than everybody is given; NULL: it was. */
const err_t *exchange_withheld (const exchange_t *self);

/* The answer's Location as an absolute URL; NULL when there is none or it cannot be used. The caller frees. */
char *exchange_location (const exchange_t *self, const answer_t *answer);

#endif
