/* log.h - the daemons' log: lines on standard error, "2026-11-24T08:33:47.123Z info gateway: text".
 * Only the handlers of a loop and main log. No secret is ever passed here. */
#ifndef FARM_LOG_H
#define FARM_LOG_H

typedef enum { LOG_ERROR_LEVEL, LOG_WARN_LEVEL, LOG_INFO_LEVEL, LOG_DEBUG_LEVEL } log_level;

/* Lines below this level are dropped; the default is info. */
void log_set_level (log_level level);
/* "error", "warn", "info" or "debug"; returns -1 for another name. */
int log_set_level_name (const char *name);

void log_error (const char *area, const char *format, ...) __attribute__ ((format (printf, 2, 3)));
void log_warn (const char *area, const char *format, ...) __attribute__ ((format (printf, 2, 3)));
void log_info (const char *area, const char *format, ...) __attribute__ ((format (printf, 2, 3)));
void log_debug (const char *area, const char *format, ...) __attribute__ ((format (printf, 2, 3)));

#endif
