/* depots.h - what the tests of the depot share: a depot in a new folder, and objects to put into it. */
#ifndef FARM_TESTS_DEPOTS_H
#define FARM_TESTS_DEPOTS_H

#include "common/depot.h"

/* cmocka's set-up and teardown; *state is the depots_t. */
typedef struct {
    char folder [64];
    depot_t *depot;
} depots_t;
int depots_setup (void **state);
int depots_teardown (void **state);

/* Close and open again. */
void depots_reopen (depots_t *self);

/* Run SQL on a closed depot's database, behind its back. */
void depots_run_sql (const char *folder, const char *sql);
/* Change one byte of a segment. */
void depots_flip (const char *folder, int segment, long offset);

/* Put one object in a transaction of its own; rolled back when it is refused. */
int put_one (depot_t *depot, object_kind kind, const void *data, size_t size, err_t *err);
int put_buffer (depot_t *depot, object_kind kind, const buffer_t *data, err_t *err);

/* size bytes that no compressor makes shorter, from seed. */
void noise (buffer_t *out, size_t size, uint64_t seed);

content_t content_of (const void *data, size_t size);
/* Append an entry of the kind that names the content. */
void add_entry (buffer_t *listing, tree_kind kind, const char *name, const content_t *content);
void add_item (buffer_t *list, const void *data, size_t size);

/* A context of one file, "file", of size bytes from seed: its three objects, children first. */
typedef struct { buffer_t file, folder, root; } small_context_t;
void small_context_make (small_context_t *self, size_t size, uint64_t seed);
void small_context_free (small_context_t *self);
int small_context_put (const small_context_t *self, depot_t *depot, err_t *err);      /* within the caller's transaction */
digest_t small_context_root (const small_context_t *self);

/* The small context of a seed: put in a transaction of its own. */
int put_context (depot_t *depot, size_t size, uint64_t seed, err_t *err);
/* 1 all of it, 0 nothing of it, -1 a part. */
int presence (depot_t *depot, size_t size, uint64_t seed);
/* Its root is there, and what that names is not: never. */
bool is_broken (depot_t *depot, size_t size, uint64_t seed);

bool has (depot_t *depot, const buffer_t *object);
/* It is there, and its bytes are these. */
bool holds (depot_t *depot, const buffer_t *object);

#endif
