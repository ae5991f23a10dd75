/* fuzz_hook.c - the headers of a request to a hook: eight lines, X-Hub-Signature-256, X-Gitea-Signature, X-Forgejo-Signature, X-Gitlab-Token,
 * webhook-signature, webhook-id, webhook-timestamp, Idempotency-Key; an empty one is not there, and "!" is what the hook's secret makes of it.
 * Behind them the body.
 *
 * covers: coordinator/hook_signature.c coordinator/base64.c */
#include <sodium.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/base64.h"
#include "coordinator/hook_secret.h"
#include "coordinator/hook_signature.h"
#include "fuzz.h"

static const int64_t now_ms = 1700000000000;
static const char key [] = "a key of 24 bytes in all";

static void sign_hex (char **header, const char *prefix, const char *secret, const char *body, size_t size)
{
    uint8_t mac [HOOK_MAC];
    char hex [2 * HOOK_MAC + 1];
    if (!*header || strcmp (*header, "!") != 0)
        return;
    hook_mac (secret, strlen (secret), "", body, size, mac);
    free (*header);
    *header = mem_printf ("%s%s", prefix, sodium_bin2hex (hex, sizeof hex, mac, sizeof mac));
}

static void sign_standard (hook_headers_t *headers, const char *body, size_t size)
{
    uint8_t mac [HOOK_MAC];
    if (!headers->standard || strcmp (headers->standard, "!") != 0 || !headers->standard_id || !headers->standard_time)
        return;
    AUTO_FREE char *text = mem_printf ("%s.%s.", headers->standard_id, headers->standard_time);
    hook_mac (key, strlen (key), text, body, size, mac);
    AUTO_FREE char *code = base64_encode (mac, sizeof mac);
    free (headers->standard);
    headers->standard = mem_printf ("v1,%s", code);
}

static char *header_of (fuzz_input_t *input)
{
    char *line = fuzz_line (input, NULL);
    if (!*line) {
        free (line);
        line = NULL;
    }
    return line;
}

static bool has_none (const hook_headers_t *headers)
{
    return !headers->standard && !headers->hub && !headers->gitea && !headers->forgejo && !headers->token;
}

/* Whoever is let in was so by the secret, and by these bytes, unless the secret itself was sent. */
static void check_good (const hook_headers_t *headers, const char *secret, const char *body, size_t size, const char *request)
{
    char other [HOOK_REQUEST_SIZE];
    bool is_signed = headers->standard || headers->hub || headers->gitea || headers->forgejo;
    AUTO_FREE char *longer = mem_alloc (size + 1);
    memcpy (longer, body, size);
    MUST (strspn (request, "0123456789abcdef") == HOOK_REQUEST_SIZE - 1 && !request [HOOK_REQUEST_SIZE - 1]);
    MUST (hook_verify (headers, "nightly", "whsec_b3RoZXI=", body, size, now_ms, other, NULL) < 0);
    MUST ((hook_verify (headers, "nightly", secret, longer, size + 1, now_ms, other, NULL) < 0) == is_signed);
}

FUZZ_TARGET (hook)
{
    fuzz_input_t input = { data, size };
    char request [HOOK_REQUEST_SIZE] = "";
    err_t err = { 0 };
    size_t body_size;
    AUTO_FREE char *hub = header_of (&input), *gitea = header_of (&input), *forgejo = header_of (&input), *token = header_of (&input),
                   *standard = header_of (&input), *id = header_of (&input), *time = header_of (&input), *delivery = header_of (&input);
    AUTO_FREE char *body = fuzz_rest (&input, &body_size), *code = base64_encode (key, strlen (key)), *secret = mem_printf ("whsec_%s", code);
    sign_hex (&hub, "sha256=", secret, body, body_size);
    sign_hex (&gitea, "", secret, body, body_size);
    sign_hex (&forgejo, "", secret, body, body_size);
    bool is_token = token && strcmp (token, "!") == 0;
    hook_headers_t headers = { .hub = hub, .gitea = gitea, .forgejo = forgejo, .token = is_token ? secret : token, .standard = standard,
                               .standard_id = id, .standard_time = time, .delivery = delivery };
    sign_standard (&headers, body, body_size);
    standard = headers.standard;
    if (hook_verify (&headers, "nightly", secret, body, body_size, now_ms, request, &err) == 0)
        check_good (&headers, secret, body, body_size, request);
    else
        MUST (err.code == (has_none (&headers) ? ERR_USAGE : ERR_DENIED));
}
