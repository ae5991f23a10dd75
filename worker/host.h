/* host.h - what this machine is and which platforms it has shown that it can execute.
 *
 * Native: the platform of uname always; its 32-bit companion (linux/386 on x86-64, linux/arm/v7 on aarch64) only after
 * a tiny program for it ran and no binfmt_misc interpreter claims such programs. Emulated: platforms that an enabled qemu
 * entry of binfmt_misc claims with flag F (the interpreter is open already, so that it works inside a container too) and,
 * where there is a tiny program for it, that really ran. A native platform is never listed as emulated too. */
#ifndef FARM_HOST_H
#define FARM_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/platform.h"

enum { HOST_PLATFORMS_MAX = 16, HOST_NAME_MAX_SIZE = 64 };

typedef struct {
    platform_t platform;
    bool is_emulated;
} host_platform_t;

typedef struct {
    host_platform_t platforms [HOST_PLATFORMS_MAX];     /* native ones first, uname's the first of all */
    int platform_count;
    int cpus;                                           /* that this process may use */
    int64_t memory_bytes;
    char name [HOST_NAME_MAX_SIZE];                     /* the host's name up to its first dot, as a worker's name:
                                                           lower case, [a-z0-9._-], starts with a letter or digit */
} host_t;

/* Look, and try. Probe programs are written into state_folder (which exists), run, and removed; it must not be mounted
 * noexec, or only uname's platform is found. Forks, so call it before threads are started. Takes some ms. */
int host_read (host_t *self, const char *state_folder, err_t *err);

/* The name alone. */
void host_read_name (char name [HOST_NAME_MAX_SIZE]);

/* The entry for a platform, NULL where this machine cannot run it. Borrowed. */
const host_platform_t *host_find (const host_t *self, const platform_t *platform);

#endif
