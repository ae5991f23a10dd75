/* queue.c - see queue.h. */
#include "coordinator/queue.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/boards.h"
#include "coordinator/holds.h"
#include "coordinator/lanes.h"
#include "coordinator/waiting.h"

enum { LOOK_AHEAD = 16, AGE_BATCH = 1000 };

static const char *const class_names [CLASSES] = { "high", "normal", "low" };

int class_of (const char *name)
{
    for (int i = 0; name && i < CLASSES; i++)
        if (strcmp (class_names [i], name) == 0)
            return i;
    return CLASS_NORMAL;
}

static bool serves (engine_t *self, const board_t *board, const hint_t *part)
{
    const lane_t *lane = lane_find (self, part->lane);
    return lane && lane_runs_on (lane, board) != RUNS_NOT;
}

bool queue_serves_same (engine_t *self, const board_t *one, const board_t *other)
{
    for (size_t i = 0; i < self->hint_count; i++)
        if (serves (self, one, &self->hints [i]) != serves (self, other, &self->hints [i]))
            return false;
    return true;
}

/* -- hints ------------------------------------------------------------------------------------------------------ */

static void add_hint (engine_t *self, int64_t lane, int class, int64_t principal)
{
    for (size_t i = 0; i < self->hint_count; i++)
        if (self->hints [i].lane == lane && self->hints [i].class == class && self->hints [i].principal == principal)
            return;
    self->hints = mem_resize (self->hints, (self->hint_count + 1) * sizeof *self->hints);
    self->hints [self->hint_count++] = (hint_t) { lane, principal, class };
}

/* The next part of the queue that is not empty, in the order of its index. 1, 0 the end, -1. */
static int next_part (engine_t *self, hint_t *part, err_t *err)
{
    query_t query = db_query (self->db, "SELECT lane, class, principal FROM jobs WHERE state = 'queued' AND NOT is_resting "
                              "AND (lane, class, principal) > (:lane, :class, :principal) ORDER BY lane, class, principal LIMIT 1");
    query_int (&query, ":lane", part->lane);
    query_int (&query, ":class", part->class);
    query_int (&query, ":principal", part->principal);
    bool is_found = query_step (&query);
    if (is_found)
        *part = (hint_t) { query_get_int (&query, 0), query_get_int (&query, 2), (int) query_get_int (&query, 1) };
    return query_end (&query, err) < 0 ? -1 : is_found;
}

/* -- coming and resting ----------------------------------------------------------------------------------------- */

int queue_enter (engine_t *self, int64_t job, err_t *err)
{
    query_t query = db_query (self->db, "SELECT lane, class, principal, queued_ms, timeout_ms FROM jobs WHERE id = :id");
    query_int (&query, ":id", job);
    if (query_step (&query)) {
        add_hint (self, query_get_int (&query, 0), (int) query_get_int (&query, 1), query_get_int (&query, 2));
        self->must_match = true;
        lane_t *lane = lane_find (self, query_get_int (&query, 0));
        if (lane && lane->unserved_since_ms) {
            int64_t queued = query_get_int (&query, 3), since = lane->unserved_since_ms;
            waiting_expect (self, lane, (queued > since ? queued : since) + query_get_int (&query, 4));
        }
        if (query_get_int (&query, 1) > CLASS_HIGH && self->age_at == INT64_MAX)
            self->age_at = self->boot_ms + self->settings.ageing_ms;
    }
    return query_end (&query, err);
}

int queue_rest (engine_t *self, int64_t job, int64_t delay_ms, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE jobs SET is_resting = 1 WHERE id = :id AND state = 'queued'");
    query_int (&query, ":id", job);
    int rests = query_run (&query, err);
    if (rests > 0)                              /* it may have failed instead */
        wait_set (self, WAIT_MATCH, job, delay_ms);
    return rests < 0 ? -1 : 0;
}

/* What its build waits for goes on. */
int queue_wake (engine_t *self, int64_t job, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE jobs SET is_resting = 0 WHERE id = :id AND state = 'queued' AND is_resting AND NOT " HELD_JOBS);
    query_int (&query, ":id", job);
    return query_run (&query, err) < 0 ? -1 : queue_enter (self, job, err);
}

/* -- the walk --------------------------------------------------------------------------------------------------- */

static int64_t turn_of (const board_t *board, int64_t principal)
{
    for (size_t i = 0; i < board->turn_count; i++)
        if (board->turns [i].principal == principal)
            return board->turns [i].at;
    return 0;
}

void queue_note_turn (engine_t *self, board_t *board, int64_t principal)
{
    size_t i = 0;
    while (i < board->turn_count && board->turns [i].principal != principal)
        i++;
    if (i == board->turn_count) {
        board->turns = mem_resize (board->turns, (i + 1) * sizeof *board->turns);
        board->turn_count++;
    }
    board->turns [i] = (turn_t) { principal, ++self->last_turn };
}

void queue_walk_begin (queue_walk_t *self, engine_t *engine, const board_t *board)
{
    *self = (queue_walk_t) { .engine = engine, .board = board, .turn = -1 };
}

