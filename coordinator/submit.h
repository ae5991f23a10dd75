/* submit.h - what a submit becomes: a build with its jobs and tags, in the queue, or standing on images that are known. */
#ifndef FARM_SUBMIT_H
#define FARM_SUBMIT_H

#include "coordinator/engine_private.h"

handler_fn submit_on_check;
handler_fn submit_on_submit;

/* The build of a `submit`, whoever says it: the same request again is the same build. schedule: the name of the one that says it, else NULL. */
int submit_build (engine_t *self, const event_t *event, const char *schedule, int64_t *build, err_t *err);

#endif
