/* hosts.h - which registries and repositories a Dockerfile pulls from, so that the builder can be told to reach them by the door, and
 * the door which of them to let through.
 *
 * Only a look, not a check: the builder is the judge of a Dockerfile. What cannot be read here is left out, and a host too
 * many does no harm. */
#ifndef FARM_HOSTS_H
#define FARM_HOSTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/reference.h"

enum { HOSTS_MAX = 32, SHORT_NAMES_MAX = 32, IMAGES_MAX = 128 };

/* A repository that is read; path "": any of this host, as its name cannot be told from here (a variable that the builder fills in). */
typedef struct {
    char host [REFERENCE_HOST_MAX], path [REFERENCE_PATH_MAX];
} hosts_image_t;

typedef struct {
    char names [HOSTS_MAX] [REFERENCE_HOST_MAX];     /* "docker.io", "registry.lan:5000"; each once */
    int count;
    char short_names [SHORT_NAMES_MAX] [REFERENCE_PATH_MAX];     /* images without a host, without tag: "alpine" */
    int short_name_count;
    hosts_image_t images [IMAGES_MAX];                           /* each once */
    int image_count;
    char elsewhere [REFERENCE_PATH_MAX];        /* an image that no registry has: "dir:/x", the id of one in the builder's store; "": there is none */
    bool binds;                 /* a RUN step is shown files that are in no layer: --mount=type=bind */
    bool may_fetch;             /* an ADD of something that no digest names: a URL, a git repository, or what cannot be read here */
} hosts_t;

/* The hosts of FROM, COPY --from and RUN --mount=from=…, in the order of their first appearance. Variables are
 * substituted from ARG's defaults and build_args (an object of strings; NULL none); stages and "scratch" are no images.
 * At most HOSTS_MAX and IMAGES_MAX; never fails. */
void hosts_find (const char *text, size_t size, const json_t *build_args, hosts_t *out);

/* Add a host unless it is there already or the list is full. */
void hosts_add (hosts_t *self, const char *host);

#endif
