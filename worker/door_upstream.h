/* door_upstream.h - where a registry is reached, and what it wants to be shown: addresses, certificates, tokens. */
#ifndef FARM_DOOR_UPSTREAM_H
#define FARM_DOOR_UPSTREAM_H

#include <curl/curl.h>

#include "common/registry.h"
#include "worker/door_pass.h"
#include "worker/door_transfer.h"

enum { UPSTREAM_SCOPE_MAX = 1200 };

typedef struct {
    char host [REFERENCE_HOST_MAX];             /* as in references: "docker.io" */
    char origin [REFERENCE_HOST_MAX + 16];      /* "https://registry-1.docker.io" */
    char *ca_file, *client_certificate, *client_key;        /* NULL where there is none */
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

/* Answer a 401: fill in a token or the credential, by its challenge. ERR_REGISTRY_DENIED when there is nothing to show, or
 * the registry has refused it. */
int upstream_meet (pass_t *pass, const upstream_t *self, CURLM *multi, const char *scope, const char *challenge,
                   const registry_settings_t *settings, err_t *err);

/* "http://registry.lan:5000/…" -> http://registry.lan:5000; false for what is neither http nor https. */
bool upstream_origin_of (const char *url, char origin [REFERENCE_HOST_MAX + 16]);

/* May plain http be spoken with the host of this origin? */
bool upstream_may_plain (const char *origin, const registry_settings_t *settings);

int upstream_timeout_ms (const registry_settings_t *settings);

#endif
