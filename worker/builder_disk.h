/* builder_disk.h - was a disk full while a builder worked?
 *
 * Words alone do not tell: a Dockerfile can bring them, and the attempt would be the farm's fault. Nor does a look afterwards: a builder removes what it
 * could not finish before it says why. So the disk is looked at all the time, and what was seen counts where the words came too. */
#ifndef FARM_BUILDER_DISK_H
#define FARM_BUILDER_DISK_H

#include <stdbool.h>
#include <stddef.h>

/* {0}: one that is never full. */
typedef struct {
    const char *folders [2];        /* where the builder writes; NULL: none; borrowed */
    bool is_told;                   /* a line said so */
    const char *full;               /* the folder that had no room for bytes or files at some time; NULL: none */
} builder_disk_t;

void builder_disk_look (builder_disk_t *self);
void builder_disk_hear (builder_disk_t *self, const char *line, size_t size);

/* The folder below which the disk was full, as the builder said; NULL: none was. */
const char *builder_disk_full (const builder_disk_t *self);

#endif
