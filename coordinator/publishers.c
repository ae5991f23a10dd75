/* publishers.c - see publishers.h. */
#include "coordinator/publishers.h"

#include "common/mem.h"
#include "coordinator/publisher.h"

enum { PUBLISHERS_MAX = 16 };

typedef struct {
    char kind [16];
    char *text;
} task_t;

struct publishers {
    zactor_t *actors [PUBLISHERS_MAX];
    bool is_busy [PUBLISHERS_MAX];
    int count;
    zlistx_t *waiting;          /* of task_t */
};

static void task_free (void **item)
{
    free (((task_t *) *item)->text);
    free (*item);
    *item = NULL;
}

publishers_t *publishers_new (int count, const registry_settings_t *registry)
{
    publishers_t *self = mem_alloc (sizeof *self);
    self->count = count < 1 ? 1 : count > PUBLISHERS_MAX ? PUBLISHERS_MAX : count;
    self->waiting = zlistx_new ();
    zlistx_set_destructor (self->waiting, task_free);
    for (int i = 0; i < self->count; i++)
        self->actors [i] = zactor_new (publisher_actor, (void *) registry);
    return self;
}

void publishers_destroy (publishers_t **self_p)
{
    publishers_t *self = *self_p;
    if (!self)
        return;
    for (int i = 0; i < self->count; i++)
        zactor_destroy (&self->actors [i]);
    zlistx_destroy (&self->waiting);
    free (self);
    *self_p = NULL;
}

void publishers_poll (publishers_t *self, zpoller_t *poller)
{
    for (int i = 0; i < self->count; i++)
        zpoller_add (poller, self->actors [i]);
}

static void hand_out (publishers_t *self)
{
    for (int i = 0; i < self->count && zlistx_size (self->waiting) > 0; i++) {
        if (self->is_busy [i])
            continue;
        task_t *task = zlistx_first (self->waiting);
        zstr_sendx (self->actors [i], task->kind, task->text, NULL);
        self->is_busy [i] = true;
        zlistx_delete (self->waiting, zlistx_cursor (self->waiting));
    }
}

void publishers_add (publishers_t *self, const char *kind, const json_t *header)
{
    task_t *task = mem_alloc (sizeof *task);
    snprintf (task->kind, sizeof task->kind, "%s", kind);
    task->text = json_dumps (header, JSON_COMPACT);
    zlistx_add_end (self->waiting, task);
    hand_out (self);
}

static const char *take_outcome (zactor_t *actor, json_t **header)
{
    char *verb = NULL, *text = NULL;
    if (zstr_recvx (actor, &verb, &text, NULL) < 0)
        return NULL;
    const char *kind = streq (verb, "verified") ? "verified" : "published";
    *header = json_loads (text, 0, NULL);
    zstr_free (&verb);
    zstr_free (&text);
    return kind;
}

const char *publishers_next (publishers_t *self, json_t **header)
{
    for (int i = 0; i < self->count; i++) {
        if (!(zsock_events (self->actors [i]) & ZMQ_POLLIN))
            continue;
        const char *verb = take_outcome (self->actors [i], header);
        self->is_busy [i] = false;
        hand_out (self);
        return verb;
    }
    return NULL;
}
