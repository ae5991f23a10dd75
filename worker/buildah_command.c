/* buildah_command.c - runs buildah, or podman: command line, environment, output by lines, deadline and cancelling. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "worker/buildah_private.h"
#include "worker/runtime_guard.h"

enum { LOOK_MS = 100, LINE_MAX_SIZE = 20 * 1024, DRAIN_MS = 5000 };
static const char default_path [] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

void words_add (words_t *self, const char *format, ...)
{
    va_list args;
    char *word = NULL;
    va_start (args, format);
    if (vasprintf (&word, format, args) < 0)
        abort ();
    va_end (args);
    self->items = mem_resize (self->items, (self->count + 2) * sizeof *self->items);
    self->items [self->count++] = word;
    self->items [self->count] = NULL;
}

void words_free (words_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        free (self->items [i]);
    free (self->items);
    *self = (words_t) { 0 };
}

/* Output by lines ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const buildah_run_t *how;
    char line [LINE_MAX_SIZE];
    size_t size;                    /* what of a longer line does not fit is dropped; the log says where it cut */
} splitter_t;

static void end_line (splitter_t *self)
{
    while (self->size > 0 && self->line [self->size - 1] == '\r')
        self->size--;
    if (self->how->secrets)
        self->size = secrets_blot (self->how->secrets, self->line, self->size);
    if (self->how->on_line)
        self->how->on_line (self->how->argument, 'o', self->line, self->size);
    self->size = 0;
}

static void split (splitter_t *self, const char *data, size_t size)
{
    while (size > 0) {
        const char *feed = memchr (data, '\n', size);
        size_t part = feed ? (size_t) (feed - data) : size;
        size_t room = LINE_MAX_SIZE - self->size;
        memcpy (self->line + self->size, data, part < room ? part : room);
        self->size += part < room ? part : room;
        if (feed) {
            end_line (self);
            part++;
        }
        data += part;
        size -= part;
    }
}

/* 1 while there may be more, 0 at the end, -1 with errno when it cannot be read. */
static int read_output (splitter_t *self, int output)
{
    char data [16384];
    ssize_t size = read (output, data, sizeof data);
    if (size > 0)
        split (self, data, (size_t) size);
    return size > 0 || (size < 0 && (errno == EINTR || errno == EAGAIN)) ? 1 : (int) size;
}

/* The process -------------------------------------------------------------------------------------------------------- */

bool buildah_is_in_room_of_attempt (const builder_t *self, const buildah_run_t *how)
{
    return self->room.ids && how->task;
}

/* Nothing of the worker's own environment but PATH. */
static void add_environment (const builder_t *self, const buildah_run_t *how, words_t *out)
{
    const char *path = getenv ("PATH");
    words_add (out, "PATH=%s", path && *path ? path : default_path);
    words_add (out, "HOME=%s", how->scratch_folder);
    if (how->tmp)
        words_add (out, "TMPDIR=%s", how->tmp);
    else
        words_add (out, "TMPDIR=%s/tmp", how->scratch_folder);
    words_add (out, "XDG_RUNTIME_DIR=%s/tmp", how->scratch_folder);
    /* Rootless, buildah keeps its memory of which blobs are where below this; as root in /var/lib/containers/cache. */
    words_add (out, "XDG_DATA_HOME=%s/data", self->state_folder);
    self->kind->add_environment (self, how, out);
    words_add (out, "CONTAINERS_REGISTRIES_CONF=%s/registries.conf", how->scratch_folder);
    if (!buildah_is_in_room_of_attempt (self, how)) {
        words_add (out, "REGISTRY_AUTH_FILE=%s/auth.json", how->scratch_folder);
        words_add (out, RUNTIME_GUARD_VARIABLE "=%s:::%s:", self->runtime ? self->runtime : "", self->state_folder);
        return;
    }
    words_add (out, "REGISTRY_AUTH_FILE=" ROOM_SECRET_PATH);
    words_add (out, RUNTIME_GUARD_VARIABLE "=%s:%s:%s:%s:%s", self->runtime ? self->runtime : "", how->scratch_folder, how->task->context_folder,
               self->state_folder, how->task->vault ? how->task->vault : "");
}

