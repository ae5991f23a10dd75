/* cache.c - see cache.h. */
#include "worker/cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

struct cache {
    depot_t *depot;
    char *folder;
    uint64_t limit_bytes;
    int64_t free_floor_bytes;
    pthread_rwlock_t lock;      /* for writing: to forget */
};

int cache_new (cache_t **out, const char *folder, int64_t limit_bytes, int64_t free_floor_bytes, err_t *err)
{
    if (file_make_folders (folder, 0700, err) < 0)
        return err_wrap (err, "cache of contexts");
    cache_t *self = mem_alloc (sizeof *self);
    pthread_rwlock_init (&self->lock, NULL);
    self->folder = mem_strdup (folder);
    self->limit_bytes = (uint64_t) limit_bytes;
    self->free_floor_bytes = free_floor_bytes;
    if (depot_open (&self->depot, folder, err) < 0 || depot_relax (self->depot, err) < 0) {
        cache_destroy (&self);
        return err_wrap (err, "cache of contexts %s", folder);
    }
    *out = self;
    return 0;
}

void cache_destroy (cache_t **self_p)
{
    cache_t *self = *self_p;
    if (!self)
        return;
    depot_destroy (&self->depot);
    pthread_rwlock_destroy (&self->lock);
    free (self->folder);
    free (self);
    *self_p = NULL;
}

depot_t *cache_enter (cache_t *self)
{
    pthread_rwlock_rdlock (&self->lock);
    return self->depot;
}

void cache_leave (cache_t *self)
{
    pthread_rwlock_unlock (&self->lock);
}

int64_t cache_bytes (cache_t *self)
{
    depot_stats_t stats;
    depot_stats (self->depot, &stats);
    return (int64_t) stats.bytes;
}

/* What it may hold now: what the disk lacks of its floor has to go. */
static uint64_t limit_now (const cache_t *self, uint64_t bytes)
{
    int64_t free_bytes = file_free_bytes (self->folder), lack = free_bytes < 0 ? 0 : self->free_floor_bytes - free_bytes;
    uint64_t rest = lack <= 0 ? bytes : bytes > (uint64_t) lack ? bytes - (uint64_t) lack : 0;
    return rest < self->limit_bytes ? rest : self->limit_bytes;
}

void cache_trim (cache_t *self)
{
    depot_stats_t stats;
    err_t err;
    depot_stats (self->depot, &stats);
    uint64_t limit = limit_now (self, stats.bytes);
    if (stats.bytes <= limit || pthread_rwlock_trywrlock (&self->lock) != 0)
        return;
    int64_t gone = depot_trim (self->depot, limit, &err);
    pthread_rwlock_unlock (&self->lock);
    if (gone < 0)
        log_warn ("cache", "forget old contexts: %s", err.text);
    else
        log_debug ("cache", "forgot %lld objects", (long long) gone);
}
