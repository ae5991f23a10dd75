/* builder_command.h - runs a builder's program: output by lines, secrets blotted out of it, deadline and cancelling. */
#ifndef FARM_BUILDER_COMMAND_H
#define FARM_BUILDER_COMMAND_H

#include "worker/builder.h"
#include "worker/builder_disk.h"
#include "worker/words.h"

/* Who follows it, and what ends it. {0}: nobody, and nothing. */
typedef struct {
    int64_t deadline_ms;            /* boot clock; 0 none */
    atomic_int *is_cancelled;       /* NULL: never */
    builder_line_fn *on_line;       /* NULL: output is dropped; it may set is_hopeless */
    void *argument;
    const secrets_t *secrets;       /* blotted out of its output; NULL: none */
    const atomic_bool *has_trouble; /* set: it is to end, whoever set it knows why (ERR_FARM). NULL: never */
    bool *is_hopeless;              /* set: what it does will not be used. NULL: never */
    builder_disk_t *disk;           /* looked at while it works; NULL: none */
} builder_watch_t;

/* Start argv in a folder, and hand its output on line by line. rules NULL: none. *status as spawner_wait's.
 * ERR_TIMEOUT and ERR_CANCELLED after its whole descent was killed; one that is hopeless is killed too, and ended with a status. */
int builder_command (spawner_t *spawner, const words_t *argv, const words_t *environment, const char *folder, const spawner_rules_t *rules,
                     const builder_watch_t *watch, int *status, err_t *err);

/* Appends "PATH=…", this process's own. Nothing else of the worker's environment is a builder's. */
void builder_command_add_path (words_t *environment);

/* Where a program is in the folders of PATH; the caller frees. NULL when in none. */
char *builder_command_find (const char *name);

#endif
