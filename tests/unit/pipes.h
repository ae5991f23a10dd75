/* pipes.h - what the tests of processes share. A pipe tells when all that held its write end are gone, whoever their parents were. */
#ifndef FARM_TESTS_PIPES_H
#define FARM_TESTS_PIPES_H

#include <poll.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

/* Whoever held the other end of fd, a pipe or a FIFO with nothing in it, is gone. Closes fd. */
static inline void assert_all_gone (int fd)
{
    struct pollfd polled = { fd, POLLIN, 0 };
    char byte;
    assert_int_equal (poll (&polled, 1, PATIENCE_MS), 1);
    assert_int_equal (read (fd, &byte, 1), 0);
    close (fd);
}

#endif
