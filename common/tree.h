/* tree.h - a context as a tree of objects: the encoding of folders and of long content. docs/objects.md tells it whole.
 *
 * One and only one encoding per tree: entries in ascending order of the bytes of their names, integers big-endian,
 * nothing optional. A decoder refuses everything else, so equal trees have equal digests on every machine.
 *
 *   content of at most 256 KiB     one object, level 0
 *   longer content                 cut by content (chunker.h); an object of level 1 lists its chunks (size, digest);
 *                                  lists too long for one object are listed by level 2, and so on
 *   folder                         a listing, stored as content is (a long listing is cut as well)
 *   context                        one listing with the one entry "." : the folder itself with its mode and time.
 *                                  Its digest names the context. */
#ifndef FARM_TREE_H
#define FARM_TREE_H

#include <stdint.h>
#include <sys/types.h>

#include "common/digest.h"
#include "common/err.h"
#include "common/mem.h"

enum {
    OBJECT_MAX = 256 * 1024,
    TREE_NAME_MAX = 255,
    TREE_TARGET_MAX = 4095,
    TREE_DEPTH_MAX = 128,           /* folders above a file */
    TREE_LEVEL_MAX = 3,             /* 7,281 ^ 3 chunks: more than any disk */
    TREE_LISTING_MAX = 64 * 1024 * 1024,    /* bytes of a listing that is cut: about 700,000 entries */
};

/* What an object is; a store must know to check that what it names is there too. */
typedef enum { OBJECT_CONTENT = 0, OBJECT_LIST = 1, OBJECT_FOLDER = 2 } object_kind;

/* A reference to content: how long it is, and the object that holds it or (level > 0) lists it. */
typedef struct {
    uint64_t size_bytes;
    uint8_t level;
    digest_t digest;
} content_t;

typedef enum { TREE_FILE = 'f', TREE_FOLDER = 'd', TREE_LINK = 'l' } tree_kind;

typedef struct {
    tree_kind kind;
    uint16_t mode;                  /* permission bits, 07777 */
    int64_t mtime_s;
    uint32_t mtime_ns;
    const char *name;               /* not NUL-terminated; no '/', no NUL, not "", "." (but for the root) or ".." */
    size_t name_size;
    content_t content;              /* of a file; of a folder: its listing */
    const char *target;             /* of a link; not NUL-terminated */
    size_t target_size;
} tree_entry_t;

/* The order of a listing: memcmp, and of two names of which one begins with the other the shorter one first. */
int tree_compare_names (const char *a, size_t a_size, const char *b, size_t b_size);

/* Append one entry to a listing being written. The caller gives names in ascending order of their bytes (memcmp, a prefix
 * first); a listing out of order is refused by every reader. What does not fit the form is an assertion. */
void tree_write_entry (buffer_t *listing, const tree_entry_t *entry);

/* Read a listing that a peer may have made. names and targets point into data. */
typedef struct {
    const uint8_t *data;
    size_t size, at;
    const char *last_name;
    size_t last_size;
    int is_root;                    /* the root listing has exactly the entry "." */
} tree_reader_t;
void tree_reader_init (tree_reader_t *self, const void *data, size_t size, int is_root);
/* 1 and an entry; 0 at the end; -1 with ERR_PROTOCOL */
int tree_read_entry (tree_reader_t *self, tree_entry_t *entry, err_t *err);

/* The listing of a context: its one folder. */
void tree_write_root (buffer_t *listing, const tree_entry_t *folder);

/* One line of a list object. */
typedef struct { uint32_t size_bytes; digest_t digest; } list_item_t;
void list_write_item (buffer_t *list, const list_item_t *item);
/* The number of items, or -1 with ERR_PROTOCOL when size is no multiple of an item. */
ssize_t list_count (size_t size, err_t *err);
void list_read_item (const void *data, size_t index, list_item_t *item);

/* Gives an object's bytes: out is empty before. */
typedef int (object_read_fn) (void *argument, const digest_t *digest, buffer_t *out, err_t *err);
/* Append the content below a list of this level to out; stops early, with 0, once out has at_most bytes. */
int list_assemble (const void *list, size_t size, int level, size_t at_most, object_read_fn *read, void *argument, buffer_t *out,
                   err_t *err);
/* The same of a listing that is cut: ERR_PROTOCOL when it has more than TREE_LISTING_MAX bytes. */
int list_assemble_listing (const void *list, size_t size, int level, object_read_fn *read, void *argument, buffer_t *out, err_t *err);

/* What the object is that an entry (no link), or an item of a list of this level, names. */
object_kind tree_object_of (const tree_entry_t *entry);
object_kind list_object_of (int level);

#endif
