/* board.h - a worker as the coordinator sees one: it joins and says hello. */
#ifndef FARM_BENCH_BOARD_H
#define FARM_BENCH_BOARD_H

#include "common/msg.h"

/* Join under a new key with the string in the file. */
int board_join (const char *join_file, const char *name, invitation_t *to, keypair_t *own, err_t *err);

/* A control connection on which hello was said and answered, with one slot for the platform; NULL with err. The caller's. */
zsock_t *board_greet (const invitation_t *to, const keypair_t *own, const char *name, const char *platform, err_t *err);

/* Wait until it is given a job, for 10 s. */
int board_await_job (zsock_t *socket, err_t *err);

#endif
