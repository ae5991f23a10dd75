/* denials.h - what keys were denied by an actor that cannot write the audit log itself, put together so that a key that floods neither fills
 * a pipe nor hides what another was denied: the first of a key, an act and a reason is told at once, the others of that second by their number.
 * Of more than DENIALS_OF_KEY such of a key in a second the rest are `others` of that key; of more than DENIALS_APART in all, of no key. Reads
 * no clock. */
#ifndef FARM_DENIALS_H
#define FARM_DENIALS_H

#include <czmq.h>
#include <stdbool.h>
#include <stdint.h>

enum { DENIALS_APART = 256, DENIALS_OF_KEY = 16, DENIALS_MS = 1000 };

/* False when nobody takes it now: it is told with the next ones. */
typedef bool (denials_fn) (void *context, const char *key_hex, const char *act, const char *detail, int64_t times);

typedef struct denials denials_t;

denials_t *denials_new (denials_fn *tell, void *context);
void denials_destroy (denials_t **self);

/* now_ms: of any clock that goes on. */
void denials_add (denials_t *self, const char *key_hex, const char *act, const char *detail, int64_t now_ms);

/* Tell those whose second is over. Returns in how many ms to do so again; -1: there are none. */
int denials_tell (denials_t *self, int64_t now_ms);

/* For who has no pipe for them: a PUSH socket to a PULL socket of this process that may be bound there, to the caller; and what tells it:
 * [key hex, act, detail, times]. */
#define DENIALS_PLACE "inproc://archfarm-denials"
zsock_t *denials_outlet_new (void);
bool denials_send (void *outlet, const char *key_hex, const char *act, const char *detail, int64_t times);

#endif
