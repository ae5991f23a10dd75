/* checkout_private.h - what the files of a checkout share. checkout_work.c has the picture. */
#ifndef FARM_CHECKOUT_PRIVATE_H
#define FARM_CHECKOUT_PRIVATE_H

#include <pthread.h>

#include "worker/checkout.h"

enum { SLICE_MAX = 64 };

typedef struct folder folder_t;

/* A checkout under way; what is not const or atomic is read and changed under the lock. */
typedef struct {
    const checkout_settings_t *settings;
    bool is_change;                 /* the folder was there, and holds what settings->before says */
    atomic_bool can_clone;
    atomic_llong bytes_left;        /* that may still be written: what the disk has free */
    int64_t bytes_free;
    atomic_llong entries_left;      /* that there may still be: settings->entries_max, or what the disk takes */
    int64_t entries_most;
    dev_t device;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    folder_t *stack;                /* folders with work left; the top is worked on */
    folder_t *live;                 /* all that there are, to be freed after an error */
    atomic_bool is_over;
    err_t err;                      /* the first one; ERR_NONE while all is well */
    record_writer_t *writer;        /* NULL: none is wanted */
    record_facts_t facts;
    checkout_stats_t stats;
    bool has_touched;               /* any hand has */
} checkout_t;

struct folder {
    folder_t *parent, *next;
    folder_t *live_before, *live_next;
    size_t place;                   /* among the parent's entries */
    tree_entry_t entry;
    char name [TREE_NAME_MAX + 1];
    int depth;
    int fd;
    bool is_open;                   /* and its listing read */
    bool is_new;                    /* made by us: nothing is in it but what we put there */
    atomic_bool has_cleared;        /* what had a name was taken away for an entry: perhaps another entry, where the disk folds case */
    bool has_before;                /* the record knows it: block, and what it listed */
    content_t content_before;
    uint64_t block_before;
    int before_fd;                  /* of the checkout to clone from; -1 none. Of a change, fd itself is that */
    const uint8_t *listing;
    size_t listing_size;
    buffer_t own_listing;           /* where it is not that of the block */
    tree_reader_t reader;           /* how far the entries are handed out */
    record_block_t block;           /* likewise, side by side */
    tree_reader_t reader_before;
    tree_entry_t entry_before;
    size_t index_before;
    bool is_entry_before;
    size_t count;                   /* entries handed out */
    bool is_read;                   /* all are */
    size_t pending;                 /* slices and folders below that are not done */
    buffer_t slots;                 /* record_slot_t of each entry handed out */
};

/* Some entries of a folder, each with what the record says of its name. */
typedef struct {
    tree_entry_t entry, entry_before;
    record_slot_t slot_before, slot;
    bool has_before;
} item_t;

typedef struct {
    folder_t *folder;
    size_t first, count;
    item_t items [SLICE_MAX];
} slice_t;

/* A thread's own. */
typedef struct {
    checkout_t *all;
    buffer_t object;                /* the content last read; one is used again and again */
    bool has_touched;               /* a file or link, so that it has a new change time */
    checkout_stats_t stats;
} hand_t;

/* checkout_work.c: what each thread does, until all is done or something failed; argument: the checkout. */
void checkout_work (void *argument);
int checkout_check_cancelled (const checkout_t *self, err_t *err);
/* One entry more. A tree that names a folder many times is small on the way, and large here. */
int checkout_count_entry (checkout_t *self, err_t *err);
/* The disk takes names of the context for one. Another worker's may tell them apart. Returns -1. */
int checkout_names_collide (err_t *err);

/* checkout_content.c: what an object and those it lists hold, into a file or (a listing) memory. */
int content_pour (hand_t *hand, const content_t *content, int fd, buffer_t *memory, err_t *err);

/* checkout_entry.c: one file or link into an open folder; the item's slot is filled. */
int entry_make (hand_t *hand, folder_t *folder, item_t *item, const char *name, err_t *err);
void entry_times (const tree_entry_t *entry, struct timespec times [2]);

/* checkout_folder.c */
folder_t *folder_new (checkout_t *all, folder_t *parent, const item_t *item, size_t place);
void folder_free (checkout_t *all, folder_t *self);
/* The context's folder: made, or that of a change opened. */
int folder_enter (checkout_t *all, folder_t *self, err_t *err);
/* Made where it is not there; its listing read. One thread has it. */
int folder_open (hand_t *hand, folder_t *self, err_t *err);
/* The next entries, under the lock; when there are no more, is_read is set. */
int folder_read (folder_t *self, slice_t *slice, err_t *err);
/* When all entries are there: nothing else is, and mode and time are right. One thread has it. */
int folder_end (hand_t *hand, folder_t *self, err_t *err);
/* "a/b/" for messages; the caller frees. */
char *folder_path (const folder_t *self);

#endif
