/* verify_layers.h - what verification does beyond looking at manifest and config: the layers are read. */
#ifndef FARM_VERIFY_LAYERS_H
#define FARM_VERIFY_LAYERS_H

#include "coordinator/layer.h"
#include "coordinator/verify_level.h"

/* Above VERIFY_QUICK. config: its bytes, whose platform and number of diff_ids were checked. ERR_VERIFY says which layer, and which file
 * in it. A layer that is there twice is read once. */
int verify_layers (registry_t *registry, const reference_t *repository, const image_manifest_t *image, const buffer_t *config,
                   const platform_t *platform, verify_level level, reading_t *reading, err_t *err);

#endif
