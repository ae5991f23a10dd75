/* builder_judge.h - what a builder's words tell of a build that failed, as far as all drivers read them alike. */
#ifndef FARM_BUILDER_JUDGE_H
#define FARM_BUILDER_JUDGE_H

#include "worker/builder.h"

/* Keep as much of a line as fits, whole characters of it. */
void builder_keep (char *out, size_t out_size, const char *line, size_t size);
bool builder_line_starts (const char *line, size_t size, const char *with);

/* Cut the folder that `context_folder` lies in off each path below it: "…/attempts/7-1/context/app" becomes "context/app". In place. */
void builder_cut_folder (char *text, const char *context_folder);

/* Is a full disk what an error comes to in the end? A step's text, which its error may tell, can have the words anywhere else. */
bool builder_error_is_full (const char *error);
/* Does a line say that a disk is full? */
bool builder_says_full (const char *line, size_t size);
/* Is it, where a folder lies? What is left counts, as a RUN step can say so too. */
bool builder_disk_is_full (const char *folder);

/* What the registry said to the door counts more than `text`, what the builder made of it. -1 with err filled, or 0: not its fault. */
int builder_judge_registry (const builder_task_t *task, const char *text, err_t *err);

/* Whose fault a failed push is; text: the builder's words, "" for none. Returns -1. */
int builder_judge_push (const builder_task_t *task, const char *text, err_t *err);

#endif
