/* restores.c - see restores.h. */
#include "coordinator/restores.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/boards.h"
#include "coordinator/jobs.h"
#include "coordinator/queue.h"

enum { PATIENCE_MS = 600000, RECENT_MS = 60000, RESTORES_MAX = 1000 };

static restore_t *find (engine_t *self, const char *root)
{
    for (size_t i = 0; i < self->restore_count; i++)
        if (strcmp (self->restores [i].root, root) == 0)
            return &self->restores [i];
    return NULL;
}

static void drop (engine_t *self, restore_t *restore)
{
    free (restore->without);
    *restore = self->restores [--self->restore_count];
}

static restore_t *add (engine_t *self, const char *root)
{
    for (size_t i = 0; self->restore_count >= RESTORES_MAX && i < self->restore_count; i++)
        if (self->restores [i].state != RESTORE_ASKED)
            drop (self, &self->restores [i]);
    self->restores = mem_resize (self->restores, (self->restore_count + 1) * sizeof *self->restores);
    restore_t *restore = &self->restores [self->restore_count++];
    *restore = (restore_t) { .state = RESTORE_ASKED, .until = self->boot_ms + PATIENCE_MS };
    snprintf (restore->root, sizeof restore->root, "%s", root);
    return restore;
}

void restores_clear (engine_t *self)
{
    while (self->restore_count)
        drop (self, &self->restores [0]);
    free (self->restores);
    self->restores = NULL;
}

/* -- jobs ------------------------------------------------------------------------------------------------------- */

/* Appends the ids of the queued jobs that need it. */
static int find_jobs (engine_t *self, const char *root, buffer_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT jobs.id FROM builds JOIN jobs ON jobs.build = builds.id "
                              "WHERE builds.state IN ('queued', 'running') AND jobs.state = 'queued' "
                              "AND :root IN (json_extract (spec, '$.context'), json_extract (spec, '$.dockerfile.digest'))");
    query_text (&query, ":root", root);
    while (query_step (&query)) {
        int64_t id = query_get_int (&query, 0);
        buffer_append (out, &id, sizeof id);
    }
    return query_end (&query, err);
}

static int each_job (engine_t *self, const char *root, int (*act) (engine_t *, int64_t, err_t *), err_t *err)
{
    AUTO_BUFFER buffer_t jobs = { 0 };
    if (find_jobs (self, root, &jobs, err) < 0)
        return -1;
    const int64_t *ids = (const int64_t *) jobs.data;
    for (size_t i = 0; i < jobs.size / sizeof *ids; i++)
        if (act (self, ids [i], err) < 0)
            return -1;
    return 0;
}

static int rest (engine_t *self, int64_t job, err_t *err)
{
    return queue_rest (self, job, PATIENCE_MS, err);
}

static int wake (engine_t *self, int64_t job, err_t *err)
{
    wait_note_under_way (self, WAIT_MATCH, job);
    return queue_wake (self, job, err);
}

static const fault_t gone = {
    .code = ERR_FARM, .exit_status = -1, .reason = "its context was damaged on the coordinator's disk, and no worker that is online has it: "
    "submit again, which sends what is missing"
};

/* A sibling that failed may have taken it along. */
static int fail (engine_t *self, int64_t id, err_t *err)
{
    job_t job;
    if (job_load (self, id, &job, err) < 0)
        return -1;
    return job.state == JOB_QUEUED ? job_fail (self, &job, &gone, err) : 0;
}

int restores_find (engine_t *self, int64_t job, restore_state *state, err_t *err)
{
    *state = RESTORE_NONE;
    if (self->restore_count == 0)
        return 0;
    query_t query = db_query (self->db, "SELECT json_extract (spec, '$.context'), json_extract (spec, '$.dockerfile.digest') FROM jobs "
                              "JOIN builds ON builds.id = jobs.build WHERE jobs.id = :id");
    query_int (&query, ":id", job);
    if (query_step (&query))
        for (int column = 0; column < 2; column++) {
            const restore_t *restore = query_get_text (&query, column) ? find (self, query_get_text (&query, column)) : NULL;
            if (restore && restore->state > *state)
                *state = restore->state;
        }
    return query_end (&query, err);
}

int restores_take (engine_t *self, const job_t *job, restore_state state, const fault_t *fault, err_t *err)
{
    if (state == RESTORE_GONE)
        return job_fail (self, job, &gone, err);
    if (job_retry (self, job, fault, false, err) < 0)
        return -1;
    return state == RESTORE_ASKED ? rest (self, job->id, err) : 0;
}

