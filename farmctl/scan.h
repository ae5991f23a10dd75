/* scan.h - walks a context and makes its tree: digests of everything, nothing sent yet. */
#ifndef FARM_SCAN_H
#define FARM_SCAN_H

#include "common/depot.h"
#include "common/keys.h"
#include "common/reach.h"
#include "common/tree.h"

typedef struct scan scan_t;

/* One object of the context, and where its bytes are. */
typedef struct {
    object_kind kind;
    digest_t digest;
    uint32_t size_bytes;
} scan_object_t;

/* Scan folder. ignore_path: the .dockerignore to use, NULL for none. Unreadable files, sockets, devices and names too
 * long are ERR_USAGE naming the path. A file that changes while it is read is read again, at most three times, then named. */
int scan_context (scan_t **out, const char *folder, const char *ignore_path, err_t *err);

/* The same in two steps: names first, then what the files hold. reach: what of it is read, NULL for everything; only borrowed
 * for this call. cache_folder is that of the stat cache, with which files that are as they were are not opened; NULL for none. */
int scan_names (scan_t **out, const char *folder, const char *ignore_path, const reach_t *reach, const char *cache_folder, err_t *err);
int scan_content (scan_t *self, err_t *err);
void scan_destroy (scan_t **self);

const digest_t *scan_root (const scan_t *self);
uint64_t scan_files (const scan_t *self);
uint64_t scan_bytes (const scan_t *self);
uint64_t scan_files_read (const scan_t *self);      /* of them, opened and read */

/* Left out because nothing reads it: folders, not counting what is in them, and files. 0 and 0 for a context that is whole. */
void scan_unread (const scan_t *self, uint64_t *folders, uint64_t *files);

/* The objects that an object names (none for content), children of a folder or parts of a list; borrowed. */
size_t scan_children (const scan_t *self, const digest_t *digest, const scan_object_t **out);

/* Is there a file that has to be opened? Known from scan_names on. */
bool scan_has_news (const scan_t *self);

/* Is this very tree what was sent last to the coordinator with this key, as far as the stat cache knows? */
bool scan_is_sent (const scan_t *self, const uint8_t server_key [KEY_SIZE]);

/* Was the tree of this folder's last scan sent whole to the coordinator with this key, as far as the stat cache knows? Then
 * those objects of this tree that were in that one (scan_is_old) are probably there. And: this tree was sent. */
bool scan_was_sent (const scan_t *self, const uint8_t server_key [KEY_SIZE]);
bool scan_is_old (const scan_t *self, const digest_t *digest);
void scan_note_sent (const scan_t *self, const uint8_t server_key [KEY_SIZE]);

/* The bytes of an object: folders and lists from memory, content read again from its file and compared with the digest
 * (ERR_USAGE "… changed while it was being sent"). */
int scan_read (scan_t *self, const digest_t *digest, buffer_t *out, err_t *err);

#endif
