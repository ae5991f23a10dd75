/* live.c - what the engine keeps in memory: leases, halts and waits. Arrays, and maps of where in
 * them those of a job stand; what leaves an array is replaced by its last one. */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/boards.h"
#include "coordinator/fetches.h"
#include "coordinator/lookups.h"
#include "coordinator/principals.h"
#include "coordinator/queue.h"
#include "coordinator/restores.h"
#include "coordinator/secrets.h"
#include "coordinator/subscribers.h"

/* -- leases ----------------------------------------------------------------------------------------------------- */

lease_t *lease_find (engine_t *self, int64_t job)
{
    ptrdiff_t place = id_map_find (&self->lease_places, job);
    return place < 0 ? NULL : &self->leases [place];
}

void lease_add (engine_t *self, int64_t build, int64_t job, int64_t attempt, int64_t worker, int64_t limit_ms)
{
    self->leases = mem_resize (self->leases, (self->lease_count + 1) * sizeof *self->leases);
    id_map_set (&self->lease_places, job, self->lease_count);
    self->leases [self->lease_count++] = (lease_t) {
        .build = build, .job = job, .attempt = attempt, .worker = worker,
        .assigned_at = self->boot_ms, .lease_until = self->boot_ms + self->settings.lease_ms, .limit_ms = limit_ms,
    };
    board_t *board = board_find (self, worker);
    if (board)
        board->busy++;
}

void lease_drop (engine_t *self, int64_t job)
{
    lease_t *lease = lease_find (self, job);
    if (!lease)
        return;
    board_t *board = board_find (self, lease->worker);
    if (board && board->busy > 0)
        board->busy--;
    *lease = self->leases [--self->lease_count];
    id_map_set (&self->lease_places, lease->job, (size_t) (lease - self->leases));
    id_map_drop (&self->lease_places, job);
    self->must_match = true;
}

/* -- halts ------------------------------------------------------------------------------------------------------ */

bool attempts_name (const json_t *attempts, int64_t job, int64_t attempt)
{
    size_t i;
    json_t *item;
    json_array_foreach ((json_t *) attempts, i, item)
        if (json_integer_value (json_object_get (item, "job")) == job
            && json_integer_value (json_object_get (item, "attempt")) == attempt)
            return true;
    return false;
}

static halt_t *halt_find (engine_t *self, int64_t worker, int64_t job, int64_t attempt)
{
    for (size_t i = 0; i < self->halt_count; i++)
        if (self->halts [i].worker == worker && self->halts [i].job == job && self->halts [i].attempt == attempt)
            return &self->halts [i];
    return NULL;
}

void halt_add (engine_t *self, int64_t worker, int64_t job, int64_t attempt)
{
    board_t *board = board_find (self, worker);
    if (halt_find (self, worker, job, attempt))
        return;
    self->halts = mem_resize (self->halts, (self->halt_count + 1) * sizeof *self->halts);
    self->halts [self->halt_count++] = (halt_t) { .job = job, .attempt = attempt, .worker = worker, .since = self->boot_ms };
    if (board)
        board->busy++;
}

static void halt_end (engine_t *self, halt_t *halt)
{
    board_t *board = board_find (self, halt->worker);
    if (board && board->busy > 0)
        board->busy--;
    *halt = self->halts [--self->halt_count];
    self->must_match = true;
}

void halt_drop (engine_t *self, int64_t worker, int64_t job, int64_t attempt)
{
    halt_t *halt = halt_find (self, worker, job, attempt);
    if (halt)
        halt_end (self, halt);
}

void halts_settle (engine_t *self, int64_t worker, const json_t *attempts, int64_t fresh_at)
{
    for (size_t i = 0; i < self->halt_count; ) {
        halt_t *halt = &self->halts [i];
        if (halt->worker == worker && halt->since <= fresh_at && !attempts_name (attempts, halt->job, halt->attempt))
            halt_end (self, halt);
        else
            i++;
    }
}

