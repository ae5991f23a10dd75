/* shelf.h - checkouts of attempts that are over, kept for the next attempt of the same repository. Thread-safe.
 *
 *     FOLDER/NUMBER/record     what was written (record.h), there when the builder gets the checkout
 *     FOLDER/NUMBER/tree       the checkout, while no attempt has it
 *
 * An attempt that takes a checkout moves the tree into its own folder, and back when it is over. So where a tree is, it has
 * been checked out whole and the record is its own; what an interrupted attempt had lies elsewhere, and is removed at the
 * next start with all that attempts left. */
#ifndef FARM_SHELF_H
#define FARM_SHELF_H

#include "worker/checkout.h"

typedef struct shelf shelf_t;

typedef struct {
    const char *folder;             /* on the file system of the attempts; made when missing */
    int64_t keep;                   /* at most so many checkouts */
    int64_t limit_bytes;            /* of all of them */
    int64_t free_floor_bytes;       /* that they leave free; more on a disk that is nearly full (file.h) */
} shelf_settings_t;

/* Finds what earlier runs left; what is damaged, of another boot, or none of ours is removed. */
int shelf_new (shelf_t **out, const shelf_settings_t *settings, err_t *err);
/* Without attempts that have something from it. */
void shelf_destroy (shelf_t **self);

/* A checkout in the hands of an attempt. */
typedef struct {
    record_t *before;               /* NULL: there was none */
    int before_fd;                  /* -1: `before` is of what lies in the attempt's folder now; else of another checkout of the
                                     * repository, which files may be cloned from */
    char *record;                   /* where the record of the new one belongs */
    bool is_noted;
    struct place *place;            /* NULL: nothing is borrowed */
} borrowed_t;

/* For an attempt of the repository: its latest checkout that is free is moved to `to`; where none is, there is nothing yet. */
int shelf_take (shelf_t *self, const char *repository, const char *to, borrowed_t *out, err_t *err);

/* The checkout in the attempt's folder is whole, and its record written: others may clone from it, and it can be kept. */
void shelf_note (shelf_t *self, borrowed_t *borrowed, const checkout_stats_t *stats);

/* No builder runs in the attempt's folder any more. What was noted is moved back; else nothing is kept. shelf_trim should follow
 * when there is time. */
void shelf_give_back (shelf_t *self, borrowed_t *borrowed);

/* Those not used for longest go, as the settings and the free space of the disk demand. */
void shelf_trim (shelf_t *self);

/* Remove all that no attempt has; returns how many. */
size_t shelf_clear (shelf_t *self);

#endif
