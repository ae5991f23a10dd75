/* publishers.c - see publishers.h. */
#include "coordinator/publishers.h"

#include "common/actor.h"
#include "common/mem.h"
#include "common/reference.h"

/* Images of a task: so that what the registry says of all of them fits into a few megabytes */
enum { PUBLISHERS_MAX = 16, READERS_MAX = 16, RESOLVERS = 4, ACTORS_MAX = PUBLISHERS_MAX + READERS_MAX + RESOLVERS, TOGETHER_MAX = 8, FOR_ELSEWHERE = 0 };

/* Whoever may wait for long has actors of his own. */
typedef enum { GROUP_PUBLISHERS, GROUP_READERS, GROUP_RESOLVERS, GROUPS } group_t;

typedef struct {
    char kind [16];
    json_t *headers;            /* a list */
    bool asks_elsewhere;        /* for base images: only of actor FOR_ELSEWHERE */
    group_t group;
} task_t;

struct publishers {
    zsock_t *actors [ACTORS_MAX];
    bool is_busy [ACTORS_MAX];
    group_t groups [ACTORS_MAX];
    int count;
    publisher_settings_t settings;
    bool winds_down;
    zlistx_t *waiting;          /* of task_t */
    char heard [16];            /* the verb of */
    json_t *outcomes;           /* a list of which those before next are taken; NULL: none */
    size_t next;
};

static void task_free (void **item)
{
    json_decref (((task_t *) *item)->headers);
    free (*item);
    *item = NULL;
}

static int at_least_one (int count, int most)
{
    return count < 1 ? 1 : count > most ? most : count;
}

static void add_group (publishers_t *self, group_t group, int count)
{
    for (int i = 0; i < count; i++)
        self->groups [self->count++] = group;
}

publishers_t *publishers_new (int count, int readers, const registry_settings_t *registry, const publisher_settings_t *limits, err_t *err)
{
    AUTO (publishers) publishers_t *self = mem_alloc (sizeof *self);
    self->settings.registry = registry;
    self->settings.depot = limits->depot;
    self->settings.unpacked_max = limits->unpacked_max;
    self->settings.reading_ms = limits->reading_ms;
    add_group (self, GROUP_PUBLISHERS, at_least_one (count, PUBLISHERS_MAX));
    add_group (self, GROUP_READERS, at_least_one (readers, READERS_MAX));
    add_group (self, GROUP_RESOLVERS, RESOLVERS);
    self->waiting = zlistx_new ();
    zlistx_set_destructor (self->waiting, task_free);
    for (int i = 0; i < self->count; i++)
        if (!(self->actors [i] = actor_new (publisher_actor, &self->settings, err)))
            return NULL;
    return take (&self);
}

void publishers_destroy (publishers_t **self_p)
{
    publishers_t *self = *self_p;
    if (!self)
        return;
    atomic_store (&self->settings.is_stopped, true);
    for (int i = 0; i < self->count; i++)
        actor_destroy (&self->actors [i]);
    zlistx_destroy (&self->waiting);
    json_decref (self->outcomes);
    free (self);
    *self_p = NULL;
}

void publishers_poll (publishers_t *self, zpoller_t *poller)
{
    for (int i = 0; i < self->count; i++)
        zpoller_add (poller, self->actors [i]);
}

static bool may_have (const publishers_t *self, const task_t *task, int actor)
{
    return task->group == self->groups [actor] && (!task->asks_elsewhere || task->group != GROUP_PUBLISHERS || actor == FOR_ELSEWHERE);
}

/* The oldest that this actor may have; NULL none. */
static task_t *next_for (publishers_t *self, int actor)
{
    task_t *task = zlistx_first (self->waiting);
    while (task && !may_have (self, task, actor))
        task = zlistx_next (self->waiting);
    return task;
}

/* From the last one on: the first is kept free for what only it may do. */
void publishers_hand_out (publishers_t *self)
{
    for (int i = self->winds_down ? -1 : self->count - 1; i >= 0; i--) {
        task_t *task = self->is_busy [i] ? NULL : next_for (self, i);
        if (!task)
            continue;
        AUTO_FREE char *text = json_dumps (task->headers, JSON_COMPACT);
        zstr_sendx (self->actors [i], task->kind, text, NULL);
        self->is_busy [i] = true;
        zlistx_delete (self->waiting, zlistx_cursor (self->waiting));
    }
}

void publishers_wind_down (publishers_t *self)
{
    self->winds_down = true;
    atomic_store (&self->settings.is_stopped, true);
}

/* Outcomes that were not taken yet count too. */
bool publishers_are_idle (const publishers_t *self)
{
    for (int i = 0; i < self->count; i++)
        if (self->is_busy [i])
            return false;
    return self->next == json_array_size (self->outcomes);
}

static bool host_of (const json_t *object, const char *field, reference_t *out)
{
    const char *text = json_string_value (json_object_get (object, field));
    return text && reference_parse (out, text, NULL) == 0;
}

static bool asks_elsewhere (const json_t *header)
{
    reference_t own, base;
    size_t i;
    json_t *item;
    if (!host_of (header, "repository", &own))
        return false;
    json_array_foreach (json_object_get (header, "bases"), i, item)
        if (host_of (item, "reference", &base) && strcmp (base.host, own.host) != 0)
            return true;
    return false;
}

static group_t group_of (const char *kind, const json_t *header)
{
    if (streq (kind, "resolve"))
        return GROUP_RESOLVERS;
    return json_object_get (header, "verify") || json_object_get (header, "same_as") ? GROUP_READERS : GROUP_PUBLISHERS;
}

static bool belongs_to (const task_t *task, const char *kind, const json_t *header)
{
    return task && streq (kind, "verify") && streq (task->kind, kind) && task->asks_elsewhere == asks_elsewhere (header)
           && task->group == group_of (kind, header)
           && json_array_size (task->headers) < TOGETHER_MAX
           && json_equal (json_object_get (json_array_get (task->headers, 0), "build"), json_object_get (header, "build"));
}

void publishers_add (publishers_t *self, const char *kind, const json_t *header)
{
    task_t *task = zlistx_last (self->waiting);
    if (!belongs_to (task, kind, header)) {
        task = mem_alloc (sizeof *task);
        snprintf (task->kind, sizeof task->kind, "%s", kind);
        task->headers = json_array ();
        task->asks_elsewhere = asks_elsewhere (header);
        task->group = group_of (kind, header);
        zlistx_add_end (self->waiting, task);
    }
    json_array_append (task->headers, (json_t *) header);
}

static void take_outcomes (publishers_t *self, zsock_t *actor)
{
    char *verb = NULL, *text = NULL;
    if (zstr_recvx (actor, &verb, &text, NULL) < 0)
        return;
    json_decref (self->outcomes);
    snprintf (self->heard, sizeof self->heard, "%s", verb);
    self->outcomes = json_loads (text, 0, NULL);
    self->next = 0;
    zstr_free (&verb);
    zstr_free (&text);
}

const char *publishers_next (publishers_t *self, json_t **header)
{
    for (int i = 0; i < self->count && self->next == json_array_size (self->outcomes); i++) {
        if (!self->is_busy [i] || !(zsock_events (self->actors [i]) & ZMQ_POLLIN))
            continue;
        take_outcomes (self, self->actors [i]);
        self->is_busy [i] = false;
        publishers_hand_out (self);
    }
    if (self->next == json_array_size (self->outcomes))
        return NULL;
    *header = json_incref (json_array_get (self->outcomes, self->next++));
    return self->heard;
}
