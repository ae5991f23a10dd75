/* realm.c - see realm.h. */
#include "common/realm.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/url.h"

enum { DEFAULT_SECONDS = 60, SECONDS_MAX = 86400 };

static char *token_url (const challenge_t *challenge, const char *scope)
{
    AUTO_BUFFER buffer_t url = { 0 };
    AUTO_FREE char *scopes = mem_strdup (*scope ? scope : challenge->scope);
    char *rest = scopes;
    buffer_text (&url, challenge->realm);
    if (*challenge->service)
        url_add_query (&url, "service", challenge->service);
    for (char *one; (one = strsep (&rest, " "));)
        if (*one)
            url_add_query (&url, "scope", one);
    return mem_strdup ((const char *) url.data);
}

int realm_find (realm_t *self, const registry_settings_t *settings, const char *host, const challenge_t *challenge, const char *scope,
                err_t *err)
{
    origin_t origin, home;
    AUTO_FREE char *registry = url_of_registry (host, settings->plain_http_hosts);
    *self = (realm_t) { 0 };
    if (url_origin (challenge->realm, &origin, err) < 0 || url_origin (registry, &home, err) < 0)
        return -1;
    self->name = origin_name (&origin);
    if (!origin_is_allowed (&origin, settings->plain_http_hosts))
        return err_set (err, ERR_REGISTRY_DENIED, "the token service %s is not encrypted; list it under registry/plain-http if that is "
                        "meant", self->name);
    self->is_trusted = origin_is_same_site (&origin, &home) && (origin.is_https || !home.is_https);
    self->is_guarded = !origin_equal (&origin, &home) && !origin_is_listed (&origin, settings->inside_hosts);
    self->url = token_url (challenge, scope);
    http_certs_find (&self->certs, settings->certs_folder, self->name);
    return 0;
}

void realm_clear (realm_t *self)
{
    free (self->url);
    free (self->name);
    http_certs_free (&self->certs);
    *self = (realm_t) { 0 };
}

int realm_judge_status (int status, bool shown, err_t *err)
{
    if (status == 200)
        return 0;
    if (status >= 500 || status == 429 || status == 408)
        return err_set (err, ERR_NETWORK, "status %d; it may be busy, or down", status);
    if (status == 401 || status == 403)
        return err_set (err, ERR_REGISTRY_DENIED, "%s", shown ? "it refuses the user and password; log in again (docker login)"
                        : "it gives none without a login");
    return err_set (err, ERR_REGISTRY_DENIED, "status %d: this is no token service", status);
}

/* RFC 6750: printable ASCII without spaces. */
static bool is_token (const char *token)
{
    if (!token || !*token)
        return false;
    for (const char *c = token; *c; c++)
        if (*c <= ' ' || *c >= 0x7f)
            return false;
    return true;
}

int realm_read_token (const buffer_t *body, char **authorization, int64_t *keep_ms, err_t *err)
{
    AUTO_JSON json_t *answer = json_loadb ((const char *) body->data, body->size, 0, NULL);
    const char *token = json_string_value (json_object_get (answer, "token"));
    if (!token || !*token)
        token = json_string_value (json_object_get (answer, "access_token"));
    if (!is_token (token))
        return err_set (err, ERR_REGISTRY, "its answer has no token");
    json_int_t seconds = json_integer_value (json_object_get (answer, "expires_in"));
    if (seconds <= 0 || seconds > SECONDS_MAX)
        seconds = DEFAULT_SECONDS;
    *authorization = mem_printf ("Bearer %s", token);
    *keep_ms = seconds * 1000 / 2;
    return 0;
}
