/* docker.c - the driver for docker: start, build, push, clean. */
#include "worker/docker_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/file.h"
#include "common/mem.h"
#include "worker/builder_judge.h"
#include "worker/builder_spec.h"
#include "worker/door_names.h"
#include "worker/hosts.h"

/* Start -------------------------------------------------------------------------------------------------------------- */

/* What other drivers can be told, and this one cannot do. */
static int check_settings (const builder_settings_t *settings, err_t *err)
{
    const char *isolation = settings->isolation ? settings->isolation : "", *user = settings->user ? settings->user : "";
    const char *host = settings->docker_host ? settings->docker_host : "";
    if (strcmp (isolation, "chroot") == 0)
        return err_set (err, ERR_USAGE, "builder/isolation is chroot: the docker daemon runs RUN steps in containers; write auto, or take buildah");
    if (strcmp (user, "own") == 0)
        return err_set (err, ERR_USAGE, "builder/user is own: the docker daemon runs RUN steps as it is set up; write auto, or take buildah");
    if (*host && strncmp (host, "unix:///", 8) != 0)
        return err_set (err, ERR_USAGE, "builder/docker-host is \"%.100s\": write unix:///PATH, the socket of a docker daemon on this host", host);
    return 0;
}

static docker_t *make (const builder_settings_t *settings, spawner_t *spawner)
{
    docker_t *self = mem_alloc (sizeof *self);
    self->base.driver = &docker_driver;
    self->spawner = spawner;
    self->program = mem_strdup (settings->program && *settings->program ? settings->program : "docker");
    self->state_folder = mem_strdup (settings->state_folder);
    self->names_folder = file_join (settings->state_folder, "images");
    self->late_folder = file_join (self->names_folder, "late");
    self->host = settings->docker_host && *settings->docker_host ? mem_strdup (settings->docker_host) : NULL;
    self->may_use_host_network = settings->may_use_host_network;
    self->free_floor_bytes = settings->free_floor_bytes;
    pthread_mutex_init (&self->lock, NULL);
    return self;
}

static int docker_new (builder_t **out, const builder_settings_t *settings, spawner_t *spawner, err_t *err)
{
    if (check_settings (settings, err) < 0)
        return -1;
    docker_t *self = make (settings, spawner);
    *out = &self->base;
    if (file_make_folders (self->late_folder, 0700, err) == 0 && docker_write_config (self->state_folder, NULL, err) == 0 && docker_probe (self, err) == 0)
        return 0;
    builder_destroy (out);
    return -1;
}

static void docker_destroy (builder_t *base)
{
    docker_t *self = (docker_t *) base;
    char *const texts [] = { self->program, self->state_folder, self->names_folder, self->late_folder, self->host, self->root_folder };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free (texts [i]);
    pthread_mutex_destroy (&self->lock);
    free (self);
}

/* Build -------------------------------------------------------------------------------------------------------------- */

static bool docker_has_network (const builder_t *base, const char *network)
{
    return strcmp (network, "host") != 0 || ((const docker_t *) base)->may_use_host_network;
}

/* Those that are BuildKit's own: with one a frontend can be named, as with `# syntax`. */
static int check_build_args (const builder_task_t *task, err_t *err)
{
    const char *name;
    json_t *value;
    json_object_foreach (json_object_get (task->spec, "build_args"), name, value)
        if (strncasecmp (name, "BUILDKIT_", 9) == 0)
            return err_set (err, ERR_BUILD, "--build-arg %.100s: such an argument would not be the Dockerfile's but BuildKit's; leave it out", name);
    return 0;
}

/* The coordinator gives jobs of these kinds to none but who has the label, which an admin can give to any worker. */
static int check_task (const docker_t *self, const builder_task_t *task, err_t *err)
{
    const char *network = json_string_value (json_object_get (task->spec, "network"));
    if (network && !docker_has_network (&self->base, network))
        return err_set (err, ERR_FARM, "--network host: this worker does not give builds its network; its setting builder/allow = network-host would");
    if (!door_can_mask (task->repository.host))
        return err_set (err, ERR_BUILD, "%s/%s: docker cannot be told of a registry with such an address: give it a name", task->repository.host, task->repository.path);
    if (json_object_get (task->spec, "timestamp"))
        return err_set (err, ERR_FARM, "docker cannot give an image a time that was asked for (--cross-check): a worker with buildah can");
    return check_build_args (task, err);
}

/* In memory, for docker to read: it hands them on to the daemon, which gives them to RUN steps in memory too. */
static int add_secrets (const builder_task_t *task, words_t *words, err_t *err)
{
    for (size_t i = 0; task->secrets && i < task->secrets->count; i++) {
        const secret_t *secret = &task->secrets->items [i];
        AUTO_FREE char *file = mem_printf ("%s/%zu", task->vault, i);
        if (file_write_scratch (file, secret->data ? (const char *) secret->data : "", secret->size, 0600, err) < 0)
            return err_wrap (err, "the build's secrets");
        words_add (words, "--secret=id=%s,src=%s", secret->id, file);
    }
    return 0;
}

