/* aside.h - what an attempt's own thread asks the coordinator, on a control connection of its own, while the link has the worker's. Such a
 * question names the attempt, and needs no hello. One thread uses it at a time. */
#ifndef FARM_ASIDE_H
#define FARM_ASIDE_H

#include <jansson.h>
#include <stdatomic.h>

#include "common/keys.h"
#include "common/msg.h"

typedef struct aside aside_t;

/* All borrowed; it connects when something is asked for the first time. is_stopped: look at it while waiting; deadline_ms: boot clock. */
aside_t *aside_new (const char *control, const keypair_t *own, const uint8_t *server_key, const atomic_int *is_stopped, int64_t deadline_ms);
void aside_destroy (aside_t **self);

/* Ask until it is answered, also across a restart of the coordinator. Takes header, without its seq. NULL with the coordinator's error,
 * ERR_CANCELLED or ERR_TIMEOUT. */
msg_t *aside_ask_with (aside_t *self, const char *verb, json_t *header, const void *body, size_t size, const char *expected, err_t *err);
msg_t *aside_ask (aside_t *self, const char *verb, json_t *header, const char *expected, err_t *err);

#endif
