/* ledger_queue.c - see sim.h: the jobs that wait, as they stand in the database. Of those whose rows were not written the referee knows
 * what they are; to read them all each time was an eighth of all that the simulator did. */
#include "sim.h"

#include <string.h>

#include "common/mem.h"

static int user_of (int64_t principal)
{
    int user = 0;
    while (user < USERS - 1 && coordinator_users [user] != principal)
        user++;
    return user;
}

/* SQLite tells of each row that it writes. */
static void on_write (void *argument, int how, const char *database, const char *table, sqlite3_int64 id)
{
    ledger_t *ledger = argument;
    (void) how, (void) database;
    ledger->has_new_workers |= strcmp (table, "workers") == 0;
    ledger->has_new_events |= strcmp (table, "events") == 0;
    if (ledger->touched_count > TOUCHED_MAX || strcmp (table, "jobs") != 0)
        return;
    if (ledger->touched_count < TOUCHED_MAX)
        ledger->touched [ledger->touched_count] = id;
    ledger->touched_count++;
}

void ledger_watch_queue (world_t *self)
{
    query_t query = db_query (self->engine->db, "SELECT 1");
    sqlite3_update_hook (sqlite3_db_handle (query.statement), on_write, &self->ledger);
    self->ledger.has_new_events = true;
    self->ledger.touched_count = TOUCHED_MAX + 1;
}

static bool is_before (const queue_row_t *a, const queue_row_t *b)
{
    return a->lane != b->lane ? a->lane < b->lane : a->class != b->class ? a->class < b->class : a->user != b->user ? a->user < b->user : a->job < b->job;
}

static void drop_row (ledger_t *ledger, int64_t job)
{
    int i = 0;
    while (i < ledger->queue_count && ledger->queue [i].job != job)
        i++;
    if (i < ledger->queue_count)
        memmove (&ledger->queue [i], &ledger->queue [i + 1], (size_t) (--ledger->queue_count - i) * sizeof *ledger->queue);
}

static void add_row (world_t *self, const query_t *query)
{
    ledger_t *ledger = &self->ledger;
    queue_row_t row = { query_get_int (query, 0), query_get_int (query, 1), (int) query_get_int (query, 2), user_of (query_get_int (query, 3)) };
    job_entry_t *job = ledger_job (self, row.job);
    int i = ledger->queue_count;
    if (!job || i == QUEUE_MAX)
        return;
    job->queued_ms = query_get_int (query, 4);              /* no event says when its build was whole */
    for (; i > 0 && is_before (&row, &ledger->queue [i - 1]); i--)
        ledger->queue [i] = ledger->queue [i - 1];
    ledger->queue [i] = row;
    ledger->queue_count++;
}

#define QUEUED "SELECT id, lane, class, principal, queued_ms FROM jobs WHERE state = 'queued' AND NOT is_resting "

static void read_all (world_t *self)
{
    query_t query = db_query (self->engine->db, QUEUED "ORDER BY lane, class, principal, id");
    self->ledger.queue_count = 0;
    while (query_step (&query))
        add_row (self, &query);
    query_end (&query, NULL);
}

/* By its events it is queued, or not. */
static void read_again (world_t *self, int64_t id)
{
    const job_entry_t *job = ledger_job (self, id);
    drop_row (&self->ledger, id);
    if (!job || job->state != JOB_QUEUED)
        return;
    query_t query = db_query (self->engine->db, QUEUED "AND id = :id");
    query_int (&query, ":id", id);
    if (query_step (&query))
        add_row (self, &query);
    query_end (&query, NULL);
}

/* As a whole after a start, and when it was too long to be kept; else what was written since. */
void ledger_read_queue (world_t *self)
{
    ledger_t *ledger = &self->ledger;
    if (!ledger->queue)
        ledger->queue = mem_alloc (QUEUE_MAX * sizeof *ledger->queue);
    if (ledger->touched_count > TOUCHED_MAX)
        read_all (self);
    else
        for (int i = 0; i < ledger->touched_count; i++)
            if (i == 0 || ledger->touched [i] != ledger->touched [i - 1])
                read_again (self, ledger->touched [i]);
    ledger->touched_count = ledger->queue_count == QUEUE_MAX ? TOUCHED_MAX + 1 : 0;
}
