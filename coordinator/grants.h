/* grants.h - what a worker may show a registry, for an attempt that it has: the engine says whether it may ask, and for what; the gateway has it
 * looked up (credentials.h). */
#ifndef FARM_GRANTS_H
#define FARM_GRANTS_H

#include "coordinator/engine_private.h"

/* `want-token`: answered by `token`, whose header the gateway completes. To push only into the build's own repository; to read from anywhere, for
 * which of a Dockerfile's images those are the builder alone can tell. */
handler_fn grants_on_want;

#endif
