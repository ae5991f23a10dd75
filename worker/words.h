/* words.h - a command line, an environment, or another list of words that grows. */
#ifndef FARM_WORDS_H
#define FARM_WORDS_H

#include <stddef.h>

/* {0} is an empty one. */
typedef struct {
    char **items;                   /* NULL-ended */
    size_t count;
} words_t;

void words_add (words_t *self, const char *format, ...) __attribute__ ((format (printf, 2, 3)));
void words_free (words_t *self);
#define AUTO_WORDS __attribute__ ((cleanup (words_free)))

#endif
