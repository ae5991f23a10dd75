/* compare.h - are two images of a repository the same: the config, and what is in each layer? */
#ifndef FARM_COMPARE_H
#define FARM_COMPARE_H

#include "coordinator/layer.h"

/* An image that was verified, and a word for it in messages ("what worker pi4 made"). */
typedef struct {
    char digest [OCI_DIGEST_SIZE];
    const char *name;
} compared_t;

/* ERR_VERIFY tells the first difference: which layer and which file in it, or which field of the config. Layers that are packed in
 * another way, or have their files in other blocks, are the same when they are the same unpacked. Layers with one digest are not read;
 * of others 32 bytes are kept for each file. */
int compare_images (registry_t *registry, const reference_t *repository, const compared_t *first, const compared_t *second,
                    reading_t *reading, err_t *err);

#endif
