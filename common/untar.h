/* untar.h - an archive into a folder, and nothing of it beside that folder: tar in its forms and zip, packed by gzip, bzip2, xz, zstd or not. */
#ifndef FARM_UNTAR_H
#define FARM_UNTAR_H

#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

typedef struct {
    int64_t bytes_max;              /* of what is written, together */
    int64_t entries_max;
    const char *advice;             /* what to do where it is more than that: borrowed */
} untar_limits_t;

/* Read an archive from a descriptor to its end and write what is in it below folder, which is there and empty. Files, folders, links (hard ones stay
 * inside) with mode and time; owners, attributes, setuid bits are left; devices and sockets are ERR_USAGE, as are names that lead out of the folder or
 * through a link, and what is no archive. Changes into the folder and stays there: for a program of one thread that does nothing else. */
int untar (int fd, const char *folder, const untar_limits_t *limits, err_t *err);

#endif
