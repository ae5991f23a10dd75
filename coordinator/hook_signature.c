/* hook_signature.c - see hook_signature.h. */
#include "coordinator/hook_signature.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/base64.h"
#include "coordinator/hook_secret.h"

enum { SKEW_S = 300, SIGNATURES_MAX = 8 };
#define STANDARD_SECRET "whsec_"

/* -- hex digits over the body ------------------------------------------------------------------------------------- */

static int check_hex (const char *header, const char *hex, const char *secret, const void *body, size_t size, err_t *err)
{
    uint8_t given [HOOK_MAC], wanted [HOOK_MAC];
    size_t given_size = 0;
    const char *end = hex;
    bool is_hex = strlen (hex) == 2 * HOOK_MAC && sodium_hex2bin (given, sizeof given, hex, 2 * HOOK_MAC, NULL, &given_size, &end) == 0 && given_size == HOOK_MAC;
    hook_mac (secret, strlen (secret), "", body, size, wanted);
    if (is_hex && sodium_memcmp (given, wanted, HOOK_MAC) == 0)
        return 0;
    return err_set (err, ERR_DENIED, "%s is not made with the hook's secret", header);
}

static int check_hub (const char *value, const char *secret, const void *body, size_t size, err_t *err)
{
    static const char prefix [] = "sha256=";
    if (strncmp (value, prefix, sizeof prefix - 1) != 0)
        return err_set (err, ERR_DENIED, "X-Hub-Signature-256 does not begin with %s", prefix);
    return check_hex ("X-Hub-Signature-256", value + sizeof prefix - 1, secret, body, size, err);
}

/* -- Standard Webhooks -------------------------------------------------------------------------------------------- */

static int check_time (const hook_headers_t *headers, int64_t wall_ms, err_t *err)
{
    char *end;
    if (!headers->standard_id || !*headers->standard_id || !headers->standard_time)
        return err_set (err, ERR_DENIED, "webhook-signature comes without webhook-id or webhook-timestamp");
    errno = 0;
    long long at_s = strtoll (headers->standard_time, &end, 10), now_s = wall_ms / 1000;
    if (errno || end == headers->standard_time || *end || at_s < now_s - SKEW_S || at_s > now_s + SKEW_S)
        return err_set (err, ERR_DENIED, "webhook-timestamp is more than %d s away from the coordinator's clock, or no time", SKEW_S);
    return 0;
}

/* Any of "v1,BASE64 v1,BASE64"; all are looked at. */
static bool has_signature (const char *value, const uint8_t wanted [HOOK_MAC])
{
    bool is_there = false;
    AUTO_FREE char *copy = mem_strdup (value);
    char *rest = NULL;
    int count = 0;
    for (char *word = strtok_r (copy, " ", &rest); word && count < SIGNATURES_MAX; word = strtok_r (NULL, " ", &rest), count++) {
        AUTO_BUFFER buffer_t given = { 0 };
        if (strncmp (word, "v1,", 3) == 0 && base64_decode (word + 3, &given) == 0 && given.size == HOOK_MAC)
            is_there |= sodium_memcmp (given.data, wanted, HOOK_MAC) == 0;
    }
    return is_there;
}

static int check_standard (const hook_headers_t *headers, const char *secret, const void *body, size_t size, int64_t wall_ms, err_t *err)
{
    uint8_t wanted [HOOK_MAC];
    AUTO_BUFFER buffer_t key = { 0 };
    if (check_time (headers, wall_ms, err) < 0)
        return -1;
    size_t prefix = strlen (STANDARD_SECRET);
    if (strncmp (secret, STANDARD_SECRET, prefix) != 0 || base64_decode (secret + prefix, &key) < 0 || key.size == 0)
        return err_set (err, ERR_DENIED, "webhook-signature needs a secret that begins with %s", STANDARD_SECRET);
    AUTO_FREE char *signed_text = mem_printf ("%s.%s.", headers->standard_id, headers->standard_time);
    hook_mac (key.data, key.size, signed_text, body, size, wanted);
    sodium_memzero (key.data, key.size);
    return has_signature (headers->standard, wanted) ? 0 : err_set (err, ERR_DENIED, "webhook-signature is not made with the hook's secret");
}

/* -- GitLab's token ----------------------------------------------------------------------------------------------- */

/* Of digests, for the two may differ in length. */
static int check_token (const char *token, const char *secret, err_t *err)
{
    uint8_t given [32], wanted [32];
    crypto_generichash (given, sizeof given, (const uint8_t *) token, strlen (token), NULL, 0);
    crypto_generichash (wanted, sizeof wanted, (const uint8_t *) secret, strlen (secret), NULL, 0);
    return sodium_memcmp (given, wanted, sizeof given) == 0 ? 0 : err_set (err, ERR_DENIED, "X-Gitlab-Token is not the hook's secret");
}

/* -- all of them -------------------------------------------------------------------------------------------------- */

static int check (const hook_headers_t *headers, const char *secret, const void *body, size_t size, int64_t wall_ms, err_t *err)
{
    if (headers->standard)
        return check_standard (headers, secret, body, size, wall_ms, err);
    if (headers->hub)
        return check_hub (headers->hub, secret, body, size, err);
    if (headers->gitea)
        return check_hex ("X-Gitea-Signature", headers->gitea, secret, body, size, err);
    if (headers->forgejo)
        return check_hex ("X-Forgejo-Signature", headers->forgejo, secret, body, size, err);
    if (headers->token)
        return check_token (headers->token, secret, err);
    return err_set (err, ERR_USAGE, "nothing is signed: neither X-Hub-Signature-256, X-Gitea-Signature, webhook-signature nor X-Gitlab-Token is there");
}

static void name_delivery (const hook_headers_t *headers, const char *name, const void *body, size_t size, char request [HOOK_REQUEST_SIZE])
{
    uint8_t bytes [16];
    bool is_token = !headers->standard && !headers->hub && !headers->gitea && !headers->forgejo;
    const char *id = headers->standard ? headers->standard_id : is_token ? headers->delivery : NULL;
    AUTO_FREE char *about = mem_printf ("hook/%s/%s/", name, id ? "id" : "body");
    crypto_generichash_state state;
    crypto_generichash_init (&state, NULL, 0, sizeof bytes);
    crypto_generichash_update (&state, (const uint8_t *) about, strlen (about));
    crypto_generichash_update (&state, id ? (const uint8_t *) id : body, id ? strlen (id) : size);
    crypto_generichash_final (&state, bytes, sizeof bytes);
    sodium_bin2hex (request, HOOK_REQUEST_SIZE, bytes, sizeof bytes);
}

int hook_verify (const hook_headers_t *headers, const char *name, const char *secret, const void *body, size_t size, int64_t wall_ms,
                 char request [HOOK_REQUEST_SIZE], err_t *err)
{
    if (check (headers, secret, body, size, wall_ms, err) < 0)
        return -1;
    name_delivery (headers, name, body, size, request);
    return 0;
}
