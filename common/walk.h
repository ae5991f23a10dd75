/* walk.h - the names of a context: what is in the folder and not left out, each with what stat says. Nothing is read. */
#ifndef FARM_WALK_H
#define FARM_WALK_H

#include "common/ignore.h"
#include "common/reach.h"
#include "common/stamp.h"
#include "common/tree.h"

/* A file, folder or link. The children of a folder are the `count` nodes from `first` on, in the order of a listing; a node
 * stands behind its parent, and node 0 is the context's folder. */
typedef struct {
    const char *name;               /* in one of the walk's blocks */
    char *text;                     /* of a link its target; of a folder whose listing is cut that listing */
    list_item_t *chunks;            /* of a long file or listing; hash.c fills it */
    uint32_t chunk_count;
    uint32_t parent, first, count;
    uint32_t mtime_ns;
    uint16_t mode;
    uint8_t kind;                   /* a tree_kind; 0 in a walk that is going on: left out */
    bool is_dropped : 1;            /* a left-out folder in which no line let anything in again */
    bool is_passage : 1;            /* a folder that instructions lead through, and do not read: its own time says nothing */
    bool is_known : 1;              /* as the stat cache has it: a file is not opened; of a folder, the cache has its digest */
    bool is_read : 1;               /* a file whose content was read this time */
    bool is_sent : 1;               /* and sent while it was: the coordinator has it */
    int64_t mtime_s;
    stamp_t stamp;
    content_t content;              /* likewise; scan.c completes it */
} node_t;

typedef struct {
    int root_fd;
    char *folder;                   /* as the user wrote it, for messages */
    node_t *nodes;
    size_t count;
    char **blocks;                  /* names, a block for each folder */
    size_t block_count;
    uint64_t unread_folders, unread_files;      /* left out because nothing reads them; what is below the folders is not counted */
} walk_t;

/* Walk the folder, with threads. Every error names a path: ERR_USAGE for what cannot be part of a context. ignore and reach may be
 * NULL. What reach does not hold is left out; but where an instruction would follow a link, nothing is. */
int walk_context (walk_t **out, const char *folder, const ignore_t *ignore, const reach_t *reach, err_t *err);
void walk_destroy (walk_t **self);

/* Was anything left out because nothing reads it? */
bool walk_is_pruned (const walk_t *self);

/* Take mode, times and size over from what stat says. */
void node_set_stat (node_t *self, const struct stat *info);

/* The node's path for a message, with the context's folder in front; the caller frees. */
char *walk_path (const walk_t *self, size_t node);

/* Open the node for reading, following no link; -1 with errno. */
int walk_open (const walk_t *self, size_t node);

/* err for a path that open or read refused: of a file that others may not read, what to do about it. Returns -1. */
int walk_refuse (const walk_t *self, size_t node, int errnum, err_t *err);

#endif
