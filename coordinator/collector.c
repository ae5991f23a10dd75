/* collector.c - see collector.h. */
#include "coordinator/collector.h"

#include "common/clock.h"
#include "common/mem.h"

enum { WAITERS_MAX = 64 };

typedef struct {
    uint64_t peer;
    int64_t seq;
} waiter_t;

struct collector {
    int64_t every_ms, keep_ms;
    int64_t due_at;                     /* boot clock; INT64_MAX never */
    bool is_running;
    waiter_t waiters [WAITERS_MAX];     /* a ring is not needed: more than these ask again */
    size_t count;
};

static int64_t later (const collector_t *self)
{
    return self->every_ms > 0 ? clock_boot_ms () + self->every_ms : INT64_MAX;
}

collector_t *collector_new (int64_t every_ms, int64_t keep_ms)
{
    collector_t *self = mem_alloc (sizeof *self);
    self->every_ms = every_ms;
    self->keep_ms = keep_ms;
    self->due_at = later (self);
    return self;
}

void collector_destroy (collector_t **self)
{
    free (*self);
    *self = NULL;
}

void collector_ask (collector_t *self, uint64_t peer, int64_t seq)
{
    if (self->count < WAITERS_MAX)
        self->waiters [self->count++] = (waiter_t) { peer, seq };
    self->due_at = 0;
}

int64_t collector_next (const collector_t *self)
{
    return self->is_running ? INT64_MAX : self->due_at;
}

static void add_root (void *command, const char *digest_hex)
{
    zmsg_addstr (command, digest_hex);
}

int collector_begin (collector_t *self, engine_t *engine, zactor_t *depot, err_t *err)
{
    if (collector_next (self) > clock_boot_ms ())
        return 0;
    zmsg_t *command = zmsg_new ();
    zmsg_addstr (command, "COLLECT");
    self->due_at = later (self);
    if (engine_each_root (engine, clock_wall_ms () - self->keep_ms, add_root, command, err) < 0) {
        zmsg_destroy (&command);
        return -1;
    }
    self->is_running = true;
    zmsg_send (&command, depot);
    return 0;
}

void collector_end (collector_t *self)
{
    self->is_running = false;
}

bool collector_next_waiter (collector_t *self, uint64_t *peer, int64_t *seq)
{
    if (self->count == 0)
        return false;
    *peer = self->waiters [--self->count].peer;
    *seq = self->waiters [self->count].seq;
    return true;
}
