/* credential_helper.h - asks docker-credential-NAME, a program that somebody else wrote, for a user and password. */
#ifndef FARM_CREDENTIAL_HELPER_H
#define FARM_CREDENTIAL_HELPER_H

#include "common/err.h"

/* Run `docker-credential-NAME get` (from PATH, without a shell, at most 30 s and 64 KiB of output) with server on its
 * standard input. user and secret belong to the caller, who wipes them; both NULL when it has nothing for the server. */
int credential_helper_get (const char *name, const char *server, char **user, char **secret, err_t *err);

#endif
