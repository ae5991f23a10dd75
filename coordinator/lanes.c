/* lanes.c - see lanes.h. */
#include "coordinator/lanes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/label.h"
#include "common/mem.h"
#include "coordinator/boards.h"

lane_t *lane_find (engine_t *self, int64_t id)
{
    for (size_t i = 0; i < self->lane_count; i++)
        if (self->lanes [i].id == id)
            return &self->lanes [i];
    return NULL;
}

runs_t lane_runs_on (const lane_t *self, const board_t *board)
{
    size_t i;
    json_t *requirement;
    int index = board_platform (board, self->platform);
    if (index < 0 || (board->platforms [index].is_emulated && !self->may_emulate))
        return RUNS_NOT;
    json_array_foreach (self->requires, i, requirement)
        if (!requirement_holds (json_string_value (requirement), board->labels))
            return RUNS_NOT;
    if (self->memory_bytes > board->memory_bytes || self->cpu_percent > board->cpu_percent || board->id == self->not_worker)
        return RUNS_NOT;
    return board->platforms [index].is_emulated ? RUNS_EMULATED : RUNS_NATIVE;
}

/* Takes lane.requires. */
static void add (engine_t *self, lane_t lane)
{
    self->lanes = mem_resize (self->lanes, (self->lane_count + 1) * sizeof *self->lanes);
    self->lanes [self->lane_count++] = lane;
    self->must_look = true;
}

static int insert (engine_t *self, const lane_t *lane, err_t *err)
{
    AUTO_FREE char *text = json_dumps (lane->requires, JSON_COMPACT);
    query_t query = db_query (self->db, "INSERT INTO lanes (platform, may_emulate, requires, memory_bytes, cpu_percent, not_worker) "
                              "VALUES (:platform, :emulate, :requires, :memory, :cpu, :not)");
    query_text (&query, ":platform", lane->platform);
    query_int (&query, ":emulate", lane->may_emulate);
    query_text (&query, ":requires", text);
    query_int (&query, ":memory", lane->memory_bytes);
    query_int (&query, ":cpu", lane->cpu_percent);
    query_int (&query, ":not", lane->not_worker);
    return query_run (&query, err) < 0 ? -1 : 0;
}

static bool asks_the_same (const lane_t *a, const lane_t *b)
{
    return a->may_emulate == b->may_emulate && a->memory_bytes == b->memory_bytes && a->cpu_percent == b->cpu_percent
           && a->not_worker == b->not_worker && strcmp (a->platform, b->platform) == 0 && json_equal (a->requires, b->requires);
}

int lane_of (engine_t *self, const lane_t *wish, int64_t *lane, err_t *err)
{
    AUTO_JSON json_t *requires = wish->requires ? json_deep_copy (wish->requires) : json_array ();
    lane_t wanted = *wish;
    wanted.requires = requires;
    wanted.unserved_since_ms = 0;
    for (size_t i = 0; i < self->lane_count; i++)
        if (asks_the_same (&self->lanes [i], &wanted)) {
            *lane = self->lanes [i].id;
            return 0;
        }
    if (insert (self, &wanted, err) < 0)
        return -1;
    *lane = wanted.id = db_last_id (self->db);
    take (&requires);
    add (self, wanted);
    return 0;
}

/* CROSS: live builds first, not all jobs that there ever were. */
int lanes_tidy (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "DELETE FROM lanes WHERE id NOT IN (SELECT jobs.lane FROM builds CROSS JOIN jobs "
                              "ON jobs.build = builds.id WHERE builds.ended_ms IS NULL)");
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* What only the memory knew of these lanes before. */
static void keep_lanes (engine_t *self, const lane_t *old, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        lane_t *lane = lane_find (self, old [i].id);
        if (lane)
            lane->unserved_since_ms = old [i].unserved_since_ms;
        json_decref (old [i].requires);
    }
}

int lanes_load (engine_t *self, err_t *err)
{
    AUTO_FREE lane_t *old = take (&self->lanes);
    size_t count = self->lane_count;
    self->lane_count = 0;
    query_t query = db_query (self->db, "SELECT id, platform, may_emulate, requires, memory_bytes, cpu_percent, not_worker FROM lanes ORDER BY id");
    while (query_step (&query)) {
        json_t *requires = json_loads (query_get_text (&query, 3), 0, NULL);
        lane_t lane = { .id = query_get_int (&query, 0), .may_emulate = query_get_int (&query, 2) != 0,
                        .requires = requires ? requires : json_array (), .memory_bytes = query_get_int (&query, 4),
                        .cpu_percent = query_get_int (&query, 5), .not_worker = query_get_int (&query, 6) };
        snprintf (lane.platform, sizeof lane.platform, "%s", query_get_text (&query, 1));
        add (self, lane);
    }
    keep_lanes (self, old, count);
    return query_end (&query, err);
}

void lanes_clear (engine_t *self)
{
    for (size_t i = 0; i < self->lane_count; i++)
        json_decref (self->lanes [i].requires);
    free (self->lanes);
    self->lanes = NULL;
    self->lane_count = 0;
}
