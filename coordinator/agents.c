/* agents.c - see agents.h. They are few: a list is walked. */
#include "coordinator/agents.h"

#include <stdlib.h>

#include "common/mem.h"

enum { ASKED_MAX = 256, OF_BUILD_MAX = 8 };

struct agents {
    uint64_t last_ticket;
    agent_asked_t asked [ASKED_MAX];
    size_t count;
};

agents_t *agents_new (void)
{
    return mem_alloc (sizeof (agents_t));
}

void agents_destroy (agents_t **self)
{
    free (*self);
    *self = NULL;
}

static size_t count_of (const agents_t *self, int64_t build)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++)
        count += self->asked [i].build == build;
    return count;
}

uint64_t agents_add (agents_t *self, const agent_asked_t *asked, err_t *err)
{
    if (self->count == ASKED_MAX || count_of (self, asked->build) >= OF_BUILD_MAX) {
        err_set (err, ERR_FULL, "too many requests to ssh agents are on their way: %d of a build, %d of all at most", OF_BUILD_MAX, ASKED_MAX);
        return 0;
    }
    self->asked [self->count] = *asked;
    self->asked [self->count].ticket = ++self->last_ticket;
    return self->asked [self->count++].ticket;
}

bool agents_has (const agents_t *self, uint64_t worker, int64_t re)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->asked [i].worker == worker && self->asked [i].re == re)
            return true;
    return false;
}

static void take_at (agents_t *self, size_t at, agent_asked_t *out)
{
    *out = self->asked [at];
    self->asked [at] = self->asked [--self->count];
}

bool agents_take (agents_t *self, uint64_t ticket, uint64_t laptop, agent_asked_t *out)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->asked [i].ticket == ticket && self->asked [i].laptop == laptop) {
            take_at (self, i, out);
            return true;
        }
    return false;
}

bool agents_next_over (agents_t *self, int64_t now_ms, uint64_t gone, agent_asked_t *out)
{
    for (size_t i = 0; i < self->count; i++) {
        const agent_asked_t *asked = &self->asked [i];
        if (asked->until_ms <= now_ms || (gone && (asked->laptop == gone || asked->worker == gone))) {
            take_at (self, i, out);
            return true;
        }
    }
    return false;
}

bool agents_next (agents_t *self, agents_fn *is_so, void *argument, agent_asked_t *out)
{
    for (size_t i = 0; i < self->count; i++)
        if (is_so (argument, &self->asked [i])) {
            take_at (self, i, out);
            return true;
        }
    return false;
}

int64_t agents_due_ms (const agents_t *self)
{
    int64_t due = INT64_MAX;
    for (size_t i = 0; i < self->count; i++)
        if (self->asked [i].until_ms < due)
            due = self->asked [i].until_ms;
    return due;
}
