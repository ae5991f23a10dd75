/* workers.c - see workers.h. A worker's word about what it holds is compared with the leases: what it does not hold any more
 * goes back to the queue, and what it should not hold is aborted. */
#include "coordinator/workers.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/attempts.h"
#include "coordinator/boards.h"
#include "coordinator/due.h"
#include "coordinator/fetches.h"
#include "coordinator/lookups.h"
#include "coordinator/news.h"
#include "coordinator/principals.h"
#include "coordinator/queue.h"
#include "coordinator/restores.h"
#include "coordinator/retention.h"
#include "coordinator/secrets.h"
#include "coordinator/waiting.h"

enum { OVERDUE_MS = 300000 };

/* -- what it holds ---------------------------------------------------------------------------------------------- */

/* Renew what it names; what it does not name any more goes back to the queue, unless it was assigned later than fresh_at: the
 * assignment may still be on its way. */
static int settle_leases (engine_t *self, const board_t *board, const json_t *attempts, int64_t fresh_at, err_t *err)
{
    halts_settle (self, board->id, attempts, fresh_at);
    for (size_t i = 0; i < self->lease_count; ) {
        lease_t lease = self->leases [i];
        bool is_named = lease.worker == board->id && attempts_name (attempts, lease.job, lease.attempt);
        if (is_named)
            self->leases [i].lease_until = self->boot_ms + self->settings.lease_ms;
        if (is_named || lease.worker != board->id || lease.assigned_at > fresh_at) {
            i++;
            continue;
        }
        if (attempt_lose (self, &lease, false, "the worker does not have it any more", err) < 0)
            return -1;
        i = 0;                                  /* it took leases out of the array, its build's others too */
    }
    return 0;
}

/* It may go on naming it for a moment, beside what it has in that slot now. */
static int was_pushed (engine_t *self, int64_t worker, int64_t job, int64_t attempt, bool *was, err_t *err)
{
    query_t query = db_query (self->db, "SELECT 1 FROM attempts WHERE job = :job AND number = :attempt AND worker = :worker AND verifying_ms IS NOT NULL");
    query_int (&query, ":job", job);
    query_int (&query, ":attempt", attempt);
    query_int (&query, ":worker", worker);
    *was = query_step (&query);
    return query_end (&query, err);
}

/* is_believed: what it names it really has, in a slot. */
static int abort_strays (engine_t *self, const event_t *event, const board_t *board, bool is_believed, err_t *err)
{
    size_t i;
    json_t *item;
    int slots = is_believed ? board->slots : 0;         /* it cannot have more of them, but for what it has pushed */
    json_array_foreach (json_object_get (event->header, "attempts"), i, item) {
        int64_t job = json_integer_value (json_object_get (item, "job"));
        int64_t attempt = json_integer_value (json_object_get (item, "attempt"));
        bool is_wanted = false, is_pushed = false;
        if (attempt_is_wanted (self, board->id, job, attempt, &is_wanted, err) < 0)
            return -1;
        if (is_wanted)
            continue;
        if (attempt_note_foreign (self, event, job, attempt, err) < 0)
            return -1;
        if (is_believed && was_pushed (self, board->id, job, attempt, &is_pushed, err) < 0)
            return -1;
        if (is_pushed || slots-- > 0)
            halt_add (self, board->id, job, attempt);
        engine_send (self, event->peer, "abort", json_pack ("{s:I, s:I, s:s}", "job", (json_int_t) job, "attempt",
                                                            (json_int_t) attempt, "reason", "it is not wanted any more"));
    }
    return 0;
}

/* -- hello ------------------------------------------------------------------------------------------------------ */

static int welcome (engine_t *self, const event_t *event, err_t *err)
{
    principal_t principal;
    if (principal_load (self, event->principal, &principal, err) < 0)
        return -1;
    engine_answer (self, event, "welcome",
                   json_pack ("{s:s, s:s, s:s, s:I, s:I, s:I}", "version", PACKAGE_VERSION, "principal", principal.name,
                              "role", principal.role, "heartbeat_ms", (json_int_t) self->settings.heartbeat_ms,
                              "lease_ms", (json_int_t) self->settings.lease_ms, "now_ms", (json_int_t) self->wall_ms));
    return 0;
}

