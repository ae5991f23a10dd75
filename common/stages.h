/* stages.h - the stages of a Dockerfile as far as the values of variables go: which are surely known at an instruction.
 *
 * A stage knows what its own ARGs and ENVs have set, and the ENVs of the stages that it stands on. What a base image sets is not in
 * the text: its ENV goes before an ARG, and its triggers may have the same text and other values. So where there is one
 * (stages_have_base) no value is certain. */
#ifndef FARM_STAGES_H
#define FARM_STAGES_H

#include "common/dockerfile.h"

typedef struct stages stages_t;

stages_t *stages_new (const json_t *build_args);        /* an object of strings, borrowed; NULL none */
void stages_destroy (stages_t **self);

/* Take in a FROM, ARG or ENV; at is behind the verb. False where builders may not agree on what it does. */
bool stages_from (stages_t *self, const char *at);
bool stages_arg (stages_t *self, const dockerfile_t *file, const char *at);
bool stages_env (stages_t *self, const dockerfile_t *file, const char *at);

/* Append a word's value in the current stage; false where it is not surely known. For what a builder fills in for the platform,
 * such as TARGETARCH, stands a pattern, '*'. */
bool stages_expand (const stages_t *self, const dockerfile_t *file, const char *word, buffer_t *out);

/* Does a stage so far stand on an image, and not on `scratch` or another stage? */
bool stages_have_base (const stages_t *self);

#endif
