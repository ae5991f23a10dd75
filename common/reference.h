/* reference.h - image references: registry.lan:5000/team/app:1.4, as github.com/distribution/reference defines them. */
#ifndef FARM_REFERENCE_H
#define FARM_REFERENCE_H

#include "common/err.h"

enum { REFERENCE_HOST_MAX = 256, REFERENCE_PATH_MAX = 256, REFERENCE_TAG_MAX = 129, REFERENCE_DIGEST_MAX = 140,
       REFERENCE_MAX = 800 };

typedef struct {
    char host [REFERENCE_HOST_MAX];         /* "registry.lan:5000", "docker.io" */
    char path [REFERENCE_PATH_MAX];         /* "team/app", "library/alpine" for docker.io's short names */
    char tag [REFERENCE_TAG_MAX];           /* "" for none */
    char digest [REFERENCE_DIGEST_MAX];     /* "sha256:…", "" for none */
} reference_t;

/* Docker's rules: a first part without '.' or ':' that is not "localhost" belongs to docker.io's path. No tag is
 * filled in. ERR_USAGE with the reason ("repository name must be lower case") */
int reference_parse (reference_t *self, const char *text, err_t *err);

/* host/path[:tag][@digest] */
void reference_format (const reference_t *self, char text [REFERENCE_MAX]);

/* "sha256:<64 hex>" or "sha512:<128 hex>", lower case. */
int reference_is_digest (const char *text);

#endif
