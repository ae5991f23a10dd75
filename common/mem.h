/* mem.h - memory that aborts when there is none, and locals that clean up after themselves.
 *
 * `AUTO (json) json_t *header = NULL;` releases the local when it goes out of scope; `return take (&header)` hands
 * it over instead. A function with AUTO locals has no goto. */
#ifndef FARM_MEM_H
#define FARM_MEM_H

#include <stddef.h>
#include <stdint.h>

/* A growing array of bytes. {0} is an empty one. */
typedef struct {
    uint8_t *data;
    size_t size;
    size_t capacity;
} buffer_t;

/* Says so, and aborts: for libraries that return NULL where there is none. */
void mem_exhausted (void) __attribute__ ((noreturn));

void *mem_alloc (size_t size);                      /* zeroed; never NULL; the caller frees */
void *mem_resize (void *old, size_t size);          /* never NULL */
char *mem_strdup (const char *text);                /* NULL for NULL */
char *mem_strndup (const char *text, size_t size);
char *mem_printf (const char *format, ...) __attribute__ ((format (printf, 1, 2)));     /* the caller frees */

void buffer_append (buffer_t *self, const void *data, size_t size);
void buffer_reserve (buffer_t *self, size_t capacity);
void buffer_text (buffer_t *self, const char *text);        /* appends text, keeps a NUL behind the end */
void buffer_printf (buffer_t *self, const char *format, ...) __attribute__ ((format (printf, 2, 3)));
void buffer_clear (buffer_t *self);                         /* empties it, keeps the memory */
void buffer_free (buffer_t *self);

/* Clean-up of locals. */
void auto_free (void *pointer_to_pointer);
void auto_close (int *fd);                          /* closes when >= 0 */
void auto_fclose (void *pointer_to_file);
void auto_json (void *pointer_to_json);
#define AUTO_FREE __attribute__ ((cleanup (auto_free)))
#define AUTO_CLOSE __attribute__ ((cleanup (auto_close)))
#define AUTO_FCLOSE __attribute__ ((cleanup (auto_fclose)))
#define AUTO_JSON __attribute__ ((cleanup (auto_json)))
#define AUTO_BUFFER __attribute__ ((cleanup (buffer_free)))
#define AUTO(type) __attribute__ ((cleanup (type ## _destroy)))     /* calls type_destroy (&local) */

/* Hand a local over: its value, and NULL (or -1 for a descriptor) in its place. */
#define take(pointer) __extension__ ({ __typeof__ (*(pointer)) taken_ = *(pointer); *(pointer) = NULL; taken_; })
#define take_fd(pointer) __extension__ ({ int taken_ = *(pointer); *(pointer) = -1; taken_; })

#endif
