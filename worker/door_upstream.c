/* door_upstream.c - see door_upstream.h. Tokens are kept with the pass, so they end with the attempt.
 *
 *     401, WWW-Authenticate: Bearer realm="https://auth.lan/token",service="registry.lan"
 *     want-token, registry.lan, repository:team/app:pull,push  -->  coordinator  -->  token, "Bearer …", used until half its time is over
 *
 * Of a repository that is not the attempt's own, where the coordinator gives none, the token that everybody is given. */
#include "worker/door_upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/realm.h"

enum { TIMEOUT_MS = 30000, NONE_MS = 300000, QUICK_PART = 3 };

/* Addresses ---------------------------------------------------------------------------------------------------------- */

void upstream_find (upstream_t *self, const char *host, const registry_settings_t *settings)
{
    memset (self, 0, sizeof *self);
    snprintf (self->host, sizeof self->host, "%s", host);
    self->base = url_of_registry (host, settings->plain_http_hosts);
    url_origin (self->base, &self->origin, NULL);       /* one that is none is nobody's home */
    http_certs_find (&self->certs, settings->certs_folder, host);
}

void upstream_clear (upstream_t *self)
{
    free (self->base);
    http_certs_free (&self->certs);
    memset (self, 0, sizeof *self);
}

int upstream_timeout_ms (const registry_settings_t *settings)
{
    return settings->timeout_ms > 0 ? settings->timeout_ms : TIMEOUT_MS;
}

int upstream_quick_ms (const registry_settings_t *settings)
{
    return (upstream_timeout_ms (settings) + QUICK_PART - 1) / QUICK_PART;
}

/* What is known ------------------------------------------------------------------------------------------------------ */

void upstream_scope (char scope [UPSTREAM_SCOPE_MAX], const char *path, bool is_write, const char *from)
{
    int used = snprintf (scope, UPSTREAM_SCOPE_MAX, "repository:%s:%s", path, is_write ? "pull,push" : "pull");
    if (from && used > 0 && used < UPSTREAM_SCOPE_MAX)
        snprintf (scope + used, UPSTREAM_SCOPE_MAX - (size_t) used, " repository:%s:pull", from);
}

static char *key_of (const upstream_t *self, const char *scope)
{
    return mem_printf ("%s %s", self->base, scope);
}

char *upstream_known (pass_t *pass, const upstream_t *self, const char *scope)
{
    AUTO_FREE char *key = key_of (self, scope);
    return pass_token (pass, key);
}

void upstream_need_none (pass_t *pass, const upstream_t *self, const char *scope)
{
    AUTO_FREE char *key = key_of (self, scope);
    pass_keep_token (pass, key, "", clock_boot_ms () + NONE_MS);
}

/* Tokens ------------------------------------------------------------------------------------------------------------- */

static int read_all (transfer_t *transfer, buffer_t *out, err_t *err)
{
    char data [8192];
    ssize_t size;
    while ((size = transfer_read (transfer, data, sizeof data, err)) > 0) {
        if (out->size + (size_t) size > TOKEN_BYTES_MAX)
            return err_set (err, ERR_REGISTRY, "the answer is longer than %d bytes", TOKEN_BYTES_MAX);
        buffer_append (out, data, (size_t) size);
    }
    return (int) size;
}

/* place: of the registry, which has sent us there. */
static int ask_realm (pass_t *pass, CURLM *multi, const realm_t *realm, place_t place, const registry_settings_t *settings, buffer_t *body, err_t *err)
{
    answer_t answer;
    request_t request = { .method = "GET", .url = realm->url, .certs = &realm->certs,
                          .timeout_ms = upstream_quick_ms (settings), .is_guarded = realm->is_guarded, .may_reach = place,
                          .is_stopped = &pass->is_closed };
    transfer_t *transfer = transfer_new (multi, &request);
    int rc = transfer_answer (transfer, &answer, err);
    if (rc == 0)
        rc = realm_judge_status (answer.status, false, err);
    if (rc == 0)
        rc = read_all (transfer, body, err);
    transfer_destroy (&transfer);
    return rc;
}

