/* sweeper.c - see sweeper.h. */
#include "worker/sweeper.h"

#include <stdlib.h>

#include "common/actor.h"
#include "common/mem.h"

struct sweeper {
    const attempt_parts_t *parts;
    zsock_t *actor;
    atomic_bool is_asked;           /* until it is done */
};

static void run (zsock_t *pipe, void *sweeper)
{
    sweeper_t *self = sweeper;
    zsock_signal (pipe, 0);
    for (;;) {
        AUTO_FREE char *command = zstr_recv (pipe);
        if (!command || streq (command, "$TERM"))
            return;
        shelf_trim (self->parts->shelf);
        cache_trim (self->parts->cache);
        builder_make_room (self->parts->builder);
        atomic_store (&self->is_asked, false);
    }
}

sweeper_t *sweeper_new (const attempt_parts_t *parts, err_t *err)
{
    AUTO_FREE sweeper_t *self = mem_alloc (sizeof *self);
    self->parts = parts;
    self->actor = actor_new (run, self, err);
    return self->actor ? take (&self) : NULL;
}

void sweeper_destroy (sweeper_t **self_p)
{
    sweeper_t *self = *self_p;
    if (!self)
        return;
    builder_prune_no_more (self->parts->builder);
    actor_destroy (&self->actor);
    free (self);
    *self_p = NULL;
}

void sweeper_ask (sweeper_t *self)
{
    if (!atomic_exchange (&self->is_asked, true))
        zstr_send (self->actor, "SWEEP");
}
