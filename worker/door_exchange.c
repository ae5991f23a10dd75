/* door_exchange.c - see door_exchange.h. */
#include "worker/door_exchange.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "worker/door_upstream.h"

enum { TRIES = 3, REDIRECTS_MAX = 5, RETRY_MS = 400, RETRY_AFTER_MAX_S = 10, SLICE_MS = 100, HEADERS_MAX = 24 };

struct exchange {
    CURLM *multi;
    const registry_settings_t *settings;
    pass_t *pass;
    upstream_t upstream;
    transfer_t *transfer;               /* the last one */
    char *url;                          /* where it went */
    place_t from;                       /* who has sent it there */
    err_t withheld;                     /* by the coordinator, of what the registry wanted to be shown */
};

exchange_t *exchange_new (CURLM *multi, const registry_settings_t *settings, pass_t *pass, const char *host)
{
    exchange_t *self = mem_alloc (sizeof *self);
    self->multi = multi;
    self->settings = settings;
    self->pass = pass;
    upstream_find (&self->upstream, host, settings);
    return self;
}

void exchange_destroy (exchange_t **self_p)
{
    exchange_t *self = *self_p;
    if (!self)
        return;
    transfer_destroy (&self->transfer);
    upstream_clear (&self->upstream);
    free (self->url);
    free (self);
    *self_p = NULL;
}

/* Is it the registry itself? Then it is shown what the attempt has for it; else it may only be where the registry may send us. */
static bool is_home (const exchange_t *self, const char *url)
{
    origin_t origin;
    return url_origin (url, &origin, NULL) == 0 && origin_equal (&origin, &self->upstream.origin);
}

static bool is_listed_inside (const exchange_t *self, const char *url)
{
    origin_t origin;
    return url_origin (url, &origin, NULL) == 0 && origin_is_listed (&origin, self->settings->inside_hosts);
}

/* from: the place of who has named it. */
static void set_url (exchange_t *self, const char *url, place_t from)
{
    char *absolute = *url == '/' ? mem_printf ("%s%s", self->upstream.base, url) : mem_strdup (url);
    free (self->url);
    self->url = absolute;
    self->from = from;
}

/* Start a request to self->url. The credential and the client's certificate are for the upstream's origin alone. */
static void start (exchange_t *self, const ask_t *ask, bool has_body, int64_t body_bytes)
{
    const char *headers [HEADERS_MAX + 2];
    size_t count = 0;
    bool is_ours = is_home (self, self->url);
    char *known = is_ours ? upstream_known (self->pass, &self->upstream, ask->scope) : NULL;
    char *authorization = known && *known ? mem_printf ("Authorization: %s", known) : NULL;
    for (; ask->headers && ask->headers [count] && count < HEADERS_MAX; count++)
        headers [count] = ask->headers [count];
    if (authorization)
        headers [count++] = authorization;
    headers [count] = NULL;
    request_t request = { .method = ask->method, .url = self->url, .headers = headers, .has_body = has_body,
                          .body_bytes = body_bytes,
                          .timeout_ms = ask->is_quick ? upstream_quick_ms (self->settings) : upstream_timeout_ms (self->settings),
                          .certs = is_ours ? &self->upstream.certs : NULL, .may_reach = self->from,
                          .is_guarded = !is_ours && !is_listed_inside (self, self->url), .is_stopped = &self->pass->is_closed };
    transfer_destroy (&self->transfer);
    self->transfer = transfer_new (self->multi, &request);
    pass_wipe (&known);
    pass_wipe (&authorization);
}

/* One request, one answer. */
static int try_once (exchange_t *self, const ask_t *ask, answer_t *answer, err_t *err)
{
    start (self, ask, ask->body != NULL, (int64_t) ask->body_size);
    if (ask->body && transfer_send (self->transfer, ask->body, ask->body_size, err) < 0)
        return -1;
    return transfer_answer (self->transfer, answer, err);
}

/* A refused token is fetched anew; one that has just been fetched for this request is not. */
static int meet_challenge (exchange_t *self, const char *scope, const answer_t *answer, err_t *err)
{
    transfer_destroy (&self->transfer);
    return upstream_meet (self->pass, &self->upstream, self->multi, scope, answer, self->settings, &self->withheld, err);
}

const err_t *exchange_withheld (const exchange_t *self)
{
    return self->withheld.code == ERR_NONE ? NULL : &self->withheld;
}

char *exchange_location (const exchange_t *self, const answer_t *answer)
{
    origin_t origin;
    AUTO_FREE char *url = url_resolve (self->url, answer->location, NULL);
    if (!url || url_origin (url, &origin, NULL) < 0 || !origin_is_allowed (&origin, self->settings->plain_http_hosts))
        return NULL;
    return take (&url);
}

