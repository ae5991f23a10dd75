/* crew.h - threads that do the same work side by side, as many as there are processors. */
#ifndef FARM_CREW_H
#define FARM_CREW_H

#include <stddef.h>

typedef struct crew crew_t;
typedef void (crew_work) (void *argument);

enum { CREW_MAX = 16, CREW_ALL = 0, CREW_BESIDE = 1 };

/* Start threads that each run work (argument): one for each processor, less `without` (CREW_BESIDE where the caller works too),
 * at most CREW_MAX. Signals are left to the caller's thread. There may be fewer, or none. */
crew_t *crew_new (crew_work *work, void *argument, size_t without);
/* Waits until all have returned. */
void crew_destroy (crew_t **self);
size_t crew_size (const crew_t *self);

#endif
