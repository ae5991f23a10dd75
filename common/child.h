/* child.h - another program, started from a process that has threads: with signals as a program expects them, and none of our descriptors. */
#ifndef FARM_CHILD_H
#define FARM_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

/* All borrowed. A descriptor below 0 stands for /dev/null. */
typedef struct {
    const char *program;            /* a path, or a name that PATH has */
    char *const *argv, *const *environment;
    int input, output, errors;
    bool has_group;                 /* it leads a process group of its own, by which all that it starts can be ended */
} child_program_t;

/* 0, with its number in *pid: it is the caller's to wait for. Else an errno. */
int child_start (pid_t *pid, const child_program_t *what);

#endif
