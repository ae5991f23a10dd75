/* mem.c - see mem.h. */
#include "common/mem.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void mem_exhausted (void)
{
    fputs ("out of memory\n", stderr);
    abort ();
}

static void *checked (void *memory)
{
    if (!memory)
        mem_exhausted ();
    return memory;
}

void *mem_alloc (size_t size)
{
    return checked (calloc (1, size ? size : 1));
}

void *mem_resize (void *old, size_t size)
{
    return checked (realloc (old, size ? size : 1));
}

char *mem_strdup (const char *text)
{
    return text ? checked (strdup (text)) : NULL;
}

char *mem_strndup (const char *text, size_t size)
{
    return checked (strndup (text, size));
}

char *mem_printf (const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start (args, format);
    int rc = vasprintf (&text, format, args);
    va_end (args);
    return checked (rc < 0 ? NULL : text);
}

void buffer_reserve (buffer_t *self, size_t capacity)
{
    if (capacity <= self->capacity)
        return;
    size_t grown = self->capacity ? self->capacity : 256;
    while (grown < capacity)
        grown = grown > SIZE_MAX / 2 ? capacity : grown * 2;
    self->data = mem_resize (self->data, grown);
    self->capacity = grown;
}

void buffer_append (buffer_t *self, const void *data, size_t size)
{
    if (size > SIZE_MAX - self->size - 1)
        checked (NULL);
    buffer_reserve (self, self->size + size + 1);
    if (size)
        memcpy (self->data + self->size, data, size);
    self->size += size;
    self->data [self->size] = 0;
}

void buffer_text (buffer_t *self, const char *text)
{
    buffer_append (self, text, strlen (text));
}

void buffer_printf (buffer_t *self, const char *format, ...)
{
    AUTO_FREE char *text = NULL;
    va_list args;
    va_start (args, format);
    int rc = vasprintf (&text, format, args);
    va_end (args);
    if (rc < 0)
        text = NULL;
    buffer_text (self, checked (text));
}

void buffer_clear (buffer_t *self)
{
    self->size = 0;
    if (self->data)
        self->data [0] = 0;
}

void buffer_free (buffer_t *self)
{
    free (self->data);
    *self = (buffer_t) { 0 };
}

void auto_free (void *pointer)
{
    free (*(void **) pointer);
    *(void **) pointer = NULL;
}

void auto_close (int *fd)
{
    if (*fd >= 0)
        close (*fd);
    *fd = -1;
}

void auto_fclose (void *pointer)
{
    FILE *file = *(FILE **) pointer;
    if (file)
        fclose (file);
}

void auto_json (void *pointer)
{
    json_decref (*(json_t **) pointer);
    *(json_t **) pointer = NULL;
}
