/* buildah_command.c - runs buildah, or podman: command line, environment, room. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "worker/buildah_private.h"
#include "worker/runtime_guard.h"

bool buildah_is_in_room_of_attempt (const buildah_t *self, const buildah_run_t *how)
{
    return self->room.ids && how->task;
}

/* Nothing of the worker's own environment but PATH. */
static void add_environment (const buildah_t *self, const buildah_run_t *how, words_t *out)
{
    builder_command_add_path (out);
    words_add (out, "HOME=%s", how->scratch_folder);
    if (how->tmp)
        words_add (out, "TMPDIR=%s", how->tmp);
    else
        words_add (out, "TMPDIR=%s/tmp", how->scratch_folder);
    words_add (out, "XDG_RUNTIME_DIR=%s/tmp", how->scratch_folder);
    /* Rootless, buildah keeps its memory of which blobs are where below this; as root in /var/lib/containers/cache. */
    words_add (out, "XDG_DATA_HOME=%s/data", how->place);
    self->kind->add_environment (self, how, out);
    words_add (out, "CONTAINERS_REGISTRIES_CONF=%s/registries.conf", how->scratch_folder);
    if (!buildah_is_in_room_of_attempt (self, how)) {
        words_add (out, "REGISTRY_AUTH_FILE=%s/auth.json", how->scratch_folder);
        words_add (out, RUNTIME_GUARD_VARIABLE "=%s:::%s:", self->runtime ? self->runtime : "", how->place);
        return;
    }
    words_add (out, "REGISTRY_AUTH_FILE=" ROOM_SECRET_PATH);
    words_add (out, RUNTIME_GUARD_VARIABLE "=%s:%s:%s:%s:%s", self->runtime ? self->runtime : "", how->scratch_folder, how->task->context_folder,
               how->place, how->task->vault ? how->task->vault : "");
}

/* Into a room where there is one. */
static int run_there (buildah_t *self, const words_t *argv, const words_t *environment, const buildah_run_t *how, int *status, err_t *err)
{
    AUTO_WORDS words_t places = { 0 };
    AUTO_FREE char *secret = buildah_is_in_room_of_attempt (self, how) ? door_auth_text (door_port (how->task->door), how->task->password) : NULL;
    spawner_rules_t rules = how->rules ? *how->rules : (spawner_rules_t) { 0 };
    if (self->room.ids) {
        buildah_room_places (self, how, &places);
        rules.room = (spawner_room_t) { self->room.first_id, self->room.ids, (const char *const *) places.items, secret };
    }
    int rc = builder_command (self->spawner, argv, environment, how->scratch_folder, &rules, &how->watch, status, err);
    if (secret)
        sodium_memzero (secret, strlen (secret));
    return rc;
}

int buildah_run (buildah_t *self, const words_t *words, const buildah_run_t *how, int *status, err_t *err)
{
    AUTO_WORDS words_t argv = { 0 }, environment = { 0 };
    AUTO_FREE char *tmp = file_join (how->scratch_folder, "tmp");
    if (file_make_folders (tmp, 0700, err) < 0 || (!how->task && buildah_own (self, tmp, err) < 0))
        return -1;
    if (self->kind->write_settings && self->kind->write_settings (self, how, err) < 0)
        return -1;
    words_add (&argv, "%s", self->program);
    self->kind->add_globals (self, how, &argv);
    for (size_t i = 0; i < words->count; i++)
        words_add (&argv, "%s", words->items [i]);
    add_environment (self, how, &environment);
    return run_there (self, &argv, &environment, how, status, err);
}
