/* web_call.c - one request to the coordinator's HTTP service, from its path to its answer.
 *
 *     headers -> route -> ask the gateway, wait (the connection is suspended) -> ANSWER -> respond
 */
#include "coordinator/web_private.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

static const struct { web_route route; const char *path, *verb; } routes [] = {
    { ROUTE_HEALTH, "/healthz", "HEALTH" }, { ROUTE_READY, "/readyz", "READY" }, { ROUTE_METRICS, "/metrics", "METRICS" },
};
static const char *const route_names [WEB_ROUTES] = { "other", "/healthz", "/readyz", "/metrics", "/hooks" };

static web_route find_route (const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (streq (routes [i].path, path))
            return routes [i].route;
    return hook_is_path (path) ? ROUTE_HOOK : ROUTE_NONE;
}

/* -- the answer --------------------------------------------------------------------------------------------------- */

static void set_answer (web_call_t *call, int status, const char *type, const char *body)
{
    call->status = call->route == ROUTE_READY && status != 200 ? 503 : call->route == ROUTE_HOOK && status == 400 ? 409 : status;
    snprintf (call->type, sizeof call->type, "%s", type);
    buffer_clear (&call->body);
    buffer_text (&call->body, body ? body : "");
}

static enum MHD_Result respond (web_call_t *call)
{
    struct MHD_Response *response = MHD_create_response_from_buffer (call->body.size, call->body.data, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header (response, "Content-Type", call->type);
    MHD_add_response_header (response, "Cache-Control", "no-store");
    MHD_add_response_header (response, "X-Content-Type-Options", "nosniff");
    if (call->status == 405)
        MHD_add_response_header (response, "Allow", call->route == ROUTE_HOOK ? "POST" : "GET, HEAD");
    if (call->status == 429)
        MHD_add_response_header (response, "Retry-After", "60");
    call->web->counts [call->route] [call->status > 0 && call->status < WEB_STATUSES ? call->status : 0]++;
    enum MHD_Result result = MHD_queue_response (call->connection, (unsigned) call->status, response);
    MHD_destroy_response (response);
    return result;
}

static enum MHD_Result refuse (web_call_t *call, int status, const char *text)
{
    set_answer (call, status, "text/plain; charset=utf-8", text);
    return respond (call);
}

/* -- waiting ------------------------------------------------------------------------------------------------------ */

static json_t *own_samples (const web_t *self)
{
    json_t *samples = json_array ();
    for (int route = 0; route < WEB_ROUTES; route++)
        for (int status = 0; status < WEB_STATUSES; status++) {
            char text [16];
            snprintf (text, sizeof text, "%d", status);
            if (self->counts [route] [status])
                json_array_append_new (samples, json_pack ("[s, f, s, s]", "farm_http_requests_total", (double) self->counts [route] [status],
                                                           route_names [route], text));
        }
    return samples;
}

static void send_question (web_call_t *call)
{
    char id [24];
    snprintf (id, sizeof id, "%llu", (unsigned long long) call->id);
    if (call->route == ROUTE_METRICS) {
        AUTO_JSON json_t *samples = own_samples (call->web);
        AUTO_FREE char *text = json_dumps (samples, JSON_COMPACT);
        zstr_sendx (call->web->pipe, "METRICS", id, text, NULL);
    } else if (call->route == ROUTE_HOOK)
        zstr_sendx (call->web->pipe, "HOOK", id, call->hook, NULL);
    else
        zstr_sendx (call->web->pipe, call->route == ROUTE_READY ? "READY" : "HEALTH", id, NULL);
}

/* A gateway that hangs is asked no more: its pipe has an end. */
static enum MHD_Result ask (web_call_t *call)
{
    web_t *self = call->web;
    if (self->is_ending || self->unanswered >= WEB_UNANSWERED_MAX)
        return refuse (call, 503, self->is_ending ? "the coordinator is being stopped\n" : "the coordinator's queue does not answer\n");
    call->id = ++self->last_id;
    call->deadline = clock_boot_ms () + WEB_WAIT_MS;
    call->is_waiting = true;
    call->next = self->waiting;
    self->waiting = call;
    self->unanswered++;
    send_question (call);
    MHD_suspend_connection (call->connection);
    return MHD_YES;
}

static void unlink_call (web_call_t *call)
{
    web_call_t **at = &call->web->waiting;
    while (*at && *at != call)
        at = &(*at)->next;
    if (*at)
        *at = call->next;
    call->is_waiting = false;
}

void web_ask_again (web_call_t *call, const char *verb, const char *first, const char *second)
{
    char id [24];
    snprintf (id, sizeof id, "%llu", (unsigned long long) call->id);
    call->web->unanswered++;
    zstr_sendx (call->web->pipe, verb, id, first, second, NULL);
}

static void go_on (web_call_t *call, int status, const char *type, const char *body)
{
    set_answer (call, status, type, body);
    unlink_call (call);
    MHD_resume_connection (call->connection);
}

void web_go_on (web_call_t *call, int status, const char *text)
{
    go_on (call, status, "text/plain; charset=utf-8", text);
}

void web_on_secret (web_t *self, uint64_t id, const char *sealed, const char *branch)
{
    self->unanswered -= self->unanswered > 0;
    for (web_call_t *call = self->waiting; call; call = call->next)
        if (call->id == id && call->route == ROUTE_HOOK) {
            hook_on_secret (call, sealed, branch);
            return;
        }
}

void web_answer (web_t *self, uint64_t id, int status, const char *type, const char *body)
{
    self->unanswered -= self->unanswered > 0;
    for (web_call_t *call = self->waiting; call; call = call->next)
        if (call->id == id) {
            go_on (call, status, type, body);
            return;
        }
}

void web_expire (web_t *self, bool is_all)
{
    int64_t now = clock_boot_ms ();
    for (web_call_t *call = self->waiting, *next; call; call = next) {
        next = call->next;
        if (is_all || now >= call->deadline)
            go_on (call, 503, "text/plain; charset=utf-8", is_all ? "the coordinator is being stopped\n" : "the coordinator's queue has not answered for 5 s\n");
    }
}

/* -- libmicrohttpd ------------------------------------------------------------------------------------------------ */

static web_call_t *new_call (web_t *self, struct MHD_Connection *connection, const char *url)
{
    web_call_t *call = mem_alloc (sizeof *call);
    call->web = self;
    call->connection = connection;
    call->route = find_route (url);
    if (call->route == ROUTE_HOOK)
        hook_begin (call, url);
    return call;
}

static bool is_too_large (const web_call_t *call)
{
    const char *length = MHD_lookup_connection_value (call->connection, MHD_HEADER_KIND, "Content-Length");
    return call->route == ROUTE_HOOK && length && strtoull (length, NULL, 10) > HOOK_BODY_MAX;
}

static enum MHD_Result take_body (web_call_t *call, const char *data, size_t *size)
{
    bool goes_on = call->route != ROUTE_HOOK || hook_take_body (call, data, *size);
    *size = 0;
    return goes_on ? MHD_YES : MHD_NO;
}

static bool is_method (const web_call_t *call, const char *method)
{
    return call->route == ROUTE_HOOK ? streq (method, "POST") : streq (method, "GET") || streq (method, "HEAD");
}

/* Called with the headers, then with what there is of a body, then at the end, and once more when there is an answer. */
enum MHD_Result web_on_request (void *argument, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                const char *data, size_t *data_size, void **call_p)
{
    web_call_t *call = *call_p;
    (void) version;
    if (!call) {
        *call_p = call = new_call (argument, connection, url);
        return is_too_large (call) ? refuse (call, 413, "the body is too large: a hook takes 1 MiB\n") : MHD_YES;
    }
    if (*data_size)
        return take_body (call, data, data_size);
    if (call->status)
        return respond (call);
    if (call->route == ROUTE_NONE)
        return refuse (call, 404, "there is nothing here: see /metrics, /healthz, /readyz, and /hooks/NAME of a schedule that has a hook\n");
    if (!is_method (call, method))
        return refuse (call, 405, call->route == ROUTE_HOOK ? "a hook is called by POST\n" : "this can only be read: GET it\n");
    return call->is_too_large ? refuse (call, 413, "the body is too large: a hook takes 1 MiB\n") : ask (call);
}

void web_on_completed (void *argument, struct MHD_Connection *connection, void **call_p, enum MHD_RequestTerminationCode code)
{
    web_call_t *call = *call_p;
    (void) argument, (void) connection, (void) code;
    if (!call)
        return;
    unlink_call (call);
    hook_end (call);
    buffer_free (&call->body);
    free (call);
    *call_p = NULL;
}
