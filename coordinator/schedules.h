/* schedules.h - builds by the clock, as people ask for them: taken down, paused, taken up again, run now, removed; looked at. What
 * becomes of their times: firings.h. */
#ifndef FARM_SCHEDULES_H
#define FARM_SCHEDULES_H

#include "coordinator/engine_private.h"

enum { SCHEDULES_MAX = 10000, SCHEDULES_OF_USER_MAX = 1000 };

handler_fn schedules_on_add;
handler_fn schedules_on_order;
handler_fn schedules_on_list;           /* view_schedules.c */
handler_fn schedules_on_ask;

/* Those whose owners may not submit any more end, and say so. */
int schedules_end_orphans (engine_t *self, err_t *err);

/* A schedule as docs/protocol.md shows it, with its last firing; details: with its latest firings, and its next `count` times. To
 * the caller; NULL: ERR_NOT_FOUND. */
json_t *schedules_view (engine_t *self, const char *name, int count, err_t *err);

/* The roots that the depot must keep for their builds to come: calls back once for each context and Dockerfile. */
int schedules_each_root (engine_t *self, const engine_plan_t *plan, err_t *err);

#endif
