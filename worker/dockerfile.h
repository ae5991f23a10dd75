/* dockerfile.h - which registries a Dockerfile pulls from, so that the builder can be told to reach them by the door.
 *
 * Only a look, not a check: the builder is the judge of a Dockerfile. What cannot be read here is left out, and a host too
 * many does no harm. */
#ifndef FARM_DOCKERFILE_H
#define FARM_DOCKERFILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/reference.h"

enum { DOCKERFILE_HOSTS_MAX = 32, DOCKERFILE_SHORT_NAMES_MAX = 32 };

typedef struct {
    char names [DOCKERFILE_HOSTS_MAX] [REFERENCE_HOST_MAX];     /* "docker.io", "registry.lan:5000"; each once */
    int count;
    char short_names [DOCKERFILE_SHORT_NAMES_MAX] [REFERENCE_PATH_MAX];     /* images without a host, without tag: "alpine" */
    int short_name_count;
    bool may_fetch;             /* an ADD of something that no digest names: a URL, a git repository, or what cannot be read here */
} dockerfile_hosts_t;

/* The hosts of FROM, COPY --from and RUN --mount=from=…, in the order of their first appearance. Variables are
 * substituted from ARG's defaults and build_args (an object of strings; NULL none); stages and "scratch" are no images.
 * At most DOCKERFILE_HOSTS_MAX; never fails. */
void dockerfile_find_hosts (const char *text, size_t size, const json_t *build_args, dockerfile_hosts_t *out);

/* Add a host unless it is there already or the list is full. */
void dockerfile_add_host (dockerfile_hosts_t *self, const char *host);

#endif
