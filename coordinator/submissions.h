/* submissions.h - submits, and schedules to be added, that wait for the depot service to say that their context and Dockerfile are on disk. */
#ifndef FARM_SUBMISSIONS_H
#define FARM_SUBMISSIONS_H

#include <czmq.h>
#include <jansson.h>

#include "coordinator/engine.h"

typedef struct submissions submissions_t;

typedef struct {
    uint64_t peer;
    int64_t principal;
    char verb [16];             /* `submit`, or `add-schedule` */
    json_t *header;             /* ownership to the caller */
} submission_t;

submissions_t *submissions_new (void);
void submissions_destroy (submissions_t **self);

/* Ask the depot service about a submit; header is a checked one, borrowed. A context has to be the principal's own, but for an admin, who
 * may build again what somebody else has sent. */
void submissions_add (submissions_t *self, zsock_t *depot, uint64_t peer, const principal_t *principal, const char *verb,
                      const json_t *header);

/* The one that the depot service has answered for: false when it is none of ours. */
bool submissions_take (submissions_t *self, const char *token, submission_t *out);

#endif
