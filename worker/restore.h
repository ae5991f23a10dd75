/* restore.h - gives back to the coordinator what its depot has lost of a context or a Dockerfile, where this worker's cache has the
 * whole of it. */
#ifndef FARM_RESTORE_H
#define FARM_RESTORE_H

#include <czmq.h>
#include <stdatomic.h>

#include "common/depot.h"
#include "common/err.h"

/* 1: the coordinator has it whole (again); 0: it is not here; -1. Asks level by level from the root what is missing, and puts children
 * before parents, one message at a time: nothing waits for it. A question that is not answered is repeated every 10 s, for 60 s. objects: a DEALER to the objects socket on which nothing else is asked. */
int restore_root (depot_t *depot, zsock_t *objects, const digest_t *root, atomic_int *is_cancelled, err_t *err);

#endif
