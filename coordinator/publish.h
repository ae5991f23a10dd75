/* publish.h - step 8 of a build: the index under its tags. Every step may be done again with the same end. */
#ifndef FARM_PUBLISH_H
#define FARM_PUBLISH_H

#include "common/manifest.h"
#include "common/registry.h"

typedef struct {
    reference_t source;                     /* the repository that the workers pushed to */
    const descriptor_t *children;           /* verified; borrowed */
    size_t child_count;
    const manifest_t *index;                /* the exact bytes, as the outbox holds them; borrowed */
    const reference_t *tags;                /* host, path and tag; borrowed; all of one registry */
    size_t tag_count;
    bool was_published;                     /* this very index, under all these tags: they may show it still */
    bool is_unsure;                         /* an earlier try may have moved tags, and nobody knows which */
    bool *moved;                            /* out, one for each tag: after an error: it shows the index now, or may */
} publication_t;

/* Nothing is put when all tags, of the source repository alone, show the index's bytes already. Else, for each repository among the tags: have the children there (blobs mounted or copied, manifests put as the raw bytes),
 * PUT the index by digest; then PUT each tag, GET it back and compare; where no tag brings the index to the source repository, that is asked for it by digest. After an error `moved` says how far it came. */
int publish_index (registry_t *registry, const publication_t *publication, err_t *err);

#endif
