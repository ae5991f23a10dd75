/* fuzz_token.c - token services: where a registry sends us, and what comes from there. Lines: the registry, a host of registry/plain-http, one of
 * registry/inside, the scope, WWW-Authenticate; then the body of the answer.
 *
 * covers: common/realm.c */
#include <stdlib.h>
#include <string.h>

#include "common/realm.h"
#include "common/url.h"
#include "fuzz.h"

/* The credential goes nowhere but to the registry's own site, and nothing goes where a listener could read it, unless that was configured. */
static void check (const realm_t *realm, const registry_settings_t *settings, const char *host, const char *wanted)
{
    origin_t origin, home;
    AUTO_FREE char *registry = url_of_registry (host, settings->plain_http_hosts);
    MUST (url_origin (realm->url, &origin, NULL) == 0 && url_origin (registry, &home, NULL) == 0);
    AUTO_FREE char *name = origin_name (&origin);
    MUST (strcmp (name, realm->name) == 0 && strncmp (realm->url, wanted, strlen (wanted)) == 0);
    MUST (origin_is_allowed (&origin, settings->plain_http_hosts));
    MUST (!realm->is_trusted || origin_is_same_site (&origin, &home));
    MUST (!realm->is_trusted || origin.is_https || !home.is_https);
    MUST (realm->is_guarded || origin_equal (&origin, &home) || origin_is_listed (&origin, settings->inside_hosts));
    MUST (!strpbrk (realm->url + strlen (wanted), " \r\n"));
}

static void read_challenge (const registry_settings_t *settings, const char *host, const char *scope, const char *text)
{
    static challenge_t challenge;
    realm_t realm;
    err_t err = { 0 };
    if (challenge_parse (&challenge, text, NULL) < 0 || challenge.scheme != CHALLENGE_BEARER)
        return;
    if (realm_find (&realm, settings, host, &challenge, scope, &err) == 0)
        check (&realm, settings, host, challenge.realm);
    else
        MUST (err.code == ERR_REGISTRY || err.code == ERR_REGISTRY_DENIED);
    realm_clear (&realm);
}

/* It goes into a header. */
static void read_token (char *text, size_t size)
{
    err_t err = { 0 };
    char *authorization = NULL;
    int64_t keep_ms = 0;
    buffer_t body = { .data = (uint8_t *) text, .size = size, .capacity = size };
    if (realm_read_token (&body, &authorization, &keep_ms, &err) < 0) {
        MUST (err.code == ERR_REGISTRY && !authorization);
        return;
    }
    MUST (strncmp (authorization, "Bearer ", 7) == 0 && authorization [7] && strlen (authorization) <= size + 7);
    for (const char *at = authorization + 7; *at; at++)
        MUST (*at > ' ' && *at < 0x7f);
    MUST (keep_ms > 0 && keep_ms <= 43200000);
    free (authorization);
}

FUZZ_TARGET (token)
{
    size_t length;
    fuzz_input_t input = { data, size };
    AUTO_FREE char *host = fuzz_line (&input, NULL), *plain = fuzz_line (&input, NULL), *inside = fuzz_line (&input, NULL);
    AUTO_FREE char *scope = fuzz_line (&input, NULL), *text = fuzz_line (&input, NULL), *body = fuzz_rest (&input, &length);
    const char *const plain_hosts [] = { plain, NULL }, *const inside_hosts [] = { inside, NULL };
    registry_settings_t settings = { .certs_folder = "/nowhere", .plain_http_hosts = plain_hosts, .inside_hosts = inside_hosts };
    read_challenge (&settings, host, scope, text);
    read_token (body, length);
}
