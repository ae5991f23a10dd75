/* web_hook.c - POST /hooks/NAME: a forge, or anybody with the secret, starts a schedule's build.
 *
 *     body --> HOOK --> gateway --SECRET (sealed)--> signature --good--> RUN --> gateway --ANSWER (202, the build)-->
 *                                                       \-----bad---> denials (the audit log), 401, 403, 429
 *
 * Whether there is such a hook is not told to who cannot sign. The body counts for nothing but its signature and, where the hook is for one branch,
 * its "ref". */
#include "coordinator/web_private.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"

enum { NAME_MAX_BYTES = 63, HEADER_MAX = 512, BURST = 30, REFILL_MS = 2000, REFUSALS_BURST = 60, REFUSALS_REFILL_MS = 1000 };

/* -- what comes in ------------------------------------------------------------------------------------------------ */

bool hook_is_path (const char *path)
{
    static const char letters [] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t prefix = strlen (HOOK_PREFIX);
    if (strncmp (path, HOOK_PREFIX, prefix) != 0)
        return false;
    const char *name = path + prefix;
    size_t size = strlen (name);
    return size > 0 && size <= NAME_MAX_BYTES && strspn (name, letters) == size && !strchr ("._-", *name);
}

/* What is longer than it can be is none of theirs, and matches nothing. */
static char *header_of (struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value (connection, MHD_HEADER_KIND, name);
    return value ? mem_strndup (value, strnlen (value, HEADER_MAX)) : NULL;
}

/* Kept, since they are looked at when the connection is suspended. */
static void read_headers (hook_headers_t *headers, struct MHD_Connection *connection)
{
    *headers = (hook_headers_t) {
        .hub = header_of (connection, "X-Hub-Signature-256"), .gitea = header_of (connection, "X-Gitea-Signature"),
        .forgejo = header_of (connection, "X-Forgejo-Signature"), .token = header_of (connection, "X-Gitlab-Token"),
        .standard = header_of (connection, "webhook-signature"), .standard_id = header_of (connection, "webhook-id"),
        .standard_time = header_of (connection, "webhook-timestamp"), .delivery = header_of (connection, "Idempotency-Key"),
        .event = header_of (connection, "X-GitHub-Event"),
    };
    if (!headers->delivery)
        headers->delivery = header_of (connection, "X-Gitlab-Event-UUID");
}

void hook_begin (web_call_t *call, const char *path)
{
    snprintf (call->hook, sizeof call->hook, "%s", path + strlen (HOOK_PREFIX));
    read_headers (&call->headers, call->connection);
    call->deadline = clock_boot_ms () + WEB_BODY_MS;
}

/* False: the connection is to be given up, its body takes too long. */
bool hook_take_body (web_call_t *call, const char *data, size_t size)
{
    if (call->is_too_large || call->sent.size + size > HOOK_BODY_MAX || call->web->body_bytes + size > WEB_BODIES_MAX) {
        call->is_too_large = true;
        return clock_boot_ms () < call->deadline;
    }
    buffer_append (&call->sent, data, size);
    call->web->body_bytes += size;
    return clock_boot_ms () < call->deadline;
}

void hook_end (web_call_t *call)
{
    hook_headers_t *headers = &call->headers;
    char **const values [] = { &headers->hub, &headers->gitea, &headers->forgejo, &headers->token, &headers->standard, &headers->standard_id,
                               &headers->standard_time, &headers->delivery, &headers->event };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (*values [i])
            sodium_memzero (*values [i], strlen (*values [i]));
        free (*values [i]);
    }
    call->web->body_bytes -= call->sent.size;
    buffer_free (&call->sent);
}

/* -- how often ---------------------------------------------------------------------------------------------------- */

/* A bucket that fills by one in refill_ms. */
static bool take_token (web_bucket_t *bucket, int burst, int refill_ms)
{
    int64_t now = clock_boot_ms (), full_at = (int64_t) burst * refill_ms;
    int64_t level = bucket->empty_at ? now - bucket->empty_at : full_at;
    level = level > full_at ? full_at : level;
    if (level < refill_ms)
        return false;
    bucket->empty_at = now - level + refill_ms;
    return true;
}

