/* registry_call.c - see registry_call.h.
 *
 *     try again (5xx, 429, connection)
 *       └ follow: send -> 401: meet the challenge, once -> send -> 307: to where it says, without credentials elsewhere */
#include "common/registry_call.h"

#include <limits.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/docker_config.h"
#include "common/url.h"

enum { TRIES = 3, REDIRECTS_MAX = 5, RETRY_MS = 400, TIMEOUT_MS = 30000, REST_MS = 60000, TOTAL_FACTOR = 10, HEADERS_MAX = 8 };

#define AUTO_SECRET __attribute__ ((cleanup (docker_config_wipe)))

/* -- the client ---------------------------------------------------------------------------------------------------- */

registry_t *registry_new (const registry_settings_t *settings)
{
    registry_t *self = mem_alloc (sizeof *self);
    self->settings = *settings;
    self->settings.auth_file = mem_strdup (settings->auth_file);
    self->settings.certs_folder = mem_strdup (settings->certs_folder);
    if (self->settings.timeout_ms <= 0)
        self->settings.timeout_ms = TIMEOUT_MS;
    self->http = http_new ();
    for (size_t i = 0; i < REGISTRY_LANES; i++)
        self->lanes [i] = http_new_beside (self->http);
    self->source = http_new ();
    self->tokens = tokens_new (self->http, &self->settings);
    return self;
}

void registry_destroy (registry_t **self_p)
{
    registry_t *self = *self_p;
    if (!self)
        return;
    tokens_destroy (&self->tokens);
    for (size_t i = 0; i < REGISTRY_LANES; i++)
        http_destroy (&self->lanes [i]);
    http_destroy (&self->http);
    http_destroy (&self->source);
    free ((char *) self->settings.auth_file);
    free ((char *) self->settings.certs_folder);
    free (self);
    *self_p = NULL;
}

void registry_set_credential (registry_t *self, const char *host, const char *authorization)
{
    tokens_set_credential (self->tokens, host, authorization);
}

void call_scope (char scope [TOKEN_SCOPE_MAX], const reference_t *repository, const char *actions)
{
    snprintf (scope, TOKEN_SCOPE_MAX, "repository:%s:%s", repository->path, actions);
}

/* -- one request --------------------------------------------------------------------------------------------------- */

/* Where a call goes next. Whether that is the registry itself decides what it is shown, and where it may be. */
typedef struct {
    char *url;
    bool is_home, is_guarded;
    place_t from;                       /* of who has named it */
    http_certs_t certs;
} target_t;

static void target_clear (target_t *self)
{
    free (self->url);
    http_certs_free (&self->certs);
    *self = (target_t) { 0 };
}
#define AUTO_TARGET __attribute__ ((cleanup (target_clear)))

/* Takes the URL. Each host has certificates of its own; the registry's are found under its name in references. */
static int target_set (target_t *self, const registry_t *registry, const char *host, char *url, place_t from, err_t *err)
{
    origin_t origin, home;
    AUTO_FREE char *base = url_of_registry (host, registry->settings.plain_http_hosts);
    target_clear (self);
    self->url = url;
    if (url_origin (url, &origin, err) < 0 || url_origin (base, &home, err) < 0)
        return -1;
    if (!origin_is_allowed (&origin, registry->settings.plain_http_hosts))
        return err_set (err, ERR_REGISTRY_DENIED, "it sends us on to %s, which is not encrypted; list that host under "
                        "registry/plain-http if it is meant, or correct the registry's own idea of its address", url);
    self->is_home = origin_equal (&origin, &home);
    bool is_guarded_home = self->is_home && registry->settings.guards_homes && !origin_is_listed (&origin, registry->settings.plain_http_hosts);
    self->is_guarded = (!self->is_home || is_guarded_home) && !origin_is_listed (&origin, registry->settings.inside_hosts);
    self->from = is_guarded_home ? PLACE_PRIVATE : from;
    AUTO_FREE char *other = origin_name (&origin);
    http_certs_find (&self->certs, registry->settings.certs_folder, self->is_home ? host : other);
    return 0;
}

void registry_set_deadline (registry_t *self, int64_t until_ms)
{
    self->until_ms = until_ms;
}

/* For one request; 0: no limit. */
static int total_ms_of (const registry_t *self, bool is_long)
{
    int most = is_long ? 0 : (self->settings.is_brief ? 1 : TOTAL_FACTOR) * self->settings.timeout_ms;
    if (!self->until_ms)
        return most;
    int64_t left = self->until_ms - clock_boot_ms ();
    return left < 1 ? 1 : most && left > most ? most : left > INT_MAX ? INT_MAX : (int) left;
}

