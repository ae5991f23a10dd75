/* due.c - see due.h. */
#include "coordinator/due.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/firings.h"
#include "coordinator/news.h"
#include "coordinator/schedules.h"

/* A time that is no older than ON_TIME_MS is not late: a restart takes some seconds. The wall clock may be put on or back at any moment, so
 * it is looked at each LOOK_MS though nothing is due on the boot clock. */
enum { BATCH = 16, ON_TIME_MS = 60000, LOOK_MS = 60000, MORE_MS = 10 };

/* -- one schedule ----------------------------------------------------------------------------------------------- */

static int note_missed (engine_t *self, const schedule_t *schedule, int64_t times, err_t *err)
{
    firing_t firing = { .schedule = schedule->id, .scheduled_ms = schedule->next_ms };
    firing_make_request (schedule, firing.scheduled_ms, firing.request);
    engine_tell (self, "schedule %s: missed %lld time%s", schedule->name, (long long) times, times == 1 ? "" : "s");
    if (firing_insert (self, &firing, "missed", times, "the coordinator did not run then, or its clock was put on", err) < 0)
        return -1;
    return news_on_outage (self, schedule->id, schedule->next_ms, times, err);
}

static int fire_latest (engine_t *self, const schedule_t *schedule, int64_t latest_ms, err_t *err)
{
    firing_t firing = { .schedule = schedule->id, .scheduled_ms = latest_ms };
    char late [64] = "";
    if (self->wall_ms - latest_ms > ON_TIME_MS)
        snprintf (late, sizeof late, "%lld minutes late (--catch-up last)", (long long) (self->wall_ms - latest_ms) / 60000);
    firing_make_request (schedule, latest_ms, firing.request);
    return firings_fire (self, schedule, &firing, late, err);
}

/* Its times or its zone are none any more, as after an update of tzdata: somebody has to see to that. */
static int give_up (engine_t *self, const schedule_t *schedule, const err_t *why, err_t *err)
{
    engine_tell (self, "schedule %s is paused: %.300s", schedule->name, why->text);
    if (news_on_missed (self, schedule->id, "paused", why->text, err) < 0)
        return -1;
    return schedule_set_state (self, schedule->id, "paused", 0, why->text, err);
}

static int fire_due (engine_t *self, const schedule_t *schedule, err_t *err)
{
    int64_t latest_ms, before, next_ms;
    err_t why;
    if (schedule_due (schedule, self->wall_ms, &latest_ms, &before, &why) < 0 || schedule_next (schedule, latest_ms, &next_ms, &why) < 0)
        return give_up (self, schedule, &why, err);
    bool fires = self->wall_ms - latest_ms <= ON_TIME_MS || strcmp (schedule->catch_up, "last") == 0;
    int64_t missed = before + !fires;
    if (schedule_set_state (self, schedule->id, "active", next_ms, "", err) < 0 || firing_forget_old (self, schedule->id, err) < 0)
        return -1;
    if (missed > 0 && note_missed (self, schedule, missed, err) < 0)
        return -1;
    return fires ? fire_latest (self, schedule, latest_ms, err) : 0;
}

/* -- all of them ------------------------------------------------------------------------------------------------ */

/* How many, -1. */
static int fire_all_due (engine_t *self, err_t *err)
{
    int64_t due [BATCH];
    int count = 0;
    query_t query = db_query (self->db, "SELECT id FROM schedules WHERE next_ms <= :now ORDER BY next_ms, id LIMIT :limit");
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":limit", BATCH);
    while (count < BATCH && query_step (&query))
        due [count++] = query_get_int (&query, 0);
    if (query_end (&query, err) < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        AUTO_SCHEDULE schedule_t schedule = { .id = 0 };
        if (schedule_load (self, due [i], &schedule, err) < 0 || fire_due (self, &schedule, err) < 0)
            return -1;
    }
    return count;
}

/* Those that nothing holds up any more. How many, -1. The condition of the index firings_open stands there word for word, or it would not be used. */
static int begin_waiting (engine_t *self, err_t *err)
{
    firing_t free [BATCH];
    int count = 0;
    query_t query = db_query (self->db, "SELECT schedule, scheduled_ms, is_by_hand, request FROM firings WHERE outcome = 'waiting' AND NOT EXISTS "
                              "(SELECT 1 FROM firings AS other WHERE other.schedule = firings.schedule AND (other.outcome = 'waiting' "
                              "OR other.outcome = 'looking' OR other.outcome = 'running') AND other.outcome <> 'waiting') ORDER BY scheduled_ms LIMIT :limit");
    query_int (&query, ":limit", BATCH);
    while (count < BATCH && query_step (&query))
        count += firing_read (&query, &free [count]);
    if (query_end (&query, err) < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        AUTO_SCHEDULE schedule_t schedule = { .id = 0 };
        if (schedule_load (self, free [i].schedule, &schedule, err) < 0 || firings_begin (self, &schedule, &free [i], err) < 0)
            return -1;
    }
    return count;
}

static int expect (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "SELECT min (next_ms) FROM schedules WHERE next_ms IS NOT NULL");
    int64_t wait = query_step (&query) && !query_is_null (&query, 0) ? query_get_int (&query, 0) - self->wall_ms : LOOK_MS;
    self->schedules_at = self->boot_ms + (wait < 0 ? 0 : wait < LOOK_MS ? wait : LOOK_MS);
    return query_end (&query, err);
}

int due_tick (engine_t *self, err_t *err)
{
    if (!self->has_schedules || self->winds_down || self->boot_ms < self->schedules_at)
        return 0;
    int due = schedules_end_orphans (self, err) < 0 ? -1 : fire_all_due (self, err);
    int waiting = due < 0 ? -1 : begin_waiting (self, err);
    if (due < 0 || waiting < 0 || expect (self, err) < 0)
        return -1;
    if (due == BATCH || waiting == BATCH)
        self->schedules_at = self->boot_ms + MORE_MS;
    return 0;
}
