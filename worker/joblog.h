/* joblog.h - the log of one attempt: kept in a file, sent to the coordinator by a thread of its own.
 *
 *     slot --lines--> thread --> file --log, offset--> coordinator
 *                                  ^------ logged -------'
 *
 * A line is "<ms since 1970> <stream> <text>\n". Several messages are on the way at once; one that is lost, by a connection
 * or a coordinator that ended, is sent again from the file. A coordinator that takes it slowly, or not at all, costs disk
 * space up to a limit, beyond which lines are left out and counted; it never stops a build. */
#ifndef FARM_JOBLOG_H
#define FARM_JOBLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/keys.h"

enum { JOBLOG_TEXT_MAX = 16 * 1024 };      /* of a line; a longer one is cut, and says so */

typedef struct joblog joblog_t;

typedef struct {
    const char *endpoint;           /* the coordinator's objects socket */
    const keypair_t *own;
    const uint8_t *server_key;
    int64_t job;
    int attempt;
    const char *file;               /* to be made; removed by the caller, after joblog_destroy */
    int64_t limit_bytes;            /* of the file; 0: 256 MiB */
} joblog_settings_t;

/* Settings are borrowed until joblog_destroy. */
int joblog_new (joblog_t **out, const joblog_settings_t *settings, err_t *err);
void joblog_destroy (joblog_t **self);      /* what has not been sent is lost */

/* Add a line. stream: 'o' the builder's output, 'w' the worker's own words. Call from one thread only, as all of these. */
void joblog_line (joblog_t *self, char stream, const char *text, size_t size);
void joblog_say (joblog_t *self, const char *format, ...) __attribute__ ((format (printf, 2, 3)));

/* Wait until the coordinator has all of it (true), does not want it any more (true), or the time is over (false). */
bool joblog_flush (joblog_t *self, int timeout_ms);

#endif
