/* setup.h - what the first start makes in the state folder, and each start needs: keys, and how others enrol. */
#ifndef FARM_SETUP_H
#define FARM_SETUP_H

#include "common/keys.h"
#include "common/settings.h"
#include "coordinator/engine.h"

typedef struct {
    keypair_t server;               /* coordinator.key */
    keypair_t admin;                /* admin.key: may do everything */
    keypair_t secrets;              /* secrets.key: what seals secrets (seal.h); only its secret half is used */
    keypair_t news;                 /* news.key: what hooks are signed with (hook_secret.h); only its secret half is used */
    keypair_t invitation;           /* invitation.key: may only join; where join/standing says so */
    bool has_invitation;
} setup_keys_t;

/* Load the keys, or make those that are missing. */
int setup_keys (setup_keys_t *keys, const settings_t *settings, err_t *err);

/* Hold the audit log against the note of its last row that the last run has left in a file. What does not fit is told, and is a row of it. */
int setup_audit (engine_t *engine, const char *path, int64_t wall_ms, err_t *err);

/* Make the admin's and the standing invitation's keys principals. An admin's whose right was taken back stays without. */
int setup_principals (engine_t *engine, const setup_keys_t *keys, int64_t wall_ms, err_t *err);

/* Write `join` (the standing join string, where there is one) and `admin.conf` (settings with which farmctl on this host is the admin), with the
 * endpoints as others reach them. */
int setup_invite (const setup_keys_t *keys, const settings_t *settings, const char *control_bound,
                  const char *objects_bound, err_t *err);

#endif
