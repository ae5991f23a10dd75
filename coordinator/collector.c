/* collector.c - see collector.h.
 *
 *     idle -> builds are forgotten -> the depot service collects -> idle
 *       \_____________ dry ________________/
 */
#include "coordinator/collector.h"

#include "common/clock.h"
#include "common/depot.h"
#include "common/mem.h"
#include "coordinator/log_retention.h"

enum { WAITERS_MAX = 64 };

typedef enum { STAGE_IDLE, STAGE_FORGETTING, STAGE_COLLECTING } stage_t;

typedef struct {
    uint64_t peer;
    int64_t seq;
    bool is_dry;
    bool is_served;                     /* by what is under way */
} waiter_t;

struct collector {
    int64_t every_ms, keep_ms;
    int64_t due_at;                     /* boot clock; INT64_MAX never */
    stage_t stage;
    bool is_dry;                        /* what is under way */
    int64_t builds;
    waiter_t waiters [WAITERS_MAX];
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

bool collector_ask (collector_t *self, uint64_t peer, int64_t seq, bool is_dry)
{
    if (self->count == WAITERS_MAX)
        return false;
    self->waiters [self->count++] = (waiter_t) { peer, seq, is_dry, false };
    return true;
}

int64_t collector_next (const collector_t *self)
{
    if (self->stage != STAGE_IDLE)
        return INT64_MAX;
    return self->count > 0 ? 0 : self->due_at;
}

/* -- what is kept ------------------------------------------------------------------------------------------------- */

typedef struct { buffer_t roots, logs; } kept_t;

static void add_root (void *argument, const char *digest_hex, int64_t used_ms)
{
    kept_t *kept = argument;
    depot_root_t root = { .used_ms = used_ms };
    if (digest_from_hex (&root.digest, digest_hex, NULL) == 0)
        buffer_append (&kept->roots, &root, sizeof root);
}

static void add_log (void *argument, int64_t job, int64_t attempt)
{
    kept_t *kept = argument;
    log_name_t name = { job, attempt };
    buffer_append (&kept->logs, &name, sizeof name);
}

static int collect (collector_t *self, engine_t *engine, zsock_t *depot, err_t *err)
{
    kept_t kept = { .roots = { 0 } };
    engine_plan_t plan = { .root = add_root, .log = add_log, .argument = &kept };
    int rc = engine_plan (engine, clock_wall_ms () - self->keep_ms, self->is_dry, &plan, &self->builds, err);
    if (rc == 0) {
        zmsg_t *command = zmsg_new ();
        zmsg_addstr (command, "COLLECT");
        zmsg_addstr (command, self->is_dry ? "dry" : "");
        zmsg_addstr (command, self->count > 0 ? "young" : "");
        zmsg_addmem (command, kept.roots.data, kept.roots.size);
        zmsg_addmem (command, kept.logs.data, kept.logs.size);
        zmsg_send (&command, depot);
        self->stage = STAGE_COLLECTING;
    }
    buffer_free (&kept.roots);
    buffer_free (&kept.logs);
    return rc;
}

/* -- stages ------------------------------------------------------------------------------------------------------- */

/* Dry only when nobody wants it for good, and it is not time for it. */
static void begin (collector_t *self, engine_t *engine, zsock_t *depot)
{
    self->is_dry = self->due_at > clock_boot_ms ();
    for (size_t i = 0; i < self->count; i++)
        self->is_dry = self->is_dry && self->waiters [i].is_dry;
    for (size_t i = 0; i < self->count; i++)
        self->waiters [i].is_served = self->waiters [i].is_dry == self->is_dry;
    self->stage = STAGE_FORGETTING;
    if (self->is_dry)
        return;
    self->due_at = later (self);
    zstr_send (depot, "ANNOUNCE");
    engine_forget_now (engine);
}

int collector_go_on (collector_t *self, engine_t *engine, zsock_t *depot, err_t *err)
{
    int64_t builds;
    if (collector_next (self) <= clock_boot_ms ())
        begin (self, engine, depot);
    if (self->stage != STAGE_FORGETTING || (!self->is_dry && !engine_has_forgotten (engine, &builds)))
        return 0;
    return collect (self, engine, depot, err);
}

bool collector_end (collector_t *self, int64_t *builds)
{
    self->stage = STAGE_IDLE;
    *builds = self->builds;
    return self->is_dry;
}

bool collector_next_waiter (collector_t *self, uint64_t *peer, int64_t *seq)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->waiters [i].is_served) {
            *peer = self->waiters [i].peer;
            *seq = self->waiters [i].seq;
            self->waiters [i] = self->waiters [--self->count];
            return true;
        }
    return false;
}

void collector_dismiss (collector_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        self->waiters [i].is_served = true;
}
