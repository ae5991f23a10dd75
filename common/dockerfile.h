/* dockerfile.h - reads the text of a Dockerfile: instructions, words, variables. What they are looked at for is told by
 * worker/hosts.h (registries) and common/reach.h (what of the context).
 *
 * Only a look, not a check: the builder is the judge of a Dockerfile. Nothing here fails. */
#ifndef FARM_DOCKERFILE_H
#define FARM_DOCKERFILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/mem.h"

enum { DOCKERFILE_WORD_MAX = 1024 };

/* A text while it is read. */
typedef struct {
    const char *at, *end;           /* what is left of it */
    char escape;                    /* '\\', or '`' by a directive */
    const char *syntax;             /* the image of a frontend, where a directive names one; not ended by NUL. NULL: none */
    size_t syntax_size;
    buffer_t instruction;
    int documents;                  /* here-documents looked for */
    bool has_inner_comment;         /* the instruction: an indented comment stands between its lines; old builders take it for words */
    bool is_doubtful;               /* the text: builders of different age may read it differently, or it is for one of its own */
} dockerfile_t;

/* text is borrowed until dockerfile_end. */
void dockerfile_begin (dockerfile_t *self, const char *text, size_t size);
void dockerfile_end (dockerfile_t *self);

/* The next instruction, in one line: continued lines are joined, comments dropped. Borrowed until the next call; NULL at the end.
 * Here-documents of RUN, COPY and ADD are skipped. */
const char *dockerfile_next (dockerfile_t *self);

/* The next word behind *at, quotes kept inside it; false at the end. One that is too long is given as "". */
bool dockerfile_next_word (const char **at, char out [DOCKERFILE_WORD_MAX]);

/* Append a word with its quotes taken off and its variables (an object of strings) substituted: "$A", "${A}", "${A:-other}",
 * "${A:+other}". A name that is not among them becomes "x": the builder may know it (TARGETARCH). False where that happened, or
 * builders may differ: then what was appended is a guess. */
bool dockerfile_expand (const dockerfile_t *self, const json_t *variables, const char *word, buffer_t *out);

#endif
