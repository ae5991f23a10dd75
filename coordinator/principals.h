/* principals.h - who may connect, and as what (engine.h has the calls from outside). */
#ifndef FARM_PRINCIPALS_H
#define FARM_PRINCIPALS_H

#include "coordinator/engine_private.h"

/* By id; ERR_DENIED when unknown or revoked. */
int principal_load (engine_t *self, int64_t id, principal_t *out, err_t *err);

/* Those that memory knows: the database may say something else now. */
void principals_forget (engine_t *self);

/* `join`: the key in it becomes a worker or a submitter. */
handler_fn principals_on_join;

#endif
