/* waiting.c - see waiting.h. */
#include "coordinator/waiting.h"

#include <string.h>

#include "common/label.h"
#include "common/mem.h"
#include "common/quantity.h"
#include "coordinator/boards.h"
#include "coordinator/second.h"

enum { NAMES_MAX = 4, END_BATCH = 100, LOOK_MS = 1000 };

/* -- words ------------------------------------------------------------------------------------------------------ */

/* "linux/arm64 with ssd=yes, !slow, 2G of memory, 4 cpus" */
static void add_wish (buffer_t *text, const lane_t *lane)
{
    size_t i, count = json_array_size (lane->requires);
    char quantity [QUANTITY_SIZE];
    json_t *requirement;
    buffer_printf (text, "%s", lane->platform);
    json_array_foreach (lane->requires, i, requirement)
        buffer_printf (text, "%s%s", i ? ", " : " with ", json_string_value (requirement));
    if (lane->memory_bytes)
        buffer_printf (text, "%s%s of memory", count++ ? ", " : " with ", quantity_bytes (lane->memory_bytes, quantity));
    if (lane->cpu_percent)
        buffer_printf (text, "%s%s", count++ ? ", " : " with ", quantity_cpus (lane->cpu_percent, quantity));
}

static void add_word (buffer_t *text, const char *word)
{
    if (text->size == 0 || !strstr ((const char *) text->data, word))
        buffer_printf (text, "%s%s", text->size ? ", " : "", word);
}

static void add_platforms (buffer_t *text, const board_t *board)
{
    for (size_t i = 0; i < board->platform_count; i++)
        if (!board->platforms [i].is_emulated)
            add_word (text, board->platforms [i].name);
}

static bool could_emulate (const board_t *board, const lane_t *lane)
{
    lane_t allowed = *lane;
    allowed.may_emulate = true;
    return lane_runs_on (&allowed, board) == RUNS_EMULATED;
}

/* Would there be workers for such jobs, if they asked for less memory and fewer cpus? The most that one of them gives. */
static bool find_most (const engine_t *self, const lane_t *lane, lane_t *most)
{
    bool is_found = false;
    *most = *lane;
    most->memory_bytes = most->cpu_percent = 0;
    lane_t modest = *most;
    for (size_t i = 0; i < self->board_count; i++) {
        const board_t *board = &self->boards [i];
        if (board->mode == MODE_FORGOTTEN || lane_runs_on (&modest, board) == RUNS_NOT)
            continue;
        is_found = true;
        if (board->memory_bytes > most->memory_bytes)
            most->memory_bytes = board->memory_bytes;
        if (board->cpu_percent > most->cpu_percent)
            most->cpu_percent = board->cpu_percent;
    }
    return is_found && (lane->memory_bytes || lane->cpu_percent);
}

static void explain_most (const lane_t *most, buffer_t *text)
{
    char memory [QUANTITY_SIZE], cpus [QUANTITY_SIZE];
    if (most->memory_bytes == 0)
        buffer_printf (text, ": its workers are of a version that enforces no limits; upgrade them");
    else
        buffer_printf (text, ": the most that its workers give one job is %s of memory and %s (limit/memory and limit/cpus of the worker)",
                       quantity_bytes (most->memory_bytes, memory), quantity_cpus (most->cpu_percent, cpus));
}

static bool is_required (const lane_t *lane, const char *label)
{
    size_t i;
    json_t *requirement;
    json_array_foreach (lane->requires, i, requirement)
        if (strcmp (json_string_value (requirement), label) == 0)
            return true;
    return false;
}

static void explain_labels (const lane_t *lane, buffer_t *text)
{
    buffer_printf (text, ": those for %s have other labels (farmctl worker inspect)", lane->platform);
    if (is_required (lane, LABEL_NETWORK_HOST))
        buffer_printf (text, "; for --network host a worker's settings need builder/allow = network-host");
    if (is_required (lane, LABEL_NETWORK_NONE))
        buffer_printf (text, "; for --network none a worker needs the isolation oci");
    if (is_required (lane, "!" LABEL_NO_TIMESTAMP))
        buffer_printf (text, "; for --cross-check a worker needs another builder than docker");
}

