/* web.h - the coordinator's HTTP service (libmicrohttpd): /metrics, /healthz, /readyz, and POST /hooks/NAME. An actor with one thread, which holds up nobody: what it
 * has to know it asks of the gateway, and the request waits meanwhile.
 *
 * Pipe, to the gateway: ["HEALTH", id], ["READY", id], ["METRICS", id, JSON list of samples of its own (metrics.h)]; ["HOOK", id, schedule], answered
 * by ["SECRET", id, sealed or "", branch]; ["RUN", id, schedule, request] once the signature is known to be good. What is not
 * signed as it should be it says for the audit log (denials.h).
 * To it: ["ANSWER", id, HTTP status, media type, body]; ["$TERM"] ends it. What is not answered within 5 s is answered with 503.
 *
 * It speaks plain HTTP and listens on loopback unless a setting says otherwise; who connects is a stranger, and nothing secret is told. A hook is
 * believed for its signature (hook_signature.h), whose secret this thread opens itself. */
#ifndef FARM_WEB_H
#define FARM_WEB_H

#include <czmq.h>

#include "common/err.h"
#include "coordinator/seal.h"

/* What a hook's secret is sealed about: the schedule's name. */
#define HOOK_ABOUT "archfarm hook 1|%s"

typedef struct web web_t;

/* bind: "127.0.0.1:5572", "[::1]:0" (0: a free port). ERR_USAGE for what is no address, ERR_FARM where nobody can listen. seal is borrowed. */
int web_new (web_t **out, const char *bind, const seal_t *seal, err_t *err);
void web_destroy (web_t **self);
const char *web_endpoint (const web_t *self);           /* as bound: "127.0.0.1:34567" */

/* For actor_new (web_actor, web). */
void web_actor (zsock_t *pipe, void *web);

#endif
