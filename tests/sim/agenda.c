/* agenda.c - see sim.h: a heap by time, and in the order of arrival among those of one time. */
#include "sim.h"

#include <stdlib.h>

#include "common/mem.h"

static bool is_before (const chore_t *a, const chore_t *b)
{
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void sift_up (agenda_t *self, size_t i)
{
    chore_t chore = self->items [i];
    for (; i > 0 && is_before (&chore, &self->items [(i - 1) / 2]); i = (i - 1) / 2)
        self->items [i] = self->items [(i - 1) / 2];
    self->items [i] = chore;
}

static void sift_down (agenda_t *self, size_t i)
{
    chore_t chore = self->items [i];
    for (size_t child; (child = 2 * i + 1) < self->count; i = child) {
        if (child + 1 < self->count && is_before (&self->items [child + 1], &self->items [child]))
            child++;
        if (!is_before (&self->items [child], &chore))
            break;
        self->items [i] = self->items [child];
    }
    self->items [i] = chore;
}

void agenda_add (world_t *world, int64_t delay_ms, chore_t chore)
{
    agenda_t *self = &world->agenda;
    if (self->count == self->capacity) {
        self->capacity = self->capacity ? 2 * self->capacity : 256;
        self->items = mem_resize (self->items, self->capacity * sizeof *self->items);
    }
    chore.due = world->now + delay_ms;
    chore.order = ++self->last_order;
    self->items [self->count++] = chore;
    sift_up (self, self->count - 1);
}

int64_t agenda_due (const agenda_t *self)
{
    return self->count ? self->items [0].due : INT64_MAX;
}

bool agenda_next (agenda_t *self, int64_t until, chore_t *out)
{
    if (agenda_due (self) > until)
        return false;
    *out = self->items [0];
    self->items [0] = self->items [--self->count];
    if (self->count)
        sift_down (self, 0);
    return true;
}

void agenda_drop (agenda_t *self, bool (*is_over) (const chore_t *chore))
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++)
        if (is_over (&self->items [i]))
            json_decref (self->items [i].header);
        else
            self->items [count++] = self->items [i];
    self->count = count;
    for (size_t i = count / 2; i-- > 0; )
        sift_down (self, i);
}

void agenda_free (agenda_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        json_decref (self->items [i].header);
    free (self->items);
    *self = (agenda_t) { 0 };
}
