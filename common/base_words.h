/* base_words.h - the words of a Dockerfile that name what a stage begins with or takes from: FROM's, and those of COPY --from and RUN --mount from=.
 *
 *     ARG V=3.20
 *     FROM --platform=$BUILDPLATFORM golang AS build        golang: an image, for whatever the builder is
 *     FROM alpine:$V                                        alpine:3.20, for the job's platform
 *     COPY --from=build …                                   the stage 0
 *
 * A word means something here only where every builder reads it alike: where it hangs on nothing else than global ARGs, build arguments and platforms.
 * Only a look, not a check: the builder is the judge of a Dockerfile. Nothing here fails. */
#ifndef FARM_BASE_WORDS_H
#define FARM_BASE_WORDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/dockerfile.h"
#include "common/platform.h"
#include "common/reference.h"

enum { BASE_STAGES_MAX = 128, BASE_STAGE_NAME_MAX = 128, BASE_NO_STAGE = -1 };

typedef struct {
    int by;                         /* the stage it stands in; BASE_NO_STAGE: before the first */
    int of;                         /* the stage that it names; BASE_NO_STAGE: none, so an image */
    bool is_begin;                  /* FROM's */
    const char *word;               /* as it stands in the text */
    const char *name;               /* what that means; NULL: not known here */
    const char *platform;           /* of its stage, normalised; "": not known */
    const char *from, *to;          /* where in the text its instruction stands, and the comments before it */
} base_word_t;

/* The word is borrowed for the call. */
typedef void (base_word_fn) (void *argument, const base_word_t *word);

typedef struct {
    char name [BASE_STAGE_NAME_MAX];            /* "" for none */
    char platform [PLATFORM_MAX];               /* "": not known */
} base_stage_t;

/* What is read, while it is and after. Fill in what is borrowed, and {0} the rest. */
typedef struct {
    const json_t *build_args;       /* an object of strings; NULL none */
    const char *platform;           /* the job's, normalised */
    const char *build_platform;     /* the builder's own; NULL: not known */
    base_word_fn *on_word;
    void *argument;
    base_stage_t stages [BASE_STAGES_MAX];
    int stage_count;
    bool is_doubtful;               /* builders may read the text differently, or it has too many stages, or one with too long a name */
    dockerfile_t file;
    json_t *globals;                /* ARGs before the first FROM, and what a builder adds to them; while it is read */
} base_words_t;

void base_words_read (base_words_t *self, const char *text, size_t size);

/* A stage of this name, or with this number; BASE_NO_STAGE. */
int base_words_find_stage (const base_words_t *self, const char *name, bool may_be_number);

/* The image that a name means, with its tag or its digest (builders ask for that). False where it is none that a registry has. */
bool base_words_image (const char *name, reference_t *out);

/* Does a builder look for an image of this name somewhere else than in a registry: "oci:…", or an id of its own store? */
bool base_name_is_elsewhere (const char *name);

#endif
