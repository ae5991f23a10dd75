/* line.h - one of farmctl's connections to the coordinator, and what becomes of it. Until the first answer a coordinator that is not
 * there, or does not know this user's key, is told at once; later libzmq connects again, and it is told that it has. */
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
    monitor_t *monitor;             /* NULL with it */
    int failures;                   /* to connect, in a row */
    bool is_stranger;               /* the coordinator has refused our key */
    bool is_trusted;                /* the coordinator has answered: from now on it is waited for */
    bool was_made, is_renewed;      /* connected once; again since line_take_renewal */
} line_t;

/* Connect. ERR_USAGE where the endpoint is no address. */
int line_open (line_t *self, const keypair_t *own, const uint8_t server_key [KEY_SIZE], err_t *err);
void line_close (line_t *self);

/* -1 once a line that is not trusted has been refused: ERR_NETWORK after two failures to connect, ERR_DENIED for a key not known. */
int line_check (line_t *self, err_t *err);

/* Has it been connected again since the last call? What was on its way before may be lost. */
bool line_take_renewal (line_t *self);

/* What to wait for, the socket first: how many of the items are set, 0 where the line is not open. */
int line_items (const line_t *self, zmq_pollitem_t items [LINE_ITEMS]);

/* Can a message be received? */
bool line_has_input (const line_t *self);

#endif
