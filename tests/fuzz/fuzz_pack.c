/* fuzz_pack.c - objects on their way, many in one body.
 *
 * covers: common/pack.c common/zip.c */
#include <string.h>

#include "common/msg.h"
#include "common/pack.h"
#include "fuzz.h"

/* What is read is written as it was. */
FUZZ_TARGET (pack)
{
    int rc;
    err_t err = { 0 };
    pack_reader_t reader;
    object_kind kind;
    digest_t digest;
    const uint8_t *object;
    size_t raw_size;
    AUTO_BUFFER buffer_t again = { 0 };
    pack_reader_init (&reader, data, size);
    while ((rc = pack_next (&reader, &kind, &digest, &raw_size, &err)) == 1) {
        MUST (raw_size <= OBJECT_MAX && kind <= OBJECT_FOLDER);
        MUST (pack_add_zip (&again, kind, &digest, raw_size, &reader.zip));
        MUST (again.size == reader.at && memcmp (again.data, data, again.size) == 0);
        if (pack_expand (&reader, raw_size, &object, &err) < 0)
            MUST (err.code == ERR_PROTOCOL);
        else if (raw_size)
            (void) *(const volatile uint8_t *) &object [raw_size - 1];      /* it is there: a sanitizer would tell */
    }
    pack_reader_free (&reader);
    MUST (rc == 0 ? again.size == size : err.code == ERR_PROTOCOL);
}
