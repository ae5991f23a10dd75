/* news.h - which news there are, and of what: from what happens to builds, schedules and workers to what subscribers are told. docs/news.md has
 * the rule; it is: of one cause one news, until it is over.
 *
 *     a build fails      subject schedule/7 or build/OWNER/REPOSITORY      cause: code, platform and step      told once
 *                        platform/linux/arm64 (no worker, worker lost, disk …), registry/HOST                  of all builds
 *                        source/HOST (it does not answer who fetches)                                  of all that is fetched there
 *     it is published    ends those of them that it shows to be over: `fixed`, in the thread of what was told
 *     a worker is lost   subject worker/3                                  ends when it is back
 *
 * All of it happens in the transaction of the event. */
#ifndef FARM_NEWS_H
#define FARM_NEWS_H

#include "coordinator/engine_private.h"
#include "coordinator/jobs.h"
#include "coordinator/schedule.h"

#define NEWS_FAILED "failed"
#define NEWS_FIXED "fixed"
#define NEWS_SUCCEEDED "succeeded"
#define NEWS_MISSED "missed"
#define NEWS_LOST "lost"
#define NEWS_QUARANTINED "quarantined"
#define NEWS_TEST "test"

/* A build has ended: failed, published or cancelled (of which there are no news). */
int news_on_build (engine_t *self, int64_t build, build_state state, err_t *err);

/* The coordinator did not run when these times of a schedule were due. All that were missed together are one news. */
int news_on_outage (engine_t *self, int64_t schedule, int64_t scheduled_ms, int64_t times, err_t *err);

/* A schedule did not run, or does not run any more: cause is the same as long as it is the same reason; why is for people. */
int news_on_missed (engine_t *self, int64_t schedule, const char *cause, const char *why, err_t *err);

/* It did not run because its context could not be fetched. */
int news_on_unfetched (engine_t *self, const schedule_t *schedule, const fault_t *fault, err_t *err);

/* There was nothing to build: it stands as its last success has made it, and what it was in trouble with is over. */
int news_on_unchanged (engine_t *self, const schedule_t *schedule, err_t *err);

/* The subject of what comes of the host that a spec's context is fetched from; "": it was sent. */
enum { NEWS_SUBJECT_MAX = 700 };
void news_name_source (const json_t *spec, char out [NEWS_SUBJECT_MAX]);

/* A worker gets no jobs for that long; it is at work again. */
int news_on_quarantine (engine_t *self, const board_t *board, int64_t ms, err_t *err);
int news_on_work (engine_t *self, const board_t *board, err_t *err);
/* An admin has forgotten it: nobody waits for it any more. */
int news_on_forgotten (engine_t *self, const board_t *board, err_t *err);

/* Workers that are not back, or are; and what is due (news_outbox.h). */
int news_tick (engine_t *self, err_t *err);
int64_t news_next_tick (const engine_t *self);          /* boot clock; INT64_MAX for never */

/* A try, for whoever asks (news_outbox_await). */
int news_test (engine_t *self, const event_t *event, int64_t subscriber, err_t *err);

#endif