static int fetch_token (pass_t *pass, const upstream_t *self, CURLM *multi, const char *scope, const realm_t *realm, place_t place,
                        const registry_settings_t *settings, err_t *err)
{
    AUTO_BUFFER buffer_t body = { 0 };
    AUTO_FREE char *key = key_of (self, scope);
    char *authorization = NULL;
    int64_t keep_ms = 0;
    err_t why = { 0 };
    int rc = ask_realm (pass, multi, realm, place, settings, &body, &why);
    if (rc == 0)
        rc = realm_read_token (&body, &authorization, &keep_ms, &why);
    if (rc == 0)
        pass_keep_token (pass, key, authorization, clock_boot_ms () + keep_ms);
    pass_wipe (&authorization);
    if (rc == 0)
        return 0;
    if (why.code == ERR_NETWORK)
        why.code = ERR_REGISTRY;        /* the network between is the registry's */
    return err_set (err, why.code, "token from %s for %s: %s", realm->name, self->host, why.text);
}

static int meet_bearer (pass_t *pass, const upstream_t *self, CURLM *multi, const char *scope, const challenge_t *challenge,
                        place_t place, const registry_settings_t *settings, err_t *err)
{
    realm_t realm;
    int rc = realm_find (&realm, settings, self->host, challenge, scope, err);
    if (rc == 0)
        rc = fetch_token (pass, self, multi, scope, &realm, place, settings, err);
    realm_clear (&realm);
    return rc;
}

/* The coordinator has the credentials, and knows what the registry makes of them. */
static int meet_granted (pass_t *pass, const upstream_t *self, const char *scope, err_t *err)
{
    char *authorization = NULL;
    int64_t keep_ms = 0;
    AUTO_FREE char *key = key_of (self, scope);
    if (pass_grant (pass, self->host, scope, &authorization, &keep_ms, err) < 0)
        return -1;
    int rc = *authorization ? 0 : err_set (err, ERR_REGISTRY_DENIED, "%s wants a user and password, and there is none for it; add it to the "
                                           "coordinator's registry credentials", self->host);
    if (rc == 0)
        pass_keep_token (pass, key, authorization, clock_boot_ms () + keep_ms);
    pass_wipe (&authorization);
    return rc;
}

/* What everybody may have: of another registry, and of the attempt's own what others have there that the coordinator does not let it read with its account. */
static bool may_be_free (const pass_t *pass, const upstream_t *self, const char *scope, const err_t *withheld)
{
    bool is_elsewhere = strcmp (self->host, pass->repository.host) != 0, is_write = strstr (scope, ":pull,push") != NULL;
    return is_elsewhere || (!is_write && withheld->code == ERR_REGISTRY_DENIED);
}

int upstream_meet (pass_t *pass, const upstream_t *self, CURLM *multi, const char *scope, const answer_t *answer,
                   const registry_settings_t *settings, err_t *withheld, err_t *err)
{
    *withheld = (err_t) { .code = ERR_NONE };
    if (meet_granted (pass, self, scope, withheld) == 0)
        return 0;
    err_t why = { 0 };
    AUTO_FREE challenge_t *challenge = mem_alloc (sizeof *challenge);
    bool is_free = may_be_free (pass, self, scope, withheld) && challenge_parse (challenge, answer->challenge, NULL) == 0
                   && challenge->scheme == CHALLENGE_BEARER;
    if (!is_free)
        return err_set (err, withheld->code, "%s", withheld->text);
    if (meet_bearer (pass, self, multi, scope, challenge, answer->place, settings, &why) == 0)
        return 0;
    return err_set (err, why.code, "%s; without an account: %s", withheld->text, why.text);
}
