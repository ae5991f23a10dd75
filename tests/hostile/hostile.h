/* hostile.h - a worker, a user and a viewer who have real keys and mean ill, against a coordinator that runs: docs/testing.md. */
#ifndef FARM_HOSTILE_H
#define FARM_HOSTILE_H

#include <czmq.h>
#include <jansson.h>

#include "common/keys.h"
#include "common/mem.h"

enum { ANSWER_MS = 15000, COLUMNS_MAX = 7 };

/* Where the farm is, and what tables call by a name ("$JOB"). */
typedef struct {
    const char *control, *objects;
    uint8_t server_key [KEY_SIZE];
    const char *registry;               /* one that takes whatever is put into it */
    const char *canary;                 /* stands in what others have; nobody here may ever be shown it */
    const char **names, **values;
    int name_count;
} scene_t;

/* What was heard: a verb, and its header. */
typedef struct { char verb [64]; json_t *header; } heard_t;

typedef struct {
    const scene_t *scene;
    const char *role;                   /* "user", "viewer", "worker" */
    keypair_t key;
    zsock_t *control, *objects;         /* opened when they are needed */
    int64_t seq;
} peer_t;

/* A reason to give up at once: printed, then exit 1. */
void give_up (const char *format, ...) __attribute__ ((format (printf, 1, 2), noreturn));

/* -- peers.c */
void peer_init (peer_t *self, const scene_t *scene, const char *role, const char *key_file);
void peer_free (peer_t *self);
zsock_t *peer_socket (peer_t *self, bool is_objects);
/* Frames as they are. */
void peer_send (zsock_t *socket, zmsg_t **frames);
/* A message that fits: verb and header, which is taken and gets a seq. Returns the seq. */
int64_t peer_say (peer_t *self, const char *verb, json_t *header);
/* The next message of a socket; false after ANSWER_MS. The header is the caller's. Gives up where somebody's secret was in it. */
bool peer_hear (peer_t *self, zsock_t *socket, heard_t *out);
/* The answer to a seq, or the next of this verb (seq 0); what comes between is dropped. Its header, to the caller. */
json_t *peer_await (peer_t *self, const char *verb, int64_t seq);

/* -- table.c: a text with a row a line, columns between tabs, '#' before what is none */
typedef struct { char *columns [COLUMNS_MAX]; int line; } row_t;
typedef struct { row_t *rows; size_t count; char *text; } table_t;
void table_read (table_t *self, const char *path, int columns);
void table_free (table_t *self);
/* $NAME of the scene in place; the caller frees. more: pairs of name and value that go before, NULL-ended; may be NULL */
char *table_fill (const scene_t *scene, const char *text, const char *const *more);

/* -- messages.c, images.c: run a table; how many rows were not as they should be */
int messages_run (const table_t *table, peer_t *user, peer_t *viewer, peer_t *worker);
int images_run (const table_t *table, peer_t *user, peer_t *worker);

#endif
