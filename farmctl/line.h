/* line.h - one of farmctl's connections to the coordinator. Until the first answer it is watched, so that a coordinator that is
 * not there, or does not know this user's key, is told at once; later libzmq connects again and what was sent waits. */
#ifndef FARM_LINE_H
#define FARM_LINE_H

#include <czmq.h>
#include <stdbool.h>

#include "common/err.h"
#include "common/keys.h"
#include "common/monitor.h"

enum { LINE_ITEMS = 2 };

typedef struct {
    const char *endpoint;           /* borrowed */
    zsock_t *socket;                /* NULL: not opened */
    monitor_t *monitor;             /* NULL: not watched */
    int failures;                   /* to connect, in a row */
    bool is_stranger;               /* the coordinator has refused our key */
} line_t;

/* Connect, watched or not. ERR_USAGE where the endpoint is no address. */
int line_open (line_t *self, const keypair_t *own, const uint8_t server_key [KEY_SIZE], bool is_watched, err_t *err);
void line_close (line_t *self);

/* The coordinator has answered: from now on it is waited for. */
void line_trust (line_t *self);

/* -1 once a watched line has been refused: ERR_NETWORK after two failures to connect, ERR_DENIED for a key not known. */
int line_check (line_t *self, err_t *err);

/* What to wait for, the socket first: how many of the items are set, 0 where the line is not open. */
int line_items (const line_t *self, zmq_pollitem_t items [LINE_ITEMS]);

/* Can a message be received? */
bool line_has_input (const line_t *self);

#endif
