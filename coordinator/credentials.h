/* credentials.h - what a worker gets for the registry it pushes to: looked up in docker's config.json, kept a short while
 * in memory, for a credential helper may be slow. */
#ifndef FARM_CREDENTIALS_H
#define FARM_CREDENTIALS_H

#include "common/err.h"

typedef struct credentials credentials_t;

/* auth_file may be NULL: no credentials. */
credentials_t *credentials_new (const char *auth_file);
void credentials_destroy (credentials_t **self);

/* The Authorization header for the registry of repository ("host/path"). Borrowed, until the next call. NULL without an
 * error (code ERR_NONE) where there is nothing. */
const char *credentials_find (credentials_t *self, const char *repository, err_t *err);

#endif
