/* verbs.h - what farmctl can be asked to do: a function and a file per verb; main.c has the table. */
#ifndef FARM_VERBS_H
#define FARM_VERBS_H

#include "common/err.h"

/* argv [0] is the verb, then its own options and words: settings (--registry-plain-http …), --json and --help are
 * taken off by main before. A verb reads its options with options_parse (options.h), prints its result on standard
 * output by output.h and returns 0; or -1 with err, which main prints as "farmctl: TEXT" (with --json as
 * {"error": {…}}) and turns into the exit code of err_exit_code. */
typedef int (verb_fn) (int argc, char **argv, err_t *err);

verb_fn verb_submit, verb_ls, verb_inspect, verb_logs, verb_wait, verb_cancel, verb_retry, verb_worker, verb_user, verb_schedule, verb_news, verb_audit, verb_du, verb_prune, verb_imagetools,
        verb_join, verb_version;

#endif
