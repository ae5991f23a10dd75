/* packer.h - threads that compress objects and fill messages with them, for one who sends them. */
#ifndef FARM_PACKER_H
#define FARM_PACKER_H

#include "common/tree.h"

typedef struct packer packer_t;

/* What a thread fills its packs with. */
typedef struct hand hand_t;

/* The work of each thread: hand_add what is to be sent, until there is no more of it: 0; or -1, which ends the others too. */
typedef int (packer_work) (void *argument, hand_t *hand, err_t *err);

/* Compress an object and put it into the thread's pack; a full pack is given away, which waits while many lie there already. False:
 * nobody wants more, so return. */
bool hand_add (hand_t *self, object_kind kind, const digest_t *digest, const void *data, size_t size);

/* Have packer_fd become readable. */
void hand_wake (const hand_t *self);

/* Start one thread for each processor; is_little: do all of it now, in the caller's, and keep it all
 * in memory until it is taken. argument is borrowed. */
packer_t *packer_new (packer_work *work, void *argument, bool is_little);
/* Also before the end: then hand_add says so. Waits for the threads. */
void packer_destroy (packer_t **self);

/* 1 and a pack (replaced) with the number of objects in it; 0 when there is none now; -1 as the work said. */
int packer_take (packer_t *self, buffer_t *pack, uint64_t *objects, err_t *err);
/* Have all threads returned, and is nothing left to take? */
bool packer_is_done (packer_t *self);

/* A descriptor that becomes readable when a pack can be taken, a thread has returned, or hand_wake was called; packer_reset ends that. */
int packer_fd (const packer_t *self);
void packer_reset (const packer_t *self);

#endif
