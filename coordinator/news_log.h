/* news_log.h - the end of an attempt's log, for news. */
#ifndef FARM_NEWS_LOG_H
#define FARM_NEWS_LOG_H

#include <stdint.h>

#include "common/mem.h"

/* The last 40 lines, fit for a person's eyes (news_words.h), added to out with a NUL behind them; nothing where there is no such log (any more), or job
 * is 0. It is read from the file: the depot service only ever adds to its end. */
void news_log_tail (const char *folder, int64_t job, int64_t attempt, buffer_t *out);

#endif
