/* retention.h - builds that ended long ago are forgotten, with their jobs, attempts and events. A build that was the last to
 * publish a tag stays, however old: by its number an older one is kept from moving that tag. */
#ifndef FARM_RETENTION_H
#define FARM_RETENTION_H

#include "coordinator/engine_private.h"

/* Forget some of those that ended more than build_keep_ms ago; when to look again stands in engine->forget_at. */
int retention_forget (engine_t *self, err_t *err);

#endif
