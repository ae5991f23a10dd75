/* docker_images.c - what builds leave in the daemon: the image of each attempt, under the door's name, until its push; and BuildKit's cache. */
#include "worker/docker_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/builder_spec.h"
#include "worker/door_names.h"

enum { REMOVE_MS = 60000, PRUNE_MS = 600000, PRUNE_EVERY_MS = 600000, EMPTY_EVERY_MS = 60000, LATE_S = 600 };

/* -- images ------------------------------------------------------------------------------------------------------ */

char *docker_image_name (const builder_task_t *task)
{
    AUTO_FREE char *name = door_name (door_port (task->door), &task->repository);
    char word [SECRET_WORD_SIZE];
    builder_secret_word (task, word);
    return mem_printf ("%s:attempt-%lld-%d-%s", name, (long long) task->job, task->attempt, word);
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

/* What becomes of a note whose image is not there. */
typedef void (missing_fn) (const docker_t *self, const char *note);

/* A build that failed by itself has left none. */
static void forget (const docker_t *self, const char *note)
{
    (void) self;
    unlink (note);
}

/* BuildKit may still make it, though the client was killed. From now on the note says so. */
static void mark_late (const docker_t *self, const char *note)
{
    AUTO_FREE char *late = mem_printf ("%s/%s", self->late_folder, strrchr (note, '/') + 1);
    if (rename (note, late) < 0 || utimensat (AT_FDCWD, late, NULL, 0) < 0)
        log_warn ("builder", "rename %s to %s: %s; should the build go on in the daemon, its image stays there", note, late, strerror (errno));
}

static void forget_old (const docker_t *self, const char *note)
{
    struct stat now;
    if (stat (note, &now) == 0 && time (NULL) - now.st_mtime > LATE_S)
        forget (self, note);
}

static void remove_noted (docker_t *self, const char *note, missing_fn *if_missing)
{
    AUTO_WORDS words_t words = { 0 };
    AUTO_FREE char *name = file_text (note);
    char said [DOCKER_SAID_MAX];
    err_t err;
    words_add (&words, "rmi");
    words_add (&words, "%s", name);
    if (!*name || docker_ask (self, &words, REMOVE_MS, NULL, said, &err) == 0)
        unlink (note);
    else if (strstr (err.text, "No such image") || strstr (err.text, "invalid reference"))
        if_missing (self, note);
    else
        log_warn ("builder", "remove the image %s: %s", name, err.text);        /* the note stays for the next time */
}

static void remove_all (docker_t *self, const char *path, missing_fn *if_missing)
{
    DIR *folder = opendir (path);
    for (struct dirent *item; folder && (item = readdir (folder));) {
        AUTO_FREE char *note = file_join (path, item->d_name);
        if (item->d_name [0] != '.' && strcmp (note, self->late_folder) != 0)
            remove_noted (self, note, if_missing);
    }
    if (folder)
        closedir (folder);
}

void docker_doubt_image (const docker_t *self, const builder_task_t *task)
{
    AUTO_FREE char *note = note_of (self, task);
    mark_late (self, note);
}

void docker_remove_images (docker_t *self, const builder_task_t *task)
{
    AUTO_FREE char *note = task ? note_of (self, task) : NULL;
    if (!task) {
        file_sweep (self->names_folder);
        remove_all (self, self->names_folder, mark_late);
    }
    else if (access (note, F_OK) == 0)
        remove_noted (self, note, forget);
    remove_all (self, self->late_folder, forget_old);
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
