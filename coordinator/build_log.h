/* build_log.h - the logs of attempts: a file each, logs/<job>-<attempt>.log, appended to at its end only and read by offset.
 *
 * A log is open from OPEN-LOG to CLOSE-LOG; who writes it is told then. One that is not open has ended: nobody adds to it.
 * After a restart none is open until the gateway says so again. No descriptor is kept between calls. */
#ifndef FARM_BUILD_LOG_H
#define FARM_BUILD_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/mem.h"

typedef struct build_logs build_logs_t;

/* folder is made when missing; limit_bytes is the most that one log takes (one line more says that it was reached). */
int build_logs_new (build_logs_t **out, const char *folder, int64_t limit_bytes, err_t *err);
void build_logs_destroy (build_logs_t **self);

/* An attempt's log may be written by this principal from now on. Its file is made with the first bytes, or gone on with. */
void build_logs_open (build_logs_t *self, int64_t job, int64_t attempt, int64_t principal);
/* There will be no more of it. */
void build_logs_close (build_logs_t *self, int64_t job, int64_t attempt);

/* Add bytes at offset. *end is where the writer goes on: the log's length, or, once the log is at its limit, behind what
 * was offered (it is dropped). Bytes at an offset that is not the end are dropped. ERR_STALE for a log that is not open,
 * ERR_DENIED for another's, ERR_FULL when the disk is; then nothing was added. */
int build_logs_append (build_logs_t *self, int64_t job, int64_t attempt, int64_t principal, int64_t offset,
                       const void *data, size_t size, int64_t *end, err_t *err);

/* Read at most max_bytes from offset into out (replaced; empty at the end). *is_ended: nothing will come behind what was
 * read. ERR_NOT_FOUND when there is no such log. */
int build_logs_read (build_logs_t *self, int64_t job, int64_t attempt, int64_t offset, size_t max_bytes, buffer_t *out,
                     bool *is_ended, err_t *err);

/* Its bytes; -1 when there is none. It must not be open. */
int64_t build_logs_remove (build_logs_t *self, int64_t job, int64_t attempt);

/* It may be written to still. */
bool build_logs_is_open (const build_logs_t *self, int64_t job, int64_t attempt);
const char *build_logs_folder (const build_logs_t *self);       /* borrowed */

/* Bytes received since the start. */
uint64_t build_logs_received (const build_logs_t *self);

#endif