static call_progress send_call (registry_t *self, http_t *http, const call_t *call, const target_t *target, http_answer_t *answer)
{
    const char *headers [HEADERS_MAX + 2];
    size_t count = 0;
    const char *known = target->is_home ? tokens_known (self->tokens, call->host, call->scope) : NULL;
    AUTO_SECRET char *authorization = known ? mem_printf ("Authorization: %s", known) : NULL;
    for (; call->headers && call->headers [count] && count < HEADERS_MAX; count++)
        headers [count] = call->headers [count];
    if (authorization)
        headers [count++] = authorization;
    headers [count] = NULL;
    bool is_long = call->read || http == self->source;
    http_request_t request = {
        .method = call->method, .url = target->url, .headers = headers, .body = call->body, .body_size = call->body_size,
        .read = call->read, .read_argument = call->read_argument, .body_bytes = call->body_bytes, .certs = &target->certs,
        .is_guarded = target->is_guarded, .may_reach = target->from,
        .timeout_ms = self->settings.timeout_ms, .total_ms = total_ms_of (self, is_long),
    };
    http_begin (http, &request, answer);
    return authorization ? CALL_BEGUN_WITH_TOKEN : CALL_BEGUN;
}

char *call_location (const registry_t *self, const call_t *call, const http_answer_t *answer, err_t *err)
{
    AUTO_FREE char *home = url_of_registry (call->host, self->settings.plain_http_hosts);
    AUTO_FREE char *base = *call->url == '/' ? mem_printf ("%s%s", home, call->url) : mem_strdup (call->url);
    return url_resolve (base, answer->location, err);
}

