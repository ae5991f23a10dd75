/* view_workers.c - see view.h: the registered workers. */
#include "coordinator/view.h"

#include "common/mem.h"
#include "coordinator/boards.h"
#include "coordinator/cells.h"

/* The most that it gives one job; null: it enforces none. */
static json_t *limits_of (const query_t *query)
{
    json_t *limits = json_loads (query_get_text (query, 12), 0, NULL);
    if (json_object_size (limits) > 0)
        return limits;
    json_decref (limits);
    return json_null ();
}

static json_t *worker_of (engine_t *self, const query_t *query)
{
    const board_t *board = board_find (self, query_get_int (query, 0));
    return json_pack ("{s:o, s:s, s:b, s:O?, s:O?, s:s?, s:o, s:i, s:o, s:o, s:I, s:i, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:o}",
                      "name", cell_text (query, 1, 64), "state", board ? board_state (self, board) : "lost",
                      "connected", board && board->is_online && board->peer, "labels", board ? board->labels : NULL,
                      "health", board ? board->health : NULL, "unfit", board && *board->unfit ? board->unfit : NULL,
                      "comment", cell_text (query, 11, 256), "faults", board ? board->faults : 0,
                      "quarantined_until_ms", board && board->quarantined_until_ms ? json_integer (board->quarantined_until_ms) : json_null (),
                      "platforms", json_loads (query_get_text (query, 2), 0, NULL), "slots", (json_int_t) query_get_int (query, 3),
                      "busy", board ? board->busy : 0, "cpus", (json_int_t) query_get_int (query, 4),
                      "memory_bytes", (json_int_t) query_get_int (query, 5), "builder", cell_text (query, 6, 128),
                      "isolation", cell_text (query, 7, 64), "isolation_reason", cell_text (query, 8, 256),
                      "version", cell_text (query, 9, 64), "seen_ms", (json_int_t) board_seen_ms (self, board, query_get_int (query, 10)),
                      "limits", limits_of (query));
}

#define WORKER_COLUMNS "id, name, platforms, slots, cpus, memory_bytes, builder, isolation, isolation_reason, version, seen_ms, comment, limits"

/* What it works on. */
static int add_tasks (engine_t *self, json_t *worker, int64_t id, err_t *err)
{
    json_t *all = json_array ();
    json_object_set_new (worker, "tasks", all);
    query_t query = db_query (self->db, "SELECT jobs.build, jobs.platform, jobs.state, attempts.number, attempts.assigned_ms FROM attempts "
                              "JOIN jobs ON jobs.id = attempts.job WHERE attempts.worker = :worker AND attempts.ended_ms IS NULL "
                              "ORDER BY attempts.assigned_ms LIMIT 100");
    query_int (&query, ":worker", id);
    while (query_step (&query))
        json_array_append_new (all, json_pack ("{s:I, s:o, s:o, s:I, s:I}", "build", (json_int_t) query_get_int (&query, 0), "platform",
                                               cell_text (&query, 1, PLATFORM_MAX), "state", cell_text (&query, 2, 32), "attempt",
                                               (json_int_t) query_get_int (&query, 3), "assigned_ms", (json_int_t) query_get_int (&query, 4)));
    return query_end (&query, err);
}

json_t *view_worker (engine_t *self, const char *name, err_t *err)
{
    AUTO_JSON json_t *worker = NULL;
    int64_t id = 0;
    query_t query = db_query (self->db, "SELECT " WORKER_COLUMNS " FROM workers WHERE name = :name AND mode <> 'forgotten'");
    query_text (&query, ":name", name);
    if (query_step (&query)) {
        id = query_get_int (&query, 0);
        worker = worker_of (self, &query);
    }
    if (query_end (&query, err) < 0)
        return NULL;
    if (!worker) {
        err_set (err, ERR_NOT_FOUND, "there is no worker %s: farmctl worker ls shows them all", name);
        return NULL;
    }
    return add_tasks (self, worker, id, err) < 0 ? NULL : take (&worker);
}

int view_on_worker (engine_t *self, const event_t *event, err_t *err)
{
    json_t *worker = view_worker (self, event_text (event, "name"), err);
    if (!worker)
        return -1;
    engine_answer (self, event, "worker-state", json_pack ("{s:o}", "worker", worker));
    return 0;
}

int view_on_workers (engine_t *self, const event_t *event, err_t *err)
{
    json_t *all = json_array ();
    int size = 0;
    bool has_more;
    const char *after = event_text (event, "after");
    query_t query = db_query (self->db, "SELECT " WORKER_COLUMNS " FROM workers WHERE name > :after AND mode <> 'forgotten' "
                              "ORDER BY name");
    query_text (&query, ":after", after ? after : "");
    while ((has_more = query_step (&query)) && size < LIST_MAX) {
        json_t *worker = worker_of (self, &query);
        size += cell_size (worker);
        json_array_append_new (all, worker);
    }
    if (query_end (&query, err) < 0) {
        json_decref (all);
        return -1;
    }
    engine_answer (self, event, "worker-list", json_pack ("{s:o, s:b}", "workers", all, "has_more", has_more));
    return 0;
}
