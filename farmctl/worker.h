/* worker.h - what the verbs of `farmctl worker` share. */
#ifndef FARM_WORKER_VERB_H
#define FARM_WORKER_VERB_H

#include <jansson.h>

#include "farmctl/verbs.h"

/* farmctl worker …: argv [0] is "worker" and the word behind it. */
verb_fn worker_ls, worker_inspect, worker_drain, worker_pause, worker_resume, worker_label, worker_forget, worker_invite, worker_revoke;

/* "linux/arm64, linux/amd64 (emulated)" of a worker as docs/protocol.md shows it. The caller frees. */
char *worker_platforms (const json_t *worker);

/* "draining, not connected". The caller frees. */
char *worker_state (const json_t *worker);

/* Print it: for people, or with --json as it is. */
int worker_print (const json_t *worker, err_t *err);

#endif
