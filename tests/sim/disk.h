/* disk.h - what farm.db stands on: memory. It outlives whoever has it open, as a file does; and its disk can fail. One for the process.
 *
 * The simulator is linked so that db_open, db_destroy and db_commit of coordinator/db.c come here first. */
#ifndef FARM_SIM_DISK_H
#define FARM_SIM_DISK_H

#include <stdbool.h>

/* What happens to each commit that has written something. */
typedef enum {
    DISK_FINE,
    DISK_FULL,              /* it is refused, there is no space */
    DISK_BROKEN,            /* an I/O error, and nothing is written */
    DISK_DOUBTFUL           /* an I/O error, though it was written */
} disk_mood;

void disk_set (disk_mood mood);
bool disk_is_fine (void);

/* Put a copy of farm.db away, once; and have it again as it was then. Nobody has it open. */
void disk_keep (void);
void disk_restore (void);

#endif
