/* checkout.h - writes a context out of the depot as files and folders. Whatever the tree says, nothing outside the
 * folder is touched: every name is opened relative to a folder's descriptor, without following links. */
#ifndef FARM_CHECKOUT_H
#define FARM_CHECKOUT_H

#include <stdatomic.h>

#include "common/depot.h"
#include "common/err.h"

/* folder must not exist; it is made, with the root's mode and times. Files, folders, links, modes (setuid, setgid and
 * sticky as they were) and modification times in ns. On error what was written is left for the caller to remove. */
int checkout_context (depot_t *depot, const digest_t *root, const char *folder, atomic_int *is_cancelled, err_t *err);

#endif
