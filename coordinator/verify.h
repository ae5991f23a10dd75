/* verify.h - step 7 of a build: is what was pushed the image that was asked for? */
#ifndef FARM_VERIFY_H
#define FARM_VERIFY_H

#include "coordinator/compare.h"
#include "coordinator/verify_layers.h"

/* A base image, and the digest that its reference meant when the image on it was built. */
typedef struct {
    reference_t reference;
    char digest [OCI_DIGEST_SIZE];
} base_t;

/* An image to verify, and what came of it. */
typedef struct {
    reference_t reference;                  /* the repository, and the digest that was pushed */
    platform_t platform;                    /* the job's */
    verify_level level;
    reading_t reading;                      /* what that may cost */
    compared_t first, second;               /* another's image that it has to be the same as (second.h), and a name for its own; digest "": none */
    bool is_known;                          /* it was verified for this platform before */
    const base_t *bases;                    /* of a known image, which is only as good as they are; borrowed */
    size_t base_count;
    descriptor_t image;                     /* out: as the index will name it */
    err_t err;                              /* in: ERR_NONE, else the image is passed over; out: ERR_VERIFY says what is wrong,
                                             * ERR_STALE: a base image has changed, ERR_REGISTRY is worth another try */
} verification_t;

/* For each image: GET the manifest by its digest, recompute its SHA-256, check its media type and structure, fetch the config
 * and compare its platform with the job's, count diff_ids against layers, HEAD every blob and compare sizes. Before that,
 * compare the digests of its bases, for which `bases` is asked: a client that may be brief, as an image whose bases nobody
 * tells of is only built again. The config of a known image is only looked for, like a layer: its digest
 * says that it is what was read then. Where the level asks for it, layers are read through after that (verify_layers.h), also those of
 * a known image; and an image that has to be the same as another is compared with it (compare.h). What does not hang on something else is asked at once, and what several
 * images share once. */
void verify_images (registry_t *registry, registry_t *bases, verification_t *images, size_t count);

/* Does each base image still mean the same digest? ERR_STALE: one has changed. */
int verify_bases (registry_t *registry, const base_t *bases, size_t count, err_t *err);

#endif
