/* firings.h - what becomes of the times of schedules, once due.c has found them:
 *
 *     due --> waiting --> looking --> running --> built
 *      |  \      |           |\________ unchanged
 *      |   \_____|___________|_________ running, refused
 *      |         |___________|_________ skipped
 *       \______________________________ missed, skipped
 *
 * The engine is told the time by ticks: a time is due when the wall clock has come to it. Its firing is taken down in the same transaction as
 * its build and the schedule's next time, so a time is fired once, whatever restarts; a key of the table sees to that too.
 * waiting: until an earlier one has ended; looking: its context is fetched, where its commit says whether, or under which tags, it is built, and the
 * registry is asked for its base images; running: its build is under way. */
#ifndef FARM_FIRINGS_H
#define FARM_FIRINGS_H

#include "coordinator/jobs.h"
#include "coordinator/firing.h"

/* One time, which has to do with those before it: begun, skipped, or left waiting. text: what is to be said of it. */
int firings_fire (engine_t *self, const schedule_t *schedule, const firing_t *firing, const char *text, err_t *err);
/* One that need not wait (any more). */
int firings_begin (engine_t *self, const schedule_t *schedule, const firing_t *firing, err_t *err);

/* What was fetched for a time, as event `fetched` has it; NULL: it could not be, and whose fault that is. */
int firings_on_fetched (engine_t *self, int64_t schedule, int64_t scheduled_ms, const json_t *fetched, const fault_t *fault, err_t *err);

/* A publisher's word on base images. */
handler_fn firings_on_looked;

/* Now, by hand: whether anything has changed is not asked. *build 0: it waits for an earlier one. ERR_USAGE: one is under way. The
 * same request again is the same firing. */
int firings_run (engine_t *self, const schedule_t *schedule, const char *request, int64_t *build, err_t *err);

/* What waits, or is being looked at, is not built: the schedule is paused, ended or removed. */
int firings_drop_waiting (engine_t *self, int64_t schedule, const char *why, err_t *err);

/* A build has ended, perhaps one of theirs. */
int firings_on_end (engine_t *self, int64_t build, bool is_published, err_t *err);

/* After a start: nobody looks at what the last run had looked at. */
int firings_take_up (engine_t *self, err_t *err);

#endif
