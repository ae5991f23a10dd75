/* schedule.h - what the verbs of `farmctl schedule` share. */
#ifndef FARM_SCHEDULE_VERB_H
#define FARM_SCHEDULE_VERB_H

#include <jansson.h>

#include "farmctl/client.h"
#include "farmctl/verbs.h"

/* farmctl schedule …: argv [0] is both words. schedule_add is in submit.c. */
verb_fn schedule_add, schedule_ls, schedule_inspect, schedule_next, schedule_run, schedule_pause, schedule_resume, schedule_rm, schedule_hook;

/* A name has letters, digits, '.', '_' and '-'. ERR_USAGE. */
int schedule_check_name (const char *name, err_t *err);

/* What became of a time, in words: "build 42 published", "unchanged since 42". firing as docs/protocol.md shows it; null: "". The caller frees. */
char *schedule_outcome (const json_t *firing);

/* A schedule as docs/protocol.md shows it, for people or with --json; and after it was changed: only when it is due next. */
int schedule_print (const json_t *schedule, err_t *err);
int schedule_report (const json_t *schedule, err_t *err);

/* The `schedule-state` of a verb; takes question. NULL on error. */
msg_t *schedule_ask (client_t *client, const char *verb, json_t *question, const char *name, err_t *err);

#endif
