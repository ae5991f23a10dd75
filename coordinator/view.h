/* view.h - builds and workers as docs/protocol.md shows them, out of the database. */
#ifndef FARM_VIEW_H
#define FARM_VIEW_H

#include "coordinator/engine_private.h"

handler_fn view_on_list;
handler_fn view_on_inspect;
handler_fn view_on_watch;
handler_fn view_on_events;              /* view_events.c: how a build came to where it is */
handler_fn view_on_workers;             /* view_workers.c */
handler_fn view_on_worker;
handler_fn view_on_metrics;             /* view_metrics.c: how the farm is, as samples (metrics.h) */
handler_fn view_on_probe;               /* can something be written? */

/* A build with jobs and attempts, short enough for a message; to the caller. NULL: ERR_NOT_FOUND. */
json_t *view_build (engine_t *self, int64_t build, err_t *err);

/* A worker and what it works on; to the caller. NULL: ERR_NOT_FOUND. */
json_t *view_worker (engine_t *self, const char *name, err_t *err);

#endif
