/* spec.h - what a submit asks for, brought into one form: platforms and tags normalised, each once, all tags in one registry. */
#ifndef FARM_SPEC_H
#define FARM_SPEC_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"
#include "common/reference.h"

enum { SPEC_TEXT_MAX = 48 * 1024 };     /* of JSON: a spec travels in an assignment's header, beside other fields */

/* A new object in *out (to the caller) from a spec that fits its schema; repository gets host/path of the first tag. ERR_USAGE. */
int spec_normalise (const json_t *spec, json_t **out, char repository [REFERENCE_MAX], err_t *err);

/* "registry.lan/team/app" -> "registry.lan/staging/team/app", in place. ERR_USAGE: too long a name. */
int spec_stage (char repository [REFERENCE_MAX], const char *staging, err_t *err);

/* The fields `platforms` and `require` of an object, in place: what it asks of workers. ERR_USAGE. */
int spec_normalise_wishes (json_t *spec, err_t *err);

/* Its tags as one text, the same for the same tags in any order. The caller frees. */
char *spec_tag_set (const json_t *spec);

/* Can nothing be published without this platform? */
bool spec_requires (const json_t *spec, const char *platform);

/* Would both give the same images: context, Dockerfile, build arguments, labels, target, requirements, and made once or twice? */
bool spec_same_inputs (const json_t *a, const json_t *b);

#endif
