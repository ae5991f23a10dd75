/* ignore.h - .dockerignore, by Docker's rules (moby/patternmatcher): Go's filepath.Match per part, `**`, `!`, comments,
 * the last matching line wins, a line also covers what is below it. */
#ifndef FARM_IGNORE_H
#define FARM_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

typedef struct ignore ignore_t;

/* text is a whole file, with its size; ERR_USAGE names the line of a bad pattern. */
ignore_t *ignore_parse (const char *text, size_t size, err_t *err);
void ignore_destroy (ignore_t **self);

/* Is the path (relative, '/' between, no leading "./") left out? */
bool ignore_matches (const ignore_t *self, const char *path);

/* May something below this left-out folder be let in again by a '!' line? If not it need not be walked. */
bool ignore_may_reenter (const ignore_t *self, const char *folder);

/* The file of patterns for a build: <Dockerfile>.dockerignore beside the Dockerfile if there is one, else .dockerignore in
 * the context; *path is NULL (and 0 returned) when there is neither, else the caller's to free. dockerfile may be NULL (it
 * came on standard input). */
int ignore_find (const char *context, const char *dockerfile, char **path, err_t *err);

#endif
