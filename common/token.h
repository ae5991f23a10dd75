/* token.h - what a registry wants to be shown: bearer tokens and credentials, per registry and scope.
 *
 *     GET /v2/team/app/manifests/1.4          401, WWW-Authenticate: Bearer realm="https://auth.lan/token",service="r"
 *     GET https://auth.lan/token?service=r&scope=repository:team/app:pull      {"token": "…", "expires_in": 300}
 *     GET /v2/team/app/manifests/1.4          Authorization: Bearer …
 *
 * The user and password go to the realm only when it is on the registry's own host or site, else it is asked without. A
 * token is used until half its time is over (60 s where that is not said); a password is looked up anew every minute. */
#ifndef FARM_TOKEN_H
#define FARM_TOKEN_H

#include "common/http.h"
#include "common/registry.h"

enum { TOKEN_SCOPE_MAX = 1200 };

typedef struct tokens tokens_t;

/* http and settings are borrowed. */
tokens_t *tokens_new (http_t *http, const registry_settings_t *settings);
void tokens_destroy (tokens_t **self);

/* A credential that goes before those of the settings' auth_file. */
void tokens_set_credential (tokens_t *self, const char *host, const char *authorization);

/* What is known for requests of a scope: "repository:team/app:pull", several with a space between, "" for none. Borrowed
 * until the next call; NULL where nothing is. */
const char *tokens_known (const tokens_t *self, const char *host, const char *scope);

/* How long it may still be used; 0 where nothing is known. */
int64_t tokens_left_ms (const tokens_t *self, const char *host, const char *scope);

/* Forget what is to be renewed soon: for somebody who is given it, and asks again when its time is over. */
void tokens_forget_due (tokens_t *self, const char *host, const char *scope);

/* Answer a challenge of host's registry, which stands at `from`. Afterwards tokens_known has it. Errors as http_open's, ERR_REGISTRY for a token
 * service that answers nonsense, and ERR_REGISTRY_DENIED. */
int tokens_meet (tokens_t *self, const char *host, const char *scope, const char *challenge, place_t from, err_t *err);

/* The registry has refused what was shown: words for a person. Fills err (ERR_REGISTRY_DENIED), returns -1. */
int tokens_refused (const tokens_t *self, const char *host, err_t *err);

#endif
