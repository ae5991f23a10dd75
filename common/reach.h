/* reach.h - what of a context the instructions of a Dockerfile can read, so that the rest need not be sent.
 *
 * COPY and ADD without --from=, RUN --mount=type=bind without from=, and the same behind ONBUILD, in all stages. It is told from
 * the text alone, so a Dockerfile and its build arguments give the same everywhere, and it is sure or it is everything: whatever
 * builders may read differently, or the text does not tell (a variable, where there is a base image), stands for the whole context.
 * What a base image's ONBUILD triggers read is not in the text; who runs the builder compares its steps (reach_covers). */
#ifndef FARM_REACH_H
#define FARM_REACH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/mem.h"

typedef struct reach reach_t;

/* NULL: everything. build_args is an object of strings; NULL none. */
reach_t *reach_new (const char *text, size_t size, const json_t *build_args);
void reach_destroy (reach_t **self);

typedef enum {
    REACH_NONE,             /* nothing here or below is read */
    REACH_PASSAGE,          /* a folder that instructions lead through; of the names in it only some are read, itself it is not */
    REACH_WHOLE             /* read, with all that is below it */
} reach_kind;

/* Of a path relative to the context, "a/b". */
reach_kind reach_path (const reach_t *self, const char *path);

/* Would an instruction follow the link at this path, and read what it leads to? */
bool reach_follows (const reach_t *self, const char *path);

/* Does an instruction, as a builder shows it, read no more than that? One of the Dockerfile's own does not. */
bool reach_covers (const reach_t *self, const char *instruction);

/* Append it as bytes: the same for the same reach. */
void reach_write (const reach_t *self, buffer_t *out);

#endif
