/* builder_judge.h - what a builder's words tell of a build that failed, as far as all drivers read them alike. */
#ifndef FARM_BUILDER_JUDGE_H
#define FARM_BUILDER_JUDGE_H

#include "worker/builder.h"
#include "worker/builder_disk.h"

/* Keep as much of a line as fits, whole characters of it. */
void builder_keep (char *out, size_t out_size, const char *line, size_t size);
bool builder_line_starts (const char *line, size_t size, const char *with);

/* Cut the folder that `context_folder` lies in off each path below it: "…/attempts/7-1/context/app" becomes "context/app". In place. */
void builder_cut_folder (char *text, const char *context_folder);

/* How many processes the kernel has killed for want of memory since the host was started; -1: it does not say. */
int64_t builder_oom_kills (void);

/* What the registry said to the door counts more than `text`, what the builder made of it. -1 with err filled, or 0: not its fault. */
int builder_judge_registry (const builder_task_t *task, const char *text, err_t *err);

/* Whose fault a failed push is; text: the builder's words, "" for none. A builder that fails after the registry's answers, in which the door saw nothing wrong,
 * may have read something in them that it did not like: the worker is not to blame. Returns -1. */
int builder_judge_push (const builder_task_t *task, const builder_disk_t *disk, const char *text, err_t *err);

#endif
