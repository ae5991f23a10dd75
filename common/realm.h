/* realm.h - a registry's token service: where a challenge says that it is, whether we go there and show it the registry's credential,
 * and what it answers. Parsed here for all who ask for tokens. */
#ifndef FARM_REALM_H
#define FARM_REALM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/challenge.h"
#include "common/http.h"
#include "common/registry.h"

enum { TOKEN_BYTES_MAX = 64 * 1024 };

typedef struct {
    char *url;                          /* with service and scopes */
    char *name;                         /* "auth.lan:5001", for messages and certificates */
    bool is_trusted;                    /* it is of the registry's own site: it may be shown the credential */
    bool is_guarded;                    /* nobody has configured it: it may lie outside, or in the registry's place (common/inside.h) */
    http_certs_t certs;
} realm_t;

/* For the registry of references to host. scope: "repository:team/app:pull", several with a space between; "": the challenge's.
 * ERR_REGISTRY for a realm that cannot be used, ERR_REGISTRY_DENIED for one that is not encrypted. The caller clears. */
int realm_find (realm_t *self, const registry_settings_t *settings, const char *host, const challenge_t *challenge, const char *scope,
                err_t *err);
void realm_clear (realm_t *self);

/* The status of its answer: 0 for 200; ERR_NETWORK for what may pass, ERR_REGISTRY_DENIED. shown: was there a credential? */
int realm_judge_status (int status, bool shown, err_t *err);

/* "Bearer …" of an answer's body, and how long to use it: half its time. The caller wipes. ERR_REGISTRY where there is none. */
int realm_read_token (const buffer_t *body, char **authorization, int64_t *keep_ms, err_t *err);

#endif
