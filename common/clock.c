/* clock.c - see clock.h. */
#include "common/clock.h"

#include <time.h>

static int64_t read_ms (clockid_t clock)
{
    struct timespec now;
    clock_gettime (clock, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_wall_ms (void)
{
    return read_ms (CLOCK_REALTIME);
}

int64_t clock_boot_ms (void)
{
    return read_ms (CLOCK_BOOTTIME);
}

int64_t clock_span_ns (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}
