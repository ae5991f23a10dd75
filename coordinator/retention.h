/* retention.h - builds that ended long ago, and the oldest of too many, are forgotten, with their jobs, attempts and events.
 *
 * Of a build that was the last to publish a tag age takes the events alone: what made the image that stands there can be looked up, and by
 * its number an older build is kept from moving the tag. Only as one of too many is it forgotten too, with its tags, and not while an
 * older build may still be published. */
#ifndef FARM_RETENTION_H
#define FARM_RETENTION_H

#include "coordinator/engine_private.h"

/* The depot service has removed old logs: each attempt says when, so that who asks for its log is told. */
handler_fn retention_on_logs_gone;

/* Forget some, when it is time to (engine->forgetting). Engine.h has what others ask. */
int retention_forget (engine_t *self, err_t *err);

#endif
