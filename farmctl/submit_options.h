/* submit_options.h - a command line of `submit` as the spec of a build (docs/protocol.md). Nothing is read or sent. */
#ifndef FARM_SUBMIT_OPTIONS_H
#define FARM_SUBMIT_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "farmctl/options.h"
#include "farmctl/request.h"

typedef struct {
    const char *context;            /* the folder, or what is to be fetched; borrowed from argv, as the next */
    bool is_fetched;                /* by the coordinator: then the spec has its `source` and `dockerfile` */
    const char *dockerfile;         /* path, "-" for standard input, NULL for CONTEXT/Dockerfile */
    secrets_t secrets;              /* that the spec names */
    json_t *spec;                   /* all but `context` and `dockerfile` */
    bool sends_whole;               /* also what no instruction reads */
    after_t after;
} submit_options_t;

/* ERR_USAGE with the option and the reason. Words of argv are reordered. */
int submit_options_read (submit_options_t *self, int argc, char **argv, err_t *err);

/* What `schedule add` has besides; borrowed from argv. catch_up and overlap may be NULL: as the farm has them. */
typedef struct {
    const char *name, *cron, *zone, *catch_up, *overlap;
    bool if_changed, replaces;
    option_list_t mails, hooks;         /* where news of it go; owned */
} schedule_options_t;
void schedule_options_free (schedule_options_t *self);
/* The same for `schedule add NAME … CONTEXT`: tags may hold {date}, {build} and, of a repository, {commit}, the priority is low, and the whole context is sent, for nobody
 * would be there to send the rest. */
int schedule_options_read (submit_options_t *self, schedule_options_t *schedule, int argc, char **argv, err_t *err);
void submit_options_free (submit_options_t *self);

#endif