/* The user behind this one, in the order of their turns, who may have jobs of the class that the board fits. */
static bool next_user (queue_walk_t *self)
{
    int64_t best_turn = INT64_MAX, best_user = 0;
    for (size_t i = 0; i < self->engine->hint_count; i++) {
        const hint_t *hint = &self->engine->hints [i];
        if (hint->class != self->class || !serves (self->engine, self->board, hint))
            continue;
        int64_t turn = turn_of (self->board, hint->principal), user = hint->principal;
        bool is_behind = turn > self->turn || (turn == self->turn && user > self->user);
        if (is_behind && (turn < best_turn || (turn == best_turn && user < best_user))) {
            best_turn = turn;
            best_user = user;
        }
    }
    self->turn = best_turn;
    self->user = best_user;
    self->job = 0;
    self->left = LOOK_AHEAD;
    return best_user != 0;
}

static int next_of_part (engine_t *self, const hint_t *part, int64_t after, int64_t *job, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM jobs WHERE state = 'queued' AND NOT is_resting AND lane = :lane "
                              "AND class = :class AND principal = :principal AND id > :after ORDER BY id LIMIT 1");
    query_int (&query, ":lane", part->lane);
    query_int (&query, ":class", part->class);
    query_int (&query, ":principal", part->principal);
    query_int (&query, ":after", after);
    *job = query_step (&query) ? query_get_int (&query, 0) : 0;
    return query_end (&query, err);
}

/* The user's oldest job behind the last one, over all lanes; what is found empty loses its hint. 1, 0 none, -1. */
static int next_of_user (queue_walk_t *self, int64_t *job, err_t *err)
{
    engine_t *engine = self->engine;
    *job = 0;
    for (size_t i = 0; i < engine->hint_count; ) {
        hint_t hint = engine->hints [i];
        int64_t id;
        if (hint.class != self->class || hint.principal != self->user || !serves (engine, self->board, &hint)) {
            i++;
            continue;
        }
        if (next_of_part (engine, &hint, self->job, &id, err) < 0)
            return -1;
        if (id == 0 && self->job == 0) {
            engine->hints [i] = engine->hints [--engine->hint_count];
            continue;
        }
        if (id && (*job == 0 || id < *job))
            *job = id;
        i++;
    }
    self->job = *job;
    return *job != 0;
}

int queue_walk_next (queue_walk_t *self, int64_t *job, err_t *err)
{
    for (;;) {
        if (self->left > 0) {
            int rc = next_of_user (self, job, err);
            self->left = rc == 1 ? self->left - 1 : 0;
            if (rc != 0)
                return rc;
        } else if (!next_user (self)) {
            if (++self->class == CLASSES)
                return 0;
            self->turn = -1;
            self->user = 0;
        }
    }
}

/* -- age -------------------------------------------------------------------------------------------------------- */

static int64_t next_rise_ms (engine_t *self, err_t *err)
{
    int64_t next = INT64_MAX;
    query_t query = db_query (self->db, "SELECT rises_ms FROM jobs WHERE state = 'queued' AND class > 0 ORDER BY rises_ms LIMIT 1");
    if (query_step (&query))
        next = query_get_int (&query, 0);
    return query_end (&query, err) < 0 ? -1 : next;
}

/* How many, -1. */
static int raise_some (engine_t *self, err_t *err)
{
    int raised = 0;
    query_t query = db_query (self->db, "UPDATE jobs SET class = class - 1, rises_ms = :now + :ageing WHERE id IN (SELECT id FROM jobs "
                              "WHERE state = 'queued' AND class > 0 AND rises_ms <= :now ORDER BY rises_ms LIMIT :limit) "
                              "RETURNING lane, class, principal");
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":ageing", self->settings.ageing_ms);
    query_int (&query, ":limit", AGE_BATCH);
    for (; query_step (&query); raised++)
        add_hint (self, query_get_int (&query, 0), (int) query_get_int (&query, 1), query_get_int (&query, 2));
    return query_end (&query, err) < 0 ? -1 : raised;
}

int queue_age (engine_t *self, err_t *err)
{
    if (self->boot_ms < self->age_at)
        return 0;
    int raised = raise_some (self, err);
    int64_t next = raised < 0 ? -1 : next_rise_ms (self, err);
    if (next < 0)
        return -1;
    int64_t wait_ms = next - self->wall_ms > 1 ? next - self->wall_ms : 1;
    self->age_at = next == INT64_MAX ? INT64_MAX : self->boot_ms + wait_ms;
    self->must_match |= raised > 0;
    return 0;
}

/* -- from the database ------------------------------------------------------------------------------------------ */

static int load_hints (engine_t *self, err_t *err)
{
    hint_t part = { .lane = 0 };
    int rc;
    self->hint_count = 0;
    while ((rc = next_part (self, &part, err)) == 1)
        add_hint (self, part.lane, part.class, part.principal);
    return rc;
}

/* A job rests for a moment that memory knows; where it does not (any more), that is over. */
static int load_resting (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM jobs WHERE is_resting AND NOT " HELD_JOBS);
    while (query_step (&query))
        if (!wait_is_pending (self, WAIT_MATCH, query_get_int (&query, 0)))
            wait_set (self, WAIT_MATCH, query_get_int (&query, 0), 0);
    return query_end (&query, err);
}

int queue_load (engine_t *self, err_t *err)
{
    self->must_match = true;
    if (lanes_load (self, err) < 0 || load_hints (self, err) < 0)
        return -1;
    return load_resting (self, err);
}

void queue_clear (engine_t *self)
{
    lanes_clear (self);
    free (self->hints);
    self->hints = NULL;
    self->hint_count = 0;
}
