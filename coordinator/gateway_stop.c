/* gateway_stop.c - the coordinator's end in good order: nothing new is begun, and what the publishers and those who send a context
 * are at may end. Workers go on building, and are still listened to; what they say is taken down for the next start. */
#include "coordinator/gateway_private.h"

#include "common/log.h"

static void tell_watchers (gateway_t *self)
{
    for (peer_t *peer = peers_first (self->peers); peer; peer = peers_next (self->peers))
        if (peer->watch_count > 0)
            gateway_send (self, peer, "closing", NULL);
}

static void send_later (gateway_t *self, peer_t *peer, const char *verb, int64_t seq)
{
    err_t err;
    err_set (&err, ERR_NETWORK, "%s: the coordinator is being stopped, and begins nothing new: ask again when it is back", verb);
    gateway_send_error (self, peer, seq, &err);
}

/* Builds may be half forgotten, and the depot half gone through: the next prune goes on with that. */
static void send_pruners_away (gateway_t *self)
{
    uint64_t number;
    int64_t seq;
    collector_dismiss (self->collector);
    while (collector_next_waiter (self->collector, &number, &seq)) {
        peer_t *peer = peers_find (self->peers, number);
        if (peer)
            send_later (self, peer, "prune", seq);
    }
}

void gateway_begin_stop (gateway_t *self)
{
    self->is_stopping = true;
    engine_wind_down (self->parts.engine);
    publishers_wind_down (self->publishers);
    fetchers_wind_down (self->fetchers);
    zstr_send (self->parts.depot, "REST");
    tell_watchers (self);
    send_pruners_away (self);
}

bool gateway_is_idle (const gateway_t *self)
{
    return self->is_depot_quiet && publishers_are_idle (self->publishers) && fetchers_are_idle (self->fetchers) && credentials_are_idle (self->credentials) && self->letters == 0;
}

bool gateway_puts_off (gateway_t *self, peer_t *peer, const msg_t *message)
{
    if (!self->is_stopping)
        return false;
    if (msg_is (message, "watch") && peer_watches (peer, msg_int (message, "build"))) {
        gateway_send (self, peer, "closing", NULL);
        return true;
    }
    if (!msg_is (message, "submit") && !msg_is (message, "add-schedule") && !msg_is (message, "order-schedule") && !msg_is (message, "order-news") && !msg_is (message, "prune"))
        return false;
    send_later (self, peer, msg_verb (message), msg_int (message, "seq"));
    return true;
}
