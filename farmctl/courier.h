/* courier.h - questions and packs on their way to the coordinator, and the answers to them. Up to eight are on the way at once; the
 * coordinator takes them in the order in which they were sent. */
#ifndef FARM_COURIER_H
#define FARM_COURIER_H

#include "farmctl/client.h"

enum { COURIER_MAX = 8, COURIER_PATIENCE_MS = 10000 };

typedef struct {
    uint64_t sent_objects;
    uint64_t sent_bytes;            /* bodies of `put` messages */
    uint64_t questions;             /* `missing` messages */
} upload_stats_t;

typedef struct {
    client_t *client;
    upload_stats_t *stats;
    int on_the_way;
    int64_t first_seq;              /* of this try: answers to earlier ones are dropped */
    int64_t heard_ms;               /* when the coordinator was heard last; 0 never */
} courier_t;

courier_t courier_of (client_t *client, upload_stats_t *stats);

/* Is there credit for one more? */
bool courier_may_post (const courier_t *self);

/* Ask what of the digests (a whole number of them) is missing; send a pack. Both are taken, and left empty. The seq, which the answer
 * has as `re`; -1. */
int64_t courier_ask (courier_t *self, buffer_t *digests, err_t *err);
int64_t courier_put (courier_t *self, buffer_t *pack, uint64_t objects, err_t *err);

/* The next answer: `missing` or `stored`. NULL: a refusal, or silence for COURIER_PATIENCE_MS, which is ERR_NETWORK. */
msg_t *courier_answer (courier_t *self, err_t *err);

/* Wait until an answer can be taken or fd is readable: 0; -1 as courier_answer. */
int courier_wait (courier_t *self, int fd, err_t *err);

/* What is on the way counts as lost: answers to it, should they come, are dropped. */
void courier_forget (courier_t *self);

/* Was the coordinator there a short time ago? Then it is probably being restarted, and worth another try. */
bool courier_may_try_again (const courier_t *self, const err_t *why);

#endif
