/* backlog.h - how much a connection to a ROUTER has sent that nobody has read yet.
 *
 * libzmq counts whole messages for its high-water mark (pipe.cpp, 4.3.4): of one that never ends it keeps every frame, and the
 * program sees none of it. What the kernel has received over a connection, less what came out of the socket, tells. So whoever
 * reads says what was read (msg_recv does), and somebody looks now and then (coordinator/watchman.c). All calls are thread-safe. */
#ifndef FARM_BACKLOG_H
#define FARM_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/keys.h"

typedef struct {
    int fd;                         /* libzmq's: it may be another connection's by now, which `cookie` tells */
    uint64_t cookie;                /* the kernel's name for the connection */
    size_t unread_bytes;            /* as on the wire; what is in the kernel's buffer does not count */
    bool was_read;                  /* a message has come over it, so its key is a known one */
    int64_t still_at_ms;            /* boot clock: when a message was last read from it, or it was first looked at */
    int64_t silent_ms;              /* since its last bytes came */
    bool reader_rests;              /* whoever reads the socket waits for something to read */
    bool is_admitted;               /* by backlog_admit */
    bool is_over;                   /* backlog_admit has said no, and its far end was told */
    char key_hex [KEY_HEX_SIZE + 1];        /* of what was read from it; "": nothing was */
} backlog_t;

/* What a frame of so many bytes takes on the wire: ZMTP 3 with CURVE. */
size_t backlog_wire_size (size_t frame_bytes);

/* A message of so many bytes on the wire, of this key, came out of the connection with this descriptor (ZMQ_SRCFD; less than 0: of none).
 * False when the connection was ended by backlog_end: whole messages that libzmq had of it come out nevertheless, and are to be dropped. */
bool backlog_note (int fd, size_t wire_bytes, const char *key_hex);

/* Is the connection that was just noted one of at most max of its key on its port? Once it is, it stays one until it ends. */
bool backlog_admit (int fd, size_t max);

/* May an answer of so many bytes be handed to libzmq for the connection that a message of this key was noted of? Then it counts. The kernel
 * tells what of all answers the far end has acknowledged; the rest is unsent. Whoever keeps to 8 requests on the way (docs/protocol.md)
 * never has more unsent than 8 answers, so BACKLOG_UNSENT_MAX is over that; where one has more than BACKLOG_UNSENT_FREE, the connections of
 * its key on its port have BACKLOG_UNSENT_KEY_MAX together. */
enum { BACKLOG_UNSENT_FREE = 512 * 1024, BACKLOG_UNSENT_MAX = 2560 * 1024, BACKLOG_UNSENT_KEY_MAX = 20 * 1024 * 1024 };
bool backlog_hand (int fd, size_t wire_bytes, const char *key_hex);

/* Whoever reads the ROUTER on that port has found nothing there and waits, or goes on. */
void backlog_note_rest (uint16_t port, bool rests);

/* A second descriptor of the connection, to close; less than 0 as of dup (2). For backlog_of it is none: what has come is counted once. */
int backlog_copy (int fd);

/* False when fd is no connection to one of these ports, or one that ends. now_ms: boot clock. */
bool backlog_of (int fd, const uint16_t *ports, size_t port_count, int64_t now_ms, backlog_t *out);

/* Reset the connection, if it still is that one: libzmq then drops what is no whole message, and msg_recv the others. False when it is gone.
 * spare: a descriptor of the caller's, which becomes another one for the connection: there may be none left to open. */
bool backlog_end (const backlog_t *self, int spare);
/* The same for the connection that a message of this key was just noted of. */
bool backlog_end_of (int fd, const char *key_hex);

#endif
