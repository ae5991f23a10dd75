/* helper.h - programs that do a verb's work in farmctl's place. */
#ifndef FARM_HELPER_H
#define FARM_HELPER_H

#include "common/err.h"

/* Run the program of that name with the command line that farmctl was given; it stands beside farmctl, or in the package's
 * folder of programs that are not called by hand. Does not return but with an error. */
int helper_run (const char *name, err_t *err);

#endif
