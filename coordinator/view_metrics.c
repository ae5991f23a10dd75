/* view_metrics.c - see view.h: how the farm is just now, in numbers. Each is asked of an index or of memory, so that a queue of 100,000 jobs is
 * counted in some milliseconds. */
#include "coordinator/view.h"

#include <string.h>

#include "common/mem.h"
#include "coordinator/boards.h"
#include "coordinator/lanes.h"

enum { LANES_MAX = 4096 };

static void add (json_t *samples, const char *name, double value, const char *label, const char *second)
{
    json_array_append_new (samples, json_pack ("[s, f, s?, s?]", name, value, label, second));
}

static int ask (json_t *samples, const char *name, query_t *query, err_t *err)
{
    add (samples, name, query_step (query) ? (double) query_get_int (query, 0) : 0, NULL, NULL);
    return query_end (query, err);
}

/* -- jobs -------------------------------------------------------------------------------------------------------- */

/* Anybody may ask for any platform: what no worker has ever run is "other". */
static const char *platform_label (engine_t *self, const char *platform)
{
    for (size_t i = 0; i < self->board_count; i++)
        if (board_platform (&self->boards [i], platform) >= 0)
            return platform;
    return "other";
}

static int add_rows (engine_t *self, json_t *samples, query_t query, err_t *err)
{
    while (query_step (&query))
        add (samples, "farm_jobs", (double) query_get_int (&query, 2), platform_label (self, query_get_text (&query, 0)), query_get_text (&query, 1));
    return query_end (&query, err);
}

/* Those that a worker has, those that a publisher has, and those that are held back. */
static int add_jobs (engine_t *self, json_t *samples, err_t *err)
{
    if (add_rows (self, samples, db_query (self->db, "SELECT jobs.platform, jobs.state, count (*) FROM attempts JOIN jobs ON jobs.id = attempts.job "
                                           "WHERE attempts.ended_ms IS NULL AND jobs.state <> 'verifying' GROUP BY 1, 2"), err) < 0)
        return -1;
    if (add_rows (self, samples, db_query (self->db, "SELECT platform, 'verifying', count (*) FROM jobs WHERE state = 'verifying' GROUP BY 1"), err) < 0)
        return -1;
    return add_rows (self, samples, db_query (self->db, "SELECT platform, 'resting', count (*) FROM jobs WHERE is_resting GROUP BY 1"), err);
}

typedef struct { int64_t lane, count, first; } queued_t;

/* The first in the queue of each lane: when it came. */
static int add_oldest (engine_t *self, json_t *samples, const char *platform, int64_t job, err_t *err)
{
    query_t query = db_query (self->db, "SELECT queued_ms FROM jobs WHERE id = :id");
    query_int (&query, ":id", job);
    double waited_s = query_step (&query) ? (double) (self->wall_ms - query_get_int (&query, 0)) / 1000 : 0;
    add (samples, "farm_oldest_queued_seconds", waited_s > 0 ? waited_s : 0, platform, NULL);
    return query_end (&query, err);
}

static int add_lane (engine_t *self, json_t *samples, const queued_t *queued, err_t *err)
{
    const lane_t *lane = lane_find (self, queued->lane);
    const char *platform = platform_label (self, lane ? lane->platform : "");
    add (samples, "farm_jobs", (double) queued->count, platform, "queued");
    if (lane && lane->unserved_since_ms)
        add (samples, "farm_jobs_unserved", (double) queued->count, platform, NULL);
    return add_oldest (self, samples, platform, queued->first, err);
}

static int add_queue (engine_t *self, json_t *samples, err_t *err)
{
    AUTO_BUFFER buffer_t read = { 0 };
    query_t query = db_query (self->db, "SELECT lane, count (*), min (id) FROM jobs WHERE state = 'queued' AND NOT is_resting GROUP BY lane LIMIT :limit");
    query_int (&query, ":limit", LANES_MAX);
    while (query_step (&query)) {
        queued_t queued = { query_get_int (&query, 0), query_get_int (&query, 1), query_get_int (&query, 2) };
        buffer_append (&read, &queued, sizeof queued);
    }
    if (query_end (&query, err) < 0)
        return -1;
    const queued_t *lanes = (const queued_t *) read.data;
    for (size_t i = 0; i < read.size / sizeof *lanes; i++)
        if (add_lane (self, samples, &lanes [i], err) < 0)
            return -1;
    return 0;
}