static bool is_redirect (int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Whatever it says, what the builder does next may be due to that. */
static int note_answer (exchange_t *self, int rc)
{
    if (rc == 0)
        pass_note_answer (self->pass);
    return rc;
}

/* Redirects and a challenge on the way to an answer. */
static int follow (exchange_t *self, const ask_t *ask, answer_t *answer, err_t *err)
{
    bool has_met = false;
    set_url (self, ask->url, ask->from);
    for (int hops = 0; hops <= REDIRECTS_MAX; hops++) {
        if (try_once (self, ask, answer, err) < 0)
            return -1;
        if (answer->status == 401 && !has_met && is_home (self, self->url)) {
            has_met = true;
            if (meet_challenge (self, ask->scope, answer, err) < 0)
                return -1;
            continue;
        }
        if (!is_redirect (answer->status))
            return 0;
        AUTO_FREE char *next = ask->may_follow ? exchange_location (self, answer) : NULL;
        if (!next)
            return err_set (err, ERR_REGISTRY, "it sends us to \"%.200s\", which is not followed", answer->location);
        set_url (self, next, answer->place);
    }
    return err_set (err, ERR_REGISTRY, "more than %d redirects", REDIRECTS_MAX);
}

static bool may_pass (int status)
{
    return status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

/* Wait before the next try; false when the attempt ends meanwhile, or the registry wants more patience than we have. */
static bool wait_to_retry (const exchange_t *self, int tries, int retry_after_s)
{
    if (retry_after_s > RETRY_AFTER_MAX_S)
        return false;
    int64_t until_ms = clock_boot_ms () + (retry_after_s >= 0 ? retry_after_s * 1000 : RETRY_MS * tries * tries);
    while (clock_boot_ms () < until_ms) {
        if (atomic_load (&self->pass->is_closed))
            return false;
        poll (NULL, 0, SLICE_MS);
    }
    return !atomic_load (&self->pass->is_closed);
}

/* The registry took it without being shown anything: so it will the next, for a while. */
static void keep_none (exchange_t *self, const ask_t *ask, const answer_t *answer)
{
    char *known = upstream_known (self->pass, &self->upstream, ask->scope);
    if (!known && answer->status < 400)
        upstream_need_none (self->pass, &self->upstream, ask->scope);
    pass_wipe (&known);
}

int exchange_ask (exchange_t *self, const ask_t *ask, answer_t *answer, err_t *err)
{
    for (int tries = 1;; tries++) {
        int rc = follow (self, ask, answer, err);
        if (rc == 0 && strcmp (ask->method, "POST") == 0)
            keep_none (self, ask, answer);      /* a read may be free where a write is not */
        bool is_over = rc == 0 ? !may_pass (answer->status) : !err || err->code != ERR_REGISTRY;
        if (is_over || tries == TRIES || !wait_to_retry (self, tries, rc == 0 ? answer->retry_after_s : -1))
            return note_answer (self, rc);
    }
}

/* A body in parts can be sent once only, so what the registry wants to be shown is found out before. */
static int know_authorization (exchange_t *self, const ask_t *ask, err_t *err)
{
    char *known = upstream_known (self->pass, &self->upstream, ask->scope);
    bool is_known = known != NULL;
    pass_wipe (&known);
    if (is_known)
        return 0;
    answer_t answer;
    ask_t ping = { .method = "GET", .url = "/v2/", .scope = ask->scope, .is_quick = true };
    if (exchange_ask (self, &ping, &answer, err) < 0)
        return -1;
    keep_none (self, ask, &answer);
    return 0;
}

int exchange_begin (exchange_t *self, const ask_t *ask, int64_t body_bytes, err_t *err)
{
    if (know_authorization (self, ask, err) < 0)
        return -1;
    set_url (self, ask->url, ask->from);
    start (self, ask, true, body_bytes);
    return 0;
}

int exchange_send (exchange_t *self, const void *data, size_t size, err_t *err)
{
    return transfer_send (self->transfer, data, size, err);
}

bool exchange_is_early (const exchange_t *self)
{
    return transfer_is_early (self->transfer);
}

int exchange_finish (exchange_t *self, answer_t *answer, err_t *err)
{
    return note_answer (self, transfer_answer (self->transfer, answer, err));
}

ssize_t exchange_read (exchange_t *self, void *data, size_t size, err_t *err)
{
    return transfer_read (self->transfer, data, size, err);
}
