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

void gateway_begin_stop (gateway_t *self)
{
    self->is_stopping = true;
    engine_wind_down (self->parts.engine);
    publishers_wind_down (self->publishers);
    zstr_send (self->parts.depot, "REST");
    tell_watchers (self);
}

bool gateway_is_idle (const gateway_t *self)
{
    return self->is_depot_quiet && publishers_are_idle (self->publishers);
}

bool gateway_puts_off (gateway_t *self, peer_t *peer, const msg_t *message)
{
    err_t err;
    if (!self->is_stopping)
        return false;
    if (msg_is (message, "watch") && peer_watches (peer, msg_int (message, "build"))) {
        gateway_send (self, peer, "closing", NULL);
        return true;
    }
    if (!msg_is (message, "submit") && !msg_is (message, "prune"))
        return false;
    err_set (&err, ERR_NETWORK, "%s: the coordinator is being stopped, and begins nothing new: ask again when it is back",
             msg_verb (message));
    gateway_send_error (self, peer, msg_int (message, "seq"), &err);
    return true;
}
