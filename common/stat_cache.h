/* stat_cache.h - what the files of a context held when they were last read, so that unchanged ones are not opened: as git's
 * index. One file per context in the user's cache folder (docs/objects.md, "The stat cache"). It saves time and never
 * decides: whatever is wrong with it, the files are read. */
#ifndef FARM_STAT_CACHE_H
#define FARM_STAT_CACHE_H

#include "common/keys.h"
#include "common/walk.h"

typedef struct stat_cache stat_cache_t;

/* The cache of a context, read when there is one: until stat_cache_apply, by a thread of its own where it is large. cache_folder is made when missing. ignore_path and reach (which
 * may be NULL) are part of the context's name: with others, other files are in it. NULL where there can be none, such as without a home. To be
 * called before the walk: files changed from now on, or just before, are not believed next time. */
stat_cache_t *stat_cache_open (const char *cache_folder, const char *context, const char *ignore_path,
                               const reach_t *reach);
void stat_cache_destroy (stat_cache_t **self);

/* Give content to the files of the walk that are as they were, and to folders the digest that they had; mark them as known. */
void stat_cache_apply (stat_cache_t *self, walk_t *walk);

/* Keep what the walk's files hold, for next time: written beside and renamed, so runs in parallel do each other no harm.
 * Removes caches of contexts that were not built for a long time. A failure costs nothing but time: it is logged. */
void stat_cache_save (const stat_cache_t *self, const digest_t *root, const walk_t *walk);

/* Was the tree with this root the last that was sent whole to the coordinator with this key? Was it the tree that the cache is of
 * (as it was opened)? And: this one was. */
bool stat_cache_is_sent (const stat_cache_t *self, const uint8_t server_key [KEY_SIZE], const digest_t *root);
bool stat_cache_was_sent (const stat_cache_t *self, const uint8_t server_key [KEY_SIZE]);
void stat_cache_note_sent (const stat_cache_t *self, const uint8_t server_key [KEY_SIZE], const digest_t *root);

#endif
