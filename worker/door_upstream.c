/* door_upstream.c - see door_upstream.h. Tokens are kept with the pass, so they end with the attempt.
 *
 *     401, WWW-Authenticate: Bearer realm="https://auth.lan/token",service="registry.lan"
 *     GET https://auth.lan/token?service=registry.lan&scope=repository:team/app:pull,push   (with the credential, if the
 *     realm is of the registry's own site) -> {"token": "…", "expires_in": 300}: used until half its time is over */
#include "worker/door_upstream.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/file.h"

enum { TOKEN_BYTES_MAX = 64 * 1024, PARAMETER_MAX = 1024, DEFAULT_SECONDS = 60, SECONDS_MAX = 86400, TIMEOUT_MS = 30000,
       NONE_MS = 300000 };

/* Addresses ---------------------------------------------------------------------------------------------------------- */

static bool is_plain (const char *host, const registry_settings_t *settings)
{
    for (const char *const *name = settings->plain_http_hosts; name && *name; name++)
        if (strcasecmp (*name, host) == 0)
            return true;
    return false;
}

bool upstream_may_plain (const char *origin, const registry_settings_t *settings)
{
    return strncmp (origin, "https://", 8) == 0 || is_plain (origin + 7, settings);
}

static char *certificate (const char *folder, const char *host, const char *name)
{
    AUTO_FREE char *path = mem_printf ("%s/%s/%s", folder, host, name);
    return file_exists (path) ? take (&path) : NULL;
}

void upstream_find (upstream_t *self, const char *host, const registry_settings_t *settings)
{
    const char *folder = settings->certs_folder ? settings->certs_folder : "/etc/docker/certs.d";
    const char *address = strcmp (host, "docker.io") == 0 ? "registry-1.docker.io" : host;
    memset (self, 0, sizeof *self);
    snprintf (self->host, sizeof self->host, "%s", host);
    snprintf (self->origin, sizeof self->origin, "%s://%s", is_plain (host, settings) ? "http" : "https", address);
    self->ca_file = certificate (folder, host, "ca.crt");
    self->client_certificate = certificate (folder, host, "client.cert");
    self->client_key = certificate (folder, host, "client.key");
}

void upstream_clear (upstream_t *self)
{
    free (self->ca_file);
    free (self->client_certificate);
    free (self->client_key);
    memset (self, 0, sizeof *self);
}

int upstream_timeout_ms (const registry_settings_t *settings)
{
    return settings->timeout_ms > 0 ? settings->timeout_ms : TIMEOUT_MS;
}

/* No user and password, no control characters: what libcurl connects to is what we have compared. */
bool upstream_origin_of (const char *url, char origin [REFERENCE_HOST_MAX + 16])
{
    size_t scheme = strncasecmp (url, "https://", 8) == 0 ? 8 : strncasecmp (url, "http://", 7) == 0 ? 7 : 0;
    size_t size = scheme ? strcspn (url + scheme, "/?#") : 0;
    if (size == 0 || size >= REFERENCE_HOST_MAX)
        return false;
    for (const char *at = url; *at; at++)
        if ((unsigned char) *at <= ' ' || (unsigned char) *at == 0x7f)
            return false;
    if (memchr (url + scheme, '@', size) || memchr (url + scheme, '\\', size))
        return false;
    snprintf (origin, REFERENCE_HOST_MAX + 16, "%s%.*s", scheme == 8 ? "https://" : "http://", (int) size, url + scheme);
    for (char *at = origin; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char) (*at - 'A' + 'a');
    size_t length = strlen (origin);        /* a port that goes without saying */
    if (scheme == 8 && length > 4 && strcmp (origin + length - 4, ":443") == 0)
        origin [length - 4] = 0;
    if (scheme == 7 && length > 3 && strcmp (origin + length - 3, ":80") == 0)
        origin [length - 3] = 0;
    return true;
}

/* Tokens ------------------------------------------------------------------------------------------------------------- */

void upstream_scope (char scope [UPSTREAM_SCOPE_MAX], const char *path, bool is_write, const char *from)
{
    int used = snprintf (scope, UPSTREAM_SCOPE_MAX, "repository:%s:%s", path, is_write ? "pull,push" : "pull");
    if (from && used > 0 && used < UPSTREAM_SCOPE_MAX)
        snprintf (scope + used, UPSTREAM_SCOPE_MAX - (size_t) used, " repository:%s:pull", from);
}

static const char *credential (const pass_t *pass, const upstream_t *self)
{
    return pass->credential_host && pass->authorization && strcmp (pass->credential_host, self->host) == 0
           ? pass->authorization : NULL;
}

