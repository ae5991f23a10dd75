/* buildah_store.c - keeps the store of images and layers in order: mounts, and its size.
 *
 * All attempts for one repository share a store (buildah_places.c), so that one finds the layers of another. Built images have no name there (they are
 * pushed by their id) and stay as the layer cache. After an attempt, and when an idle worker needs room, stores are pruned when the disk has
 * less than 5 GiB and less than 10 % free, or less than its floor, or few further files can be made, or the layers of all hold more than 40 GiB: those first that were not used for the
 * longest time, of each what was built, then, if it does not help, base images too. Images of running attempts must not go: pruning waits until
 * none runs, and new ones wait while it is due. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "worker/buildah_private.h"

enum { PRUNE_MS = 600000, LAYERS_FILE_MAX = 64 * 1024 * 1024 };
static const int64_t store_limit_bytes = 40LL << 30, free_floor_files = 32768;       /* more than builder_disk.c calls full */

/* Mounts ------------------------------------------------------------------------------------------------------------- */

/* Unmount all below folder; the last mounted goes first. How many that were. */
static size_t unmount_below (const char *folder)
{
    AUTO_WORDS words_t found = { 0 };
    AUTO_FCLOSE FILE *mounts = fopen ("/proc/self/mounts", "re");
    char line [8192], path [4096];
    size_t size = strlen (folder);
    while (mounts && fgets (line, sizeof line, mounts))
        if (sscanf (line, "%*s %4095s", path) == 1 && strncmp (path, folder, size) == 0 && path [size] == '/')
            words_add (&found, "%s", path);
    size_t count = 0;
    for (size_t i = found.count; i > 0; i--)
        count += umount2 (found.items [i - 1], MNT_DETACH) == 0;
    return count;
}

size_t buildah_unmount_all (const buildah_t *self)
{
    AUTO_FREE char *folder = realpath (self->state_folder, NULL);
    return folder ? unmount_below (folder) : 0;
}

/* How often each layer is mounted is written down there, and without the mounts it is wrong: it would be believed. */
static int forget_mounts (const buildah_t *self, err_t *err)
{
    AUTO_WORDS words_t places = { 0 };
    buildah_list_places (self, &places);
    for (size_t i = 0; i < places.count; i++) {
        AUTO_FREE char *run = file_join (places.items [i], "run");
        if (file_remove_tree (run, err) < 0 || file_make_folders (run, 0700, err) < 0 || buildah_own (self, run, err) < 0)
            return err_wrap (err, "forget old mounts");
    }
    return 0;
}

int buildah_reset_mounts (buildah_t *self, err_t *err)
{
    buildah_unmount_all (self);
    return forget_mounts (self, err);
}

/* While no attempt is in the store: the mounts of builders that were killed, which none of the later ones takes for its own. */
static void sweep_mounts (const buildah_t *self)
{
    err_t err;
    if (buildah_unmount_all (self) && forget_mounts (self, &err) < 0)
        log_warn ("builder", "%s", err.text);
}

/* Commands ----------------------------------------------------------------------------------------------------------- */

/* They need a scratch folder of their own. */
int buildah_run_store (buildah_t *self, const char *place, const words_t *words, int64_t limit_ms, atomic_int *is_cancelled, err_t *err)
{
    int status = 0;
    AUTO_FREE char *scratch = file_join (place, "own");
    buildah_run_t how = { .place = place, .scratch_folder = scratch, .watch = { .deadline_ms = clock_boot_ms () + limit_ms, .is_cancelled = is_cancelled } };
    if (buildah_run (self, words, &how, &status, err) < 0)
        return -1;
    return status == 0 ? 0 : err_set (err, ERR_FARM, "exit status %d", status);
}

/* Size --------------------------------------------------------------------------------------------------------------- */

/* The sum of what a place's layers hold, from the store's own list; 0 when it cannot be read. */
static int64_t layers_bytes (const buildah_t *self, const char *place)
{
    AUTO_FREE char *storage = buildah_storage (self, place), *path = mem_printf ("%s/%s-layers/layers.json", storage, self->base.storage);
    AUTO_BUFFER buffer_t text = { 0 };
    if (file_read (path, LAYERS_FILE_MAX, &text, NULL) < 0)
        return 0;
    AUTO_JSON json_t *layers = json_loadb ((const char *) text.data, text.size, 0, NULL);
    int64_t sum = 0;
    size_t at;
    json_t *layer;
    json_array_foreach (layers, at, layer) {
        int64_t size = json_integer_value (json_object_get (layer, "diff-size"));
        sum += size > 0 && size < INT64_MAX - sum ? size : 0;
    }
    return sum;
}

static int64_t all_layers_bytes (const buildah_t *self)
{
    AUTO_WORDS words_t places = { 0 };
    int64_t sum = 0;
    buildah_list_places (self, &places);
    for (size_t i = 0; i < places.count; i++) {
        int64_t bytes = layers_bytes (self, places.items [i]);
        sum += bytes < INT64_MAX - sum ? bytes : 0;
    }
    return sum;
}

