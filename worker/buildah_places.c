/* buildah_places.c - where builders keep images and layers: a place for each repository, and one for what the worker tries at its start.
 *
 * buildah takes a layer that it has for a step when the step's words, the layers below it and their history are the same. What else a step
 * may have read is not compared (build arguments such as HTTP_PROXY, what is bound into a RUN step, the settings of a base image), and images
 * are found by the beginning of their number. So whoever may build for a repository can have later builds get his layers, and read those
 * of earlier ones: with a store for each repository those are builds of the same one, as with kept checkouts.
 *
 * A place is the worker's own folder; what the builder writes to are folders in it: storage-DRIVER, data, run, runtime and own (the scratch folder
 * of commands that are of no attempt). The file `repository` tells whose it is, and by its time when it was last used. */
#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "worker/buildah_private.h"

#define OWN_PLACE "own"

enum { NAME_BYTES = 16 };

char *buildah_place (const buildah_t *self, const builder_task_t *task)
{
    if (!task)
        return file_join (self->state_folder, OWN_PLACE);
    uint8_t hash [NAME_BYTES];
    char hex [2 * NAME_BYTES + 1];
    AUTO_FREE char *name = mem_printf ("%s/%s", task->repository.host, task->repository.path);
    crypto_generichash (hash, sizeof hash, (const uint8_t *) name, strlen (name), NULL, 0);
    sodium_bin2hex (hex, sizeof hex, hash, sizeof hash);
    return file_join (self->state_folder, hex);
}

char *buildah_storage (const buildah_t *self, const char *place)
{
    return mem_printf ("%s/storage-%s", place, self->base.storage ? self->base.storage : "overlay");
}

/* -- made ------------------------------------------------------------------------------------------------------- */

static int make_folder (const buildah_t *self, const char *path, err_t *err)
{
    return file_make_folders (path, 0700, err) < 0 ? -1 : buildah_own (self, path, err);
}

static int make_folders (const buildah_t *self, const char *place, err_t *err)
{
    static const char *const names [] = { "data", "run", "runtime", "own", "own/tmp" };
    AUTO_FREE char *storage = buildah_storage (self, place);
    if (file_make_folders (place, 0700, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        AUTO_FREE char *path = file_join (place, names [i]);
        if (make_folder (self, path, err) < 0)
            return -1;
    }
    return make_folder (self, storage, err);
}

int buildah_open_place (const buildah_t *self, const char *place, const builder_task_t *task, err_t *err)
{
    AUTO_FREE char *note = file_join (place, "repository");
    AUTO_FREE char *name = mem_printf ("%s/%s\n", task ? task->repository.host : "", task ? task->repository.path : "");
    if (make_folders (self, place, err) < 0 || buildah_write_place (self, place, err) < 0 || file_write_scratch (note, name, strlen (name), 0600, err) < 0)
        return err_wrap (err, "the builder's place %s", place);
    return 0;
}

/* -- those that there are ----------------------------------------------------------------------------------------- */

static bool is_place (const char *name)
{
    return strcmp (name, OWN_PLACE) == 0 || (strlen (name) == (size_t) 2 * NAME_BYTES && strspn (name, "0123456789abcdef") == (size_t) 2 * NAME_BYTES);
}

typedef struct {
    char *path;
    struct timespec used;
} found_t;

static int by_use (const void *a, const void *b)
{
    const found_t *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return (x->used.tv_nsec > y->used.tv_nsec) - (x->used.tv_nsec < y->used.tv_nsec);
}

void buildah_list_places (const buildah_t *self, words_t *out)
{
    AUTO_BUFFER buffer_t all = { 0 };
    DIR *folder = opendir (self->state_folder);
    for (const struct dirent *item; folder && (item = readdir (folder));) {
        struct stat info;
        if (!is_place (item->d_name))
            continue;
        found_t found = { .path = file_join (self->state_folder, item->d_name) };
        AUTO_FREE char *note = file_join (found.path, "repository");
        if (lstat (note, &info) == 0)               /* else it was never made to its end: the first */
            found.used = info.st_mtim;
        buffer_append (&all, &found, sizeof found);
    }
    if (folder)
        closedir (folder);
    found_t *places = (found_t *) (void *) all.data;
    size_t count = all.size / sizeof *places;
    if (count)
        qsort (places, count, sizeof *places, by_use);
    for (size_t i = 0; i < count; i++) {
        words_add (out, "%s", places [i].path);
        free (places [i].path);
    }
}

void buildah_drop_place (const buildah_t *self, const char *place)
{
    err_t err;
    AUTO_FREE char *own = buildah_place (self, NULL);
    if (strcmp (place, own) != 0 && file_remove_tree (place, &err) < 0)
        log_warn ("builder", "%s", err.text);
}

/* Of the ids that the builder has now? What others have made is of no use to these: it is a cache, and made again. */
static bool is_ours (const buildah_t *self, const char *place)
{
    struct stat info;
    AUTO_FREE char *data = file_join (place, "data");
    return lstat (data, &info) == 0 && S_ISDIR (info.st_mode) && info.st_uid == (self->room.ids ? (uid_t) self->room.first_id : geteuid ());
}

/* Files that a worker which was killed was about to write. */
static void sweep_place (const char *place)
{
    AUTO_FREE char *own = file_join (place, "own");
    file_sweep (place);
    file_sweep (own);
}

int buildah_take_over (const buildah_t *self, err_t *err)
{
    bool were_others = false;
    err_t why;
    DIR *folder = opendir (self->state_folder);
    int rc = folder ? 0 : err_sys (err, errno, "look at %s", self->state_folder);
    for (const struct dirent *item; rc == 0 && (item = readdir (folder));) {
        AUTO_FREE char *path = file_join (self->state_folder, item->d_name);
        bool is_of_docker = strcmp (item->d_name, "images") == 0;           /* docker_images.c: what a daemon still has to remove */
        if (strcmp (item->d_name, ".") == 0 || strcmp (item->d_name, "..") == 0 || is_of_docker)
            continue;
        if (is_place (item->d_name) && is_ours (self, path))
            sweep_place (path);
        else if (is_place (item->d_name)) {
            were_others = true;
            rc = file_remove_tree (path, err);
        }
        else if (file_remove_tree (path, &why) < 0)
            log_warn ("builder", "%s is of no use any more, and cannot be removed: %s", path, why.text);
    }
    if (folder)
        closedir (folder);
    if (were_others)
        log_info ("builder", "%s is made anew: the builder has other ids than before (builder/user)", self->state_folder);
    return rc;
}