static char *key_of (const upstream_t *self, const char *scope)
{
    return mem_printf ("%s %s", self->origin, scope);
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

/* A parameter of a challenge: name="value" or name=value. False where it is not there, or too long. */
static bool parameter (const char *challenge, const char *name, char out [PARAMETER_MAX])
{
    size_t length = strlen (name);
    for (const char *at = challenge; (at = strcasestr (at, name)); at += length) {
        bool is_start = at == challenge || at [-1] == ' ' || at [-1] == ',' || at [-1] == '\t';
        if (!is_start || at [length] != '=')
            continue;
        const char *value = at + length + 1;
        bool is_quoted = *value == '"';
        value += is_quoted;
        size_t size = strcspn (value, is_quoted ? "\"" : ", \t");
        if (size == 0 || size >= PARAMETER_MAX)
            return false;
        memcpy (out, value, size);
        out [size] = 0;
        return true;
    }
    return false;
}

/* auth.docker.io and registry-1.docker.io are of one site; addresses and single names only of their own. */
static bool is_same_site (const char *a, const char *b)
{
    char first [REFERENCE_HOST_MAX], second [REFERENCE_HOST_MAX];
    snprintf (first, sizeof first, "%s", strstr (a, "://") + 3);
    snprintf (second, sizeof second, "%s", strstr (b, "://") + 3);
    first [strcspn (first, ":")] = 0;
    second [strcspn (second, ":")] = 0;
    if (strcmp (first, second) == 0)
        return true;
    const char *last = strrchr (first, '.');
    if (!last || last [1 + strspn (last + 1, "0123456789")] == 0)
        return false;               /* an address, or a name of one part */
    const char *site = strchr (first, '.') + 1, *other = strchr (second, '.');
    return strchr (site, '.') && other && strcmp (site, other + 1) == 0;
}

/* The realm's URL with service and scopes in its query. */
static char *token_url (const char *realm, const char *service, const char *scope)
{
    AUTO_BUFFER buffer_t url = { 0 };
    AUTO_FREE char *scopes = mem_strdup (scope);
    buffer_printf (&url, "%s%c", realm, strchr (realm, '?') ? '&' : '?');
    char *escaped = curl_easy_escape (NULL, service, 0);
    if (*service)
        buffer_printf (&url, "service=%s", escaped);
    curl_free (escaped);
    char *rest = scopes;
    for (char *one; (one = strsep (&rest, " "));) {
        escaped = curl_easy_escape (NULL, one, 0);
        buffer_printf (&url, "&scope=%s", escaped);
        curl_free (escaped);
    }
    return mem_strdup ((const char *) url.data);
}

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

static int ask_realm (pass_t *pass, CURLM *multi, const char *url, const char *shown, const registry_settings_t *settings,
                      buffer_t *body, err_t *err)
{
    AUTO_FREE char *header = shown ? mem_printf ("Authorization: %s", shown) : NULL;
    const char *const headers [] = { header, NULL };
    answer_t answer;
    request_t request = { .method = "GET", .url = url, .headers = headers, .timeout_ms = upstream_timeout_ms (settings),
                          .is_stopped = &pass->is_closed };
    transfer_t *transfer = transfer_new (multi, &request);
    int rc = transfer_answer (transfer, &answer, err);
    if (rc == 0 && answer.status != 200)
        rc = err_set (err, answer.status >= 500 || answer.status == 429 ? ERR_REGISTRY : ERR_REGISTRY_DENIED,
                      "status %d; check the registry's user and password on the coordinator", answer.status);
    if (rc == 0)
        rc = read_all (transfer, body, err);
    transfer_destroy (&transfer);
    char *secret = take (&header);
    pass_wipe (&secret);
    return rc;
}

static int keep_token (pass_t *pass, const char *key, const buffer_t *body, err_t *err)
{
    AUTO_JSON json_t *answer = json_loadb ((const char *) body->data, body->size, 0, NULL);
    const char *token = json_string_value (json_object_get (answer, "token"));
    if (!token || !*token)
        token = json_string_value (json_object_get (answer, "access_token"));
    if (!token || !*token || token [strcspn (token, "\r\n")])
        return err_set (err, ERR_REGISTRY, "the answer has no token");
    int64_t seconds = json_integer_value (json_object_get (answer, "expires_in"));
    if (seconds <= 0 || seconds > SECONDS_MAX)
        seconds = DEFAULT_SECONDS;
    char *header = mem_printf ("Bearer %s", token);
    pass_keep_token (pass, key, header, clock_boot_ms () + seconds * 500);
    pass_wipe (&header);
    return 0;
}

static int fetch_token (pass_t *pass, const upstream_t *self, CURLM *multi, const char *scope, const char *challenge,
                        const registry_settings_t *settings, err_t *err)
{
    char realm [PARAMETER_MAX], service [PARAMETER_MAX] = "", origin [REFERENCE_HOST_MAX + 16];
    AUTO_BUFFER buffer_t body = { 0 };
    if (!parameter (challenge, "realm", realm) || !upstream_origin_of (realm, origin))
        return err_set (err, ERR_REGISTRY, "%s asks for a token without saying where it is to be had", self->host);
    if (!upstream_may_plain (origin, settings))
        return err_set (err, ERR_REGISTRY_DENIED, "%s sends for a token to %s, which is not encrypted", self->host, origin);
    parameter (challenge, "service", service);
    AUTO_FREE char *url = token_url (realm, service, scope);
    AUTO_FREE char *key = key_of (self, scope);
    const char *shown = is_same_site (origin, self->origin) ? credential (pass, self) : NULL;
    int rc = ask_realm (pass, multi, url, shown, settings, &body, err);
    if (rc == 0)
        rc = keep_token (pass, key, &body, err);
    if (rc < 0)
        err_wrap (err, "token from %s for %s", origin, self->host);
    return rc;
}

int upstream_meet (pass_t *pass, const upstream_t *self, CURLM *multi, const char *scope, const char *challenge,
                   const registry_settings_t *settings, err_t *err)
{
    if (strncasecmp (challenge, "Bearer", 6) == 0)
        return fetch_token (pass, self, multi, scope, challenge, settings, err);
    const char *shown = credential (pass, self);
    if (!shown)
        return err_set (err, ERR_REGISTRY_DENIED, "%s wants a user and password, and there is none for it; add it to the "
                        "coordinator's registry credentials", self->host);
    AUTO_FREE char *key = key_of (self, scope);
    pass_keep_token (pass, key, shown, INT64_MAX);
    return 0;
}
