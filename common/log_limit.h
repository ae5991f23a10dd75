/* log_limit.h - so many lines of a kind in a minute, and then how many were left out: what a peer can cause shall not fill the log. */
#ifndef FARM_LOG_LIMIT_H
#define FARM_LOG_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOG_LIMIT_LINES = 5, LOG_LIMIT_MS = 60000 };

/* {0} is a new one; only these functions look inside. */
typedef struct {
    int64_t since_ms;               /* when the minute began */
    unsigned told;
    size_t left_out;
} log_limit_t;

/* May the line be written? If not, it is counted. now_ms: of any clock that goes on. */
bool log_limit_may (log_limit_t *self, int64_t now_ms);

/* How many were left out in a minute that is over, once; 0: none. Ask before log_limit_may. */
size_t log_limit_take (log_limit_t *self, int64_t now_ms);

#endif
