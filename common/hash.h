/* hash.h - reads the files of a context, each once, and gives them their digests. */
#ifndef FARM_HASH_H
#define FARM_HASH_H

#include "common/walk.h"

typedef struct hasher hasher_t;

/* What is done with an object of a file, right after it was hashed: data is borrowed. */
typedef void (hash_take) (void *argument, const digest_t *digest, const void *data, size_t size);

enum { HASH_WINDOW = 1024 * 1024 };

/* For the files of walk (borrowed) that are neither known nor read. */
hasher_t *hasher_new (walk_t *walk);
void hasher_destroy (hasher_t **self);

/* Read the next file: content and, of a long one, chunks; content of a long file still lacks its lists. window is HASH_WINDOW bytes of
 * the calling thread's; take may be NULL. A file that changes while it is read is read again, at most three times, then ERR_USAGE names
 * it; its objects are given each time. 1; 0: there are no more, or another thread failed; -1. */
int hasher_next (hasher_t *self, uint8_t *window, hash_take *take, void *argument, err_t *err);

/* From now on hasher_next says 0, also of the files that are being read, which stay unread. */
void hasher_end (hasher_t *self);

/* Read them all, with as many threads as there are processors. */
int hash_files (walk_t *walk, err_t *err);

/* Cut data, which is longer than an object: as for a file. */
void hash_long (node_t *node, const void *data, size_t size);

#endif
