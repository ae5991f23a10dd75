/* gateway_news.c - news on their way out, and what came of them; and the secret of a hook, which the engine and its database do not know. */
#include <sodium.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/gateway_private.h"
#include "coordinator/hook_secret.h"

void gateway_send_news (gateway_t *self, const json_t *task)
{
    AUTO_FREE char *text = json_dumps (task, JSON_COMPACT);
    if (!self->courier || zstr_sendx (self->courier, "DELIVER", text, NULL) < 0)
        return;
    self->letters++;
}

void gateway_take_news (gateway_t *self)
{
    while (self->courier && zsock_events (self->courier) & ZMQ_POLLIN) {
        char *verb = NULL, *text = NULL;
        if (zstr_recvx (self->courier, &verb, &text, NULL) == 2 && streq (verb, "DELIVERED")) {
            AUTO_JSON json_t *header = json_loads (text, 0, NULL);
            self->letters--;
            gateway_give_engine (self, "delivered", 0, 0, header);
        }
        zstr_free (&verb);
        zstr_free (&text);
    }
}

void gateway_send_secret_of_hook (gateway_t *self, peer_t *peer, const json_t *state)
{
    json_t *header = json_copy ((json_t *) state);
    const char *salt = json_string_value (json_object_get (state, "salt"));
    const char *name = json_string_value (json_object_get (json_object_get (state, "subscriber"), "name"));
    if (salt && self->parts.letters) {
        char *secret = hook_secret_text (self->parts.letters->key, name, salt);
        json_object_set_new (header, "secret", json_string (secret));
        sodium_memzero (secret, strlen (secret));
        free (secret);
    }
    json_object_del (header, "salt");
    gateway_send (self, peer, "news-state", header);
}