/* A key that was copied, with a machine's disk: the two would take each other's attempts away for ever. One that was started anew
 * has lost its former connection, or will not be heard on it any more. */
static int check_only_one (engine_t *self, const event_t *event, err_t *err)
{
    const board_t *board = board_of_principal (self, event->principal);
    bool is_other = board && board->peer && board->peer != event->peer
                    && strcmp (board->instance, event_text (event, "instance")) != 0;
    if (!is_other || self->boot_ms - board->seen_at > 2 * self->settings.heartbeat_ms)
        return 0;
    return err_set (err, ERR_DENIED, "worker %s is here already with this key: each worker needs one of its own. Remove worker.key from "
                    "this one's state folder and enrol it (farm-worker join)", board->name);
}

static int worker_hello (engine_t *self, const event_t *event, err_t *err)
{
    board_t *board;
    bool is_same;
    if (check_only_one (self, event, err) < 0 || board_register (self, event, &board, &is_same, err) < 0)
        return -1;
    bool is_again = is_same && board->peer == event->peer;      /* on one connection: an assignment may have crossed it */
    int64_t fresh_at = is_again ? self->boot_ms - 2 * self->settings.heartbeat_ms : INT64_MAX;
    board->peer = event->peer;
    int64_t id = board->id;
    const json_t *attempts = is_same ? json_object_get (event->header, "attempts") : NULL;
    if (settle_leases (self, board, attempts, fresh_at, err) < 0)
        return -1;
    board = board_find (self, id);
    if (board_see (self, board, err) < 0 || abort_strays (self, event, board, is_same, err) < 0)
        return -1;
    restores_ask (self, board);
    return 0;
}

int workers_on_hello (engine_t *self, const event_t *event, err_t *err)
{
    const json_t *worker = json_object_get (event->header, "worker");
    principal_t principal;
    if (principal_load (self, event->principal, &principal, err) < 0)
        return -1;
    bool is_worker = strcmp (principal.role, "worker") == 0;
    if (is_worker != (worker != NULL))
        return err_set (err, ERR_DENIED, is_worker ? "this key is a worker's: farmctl needs one of its own (farmctl join)"
                                                   : "this key is no worker's: enrol one with farm-worker join");
    if (welcome (self, event, err) < 0)
        return -1;
    return worker ? worker_hello (self, event, err) : 0;
}

/* -- heartbeat, end, tick --------------------------------------------------------------------------------------- */

int workers_on_heartbeat (engine_t *self, const event_t *event, err_t *err)
{
    board_t *board = board_of_principal (self, event->principal);
    if (!board || board->peer != event->peer) {
        engine_send (self, event->peer, "who", NULL);
        return 0;
    }
    int64_t id = board->id, fresh_at = self->boot_ms - 2 * self->settings.heartbeat_ms;
    if (settle_leases (self, board, json_object_get (event->header, "attempts"), fresh_at, err) < 0)
        return -1;
    board = board_find (self, id);
    if (!board->is_online)
        self->must_match = self->must_look = true;
    board_note_health (self, board, event);
    if (board_see (self, board, err) < 0 || abort_strays (self, event, board, true, err) < 0)
        return -1;
    engine_send (self, event->peer, "alive", NULL);
    return 0;
}

/* Its leases are no longer than it is waited for. */
static void part (engine_t *self, uint64_t peer, int64_t grace_ms)
{
    board_t *board = board_of_peer (self, peer);
    if (!board)
        return;
    board->peer = 0;
    board->back_until = self->boot_ms + grace_ms;
    self->must_look = true;
    for (size_t i = 0; i < self->lease_count; i++)
        if (self->leases [i].worker == board->id && self->leases [i].lease_until > board->back_until)
            self->leases [i].lease_until = board->back_until;
}

void workers_undo_hello (engine_t *self, uint64_t peer)
{
    part (self, peer, self->settings.gone_grace_ms);
}

int workers_on_gone (engine_t *self, const event_t *event, err_t *err)
{
    (void) err;
    part (self, event->peer, self->settings.gone_grace_ms);
    return 0;
}

int workers_on_ended (engine_t *self, const event_t *event, err_t *err)
{
    (void) err;
    part (self, event->peer, self->settings.ended_grace_ms);
    return 0;
}