static err_code must_stop (const buildah_run_t *how)
{
    if (how->is_hopeless && *how->is_hopeless)
        return ERR_BUILD;
    if (how->has_trouble && atomic_load (how->has_trouble))
        return ERR_FARM;
    if (how->is_cancelled && atomic_load (how->is_cancelled))
        return ERR_CANCELLED;
    return how->deadline_ms > 0 && clock_boot_ms () >= how->deadline_ms ? ERR_TIMEOUT : ERR_NONE;
}

/* Read until the output ends. One that has to stop is killed; its last words are still read, for a while. So is one that cannot be
 * heard: what it says tells how it went, and it would wait for ever for somebody to read. That errno is *deaf, else 0. */
static err_code follow (builder_t *self, int64_t child, const buildah_run_t *how, int output, int *deaf)
{
    AUTO_FREE splitter_t *splitter = mem_alloc (sizeof *splitter);
    err_code stop = ERR_NONE;
    int64_t give_up_ms = 0;
    splitter->how = how;
    *deaf = 0;
    for (;;) {
        struct pollfd polled = { output, POLLIN, 0 };
        int more = poll (&polled, 1, LOOK_MS) > 0 ? read_output (splitter, output) : 1;
        if (more < 0) {
            *deaf = errno;
            spawner_kill (self->spawner, child);
            stop = stop == ERR_NONE ? ERR_FARM : stop;
        }
        if (more <= 0)
            break;
        if (stop == ERR_NONE && (stop = must_stop (how)) != ERR_NONE) {
            spawner_kill (self->spawner, child);
            give_up_ms = clock_boot_ms () + DRAIN_MS;
        }
        if (stop != ERR_NONE && clock_boot_ms () > give_up_ms)
            break;
    }
    if (splitter->size > 0)
        end_line (splitter);
    return stop;
}

/* The output has ended, the process may not have. */
static int await_end (builder_t *self, int64_t child, const buildah_run_t *how, err_code *stop, int *status, err_t *err)
{
    err_t waiting;
    while (spawner_wait (self->spawner, child, LOOK_MS, status, &waiting) < 0) {
        if (waiting.code != ERR_TIMEOUT) {
            if (err)
                *err = waiting;
            return -1;
        }
        if (*stop == ERR_NONE && (*stop = must_stop (how)) != ERR_NONE)
            spawner_kill (self->spawner, child);
    }
    return 0;
}

/* Into a room where there is one. */
static int64_t start (builder_t *self, const words_t *argv, const words_t *environment, const buildah_run_t *how, int *output, err_t *err)
{
    AUTO_WORDS words_t places = { 0 };
    AUTO_FREE char *secret = buildah_is_in_room_of_attempt (self, how) ? buildah_auth_text (how->task) : NULL;
    spawner_rules_t rules = how->rules ? *how->rules : (spawner_rules_t) { 0 };
    if (self->room.ids) {
        buildah_room_places (self, how->task, &places);
        rules.room = (spawner_room_t) { self->room.first_id, self->room.ids, (const char *const *) places.items, secret };
    }
    int64_t child = spawner_run (self->spawner, (const char *const *) argv->items, (const char *const *) environment->items,
                                 how->scratch_folder, &rules, output, err);
    if (secret)
        sodium_memzero (secret, strlen (secret));
    return child;
}

int buildah_run (builder_t *self, const words_t *words, const buildah_run_t *how, int *status, err_t *err)
{
    AUTO_WORDS words_t argv = { 0 }, environment = { 0 };
    AUTO_CLOSE int output = -1;
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
    int64_t child = start (self, &argv, &environment, how, &output, err);
    if (child < 0)
        return -1;
    int deaf;
    err_code stop = follow (self, child, how, output, &deaf);
    if (await_end (self, child, how, &stop, status, err) < 0)
        return -1;
    /* What ended well just before it was killed, ended well. */
    if (stop == ERR_CANCELLED)
        return err_set (err, stop, "cancelled");
    if (stop == ERR_FARM && deaf)
        return err_set (err, stop, "read the output of %s: %s", self->program, strerror (deaf));
    if (stop == ERR_FARM)
        return err_set (err, stop, "stopped");
    if (stop == ERR_TIMEOUT && *status != 0)
        return err_set (err, stop, "the time limit ran out: %s was stopped; make the build faster, or raise its time limit",
                        self->program);
    return 0;
}
