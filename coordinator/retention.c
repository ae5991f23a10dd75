/* retention.c - see retention.h. Ended builds are looked at in the order of their ends, a few at a time; what would be forgotten is found
 * by the same walk as what is. */
#include "coordinator/retention.h"

#include <stdlib.h>

#include "common/mem.h"
#include "coordinator/bases.h"
#include "coordinator/builds.h"
#include "coordinator/lanes.h"
#include "coordinator/queue.h"
#include "coordinator/schedules.h"

enum { BATCH = 20, LOOK_MS = 3600000, MORE_MS = 50, RECENT_MS = 600000 };        /* between messages, in small batches */

/* -- the walk ---------------------------------------------------------------------------------------------------- */

typedef enum { FATE_STAYS, FATE_LOSES_EVENTS, FATE_GOES } fate_t;
typedef struct { int64_t build; fate_t fate; } verdict_t;

static int read_number (engine_t *self, const char *sql, int64_t *out, err_t *err)
{
    query_t query = db_query (self->db, sql);
    *out = query_step (&query) ? query_get_int (&query, 0) : 0;
    return query_end (&query, err);
}

/* *surplus: how many of the oldest are too many. */
static int begin_walk (engine_t *self, forget_walk_t *walk, err_t *err)
{
    int64_t ended = 0;
    *walk = (forget_walk_t) { .is_under_way = true };
    if (self->settings.builds_max > 0 && read_number (self, "SELECT count (*) FROM builds WHERE ended_ms IS NOT NULL", &ended, err) < 0)
        return -1;
    walk->surplus = ended > self->settings.builds_max ? ended - self->settings.builds_max : 0;
    return 0;
}

static bool is_old (const engine_t *self, int64_t ended_ms)
{
    return self->settings.build_keep_ms > 0 && ended_ms <= self->wall_ms - self->settings.build_keep_ms;
}

/* Whoever follows it, or has not had the answer to its submit, may still ask: the same request must not be a second build. */
static bool is_recent (const engine_t *self, int64_t ended_ms)
{
    return ended_ms > self->wall_ms - RECENT_MS;
}

/* False where nobody behind has to go either. */
static bool judge (const engine_t *self, forget_walk_t *walk, const query_t *row, int64_t oldest_live, verdict_t *out)
{
    int64_t build = query_get_int (row, 0), ended_ms = query_get_int (row, 1);
    bool has_tag = query_get_int (row, 2), may_go = !has_tag || oldest_live == 0 || build < oldest_live;
    if (!is_old (self, ended_ms) && (walk->surplus == 0 || is_recent (self, ended_ms)))
        return false;
    *out = (verdict_t) { build, FATE_STAYS };
    if (may_go && (!has_tag || (walk->surplus > 0 && !is_recent (self, ended_ms))))
        out->fate = FATE_GOES;
    else if (is_old (self, ended_ms))
        out->fate = FATE_LOSES_EVENTS;
    walk->surplus -= walk->surplus > 0 && out->fate == FATE_GOES;
    walk->after_ms = ended_ms;
    walk->after_id = build;
    return true;
}

/* The next that something may have to become of: how many, 0 when there is nobody left, -1. */
static int next_verdicts (engine_t *self, forget_walk_t *walk, verdict_t out [BATCH], err_t *err)
{
    int count = 0;
    int64_t oldest_live;
    if (read_number (self, "SELECT min (id) FROM builds WHERE ended_ms IS NULL", &oldest_live, err) < 0)
        return -1;
    query_t query = db_query (self->db, "SELECT id, ended_ms, EXISTS (SELECT 1 FROM tags WHERE tags.build = builds.id) FROM builds "
                              "WHERE ended_ms < :now AND (ended_ms, id) > (:ended, :id) ORDER BY ended_ms, id LIMIT :limit");
    query_int (&query, ":now", self->wall_ms);          /* of those of this batch somebody is yet to be told */
    query_int (&query, ":ended", walk->after_ms);
    query_int (&query, ":id", walk->after_id);
    query_int (&query, ":limit", BATCH);
    while (count < BATCH && query_step (&query) && judge (self, walk, &query, oldest_live, &out [count]))
        count++;
    return query_end (&query, err) < 0 ? -1 : count;
}