static bool is_redirect (int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Only what has no body goes on to somewhere else. */
static bool may_follow (const call_t *call)
{
    return strcmp (call->method, "GET") == 0 || strcmp (call->method, "HEAD") == 0;
}

static int set_first_target (target_t *self, const registry_t *registry, const call_t *call, err_t *err)
{
    AUTO_FREE char *home = url_of_registry (call->host, registry->settings.plain_http_hosts);
    char *first = *call->url == '/' ? mem_printf ("%s%s", home, call->url) : mem_strdup (call->url);
    return target_set (self, registry, call->host, first, call->from, err);
}

/* A challenge and redirects on the way to an answer. When the first request has begun already, another one may have met the
 * challenge meanwhile. */
static int follow (registry_t *self, http_t *http, const call_t *call, call_progress progress, http_answer_t *answer, err_t *err)
{
    AUTO_TARGET target_t target = { 0 };
    bool has_met = false;
    if (set_first_target (&target, self, call, err) < 0)
        return -1;
    for (int hops = 0; hops <= REDIRECTS_MAX; progress = CALL_NEW) {
        if (progress == CALL_NEW)
            send_call (self, http, call, &target, answer);
        int waited = http_wait (http, err);
        registry_tally_add (self->settings.tally, call->method, waited < 0 ? 0 : answer->status);
        if (waited < 0)
            return -1;
        if (answer->status == 401 && target.is_home && !call->read) {
            if (progress == CALL_BEGUN && tokens_known (self->tokens, call->host, call->scope))
                continue;
            if (has_met)
                return tokens_refused (self->tokens, call->host, err);
            has_met = true;
            if (tokens_meet (self->tokens, call->host, call->scope, answer->challenge, answer->place, err) < 0)
                return -1;
        } else if (is_redirect (answer->status) && may_follow (call)) {
            char *next = url_resolve (target.url, answer->location, err);
            if (!next || target_set (&target, self, call->host, next, answer->place, err) < 0)
                return -1;
            hops++;
        } else
            return 0;
    }
    return err_set (err, ERR_REGISTRY, "%s sends us on more than %d times", call->host, REDIRECTS_MAX);
}

/* -- trying again -------------------------------------------------------------------------------------------------- */

static bool may_pass (int status)
{
    return status >= 500 || status == 429 || status == 408;
}

static void sleep_ms (int64_t ms)
{
    struct timespec left = { ms / 1000, ms % 1000 * 1000000 };
    while (nanosleep (&left, &left) < 0 && errno == EINTR)
        ;
}

bool call_wait (const registry_t *self, int tries, int retry_after_s)
{
    int64_t wait_ms = retry_after_s >= 0 ? (int64_t) retry_after_s * 1000 : (int64_t) RETRY_MS * tries * tries;
    if (wait_ms > self->settings.timeout_ms)
        return false;
    sleep_ms (wait_ms);
    return true;
}

/* To the callers of the registry client, the network between is the registry's. */
static int end_in_error (err_t *err)
{
    if (err && (err->code == ERR_NETWORK || err->code == ERR_PROTOCOL))
        err->code = ERR_REGISTRY;
    return -1;
}

/* body NULL: only until the headers. */
static int try_call (registry_t *self, http_t *http, const call_t *call, call_progress progress, size_t max_bytes,
                     http_answer_t *answer, buffer_t *body, err_t *err)
{
    if (follow (self, http, call, progress, answer, err) < 0)
        return -1;
    if (!body)
        return 0;
    buffer_clear (body);
    size_t limit = answer->status > 299 ? ERROR_BODY_MAX : max_bytes;
    return http_read_all (http, limit, body, err);
}

static int retry (registry_t *self, http_t *http, const call_t *call, call_progress progress, size_t max_bytes,
                  http_answer_t *answer, buffer_t *body, err_t *err)
{
    int tries_max = call->read || self->settings.is_brief ? 1 : TRIES;
    for (int tries = 1;; tries++, progress = CALL_NEW) {
        err_t why = { 0 };
        int rc = try_call (self, http, call, progress, max_bytes, answer, body, &why);
        bool is_over = rc == 0 ? !may_pass (answer->status) : why.code != ERR_NETWORK;
        if (is_over || tries == tries_max || !call_wait (self, tries, rc == 0 ? answer->retry_after_s : -1)) {
            if (self->settings.is_brief && !is_over)
                resting_add (&self->resting, call->host, self->settings.rest_ms > 0 ? self->settings.rest_ms : REST_MS);
            if (rc < 0 && err)
                *err = why;
            return rc < 0 ? end_in_error (err) : 0;
        }
    }
}

int call_open (registry_t *self, http_t *http, const call_t *call, http_answer_t *answer, err_t *err)
{
    return retry (self, http, call, CALL_NEW, 0, answer, NULL, err);
}

int call_whole (registry_t *self, const call_t *call, size_t max_bytes, http_answer_t *answer, buffer_t *body, err_t *err)
{
    return retry (self, self->http, call, CALL_NEW, max_bytes, answer, body, err);
}

call_progress call_begin (registry_t *self, http_t *http, const call_t *call, http_answer_t *answer, err_t *err)
{
    AUTO_TARGET target_t target = { 0 };
    if (resting_refuse (&self->resting, call->host, err) < 0)
        return CALL_NEW;
    return set_first_target (&target, self, call, err) < 0 ? CALL_NEW : send_call (self, http, call, &target, answer);
}

int call_end (registry_t *self, http_t *http, const call_t *call, call_progress progress, size_t max_bytes,
              http_answer_t *answer, buffer_t *body, err_t *err)
{
    return retry (self, http, call, progress, max_bytes, answer, body, err);
}

/* -- answers that are none ----------------------------------------------------------------------------------------- */

/* {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]} */
static char *words_of (const buffer_t *body)
{
    AUTO_JSON json_t *document = body && body->data ? json_loadb ((const char *) body->data, body->size, 0, NULL) : NULL;
    const json_t *first = json_array_get (json_object_get (document, "errors"), 0);
    const char *code = json_string_value (json_object_get (first, "code"));
    const char *message = json_string_value (json_object_get (first, "message"));
    if (!code && !message)
        return mem_strdup ("");
    return mem_printf (" (%.64s%s%.300s)", code ? code : "", code && message ? ": " : "", message ? message : "");
}

static const char *advice (int status)
{
    switch (status) {
        case 401: case 403: return "; its user may not do that: ask for the right, or log in as another";
        case 404: return "; check the repository's name";
        case 405: return "; does it allow pushes, and is this a registry at all?";
        case 413: return "; it, or a proxy before it, wants smaller uploads";
        case 429: return "; it has had too many requests: wait";
        default: return status >= 500 ? "; look at the registry's log" : "";
    }
}

int call_failed (const call_t *call, const http_answer_t *answer, const buffer_t *body, err_t *err)
{
    AUTO_FREE char *words = words_of (body);
    int status = answer->status;
    bool is_final = status >= 400 && !may_pass (status);
    if (status >= 400)
        return err_set (err, is_final ? ERR_REGISTRY_DENIED : ERR_REGISTRY, "%s answers %s with status %d%s%s", call->host,
                        call->method, status, words, advice (status));
    return err_set (err, ERR_REGISTRY, "%s answers %s with status %d, which makes no sense here: is it a registry?",
                    call->host, call->method, status);
}
