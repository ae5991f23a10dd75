/* pattern.h - one pattern of .dockerignore, as moby/patternmatcher reads it. */
#ifndef FARM_PATTERN_H
#define FARM_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

typedef struct pattern pattern_t;

/* NULL for what Go's filepath.Match calls a bad pattern: an open class, nothing behind a backslash. */
pattern_t *pattern_parse (const char *pattern);
void pattern_destroy (pattern_t **self);

/* Does it match the whole path? */
bool pattern_matches (const pattern_t *self, const char *path, size_t size);

#endif
