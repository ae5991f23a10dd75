/* restores.c - see restores.h. */
#include "coordinator/restores.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/boards.h"
#include "coordinator/builds.h"
#include "coordinator/jobs.h"
#include "coordinator/queue.h"

enum { PATIENCE_MS = 600000, AGAIN_MS = 10000, RECENT_MS = 60000, RESTORES_MAX = 1000 };

static restore_t *find (engine_t *self, const char *root)
{
    for (size_t i = 0; i < self->restore_count; i++)
        if (strcmp (self->restores [i].root, root) == 0)
            return &self->restores [i];
    return NULL;
}

static void drop (engine_t *self, restore_t *restore)
{
    free (restore->answers);
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

/* Of the queued jobs that need it. CROSS: live builds first, not all jobs that there ever were. */
static int each_job (engine_t *self, const char *root, int (*act) (engine_t *, int64_t, err_t *), err_t *err)
{
    query_t query = db_query (self->db, "SELECT jobs.id FROM builds CROSS JOIN jobs ON jobs.build = builds.id "
                              "WHERE builds.ended_ms IS NULL AND jobs.state = 'queued' "
                              "AND :root IN (" BUILD_CONTEXT ", " BUILD_DOCKERFILE ")");
    query_text (&query, ":root", root);
    return engine_each_id (self, query, act, err);
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

/* What is known of the context and the Dockerfile of a job, the worst of the two; NULL: nothing. */
static int find_of_job (engine_t *self, int64_t job, const restore_t **out, err_t *err)
{
    *out = NULL;
    if (self->restore_count == 0)
        return 0;
    query_t query = db_query (self->db, "SELECT " BUILD_CONTEXT ", " BUILD_DOCKERFILE " FROM jobs "
                              "JOIN builds ON builds.id = jobs.build WHERE jobs.id = :id");
    query_int (&query, ":id", job);
    if (query_step (&query))
        for (int column = 0; column < 2; column++) {
            const restore_t *restore = query_get_text (&query, column) ? find (self, query_get_text (&query, column)) : NULL;
            if (restore && (!*out || restore->state > (*out)->state))
                *out = restore;
        }
    return query_end (&query, err);
}

int restores_find (engine_t *self, int64_t job, restore_state *state, err_t *err)
{
    const restore_t *restore;
    if (find_of_job (self, job, &restore, err) < 0)
        return -1;
    *state = restore ? restore->state : RESTORE_NONE;
    return 0;
}

static int fail_gone (engine_t *self, const job_t *job, err_t *err)
{
    err_t why;                          /* which makes a worker's words fit to be shown */
    const restore_t *restore;
    if (find_of_job (self, job->id, &restore, err) < 0)
        return -1;
    bool has_text = restore && *restore->text;
    err_set (&why, ERR_FARM, "its context was damaged on the coordinator's disk, and no worker that is online %s: submit again, which "
             "sends what is missing%s%s%s", has_text ? "could give it back" : "has it", has_text ? " (" : "", has_text ? restore->text : "",
             has_text ? ")" : "");
    const fault_t gone = { .code = why.code, .exit_status = -1, .reason = why.text };
    return job_fail (self, job, &gone, err);
}

/* A sibling that failed may have taken it along. */
static int fail (engine_t *self, int64_t id, err_t *err)
{
    job_t job;
    if (job_load (self, id, &job, err) < 0)
        return -1;
    return job.state == JOB_QUEUED ? fail_gone (self, &job, err) : 0;
}

int restores_take (engine_t *self, const job_t *job, restore_state state, const fault_t *fault, err_t *err)
{
    if (state == RESTORE_GONE)
        return fail_gone (self, job, err);
    if (job_retry (self, job, fault, RETRY_FREE, err) < 0)
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

static restore_answer_t *answer_of (const restore_t *restore, int64_t worker)
{
    for (size_t i = 0; i < restore->answer_count; i++)
        if (restore->answers [i].worker == worker)
            return &restore->answers [i];
    return NULL;
}

static bool has_not (const restore_t *restore, int64_t worker)
{
    const restore_answer_t *answer = answer_of (restore, worker);
    return answer && answer->again_at == INT64_MAX;
}

static void note_answer (restore_t *restore, int64_t worker, int64_t again_at)
{
    restore_answer_t *answer = answer_of (restore, worker);
    if (!answer) {
        restore->answers = mem_resize (restore->answers, (restore->answer_count + 1) * sizeof *answer);
        answer = &restore->answers [restore->answer_count++];
    }
    *answer = (restore_answer_t) { worker, again_at };
}

static void forget_answer (restore_t *restore, restore_answer_t *answer)
{
    *answer = restore->answers [--restore->answer_count];
}

void restores_ask (engine_t *self, const board_t *board)
{
    for (size_t i = 0; i < self->restore_count; i++) {
        restore_t *restore = &self->restores [i];
        if (restore->state != RESTORE_ASKED || has_not (restore, board->id))
            continue;
        restore_answer_t *answer = answer_of (restore, board->id);
        if (answer)
            forget_answer (restore, answer);
        restore->until = self->boot_ms + PATIENCE_MS;
        ask (self, board, restore);
    }
}

/* Those that could not give it back, after a while. One that is away is asked when it comes. */
static void ask_again (engine_t *self, restore_t *restore)
{
    for (size_t i = 0; i < restore->answer_count; ) {
        restore_answer_t *answer = &restore->answers [i];
        if (self->boot_ms < answer->again_at) {
            i++;
            continue;
        }
        const board_t *board = board_find (self, answer->worker);
        forget_answer (restore, answer);
        if (board && is_there (board))
            ask (self, board, restore);
    }
}

/* -- the end ---------------------------------------------------------------------------------------------------- */

/* All who are online have said no, or nothing better for too long. With nobody online there is nobody who waits for it either. */
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
    restore->state = RESTORE_GONE;          /* first: the jobs' reason is found by it */
    if (each_job (self, restore->root, fail, err) < 0) {
        restore->state = RESTORE_ASKED;
        return -1;
    }
    engine_tell (self, "no worker has given back context or Dockerfile %.16s", restore->root);
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
        if (restore->state == RESTORE_ASKED && is_hopeless (self, restore)) {
            if (give_up (self, restore, err) < 0)
                return -1;
        } else if (restore->state == RESTORE_ASKED)
            ask_again (self, restore);
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
        for (size_t k = 0; restore->state == RESTORE_ASKED && k < restore->answer_count; k++)
            if (restore->answers [k].again_at < next)
                next = restore->answers [k].again_at;
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
    if (text) {
        engine_tell (self, "context or Dockerfile %.16s did not come back from %s: %s", restore->root, board->name, text);
        snprintf (restore->text, sizeof restore->text, "%s: %s", board->name, text);
    }
    note_answer (restore, board->id, text ? self->boot_ms + AGAIN_MS : INT64_MAX);
    return restores_tick (self, err);
}
