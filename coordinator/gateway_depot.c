/* gateway_depot.c - what the depot service says: the objects of a submit are there, a collection is over, something was damaged. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "coordinator/gateway_private.h"

static void on_has (gateway_t *self, const char *token, const char *missing)
{
    submission_t submission;
    if (!submissions_take (self->submissions, token, missing, &submission))
        return;
    peer_t *peer = peers_find (self->peers, submission.peer);
    if (submission.is_complete)
        gateway_give_engine (self, "submit", submission.peer, submission.principal, submission.header);
    else if (peer) {
        err_t err;
        err_set (&err, ERR_NOT_FOUND, "object %s of the context is not in the depot: send the context again", missing);
        gateway_send_error (self, peer, json_integer_value (json_object_get (submission.header, "seq")), &err);
    }
    json_decref (submission.header);
}

static void on_collected (gateway_t *self, const char *objects, const char *bytes, const char *error)
{
    uint64_t number;
    int64_t seq;
    err_t err;
    if (*error)
        log_warn ("depot", "what no build needs could not be taken away: %s", error);
    else if (!streq (objects, "0"))
        log_info ("depot", "took away %s objects that no build needs, %s bytes", objects, bytes);
    collector_end (self->collector);
    while (collector_next_waiter (self->collector, &number, &seq)) {
        peer_t *peer = peers_find (self->peers, number);
        if (peer && *error) {
            err_set (&err, ERR_FARM, "prune: %s", error);
            gateway_send_error (self, peer, seq, &err);
        }
        else if (peer)
            gateway_send (self, peer, "pruned", json_pack ("{s:I, s:I, s:I}", "re", (json_int_t) seq, "objects",
                                                      (json_int_t) strtoll (objects, NULL, 10), "bytes",
                                                      (json_int_t) strtoll (bytes, NULL, 10)));
    }
}

static void on_lost (gateway_t *self, const char *root)
{
    AUTO_JSON json_t *header = json_pack ("{s:s}", "root", root);
    gateway_give_engine (self, "lost", 0, 0, header);
}

/* What the depot service says over its pipe. */
void gateway_take_depot (gateway_t *self)
{
    while (zsock_events (self->parts.depot) & ZMQ_POLLIN) {
        char *verb = NULL, *first = NULL, *second = NULL, *third = NULL;
        int count = zstr_recvx (self->parts.depot, &verb, &first, &second, &third, NULL);
        if (count >= 3 && streq (verb, "HAS"))
            on_has (self, first, second);
        else if (count >= 1 && streq (verb, "RESTS"))
            self->is_depot_quiet = true;
        else if (count >= 2 && streq (verb, "LOST"))
            on_lost (self, first);
        else if (count >= 4 && streq (verb, "COLLECTED"))
            on_collected (self, first, second, third);
        zstr_free (&verb);
        zstr_free (&first);
        zstr_free (&second);
        zstr_free (&third);
    }
}
