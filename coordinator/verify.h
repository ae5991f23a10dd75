/* verify.h - step 7 of a build: is what was pushed the image that was asked for? */
#ifndef FARM_VERIFY_H
#define FARM_VERIFY_H

#include "common/manifest.h"
#include "common/registry.h"

/* GET the manifest of repository@digest, recompute its SHA-256, check its media type and structure, fetch the config and
 * compare its platform with the job's, count diff_ids against layers, HEAD every blob and compare sizes. On success
 * *out is the image's descriptor as the index will name it. ERR_VERIFY says what is wrong; ERR_REGISTRY is worth another try. */
int verify_image (registry_t *registry, const reference_t *repository, const char *digest, const platform_t *platform,
                  descriptor_t *out, err_t *err);

#endif
