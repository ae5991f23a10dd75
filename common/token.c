/* token.c - see token.h. What is kept lies in a small table; the oldest entry makes room. */
#include "common/token.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/challenge.h"
#include "common/clock.h"
#include "common/docker_config.h"
#include "common/realm.h"

enum { ENTRIES_MAX = 32, BASIC_KEEP_MS = 60000 };

#define AUTO_SECRET __attribute__ ((cleanup (docker_config_wipe)))

typedef struct {
    char *key;                          /* "registry.lan repository:team/app:pull" */
    char *authorization;
    int64_t keep_ms, until_ms;          /* renewed from until_ms on */
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

static char *key_of (const char *host, const char *scope)
{
    return mem_printf ("%s %s", host, scope);
}

static entry_t *find_entry (const tokens_t *self, const char *host, const char *scope)
{
    AUTO_FREE char *key = key_of (host, scope);
    for (size_t i = 0; i < ENTRIES_MAX; i++)
        if (self->entries [i].key && strcmp (self->entries [i].key, key) == 0)
            return (entry_t *) &self->entries [i];
    return NULL;
}

const char *tokens_known (const tokens_t *self, const char *host, const char *scope)
{
    const entry_t *entry = find_entry (self, host, scope);
    return entry && clock_boot_ms () < entry->until_ms ? entry->authorization : NULL;
}

int64_t tokens_left_ms (const tokens_t *self, const char *host, const char *scope)
{
    const entry_t *entry = find_entry (self, host, scope);
    int64_t left_ms = entry ? entry->until_ms - clock_boot_ms () : 0;
    return left_ms > 0 ? left_ms : 0;
}

void tokens_forget_due (tokens_t *self, const char *host, const char *scope)
{
    entry_t *entry = find_entry (self, host, scope);
    if (entry && entry->until_ms - clock_boot_ms () < entry->keep_ms / 2)
        entry_clear (entry);
}

/* Takes the authorization. */
static void keep (tokens_t *self, const char *host, const char *scope, char *authorization, int64_t keep_ms)
{
    entry_t *entry = find_entry (self, host, scope);
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
    entry->key = key_of (host, scope);
    entry->authorization = authorization;
    entry->keep_ms = keep_ms;
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

static void wipe_buffer (buffer_t *buffer)
{
    if (buffer->data)
        sodium_memzero (buffer->data, buffer->capacity);
    buffer_free (buffer);
}

/* from: the place of who has sent us there. */
static int ask_realm (const tokens_t *self, const realm_t *realm, place_t from, const char *shown, buffer_t *body, err_t *err)
{
    AUTO_SECRET char *header = shown ? mem_printf ("Authorization: %s", shown) : NULL;
    const char *const headers [] = { "Accept: application/json", header, NULL };
    AUTO_FREE http_answer_t *answer = mem_alloc (sizeof *answer);
    int timeout_ms = self->settings->timeout_ms;
    http_request_t request = { .method = "GET", .url = realm->url, .headers = headers, .certs = &realm->certs, .timeout_ms = timeout_ms,
                               .total_ms = timeout_ms, .is_guarded = realm->is_guarded, .may_reach = from };
    if (http_open (self->http, &request, answer, err) < 0 || realm_judge_status (answer->status, shown != NULL, err) < 0)
        return -1;
    return http_read_all (self->http, TOKEN_BYTES_MAX, body, err);
}

static int fetch_token (tokens_t *self, const char *host, const char *scope, const realm_t *realm, place_t from, err_t *err)
{
    int64_t keep_ms = 0;
    AUTO_SECRET char *credential = NULL;
    char *authorization = NULL;
    buffer_t body = { 0 };
    if (realm->is_trusted && find_credential (self, host, &credential, err) < 0)
        return -1;
    int rc = ask_realm (self, realm, from, credential, &body, err);
    if (rc == 0)
        rc = realm_read_token (&body, &authorization, &keep_ms, err);
    wipe_buffer (&body);
    if (rc < 0)
        return err_wrap (err, "token for %s from %s", host, realm->name);
    keep (self, host, scope, authorization, keep_ms);
    return 0;
}

static int meet_bearer (tokens_t *self, const char *host, const char *scope, const challenge_t *challenge, place_t from, err_t *err)
{
    realm_t realm;
    int rc = realm_find (&realm, self->settings, host, challenge, scope, err);
    if (rc == 0)
        rc = fetch_token (self, host, scope, &realm, from, err);
    realm_clear (&realm);
    return rc;
}

int tokens_meet (tokens_t *self, const char *host, const char *scope, const char *challenge, place_t from, err_t *err)
{
    AUTO_FREE challenge_t *parsed = mem_alloc (sizeof *parsed);
    if (challenge_parse (parsed, challenge, err) < 0)
        return err_wrap (err, "%s", host);
    if (parsed->scheme == CHALLENGE_BEARER)
        return meet_bearer (self, host, scope, parsed, from, err);
    char *credential = NULL;
    if (find_credential (self, host, &credential, err) < 0)
        return -1;
    if (!credential)
        return tokens_refused (self, host, err);
    keep (self, host, scope, credential, BASIC_KEEP_MS);
    return 0;
}
