/* matching.c - see matching.h. */
#include "coordinator/matching.h"

#include "coordinator/boards.h"
#include "coordinator/attempts.h"
#include "coordinator/homes.h"
#include "coordinator/lanes.h"
#include "coordinator/queue.h"

enum { IDLE_MAX = 8 };

static bool has_slot (const engine_t *self, const board_t *board)
{
    return board_is_open (self, board) && board->busy < board->slots;
}

/* -- choosing --------------------------------------------------------------------------------------------------- */

typedef struct {
    runs_t runs;
    bool has_failed;            /* at this job */
    bool is_home;
    double load;                /* slots taken, of all */
    int strain;                 /* of its machine */
} rank_t;

static bool is_better (const rank_t *a, const rank_t *b)
{
    if (a->runs != b->runs)
        return a->runs < b->runs;
    if (a->has_failed != b->has_failed)
        return b->has_failed;
    if (a->is_home != b->is_home)
        return a->is_home;
    return a->load != b->load ? a->load < b->load : a->strain < b->strain;
}

static int has_failed (engine_t *self, int64_t job, int64_t worker, bool *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT 1 FROM attempts WHERE job = :job AND worker = :worker AND state = 'failed'");
    query_int (&query, ":job", job);
    query_int (&query, ":worker", worker);
    *out = query_step (&query);
    return query_end (&query, err);
}

static int rank_board (engine_t *self, const job_t *job, const lane_t *lane, const board_t *board, int64_t home, rank_t *rank, err_t *err)
{
    *rank = (rank_t) { .runs = lane_runs_on (lane, board), .is_home = board->id == home, .load = (double) board->busy / board->slots,
                       .strain = board->strain };
    if (rank->runs == RUNS_NOT || job->failures == 0)
        return 0;
    return has_failed (self, job->id, board->id, &rank->has_failed, err);
}

/* The best of those that have a free slot, NULL where the job has to wait: for any of them, or for its home, which would be better
 * and will be free. */
static int choose (engine_t *self, const job_t *job, board_t **out, bool *is_emulated, err_t *err)
{
    const lane_t *lane = lane_find (self, job->lane);
    rank_t best = { .runs = RUNS_NOT }, busy_home = { .runs = RUNS_NOT }, rank;
    int64_t home;
    *out = NULL;
    if (homes_find (self, job, lane, &home, err) < 0)
        return -1;
    for (size_t i = 0; lane && i < self->board_count; i++) {
        board_t *board = &self->boards [i];
        bool is_free = board->busy < board->slots;
        if ((!is_free && board->id != home) || !board_is_open (self, board))
            continue;
        if (rank_board (self, job, lane, board, home, &rank, err) < 0)
            return -1;
        if (rank.runs == RUNS_NOT)
            continue;
        if (is_free && (!*out || is_better (&rank, &best))) {
            *out = board;
            best = rank;
        } else if (!is_free && rank.is_home)
            busy_home = rank;
    }
    if (*out && busy_home.is_home && is_better (&busy_home, &best) && homes_is_worth_waiting (self, job))
        *out = NULL;
    *is_emulated = best.runs == RUNS_EMULATED;
    return 0;
}

/* -- one board after the other ---------------------------------------------------------------------------------- */

/* What has been found while slots are given away. Slots only get fewer, so what has to wait has to wait until the end. */
typedef struct {
    id_map_t waiting;           /* jobs */
    const board_t *idle [IDLE_MAX];     /* boards for which there was nothing but these, */
    int idle_count;             /* so there is nothing for another of their kind */
} pass_t;

static void begin_anew (pass_t *self)
{
    id_map_clear (&self->waiting);
    self->idle_count = 0;
}

static bool is_idle (const pass_t *self, engine_t *engine, const board_t *board)
{
    for (int i = 0; i < self->idle_count; i++)
        if (queue_serves_same (engine, self->idle [i], board))
            return true;
    return false;
}

/* The next job for a free slot of the board. One that suits another better, which has a slot too, is left to that one's turn: else a
 * user whose jobs this board could run would take the other's slots before those who can be served nowhere else. 1: one was assigned, or has failed. */
static int serve (engine_t *self, board_t *board, pass_t *pass, err_t *err)
{
    queue_walk_t walk;
    int64_t id;
    int rc;
    bool do_all_wait = true;
    if (is_idle (pass, self, board))
        return 0;
    queue_walk_begin (&walk, self, board);
    while ((rc = queue_walk_next (&walk, &id, err)) == 1) {
        job_t job;
        board_t *best;
        bool is_emulated;
        if (id_map_find (&pass->waiting, id) >= 0)
            continue;
        if (job_load (self, id, &job, err) < 0 || choose (self, &job, &best, &is_emulated, err) < 0)
            return -1;
        if (!best)
            id_map_set (&pass->waiting, id, 0);
        do_all_wait = do_all_wait && !best;
        if (best != board)
            continue;
        int has_begun = attempt_start (self, &job, best, is_emulated, err);
        if (has_begun < 0)
            return -1;
        if (has_begun)
            queue_note_turn (self, board, job.principal);
        else                                    /* what ended with it may have left a slot */
            begin_anew (pass);
        return 1;
    }
    if (rc == 0 && do_all_wait && pass->idle_count < IDLE_MAX)
        pass->idle [pass->idle_count++] = board;
    return rc;
}

/* Fill the boards' free slots, one board after the other. 1: a job left the queue. */
static int serve_all (engine_t *self, pass_t *pass, err_t *err)
{
    int has_assigned = 0;
    for (size_t i = 0; i < self->board_count; i++)
        while (has_slot (self, &self->boards [i])) {
            int rc = serve (self, &self->boards [i], pass, err);
            if (rc < 0)
                return -1;
            if (rc == 0)
                break;
            has_assigned = 1;
        }
    return has_assigned;
}

/* Once more after each round: what was left to another board, which then had no slot any more, is to have the next best. */
int matching_assign (engine_t *self, err_t *err)
{
    int rc;
    pass_t pass = { .idle_count = 0 };
    while ((rc = serve_all (self, &pass, err)) == 1)
        ;
    begin_anew (&pass);
    return rc;
}
