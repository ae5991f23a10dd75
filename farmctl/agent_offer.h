/* agent_offer.h - the ssh agents that a build may ask while farmctl follows it (--ssh): which, and a thread that asks them, so that a key that wants to
 * be touched holds nothing else up. Only lists of keys and signatures are passed (common/agent.h). */
#ifndef FARM_AGENT_OFFER_H
#define FARM_AGENT_OFFER_H

#include <jansson.h>

#include "common/agent.h"
#include "common/msg.h"
#include "farmctl/options.h"

typedef struct agent_offer agent_offer_t;

/* Each of "default" ($SSH_AUTH_SOCK), "ID" (the same), "ID=SOCKET". *out NULL where none is given. ERR_USAGE: a socket that is none. */
int agent_offer_read (agent_offer_t **out, const option_list_t *list, err_t *err);
void agent_offer_destroy (agent_offer_t **self);

/* Their ids, as a spec and `watch` have them; to the caller. */
json_t *agent_offer_ids (const agent_offer_t *self);

/* Have an `agent-request` asked. What comes of it: the header of an `agent-reply` (to the caller) and its body; NULL: nothing yet. */
void agent_offer_ask (agent_offer_t *self, const msg_t *request);
json_t *agent_offer_next (agent_offer_t *self, buffer_t *body);

#endif
