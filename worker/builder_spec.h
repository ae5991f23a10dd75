/* builder_spec.h - what a submit asked for, as all drivers read it. */
#ifndef FARM_BUILDER_SPEC_H
#define FARM_BUILDER_SPEC_H

#include "common/reach.h"
#include "worker/builder.h"
#include "worker/hosts.h"
#include "worker/words.h"

enum { DOCKERFILE_MAX = 1024 * 1024, SECRET_WORD_BYTES = 16, SECRET_WORD_SIZE = 2 * SECRET_WORD_BYTES + 1 };

/* Options that all programs have alike: --build-arg, --label, --target, --no-cache. */
void builder_add_spec (const json_t *spec, words_t *words);

/* Which registries the task's Dockerfile names; the door lets the attempt read its images from now on. outcome: whether it is repeatable. ERR_BUILD: an
 * image that no registry has. */
int builder_find_hosts (const builder_task_t *task, hosts_t *hosts, builder_outcome_t *outcome, err_t *err);

/* A word of the attempt's own for names that others may see: who writes a Dockerfile, or has another attempt, cannot guess it, and it does not tell the password
 * that it is made of. */
void builder_secret_word (const builder_task_t *task, char word [SECRET_WORD_SIZE]);

/* What of the context is here; NULL in *out: everything. ERR_PRUNED: that cannot be told. */
int builder_find_reach (const builder_task_t *task, reach_t **out, err_t *err);

/* A step that the Dockerfile does not have reads more than that: the image would lack what was left out of the context. Returns -1. */
int builder_refuse_trigger (const char *step, const char *trigger, builder_outcome_t *outcome, err_t *err);

#endif