/* -- builds, schedules -------------------------------------------------------------------------------------------- */

static int add_outbox (engine_t *self, json_t *samples, err_t *err)
{
    query_t count = db_query (self->db, "SELECT count (*) FROM outbox");
    query_t tries = db_query (self->db, "SELECT coalesce (max (tries), 0) FROM outbox");
    return ask (samples, "farm_outbox_builds", &count, err) < 0 || ask (samples, "farm_outbox_tries", &tries, err) < 0 ? -1 : 0;
}

static int add_schedules (engine_t *self, json_t *samples, err_t *err)
{
    query_t states = db_query (self->db, "SELECT state, count (*) FROM schedules GROUP BY state");
    while (query_step (&states))
        add (samples, "farm_schedules", (double) query_get_int (&states, 1), query_get_text (&states, 0), NULL);
    if (query_end (&states, err) < 0)
        return -1;
    query_t due = db_query (self->db, "SELECT max (0, :now - coalesce (min (next_ms), :now)) / 1000 FROM schedules WHERE next_ms IS NOT NULL");
    query_int (&due, ":now", self->wall_ms);
    return ask (samples, "farm_schedules_overdue_seconds", &due, err);
}

static int add_news (engine_t *self, json_t *samples, err_t *err)
{
    query_t waiting = db_query (self->db, "SELECT count (*) FROM news WHERE due_ms IS NOT NULL");
    return ask (samples, "farm_news_waiting", &waiting, err);
}

/* -- workers ------------------------------------------------------------------------------------------------------ */

static void add_platforms (json_t *samples, const board_t *board)
{
    for (size_t i = 0; i < board->platform_count; i++)
        add (samples, "farm_platform_workers", 1, board->platforms [i].name, board->platforms [i].is_emulated ? "yes" : "no");
}

/* 0 for each of the states too, so that an alert on one of them sees it come. */
static void add_workers (const engine_t *self, json_t *samples)
{
    static const char *const states [] = { "online", "unfit", "quarantined", "stopping", "draining", "paused", "lost" };
    int64_t slots = 0, busy = 0, cache_bytes = 0;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        add (samples, "farm_workers", 0, states [i], NULL);
    for (size_t i = 0; i < self->board_count; i++) {
        const board_t *board = &self->boards [i];
        if (board->mode == MODE_FORGOTTEN)
            continue;
        add (samples, "farm_workers", 1, board_state (self, board), NULL);
        busy += board->busy;
        cache_bytes += json_integer_value (json_object_get (board->health, "cache_bytes"));
        slots += board_is_open (self, board) ? board->slots : 0;
        if (board_is_open (self, board))
            add_platforms (samples, board);
    }
    add (samples, "farm_worker_slots", (double) slots, NULL, NULL);
    add (samples, "farm_worker_slots_busy", (double) busy, NULL, NULL);
    add (samples, "farm_worker_cache_bytes", (double) cache_bytes, NULL, NULL);
}

int view_on_metrics (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_JSON json_t *samples = json_array ();
    add (samples, "farm_builds_live", self->live_builds, NULL, NULL);
    add (samples, "farm_builds_limit", self->settings.queue_max, NULL, NULL);
    add_workers (self, samples);
    if (add_jobs (self, samples, err) < 0 || add_queue (self, samples, err) < 0 || add_outbox (self, samples, err) < 0
        || add_schedules (self, samples, err) < 0 || add_news (self, samples, err) < 0)
        return -1;
    engine_answer (self, event, "metrics", json_pack ("{s:O}", "samples", samples));
    return 0;
}

int view_on_probe (engine_t *self, const event_t *event, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE pulse SET at_ms = :now");
    query_int (&query, ":now", self->wall_ms);
    if (query_run (&query, err) < 0)
        return -1;
    engine_answer (self, event, "fine", NULL);
    return 0;
}
