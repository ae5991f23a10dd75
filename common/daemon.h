/* daemon.h - what both daemons do to their process before anything else. */
#ifndef FARM_DAEMON_H
#define FARM_DAEMON_H

/* Room for many connections: zsock_new aborts when descriptors or sockets run out. */
void daemon_raise_limits (int sockets_max);

/* SIGTERM and SIGINT are blocked, in threads started later too, and read from the descriptor that is returned, which does not
 * block (the caller closes); -1 with errno. SIGPIPE and SIGXFSZ are ignored: the call that would raise them fails (EPIPE; EFBIG, as
 * on a full disk). */
int daemon_catch_signals (void);

/* The next signal that was caught; 0: none is there. */
int daemon_next_signal (int fd);

#endif
