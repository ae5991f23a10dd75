/* credentials.h - what workers may show registries: bearer tokens for one scope, got with the coordinator's own credentials (docker's config.json,
 * or a helper); where a registry knows passwords only, the password. Found out by a few threads of their own, for a registry, its token
 * service or a helper may take half a minute. */
#ifndef FARM_CREDENTIALS_H
#define FARM_CREDENTIALS_H

#include <czmq.h>
#include <jansson.h>

#include "common/err.h"
#include "common/registry.h"

typedef struct credentials credentials_t;

/* settings are borrowed. NULL when there is no thread for it. */
credentials_t *credentials_new (const registry_settings_t *settings, err_t *err);
void credentials_destroy (credentials_t **self);

/* Who has asked, under which number of theirs, and for which attempt. */
typedef struct {
    uint64_t peer;
    int64_t re, job, attempt;
} asker_t;

/* Look up what `host`, `scope` and `is_own` of a `token` header want. ERR_FULL: too many wait. */
int credentials_ask (credentials_t *self, uint64_t peer, const json_t *token, err_t *err);

/* The next that was found: true, with who asked, and either the header of its `token` (to the caller) or NULL and why not. Meanwhile the right to
 * it may have gone. */
bool credentials_next (credentials_t *self, asker_t *asker, json_t **token, err_t *why);

/* Nothing waits. */
bool credentials_are_idle (const credentials_t *self);

/* To poll on: then credentials_next has news. */
void credentials_poll (credentials_t *self, zpoller_t *poller);

#endif
