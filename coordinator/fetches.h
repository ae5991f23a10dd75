/* fetches.h - contexts that the coordinator fetches itself (common/source.h): of a build that waits for its own, and of a time of a schedule.
 *
 *     submit --> fetches row, jobs rest --ACTION_FETCH--> `fetched` --+--> the build's spec has its context: its jobs wake
 *                     ^                                               |--> the host's fault: again later, some times
 *                     |______________ later, or after a restart ______|--> the user's: the build has failed
 *
 * A build with such a row shows it as `fetch`; it is `queued`, and no worker gets it. */
#ifndef FARM_FETCHES_H
#define FARM_FETCHES_H

#include "coordinator/engine_private.h"

/* Does this spec name something to fetch that was not fetched yet? */
bool fetches_needs (const json_t *spec);
/* May this user have it fetched? And is it named well, with a Dockerfile that is below it? ERR_USAGE, ERR_DENIED. */
int fetches_check (engine_t *self, int64_t principal, const json_t *spec, err_t *err);

/* The context of a build that was taken down, with its jobs; or of a schedule's time. */
int fetches_add (engine_t *self, int64_t build, int64_t principal, const json_t *spec, err_t *err);
int fetches_add_firing (engine_t *self, int64_t schedule, int64_t scheduled_ms, int64_t principal, const json_t *spec, err_t *err);

/* What was fetched, set into a spec: `context`, `dockerfile`, and of a repository its commit, as a label too. */
void fetches_complete (json_t *spec, const json_t *fetched);

/* A fetcher's word. */
handler_fn fetches_on_fetched;

/* It is time to hand one out. */
int fetches_hand_out (engine_t *self, int64_t id, err_t *err);

/* A build is over; times of a schedule are not wanted any more. */
int fetches_end (engine_t *self, int64_t build, err_t *err);
int fetches_end_firings (engine_t *self, int64_t schedule, err_t *err);

/* From the database: what has to be handed out. */
int fetches_load (engine_t *self, err_t *err);

/* {tries, text}: of a build whose context is being fetched; null for others. To the caller. And as the reason why its jobs wait; NULL: they do not. */
json_t *fetches_view (engine_t *self, int64_t build);
char *fetches_explain (engine_t *self, int64_t build);

/* In SQL, of jobs and of builds. */
#define FETCHING_JOBS "EXISTS (SELECT 1 FROM fetches WHERE fetches.build = jobs.build)"

#endif
