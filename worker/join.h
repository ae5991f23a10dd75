/* join.h - farm-worker join STRING: enrols this machine. */
#ifndef FARM_JOIN_H
#define FARM_JOIN_H

#include "worker/options.h"

enum { JOIN_NAME_SIZE = 64 };

/* The worker's key in its state folder: STATE/worker.key. The caller frees. */
char *join_key_file (const settings_t *settings);

/* The setting `name`, else the host's name. ERR_USAGE for one that cannot be a name. */
int join_name (const settings_t *settings, char name [JOIN_NAME_SIZE], err_t *err);

/* Make the key where there is none, enrol it, and write the settings file. Done twice it is the same; what fails can be
 * repeated. Prints what to do next. */
int join_run (const options_t *options, err_t *err);

#endif
