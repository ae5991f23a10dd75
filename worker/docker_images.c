/* docker_images.c - what builds leave in the daemon: the image of each attempt, under the door's name, until its push; and BuildKit's cache. */
#include "worker/docker_private.h"

#include <dirent.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/door_names.h"

enum { REMOVE_MS = 60000, PRUNE_MS = 600000, PRUNE_EVERY_MS = 600000, EMPTY_EVERY_MS = 60000, SECRET_BYTES = 16 };

/* -- images ------------------------------------------------------------------------------------------------------ */

char *docker_image_name (const builder_task_t *task)
{
    AUTO_FREE char *name = door_name (door_port (task->door), &task->repository);
    unsigned char digest [SECRET_BYTES];
    char secret [2 * SECRET_BYTES + 1];
    crypto_generichash (digest, sizeof digest, (const unsigned char *) task->password, strlen (task->password), NULL, 0);
    sodium_bin2hex (secret, sizeof secret, digest, sizeof digest);
    return mem_printf ("%s:attempt-%lld-%d-%s", name, (long long) task->job, task->attempt, secret);
}

static char *note_of (const docker_t *self, const builder_task_t *task)
{
    return mem_printf ("%s/%lld-%d", self->names_folder, (long long) task->job, task->attempt);
}

int docker_note_image (const docker_t *self, const builder_task_t *task, err_t *err)
{
    AUTO_FREE char *note = note_of (self, task), *name = docker_image_name (task);
    return file_write_scratch (note, name, strlen (name), 0600, err);
}

/* A build that failed has left none. */
static void remove_noted (docker_t *self, const char *note)
{
    AUTO_WORDS words_t words = { 0 };
    AUTO_FREE char *name = file_text (note);
    char said [DOCKER_SAID_MAX];
    err_t err;
    words_add (&words, "rmi");
    words_add (&words, "%s", name);
    if (*name && docker_ask (self, &words, REMOVE_MS, NULL, said, &err) < 0 && !strstr (err.text, "No such image") && !strstr (err.text, "invalid reference")) {
        log_warn ("builder", "remove the image %s: %s", name, err.text);
        return;                         /* the note stays for the next start */
    }
    unlink (note);
}

static void remove_all (docker_t *self)
{
    file_sweep (self->names_folder);
    DIR *folder = opendir (self->names_folder);
    for (struct dirent *item; folder && (item = readdir (folder));) {
        AUTO_FREE char *note = file_join (self->names_folder, item->d_name);
        if (item->d_name [0] != '.')
            remove_noted (self, note);
    }
    if (folder)
        closedir (folder);
}

void docker_remove_images (docker_t *self, const builder_task_t *task)
{
    AUTO_FREE char *note = task ? note_of (self, task) : NULL;
    if (!task)
        remove_all (self);
    else if (access (note, F_OK) == 0)
        remove_noted (self, note);
}

/* -- the cache --------------------------------------------------------------------------------------------------- */

static bool lacks_room (const docker_t *self)
{
    int64_t free_bytes = file_free_bytes (self->root_folder);
    return (free_bytes >= 0 && free_bytes < self->free_floor_bytes) || file_is_nearly_full (self->root_folder);
}

static void prune (docker_t *self, bool is_all)
{
    AUTO_WORDS words_t words = { 0 };
    char said [DOCKER_SAID_MAX];
    err_t err;
    words_add (&words, "builder");
    words_add (&words, "prune");
    words_add (&words, "--force");
    words_add (&words, "--all");
    if (is_all)
        log_info ("builder", "the disk of %s is nearly full: docker's build cache is pruned", self->root_folder);
    else
        words_add (&words, "--keep-storage=40GB");
    if (docker_ask (self, &words, PRUNE_MS, &self->prunes_no_more, said, &err) < 0 && err.code != ERR_CANCELLED)
        log_warn ("builder", "prune docker's build cache: %s", err.text);
}

void docker_prune (docker_t *self)
{
    if (atomic_load (&self->prunes_no_more) || pthread_mutex_trylock (&self->lock) != 0)
        return;
    bool is_all = lacks_room (self);
    int64_t now_ms = clock_boot_ms ();
    if (self->pruned_ms == 0 || now_ms - self->pruned_ms > (is_all ? EMPTY_EVERY_MS : PRUNE_EVERY_MS)) {
        prune (self, is_all);
        self->pruned_ms = now_ms;
    }
    pthread_mutex_unlock (&self->lock);
}
