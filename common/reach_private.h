/* reach_private.h - reach.c answers questions about paths, reach_read.c finds the sources in a Dockerfile. */
#ifndef FARM_REACH_PRIVATE_H
#define FARM_REACH_PRIVATE_H

#include "common/reach.h"

enum { REACH_SOURCES_MAX = 1024 };

/* What one word of an instruction names. */
typedef struct {
    char *path;             /* clean, relative; of a pattern the beginning without signs, which may end within a name */
    size_t size;
    int depth;              /* how many names deep a pattern's matches can lie; 0: no pattern */
} reach_source_t;

struct reach {
    reach_source_t *sources;        /* in order, each once */
    size_t count;
    json_t *own;                    /* COPY, ADD and RUN of the Dockerfile, blanks squeezed: keys of an object */
};

/* Read one instruction into an empty reach. False: it may read everything. */
bool reach_read_instruction (reach_t *self, const char *instruction);

/* Read a whole Dockerfile. False likewise. */
bool reach_read_file (reach_t *self, const char *text, size_t size, const json_t *build_args);

/* Add what a path or pattern names; false where that is everything, or cannot be told. */
bool reach_add (reach_t *self, const char *text);

/* Add an instruction of the Dockerfile's own. */
void reach_add_own (reach_t *self, const char *instruction);

#endif
