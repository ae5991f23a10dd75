/* gateway_depot.c - what the depot service says: the objects of a submit are there and not too many, logs were removed, a collection is over, something
 * was damaged. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "coordinator/gateway_private.h"

static void on_has (gateway_t *self, const char *token, const char *missing, const char *excess)
{
    submission_t submission;
    if (!submissions_take (self->submissions, token, &submission))
        return;
    peer_t *peer = peers_find (self->peers, submission.peer);
    if (!*missing && !*excess)
        gateway_give_engine (self, submission.verb, submission.peer, submission.principal, submission.header);
    else if (peer) {
        err_t err;
        if (*missing)
            err_set (&err, ERR_NOT_FOUND, "object %s of the context is not in the depot: send the context again", missing);
        else
            err_set (&err, ERR_USAGE, "%s", excess);
        gateway_send_error (self, peer, json_integer_value (json_object_get (submission.header, "seq")), &err);
    }
    json_decref (submission.header);
}

static void tell_collected (const json_t *told, bool is_dry)
{
    long long objects = json_integer_value (json_object_get (told, "objects")), bytes = json_integer_value (json_object_get (told, "bytes"));
    if (objects > 0 && !is_dry)
        log_info ("depot", "took away %lld objects that no build needs, %lld bytes", objects, bytes);
}

/* told: the figures, or NULL and the error. */
static void answer_prunes (gateway_t *self, const json_t *told, const char *error)
{
    uint64_t number;
    int64_t seq;
    err_t err;
    while (collector_next_waiter (self->collector, &number, &seq)) {
        peer_t *peer = peers_find (self->peers, number);
        if (peer && !told) {
            err_set (&err, ERR_FARM, "prune: %s", error);
            gateway_send_error (self, peer, seq, &err);
        }
        else if (peer) {
            json_t *header = json_copy ((json_t *) told);
            json_object_set_new (header, "re", json_integer (seq));
            gateway_send (self, peer, "pruned", header);
        }
    }
}

static void on_collected (gateway_t *self, const char *text, const char *error)
{
    int64_t builds;
    AUTO_JSON json_t *told = json_loads (text, 0, NULL);
    bool is_dry = collector_end (self->collector, &builds);
    json_object_set_new (told, "dry_run", json_boolean (is_dry));
    json_object_set_new (told, "builds", json_integer (builds));
    tell_collected (told, is_dry);
    if (*error)
        log_warn ("depot", "what no build needs could not be taken away: %s", error);
    answer_prunes (self, *error ? NULL : told, error);
}

static void on_logs_gone (gateway_t *self, const char *text)
{
    json_t *logs = json_loads (text, 0, NULL);
    AUTO_JSON json_t *header = json_pack ("{s:o}", "logs", logs ? logs : json_array ());
    gateway_give_engine (self, "logs-gone", 0, 0, header);
}

static void on_lost (gateway_t *self, const char *root)
{
    AUTO_JSON json_t *header = json_pack ("{s:s}", "root", root);
    gateway_give_engine (self, "lost", 0, 0, header);
}

static void on_owner (gateway_t *self, const char *job, const char *question)
{
    owner_asked_t asked = { .job = strtoll (job, NULL, 10), .question = strtoll (question, NULL, 10) };
    buffer_append (&self->owners_asked, &asked, sizeof asked);
}

static void tell_owner (gateway_t *self, const owner_asked_t *asked)
{
    AUTO_FREE char *job = mem_printf ("%lld", (long long) asked->job), *question = mem_printf ("%lld", (long long) asked->question);
    AUTO_FREE char *owner = mem_printf ("%lld", (long long) engine_owner_of_job (self->parts.engine, asked->job));
    zstr_sendx (self->parts.depot, "OWNER", job, owner, question, NULL);
}

void gateway_tell_owners (gateway_t *self)
{
    const owner_asked_t *asked = (const owner_asked_t *) self->owners_asked.data;
    for (size_t i = 0; i < self->owners_asked.size / sizeof *asked; i++)
        tell_owner (self, &asked [i]);
    self->owners_asked.size = 0;
}

/* What the depot service says over its pipe. */
void gateway_take_depot (gateway_t *self)
{
    while (zsock_events (self->parts.depot) & ZMQ_POLLIN) {
        char *verb = NULL, *first = NULL, *second = NULL, *third = NULL, *fourth = NULL;
        zstr_recvx (self->parts.depot, &verb, &first, &second, &third, &fourth, NULL);       /* NULL where no string came */
        if (!verb)
            break;
        if (third && streq (verb, "HAS"))
            on_has (self, first, second, third);
        else if (streq (verb, "RESTS"))
            self->is_depot_quiet = true;
        else if (fourth && streq (verb, "DENIED"))
            gateway_note_denial (self, first, second, third, strtoll (fourth, NULL, 10));
        else if (third && streq (verb, "FIGURES"))
            gateway_take_figures (self, first, second, third);
        else if (second && streq (verb, "OWNER"))
            on_owner (self, first, second);
        else if (first && streq (verb, "LOST"))
            on_lost (self, first);
        else if (first && streq (verb, "LOGS-GONE"))
            on_logs_gone (self, first);
        else if (second && streq (verb, "COLLECTED"))
            on_collected (self, first, second);
        zstr_free (&verb);
        zstr_free (&first);
        zstr_free (&second);
        zstr_free (&third);
        zstr_free (&fourth);
    }
}