/* -- waits ------------------------------------------------------------------------------------------------------ */

static wait_t *wait_find (const engine_t *self, wait_kind kind, int64_t id)
{
    ptrdiff_t place = id_map_find (&self->wait_places [kind], id);
    return place < 0 ? NULL : &self->waits [place];
}

void wait_set (engine_t *self, wait_kind kind, int64_t id, int64_t delay_ms)
{
    wait_t *wait = wait_find (self, kind, id);
    if (!wait) {
        self->waits = mem_resize (self->waits, (self->wait_count + 1) * sizeof *self->waits);
        id_map_set (&self->wait_places [kind], id, self->wait_count);
        wait = &self->waits [self->wait_count++];
        *wait = (wait_t) { .kind = kind, .id = id };
    }
    wait->tries++;
    wait->due_at = self->boot_ms + delay_ms;
}

void wait_again (engine_t *self, wait_kind kind, int64_t id, int64_t delay_ms)
{
    wait_t *wait = wait_find (self, kind, id);
    if (wait)
        wait->due_at = self->boot_ms + delay_ms;
}

int wait_tries (const engine_t *self, wait_kind kind, int64_t id)
{
    const wait_t *wait = wait_find (self, kind, id);
    return wait ? wait->tries : 0;
}

bool wait_is_pending (const engine_t *self, wait_kind kind, int64_t id)
{
    const wait_t *wait = wait_find (self, kind, id);
    return wait && wait->due_at != INT64_MAX && wait->due_at > self->boot_ms;
}

void wait_note_under_way (engine_t *self, wait_kind kind, int64_t id)
{
    wait_t *wait = wait_find (self, kind, id);
    if (wait)
        wait->due_at = INT64_MAX;
}

void wait_drop (engine_t *self, wait_kind kind, int64_t id)
{
    wait_t *wait = wait_find (self, kind, id);
    if (!wait)
        return;
    *wait = self->waits [--self->wait_count];
    id_map_set (&self->wait_places [wait->kind], wait->id, (size_t) (wait - self->waits));
    id_map_drop (&self->wait_places [kind], id);
}

/* -- from the database ------------------------------------------------------------------------------------------ */

static int load_boards (engine_t *self, err_t *err)
{
    if (boards_load (self, err) < 0)
        return -1;
    for (size_t i = 0; i < self->halt_count; i++) {
        board_t *board = board_find (self, self->halts [i].worker);
        if (board)
            board->busy++;
    }
    return 0;
}

static void keep_leases (engine_t *self, const lease_t *old, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        lease_t *lease = lease_find (self, old [i].job);
        if (!lease || lease->attempt != old [i].attempt)
            continue;
        lease->assigned_at = old [i].assigned_at;
        lease->lease_until = old [i].lease_until;
    }
}

static int load_leases (engine_t *self, err_t *err)
{
    lease_t *old = take (&self->leases);
    size_t count = self->lease_count;
    self->lease_count = 0;
    id_map_clear (&self->lease_places);
    query_t query = db_query (self->db, "SELECT jobs.build, attempts.job, attempts.number, attempts.worker, "
                              "iif (jobs.limit_ms, jobs.limit_ms, :limit) FROM attempts "
                              "JOIN jobs ON jobs.id = attempts.job AND jobs.attempt = attempts.number WHERE attempts.ended_ms IS NULL "
                              "AND jobs.state IN ('assigned', 'fetching', 'building', 'pushing')");
    query_int (&query, ":limit", self->settings.job_timeout_ms);
    while (query_step (&query)) {
        halt_drop (self, query_get_int (&query, 3), query_get_int (&query, 1), query_get_int (&query, 2));  /* its end was undone */
        lease_add (self, query_get_int (&query, 0), query_get_int (&query, 1), query_get_int (&query, 2),
                   query_get_int (&query, 3), query_get_int (&query, 4));
    }
    int rc = query_end (&query, err);
    if (rc == 0)
        keep_leases (self, old, count);
    free (old);
    return rc;
}

