/* watching.c - which builds somebody wants to hear of, and which of them this transaction has changed. */
#include "common/mem.h"
#include "coordinator/builds.h"

static bool holds (const int64_t *ids, size_t count, int64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids [i] == id)
            return true;
    return false;
}

static void add_id (int64_t **ids, size_t *count, int64_t id)
{
    if (holds (*ids, *count, id))
        return;
    *ids = mem_resize (*ids, (*count + 1) * sizeof **ids);
    (*ids) [(*count)++] = id;
}

void engine_note_change (engine_t *self, int64_t build)
{
    if (holds (self->watched, self->watched_count, build))
        add_id (&self->changed, &self->changed_count, build);
}

void engine_watch (engine_t *self, int64_t build)
{
    add_id (&self->watched, &self->watched_count, build);
}

void watching_end (engine_t *self)
{
    for (size_t i = 0; i < self->changed_count; i++) {
        if (!builds_is_over (self, self->changed [i]))
            continue;
        for (size_t j = 0; j < self->watched_count; j++)
            if (self->watched [j] == self->changed [i])
                self->watched [j] = self->watched [--self->watched_count];
    }
}
