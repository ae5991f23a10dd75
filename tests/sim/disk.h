/* disk.h - the disk that farm.db stands on: files in memory, under SQLite as its default VFS. They outlive whoever has them open,
 * as files do; and the disk can fail. One for the process. */
#ifndef FARM_SIM_DISK_H
#define FARM_SIM_DISK_H

#include <stdbool.h>

/* What happens to each change from now on. */
typedef enum {
    DISK_FINE,
    DISK_FULL,              /* it is refused, there is no space */
    DISK_BROKEN,            /* an I/O error, and nothing is written */
    DISK_DOUBTFUL           /* an I/O error, though it was written */
} disk_mood;

/* Make it SQLite's default; once. */
void disk_mount (void);

/* After so many more changes that go well. */
void disk_set (disk_mood mood, int after);
bool disk_is_fine (void);

/* No files; and put all away to find them again as they were. */
void disk_clear (void);
void disk_keep (void);
void disk_restore (void);

#endif
