/* checkout.h - writes a context out of the depot as files and folders, or changes an earlier checkout into it. Whatever the
 * tree says, nothing outside the folder is touched: every name is opened relative to a folder's descriptor, without
 * following links. */
#ifndef FARM_CHECKOUT_H
#define FARM_CHECKOUT_H

#include <stdatomic.h>

#include "common/depot.h"
#include "common/err.h"
#include "worker/record.h"
#include "worker/supply.h"

/* All borrowed. */
typedef struct {
    supply_t *supply;
    const digest_t *root;
    const char *folder;             /* made, with the root's mode and times; must not exist, but for a change */
    const record_t *before;         /* an earlier checkout, or NULL */
    int before_fd;                  /* its folder, from which files may be cloned; -1: it is `folder`, to be changed */
    const char *record;             /* where to leave a record of what was written, or NULL */
    const char *repository;         /* for the record */
    int64_t entries_max;            /* files, folders and links; 0: as many as the disk takes */
    atomic_int *is_cancelled;       /* may be NULL */
} checkout_settings_t;

typedef struct {
    uint64_t files, bytes, disk_bytes;      /* of the context; the latter in blocks of 4 KiB */
    uint64_t written, written_bytes;        /* files that were not there as they should be */
    uint64_t cloned;                /* of the written, those whose blocks another checkout shares */
    uint64_t removed;               /* entries that were too many */
} checkout_stats_t;

/* Folders, files, links, modes (setuid, setgid and sticky as they were) and modification times in ns come out the same
 * whether there was a checkout before or not. Of one that there was, files that the record proves to be untouched, and that
 * are the same in both trees, are neither opened nor written. On error what is in the folder is left for the caller to
 * remove: it is no checkout, and there is no record. stats may be NULL. */
int checkout_run (const checkout_settings_t *settings, checkout_stats_t *stats, err_t *err);

#endif
