/* scan.h - walks a context and makes its tree: digests of everything, nothing sent yet. */
#ifndef FARM_SCAN_H
#define FARM_SCAN_H

#include "common/keys.h"
#include "common/reach.h"
#include "common/tree.h"

typedef struct scan scan_t;

/* One object of the context, and where its bytes are. */
typedef struct {
    object_kind kind;
    uint32_t size_bytes;
    digest_t digest;
    uint32_t node;              /* whose it is: a file or folder of the walk, SCAN_ROOT, or SCAN_BESIDE */
    uint8_t level;              /* of a list */
    uint64_t at;                /* of content: where it begins; of a list: which one of its level */
} scan_object_t;

/* SCAN_BESIDE: content that is not of the scan; whoever made it has its bytes. */
enum { SCAN_ROOT = UINT32_MAX, SCAN_BESIDE = UINT32_MAX - 1 };

/* Scan folder. ignore_path: the .dockerignore to use, NULL for none. Unreadable files, sockets, devices and names too
 * long are ERR_USAGE naming the path. A file that changes while it is read is read again, at most three times, then named. */
int scan_context (scan_t **out, const char *folder, const char *ignore_path, err_t *err);

/* The same in two steps: names first, then what the files hold. reach: what of it is read, NULL for everything; only borrowed
 * for this call. cache_folder is that of the stat cache, with which files that are as they were are not opened; NULL for none. */
int scan_names (scan_t **out, const char *folder, const char *ignore_path, const reach_t *reach, const char *cache_folder, err_t *err);
int scan_content (scan_t *self, err_t *err);
/* Between the two: all of it has this time (seconds since 1970), whatever the disk says. For files that were just written. */
void scan_set_time (scan_t *self, int64_t mtime_s);
void scan_destroy (scan_t **self);

const digest_t *scan_root (const scan_t *self);
uint64_t scan_files (const scan_t *self);
uint64_t scan_bytes (const scan_t *self);

/* Left out because nothing reads it: folders, not counting what is in them, and files. 0 and 0 for a context that is whole. */
void scan_unread (const scan_t *self, uint64_t *folders, uint64_t *files);

/* Is there a file that has to be opened, and how long are these together? Known from scan_names on. */
bool scan_has_news (const scan_t *self);
uint64_t scan_news_bytes (const scan_t *self);

/* Is this very tree what was sent last to the coordinator with this key, as far as the stat cache knows? */
bool scan_is_sent (const scan_t *self, const uint8_t server_key [KEY_SIZE]);

/* Was the tree of this folder's last scan sent whole to the coordinator with this key, as far as the stat cache knows? Then
 * those objects of this tree that were in that one (scan_is_old) are probably there. And: this tree was sent. */
bool scan_was_sent (const scan_t *self, const uint8_t server_key [KEY_SIZE]);
bool scan_is_old (const scan_t *self, const scan_object_t *object);
void scan_note_sent (const scan_t *self, const uint8_t server_key [KEY_SIZE]);

/* All content that was read until now has been sent. Is a piece of content among it? And is there any? */
void scan_note_streamed (scan_t *self);
bool scan_is_streamed (const scan_t *self, const scan_object_t *object);
bool scan_has_streamed (const scan_t *self);

/* The root, and the objects that an object names (none for content), children of a folder or parts of a list; the caller frees. */
scan_object_t scan_top (const scan_t *self);
size_t scan_children (const scan_t *self, const scan_object_t *object, scan_object_t **out);
/* Of two objects with the same bytes: does the one name, as what it is, more than the other? */
bool scan_names_more (const scan_t *self, const scan_object_t *one, const scan_object_t *other);

/* The bytes of an object: folders and lists are made anew, content is read again from its file and compared with the digest
 * (ERR_USAGE "… changed while it was being sent"). Several threads may. */
int scan_read (const scan_t *self, const scan_object_t *object, buffer_t *out, err_t *err);

#endif
