/* unpacked.h - the archive on standard input as a folder. */
#ifndef FARM_UNPACKED_H
#define FARM_UNPACKED_H

#include "common/err.h"

/* Unpack it into a new folder below $TMPDIR, whose name goes to the caller, who has it removed by unpacked_remove. ERR_USAGE: it is no archive that can be
 * a context. */
int unpacked_read (char **folder, err_t *err);
void unpacked_remove (char **folder);

/* Is this path below it a file of its own, reached through no link? An archive is somebody's, and what its links lead to here is not to be sent. */
int unpacked_check_file (const char *folder, const char *path, err_t *err);

#endif