/* Hooks that share one share it. */
static web_bucket_t *bucket_of (web_t *self, const char *name)
{
    uint8_t hash [crypto_generichash_BYTES_MIN];
    crypto_generichash (hash, sizeof hash, (const uint8_t *) name, strlen (name), NULL, 0);
    return &self->buckets [hash [0]];
}

/* -- once the secret is there ------------------------------------------------------------------------------------- */

static void tell_address (web_call_t *call, char out [64])
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info (call->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    snprintf (out, 64, "?");
    if (address && address->sa_family == AF_INET)
        inet_ntop (AF_INET, &((const struct sockaddr_in *) address)->sin_addr, out, 64);
    else if (address && address->sa_family == AF_INET6)
        inet_ntop (AF_INET6, &((const struct sockaddr_in6 *) address)->sin6_addr, out, 64);
}

static void deny (web_call_t *call, const err_t *why)
{
    char address [64];
    tell_address (call, address);
    AUTO_FREE char *detail = mem_printf ("hook of schedule %s, from %s: %s", call->hook, address, why->text);
    denials_add (call->web->denials, "", "hook", detail, clock_boot_ms ());
    if (take_token (&call->web->refusals, REFUSALS_BURST, REFUSALS_REFILL_MS))
        web_go_on (call, why->code == ERR_USAGE ? 401 : 403, "there is no such hook, or this was not signed with its secret\n");
    else
        web_go_on (call, 429, "too many requests that are not signed as they should be: wait a minute\n");
}

/* NULL: it builds; else why not. branch "" is any. */
static const char *why_not (const web_call_t *call, const char *branch)
{
    json_error_t error;
    if (call->headers.event && streq (call->headers.event, "ping"))
        return "pong\n";
    if (!*branch)
        return NULL;
    AUTO_JSON json_t *body = json_loadb ((const char *) call->sent.data, call->sent.size, JSON_REJECT_DUPLICATES, &error);
    AUTO_FREE char *wanted = mem_printf ("refs/heads/%s", branch);
    const char *ref = json_string_value (json_object_get (body, "ref")), *after = json_string_value (json_object_get (body, "after"));
    if (!body)
        return "nothing is built: the hook is for one branch, and the body is no JSON; choose application/json where the forge asks for a content type\n";
    if (!ref || !streq (ref, wanted))
        return "nothing is built: this is no push to the hook's branch\n";
    return after && strspn (after, "0") == strlen (after) ? "nothing is built: the branch was deleted\n" : NULL;
}

static void run (web_call_t *call, const char *branch, const char *request)
{
    const char *why = why_not (call, branch);
    if (why)
        web_go_on (call, 200, why);
    else if (!take_token (bucket_of (call->web, call->hook), BURST, REFILL_MS))
        web_go_on (call, 429, "this hook was called too often: it takes 30 calls in a minute\n");
    else
        web_ask_again (call, "RUN", call->hook, request);
}

/* Where there is none, one that nobody has is compared: it takes as long. */
void hook_on_secret (web_call_t *call, const char *sealed, const char *branch)
{
    err_t why = { 0 };
    char request [HOOK_REQUEST_SIZE];
    AUTO_BUFFER buffer_t secret = { 0 };
    AUTO_FREE char *about = mem_printf (HOOK_ABOUT, call->hook);
    bool is_there = *sealed && seal_open (call->web->seal, about, sealed, &secret, &why) == 0;
    if (*sealed && !is_there) {
        web_go_on (call, 500, "the hook's secret cannot be read: set it again (farmctl schedule hook)\n");
        return;
    }
    if (!is_there) {
        uint8_t nobodys [16];
        char hex [2 * sizeof nobodys + 1];
        randombytes_buf (nobodys, sizeof nobodys);
        buffer_clear (&secret);
        buffer_text (&secret, sodium_bin2hex (hex, sizeof hex, nobodys, sizeof nobodys));
    }
    buffer_append (&secret, "", 1);
    int rc = hook_verify (&call->headers, call->hook, (const char *) secret.data, call->sent.data, call->sent.size, clock_wall_ms (), request, &why);
    sodium_memzero (secret.data, secret.size);
    if (rc == 0 && is_there)
        run (call, branch, request);
    else
        deny (call, &why);
}
