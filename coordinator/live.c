/* live.c - what the engine keeps in memory: workers' connections, leases, and waits. Arrays, for there are as many as there are
 * workers and slots. */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/engine_private.h"

board_t *board_find (engine_t *self, int64_t worker)
{
    for (size_t i = 0; i < self->board_count; i++)
        if (self->boards [i].id == worker)
            return &self->boards [i];
    return NULL;
}

board_t *board_of_principal (engine_t *self, int64_t principal)
{
    for (size_t i = 0; i < self->board_count; i++)
        if (self->boards [i].principal == principal)
            return &self->boards [i];
    return NULL;
}

board_t *board_of_peer (engine_t *self, uint64_t peer)
{
    for (size_t i = 0; peer && i < self->board_count; i++)
        if (self->boards [i].peer == peer)
            return &self->boards [i];
    return NULL;
}

board_t *board_add (engine_t *self, int64_t worker, int64_t principal)
{
    self->boards = mem_resize (self->boards, (self->board_count + 1) * sizeof *self->boards);
    board_t *board = &self->boards [self->board_count++];
    memset (board, 0, sizeof *board);
    board->id = worker;
    board->principal = principal;
    return board;
}

lease_t *lease_find (engine_t *self, int64_t job)
{
    for (size_t i = 0; i < self->lease_count; i++)
        if (self->leases [i].job == job)
            return &self->leases [i];
    return NULL;
}

void lease_add (engine_t *self, int64_t build, int64_t job, int64_t attempt, int64_t worker)
{
    self->leases = mem_resize (self->leases, (self->lease_count + 1) * sizeof *self->leases);
    self->leases [self->lease_count++] = (lease_t) {
        .build = build, .job = job, .attempt = attempt, .worker = worker,
        .assigned_at = self->boot_ms, .lease_until = self->boot_ms + self->settings.lease_ms,
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
    self->must_match = true;
}

static wait_t *wait_find (const engine_t *self, wait_kind kind, int64_t id)
{
    for (size_t i = 0; i < self->wait_count; i++)
        if (self->waits [i].kind == kind && self->waits [i].id == id)
            return &self->waits [i];
    return NULL;
}

void wait_set (engine_t *self, wait_kind kind, int64_t id, int64_t delay_ms)
{
    wait_t *wait = wait_find (self, kind, id);
    if (!wait) {
        self->waits = mem_resize (self->waits, (self->wait_count + 1) * sizeof *self->waits);
        wait = &self->waits [self->wait_count++];
        *wait = (wait_t) { .kind = kind, .id = id };
    }
    wait->tries++;
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
    return wait && wait->due_at > self->boot_ms;
}

void wait_drop (engine_t *self, wait_kind kind, int64_t id)
{
    wait_t *wait = wait_find (self, kind, id);
    if (wait)
        *wait = self->waits [--self->wait_count];
}

void live_clear (engine_t *self)
{
    free (self->boards);
    free (self->leases);
    free (self->waits);
    self->boards = NULL;
    self->leases = NULL;
    self->waits = NULL;
    self->board_count = self->lease_count = self->wait_count = 0;
}
