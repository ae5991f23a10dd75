/* buildah.c - the driver for buildah and podman: start, build, push, clean. One process of it to each step of an attempt's way:
 * build, push; a third only to clear away after a kill.
 *
 * A built image has no name in the store: the program writes its id into a file, and it is pushed by that. So two attempts never
 * meet under a name, nothing has to be untagged, and the image stays in the cache of layers. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "worker/buildah_private.h"
#include "worker/buildah_probe.h"
#include "worker/builder_judge.h"
#include "worker/builder_spec.h"
#include "worker/runtime_guard.h"

enum { IMAGE_ID_MAX = 128 };

/* Start -------------------------------------------------------------------------------------------------------------- */

static buildah_t *make (const builder_settings_t *settings, const buildah_kind_t *kind, spawner_t *spawner)
{
    buildah_t *self = mem_alloc (sizeof *self);
    self->base.driver = kind->driver;
    pthread_condattr_t monotonic;
    self->spawner = spawner;
    self->kind = kind;
    for (const char *const *pattern = settings->bases; pattern && *pattern; pattern++)
        words_add (&self->bases, "%s", *pattern);
    self->may_use_host_network = settings->may_use_host_network;
    self->free_floor_bytes = settings->free_floor_bytes;
    self->program = mem_strdup (settings->program && *settings->program ? settings->program : self->kind->name);
    self->state_folder = mem_strdup (settings->state_folder);
    pthread_mutex_init (&self->lock, NULL);
    pthread_condattr_init (&monotonic);
    pthread_condattr_setclock (&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init (&self->changed, &monotonic);
    pthread_condattr_destroy (&monotonic);
    return self;
}

static int try_set_up (buildah_t *self, const char *isolation, err_t *err)
{
    buildah_unmount_all (self);
    if (self->kind->check && self->kind->check (self, err) < 0)
        return -1;
    if (file_make_folders (self->state_folder, 0700, err) < 0 || buildah_take_over (self, err) < 0)
        return -1;
    if (buildah_reset_mounts (self, err) < 0 || buildah_probe_version (self, err) < 0
        || buildah_probe_isolation (self, isolation && *isolation ? isolation : "auto", err) < 0)
        return -1;
    return 0;
}

/* In a room of its own, else as the worker's user where that is allowed. */
static int set_up (buildah_t *self, const builder_settings_t *settings, err_t *err)
{
    if (buildah_room_choose (self, settings, err) < 0)
        return -1;
    if (self->room.ids && try_set_up (self, settings->isolation, err) == 0) {
        self->base.user_reason = mem_printf ("ids %lld to %lld, its own files, processes and IPC", (long long) self->room.first_id,
                                        (long long) (self->room.first_id + self->room.ids - 1));
        return 0;
    }
    if (self->room.ids && self->must_have_room)
        return err_wrap (err, "builder/user is own");
    if (self->room.ids)
        buildah_room_refuse (self, err->text);
    return try_set_up (self, settings->isolation, err);
}

/* builder_new has seen that there is a kind of that name. */
static int buildah_new (builder_t **out, const builder_settings_t *settings, spawner_t *spawner, err_t *err)
{
    buildah_t *self = make (settings, buildah_find_kind (settings->driver), spawner);
    *out = &self->base;
    if (set_up (self, settings, err) == 0)
        return 0;
    builder_destroy (out);
    return -1;
}

static void buildah_destroy (builder_t *base)
{
    buildah_t *self = (buildah_t *) base;
    while (self->active) {
        active_t *gone = self->active;
        self->active = gone->next;
        free (gone->place);
        free (gone);
    }
    free (self->program);
    free (self->state_folder);
    words_free (&self->bases);
    words_free (&self->hidden);
    pthread_cond_destroy (&self->changed);
    pthread_mutex_destroy (&self->lock);
    free (self);
}

/* Build -------------------------------------------------------------------------------------------------------------- */

static const char *network_of (const buildah_t *self, const builder_task_t *task)
{
    const char *wanted = json_string_value (json_object_get (task->spec, "network"));
    return wanted && strcmp (wanted, "default") != 0 ? wanted : self->network;
}

static bool buildah_has_network (const builder_t *base, const char *network)
{
    const buildah_t *self = (const buildah_t *) base;
    return strcmp (network, "none") == 0 ? self->runtime != NULL : strcmp (network, "host") != 0 || self->may_use_host_network;
}

/* The coordinator gives such a job to none but who has the label, which an admin can give to any worker. */
static int check_network (const buildah_t *self, const builder_task_t *task, err_t *err)
{
    const char *wanted = json_string_value (json_object_get (task->spec, "network"));
    if (!wanted || buildah_has_network (&self->base, wanted))
        return 0;
    if (strcmp (wanted, "host") == 0)
        return err_set (err, ERR_FARM, "--network host: this worker does not give builds its network; its setting builder/allow = network-host would");
    return err_set (err, ERR_FARM, "--network none: this worker's isolation is chroot, which cannot keep a RUN step from the network; with runc or "
                    "crun it could");
}

static void add_isolation (const buildah_t *self, const builder_task_t *task, words_t *words)
{
    AUTO_FREE char *root = buildah_runtime_root (self, task);
    words_add (words, "--isolation=%s", self->base.isolation);
    words_add (words, "--network=%s", network_of (self, task));
    if (self->runtime && self->kind->takes_runtime)
        words_add (words, "--runtime=%s", self->room.ids ? RUNTIME_GUARD_PATH : self->runtime);
    if (self->runtime)
        words_add (words, "--runtime-flag=root=%s", root);
    if (self->room.ids && !self->runtime)
        words_add (words, "--cap-drop=CAP_SYS_CHROOT");     /* whoever may change the root again, leaves it */
    if (self->runtime && task->run_group && !self->room.ids)        /* the room stays where it is */
        words_add (words, "--cgroup-parent=%s", task->run_group);
}

static void add_spec (const json_t *spec, words_t *words)
{
    builder_add_spec (spec, words);
    const json_t *timestamp = json_object_get (spec, "timestamp");
    if (timestamp)                                                  /* of the image, its history and all files: the same wherever it is built */
        words_add (words, "--timestamp=%lld", (long long) json_integer_value (timestamp));
    words_add (words, "--pull=always");         /* not by the number of an image that lies here: one small request, where it is here already */
}

static void add_build (const buildah_t *self, const builder_task_t *task, const char *place, bool binds, const buildah_secrets_t *secrets, words_t *words)
{
    char platform [PLATFORM_MAX], mark [BUILDAH_MARK_SIZE];
    AUTO_FREE char *authfile = buildah_authfile (self, task);
    platform_format (&task->platform, platform);
    buildah_mark (task, mark);
    words_add (words, "build");
    add_isolation (self, task, words);
    words_add (words, "--platform=%s", platform);
    words_add (words, "--layers");
    words_add (words, "--force-rm");
    words_add (words, "--retry=1");                                 /* should the way to the door break; the door itself tries again */
    words_add (words, "--retry-delay=100ms");
    words_add (words, "--authfile=%s", authfile);
    words_add (words, "--signature-policy=%s/policy.json", task->scratch_folder);
    words_add (words, "--secret=%ssrc=%s/empty", mark, place);
    buildah_secrets_add (secrets, words);
    for (size_t i = 0; i < task->agent_count; i++)
        words_add (words, "--ssh=%s=%s", task->agents [i].id, task->agents [i].path);
    words_add (words, "--ignorefile=%s/empty", place);              /* farmctl has left out what is to be ignored */
    words_add (words, "--iidfile=%s/image-id", task->scratch_folder);
    add_spec (task->spec, words);
    if (binds)
        words_add (words, "--no-cache");
    words_add (words, "--file=%s", task->dockerfile);
    words_add (words, "%s", task->context_folder);
}

/* What a step binds is no part of what buildah compares: of a file that was changed it would take the layer of before. */
static void tell_of_no_layers (const builder_task_t *task)
{
    static const char text [] = "a RUN step binds files, in which buildah sees no change: every step is run, and no layer of an earlier build used";
    if (task->on_line)
        task->on_line (task->argument, 'w', text, sizeof text - 1);
}

static void run_of_task (const builder_task_t *task, const char *place, buildah_words_t *heard, buildah_run_t *how)
{
    heard->task = task;
    heard->oom_kills = builder_oom_kills ();
    heard->disk = (builder_disk_t) { .folders = { place, task->scratch_folder } };
    *how = (buildah_run_t) { .task = task, .place = place, .scratch_folder = task->scratch_folder, .rules = task->rules,
                             .watch = { .deadline_ms = task->deadline_ms, .is_cancelled = task->is_cancelled, .on_line = buildah_on_line,
                                        .argument = heard, .disk = &heard->disk } };
}

/* What a build needs that may ask agents: their sockets are the builder's. buildah makes a socket in its TMPDIR for each RUN step that asks an agent, and a socket's path has 107 bytes at most. */
static int make_short_tmp (const buildah_t *self, const builder_task_t *task, char **out, err_t *err)
{
    AUTO_FREE char *folder = file_join (task->scratch_folder, "tmp"), *link = file_join (task->vault, "t");
    if (file_make_folders (folder, 0700, err) < 0)
        return -1;
    if (symlink (folder, link) < 0 && errno != EEXIST)
        return err_sys (err, errno, "make the link %s", link);
    for (size_t i = 0; i < task->agent_count; i++)
        if (buildah_own (self, task->agents [i].path, err) < 0)
            return -1;
    if (buildah_own (self, task->vault, err) < 0)
        return -1;
    *out = take (&link);
    return 0;
}

static int buildah_build (builder_t *base, const builder_task_t *task, builder_outcome_t *outcome, err_t *err)
{
    buildah_t *self = (buildah_t *) base;
    AUTO_WORDS words_t words = { 0 };
    AUTO_FREE buildah_words_t *heard = mem_alloc (sizeof *heard);
    AUTO (reach) reach_t *reach = NULL;
    AUTO_FREE char *place = buildah_place (self, task);
    buildah_run_t how;
    int status = 0;
    bool binds = false;
    if (check_network (self, task, err) < 0 || buildah_enter (self, task, err) < 0 || buildah_write_attempt (self, task, outcome, &binds, err) < 0
        || builder_find_reach (task, &reach, err) < 0)
        return -1;
    AUTO (buildah_secrets) buildah_secrets_t *secrets = buildah_secrets_new (self, task, err);
    if (!secrets)
        return -1;
    add_build (self, task, place, binds, secrets, &words);
    if (binds)
        tell_of_no_layers (task);
    run_of_task (task, place, heard, &how);
    AUTO_FREE char *tmp = NULL;
    if (task->agent_count && make_short_tmp (self, task, &tmp, err) < 0)
        return -1;
    how.tmp = tmp;
    how.watch.secrets = task->secrets;
    how.watch.has_trouble = buildah_secrets_trouble (secrets);
    heard->reach = reach;
    how.watch.is_hopeless = &heard->reads_more;
    door_clear_error (task->door, task->job, task->attempt);
    int rc = buildah_run (self, &words, &how, &status, err);
    if (buildah_secrets_check (secrets, err) < 0 || rc < 0)
        return -1;
    return status != 0 || heard->reads_more ? buildah_judge_build (self, heard, status, outcome, err) : 0;
}

/* Push --------------------------------------------------------------------------------------------------------------- */

static int read_image_id (const builder_task_t *task, char id [IMAGE_ID_MAX], err_t *err)
{
    AUTO_FREE char *path = file_join (task->scratch_folder, "image-id");
    AUTO_BUFFER buffer_t text = { 0 };
    if (file_read (path, IMAGE_ID_MAX - 1, &text, err) < 0)
        return err_wrap (err, "the builder's image id");
    size_t size = text.data ? strcspn ((const char *) text.data, "\r\n") : 0;
    if (size < 12 || strspn ((const char *) text.data, "sha256:0123456789abcdef") < size)
        return err_set (err, ERR_FARM, "the builder wrote no image id into %s", path);
    memcpy (id, text.data, size);
    id [size] = 0;
    return 0;
}

static int buildah_push (builder_t *base, const builder_task_t *task, err_t *err)
{
    buildah_t *self = (buildah_t *) base;
    AUTO_WORDS words_t words = { 0 };
    AUTO_FREE buildah_words_t *heard = mem_alloc (sizeof *heard);
    AUTO_FREE char *destination = buildah_destination (task), *authfile = buildah_authfile (self, task), *place = buildah_place (self, task);
    char id [IMAGE_ID_MAX];
    buildah_run_t how;
    int status = 0;
    if (read_image_id (task, id, err) < 0)
        return -1;
    words_add (&words, "push");
    words_add (&words, "--authfile=%s", authfile);
    words_add (&words, "--signature-policy=%s/push-policy.json", place);
    words_add (&words, "--tls-verify=false");
    if (self->kind->push_option)
        words_add (&words, "%s", self->kind->push_option);
    words_add (&words, "%s", id);
    words_add (&words, "%s", destination);
    run_of_task (task, place, heard, &how);
    door_clear_error (task->door, task->job, task->attempt);
    if (buildah_run (self, &words, &how, &status, err) < 0)
        return -1;
    if (status == 0)
        return 0;
    builder_judge_push (task, &heard->disk, heard->error, err);
    return err_wrap (err, "push %s/%s", task->repository.host, task->repository.path);
}

/* Clean -------------------------------------------------------------------------------------------------------------- */

static void buildah_clean (builder_t *base, const builder_task_t *task)
{
    buildah_t *self = (buildah_t *) base;
    buildah_end_steps (self, task);
    buildah_remove_containers (self, task);
    buildah_leave (self, task);
}

static void buildah_clean_all (builder_t *base)
{
    buildah_t *self = (buildah_t *) base;
    buildah_end_all_steps (self);
    buildah_remove_containers (self, NULL);
}

/* The drivers -------------------------------------------------------------------------------------------------------- */

#define FUNCTIONS .new = buildah_new, .destroy = buildah_destroy, .has_network = buildah_has_network, .build = buildah_build, .push = buildah_push, \
                  .clean = buildah_clean, .make_room = buildah_make_room, .prune_no_more = buildah_prune_no_more, .clean_all = buildah_clean_all, \
                  .sets_times = true

const builder_driver_t buildah_driver = { .name = "buildah", .packages = "buildah runc", FUNCTIONS };
const builder_driver_t podman_driver = { .name = "podman", .packages = "podman runc", FUNCTIONS };
