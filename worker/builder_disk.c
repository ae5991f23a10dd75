/* builder_disk.c - see builder_disk.h. */
#include "worker/builder_disk.h"

#include <stdint.h>
#include <string.h>

#include "common/file.h"

/* More than is written between two looks. */
enum { FLOOR_BYTES = 256 * 1024 * 1024, FLOOR_FILES = 8192 };

static bool is_full (const char *folder)
{
    int64_t bytes = file_free_bytes (folder), files = file_free_inodes (folder);
    return (bytes >= 0 && bytes < FLOOR_BYTES) || (files >= 0 && files < FLOOR_FILES);
}

void builder_disk_look (builder_disk_t *self)
{
    for (size_t i = 0; i < sizeof self->folders / sizeof *self->folders && !self->full; i++)
        if (self->folders [i] && is_full (self->folders [i]))
            self->full = self->folders [i];
}

/* A quota is seen where statvfs tells of it, as of a folder's. */
void builder_disk_hear (builder_disk_t *self, const char *line, size_t size)
{
    static const char *const words [] = { "o space left on device", "isk quota exceeded", "I/O error" };      /* busybox says no more */
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        self->is_told |= memmem (line, size, words [i], strlen (words [i])) != NULL;
    if (self->is_told)
        builder_disk_look (self);
}

const char *builder_disk_full (const builder_disk_t *self)
{
    return self->is_told ? self->full : NULL;
}
