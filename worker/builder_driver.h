/* builder_driver.h - what a driver does for builder.h, whose functions of the same names say what each has to do. */
#ifndef FARM_BUILDER_DRIVER_H
#define FARM_BUILDER_DRIVER_H

#include "worker/builder.h"

typedef struct {
    const char *name;               /* as builder/driver has it */
    const char *packages;           /* that Debian has its program in */
    int (*new) (builder_t **out, const builder_settings_t *settings, spawner_t *spawner, err_t *err);
    void (*destroy) (builder_t *self);
    bool (*has_network) (const builder_t *self, const char *network);
    int (*build) (builder_t *self, const builder_task_t *task, builder_outcome_t *outcome, err_t *err);
    int (*push) (builder_t *self, const builder_task_t *task, err_t *err);
    void (*clean) (builder_t *self, const builder_task_t *task);
    void (*make_room) (builder_t *self);
    void (*prune_no_more) (builder_t *self);
    void (*clean_all) (builder_t *self);
    bool sets_times;                /* it can give image and files a time that was asked for */
    const char *unlimited;          /* why RUN steps are not held to limits, for a person; NULL: they are among its descendants, and held as those */
} builder_driver_t;

/* What every driver's own structure begins with. Texts are its own, and freed by builder_destroy; isolation, storage and user are constants. */
struct builder {
    const builder_driver_t *driver;
    char *version, *isolation_reason, *user_reason;
    const char *isolation, *storage, *user;
};

extern const builder_driver_t buildah_driver, podman_driver, docker_driver;

#endif