/* -- forgetting --------------------------------------------------------------------------------------------------- */

static int run (query_t query, int64_t build, err_t *err)
{
    query_int (&query, ":build", build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

static int lose_events (engine_t *self, int64_t build, err_t *err)
{
    return run (db_query (self->db, "DELETE FROM events WHERE build = :build"), build, err);
}

static int each_log (engine_t *self, int64_t build, void (*each) (void *argument, int64_t job, int64_t attempt), void *argument, err_t *err)
{
    query_t query = db_query (self->db, "SELECT attempts.job, attempts.number FROM jobs JOIN attempts ON attempts.job = jobs.id "
                              "WHERE jobs.build = :build");
    query_int (&query, ":build", build);
    while (query_step (&query))
        each (argument, query_get_int (&query, 0), query_get_int (&query, 1));
    return query_end (&query, err);
}

static void drop_log (void *self, int64_t job, int64_t attempt)
{
    engine_act (self, ACTION_DROP_LOG, json_pack ("{s:I, s:I}", "job", (json_int_t) job, "attempt", (json_int_t) attempt));
}

/* What refers to a row goes before it. */
static int forget (engine_t *self, int64_t build, err_t *err)
{
    if (each_log (self, build, drop_log, self, err) < 0 || lose_events (self, build, err) < 0
        || run (db_query (self->db, "DELETE FROM attempts WHERE job IN (SELECT id FROM jobs WHERE build = :build)"), build, err) < 0
        || run (db_query (self->db, "DELETE FROM jobs WHERE build = :build"), build, err) < 0
        || run (db_query (self->db, "DELETE FROM build_tags WHERE build = :build"), build, err) < 0
        || run (db_query (self->db, "DELETE FROM tags WHERE build = :build"), build, err) < 0 || bases_forget (self, build, err) < 0)
        return -1;
    return run (db_query (self->db, "DELETE FROM builds WHERE id = :build"), build, err);
}

static int carry_out (engine_t *self, const verdict_t *verdict, int64_t *forgotten, err_t *err)
{
    if (verdict->fate == FATE_LOSES_EVENTS)
        return lose_events (self, verdict->build, err);
    if (verdict->fate == FATE_STAYS)
        return 0;
    ++*forgotten;
    return forget (self, verdict->build, err);
}

static int end_walk (engine_t *self, err_t *err)
{
    forgetting_t *forgetting = &self->forgetting;
    if (forgetting->builds > 0)
        engine_tell (self, "forgot %lld builds that ended long ago, or were too many", (long long) forgetting->builds);
    forgetting->walk.is_under_way = false;
    forgetting->is_done = true;
    forgetting->at = self->boot_ms + LOOK_MS;
    if (self->boot_ms < self->tidy_at)
        return 0;
    self->tidy_at = self->boot_ms + LOOK_MS;
    return lanes_tidy (self, err) < 0 ? -1 : queue_load (self, err);
}

int retention_forget (engine_t *self, err_t *err)
{
    forgetting_t *forgetting = &self->forgetting;
    verdict_t verdicts [BATCH];
    if (self->boot_ms < forgetting->at)
        return 0;
    forgetting->at = self->boot_ms + MORE_MS;
    if (!forgetting->walk.is_under_way) {
        forgetting->builds = 0;
        if (begin_walk (self, &forgetting->walk, err) < 0)
            return -1;
    }
    int count = next_verdicts (self, &forgetting->walk, verdicts, err);
    for (int i = 0; i < count; i++)
        if (carry_out (self, &verdicts [i], &forgetting->builds, err) < 0)
            return -1;
    return count < 0 ? -1 : count == BATCH ? 0 : end_walk (self, err);
}

/* -- logs ---------------------------------------------------------------------------------------------------------- */

static int note_log_gone (engine_t *self, const json_t *log, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE attempts SET log_removed_ms = :now WHERE job = :job AND number = :number");
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":job", json_integer_value (json_array_get (log, 0)));
    query_int (&query, ":number", json_integer_value (json_array_get (log, 1)));
    return query_run (&query, err) < 0 ? -1 : 0;
}

int retention_on_logs_gone (engine_t *self, const event_t *event, err_t *err)
{
    size_t i;
    json_t *log;
    json_array_foreach (json_object_get (event->header, "logs"), i, log)
        if (note_log_gone (self, log, err) < 0)
            return -1;
    return 0;
}

/* -- what others ask ----------------------------------------------------------------------------------------------- */

void engine_forget_now (engine_t *self)
{
    self->forgetting = (forgetting_t) { .at = 0 };
    self->tick_at = 0;
}

bool engine_has_forgotten (const engine_t *self, int64_t *builds)
{
    *builds = self->forgetting.builds;
    return self->forgetting.is_done;
}

static int compare (const void *a, const void *b)
{
    int64_t one = *(const int64_t *) a, other = *(const int64_t *) b;
    return (one > other) - (one < other);
}

/* The builds that would be forgotten now, sorted. */
static int find_doomed (engine_t *self, buffer_t *out, err_t *err)
{
    forget_walk_t walk;
    verdict_t verdicts [BATCH];
    int count = BATCH;
    if (begin_walk (self, &walk, err) < 0)
        return -1;
    while (count == BATCH && (count = next_verdicts (self, &walk, verdicts, err)) > 0)
        for (int i = 0; i < count; i++)
            if (verdicts [i].fate == FATE_GOES)
                buffer_append (out, &verdicts [i].build, sizeof verdicts [i].build);
    if (out->size > 0)
        qsort (out->data, out->size / sizeof (int64_t), sizeof (int64_t), compare);
    return count < 0 ? -1 : 0;
}

static int each_doomed_log (engine_t *self, const buffer_t *doomed, const engine_plan_t *plan, err_t *err)
{
    const int64_t *builds = (const int64_t *) doomed->data;
    for (size_t i = 0; i < doomed->size / sizeof *builds; i++)
        if (each_log (self, builds [i], plan->log, plan->argument, err) < 0)
            return -1;
    return 0;
}

/* Those that are not over have no end. */
static int each_root (engine_t *self, const buffer_t *doomed, int64_t since_ms, const engine_plan_t *plan, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id, ended_ms, " BUILD_CONTEXT ", " BUILD_DOCKERFILE " FROM builds "
                              "WHERE ended_ms IS NULL OR ended_ms > :since");
    query_int (&query, ":since", since_ms);
    while (query_step (&query)) {
        int64_t build = query_get_int (&query, 0), used_ms = query_is_null (&query, 1) ? INT64_MAX : query_get_int (&query, 1);
        if (doomed->size > 0 && bsearch (&build, doomed->data, doomed->size / sizeof build, sizeof build, compare))
            continue;
        for (int column = 2; column < 4; column++)
            if (query_get_text (&query, column))
                plan->root (plan->argument, query_get_text (&query, column), used_ms);
    }
    return query_end (&query, err);
}

int engine_plan (engine_t *self, int64_t since_ms, bool is_dry, const engine_plan_t *plan, int64_t *builds, err_t *err)
{
    AUTO_BUFFER buffer_t doomed = { 0 };
    *builds = self->forgetting.builds;
    if (is_dry) {
        if (find_doomed (self, &doomed, err) < 0 || each_doomed_log (self, &doomed, plan, err) < 0)
            return -1;
        *builds = (int64_t) (doomed.size / sizeof (int64_t));
    }
    return each_root (self, &doomed, since_ms, plan, err) < 0 ? -1 : schedules_each_root (self, plan, err);
}
