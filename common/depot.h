/* depot.h - a store of objects on a disk: durable on the coordinator, a cache on a worker.
 *
 * The rule that everything rests on: an object is only stored when all that it names is stored. So where a root is,
 * the whole context is, and `missing?` may stop at the first folder that is there.
 * Rows in SQLite, bytes in segment files (docs/depot.md says why). Calls may come from several threads: a lock inside takes them
 * one by one, but objects are read, expanded and checked outside it. */
#ifndef FARM_DEPOT_H
#define FARM_DEPOT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/tree.h"
#include "common/zip.h"

typedef struct depot depot_t;

typedef struct {
    uint64_t objects;               /* stored now */
    uint64_t bytes;                 /* of them, as they are on disk */
    uint64_t received_objects;      /* put since the program started */
    uint64_t received_bytes;        /* raw bytes of those */
    uint64_t known_objects;         /* put again although they were there */
    uint64_t damaged_objects;       /* found since the program started */
} depot_stats_t;

/* Open or make the depot in the folder. ERR_FARM when it is damaged beyond use or another process has it. */
int depot_open (depot_t **out, const char *folder, err_t *err);
void depot_destroy (depot_t **self);

/* A cache: a commit is not synced, which takes long on an SD card. A power cut may cost the last commits; what they left of
 * rows without bytes is found when the depot is opened, or by its digest. */
int depot_relax (depot_t *self, err_t *err);

/* It is there, and so is all that it names. */
bool depot_has (depot_t *self, const digest_t *digest);

/* From now on it is noted who has sent an object, so that who has not may be told that it is not there: the bytes are kept once, but what
 * somebody else has sent is not known to anybody who cannot send it too. An owner is a number above 0. */
int depot_keep_owners (depot_t *self, err_t *err);
/* In a transaction: the owner has just put this object. ERR_PROTOCOL when it names one that they have not sent. */
int depot_own (depot_t *self, const digest_t *digest, int64_t owner, err_t *err);
/* As depot_has, of what this owner has sent; 0: of what anybody has. */
bool depot_has_of (depot_t *self, const digest_t *digest, int64_t owner);

/* What a folder or a context comes to when it is written out: an object that many name counts as often as it is named, so a few hundred
 * objects may come to more than any disk has. Each number ends at INT64_MAX. */
typedef struct {
    uint64_t entries;               /* files, folders and links */
    uint64_t bytes;                 /* of the files */
    uint64_t depth;                 /* folders one in another; a context's own counts */
} depot_extent_t;
/* False when it is not there. Content alone comes to nothing. */
bool depot_extent (depot_t *self, const digest_t *digest, depot_extent_t *out);

/* The row of an object, as long as it stays; 0: it is not there. And of what it names, appended to ids (int64_t). */
int64_t depot_row (depot_t *self, const digest_t *digest);
void depot_rows_below (depot_t *self, int64_t row, buffer_t *ids);

/* Store objects: begin, put as often as need be, commit (durable when it returns 0) or roll back. One transaction at a
 * time; begin waits for its turn, and the calls of other threads wait for its end. put checks the digest and, for lists and
 * folders, their form and that all they name is
 * there: ERR_PROTOCOL otherwise. After an error roll back. */
int depot_begin (depot_t *self, err_t *err);
int depot_put (depot_t *self, object_kind kind, const digest_t *digest, const void *data, size_t size, err_t *err);
/* The same for one that came with its bytes compressed, or was found not to be worth it: it is kept as it came. zip, which
 * the caller has expanded to data, is not looked at again. */
int depot_put_zip (depot_t *self, object_kind kind, const digest_t *digest, const void *data, size_t size, const zip_t *zip,
                   err_t *err);
/* The same in two steps, of which the first needs no depot, so other threads can do it ahead: these bytes can be nothing but content,
 * and put them. The caller has compared their digest, and expands them no more: zip is kept as it is. */
bool depot_is_plain (const void *data, size_t size);
int depot_put_plain (depot_t *self, const digest_t *digest, size_t size, const zip_t *zip, err_t *err);
int depot_commit (depot_t *self, err_t *err);
void depot_rollback (depot_t *self);

/* Read one object into out (replaced), its digest checked again; kind may be NULL. ERR_NOT_FOUND; ERR_FARM for a damaged one,
 * which is taken out together with all that names it: so depot_has says no for the whole way down, and it can be sent again.
 * depot_next_lost tells what went. */
int depot_get (depot_t *self, const digest_t *digest, buffer_t *out, object_kind *kind, err_t *err);

/* The same, and how it is stored, borrowed from memory or out: what another depot takes by depot_put_zip. */
int depot_get_zip (depot_t *self, const digest_t *digest, buffer_t *out, object_kind *kind, buffer_t *memory, zip_t *zip,
                   err_t *err);

/* An object that went because it was damaged, or because it named one that was. */
typedef struct {
    digest_t digest;
    bool is_damaged;                /* its own bytes were */
    bool is_root;                   /* nothing named it: a context, or a Dockerfile that is in none */
} depot_lost_t;

/* Take the next of them, in no order; false when there is none. What is found damaged within a transaction goes at its end. */
bool depot_next_lost (depot_t *self, depot_lost_t *lost);

/* A cache: forget what was used least lately (put, has or get), from the top: first objects that no other names, so whole
 * contexts, then what only they named; until at most limit_bytes are held. Returns how many objects went, -1 on error. */
int64_t depot_trim (depot_t *self, uint64_t limit_bytes, err_t *err);

/* What a collection has to keep. */
typedef struct {
    digest_t digest;
    int64_t used_ms;                /* any clock: of those that may go for their size the least goes first; INT64_MAX: it may not */
} depot_root_t;

typedef struct {
    int64_t before;                 /* a depot_mark of earlier: what was used since stays */
    uint64_t limit_bytes;           /* as long as more is stored, roots go too; 0: no limit */
    bool is_dry;                    /* nothing goes, but it is told what would */
    bool counts_young;              /* and what would go besides, had it not been used since */
} depot_wish_t;

typedef struct {
    uint64_t objects, bytes, contexts;          /* that went: stored bytes; whole contexts */
    uint64_t young_objects, young_bytes;
} depot_gone_t;

/* A durable depot: forget each object that no other names, that is none of the roots and was not used lately, and then what
 * only it named. begin looks for them; step takes some hundred away at a time, so that
 * others are served in between: returns more than 0 while there may be more, adds to *gone; 0: that was all; -1. */
int depot_collect_begin (depot_t *self, const depot_root_t *roots, size_t count, const depot_wish_t *wish, err_t *err);
int64_t depot_collect_step (depot_t *self, depot_gone_t *gone, err_t *err);
/* A mark in the order of use: what was used so far is before it, what is used from now on is not. Marks grow while the depot is open; after it
 * was opened they are set anew: one from before says nothing. */
int64_t depot_mark (depot_t *self);

void depot_stats (depot_t *self, depot_stats_t *out);

#endif
