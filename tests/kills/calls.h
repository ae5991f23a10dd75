/* calls.h - the system calls that inject looks at, by the names that stand for them, and what one of them is done to. */
#ifndef KILLS_CALLS_H
#define KILLS_CALLS_H

#include <limits.h>
#include <linux/seccomp.h>
#include <sys/types.h>

enum { TEXT_SIZE = PATH_MAX };

/* What stands in which argument */
typedef enum { NOTHING, FD, PATH, PATH_AT, OPEN, OPEN_AT, MAP } subject_t;

typedef struct {
    const char *name;               /* what it counts as */
    const char *call;
    long number;
    subject_t subject;
} call_t;

extern const call_t calls [];
extern const size_t call_count;

/* NULL: none of ours. */
const call_t *call_numbered (int number);

/* The file, socket or name that it is done to; empty where there is none. */
void call_describe (char out [TEXT_SIZE], const call_t *self, const struct seccomp_notif *asked);

/* The name that this one counts as: opening to create is `create`, and pipes and sockets are read from and written to as `receive` and
 * `send`. NULL: it does not count: eventfds, which threads wake each other with, the loader's files, what the kernel tells in files. */
const char *call_name (const call_t *self, const struct seccomp_notif *asked, const char *what);

/* The file that a process is the program of; false when it is gone. */
int call_program (char out [TEXT_SIZE], pid_t task);

#endif
