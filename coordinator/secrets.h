/* secrets.h - what builds were given in confidence, from the client's `secret` to the worker's `want-secret`. Here they are sealed already
 * (coordinator/seal.h, by the gateway), and stay so: the engine has no key. */
#ifndef FARM_SECRETS_H
#define FARM_SECRETS_H

#include "coordinator/engine_private.h"

/* A part of one, before its build is submitted; beside the message's fields `sealed` and `size`. Taken once more it takes the other's place. */
handler_fn secrets_on_secret;
/* A worker that has the attempt asks for a part. */
handler_fn secrets_on_want;

/* Has all been sent for this request that its spec names? ERR_NOT_FOUND: send it (again). */
int secrets_check (engine_t *self, int64_t principal, const char *request, const json_t *spec, err_t *err);

/* The new build of this request has what its spec names. */
int secrets_bind (engine_t *self, int64_t build, int64_t principal, const char *request, const json_t *spec, err_t *err);

/* The build has ended: nobody needs them. Overwritten, and with the commit out of SQLite's log too. */
int secrets_forget (engine_t *self, int64_t build, err_t *err);

/* Those whose build never came, 10 minutes after; and when to look next, on the boot clock, INT64_MAX: never. */
int secrets_tick (engine_t *self, err_t *err);
int64_t secrets_next_tick (const engine_t *self);

/* How many there are, from the database. */
int secrets_load (engine_t *self, err_t *err);

#endif
