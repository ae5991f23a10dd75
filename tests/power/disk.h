/* disk.h - a disk that forgets: an SQLite VFS that passes everything on to the system's and writes down each write, truncation,
 * deletion and sync; and what such a disk may hold when the power fails at one of these moments.
 *
 * What was synced is there. Of what was written to a file since its last sync any part may be there: all, nothing, some writes,
 * some sectors of a write. (SQLite's documentation, "Atomic Commit In SQLite", section 2, and "Powersafe overwrite": bytes beside
 * a write are not harmed.) */
#ifndef FARM_TESTS_DISK_H
#define FARM_TESTS_DISK_H

#include <stddef.h>
#include <stdint.h>

/* From now on the files that SQLite opens are written down. Once, before any is opened. */
void disk_install (void);

/* Files that are opened from now on are not. */
void disk_leave (void);

/* The same for a file that a program writes past SQLite, by its name in the folder: "segments/000001". A new one's first sync is of its name too. */
void disk_note_write (const char *name, int64_t offset, const void *data, size_t size);
void disk_note_truncate (const char *name, int64_t size);
void disk_note_sync (const char *name);
void disk_note_delete (const char *name);
void disk_note_folder_sync (void);              /* of any folder */

/* How many moments there have been. */
size_t disk_moments (void);

/* How what was not synced is lost. */
typedef enum { LOSE_ALL, LOSE_NOTHING, LOSE_WRITES, LOSE_SECTORS, LOSE_KINDS } disk_loss;

/* Write the files as they may be after so many moments into folder, which is emptied; by chance from *random. Moments may only
 * grow from call to call. */
void disk_restore (size_t moments, disk_loss loss, uint64_t *random, const char *folder);

#endif
