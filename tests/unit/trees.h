/* trees.h - what the tests of contexts share: trees on disk, made, compared and put into a depot. */
#ifndef FARM_TESTS_TREES_H
#define FARM_TESTS_TREES_H

#include <stdatomic.h>
#include <sys/types.h>

#include "common/depot.h"
#include "common/scan.h"

/* A new folder under /tmp; the caller frees, after tree_remove. */
char *tree_new (void);
void tree_remove (const char *folder);

/* Make folder/path with size bytes that depend on seed, mode and a modification time in ns. */
void tree_file (const char *folder, const char *path, size_t size, unsigned seed, mode_t mode);
void tree_folder (const char *folder, const char *path, mode_t mode);
void tree_link (const char *folder, const char *path, const char *target);

/* Everything that has ever gone wrong in a tree. */
void tree_nasty (const char *folder);

/* Names, kinds, modes, times, content and targets are the same; what is not is printed. */
bool tree_equal (const char *a, const char *b);

/* Put all objects of a scan into a depot, children first. */
int tree_store (scan_t *scan, depot_t *depot, err_t *err);

/* Write a context out of a depot into a new folder, as files. is_cancelled may be NULL. */
int tree_check_out (depot_t *depot, const digest_t *root, const char *folder, atomic_int *is_cancelled, err_t *err);

#endif
