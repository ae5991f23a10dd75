/* due.h - which times of schedules are due, at a tick: what came while the coordinator did not run is late or missed, and what waits for an
 * earlier firing begins when that has ended. */
#ifndef FARM_DUE_H
#define FARM_DUE_H

#include "coordinator/engine_private.h"

/* Fire what is due, begin what waits and need not any more; sets engine->schedules_at, when to look again. */
int due_tick (engine_t *self, err_t *err);

#endif
