/* gateway_web.c - what the HTTP service asks, and what it is answered.
 *
 *     READY, METRICS --> depot service (FIGURES) --> engine (probe, metrics), in a batch --> ANSWER, after the commit
 *
 *     HOOK --> SECRET, sealed;  RUN --> engine (order-schedule, as the schedule's owner) --> ANSWER, after the commit
 *
 * To the engine such a request is a peer of its own, WEB_PEER and its number. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "coordinator/gateway_private.h"

#define TEXT "text/plain; charset=utf-8"

static void answer (gateway_t *self, const char *id, int status, const char *type, const char *body)
{
    char number [16];
    snprintf (number, sizeof number, "%d", status);
    zstr_sendx (self->parts.web, "ANSWER", id, number, type, body, NULL);
}

/* -- in ----------------------------------------------------------------------------------------------------------- */

static void on_hook (gateway_t *self, const char *id, const char *name)
{
    hook_t hook;
    bool is_there = engine_find_hook (self->parts.engine, name, &hook, NULL) == 0;
    zstr_sendx (self->parts.web, "SECRET", id, is_there ? hook.sealed : "", is_there ? hook.branch : "", NULL);
    hook_free (&hook);
}

static int check_run (const gateway_t *self, const hook_t *hook, const char *name, err_t *err)
{
    if (self->is_stopping)
        return err_set (err, ERR_INTERRUPTED, "the coordinator is being stopped: try again when it is back");
    return hook->is_active ? 0 : err_set (err, ERR_USAGE, "schedule %s is paused, or has ended: nothing is built", name);
}

/* As its owner would: the build belongs to them. */
static void on_run (gateway_t *self, const char *id, const char *name, const char *request)
{
    hook_t hook;
    err_t err = { 0 };
    if (engine_find_hook (self->parts.engine, name, &hook, &err) == 0 && check_run (self, &hook, name, &err) == 0) {
        AUTO_JSON json_t *header = json_pack ("{s:s, s:s, s:s}", "name", name, "order", "run", "request", request);
        gateway_give_engine (self, "order-schedule", WEB_PEER | strtoull (id, NULL, 10), hook.owner, header);
    } else {
        AUTO_FREE char *line = mem_printf ("%s\n", err.text);
        answer (self, id, err_http_status (err.code), TEXT, line);
    }
    hook_free (&hook);
}

static void on_question (gateway_t *self, const char *verb, const char *id, const char *samples)
{
    AUTO_FREE char *token = mem_printf ("%s %s", verb, id);
    if (streq (verb, "HEALTH"))
        answer (self, id, 200, TEXT, "ok\n");
    else if (streq (verb, "READY") && self->is_stopping)
        answer (self, id, 503, TEXT, "the coordinator is being stopped\n");
    else
        zstr_sendx (self->parts.depot, "FIGURES", token, NULL);
    if (samples) {
        json_decref (self->web_samples);
        self->web_samples = json_loads (samples, 0, NULL);
    }
}

void gateway_take_web (gateway_t *self)
{
    while (self->parts.web && zsock_events (self->parts.web) & ZMQ_POLLIN) {
        char *verb = NULL, *id = NULL, *first = NULL, *second = NULL;
        int count = zstr_recvx (self->parts.web, &verb, &id, &first, &second, NULL);
        if (count >= 3 && streq (verb, "HOOK"))
            on_hook (self, id, first);
        else if (count == 4 && streq (verb, "RUN"))
            on_run (self, id, first, second);
        else if (count >= 2)
            on_question (self, verb, id, first);
        zstr_free (&verb);
        zstr_free (&id);
        zstr_free (&first);
        zstr_free (&second);
    }
}

void gateway_take_figures (gateway_t *self, const char *token, const char *samples, const char *why_full)
{
    const char *id = strchr (token, ' ');
    if (!id || !self->parts.web)
        return;
    bool is_ready = strncmp (token, "READY ", 6) == 0;
    if (is_ready && *why_full) {
        AUTO_FREE char *text = mem_printf ("not ready: %s\n", why_full);
        answer (self, id + 1, 503, TEXT, text);
        return;
    }
    json_decref (self->depot_samples);
    self->depot_samples = json_loads (samples, 0, NULL);
    gateway_give_engine (self, is_ready ? "probe" : "metrics", WEB_PEER | strtoull (id + 1, NULL, 10), 0, NULL);
}

/* -- out ---------------------------------------------------------------------------------------------------------- */

static void add_requests (void *metrics, const char *method, const char *status, uint64_t count)
{
    metrics_add (metrics, "farm_registry_requests_total", (double) count, method, status, NULL);
}

static int count_peers (gateway_t *self)
{
    int count = 0;
    for (peer_t *peer = peers_first (self->peers); peer; peer = peers_next (self->peers))
        count++;
    return count;
}

static void answer_metrics (gateway_t *self, const char *id, const json_t *samples)
{
    AUTO_BUFFER buffer_t text = { 0 };
    metrics_begin (self->metrics);
    metrics_add (self->metrics, "farm_coordinator_info", 1, PACKAGE_VERSION, NULL, NULL);
    metrics_add (self->metrics, "farm_start_time_seconds", (double) self->started_ms / 1000, NULL, NULL, NULL);
    metrics_add (self->metrics, "farm_control_peers", count_peers (self), NULL, NULL, NULL);
    metrics_add_samples (self->metrics, samples);
    metrics_add_samples (self->metrics, self->depot_samples);
    metrics_add_samples (self->metrics, self->web_samples);
    if (self->parts.registry->tally)
        registry_tally_each (self->parts.registry->tally, add_requests, self->metrics);
    metrics_write (self->metrics, &text);
    answer (self, id, 200, "text/plain; version=0.0.4; charset=utf-8", (const char *) text.data);
}

static void answer_error (gateway_t *self, const char *id, const json_t *header)
{
    const char *code = json_string_value (json_object_get (header, "code")), *text = json_string_value (json_object_get (header, "text"));
    AUTO_FREE char *line = mem_printf ("%s\n", text ? text : "?");
    answer (self, id, err_http_status (err_from_name (code ? code : "")), TEXT, line);
}

/* Started, waiting for an earlier one, or refused as with `schedule run`. */
static void answer_run (gateway_t *self, const char *id, const json_t *header)
{
    const json_t *build = json_object_get (header, "build"), *last = json_object_get (json_object_get (header, "schedule"), "last");
    const char *outcome = json_string_value (json_object_get (last, "outcome")), *why = json_string_value (json_object_get (last, "text"));
    AUTO_FREE char *text = build ? mem_printf ("{\"build\": %lld}\n", (long long) json_integer_value (build))
                         : outcome && streq (outcome, "refused") ? mem_printf ("no build: %s\n", why ? why : "?")
                         : mem_strdup ("{\"build\": null, \"waiting\": true}\n");
    bool is_refused = *text != '{';
    answer (self, id, is_refused ? 409 : 202, is_refused ? TEXT : "application/json", text);
}

void gateway_answer_web (gateway_t *self, const action_t *action)
{
    char id [24];
    snprintf (id, sizeof id, "%llu", (unsigned long long) (action->peer & ~WEB_PEER));
    if (streq (action->verb, "metrics"))
        answer_metrics (self, id, json_object_get (action->header, "samples"));
    else if (streq (action->verb, "fine"))
        answer (self, id, 200, TEXT, "ready\n");
    else if (streq (action->verb, "schedule-state"))
        answer_run (self, id, action->header);
    else
        answer_error (self, id, action->header);
}
