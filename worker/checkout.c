/* checkout.c - the whole of a checkout: its folder, its threads, its record and their end. checkout_work.c has the picture. */
#include "worker/checkout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/crew.h"
#include "common/file.h"
#include "worker/checkout_private.h"

enum { NAPS_MAX = 200 };

/* -- begin ------------------------------------------------------------------------------------------------------ */

/* The context's folder as an item without a name. */
static int read_root (const checkout_settings_t *settings, item_t *item, err_t *err)
{
    AUTO_BUFFER buffer_t object = { 0 };
    tree_reader_t reader;
    tree_entry_t end;
    if (supply_get (settings->supply, settings->root, &object, err) < 0)
        return -1;
    tree_reader_init (&reader, object.data, object.size, 1);
    int rc = tree_read_entry (&reader, &item->entry, err);
    if (rc != 1 || tree_read_entry (&reader, &end, err) != 0)
        return rc == 0 ? err_set (err, ERR_PROTOCOL, "the context names no folder") : -1;
    item->entry.name_size = 0;
    item->entry.name = "";
    item->has_before = settings->before != NULL;
    if (item->has_before) {
        item->entry_before = (tree_entry_t) { .kind = TREE_FOLDER, .content = record_facts (settings->before)->root };
        item->slot_before.block = record_facts (settings->before)->block;
    }
    return 0;
}

static char *folder_above (const char *folder)
{
    AUTO_FREE char *parent = mem_strdup (folder);
    for (size_t size = strlen (parent); size > 1 && parent [size - 1] == '/';)
        parent [--size] = 0;
    char *slash = strrchr (parent, '/');
    if (!slash)
        return mem_strdup (".");
    slash [slash == parent] = 0;
    return take (&parent);
}

/* How much may be written: what the disk takes, and of entries no more than the settings say. */
static void measure_room (checkout_t *self)
{
    AUTO_FREE char *above = folder_above (self->settings->folder);
    int64_t inodes = file_free_inodes (above), most = self->settings->entries_max ? self->settings->entries_max : INT64_MAX;
    self->bytes_free = file_free_bytes (above);
    self->bytes_left = self->bytes_free < 0 ? INT64_MAX : self->bytes_free;
    self->entries_most = !self->is_change && inodes >= 0 && inodes < most ? inodes : most;
    self->entries_left = self->entries_most;
}

static int begin (checkout_t *self, err_t *err)
{
    const checkout_settings_t *settings = self->settings;
    item_t root = { .has_before = false };
    if (read_root (settings, &root, err) < 0)
        return -1;
    if (settings->record && record_new (&self->writer, settings->record, err) < 0)
        return -1;
    self->facts = (record_facts_t) { .root = root.entry.content };
    self->stack = folder_new (self, NULL, &root, 0);
    return folder_enter (self, self->stack, err);
}

static bool is_later (const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* -- end -------------------------------------------------------------------------------------------------------- */

/* The coarse clock is the one by which the kernel stamps files, at its tick of 1 to 10 ms (newer ones at times by the fine
 * clock). Once it shows a later time than the fine clock did when all was written, whatever is done to a file gives it
 * another stamp than it has. When nothing was touched, that holds already; when the clock was set back meanwhile, we do not
 * wait for it,
 * and the files are not believed. */
static void seal (checkout_t *self)
{
    struct timespec begin, nap = { 0, 250000 }, *now = &self->facts.sealed;
    clock_gettime (CLOCK_REALTIME, &begin);
    clock_gettime (CLOCK_REALTIME_COARSE, now);
    for (int naps = 0; self->has_touched && !is_later (now, &begin) && naps < NAPS_MAX; naps++) {
        nanosleep (&nap, NULL);
        clock_gettime (CLOCK_REALTIME_COARSE, now);
    }
}

static int end (checkout_t *self, err_t *err)
{
    const checkout_settings_t *settings = self->settings;
    if (!self->writer)
        return 0;
    seal (self);
    self->facts.device = self->device;
    self->facts.disk_bytes = self->stats.disk_bytes;
    snprintf (self->facts.repository, sizeof self->facts.repository, "%s", settings->repository ? settings->repository : "");
    return record_end (&self->writer, &self->facts, err);
}

/* -- the whole -------------------------------------------------------------------------------------------------- */

static int run (checkout_t *self, err_t *err)
{
    if (begin (self, err) < 0)
        return -1;
    crew_t *crew = crew_new (checkout_work, self, CREW_BESIDE);
    checkout_work (self);
    crew_destroy (&crew);
    if (self->err.code != ERR_NONE) {
        if (err)
            *err = self->err;
        return -1;
    }
    return end (self, err);
}

int checkout_run (const checkout_settings_t *settings, checkout_stats_t *stats, err_t *err)
{
    checkout_t self = { .settings = settings, .is_change = settings->before && settings->before_fd < 0, .can_clone = true };
    measure_room (&self);
    pthread_mutex_init (&self.lock, NULL);
    pthread_cond_init (&self.changed, NULL);
    int rc = run (&self, err);
    while (self.live)
        folder_free (&self, self.live);
    record_writer_destroy (&self.writer);
    pthread_cond_destroy (&self.changed);
    pthread_mutex_destroy (&self.lock);
    if (stats)
        *stats = self.stats;
    return rc < 0 ? err_wrap (err, "write the context to %s", settings->folder) : 0;
}
