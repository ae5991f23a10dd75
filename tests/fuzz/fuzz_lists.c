/* fuzz_lists.c - lists of chunks: a digit for the level, then the list. What an item names is a part of the list itself, of which the
 * first four bytes of the digest tell where it begins and how long it is.
 *
 * covers: common/tree.c */
#include <string.h>

#include "common/tree.h"
#include "fuzz.h"

enum { READS_MAX = 20000, AT_MOST = 100000 };

typedef struct {
    const uint8_t *data;
    size_t size, reads;
} store_t;

static int read_object (void *argument, const digest_t *digest, buffer_t *out, err_t *err)
{
    store_t *self = argument;
    const uint8_t *bytes = digest->bytes;
    MUST (out->size == 0);
    if (++self->reads > READS_MAX || bytes [0] == 0xff)
        return err_set (err, ERR_NOT_FOUND, "an object is not there");
    size_t from = (size_t) (bytes [0] << 8 | bytes [1]) % (self->size + 1), size = (size_t) (bytes [2] << 8 | bytes [3]);
    buffer_append (out, self->data + from, size < self->size - from ? size : self->size - from);
    return 0;
}

static void check_items (const uint8_t *data, size_t size, size_t count)
{
    AUTO_BUFFER buffer_t again = { 0 };
    for (size_t i = 0; i < count; i++) {
        list_item_t item;
        list_read_item (data, i, &item);
        list_write_item (&again, &item);
    }
    MUST (again.size == size && memcmp (again.data, data, size) == 0);
}

FUZZ_TARGET (lists)
{
    if (size == 0)
        return;
    err_t err = { 0 };
    AUTO_BUFFER buffer_t out = { 0 };
    int level = data [0] % (TREE_LEVEL_MAX + 1);
    store_t store = { data + 1, size - 1, 0 };
    ssize_t count = list_count (store.size, &err);
    if (count > 0)
        check_items (store.data, store.size, (size_t) count);
    else
        MUST (err.code == ERR_PROTOCOL);
    int rc = list_assemble (store.data, store.size, level, AT_MOST, read_object, &store, &out, &err);
    MUST (out.size < AT_MOST + OBJECT_MAX && (count > 0 || rc < 0));
}