/* No worker is registered that could be given these jobs: which there are, and what would help. */
static void explain_none (const engine_t *self, const lane_t *lane, buffer_t *text)
{
    AUTO_BUFFER buffer_t native = { 0 }, emulators = { 0 };
    lane_t most;
    int registered = 0, runs = 0;
    for (size_t i = 0; i < self->board_count; i++) {
        const board_t *board = &self->boards [i];
        if (board->mode == MODE_FORGOTTEN)
            continue;
        registered++;
        add_platforms (&native, board);
        if (could_emulate (board, lane))
            add_word (&emulators, board->name);
        int index = board_platform (board, lane->platform);
        runs += index >= 0 && (lane->may_emulate || !board->platforms [index].is_emulated);
    }
    buffer_printf (text, "no worker for ");
    add_wish (text, lane);
    if (self->board_count == 0)
        buffer_printf (text, ": none has joined this farm yet (farm-worker join)");
    else if (registered == 0)
        buffer_printf (text, ": all that had joined were forgotten (start one of them, or farm-worker join)");
    else if (find_most (self, lane, &most))
        explain_most (&most, text);
    else if (runs > 0)
        explain_labels (lane, text);
    else if (emulators.size)
        buffer_printf (text, "; the workers run %s; with --emulation allow it could be emulated by %s",
                       native.size ? (const char *) native.data : "nothing natively", (const char *) emulators.data);
    else
        buffer_printf (text, "; the workers run %s, and none could emulate it",
                       native.size ? (const char *) native.data : "nothing natively");
}

/* Nobody has heard of it since the start, and it may be about to connect again. */
static bool is_awaited (const engine_t *self, const board_t *board)
{
    return board->seen_at == 0 && self->boot_ms < self->settled_at && board->mode == MODE_ACTIVE && !board_is_quarantined (self, board);
}

/* Why a worker takes no jobs: "pi4 is unfit (900 MiB of disk are free, …)". */
static void add_away (const engine_t *self, const board_t *board, buffer_t *text)
{
    const char *state = board_state (self, board);
    if (is_awaited (self, board)) {
        buffer_printf (text, "%s%s is not back yet since the coordinator was started", text->size ? ", " : "", board->name);
        return;
    }
    buffer_printf (text, "%s%s is %s", text->size ? ", " : "", board->name, state);
    if (strcmp (state, "quarantined") == 0)
        buffer_printf (text, " (its last %d attempts failed through the farm's fault)", board->faults);
    else if (*board->unfit && board->is_online)
        buffer_printf (text, " (%s)", board->unfit);
}

char *waiting_explain (const engine_t *self, const lane_t *lane)
{
    AUTO_BUFFER buffer_t text = { 0 }, away = { 0 };
    int registered = 0, open = 0;
    for (size_t i = 0; i < self->board_count; i++) {
        const board_t *board = &self->boards [i];
        if (board->mode == MODE_FORGOTTEN || lane_runs_on (lane, board) == RUNS_NOT)
            continue;
        bool is_open = board_is_open (self, board);
        open += is_open;
        if (!is_open && ++registered <= NAMES_MAX)
            add_away (self, board, &away);
    }
    char *alone = !open && !registered && lane->not_worker ? second_explain (self, lane) : NULL;
    if (alone)
        return alone;
    if (!open && !registered)
        explain_none (self, lane, &text);
    else {
        buffer_printf (&text, open ? "no free worker for " : "no worker takes jobs for ");
        add_wish (&text, lane);
        if (lane->not_worker)
            buffer_printf (&text, ", which is to be built by another worker too (--cross-check)");
        if (!open)
            buffer_printf (&text, ": %s%s", (const char *) away.data, registered > NAMES_MAX ? ", …" : "");
    }
    return mem_strdup ((const char *) text.data);
}

/* -- patience --------------------------------------------------------------------------------------------------- */

bool waiting_is_served (const engine_t *self, const lane_t *lane)
{
    for (size_t i = 0; i < self->board_count; i++)
        if (board_is_open (self, &self->boards [i]) && lane_runs_on (lane, &self->boards [i]) != RUNS_NOT)
            return true;
    return false;
}

bool waiting_may_be_served (const engine_t *self, const lane_t *lane)
{
    for (size_t i = 0; i < self->board_count; i++)
        if ((board_is_open (self, &self->boards [i]) || is_awaited (self, &self->boards [i])) && lane_runs_on (lane, &self->boards [i]) != RUNS_NOT)
            return true;
    return false;
}

/* After a start nobody counts as away who may be about to connect again. */
static int64_t unserved_from (const engine_t *self, const lane_t *lane)
{
    return self->wall_ms + (waiting_may_be_served (self, lane) ? self->settled_at - self->boot_ms : 0);
}

void waiting_look (engine_t *self)
{
    self->must_look = false;
    for (size_t i = 0; i < self->lane_count; i++) {
        lane_t *lane = &self->lanes [i];
        if (waiting_is_served (self, lane))
            lane->unserved_since_ms = 0;
        else if (lane->unserved_since_ms == 0) {
            lane->unserved_since_ms = unserved_from (self, lane);
            lane->overdue_ms = 0;
            self->patience_at = self->boot_ms;
        }
    }
}

