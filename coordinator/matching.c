/* matching.c - see matching.h. */
#include "coordinator/matching.h"

#include <string.h>

#include "common/mem.h"
#include "coordinator/attempts.h"

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

/* -- one platform after the other ------------------------------------------------------------------------------- */

/* How a free slot could run it best: 1, 2 or 0. */
static int free_slot (const engine_t *self, const char *platform)
{
    int best = 0;
    for (size_t i = 0; i < self->board_count; i++) {
        int how = has_slot (&self->boards [i]) ? how_it_runs (&self->boards [i], platform) : 0;
        if (how && (!best || how < best))
            best = how;
    }
    return best;
}

/* The next queued job behind `after` that could run there; false when there is none. */
static int next_job (engine_t *self, const char *platform, int how, int64_t after, int64_t *id, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM jobs WHERE state = 'queued' AND platform = :platform AND id > :after "
                              "AND (may_emulate OR :native) ORDER BY id LIMIT 1");
    query_text (&query, ":platform", platform);
    query_int (&query, ":after", after);
    query_int (&query, ":native", how == 1);
    *id = query_step (&query) ? query_get_int (&query, 0) : 0;
    return query_end (&query, err);
}

static int assign_platform (engine_t *self, const char *platform, err_t *err)
{
    int64_t id = 0;
    int how;
    while ((how = free_slot (self, platform))) {
        job_t job;
        board_t *board;
        bool is_emulated;
        if (next_job (self, platform, how, id, &id, err) < 0)
            return -1;
        if (id == 0)
            return 0;
        if (wait_is_pending (self, WAIT_MATCH, id))
            continue;
        if (job_load (self, id, &job, err) < 0 || choose (self, &job, &board, &is_emulated, err) < 0)
            return -1;
        if (board && attempt_start (self, &job, board, is_emulated, err) < 0)
            return -1;
    }
    return 0;
}

int matching_assign (engine_t *self, err_t *err)
{
    for (size_t i = 0; i < self->board_count; i++) {
        const board_t *board = &self->boards [i];
        for (size_t j = 0; has_slot (board) && j < board->platform_count; j++)
            if (assign_platform (self, board->platforms [j].name, err) < 0)
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
