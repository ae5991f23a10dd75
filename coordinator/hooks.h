/* hooks.h - which schedules are started over HTTP too (POST /hooks/NAME), and by whose signature. The signature is checked before the engine
 * hears of a request (web_hook.c, hook_signature.h); here stands the secret, sealed. */
#ifndef FARM_HOOKS_H
#define FARM_HOOKS_H

#include "coordinator/schedule.h"

/* An order of a schedule's owner: {sealed, branch}; what was there is replaced. */
int hooks_set (engine_t *self, const event_t *event, const schedule_t *schedule, err_t *err);
int hooks_drop (engine_t *self, int64_t schedule, err_t *err);

/* {"branch", "set_ms"}, or null where there is none; to the caller, NULL on error. */
json_t *hooks_view (engine_t *self, int64_t schedule, err_t *err);

#endif
