/* door_upstream.h - where a registry is reached, and what it wants to be shown: addresses, certificates, tokens. */
#ifndef FARM_DOOR_UPSTREAM_H
#define FARM_DOOR_UPSTREAM_H

#include <curl/curl.h>

#include "common/registry.h"
#include "common/url.h"
#include "worker/door_pass.h"
#include "worker/door_transfer.h"

enum { UPSTREAM_SCOPE_MAX = 1200 };

typedef struct {
    char host [REFERENCE_HOST_MAX];             /* as in references: "docker.io" */
    char *base;                                 /* "https://registry-1.docker.io" */
    origin_t origin;
    http_certs_t certs;
} upstream_t;

void upstream_find (upstream_t *self, const char *host, const registry_settings_t *settings);
void upstream_clear (upstream_t *self);

/* "repository:team/app:pull" and so on; from (a second repository, for a mount) may be NULL. */
void upstream_scope (char scope [UPSTREAM_SCOPE_MAX], const char *path, bool is_write, const char *from);

/* The value for Authorization that this attempt has for the scope: one that is known, "" for none needed, or NULL when
 * nobody knows yet. The caller wipes. */
char *upstream_known (pass_t *pass, const upstream_t *self, const char *scope);

/* Remember for some minutes that nothing is needed. */
void upstream_need_none (pass_t *pass, const upstream_t *self, const char *scope);

/* Answer a 401 (its challenge, and the place that it came from): fill in a token or the credential. ERR_REGISTRY_DENIED when
 * there is nothing to show, or the token service has refused it. withheld: why there is no more than what everybody is given; its code is ERR_NONE where
 * there is. */
int upstream_meet (pass_t *pass, const upstream_t *self, CURLM *multi, const char *scope, const answer_t *answer,
                   const registry_settings_t *settings, err_t *withheld, err_t *err);

/* Without progress; and with what no registry has to work for, a manifest or a greeting: a slot is not held for one that hangs. The parts
 * of a blob may take longer to begin: a cache may fetch all of it before. */
int upstream_timeout_ms (const registry_settings_t *settings);
int upstream_quick_ms (const registry_settings_t *settings);

#endif
