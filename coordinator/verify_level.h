/* verify_level.h - how much of an image is looked at before it is published. */
#ifndef FARM_VERIFY_LEVEL_H
#define FARM_VERIFY_LEVEL_H

#include <jansson.h>

/* Each does what the former does, too. */
typedef enum {
    VERIFY_QUICK,           /* manifest and config; blobs are there, with their sizes */
    VERIFY_LAYERS,          /* the bytes of each layer are those of its digest */
    VERIFY_DEEP             /* what is in them: diff_ids, a tar that can be read, programs for the image's platform */
} verify_level;

/* "quick", "layers", "deep"; NULL and others are quick. */
verify_level verify_level_of (const char *name);
const char *verify_level_name (verify_level level);

/* The field `verify` of a task, which quick ones do not have: the greater of the two levels. */
void verify_level_put (json_t *task, const char *asked, verify_level least);

#endif
