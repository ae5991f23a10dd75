/* grants.h - what a worker may show a registry, for an attempt that it has: the engine says whether it may ask, and for what; the gateway has it
 * looked up (credentials.h). */
#ifndef FARM_GRANTS_H
#define FARM_GRANTS_H

#include "coordinator/engine_private.h"

/* `want-token`: answered by `token`, whose header the gateway completes. To push into the build's own repository alone; to read that one, what it is published
 * as, the base images that the coordinator has read off the build's Dockerfile, and what the settings let any build have. Else ERR_DENIED. */
handler_fn grants_on_want;

#endif
