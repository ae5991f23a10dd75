/* token.c - see token.h. What is kept lies in a small table; the oldest entry makes room. */
#include "common/token.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/challenge.h"
#include "common/clock.h"
#include "common/docker_config.h"
#include "common/url.h"

enum { ENTRIES_MAX = 32, TOKEN_BYTES_MAX = 64 * 1024, DEFAULT_SECONDS = 60, SECONDS_MAX = 86400, BASIC_KEEP_MS = 60000 };

#define AUTO_SECRET __attribute__ ((cleanup (docker_config_wipe)))

typedef struct {
    char *key;                          /* "registry.lan repository:team/app:pull" */
    char *authorization;
    int64_t until_ms;                   /* renewed from then on */
} entry_t;

typedef struct {
    char *host, *authorization;
} credential_t;

struct tokens {
    http_t *http;
    const registry_settings_t *settings;
    entry_t entries [ENTRIES_MAX];
    credential_t *credentials;          /* given, not looked up */
    size_t credential_count;
};

tokens_t *tokens_new (http_t *http, const registry_settings_t *settings)
{
    tokens_t *self = mem_alloc (sizeof *self);
    self->http = http;
    self->settings = settings;
    return self;
}

static void entry_clear (entry_t *entry)
{
    free (entry->key);
    docker_config_wipe (&entry->authorization);
    *entry = (entry_t) { 0 };
}

void tokens_destroy (tokens_t **self_p)
{
    tokens_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < ENTRIES_MAX; i++)
        entry_clear (&self->entries [i]);
    for (size_t i = 0; i < self->credential_count; i++) {
        free (self->credentials [i].host);
        docker_config_wipe (&self->credentials [i].authorization);
    }
    free (self->credentials);
    free (self);
    *self_p = NULL;
}

/* -- what is known ------------------------------------------------------------------------------------------------- */

static entry_t *find_entry (const tokens_t *self, const char *key)
{
    for (size_t i = 0; i < ENTRIES_MAX; i++)
        if (self->entries [i].key && strcmp (self->entries [i].key, key) == 0)
            return (entry_t *) &self->entries [i];
    return NULL;
}

const char *tokens_known (const tokens_t *self, const char *host, const char *scope)
{
    AUTO_FREE char *key = mem_printf ("%s %s", host, scope);
    const entry_t *entry = find_entry (self, key);
    return entry && clock_boot_ms () < entry->until_ms ? entry->authorization : NULL;
}

/* Takes the authorization. */
static void keep (tokens_t *self, const char *host, const char *scope, char *authorization, int64_t keep_ms)
{
    AUTO_FREE char *key = mem_printf ("%s %s", host, scope);
    entry_t *entry = find_entry (self, key);
    for (size_t i = 0; !entry && i < ENTRIES_MAX; i++)
        if (!self->entries [i].key)
            entry = &self->entries [i];
    if (!entry) {
        entry = &self->entries [0];
        for (size_t i = 1; i < ENTRIES_MAX; i++)
            if (self->entries [i].until_ms < entry->until_ms)
                entry = &self->entries [i];
    }
    entry_clear (entry);
    entry->key = take (&key);
    entry->authorization = authorization;
    entry->until_ms = clock_boot_ms () + keep_ms;
}

/* -- credentials --------------------------------------------------------------------------------------------------- */

static credential_t *find_given (const tokens_t *self, const char *host)
{
    for (size_t i = 0; i < self->credential_count; i++)
        if (strcmp (self->credentials [i].host, host) == 0)
            return &self->credentials [i];
    return NULL;
}

/* What was shown before belongs to the former credential. */
static void forget_host (tokens_t *self, const char *host)
{
    size_t size = strlen (host);
    for (size_t i = 0; i < ENTRIES_MAX; i++)
        if (self->entries [i].key && strncmp (self->entries [i].key, host, size) == 0 && self->entries [i].key [size] == ' ')
            entry_clear (&self->entries [i]);
}

void tokens_set_credential (tokens_t *self, const char *host, const char *authorization)
{
    credential_t *given = find_given (self, host);
    if (!given) {
        self->credentials = mem_resize (self->credentials, (self->credential_count + 1) * sizeof *self->credentials);
        given = &self->credentials [self->credential_count++];
        *given = (credential_t) { .host = mem_strdup (host) };
    }
    docker_config_wipe (&given->authorization);
    given->authorization = mem_strdup (authorization);
    forget_host (self, host);
}

/* *out NULL where there is nothing. */
static int find_credential (const tokens_t *self, const char *host, char **out, err_t *err)
{
    const credential_t *given = find_given (self, host);
    *out = given ? mem_strdup (given->authorization) : NULL;
    if (*out || !self->settings->auth_file)
        return 0;
    return docker_config_find (self->settings->auth_file, host, out, err);
}

