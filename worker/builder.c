/* builder.c - see builder.h: finds the driver, and hands on to it. */
#include "worker/builder_driver.h"

#include <stdlib.h>
#include <string.h>

static const builder_driver_t *const drivers [] = { &buildah_driver, &podman_driver, &docker_driver };

static const builder_driver_t *find_driver (const char *name)
{
    if (!name || !*name)
        return drivers [0];
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
        if (strcmp (drivers [i]->name, name) == 0)
            return drivers [i];
    return NULL;
}

bool builder_has_driver (const char *name)
{
    return find_driver (name) != NULL;
}

const char *builder_packages (const char *name)
{
    const builder_driver_t *driver = find_driver (name);
    return driver ? driver->packages : drivers [0]->packages;
}

int builder_new (builder_t **out, const builder_settings_t *settings, spawner_t *spawner, err_t *err)
{
    const builder_driver_t *driver = find_driver (settings->driver);
    if (!driver)
        return err_set (err, ERR_USAGE, "builder/driver is \"%.50s\": there are " BUILDER_DRIVERS, settings->driver);
    return driver->new (out, settings, spawner, err) < 0 ? err_wrap (err, "builder") : 0;
}

void builder_destroy (builder_t **self_p)
{
    builder_t *self = *self_p;
    if (!self)
        return;
    char *const texts [] = { self->version, self->isolation_reason, self->user_reason };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free (texts [i]);
    self->driver->destroy (self);
    *self_p = NULL;
}

const char *builder_version (const builder_t *self)
{
    return self->version;
}

const char *builder_isolation (const builder_t *self)
{
    return self->isolation;
}

const char *builder_isolation_reason (const builder_t *self)
{
    return self->isolation_reason;
}

const char *builder_storage (const builder_t *self)
{
    return self->storage;
}

const char *builder_user (const builder_t *self)
{
    return self->user;
}

const char *builder_user_reason (const builder_t *self)
{
    return self->user_reason;
}

bool builder_has_network (const builder_t *self, const char *network)
{
    return self->driver->has_network (self, network);
}

bool builder_sets_times (const builder_t *self)
{
    return self->driver->sets_times;
}

const char *builder_enforces (const builder_t *self, const char *as_worker)
{
    return self->driver->unlimited ? self->driver->unlimited : as_worker;
}

int builder_build (builder_t *self, const builder_task_t *task, builder_outcome_t *outcome, err_t *err)
{
    memset (outcome, 0, sizeof *outcome);
    return self->driver->build (self, task, outcome, err);
}

int builder_push (builder_t *self, const builder_task_t *task, err_t *err)
{
    return self->driver->push (self, task, err);
}

void builder_clean (builder_t *self, const builder_task_t *task)
{
    self->driver->clean (self, task);
}

void builder_make_room (builder_t *self)
{
    self->driver->make_room (self);
}

void builder_prune_no_more (builder_t *self)
{
    self->driver->prune_no_more (self);
}

void builder_clean_all (builder_t *self)
{
    self->driver->clean_all (self);
}
