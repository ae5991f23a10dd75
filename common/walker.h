/* walker.h - reads folders and asks stat for what is in them, with threads; walk.c makes one list of it. */
#ifndef FARM_WALKER_H
#define FARM_WALKER_H

#include <stdatomic.h>

#include "common/walk.h"

/* A folder, and what is in it in the order of a listing. A node whose kind is 0 is left out. */
typedef struct folder folder_t;
struct folder {
    folder_t *parent;
    char *path;                     /* below the context, "" for the context itself */
    int depth;
    int fd;                         /* -1 when it is not open */
    int users;                      /* of fd, under the walker's lock */
    char *names;                    /* what the nodes' names point into */
    node_t *nodes;
    folder_t **below;               /* for each node that is a folder; NULL for others, and when there are none */
    size_t count;
    bool is_whole;                  /* all that is in it is read */
};

/* What is left out, and how much that was. */
typedef struct {
    const ignore_t *ignore;         /* NULL for none */
    const reach_t *reach;           /* NULL for everything */
    atomic_uint_fast64_t unread_folders, unread_files;
    atomic_bool follows_link;       /* an instruction may read what a link leads to: nothing can be left out */
} walker_filter_t;

/* Walk what is below an open folder. Takes root_fd. name is the context's for messages. Returns the root; NULL with err, which
 * names a path. */
folder_t *walker_walk (int root_fd, const char *name, walker_filter_t *filter, err_t *err);
/* Frees what is left in it: names and nodes that were taken are NULL. */
void folder_destroy (folder_t **self);

/* err for a path that could not be read: of a file that others may not read, what to do about it. Returns -1. */
int walker_refuse (const char *path, int errnum, err_t *err);

#endif