typedef struct { int64_t job, timeout_ms; } overdue_t;

/* Up to END_BATCH jobs of a lane whose time is over. How many, -1. */
static int find_overdue (engine_t *self, const lane_t *lane, overdue_t *jobs, err_t *err)
{
    int count = 0;
    query_t query = db_query (self->db, "SELECT id, timeout_ms FROM jobs WHERE state = 'queued' AND NOT is_resting AND lane = :lane "
                              "AND max (queued_ms, :since) + timeout_ms <= :now LIMIT :limit");
    query_int (&query, ":lane", lane->id);
    query_int (&query, ":since", lane->unserved_since_ms);
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":limit", END_BATCH);
    while (query_step (&query))
        jobs [count++] = (overdue_t) { query_get_int (&query, 0), query_get_int (&query, 1) };
    return query_end (&query, err) < 0 ? -1 : count;
}

static int64_t next_overdue (engine_t *self, const lane_t *lane, err_t *err)
{
    int64_t due = INT64_MAX;
    query_t query = db_query (self->db, "SELECT min (max (queued_ms, :since) + timeout_ms) FROM jobs WHERE state = 'queued' "
                              "AND NOT is_resting AND lane = :lane");
    query_int (&query, ":lane", lane->id);
    query_int (&query, ":since", lane->unserved_since_ms);
    if (query_step (&query) && !query_is_null (&query, 0))
        due = query_get_int (&query, 0);
    return query_end (&query, err) < 0 ? -1 : due;
}

/* A sibling that failed may have taken it along. */
static int end_one (engine_t *self, const overdue_t *overdue, const char *why, err_t *err)
{
    job_t job;
    char time [QUANTITY_SIZE];
    AUTO_FREE char *reason = mem_printf ("no worker took it within %s (--queue-timeout): %s", quantity_duration (overdue->timeout_ms, time), why);
    fault_t fault = { .code = ERR_NO_WORKER, .reason = reason, .exit_status = -1 };
    if (job_load (self, overdue->job, &job, err) < 0)
        return -1;
    return job.state == JOB_QUEUED ? job_fail (self, &job, &fault, err) : 0;
}

/* How many, -1. */
static int end_overdue (engine_t *self, const lane_t *lane, err_t *err)
{
    overdue_t jobs [END_BATCH];
    int count = find_overdue (self, lane, jobs, err);
    AUTO_FREE char *why = count > 0 ? waiting_explain (self, lane) : NULL;
    for (int i = 0; i < count; i++)
        if (end_one (self, &jobs [i], why, err) < 0)
            return -1;
    return count;
}

static void expect (engine_t *self, int64_t due_ms)
{
    int64_t wait = due_ms - self->wall_ms;
    if (due_ms != INT64_MAX && self->boot_ms + (wait > 0 ? wait : 0) < self->patience_at)
        self->patience_at = self->boot_ms + (wait > 0 ? wait : 0);
}

void waiting_expect (engine_t *self, lane_t *lane, int64_t due_ms)
{
    if (due_ms < lane->overdue_ms)
        lane->overdue_ms = due_ms;
    expect (self, due_ms);
}

/* When the next job's time is over costs a look at the whole lane: once a second, however close they follow each other. Mostly it is known,
 * and nobody's is yet. */
static int end_lane (engine_t *self, lane_t *lane, err_t *err)
{
    int64_t due = lane->overdue_ms > self->wall_ms ? lane->overdue_ms : next_overdue (self, lane, err), soon = self->wall_ms + LOOK_MS;
    lane->overdue_ms = due > self->wall_ms ? due : 0;
    if (due >= 0 && due <= self->wall_ms) {
        int count = end_overdue (self, lane, err);
        due = count < 0 ? -1 : count == END_BATCH ? self->wall_ms : next_overdue (self, lane, err);
        soon = count < 0 || count == END_BATCH ? self->wall_ms : soon;
    }
    expect (self, due < soon ? soon : due);
    return due < 0 ? -1 : 0;
}

int waiting_end (engine_t *self, err_t *err)
{
    if (self->boot_ms < self->patience_at)
        return 0;
    if (self->must_look)                        /* a worker may have come back in this very batch, or at this time */
        waiting_look (self);
    self->patience_at = INT64_MAX;
    for (size_t i = 0; i < self->lane_count; i++)
        if (self->lanes [i].unserved_since_ms && end_lane (self, &self->lanes [i], err) < 0)
            return -1;
    return 0;
}