int tokens_refused (const tokens_t *self, const char *host, err_t *err)
{
    AUTO_SECRET char *credential = NULL;
    const credential_t *given = find_given (self, host);
    const char *file = self->settings->auth_file ? self->settings->auth_file : "docker's config.json (registry/auth-file)";
    if (given && given->authorization)
        return err_set (err, ERR_REGISTRY_DENIED, "%s refuses the user and password that were given for it", host);
    if (find_credential (self, host, &credential, err) < 0)
        return err_set (err, ERR_REGISTRY_DENIED, "%s", err ? err->text : "");
    if (credential)
        return err_set (err, ERR_REGISTRY_DENIED, "%s refuses the user and password in %s, or that user may not do this; log "
                        "in again (docker login %s), or ask for the right", host, file, host);
    return err_set (err, ERR_REGISTRY_DENIED, "%s wants a login (or there is no such repository), and there is none for it in "
                    "%s; log in (docker login %s)", host, file, host);
}

/* -- tokens -------------------------------------------------------------------------------------------------------- */

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

static int read_token (const buffer_t *body, char **authorization, int64_t *keep_ms, err_t *err)
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

static int judge_status (int status, const char *shown, err_t *err)
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

static void wipe_buffer (buffer_t *buffer)
{
    if (buffer->data)
        sodium_memzero (buffer->data, buffer->capacity);
    buffer_free (buffer);
}

static int ask_realm (const tokens_t *self, const char *url, const http_certs_t *certs, const char *shown, buffer_t *body,
                      err_t *err)
{
    AUTO_SECRET char *header = shown ? mem_printf ("Authorization: %s", shown) : NULL;
    const char *const headers [] = { "Accept: application/json", header, NULL };
    AUTO_FREE http_answer_t *answer = mem_alloc (sizeof *answer);
    int timeout_ms = self->settings->timeout_ms;
    http_request_t request = { .method = "GET", .url = url, .headers = headers, .certs = certs, .timeout_ms = timeout_ms,
                               .total_ms = timeout_ms };
    if (http_open (self->http, &request, answer, err) < 0 || judge_status (answer->status, shown, err) < 0)
        return -1;
    return http_read_all (self->http, TOKEN_BYTES_MAX, body, err);
}

/* Where the realm is, and whether the registry's credential may be shown there. */
static int judge_realm (const tokens_t *self, const char *host, const char *realm, bool *is_trusted, char **name, err_t *err)
{
    origin_t origin, home;
    AUTO_FREE char *registry = url_of_registry (host, self->settings->plain_http_hosts);
    if (url_origin (realm, &origin, err) < 0 || url_origin (registry, &home, err) < 0)
        return -1;
    bool has_port = origin.port != (origin.is_https ? 443 : 80);
    *name = has_port ? mem_printf ("%s:%d", origin.host, origin.port) : mem_strdup (origin.host);
    if (!origin_is_allowed (&origin, self->settings->plain_http_hosts))
        return err_set (err, ERR_REGISTRY_DENIED, "the token service %s is not encrypted; list it under registry/plain-http if "
                        "that is meant", *name);
    *is_trusted = origin_is_same_site (&origin, &home) && (origin.is_https || !home.is_https);
    return 0;
}

static int fetch_token (tokens_t *self, const char *host, const char *scope, const challenge_t *challenge, err_t *err)
{
    bool is_trusted = false;
    int64_t keep_ms = 0;
    AUTO_FREE char *name = NULL;
    AUTO_SECRET char *credential = NULL;
    char *authorization = NULL;
    if (judge_realm (self, host, challenge->realm, &is_trusted, &name, err) < 0)
        return -1;
    if (is_trusted && find_credential (self, host, &credential, err) < 0)
        return -1;
    AUTO_FREE char *url = token_url (challenge, scope);
    http_certs_t certs = { 0 };
    buffer_t body = { 0 };
    http_certs_find (&certs, self->settings->certs_folder, name);
    int rc = ask_realm (self, url, &certs, credential, &body, err);
    if (rc == 0)
        rc = read_token (&body, &authorization, &keep_ms, err);
    http_certs_free (&certs);
    wipe_buffer (&body);
    if (rc < 0)
        return err_wrap (err, "token for %s from %s", host, name);
    keep (self, host, scope, authorization, keep_ms);
    return 0;
}

int tokens_meet (tokens_t *self, const char *host, const char *scope, const char *challenge, err_t *err)
{
    AUTO_FREE challenge_t *parsed = mem_alloc (sizeof *parsed);
    if (challenge_parse (parsed, challenge, err) < 0)
        return err_wrap (err, "%s", host);
    if (parsed->scheme == CHALLENGE_BEARER)
        return fetch_token (self, host, scope, parsed, err);
    char *credential = NULL;
    if (find_credential (self, host, &credential, err) < 0)
        return -1;
    if (!credential)
        return tokens_refused (self, host, err);
    keep (self, host, scope, credential, BASIC_KEEP_MS);
    return 0;
}