int workers_send_away (engine_t *self, int64_t worker, const char *why, int64_t *count, err_t *err)
{
    for (size_t i = 0; i < self->lease_count; ) {
        lease_t lease = self->leases [i++];
        if (lease.worker != worker)
            continue;
        if (attempt_lose (self, &lease, true, why, err) < 0)
            return -1;
        ++*count;
        i = 0;
    }
    board_t *board = board_find (self, worker);
    board->peer = 0;
    board->is_online = false;
    self->must_look = true;
    halts_settle (self, worker, NULL, INT64_MAX);
    return 0;
}

static int64_t later (int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* When a board that is silent counts as lost. */
static int64_t lost_at (const engine_t *self, const board_t *board)
{
    int64_t silent = board->seen_at + self->settings.lease_ms;
    return later (board->back_until && board->back_until < silent ? board->back_until : silent, self->patient_until);
}

/* The worker ends an attempt at its time limit; one that it goes on naming long after is stuck there. */
static int64_t overdue_at (const lease_t *lease)
{
    return lease->assigned_at + lease->limit_ms + OVERDUE_MS;
}

static int64_t ends_at (const engine_t *self, const lease_t *lease)
{
    int64_t overdue = overdue_at (lease), silent = later (lease->lease_until, self->patient_until);
    return overdue < silent ? overdue : silent;
}

int64_t workers_next_tick (const engine_t *self)
{
    int64_t next = boards_next_tick (self);
    for (size_t i = 0; i < self->lease_count; i++)
        if (ends_at (self, &self->leases [i]) < next)
            next = ends_at (self, &self->leases [i]);
    for (size_t i = 0; i < self->board_count; i++)
        if (self->boards [i].is_online && lost_at (self, &self->boards [i]) < next)
            next = lost_at (self, &self->boards [i]);
    return next;
}

static int end_leases (engine_t *self, err_t *err)
{
    for (size_t i = 0; i < self->lease_count; ) {
        lease_t lease = self->leases [i++];
        if (ends_at (self, &lease) > self->boot_ms)
            continue;
        bool is_silent = later (lease.lease_until, self->patient_until) <= self->boot_ms;
        if (attempt_lose (self, &lease, true, is_silent ? "the worker is not heard of any more"
                          : "the attempt has not ended at its time limit", err) < 0)
            return -1;
        i = 0;
    }
    return 0;
}

static int end_waits (engine_t *self, err_t *err)
{
    for (size_t i = 0; i < self->wait_count; ) {
        wait_t *wait = &self->waits [i];
        if (wait->due_at > self->boot_ms) {
            i++;
            continue;
        }
        int64_t id = wait->id;
        wait_kind kind = wait->kind;
        wait->due_at = INT64_MAX;               /* under way; its tries are kept until it is done */
        self->must_publish |= kind == WAIT_PUBLISH;
        self->must_match |= kind == WAIT_HOME;
        if ((kind == WAIT_MATCH && queue_wake (self, id, err) < 0) || (kind == WAIT_FETCH && fetches_hand_out (self, id, err) < 0)
            || (kind == WAIT_LOOKUP && lookups_hand_out (self, id, err) < 0))
            return -1;
        if (kind == WAIT_VERIFY && attempt_hand_out (self, id, err) < 0) {
            wait_again (self, kind, id, self->settings.retry_ms);
            return -1;
        }
    }
    return 0;
}

int workers_on_tick (engine_t *self, const event_t *event, err_t *err)
{
    (void) event;
    for (size_t i = 0; i < self->board_count; i++)
        if (self->boards [i].is_online && lost_at (self, &self->boards [i]) <= self->boot_ms) {
            self->boards [i].is_online = false;
            self->must_look = true;
            halts_settle (self, self->boards [i].id, NULL, INT64_MAX);
        }
    boards_tick (self);
    if (end_leases (self, err) < 0 || end_waits (self, err) < 0 || restores_tick (self, err) < 0 || waiting_end (self, err) < 0
        || queue_age (self, err) < 0 || secrets_tick (self, err) < 0 || due_tick (self, err) < 0 || news_tick (self, err) < 0)
        return -1;
    return retention_forget (self, err);
}
