/* weather.c - see sim.h: what befalls the registry, the network and the coordinator, every few seconds. */
#include "sim.h"

#include "disk.h"

static void vanish (world_t *self)
{
    registry_t *registry = &self->registry;
    if (registry->image_count)
        registry->images [draw (self, (uint64_t) registry->image_count)].is_there = false;
}

static void part_all (world_t *self)
{
    int64_t until = self->now + draw_ms (self, chance (self, 3) ? 120000 : 20000);
    for (int i = 0; i < WORKERS; i++)
        self->workers [i].end.cut_until = until;
}

static void plan (world_t *self)
{
    agenda_add (self, 1000 + draw_ms (self, 4000), (chore_t) { .kind = CHORE_WEATHER });
}

void weather_start (world_t *self)
{
    plan (self);
}

void weather_on_chore (world_t *self)
{
    if (self->is_calm)
        return;
    plan (self);
    if (chance (self, 120))
        self->registry.down_until = self->now + draw_ms (self, chance (self, 4) ? 120000 : 15000);
    if (chance (self, 60))
        self->registry.slow_until = self->now + draw_ms (self, 60000);
    if (chance (self, 40))
        self->registry.base++;
    if (chance (self, 15))
        vanish (self);
    if (chance (self, 60))
        depot_lose (self);
    if (chance (self, 150))
        part_all (self);
    if (chance (self, 150))
        coordinator_kill (self);
    if (chance (self, 120))
        self->frozen_until = self->now + draw_ms (self, chance (self, 3) ? 120000 : 5000);
    if (self->winds_down_until && self->now >= self->winds_down_until)
        coordinator_kill (self);
    else if (chance (self, 150))
        coordinator_wind_down (self, draw_ms (self, 30000));
}

void weather_clear (world_t *self)
{
    self->registry.down_until = self->registry.slow_until = 0;
    self->disk_bad_until = self->frozen_until = 0;
    disk_set (DISK_FINE);
    if (self->winds_down_until)
        coordinator_kill (self);
}