static int count_builds (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "SELECT count (*) FROM builds WHERE ended_ms IS NULL");
    if (query_step (&query))
        self->live_builds = (int) query_get_int (&query, 0);
    return query_end (&query, err);
}

/* One that was removed costs a look each minute until the next start. */
static int find_schedules (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "SELECT 1 FROM schedules LIMIT 1");
    self->has_schedules = query_step (&query);
    return query_end (&query, err);
}

static const char *state_of_wait (wait_kind kind)
{
    return kind == WAIT_VERIFY ? "verifying" : kind == WAIT_PUBLISH ? "publishing" : "queued";
}

static int is_idle (engine_t *self, const wait_t *wait, bool *out, err_t *err)
{
    query_t query = wait->kind == WAIT_FETCH ? db_query (self->db, "SELECT 1 FROM fetches WHERE id = :id")
                  : wait->kind == WAIT_LOOKUP ? db_query (self->db, "SELECT 1 FROM lookups WHERE id = :id")
                  : wait->kind == WAIT_PUBLISH ? db_query (self->db, "SELECT 1 FROM builds WHERE id = :id AND state = :state")
                                               : db_query (self->db, "SELECT 1 FROM jobs WHERE id = :id AND state = :state");
    query_int (&query, ":id", wait->id);
    if (wait->kind != WAIT_FETCH && wait->kind != WAIT_LOOKUP)
        query_text (&query, ":state", state_of_wait (wait->kind));
    *out = !query_step (&query);
    return query_end (&query, err);
}

/* What was to be done later for a job or a build that does not wait for it: the event that asked for it was undone. */
static int drop_idle_waits (engine_t *self, err_t *err)
{
    for (size_t i = 0; i < self->wait_count; ) {
        bool is_over;
        if (is_idle (self, &self->waits [i], &is_over, err) < 0)
            return -1;
        if (is_over)
            wait_drop (self, self->waits [i].kind, self->waits [i].id);
        else
            i++;
    }
    return 0;
}

/* Whoever was to verify these may have been forgotten: by a restart, or by an event that ended them and was undone. */
static int load_verifying (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM jobs WHERE state = 'verifying'");
    while (query_step (&query))
        if (!wait_find (self, WAIT_VERIFY, query_get_int (&query, 0)))
            wait_set (self, WAIT_VERIFY, query_get_int (&query, 0), 0);
    return query_end (&query, err);
}

int live_load (engine_t *self, err_t *err)
{
    principals_forget (self);                   /* a join may be undone */
    self->must_match = self->must_look = self->must_publish = true;
    self->patience_at = self->age_at = self->again_at > self->boot_ms ? self->again_at : self->boot_ms;     /* a tick may be undone */
    self->schedules_at = self->patience_at;
    self->forgetting = (forgetting_t) { .at = self->patience_at };
    self->news_at = self->patience_at;
    if (find_schedules (self, err) < 0 || subscribers_look (self, err) < 0 || load_boards (self, err) < 0 || load_leases (self, err) < 0 || drop_idle_waits (self, err) < 0
        || load_verifying (self, err) < 0 || fetches_load (self, err) < 0 || lookups_load (self, err) < 0 || queue_load (self, err) < 0 || secrets_load (self, err) < 0)
        return -1;
    return count_builds (self, err);
}

void live_clear (engine_t *self)
{
    principals_forget (self);
    queue_clear (self);
    restores_clear (self);
    boards_clear (self);
    id_map_clear (&self->lease_places);
    for (wait_kind kind = 0; kind < WAITS; kind++)
        id_map_clear (&self->wait_places [kind]);
    free (self->leases);
    free (self->waits);
    free (self->halts);
    self->halts = NULL;
    self->leases = NULL;
    self->waits = NULL;
    self->halt_count = self->lease_count = self->wait_count = 0;
}
