/* tags.h - the end of a build: its index stored and handed to a publisher; and which tags may move. */
#ifndef FARM_TAGS_H
#define FARM_TAGS_H

#include "coordinator/engine_private.h"

/* All jobs are over: compose the index of the images that there are, in the order asked for, and store its bytes before anything is put. */
int tags_store_index (engine_t *self, int64_t build, err_t *err);

/* Hand stored indexes to publishers: each once at a time, and never two at a time that have a tag in common. A tag that a newer
 * build has published is left out. */
int tags_hand_out (engine_t *self, err_t *err);

#endif
