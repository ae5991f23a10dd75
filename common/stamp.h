/* stamp.h - what stat says of a file beside its mode and modification time. All the same, and settled: nobody has written to it. */
#ifndef FARM_STAMP_H
#define FARM_STAMP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

typedef struct {
    uint64_t size_bytes, inode, device;
    int64_t ctime_s;                /* the change time: nobody can set it */
    uint32_t ctime_ns;
} stamp_t;

stamp_t stamp_of (const struct stat *info);
bool stamp_equal (const stamp_t *a, const stamp_t *b);

/* A file that is written twice within one tick of the clock that stamps it has one change time for both (git calls it racily
 * clean). Settled: its time was over at `now`, so a later write gives another one. tick_ns is of the file system's clock, as
 * far as it is known; a change time in whole hundredths may come from one that keeps no more, two seconds at the coarsest. */
bool stamp_is_settled (const stamp_t *self, const struct timespec *now, int64_t tick_ns);

/* The same of another time of that file. */
bool stamp_is_past (const stamp_t *self, int64_t s, uint32_t ns, const struct timespec *now, int64_t tick_ns);

#endif
