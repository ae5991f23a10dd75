/* buildah_kind.c - the programs that are made of buildah's library, buildah itself and podman, as far as they differ.
 *
 * podman build is that library with podman's engine around it, which wants a place for its own records (libpod), finds its store in
 * storage.conf and the rest in containers.conf. Both are written for each command. The records are the attempt's own and in its scratch
 * folder: podman does not work with records that another folder of mounts belongs to, and in a room each attempt has its own. The locks are
 * files there, as those that podman takes by default are one set for the host, which a new set of records would wipe. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "worker/buildah_private.h"
#include "worker/buildah_probe.h"
#include "worker/runtime_guard.h"

#define PODMAN_STORAGE "podman-storage.conf"
#define PODMAN_CONTAINERS "podman-containers.conf"

/* Mounts are seen in its room alone, and so is the note of them. */
static char *run_folder (const buildah_t *self, const buildah_run_t *how)
{
    return buildah_is_in_room_of_attempt (self, how) ? file_join (how->scratch_folder, "run") : file_join (how->place, "run");
}

/* buildah ------------------------------------------------------------------------------------------------------------ */

static void add_buildah_globals (const buildah_t *self, const buildah_run_t *how, words_t *out)
{
    AUTO_FREE char *run = run_folder (self, how), *short_names = file_join (how->scratch_folder, "short-names.conf"), *storage = buildah_storage (self, how->place);
    if (self->base.storage) {
        words_add (out, "--root");
        words_add (out, "%s", storage);
        words_add (out, "--runroot");
        words_add (out, "%s", run);
        words_add (out, "--storage-driver");
        words_add (out, "%s", self->base.storage);
    }
    if (file_exists (short_names)) {
        words_add (out, "--short-name-alias-conf");
        words_add (out, "%s", short_names);
    }
}

static void add_buildah_environment (const buildah_t *self, const buildah_run_t *how, words_t *out)
{
    (void) self;
    words_add (out, "CONTAINERS_STORAGE_CONF=%s/storage.conf", how->place);
}

/* podman ------------------------------------------------------------------------------------------------------------- */

/* Text between quotes in TOML. */
static void add_value (buffer_t *out, const char *name, const char *text)
{
    buffer_printf (out, "%s = \"", name);
    for (; *text; text++)
        buffer_printf (out, "%s%c", *text == '"' || *text == '\\' ? "\\" : "", *text);
    buffer_text (out, "\"\n");
}

static int write_settings (const buildah_t *self, const buildah_run_t *how, const char *name, const buffer_t *text, err_t *err)
{
    AUTO_FREE char *path = file_join (how->scratch_folder, name);
    if (file_write_scratch (path, text->data, text->size, 0600, err) < 0)
        return -1;
    return how->task ? 0 : buildah_own (self, path, err);
}

/* Whoever asks for the version only, has not chosen one yet; podman wants one all the same. */
static const char *driver_of (const buildah_t *self)
{
    return self->base.storage ? self->base.storage : "overlay";
}

static int write_storage (const buildah_t *self, const buildah_run_t *how, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    AUTO_FREE char *run = run_folder (self, how), *storage = buildah_storage (self, how->place);
    buffer_text (&text, "[storage]\n");
    add_value (&text, "driver", driver_of (self));
    add_value (&text, "graphroot", storage);
    add_value (&text, "runroot", run);
    return write_settings (self, how, PODMAN_STORAGE, &text, err);
}

/* A store of the other driver has records of its own. */
static int write_containers (const buildah_t *self, const buildah_run_t *how, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    AUTO_FREE char *records = mem_printf ("%s/libpod-%s", how->scratch_folder, driver_of (self));
    AUTO_FREE char *volumes = file_join (records, "volumes"), *state = file_join (records, "tmp");
    buffer_text (&text, "[engine]\n");
    add_value (&text, "static_dir", records);
    add_value (&text, "volume_path", volumes);
    add_value (&text, "tmp_dir", state);
    buffer_text (&text, "events_logger = \"none\"\nlock_type = \"file\"\ncgroup_manager = \"cgroupfs\"\n");
    return write_settings (self, how, PODMAN_CONTAINERS, &text, err);
}

static int write_podman_settings (const buildah_t *self, const buildah_run_t *how, err_t *err)
{
    return write_storage (self, how, err) < 0 || write_containers (self, how, err) < 0 ? err_wrap (err, "podman's settings") : 0;
}

/* The guard stands between a builder in a room and its runtime. */
static void add_podman_globals (const buildah_t *self, const buildah_run_t *how, words_t *out)
{
    if (self->runtime) {
        words_add (out, "--runtime");
        words_add (out, "%s", buildah_is_in_room_of_attempt (self, how) ? RUNTIME_GUARD_PATH : self->runtime);
    }
}

static void add_podman_environment (const buildah_t *self, const buildah_run_t *how, words_t *out)
{
    (void) self;
    words_add (out, "CONTAINERS_STORAGE_CONF=%s/" PODMAN_STORAGE, how->scratch_folder);
    words_add (out, "CONTAINERS_CONF=%s/" PODMAN_CONTAINERS, how->scratch_folder);
}

/* podman believes the names that a person once chose on this host more than those we give it. */
static int check_podman (const buildah_t *self, err_t *err)
{
    static const char names [] = "/var/cache/containers/short-name-aliases.conf";
    if (geteuid () != 0)
        return err_set (err, ERR_USAGE, "builder/driver is podman: it needs a worker that root runs; another takes buildah");
    if (!self->room.ids && file_exists (names))
        return err_set (err, ERR_FARM, "%s sends short names of images around the worker's door: remove it, or let builder/user be own", names);
    return 0;
}

/* The table ---------------------------------------------------------------------------------------------------------- */

static const buildah_kind_t kinds [] = {
    { .name = "buildah", .driver = &buildah_driver, .short_names_file = "short-names.conf", .push_option = "--retry=0",
      .prune = { { "rmi", "--prune", NULL }, { "rmi", "--all", NULL } },
      .takes_runtime = true, .add_globals = add_buildah_globals, .add_environment = add_buildah_environment,
      .try_candidate = buildah_try_container },
    { .name = "podman", .driver = &podman_driver, .short_names_file = ".config/containers/registries.conf.d/short-names.conf", .rm_option = "--force",
      .prune = { { "image", "prune", "--force", NULL }, { "image", "prune", "--all", "--force", NULL } },
      .check = check_podman, .write_settings = write_podman_settings, .add_globals = add_podman_globals,
      .add_environment = add_podman_environment, .try_candidate = buildah_try_build },
};

const buildah_kind_t *buildah_find_kind (const char *name)
{
    if (!name || !*name)
        return &kinds [0];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp (kinds [i].name, name) == 0)
            return &kinds [i];
    return NULL;
}
