/* options.h - the coordinator's settings (docs/operations.md shows the same table). */
#ifndef FARM_COORDINATOR_OPTIONS_H
#define FARM_COORDINATOR_OPTIONS_H

#include "common/settings.h"

/* Defaults, then the file (-c FILE, else FARM_SYSCONFDIR/coordinator.conf where it is), then the command line. NULL with err for
 * what cannot be used. --help and --version print and exit. */
settings_t *options_read (int argc, char **argv, err_t *err);

#endif
