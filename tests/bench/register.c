/* register.c - enrols a worker that never comes back: so a coordinator under measurement has one for the platform, accepts
 * builds, and keeps them queued.
 *
 *     register JOIN-FILE NAME PLATFORM */
#include <stdio.h>

#include "board.h"

static int enrol (const char *join_file, const char *name, const char *platform, err_t *err)
{
    invitation_t to;
    keypair_t own;
    if (board_join (join_file, name, &to, &own, err) < 0)
        return -1;
    AUTO (zsock) zsock_t *socket = board_greet (&to, &own, name, platform, err);
    return socket ? 0 : -1;
}

int main (int argc, char **argv)
{
    err_t err = { 0 };
    if (argc != 4) {
        fputs ("usage: register JOIN-FILE NAME PLATFORM\n", stderr);
        return 2;
    }
    if (enrol (argv [1], argv [2], argv [3], &err) < 0) {
        fprintf (stderr, "register: %s\n", err.text);
        return 1;
    }
    return 0;
}
