/* program.h - which machine a program is for, by its ELF header (System V ABI, chapter 4). */
#ifndef FARM_PROGRAM_H
#define FARM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/platform.h"

enum { PROGRAM_HEAD_BYTES = 20 };         /* that are looked at */

/* The beginning of a file. Would the platform's own kernel refuse to run it? Only what is a program or a shared object, and for the
 * machine of another platform that images are built for, counts: firmware and what nobody could run does not. architecture: NULL, or
 * what it is for ("amd64"). */
bool program_is_foreign (const void *head, size_t size, const platform_t *platform, const char **architecture);

#endif
