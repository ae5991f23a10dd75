/* words.c - see words.h. */
#include "worker/words.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"

void words_add (words_t *self, const char *format, ...)
{
    va_list args;
    char *word = NULL;
    va_start (args, format);
    if (vasprintf (&word, format, args) < 0)
        abort ();
    va_end (args);
    self->items = mem_resize (self->items, (self->count + 2) * sizeof *self->items);
    self->items [self->count++] = word;
    self->items [self->count] = NULL;
}

void words_free (words_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        free (self->items [i]);
    free (self->items);
    *self = (words_t) { 0 };
}
