/* put_checks.h - the packs of a batch are checked beside the thread that stores them: what needs no depot is done ahead. */
#ifndef FARM_PUT_CHECKS_H
#define FARM_PUT_CHECKS_H

#include "coordinator/depot_answers.h"

typedef struct put_checks put_checks_t;

/* Begin with the packs of the requests, which stay the caller's and as they are. A thread helps where there is more than one. */
put_checks_t *put_checks_new (request_t **requests, size_t count);
void put_checks_destroy (put_checks_t **self);

/* Of each object in the pack of one request, in its order: whether it is right and plain (depot_is_plain), so that depot_put_plain
 * may take it. Waits for that, or does it. Borrowed; what is not in it is not known to be. */
const buffer_t *put_checks_of (put_checks_t *self, size_t request);

#endif
