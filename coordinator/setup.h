/* setup.h - what the first start makes in the state folder, and each start needs: keys, and how others enrol. */
#ifndef FARM_SETUP_H
#define FARM_SETUP_H

#include "common/keys.h"
#include "common/settings.h"
#include "coordinator/engine.h"

typedef struct {
    keypair_t server;               /* coordinator.key */
    keypair_t admin;                /* admin.key: may do everything */
    keypair_t invitation;           /* invitation.key: may only join */
    keypair_t secrets;              /* secrets.key: what seals secrets (seal.h); only its secret half is used */
} setup_keys_t;

/* Load the keys, or make those that are missing. */
int setup_keys (setup_keys_t *keys, const char *state_folder, err_t *err);

/* Make the admin's and the invitation's keys principals. */
int setup_principals (engine_t *engine, const setup_keys_t *keys, int64_t wall_ms, err_t *err);

/* Write `join` (the join string) and `admin.conf` (settings with which farmctl on this host is the admin), with the
 * endpoints as others reach them. */
int setup_invite (const setup_keys_t *keys, const settings_t *settings, const char *control_bound,
                  const char *objects_bound, err_t *err);

#endif
