/* depot_service.h - the actor that owns the objects socket, the depot and the logs of attempts.
 *
 * The gateway talks to it over the actor's pipe in frames of text:
 *   ["PRINCIPAL", key hex, id, role]            this key may speak, as that role (again at a change)
 *   ["OPEN"]                                    all who may speak are told: look at messages from now on
 *   ["REVOKE", key hex]                         it may not any more
 *   ["HAS", token, id, digest hex …]            has this principal (0: anybody) sent them? Answered by ["HAS", token, first missing digest or "", why
 *                                               the first one comes to more than a context may, or ""]
 *   ["OPEN-LOG", job, attempt, principal id, context hex, Dockerfile hex]
 *                                               this worker may write this log, and fetch these and what they name
 *   ["OWNER", job, id, question]                the answer to the question of that number: whose build the job is of; 0: there was none
 *   ["CLOSE-LOG", job, attempt]                 there will be no more of it
 *   ["ANNOUNCE"]                                builds are forgotten now, and a COLLECT follows
 *   ["DROP-LOG", job, attempt]                  this log goes with its build
 *   ["COLLECT", "dry" or "", "young" or "", roots, logs]
 *                                               remove old logs, and take out of the depot what the roots (depot_root_t, one behind the
 *                                               other) do not need; or with "dry" tell what would go, also of these logs (log_name_t);
 *                                               "young": count what is only too young. Answered, once it is done, by
 *                                               ["COLLECTED", JSON as in `pruned`, error text or ""]
 *   ["FIGURES", token]                          answered by ["FIGURES", token, JSON list of samples (metrics.h), "" or why there is no room]
 *   ["REST"]                                    answered by ["RESTS"] as soon as nobody has sent an object for a second
 *   ["$TERM"]                                   end
 * Unasked it says ["LOST", digest hex]: a context or a Dockerfile was damaged on the disk, and is not there any more; and
 * ["DENIED", key hex, verb, text, times]: for the audit log (denials.h). ["OWNER", job, question]: whose build is it of? And ["LOGS-GONE", JSON]: these logs ([[job, attempt] …]) were removed. */
#ifndef FARM_DEPOT_SERVICE_H
#define FARM_DEPOT_SERVICE_H

#include <czmq.h>

#include "common/depot.h"
#include "common/err.h"
#include "common/keys.h"
#include "coordinator/context_limits.h"

typedef struct depot_service depot_service_t;

typedef struct {
    const char *state_folder;       /* depot/ and logs/ below it */
    const char *endpoint;           /* to bind; port * or 0 takes a free one */
    const keypair_t *server;
    int64_t connections_max;        /* of one key; 0: no limit */
    int64_t log_limit_bytes;        /* of one attempt's log */
    int64_t log_keep_ms;            /* how long a log is kept after its end; 0: for ever */
    int64_t log_total_bytes;        /* of all logs; 0: no limit */
    int64_t context_total_bytes;    /* of the depot; 0: no limit */
    int64_t collect_grace_ms;       /* what was used within this time is not collected */
    context_limits_t context_limits;
    int64_t free_floor_bytes;       /* a put that would leave less than this free is refused with ERR_FULL and the figure */
} depot_service_settings_t;

/* Open the depot and bind the socket. Nothing runs yet. */
int depot_service_new (depot_service_t **out, const depot_service_settings_t *settings, err_t *err);
void depot_service_destroy (depot_service_t **self);
/* The depot, whose calls are thread-safe: for the fetchers. Borrowed. */
depot_t *depot_service_depot (const depot_service_t *self);
const char *depot_service_endpoint (const depot_service_t *self);       /* as bound */

/* For actor_new (depot_service_actor, service): runs until $TERM; the service stays the caller's to destroy. */
void depot_service_actor (zsock_t *pipe, void *service);

#endif
