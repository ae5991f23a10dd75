/* peers.h - the connections of the control socket. A peer's number is the integer in the routing id that libzmq gave it,
 * unique for the life of the socket. */
#ifndef FARM_PEERS_H
#define FARM_PEERS_H

#include <czmq.h>
#include <stdint.h>

#include "common/agent.h"
#include "common/keys.h"
#include "common/secret.h"

enum { PEER_WATCHES_MAX = 64 };

typedef struct {
    uint64_t number;
    zframe_t *routing_id;
    char key_hex [KEY_HEX_SIZE + 1];
    int fd;                                     /* of the connection, libzmq's: how its end is noticed */
    int line;                                   /* the same connection, ours: how it ended; -1: nobody wants to know */
    bool has_said_hello;
    int64_t watches [PEER_WATCHES_MAX];         /* build ids */
    size_t watch_count;
    int64_t offered_build;                      /* for which it offers ssh agents; 0: none */
    char offered [AGENTS_MAX] [SECRET_ID_MAX + 1];
    size_t offered_count;
} peer_t;

typedef struct peers peers_t;

peers_t *peers_new (void);
void peers_destroy (peers_t **self);

/* The peer of a routing id, made when it is new. Takes *routing_id. NULL for an id that libzmq did not make. */
peer_t *peers_find_or_add (peers_t *self, zframe_t **routing_id, const char *key_hex, int fd);
/* Was there a message with this routing id before? */
bool peers_have (peers_t *self, const zframe_t *routing_id);
/* NULL when it is gone. Borrowed. */
peer_t *peers_find (peers_t *self, uint64_t number);
void peers_remove (peers_t *self, uint64_t number);

/* The peers whose connection this descriptor was; up to max numbers go to out. */
size_t peers_of_fd (peers_t *self, int fd, uint64_t *out, size_t max);

/* From now on it can be told, when the connection has ended, whether the far end closed it. A kernel does that for a process that is no
 * more, however it ended; a cable that is cut, a router that gives up and a machine without power do not. */
void peer_keep_line (peer_t *self);
bool peer_was_closed (const peer_t *self);

/* Remember that the peer wants to hear of a build; beyond PEER_WATCHES_MAX the oldest is forgotten. */
void peer_watch (peer_t *self, int64_t build);
bool peer_watches (const peer_t *self, int64_t build);

/* Walk all peers: NULL behind the last. The table must not change meanwhile. */
peer_t *peers_first (peers_t *self);
peer_t *peers_next (peers_t *self);

#endif
