/* clock.h - the clocks of the farm; in milliseconds, where nothing else is said. */
#ifndef FARM_CLOCK_H
#define FARM_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms (void);       /* since 1970, for records and people */
int64_t clock_boot_ms (void);       /* since boot, suspend included (CLOCK_BOOTTIME), for leases and time-outs */
int64_t clock_span_ns (void);       /* from nowhere in particular, in nanoseconds: for how long something takes */

#endif
