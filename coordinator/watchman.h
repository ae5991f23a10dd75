/* watchman.h - ends connections that fill memory or take all descriptors, which libzmq does not notice by itself.
 *
 * An actor. Several times a second it looks at the process's resident memory and descriptors; where memory has grown or descriptors
 * run short it goes through the connections of the two ROUTERs (common/backlog.h), and ends
 *   - each that has sent more than whole messages could be, without anything coming of it: a message without an end;
 *   - each that is more than its key may have (common/backlog.h, is_over);
 *   - of one key's, of those that are not admitted (common/backlog.h), and of all together, the largest, as long as they are too much; one
 *     that is not admitted counts for what libzmq has for it too, so some 1,100 of them may be in the handshake, or behind it and silent;
 *   - when all together are too much, those from which nothing was read for a second, the longest first;
 *   - when descriptors run short, those from which nothing was ever read, the most silent first.
 * Honest ones dial again by themselves. Pipe: ["$TERM"]. */
#ifndef FARM_WATCHMAN_H
#define FARM_WATCHMAN_H

#include <czmq.h>

#include "common/backlog.h"

typedef struct {
    uint16_t ports [2];             /* of the control socket and of the objects socket */
} watchman_settings_t;

void watchman_actor (zsock_t *pipe, void *settings);

/* Which of these have to end: they come first afterwards; returns how many. descriptors_over: how many there are too many.
 * Decides alone, looks at nothing. */
size_t watchman_choose (backlog_t *connections, size_t count, size_t descriptors_over, int64_t now_ms);

#endif
