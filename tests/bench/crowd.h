/* crowd.h - what the files of the crowd share: many workers and a few users on connections of their own, in one thread.
 *
 * The bench wants to measure the coordinator and has to share the processors with it, so answers are not read as JSON: the two
 * numbers that are wanted are looked for in the text. */
#ifndef FARM_BENCH_CROWD_H
#define FARM_BENCH_CROWD_H

#include <stdbool.h>

#include "common/digest.h"
#include "common/msg.h"
#include "common/scan.h"

enum { USERS = 4, ON_THE_WAY_MAX = 512 };     /* submits that wait for their answers */

/* A worker with one slot, or a user. */
typedef struct {
    zsock_t *socket;
    void *handle;               /* of libzmq */
    keypair_t key;
    char name [24];
    bool is_worker, has_job;
    int64_t job, attempt;
    int64_t due_us;             /* when its build ends */
    int64_t freed_us;           /* when it had said so; 0: it has got its next job */
} peer_t;

typedef struct {
    invitation_t to;
    scan_t *scan;               /* of the context that all builds have; owned */
    char context [DIGEST_HEX_SIZE + 1];
    int port;                   /* of the registry, on 127.0.0.1 */
    peer_t *peers;              /* the users first */
    int count;
    int epoll;
    int64_t seq;
    int64_t submitted, accepted, assigned, pushed;
    bool is_working;            /* else the workers keep what they are given */
    bool is_pushing;            /* builds end with an image, else with the user's fault */
    bool is_refilling;          /* for each build that ends another one is submitted */
    int64_t build_us;           /* a build's time */
    int *line;                  /* a ring of workers by due_us, as long as there are workers */
    int line_begin, line_count;
    int64_t *waits_us;          /* from a free slot to the next job; owned */
    size_t wait_count, wait_capacity;
    int64_t beat_us;            /* when the next worker's heartbeat is due */
    int next_beat;              /* which */
    int64_t awaited_job, awaited_us;    /* a job that is to come a second time; and when it did */
} crowd_t;

int64_t now_us (void);

/* -- crowd_peers.c ------------------------------------------------------------------------------------------------------- */

/* Workers and users join with the invitation, connect and say hello; each user sends the context: nobody may name what others have sent. */
int crowd_enrol (crowd_t *self, int workers, err_t *err);
void crowd_submit (crowd_t *self);
/* Wait for messages, at most until then; take them, and end the builds that are due. */
void crowd_turn (crowd_t *self, int64_t until_us);
/* The workers go on with what they have. */
void crowd_work (crowd_t *self);
void crowd_free (crowd_t *self);

/* -- crowd_registry.c: one image, and whatever is put --------------------------------------------------------------------- */

/* Serves at this port of 127.0.0.1 until the process ends. */
int registry_begin (int port, err_t *err);
extern const char *registry_image;              /* digest of the image that it has, in every repository */
int64_t registry_tags (void);                   /* how many tags have been put */

#endif
