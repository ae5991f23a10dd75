/* fuzz_objects.c - objects put into a depot, each: kind, size (2 bytes), bytes. In their bytes a number from 1 with 31 zeros behind it
 * becomes the digest of the object with that number, so that one can name another.
 *
 * covers: common/depot_closure.c common/depot_put.c common/depot_get.c common/tree.c */
#include <string.h>

#include "common/depot.h"
#include "fuzz.h"

enum { OBJECTS_MAX = 64 };

typedef struct {
    digest_t digests [OBJECTS_MAX];
    size_t count;
} known_t;

static depot_t *depot;

static void open_depot (void)
{
    err_t err;
    if (depot)
        return;
    AUTO_FREE char *folder = mem_printf ("%s/objects", fuzz_folder ());
    MUST (depot_open (&depot, folder, &err) == 0 && depot_relax (depot, &err) == 0);
}

static void name_objects (uint8_t *bytes, size_t size, const known_t *known)
{
    static const uint8_t zeros [DIGEST_SIZE - 1];
    for (size_t i = 0; i + DIGEST_SIZE <= size; i++)
        if (bytes [i] > 0 && bytes [i] <= known->count && memcmp (bytes + i + 1, zeros, sizeof zeros) == 0) {
            memcpy (bytes + i, known->digests [bytes [i] - 1].bytes, DIGEST_SIZE);
            i += DIGEST_SIZE - 1;
        }
}

static void check_object (const digest_t *digest, const uint8_t *bytes, size_t size)
{
    err_t err = { 0 };
    object_kind kind;
    AUTO_BUFFER buffer_t found = { 0 };
    MUST (depot_get (depot, digest, &found, &kind, &err) == 0);
    MUST (found.size == size && (size == 0 || memcmp (found.data, bytes, size) == 0));
}

/* False for one that is refused. */
static bool put_object (object_kind kind, uint8_t *bytes, size_t size, known_t *known)
{
    err_t err = { 0 };
    name_objects (bytes, size, known);
    digest_t digest = digest_of (bytes, size);
    if (depot_put (depot, kind, &digest, bytes, size, &err) < 0) {
        MUST (err.code == ERR_PROTOCOL);
        return false;
    }
    check_object (&digest, bytes, size);
    known->digests [known->count++] = digest;
    return true;
}

FUZZ_TARGET (objects)
{
    err_t err;
    known_t known = { .count = 0 };
    open_depot ();
    MUST (depot_begin (depot, &err) == 0);
    while (size >= 3 && known.count < OBJECTS_MAX) {
        size_t length = (size_t) (data [1] << 8 | data [2]);
        length = length < size - 3 ? length : size - 3;
        AUTO_BUFFER buffer_t bytes = { 0 };
        buffer_append (&bytes, data + 3, length);
        if (!put_object ((object_kind) (data [0] % 3), bytes.data, length, &known))
            break;
        data += 3 + length;
        size -= 3 + length;
    }
    depot_rollback (depot);
    for (size_t i = 0; i < known.count; i++)
        MUST (!depot_has (depot, &known.digests [i]));
}
