/* principals.h - who may connect, as what, and limited to what (engine.h has the calls from outside). How they come: invitations.h;
 * what an admin says of them: users.h. */
#ifndef FARM_PRINCIPALS_H
#define FARM_PRINCIPALS_H

#include "coordinator/engine_private.h"

/* By id; ERR_DENIED when unknown or revoked. */
int principal_load (engine_t *self, int64_t id, principal_t *out, err_t *err);

/* Whose builds and schedules it sees: 0 for everybody's, else its own id; -1 on error. */
int64_t principal_sees (engine_t *self, int64_t id, err_t *err);
/* Those that memory knows: the database may say something else now. */
void principals_forget (engine_t *self);

typedef enum { PEOPLE, WORKERS } principal_kind;
/* By name, of users or of workers: ERR_NOT_FOUND. */
int principal_of_name (engine_t *self, principal_kind kind, const char *name, principal_t *out, err_t *err);

/* Has a user with another key that name, or an invitation that waits for its user? */
int principal_is_taken (engine_t *self, const char *name, const char *key_hex, bool *is_taken, err_t *err);

/* From this batch on the key may not connect, and whatever it says is denied. */
int principal_revoke (engine_t *self, int64_t id, err_t *err);

/* Whoever lets keys in is told: it may connect as what its row says now. */
int principal_announce (engine_t *self, int64_t id, err_t *err);

/* What a user is limited to, as JSON of the protocol; to the caller. NULL on error. */
json_t *principal_limits (engine_t *self, int64_t id, err_t *err);
/* Those that limits names are changed; NULL is none. ERR_USAGE for a pattern that is none. */
int principal_set_limits (engine_t *self, int64_t id, const json_t *limits, err_t *err);

#endif
