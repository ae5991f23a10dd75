/* attempts.h - one try of a job on one worker: begun, reported on, verified, ended. */
#ifndef FARM_ATTEMPTS_H
#define FARM_ATTEMPTS_H

#include "coordinator/jobs.h"

handler_fn attempts_on_report;
handler_fn attempts_on_verified;

/* Give a queued job to a board: a new attempt under a lease. 1: it has it; 0: what was asked for cannot be read any more, and the job has
 * failed; -1. */
int attempt_start (engine_t *self, const job_t *job, const board_t *board, bool is_emulated, err_t *err);

/* The last attempt of the job is over, if it still lives: its row says how, its lease ends, nothing is added to its log. */
int attempt_end (engine_t *self, const job_t *job, const char *state, const fault_t *fault, err_t *err);

/* The lease's worker is gone (it may still run it, and is told to stop if it can be) or has lost it: the job is tried again. */
int attempt_lose (engine_t *self, const lease_t *lease, bool may_run, const char *why, err_t *err);

/* Tell the worker that has the job to stop. */
void attempt_abort (engine_t *self, const job_t *job, const char *reason);

/* Is this attempt still of interest: under lease by this worker, or pushed and being verified? */
int attempt_is_wanted (engine_t *self, int64_t worker, int64_t job, int64_t attempt, bool *is_wanted, err_t *err);

/* Have what was pushed verified (again). A job that is not verifying is passed over. */
int attempt_hand_out (engine_t *self, int64_t job, err_t *err);

/* The lease that this principal has on it, borrowed. NULL with ERR_STALE: it has it no more, or there is no such attempt (any more);
 * with ERR_DENIED: it is another's. so: what follows from that, for the text. */
const lease_t *attempt_of_speaker (engine_t *self, int64_t principal, int64_t job, int64_t attempt, const char *so, err_t *err);

/* A worker has named an attempt that is not wanted of it. It is told so, as one is whose attempt is over; but where it is another's, that is denied,
 * and for the audit log. */
int attempt_note_foreign (engine_t *self, const event_t *event, int64_t job, int64_t attempt, err_t *err);

/* The worker of the lease may write the attempt's log, and fetch what spec (NULL where it cannot be read) has it build from. */
void attempt_open_log (engine_t *self, const lease_t *lease, const json_t *spec);

#endif