static bool is_disk_short (const buildah_t *self)
{
    int64_t bytes = file_free_bytes (self->state_folder), files = file_free_inodes (self->state_folder);
    return (bytes >= 0 && bytes < self->free_floor_bytes) || (files >= 0 && files < free_floor_files) || file_is_nearly_full (self->state_folder);
}

/* Where there is nothing to prune somebody else has filled the disk. */
static bool is_too_much (const buildah_t *self, int64_t held)
{
    return held > store_limit_bytes || (held > 0 && is_disk_short (self));
}

static bool is_too_large (const buildah_t *self)
{
    return is_too_much (self, all_layers_bytes (self));
}

/* *held: what all places hold. */
static void prune_place (buildah_t *self, const char *place, int64_t *held)
{
    int64_t bytes = layers_bytes (self, place);
    for (size_t i = 0; i < 2 && bytes > 0 && !atomic_load (&self->prunes_no_more) && is_too_much (self, *held); i++) {
        AUTO_WORDS words_t words = { 0 };
        err_t err;
        for (const char *const *word = self->kind->prune [i]; *word; word++)
            words_add (&words, "%s", *word);
        log_info ("builder", "the stores are large or their disk nearly full: what was built%s is pruned in %s", i == 0 ? "" : " and the base images", place);
        if (buildah_run_store (self, place, &words, PRUNE_MS, &self->prunes_no_more, &err) < 0 && err.code != ERR_CANCELLED)
            log_warn ("builder", "prune %s: %s", place, err.text);
        int64_t left = layers_bytes (self, place);
        *held -= bytes - left;
        bytes = left;
    }
    if (bytes == 0)
        buildah_drop_place (self, place);
}

static void prune (buildah_t *self)
{
    AUTO_WORDS words_t places = { 0 };
    int64_t held = all_layers_bytes (self);
    buildah_list_places (self, &places);
    for (size_t i = 0; i < places.count && is_too_much (self, held); i++)
        prune_place (self, places.items [i], &held);
}

/* Attempts ----------------------------------------------------------------------------------------------------------- */

/* Under the lock. */
static active_t **find_active (buildah_t *self, const builder_task_t *task)
{
    active_t **at = &self->active;
    while (*at && ((*at)->job != task->job || (*at)->attempt != task->attempt))
        at = &(*at)->next;
    return at;
}

static void wait_a_moment (buildah_t *self)
{
    struct timespec at;
    clock_gettime (CLOCK_MONOTONIC, &at);
    at.tv_nsec += 100 * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    pthread_cond_timedwait (&self->changed, &self->lock, &at);
}

int buildah_enter (buildah_t *self, const builder_task_t *task, err_t *err)
{
    int rc = 0;
    pthread_mutex_lock (&self->lock);
    while (rc == 0 && self->is_prune_due) {
        wait_a_moment (self);
        if (task->is_cancelled && atomic_load (task->is_cancelled))
            rc = err_set (err, ERR_CANCELLED, "cancelled");
        else if (task->deadline_ms > 0 && clock_boot_ms () >= task->deadline_ms)
            rc = err_set (err, ERR_TIMEOUT, "the time limit ran out while the worker made room on its disk");
    }
    if (rc == 0 && !*find_active (self, task)) {
        active_t *active = mem_alloc (sizeof *active);
        *active = (active_t) { task->job, task->attempt, buildah_place (self, task), self->active };
        self->active = active;
    }
    pthread_mutex_unlock (&self->lock);
    AUTO_FREE char *place = buildah_place (self, task);
    return rc < 0 ? -1 : buildah_open_place (self, place, task, err);
}

/* Under the lock, which is released. Of two the first does it. */
static void prune_if_due (buildah_t *self)
{
    bool is_ours = self->is_prune_due && !self->active && !self->is_pruning;
    self->is_pruning |= is_ours;
    pthread_mutex_unlock (&self->lock);
    if (!is_ours)
        return;
    prune (self);               /* nobody enters meanwhile: it is still due */
    pthread_mutex_lock (&self->lock);
    self->is_prune_due = self->is_pruning = false;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

/* Names of repositories are free: one of which nothing was built leaves nothing behind. Under the lock. */
static void drop_if_empty (const buildah_t *self, const char *place)
{
    for (const active_t *at = self->active; at; at = at->next)
        if (strcmp (at->place, place) == 0)
            return;
    if (layers_bytes (self, place) == 0)
        buildah_drop_place (self, place);
}

void buildah_leave (buildah_t *self, const builder_task_t *task)
{
    bool is_large = is_too_large (self);
    pthread_mutex_lock (&self->lock);
    active_t **at = find_active (self, task), *gone = *at;
    if (gone) {
        *at = gone->next;
        drop_if_empty (self, gone->place);
        free (gone->place);
        free (gone);
    }
    if (!self->active && !self->is_pruning)
        sweep_mounts (self);
    self->is_prune_due |= is_large;
    prune_if_due (self);
}

void buildah_make_room (builder_t *base)
{
    buildah_t *self = (buildah_t *) base;
    bool is_large = is_too_large (self);
    pthread_mutex_lock (&self->lock);
    self->is_prune_due |= is_large;
    prune_if_due (self);
}

void buildah_prune_no_more (builder_t *base)
{
    buildah_t *self = (buildah_t *) base;
    atomic_store (&self->prunes_no_more, 1);
}
