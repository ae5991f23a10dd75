/* log_retention.h - which logs of attempts are removed: those of builds that are forgotten, those that are too old, and the oldest of too
 * many. One that is open stays. */
#ifndef FARM_LOG_RETENTION_H
#define FARM_LOG_RETENTION_H

#include "coordinator/build_log.h"

typedef struct { int64_t job, attempt; } log_name_t;

typedef struct {
    const log_name_t *doomed;       /* these go in any case; borrowed */
    size_t doomed_count;
    int64_t before_ms;              /* wall clock: those written last before it; 0: however old */
    int64_t total_bytes;            /* and the oldest until all have so many at most; 0: no limit */
    bool is_dry;                    /* none is removed, but it is told which would be */
} log_limits_t;

/* Appends a log_name_t to `gone` for each, oldest first, and adds their bytes. */
int log_retention_apply (const build_logs_t *logs, const log_limits_t *limits, buffer_t *gone, uint64_t *bytes, err_t *err);

#endif
