/* file.h - files and folders, so that nothing half-written is ever found under its final name. */
#ifndef FARM_FILE_H
#define FARM_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/mem.h"

/* Read a whole file of at most max_bytes into out (replaced). A larger one is ERR_USAGE, a missing one ERR_NOT_FOUND. */
int file_read (const char *path, size_t max_bytes, buffer_t *out, err_t *err);

/* A small file as text, up to a NUL if there is one, for what is only looked at; "" where it cannot be read. The caller frees. */
char *file_text (const char *path);

/* Write text into a file that is there, in one piece, as the kernel's files want it. */
int file_poke (const char *path, const char *text, err_t *err);

/* Write a file with mode: a temporary name beside it, fsync, rename, fsync of the folder. */
int file_write (const char *path, const void *data, size_t size, mode_t mode, err_t *err);

/* The same without the syncs, which take long on an SD card: for a file that need not outlive a power cut. */
int file_write_scratch (const char *path, const void *data, size_t size, mode_t mode, err_t *err);

/* The name of a file or folder is on the disk when it returns 0: the folder that it is in is synced. */
int file_sync_name (const char *path, err_t *err);

/* A name beside path for mkstemp. The caller frees. */
char *file_temporary (const char *path);

/* Remove from a folder what bears such a name: a process left it that was killed while it wrote a file. Whoever calls it writes
 * there alone. */
void file_sweep (const char *folder);

/* Make a folder and those above it (mode for the new ones); an existing folder is fine. */
int file_make_folders (const char *path, mode_t mode, err_t *err);

/* Remove a folder and all in it, however deep it is, with some twenty descriptors; follows no link, gives itself the rights it needs, and stays on its
 * file system: a mount below it is an error. A missing one is fine. */
int file_remove_tree (const char *path, err_t *err);
/* The same of a name in an open folder; what is no folder is removed too. */
int file_remove_at (int folder, const char *name, err_t *err);

/* Take an exclusive lock on the file (made when missing). Returns the descriptor, which holds the lock until it, and what processes have
 * inherited of it, is closed; -1 with ERR_FARM "... is in use by process 123" when another process has it. When that process has ended, and
 * only what it started holds the lock, this waits for wait_ms. */
int file_lock (const char *path, int wait_ms, err_t *err);

/* write() all of it. */
int file_write_all (int fd, const void *data, size_t size, err_t *err);

/* Free bytes for us on the file system of path; -1 when that cannot be known. */
int64_t file_free_bytes (const char *path);
/* So many files can still be made there; -1: not known, or no limit, as on btrfs. */
int64_t file_free_inodes (const char *path);

/* Less than 5 GiB and less than 10 % of it are free: what is only kept to save time has to go. */
bool file_is_nearly_full (const char *path);

/* folder + "/" + name; the caller frees. */
char *file_join (const char *folder, const char *name);

bool file_exists (const char *path);

#endif
