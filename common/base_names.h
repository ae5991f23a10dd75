/* base_names.h - the images of registries that a build of a Dockerfile stands on: those of FROM, COPY --from and RUN --mount from=, in the stages
 * that the target needs.
 *
 *     ARG V=3.20
 *     FROM --platform=$BUILDPLATFORM golang AS build        docker.io/library/golang:latest, for whatever the worker is
 *     FROM alpine:$V                                        docker.io/library/alpine:3.20, for the job's platform; the last one
 *     COPY --from=build …                                   a stage
 *
 * Only what every builder reads alike: a name that hangs on something else than global ARGs, build arguments and the job's platform is left out, and of
 * a Dockerfile that builders may read differently all of them. Nothing here fails. */
#ifndef FARM_BASE_NAMES_H
#define FARM_BASE_NAMES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/platform.h"
#include "common/reference.h"

enum { BASE_NAMES_MAX = 64 };

typedef struct {
    reference_t reference;              /* with a tag or a digest */
    char platform [PLATFORM_MAX];       /* which it is taken for; "": the text does not tell */
    bool is_last;                       /* the target's own stage, or one that it continues, begins with it */
} base_name_t;

typedef struct {
    base_name_t items [BASE_NAMES_MAX];         /* each once, in the order of the text */
    size_t count;
} base_names_t;

/* build_args: an object of strings; NULL none. target: a stage's name or number; NULL: the last. platform: the job's, normalised. */
void base_names_find (const char *text, size_t size, const json_t *build_args, const char *target, const char *platform, base_names_t *out);

#endif
