/* vault.h - a folder of this worker in memory (tmpfs), for what must not be on a disk: mode 0700, a folder below it for each attempt that has
 * secrets, empty at each start.
 *
 * It is made in the first of these that is a tmpfs and lets us: $RUNTIME_DIRECTORY (systemd's), $XDG_RUNTIME_DIR, /dev/shm, /run. */
#ifndef FARM_VAULT_H
#define FARM_VAULT_H

#include "common/err.h"

/* A worker with this state folder; what its last run has left is removed. The path is the caller's to free. NULL with ERR_FARM: there is no such
 * place, and no secret can be taken. */
char *vault_open (const char *state_folder, err_t *err);
void vault_close (char **self);

#endif
