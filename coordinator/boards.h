/* boards.h - the registered workers: their rows, and what memory keeps of them. */
#ifndef FARM_BOARDS_H
#define FARM_BOARDS_H

#include "coordinator/engine_private.h"

/* NULL where there is none. Good until one is added. */
board_t *board_find (engine_t *self, int64_t worker);
board_t *board_of_principal (engine_t *self, int64_t principal);
board_t *board_of_peer (engine_t *self, uint64_t peer);
board_t *board_of_name (engine_t *self, const char *name);

/* The entry of board->platforms, -1 where it cannot run it. */
int board_platform (const board_t *self, const char *platform);

bool board_is_quarantined (const engine_t *self, const board_t *board);
/* It takes jobs, if not at once then when a slot is free. */
bool board_is_open (const engine_t *self, const board_t *board);

/* Read all from the database; what only memory knew (connection, clocks, turns) is kept, busy counts are not. */
int boards_load (engine_t *self, err_t *err);
void boards_clear (engine_t *self);

/* A worker's `hello`: a new row, or what is new in its own. It is found by its key; or by its name, when a machine was set up
 * anew and its former key is not there. ERR_DENIED when the name is another's. A forgotten one is known again. *is_same: it is
 * the instance that spoke last. */
int board_register (engine_t *self, const event_t *event, board_t **out, bool *is_same, err_t *err);

/* Make memory agree with its row, which was changed. */
int board_read_again (engine_t *self, board_t *board, err_t *err);

/* It was heard of now. */
int board_see (engine_t *self, board_t *board, err_t *err);
/* When it was heard of last (wall clock); row_ms: when it was that, as its row has it, for one that this run has not heard of. */
int64_t board_seen_ms (const engine_t *self, const board_t *board, int64_t row_ms);

/* What a heartbeat tells of its machine, and of its program. */
void board_note_health (engine_t *self, board_t *board, const event_t *event);
/* It is another program than the one that told it. */
void board_forget_health (board_t *board);

/* How its attempts end. After three in a row that failed through the farm's fault it gets no job for quarantine_ms, after each
 * more for twice as long, at most a day. Whatever else it brings to an end ends that row. */
int board_note_fault (engine_t *self, board_t *board, err_t *err);
int board_note_work (engine_t *self, board_t *board, err_t *err);

/* An admin's word: mode MODES, labels or comment NULL leave that as it is. MODE_ACTIVE also ends a quarantine. labels: {name: value, or null to take it away}. */
int board_order (engine_t *self, board_t *board, board_mode mode, const json_t *labels, const char *comment, err_t *err);

/* Names of modes: "active", "draining", "paused", "forgotten"; MODES for none of them. */
board_mode board_mode_of (const char *name);
const char *board_mode_name (board_mode mode);
/* How it is, in one word: a mode that is not active, or "lost", "stopping", "quarantined", "unfit", "online". */
const char *board_state (const engine_t *self, const board_t *board);

/* When a quarantine is over (boot clock, INT64_MAX for never); and to see to it then. */
int64_t boards_next_tick (const engine_t *self);
void boards_tick (engine_t *self);

#endif
