/* log.c - see log.h. Each line is one write, so lines of several threads do not mix. */
#include "common/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const names [] = { "error", "warn", "info", "debug" };
static atomic_int threshold = LOG_INFO_LEVEL;

void log_set_level (log_level level)
{
    threshold = level;
}

int log_set_level_name (const char *name)
{
    for (int level = LOG_ERROR_LEVEL; level <= LOG_DEBUG_LEVEL; level++)
        if (strcmp (names [level], name) == 0) {
            log_set_level (level);
            return 0;
        }
    return -1;
}

static size_t stamp (char *line, size_t size, log_level level, const char *area)
{
    struct timespec now;
    struct tm utc;
    clock_gettime (CLOCK_REALTIME, &now);
    gmtime_r (&now.tv_sec, &utc);
    size_t used = strftime (line, size, "%Y-%m-%dT%H:%M:%S", &utc);
    return used + (size_t) snprintf (line + used, size - used, ".%03ldZ %s %s: ", now.tv_nsec / 1000000,
                                     names [level], area);
}

static void write_line (log_level level, const char *area, const char *format, va_list args)
{
    if ((int) level > threshold)
        return;
    char line [4096];
    size_t used = stamp (line, sizeof line, level, area);
    int more = vsnprintf (line + used, sizeof line - used - 1, format, args);
    size_t end = used + (more > 0 ? (size_t) more : 0);
    if (end > sizeof line - 2)
        end = sizeof line - 2;
    for (size_t at = used; at < end; at++)
        if ((unsigned char) line [at] < ' ' || line [at] == 127)
            line [at] = ' ';
    line [end++] = '\n';
    if (write (STDERR_FILENO, line, end) < 0)
        return;         /* nowhere left to say it */
}

#define LOG_FUNCTION(name, level) \
    void name (const char *area, const char *format, ...) \
    { \
        va_list args; \
        va_start (args, format); \
        write_line (level, area, format, args); \
        va_end (args); \
    }

LOG_FUNCTION (log_error, LOG_ERROR_LEVEL)
LOG_FUNCTION (log_warn, LOG_WARN_LEVEL)
LOG_FUNCTION (log_info, LOG_INFO_LEVEL)
LOG_FUNCTION (log_debug, LOG_DEBUG_LEVEL)
