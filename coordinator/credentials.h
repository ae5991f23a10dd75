/* credentials.h - what a worker gets for the registry it pushes to. It is looked up in docker's config.json by a thread of its own,
 * for a credential helper may take half a minute, and is kept a short while in memory. Assignments wait here meanwhile. */
#ifndef FARM_CREDENTIALS_H
#define FARM_CREDENTIALS_H

#include <czmq.h>
#include <jansson.h>

#include "common/err.h"

typedef struct credentials credentials_t;

/* auth_file may be NULL: no credentials. NULL when there is no thread for it. */
credentials_t *credentials_new (const char *auth_file, err_t *err);
void credentials_destroy (credentials_t **self);

/* Put the credential of its `repository` ("host/path") into an assignment for a peer. True: done, or there is none. False: it is not
 * known yet, and the assignment is kept (by reference) for credentials_next; one of the same job that was kept is forgotten. */
bool credentials_add (credentials_t *self, uint64_t peer, json_t *assign);

/* The attempt (0: any of the job) is not to be begun any more. */
void credentials_forget (credentials_t *self, int64_t job, int64_t attempt);

/* The next kept assignment that may leave now (ownership to the caller), and its peer; NULL when there is none. */
json_t *credentials_next (credentials_t *self, uint64_t *peer);

/* To poll on: then credentials_next has news. NULL without an auth_file. */
zsock_t *credentials_actor (credentials_t *self);

#endif
