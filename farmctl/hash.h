/* hash.h - reads the files of a context, each once, and gives them their digests. */
#ifndef FARM_HASH_H
#define FARM_HASH_H

#include "farmctl/walk.h"

/* Fill content and, of long files, chunks of every file that is not known, with as many threads as there are processors; content of a long
 * file still lacks its lists. A file that changes while it is read is read again, at most three times, then ERR_USAGE
 * names it. */
int hash_files (walk_t *walk, err_t *err);

/* Cut data, which is longer than an object: as for a file. */
void hash_long (node_t *node, const void *data, size_t size);

#endif
