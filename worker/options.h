/* options.h - the worker's command line and settings: defaults, the file (-c FILE, else SYSCONFDIR/worker.conf), the options. */
#ifndef FARM_WORKER_OPTIONS_H
#define FARM_WORKER_OPTIONS_H

#include <czmq.h>

#include "common/settings.h"

typedef struct {
    settings_t *settings;
    settings_t *without_line;       /* the same without the command line */
    const char *file;               /* the settings file, also where there is none yet */
    const char *join;               /* `farm-worker join STRING`; else NULL */
    bool is_doctor, is_json;        /* `farm-worker doctor [--json]` */
} options_t;

/* Borrows argv. --help and --version print and exit. ERR_USAGE for what cannot be understood. */
int options_read (options_t *self, int argc, char **argv, err_t *err);
void options_free (options_t *self);

/* Put what was given on the command line alone into a settings file, so that it holds at the next start too. */
void options_keep (const options_t *self, zconfig_t *file);

/* Where contexts are kept: `cache`, else below the state folder, or the system's cache folder with the default state folder.
 * The caller frees. */
char *options_contexts_folder (const options_t *self);

#endif
