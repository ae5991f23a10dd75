/* audit.h - who has done what with the farm's rights, and who was denied what: a row each, in a chain (common/chain.h).
 *
 * What an admin does is a row in the transaction that does it. Denials are put together, so that nobody fills the disk by being
 * denied: the first of a key and a verb is a row at once, the others of a minute one more; beyond 200 an hour all are one row a minute. */
#ifndef FARM_AUDIT_H
#define FARM_AUDIT_H

#include "coordinator/engine_private.h"

/* Whoever says this event has done that; subject: a name or a number. */
int audit_done (engine_t *self, const event_t *event, const char *subject, const char *detail, err_t *err);
/* The coordinator has found that; of more than 200 rows an hour, with denials, the rest are not written. */
int audit_found (engine_t *self, const char *act, const char *subject, const char *detail, err_t *err);
/* A peer's event was denied. */
int audit_denied_event (engine_t *self, const event_t *event, const err_t *why, err_t *err);

handler_fn audit_on_denied;             /* {key, act, detail}: by others of the coordinator's parts */
handler_fn audit_on_audit;              /* an admin reads it */
handler_fn audit_on_prune;              /* an admin has it done: the collector does it */

int audit_tick (engine_t *self, err_t *err);
int64_t audit_next_tick (const engine_t *self);         /* boot clock; INT64_MAX for never */

#endif
