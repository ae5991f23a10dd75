/* matching.c - see matching.h. */
#include "coordinator/matching.h"

#include <string.h>

#include "common/mem.h"
#include "coordinator/attempts.h"
#include "coordinator/queue.h"

static bool has_slot (const board_t *board)
{
    return board->is_online && board->peer && board->busy < board->slots;
}

/* Runs the platform at all (1 natively, 2 emulated), 0 if it does not. */
static int how_it_runs (const board_t *board, const char *platform)
{
    int index = board_platform (board, platform);
    return index < 0 ? 0 : board->platforms [index].is_emulated ? 2 : 1;
}

/* -- choosing --------------------------------------------------------------------------------------------------- */

typedef struct {
    int how;                    /* how_it_runs */
    bool has_failed;            /* at this job */
    double load;
} rank_t;

static bool is_better (const rank_t *a, const rank_t *b)
{
    if (a->how != b->how)
        return a->how < b->how;
    if (a->has_failed != b->has_failed)
        return b->has_failed;
    return a->load < b->load;
}

static int has_failed (engine_t *self, int64_t job, int64_t worker, bool *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT 1 FROM attempts WHERE job = :job AND worker = :worker AND state = 'failed'");
    query_int (&query, ":job", job);
    query_int (&query, ":worker", worker);
    *out = query_step (&query);
    return query_end (&query, err);
}

static int choose (engine_t *self, const job_t *job, board_t **out, bool *is_emulated, err_t *err)
{
    rank_t best = { .how = 0 };
    *out = NULL;
    for (size_t i = 0; i < self->board_count; i++) {
        board_t *board = &self->boards [i];
        rank_t rank = { .how = how_it_runs (board, job->platform), .load = (double) board->busy / board->slots };
        if (!has_slot (board) || rank.how == 0 || (rank.how == 2 && !job->may_emulate))
            continue;
        if (job->failures && has_failed (self, job->id, board->id, &rank.has_failed, err) < 0)
            return -1;
        if (*out && !is_better (&rank, &best))
            continue;
        *out = board;
        best = rank;
    }
    *is_emulated = best.how == 2;
    return 0;
}

/* -- one board after the other ---------------------------------------------------------------------------------- */

/* The next job for a free slot of the board. It goes to another one where that suits it better. 1: one was assigned. */
static int serve (engine_t *self, const board_t *board, err_t *err)
{
    queue_walk_t walk;
    int64_t id;
    int rc;
    queue_walk_begin (&walk, self, board);
    while ((rc = queue_walk_next (&walk, &id, err)) == 1) {
        job_t job;
        board_t *best;
        bool is_emulated;
        if (job_load (self, id, &job, err) < 0 || choose (self, &job, &best, &is_emulated, err) < 0)
            return -1;
        if (!best)
            continue;
        if (attempt_start (self, &job, best, is_emulated, err) < 0)
            return -1;
        queue_note_turn (self, best, job.principal);
        return 1;
    }
    return rc;
}

int matching_assign (engine_t *self, err_t *err)
{
    for (size_t i = 0; i < self->board_count; i++) {
        int rc = 1;
        while (rc == 1 && has_slot (&self->boards [i]))
            rc = serve (self, &self->boards [i], err);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* -- words ------------------------------------------------------------------------------------------------------ */

static void add_word (buffer_t *text, const char *word)
{
    if (text->size == 0 || !strstr ((const char *) text->data, word))
        buffer_printf (text, "%s%s", text->size ? ", " : "", word);
}

int matching_check (const engine_t *self, const char *platform, bool may_emulate, err_t *err)
{
    AUTO_BUFFER buffer_t native = { 0 }, emulators = { 0 };
    for (size_t i = 0; i < self->board_count; i++) {
        const board_t *board = &self->boards [i];
        int how = how_it_runs (board, platform);
        if (how == 1 || (how == 2 && may_emulate))
            return 0;
        if (how == 2)
            add_word (&emulators, board->name);
        for (size_t j = 0; j < board->platform_count; j++)
            if (!board->platforms [j].is_emulated)
                add_word (&native, board->platforms [j].name);
    }
    if (self->board_count == 0)
        return err_set (err, ERR_NO_WORKER, "no worker runs %s: no worker has joined this farm yet (farm-worker join)", platform);
    return err_set (err, ERR_NO_WORKER, "no worker runs %s; the workers run %s%s%s%s", platform,
                    native.size ? (const char *) native.data : "nothing natively",
                    emulators.size ? "; with --emulation allow it could be emulated by " : "",
                    emulators.size ? (const char *) emulators.data : "",
                    emulators.size ? "" : ", and none could emulate it");
}

char *matching_explain (const engine_t *self, int64_t job, const char *platform, bool may_emulate)
{
    if (wait_is_pending (self, WAIT_MATCH, job))
        return mem_strdup ("a moment before the next attempt");
    bool is_registered = false, is_online = false;
    for (size_t i = 0; i < self->board_count; i++) {
        int how = how_it_runs (&self->boards [i], platform);
        if (how == 0 || (how == 2 && !may_emulate))
            continue;
        is_registered = true;
        is_online |= self->boards [i].is_online && self->boards [i].peer;
    }
    return mem_printf (is_online ? "no free worker for %s" : is_registered ? "no worker for %s is online" : "no worker for %s",
                       platform);
}
