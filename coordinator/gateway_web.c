/* gateway_web.c - what the HTTP service asks, and what it is answered.
 *
 *     READY, METRICS --> depot service (FIGURES) --> engine (probe, metrics), in a batch --> ANSWER, after the commit
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
        char *verb = NULL, *id = NULL, *samples = NULL;
        if (zstr_recvx (self->parts.web, &verb, &id, &samples, NULL) >= 2)
            on_question (self, verb, id, samples);
        zstr_free (&verb);
        zstr_free (&id);
        zstr_free (&samples);
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

void gateway_answer_web (gateway_t *self, const action_t *action)
{
    char id [24];
    snprintf (id, sizeof id, "%llu", (unsigned long long) (action->peer & ~WEB_PEER));
    if (streq (action->verb, "metrics"))
        answer_metrics (self, id, json_object_get (action->header, "samples"));
    else if (streq (action->verb, "fine"))
        answer (self, id, 200, TEXT, "ready\n");
    else
        answer_error (self, id, action->header);
}
