/* log_limit.c - see log_limit.h. */
#include "common/log_limit.h"

static bool is_over (const log_limit_t *self, int64_t now_ms)
{
    return now_ms - self->since_ms >= LOG_LIMIT_MS;
}

bool log_limit_may (log_limit_t *self, int64_t now_ms)
{
    if (self->told == 0 || is_over (self, now_ms)) {
        self->since_ms = now_ms;
        self->told = 0;
    }
    if (self->told == LOG_LIMIT_LINES) {
        self->left_out++;
        return false;
    }
    self->told++;
    return true;
}

size_t log_limit_take (log_limit_t *self, int64_t now_ms)
{
    size_t left_out = self->left_out;
    if (left_out == 0 || !is_over (self, now_ms))
        return 0;
    self->left_out = 0;
    return left_out;
}
