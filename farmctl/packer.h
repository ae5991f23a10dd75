/* packer.h - threads that read content from its files, compare it with its digest, compress it and fill messages with it. */
#ifndef FARM_PACKER_H
#define FARM_PACKER_H

#include "farmctl/scan.h"

typedef struct packer packer_t;

/* Start on the objects (borrowed, as scan is, until destroy), which may go in any order. */
packer_t *packer_new (const scan_t *scan, const scan_object_t *const *objects, size_t count);
/* Also before the end: then the rest is not read. */
void packer_destroy (packer_t **self);

/* 1 and the next pack (replaced) with the number of objects in it; 0 when there are no more; -1 as scan_read. */
int packer_next (packer_t *self, buffer_t *pack, uint64_t *objects, err_t *err);

#endif
