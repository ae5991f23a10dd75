/* audit.h - who has done what with the farm's rights, and who was denied what: a row each, in a chain (common/chain.h).
 *
 * What an admin does is a row in the transaction that does it. Denials are put together (audit_denials.c), so that nobody fills the disk by
 * being denied, and hides by it what others were denied. */
#ifndef FARM_AUDIT_H
#define FARM_AUDIT_H

#include "coordinator/engine_private.h"

/* Whoever says this event has done that; subject: a name or a number. */
int audit_done (engine_t *self, const event_t *event, const char *subject, const char *detail, err_t *err);
/* The same, where what they did it to is another user's; to their own it is no row. */
int audit_of_another (engine_t *self, const event_t *event, int64_t owner, const char *subject, const char *detail, err_t *err);
/* The coordinator has done that at its start, because its state folder or its settings say so. */
int audit_done_at_start (engine_t *self, const char *subject, const char *detail, err_t *err);
/* The coordinator has found that; of more than 200 rows an hour the rest are not written. */
int audit_found (engine_t *self, const char *act, const char *subject, const char *detail, err_t *err);
/* A peer's event was denied. */
int audit_denied_event (engine_t *self, const event_t *event, const err_t *why, err_t *err);
/* So was something that is done for this principal later. */
int audit_denied_later (engine_t *self, int64_t principal, const char *act, const char *why, err_t *err);

handler_fn audit_on_denied;             /* {key, act, detail, times}: by others of the coordinator's parts */
handler_fn audit_on_audit;              /* an admin reads it */
handler_fn audit_on_prune;              /* an admin has it done, or looked at: the collector does it */

/* -- audit_denials.c, and a batch */
int audit_conclude (engine_t *self, err_t *err);        /* the rows that are due, at its end */
void audit_settle (engine_t *self);                     /* it is committed */
void audit_undo (engine_t *self);                       /* it is lost: nothing was denied in it, nor written */
int64_t audit_next_tick (const engine_t *self);         /* boot clock; INT64_MAX for never */
void audit_wind_down (engine_t *self);                  /* all that is counted is due, and from now on each second */
void audit_close (engine_t *self);

/* -- rows */
typedef struct {
    const char *who, *key, *act, *subject, *outcome, *detail;
    int64_t times;
} audit_entry_t;
typedef struct { char name [64], key [65]; } speaker_t;

int audit_append (engine_t *self, const audit_entry_t *entry, err_t *err);
int audit_find_speaker (engine_t *self, int64_t principal, speaker_t *out, err_t *err);        /* "" where there is none */

#endif