/* -- asking ----------------------------------------------------------------------------------------------------- */

static bool is_there (const board_t *board)
{
    return board->is_online && board->peer;
}

static void ask (engine_t *self, const board_t *board, const restore_t *restore)
{
    engine_send (self, board->peer, "restore", json_pack ("{s:s}", "root", restore->root));
}

int restores_on_lost (engine_t *self, const event_t *event, err_t *err)
{
    const char *root = event_text (event, "root");
    restore_t *restore = find (self, root);
    if (restore && restore->state == RESTORE_ASKED)
        return 0;
    if (each_job (self, root, rest, err) < 0)
        return -1;
    if (restore)
        drop (self, restore);
    restore = add (self, root);
    engine_tell (self, "context or Dockerfile %.16s was damaged in the depot: the workers are asked for it", root);
    for (size_t i = 0; i < self->board_count; i++)
        if (is_there (&self->boards [i]))
            ask (self, &self->boards [i], restore);
    return 0;
}

static bool has_not (const restore_t *restore, int64_t worker)
{
    for (size_t i = 0; i < restore->without_count; i++)
        if (restore->without [i] == worker)
            return true;
    return false;
}

void restores_ask (engine_t *self, const board_t *board)
{
    for (size_t i = 0; i < self->restore_count; i++) {
        restore_t *restore = &self->restores [i];
        if (restore->state != RESTORE_ASKED || has_not (restore, board->id))
            continue;
        restore->until = self->boot_ms + PATIENCE_MS;
        ask (self, board, restore);
    }
}

/* -- the end ---------------------------------------------------------------------------------------------------- */

/* All who are online have said no, or nothing for too long. With nobody online there is nobody who waits for it either. */
static bool is_hopeless (const engine_t *self, const restore_t *restore)
{
    bool is_one_there = false;
    for (size_t i = 0; i < self->board_count; i++) {
        const board_t *board = &self->boards [i];
        if (!is_there (board))
            continue;
        is_one_there = true;
        if (self->boot_ms < restore->until && !has_not (restore, board->id))
            return false;
    }
    return is_one_there;
}

static int give_up (engine_t *self, restore_t *restore, err_t *err)
{
    if (each_job (self, restore->root, fail, err) < 0)
        return -1;
    engine_tell (self, "no worker has context or Dockerfile %.16s", restore->root);
    restore->state = RESTORE_GONE;
    return 0;
}

int restores_tick (engine_t *self, err_t *err)
{
    for (size_t i = 0; i < self->restore_count; ) {
        restore_t *restore = &self->restores [i];
        if (restore->state == RESTORE_BACK && self->boot_ms >= restore->until) {
            drop (self, restore);
            continue;
        }
        if (restore->state == RESTORE_ASKED && is_hopeless (self, restore) && give_up (self, restore, err) < 0)
            return -1;
        i++;
    }
    return 0;
}

int64_t restores_next_tick (const engine_t *self)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < self->restore_count; i++) {
        const restore_t *restore = &self->restores [i];
        if (restore->state != RESTORE_GONE && restore->until > self->boot_ms && restore->until < next)
            next = restore->until;
    }
    return next;
}

int restores_end (engine_t *self, const char *root, err_t *err)
{
    restore_t *restore = find (self, root);
    if (!restore)
        return 0;
    if (restore->state == RESTORE_ASKED && each_job (self, restore->root, wake, err) < 0)
        return -1;
    restore->state = RESTORE_BACK;
    restore->until = self->boot_ms + RECENT_MS;
    return 0;
}

int restores_on_restored (engine_t *self, const event_t *event, err_t *err)
{
    const board_t *board = board_of_principal (self, event->principal);
    restore_t *restore = find (self, event_text (event, "root"));
    const char *text = event_text (event, "text");
    if (!board || !restore || restore->state != RESTORE_ASKED)
        return 0;
    if (json_is_true (json_object_get (event->header, "found"))) {
        engine_tell (self, "context or Dockerfile %.16s came back from %s", restore->root, board->name);
        return restores_end (self, restore->root, err);
    }
    if (text)
        engine_tell (self, "context or Dockerfile %.16s did not come back from %s: %s", restore->root, board->name, text);
    if (!has_not (restore, board->id)) {
        restore->without = mem_resize (restore->without, (restore->without_count + 1) * sizeof *restore->without);
        restore->without [restore->without_count++] = board->id;
    }
    return restores_tick (self, err);
}
