/* builder_command.c - see builder_command.h. */
#include "worker/builder_command.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "worker/blotter.h"

enum { LOOK_MS = 100, DRAIN_MS = 5000 };
static const char default_path [] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* Output by lines ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const builder_watch_t *watch;
    blotter_t *blotter;
    bool has_begun;                 /* a line, whose end has not come */
    char data [16384];
} splitter_t;

static void end_line (splitter_t *self)
{
    size_t size;
    const char *line = blotter_end (self->blotter, &size);
    while (size > 0 && line [size - 1] == '\r')
        size--;
    if (self->watch->on_line)
        self->watch->on_line (self->watch->argument, 'o', line, size);
    self->has_begun = false;
}

static void split (splitter_t *self, const char *data, size_t size)
{
    while (size > 0) {
        const char *feed = memchr (data, '\n', size);
        size_t part = feed ? (size_t) (feed - data) : size;
        blotter_add (self->blotter, data, part);
        self->has_begun = true;
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
    ssize_t size = read (output, self->data, sizeof self->data);
    if (size > 0)
        split (self, self->data, (size_t) size);
    return size > 0 || (size < 0 && (errno == EINTR || errno == EAGAIN)) ? 1 : (int) size;
}

/* The process -------------------------------------------------------------------------------------------------------- */

static err_code must_stop (const builder_watch_t *watch)
{
    if (watch->is_hopeless && *watch->is_hopeless)
        return ERR_BUILD;
    if (watch->has_trouble && atomic_load (watch->has_trouble))
        return ERR_FARM;
    if (watch->is_cancelled && atomic_load (watch->is_cancelled))
        return ERR_CANCELLED;
    return watch->deadline_ms > 0 && clock_boot_ms () >= watch->deadline_ms ? ERR_TIMEOUT : ERR_NONE;
}

/* Read until the output ends. One that has to stop is killed; its last words are still read, for a while. So is one that cannot be
 * heard: what it says tells how it went, and it would wait for ever for somebody to read. That errno is *deaf, else 0. */
static err_code follow (spawner_t *spawner, int64_t child, const builder_watch_t *watch, int output, int *deaf)
{
    AUTO (blotter) blotter_t *blotter = blotter_new (watch->secrets);
    splitter_t splitter = { .watch = watch, .blotter = blotter };
    err_code stop = ERR_NONE;
    int64_t give_up_ms = 0;
    *deaf = 0;
    for (;;) {
        struct pollfd polled = { output, POLLIN, 0 };
        bool is_heard = poll (&polled, 1, LOOK_MS) > 0;
        if (watch->disk)
            builder_disk_look (watch->disk);
        int more = is_heard ? read_output (&splitter, output) : 1;
        if (more < 0) {
            *deaf = errno;
            spawner_kill (spawner, child);
            stop = stop == ERR_NONE ? ERR_FARM : stop;
        }
        if (more <= 0)
            break;
        if (stop == ERR_NONE && (stop = must_stop (watch)) != ERR_NONE) {
            spawner_kill (spawner, child);
            give_up_ms = clock_boot_ms () + DRAIN_MS;
        }
        if (stop != ERR_NONE && clock_boot_ms () > give_up_ms)
            break;
    }
    if (splitter.has_begun)
        end_line (&splitter);
    sodium_memzero (splitter.data, sizeof splitter.data);
    return stop;
}

/* The output has ended, the process may not have. */
static int await_end (spawner_t *spawner, int64_t child, const builder_watch_t *watch, err_code *stop, int *status, err_t *err)
{
    err_t waiting;
    while (spawner_wait (spawner, child, LOOK_MS, status, &waiting) < 0) {
        if (waiting.code != ERR_TIMEOUT) {
            if (err)
                *err = waiting;
            return -1;
        }
        if (*stop == ERR_NONE && (*stop = must_stop (watch)) != ERR_NONE)
            spawner_kill (spawner, child);
    }
    return 0;
}

int builder_command (spawner_t *spawner, const words_t *argv, const words_t *environment, const char *folder, const spawner_rules_t *rules,
                     const builder_watch_t *watch, int *status, err_t *err)
{
    AUTO_CLOSE int output = -1;
    int64_t child = spawner_run (spawner, (const char *const *) argv->items, (const char *const *) environment->items, folder, rules, &output, err);
    if (child < 0)
        return -1;
    int deaf;
    err_code stop = follow (spawner, child, watch, output, &deaf);
    if (await_end (spawner, child, watch, &stop, status, err) < 0)
        return -1;
    /* What ended well just before it was killed, ended well. */
    if (stop == ERR_CANCELLED)
        return err_set (err, stop, "cancelled");
    if (stop == ERR_FARM && deaf)
        return err_set (err, stop, "read the output of %s: %s", argv->items [0], strerror (deaf));
    if (stop == ERR_FARM)
        return err_set (err, stop, "stopped");
    if (stop == ERR_TIMEOUT && *status != 0)
        return err_set (err, stop, "the time limit ran out: %s was stopped; make the build faster, or raise its time limit", argv->items [0]);
    return 0;
}

/* What it is given ---------------------------------------------------------------------------------------------------- */

void builder_command_add_path (words_t *environment)
{
    const char *path = getenv ("PATH");
    words_add (environment, "PATH=%s", path && *path ? path : default_path);
}

char *builder_command_find (const char *name)
{
    AUTO_FREE char *path = mem_strdup (getenv ("PATH"));
    char *rest = path;
    for (char *folder; rest && (folder = strsep (&rest, ":"));) {
        char *file = file_join (folder, name);
        if (*folder == '/' && access (file, X_OK) == 0)
            return file;
        free (file);
    }
    return NULL;
}
