/* workers.h - the registered workers: who they are, whether they are there, what they still hold. */
#ifndef FARM_WORKERS_H
#define FARM_WORKERS_H

#include "coordinator/engine_private.h"

handler_fn workers_on_hello;            /* farmctl's too: only the answer differs */
handler_fn workers_on_heartbeat;
handler_fn workers_on_gone;             /* a connection ended; or by the end of the program, as it seems */
handler_fn workers_on_ended;
handler_fn workers_on_tick;             /* what is due: lost workers, ended leases, waits */

/* The first of a connection, that was undone, alone or with its batch, has greeted nobody: the connection is no worker's, until it says hello again. */
void workers_undo_hello (engine_t *self, uint64_t peer);

/* Its key is worth nothing any more: what it works on it is told to stop, and goes to others at once; so many attempts are added to *count. It is not
 * there until it says hello under another key. */
int workers_send_away (engine_t *self, int64_t worker, const char *why, int64_t *count, err_t *err);

/* When workers_on_tick has something to do for them, on the boot clock; INT64_MAX for never. */
int64_t workers_next_tick (const engine_t *self);

#endif
