/* buildah_runtime.c - what runc or crun leaves behind when a build is killed: it notes each RUN step that goes on in a folder, makes
 * cgroups for it, and mounts. Whoever ends a step's processes alone leaves all of that; the runtime's own `delete` does not. So each
 * attempt has such a folder of its own, and what still stands there when its builder has ended is deleted. */
#include <dirent.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "worker/buildah_private.h"

enum { DELETE_MS = 20000 };

char *buildah_runtime_root (const buildah_t *self, const builder_task_t *task)
{
    AUTO_FREE char *place = buildah_place (self, task);
    return mem_printf ("%s/runtime/%lld-%d", place, (long long) task->job, task->attempt);
}

static int run_delete (buildah_t *self, const char *runtime, const char *root, const char *step, err_t *err)
{
    const char *argv [] = { runtime, "--root", root, "delete", "--force", step, NULL };
    AUTO_FREE char *path = mem_printf ("PATH=%s", getenv ("PATH") ? getenv ("PATH") : "");
    const char *environment [] = { path, NULL };
    AUTO_CLOSE int output = -1;
    int status = 0;
    int64_t child = spawner_run (self->spawner, argv, environment, self->state_folder, NULL, &output, err);
    if (child < 0)
        return -1;
    if (spawner_wait (self->spawner, child, DELETE_MS, &status, err) < 0) {
        spawner_kill (self->spawner, child);
        return -1;
    }
    return status == 0 ? 0 : err_set (err, ERR_FARM, "exit status %d", status);
}

void buildah_end_steps_in (buildah_t *self, const char *runtime, const char *root)
{
    err_t err;
    DIR *folder = self->room.ids ? NULL : opendir (root);       /* what was in a room has ended with it; and what it notes is the builder's word */
    for (struct dirent *item; folder && runtime && (item = readdir (folder));)
        if (item->d_name [0] != '.' && run_delete (self, runtime, root, item->d_name, &err) < 0)
            log_warn ("builder", "%s delete %s: %s", runtime, item->d_name, err.text);
    if (folder)
        closedir (folder);
    if (file_remove_tree (root, &err) < 0)
        log_warn ("builder", "remove %s: %s", root, err.text);
}

void buildah_end_steps (buildah_t *self, const builder_task_t *task)
{
    AUTO_FREE char *root = buildah_runtime_root (self, task);
    buildah_end_steps_in (self, self->runtime, root);
}

static void end_steps_of (buildah_t *self, const char *place)
{
    AUTO_FREE char *roots = file_join (place, "runtime");
    DIR *folder = opendir (roots);
    for (struct dirent *item; folder && (item = readdir (folder));)
        if (item->d_name [0] != '.') {
            AUTO_FREE char *left = file_join (roots, item->d_name);
            buildah_end_steps_in (self, self->runtime, left);
        }
    if (folder)
        closedir (folder);
}

void buildah_end_all_steps (buildah_t *self)
{
    AUTO_WORDS words_t places = { 0 };
    buildah_list_places (self, &places);
    for (size_t i = 0; i < places.count; i++)
        end_steps_of (self, places.items [i]);
}
