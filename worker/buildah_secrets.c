/* buildah_secrets.c - a build's secrets as buildah gets them, without a copy on a disk.
 *
 * buildah reads the file that --secret names at each RUN step that mounts it, and writes what it read into the folder of the step's container,
 * in its store, to mount that. So the file is a pipe, and whoever writes into it knows that buildah waits just now, with its container
 * made and nothing written yet: then the folder `secrets` of each of the attempt's containers is made a link into the vault.
 *
 *     buildah: open pipe (waits) ------------------------------> read ---> store/…-containers/ID/userdata/secrets/npm
 *     us:        open pipe (waits) --> new pipe, link, write ---> close             |
 *                                                                      vault/7-1/ID/npm  (tmpfs)
 *
 * A pipe serves one reader: it is replaced by a new one before anything is written. */
#include "worker/buildah_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"

enum { CONTAINER_ID = 64 };

typedef struct {
    buildah_secrets_t *all;
    const secret_t *secret;
    char *pipe;
    pthread_t thread;
    bool is_started;
} server_t;

struct buildah_secrets {
    buildah_t *builder;
    const builder_task_t *task;
    atomic_bool is_over, has_failed;
    pthread_mutex_t lock;           /* one makes links at a time */
    err_t why;                      /* it has failed */
    server_t servers [SECRETS_MAX];
    size_t count;
};

/* -- links -------------------------------------------------------------------------------------------------------- */

static int make_link (const buildah_secrets_t *self, const char *containers, const char *id, err_t *err)
{
    struct stat found;
    AUTO_FREE char *link = mem_printf ("%s/%s/userdata/secrets", containers, id), *folder = file_join (self->task->vault, id);
    if (lstat (link, &found) == 0)
        return S_ISLNK (found.st_mode) ? 0 : err_set (err, ERR_FARM, "%s is there already, on a disk", link);
    if (mkdir (folder, 0700) != 0 && errno != EEXIST)
        return err_sys (err, errno, "make %s", folder);
    if (buildah_own (self->builder, folder, err) < 0)
        return -1;
    return symlink (folder, link) == 0 ? 0 : err_sys (err, errno, "make the link %s", link);
}

/* Another one's containers come and go meanwhile: those are not ours. */
static int make_links (buildah_secrets_t *self, err_t *err)
{
    AUTO_FREE char *place = buildah_place (self->builder, self->task), *containers = buildah_containers_folder (self->builder, place);
    char mark [BUILDAH_MARK_SIZE];
    int rc = 0;
    buildah_mark (self->task, mark);
    DIR *folder = opendir (containers);
    if (!folder)
        return err_sys (err, errno, "look for the build's containers in %s", containers);
    for (struct dirent *item; rc == 0 && (item = readdir (folder));)
        if (strlen (item->d_name) == CONTAINER_ID && buildah_is_marked (containers, item->d_name, mark))
            rc = make_link (self, containers, item->d_name, err);
    closedir (folder);
    return rc;
}

/* -- pipes -------------------------------------------------------------------------------------------------------- */

static int make_pipe (const buildah_t *builder, const char *path, err_t *err)
{
    AUTO_FREE char *fresh = mem_printf ("%s.new", path);
    if (mkfifo (fresh, 0600) == 0 && buildah_own (builder, fresh, err) < 0)
        return -1;
    if (rename (fresh, path) == 0)
        return 0;
    return err_sys (err, errno, "make the pipe %s", path);
}

/* The reader waits, with its pipe open, and gets nothing: the build is ended. */
static void fail (buildah_secrets_t *self, const err_t *why)
{
    if (!atomic_load (&self->has_failed))
        self->why = *why;
    atomic_store (&self->has_failed, true);
}

static int prepare (server_t *self)
{
    err_t err = { 0 };
    pthread_mutex_lock (&self->all->lock);
    int rc = make_pipe (self->all->builder, self->pipe, &err) < 0 ? -1 : make_links (self->all, &err);
    if (rc < 0)
        fail (self->all, &err);
    pthread_mutex_unlock (&self->all->lock);
    return rc;
}

static void *give_up (server_t *self)
{
    err_t err;
    err_sys (&err, errno, "open the pipe %s", self->pipe);
    pthread_mutex_lock (&self->all->lock);
    fail (self->all, &err);
    pthread_mutex_unlock (&self->all->lock);
    return (void *) (intptr_t) -1;
}

static void *serve (void *argument)
{
    server_t *self = argument;
    int kept = -1;
    while (kept < 0 && !atomic_load (&self->all->is_over)) {
        AUTO_CLOSE int pipe = open (self->pipe, O_WRONLY | O_CLOEXEC);
        if (atomic_load (&self->all->is_over))
            continue;
        if (pipe < 0)
            return give_up (self);
        if (prepare (self) < 0)
            kept = take_fd (&pipe);         /* until end_server */
        else if (self->secret->size)
            file_write_all (pipe, self->secret->data, self->secret->size, NULL);    /* whoever does not read it to its end was killed */
    }
    return (void *) (intptr_t) kept;
}

static int start_server (buildah_secrets_t *self, const secret_t *secret, err_t *err)
{
    server_t *server = &self->servers [self->count++];
    *server = (server_t) { .all = self, .secret = secret, .pipe = mem_printf ("%s/%zu", self->task->vault, self->count - 1) };
    if (make_pipe (self->builder, server->pipe, err) < 0)
        return -1;
    int errnum = pthread_create (&server->thread, NULL, serve, server);
    server->is_started = errnum == 0;
    return errnum ? err_sys (err, errnum, "start a thread for a secret") : 0;
}

/* It may wait for a reader, who never comes: so here is one. */
static void end_server (server_t *self)
{
    void *kept = (void *) (intptr_t) -1;
    int reader = self->is_started ? open (self->pipe, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    if (self->is_started)
        pthread_join (self->thread, &kept);
    int pipe = (int) (intptr_t) kept;
    auto_close (&pipe);
    auto_close (&reader);
    free (self->pipe);
}

/* -- a build ------------------------------------------------------------------------------------------------------ */

buildah_secrets_t *buildah_secrets_new (buildah_t *builder, const builder_task_t *task, err_t *err)
{
    AUTO (buildah_secrets) buildah_secrets_t *self = mem_alloc (sizeof *self);
    self->builder = builder;
    self->task = task;
    pthread_mutex_init (&self->lock, NULL);
    if (task->secrets && task->vault && buildah_own (builder, task->vault, err) < 0)
        return NULL;
    for (size_t i = 0; task->secrets && i < task->secrets->count; i++)
        if (start_server (self, &task->secrets->items [i], err) < 0)
            return NULL;
    return take (&self);
}

void buildah_secrets_destroy (buildah_secrets_t **self_p)
{
    buildah_secrets_t *self = *self_p;
    if (!self)
        return;
    atomic_store (&self->is_over, true);
    for (size_t i = 0; i < self->count; i++)
        end_server (&self->servers [i]);
    pthread_mutex_destroy (&self->lock);
    free (self);
    *self_p = NULL;
}

void buildah_secrets_add (const buildah_secrets_t *self, words_t *words)
{
    for (size_t i = 0; i < self->count; i++)
        words_add (words, "--secret=id=%s,src=%s", self->servers [i].secret->id, self->servers [i].pipe);
}

const atomic_bool *buildah_secrets_trouble (const buildah_secrets_t *self)
{
    return &self->has_failed;
}

int buildah_secrets_check (const buildah_secrets_t *self, err_t *err)
{
    if (!atomic_load (&self->has_failed))
        return 0;
    return err_set (err, self->why.code, "the build's secrets: %s", self->why.text);
}