static int add_build (const builder_task_t *task, const char *dockerfile, words_t *words, err_t *err)
{
    char platform [PLATFORM_MAX];
    const char *network = json_string_value (json_object_get (task->spec, "network"));
    AUTO_FREE char *name = docker_image_name (task);
    platform_format (&task->platform, platform);
    words_add (words, "build");
    words_add (words, "--progress=plain");
    words_add (words, "--platform=%s", platform);
    words_add (words, "--network=%s", network ? network : "default");
    words_add (words, "--tag=%s", name);
    if (add_secrets (task, words, err) < 0)
        return -1;
    for (size_t i = 0; i < task->agent_count; i++)
        words_add (words, "--ssh=%s=%s", task->agents [i].id, task->agents [i].path);
    builder_add_spec (task->spec, words);
    words_add (words, "--file=%s", dockerfile);
    words_add (words, "%s", task->context_folder);
    return 0;
}

static builder_watch_t watch_of (const docker_t *self, const builder_task_t *task, docker_words_t *heard)
{
    heard->task = task;
    heard->disk = (builder_disk_t) { .folders = { self->root_folder, task->scratch_folder } };
    return (builder_watch_t) { .deadline_ms = task->deadline_ms, .is_cancelled = task->is_cancelled, .on_line = docker_on_line, .argument = heard,
                               .secrets = task->secrets, .is_hopeless = &heard->is_hopeless, .disk = &heard->disk };
}

static int prepare (const docker_t *self, const builder_task_t *task, builder_outcome_t *outcome, json_t *given, char **dockerfile, err_t *err)
{
    AUTO_FREE hosts_t *hosts = mem_alloc (sizeof *hosts);
    if (check_task (self, task, err) < 0 || docker_write_config (task->scratch_folder, task, err) < 0
        || builder_find_hosts (task, hosts, outcome, err) < 0)
        return -1;
    door_clear_error (task->door, task->job, task->attempt);
    if (docker_write_dockerfile (self, task, given, dockerfile, err) < 0)
        return -1;
    return docker_note_image (self, task, err);
}

static int docker_build (builder_t *base, const builder_task_t *task, builder_outcome_t *outcome, err_t *err)
{
    docker_t *self = (docker_t *) base;
    AUTO_WORDS words_t words = { 0 };
    AUTO_FREE docker_words_t *heard = mem_alloc (sizeof *heard);
    AUTO_FREE char *dockerfile = NULL;
    AUTO (reach) reach_t *reach = NULL;
    AUTO_JSON json_t *given = json_object ();
    int status = 0;
    if (prepare (self, task, outcome, given, &dockerfile, err) < 0 || builder_find_reach (task, &reach, err) < 0 || add_build (task, dockerfile, &words, err) < 0)
        return -1;
    builder_watch_t watch = watch_of (self, task, heard);
    heard->reach = reach;
    heard->given = given;
    door_clear_error (task->door, task->job, task->attempt);
    int rc = docker_run (self, task->scratch_folder, &words, task->rules, &watch, &status, err);
    if (rc < 0 || heard->is_hopeless)
        docker_doubt_image (self, task);
    if (rc < 0)
        return -1;
    return status != 0 || heard->is_hopeless ? docker_judge_build (self, heard, status, outcome, err) : 0;
}

/* Push --------------------------------------------------------------------------------------------------------------- */

static int docker_push (builder_t *base, const builder_task_t *task, err_t *err)
{
    docker_t *self = (docker_t *) base;
    AUTO_WORDS words_t words = { 0 };
    AUTO_FREE docker_words_t *heard = mem_alloc (sizeof *heard);
    AUTO_FREE char *name = docker_image_name (task);
    int status = 0;
    words_add (&words, "push");
    words_add (&words, "%s", name);
    builder_watch_t watch = watch_of (self, task, heard);
    door_clear_error (task->door, task->job, task->attempt);
    if (docker_run (self, task->scratch_folder, &words, task->rules, &watch, &status, err) < 0)
        return -1;
    if (status == 0)
        return 0;
    builder_judge_push (task, &heard->disk, heard->error, err);
    return err_wrap (err, "push %s/%s", task->repository.host, task->repository.path);
}

/* Clean -------------------------------------------------------------------------------------------------------------- */

/* The steps of a client that was killed are ended by BuildKit, in its own time. */
static void docker_clean (builder_t *base, const builder_task_t *task)
{
    docker_t *self = (docker_t *) base;
    docker_remove_images (self, task);
    docker_prune (self);
}

static void docker_clean_all (builder_t *base)
{
    docker_remove_images ((docker_t *) base, NULL);
}

static void docker_make_room (builder_t *base)
{
    docker_prune ((docker_t *) base);
}

static void docker_prune_no_more (builder_t *base)
{
    atomic_store (&((docker_t *) base)->prunes_no_more, 1);
}

const builder_driver_t docker_driver = {
    .name = "docker", .packages = "docker.io", .new = docker_new, .destroy = docker_destroy, .has_network = docker_has_network, .build = docker_build,
    .push = docker_push, .clean = docker_clean, .make_room = docker_make_room, .prune_no_more = docker_prune_no_more, .clean_all = docker_clean_all,
    .unlimited = "not at all but for the time: RUN steps are the docker daemon's, and take what it lets them have",
};
