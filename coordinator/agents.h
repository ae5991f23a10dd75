/* agents.h - requests of RUN steps to ssh agents that are on their way: which worker asked, which laptop is asked. At most 8 for a build, 256 in all. */
#ifndef FARM_AGENTS_H
#define FARM_AGENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

typedef struct {
    uint64_t ticket;
    uint64_t worker, laptop;        /* peers */
    int64_t re;                     /* the worker's number for it */
    int64_t build, job, attempt;
    uint8_t kind;                   /* the request's first byte */
    int64_t until_ms;               /* boot clock */
} agent_asked_t;

typedef struct agents agents_t;

agents_t *agents_new (void);
void agents_destroy (agents_t **self);

/* Note one; its ticket is returned. 0 with ERR_FULL: too many are on their way. asked: all but the ticket. */
uint64_t agents_add (agents_t *self, const agent_asked_t *asked, err_t *err);
/* Has this worker asked that already? It repeats a question until it is answered. */
bool agents_has (const agents_t *self, uint64_t worker, int64_t re);
/* Take one that this laptop was asked; false where there is none. */
bool agents_take (agents_t *self, uint64_t ticket, uint64_t laptop, agent_asked_t *out);
/* Take the next whose time is over, or whose worker or laptop this peer was (peer 0: none). */
bool agents_next_over (agents_t *self, int64_t now_ms, uint64_t gone, agent_asked_t *out);
/* Take the next of which that is so. */
typedef bool (agents_fn) (void *argument, const agent_asked_t *asked);
bool agents_next (agents_t *self, agents_fn *is_so, void *argument, agent_asked_t *out);
/* When the first one's time is over; INT64_MAX: never. */
int64_t agents_due_ms (const agents_t *self);

#endif
