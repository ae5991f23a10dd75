/* chain.c - see chain.h. */
#include "common/chain.h"

#include <sodium.h>
#include <string.h>

#include "common/digest.h"
#include "common/mem.h"

const char chain_start [CHAIN_HEX_SIZE + 1] = "0000000000000000000000000000000000000000000000000000000000000000";

void chain_hash (const char *before, const json_t *row, char out [CHAIN_HEX_SIZE + 1])
{
    static const char *const fields [] = { "id", "at_ms", "who", "key", "act", "subject", "outcome", "detail", "times" };
    AUTO_JSON json_t *canonical = json_array ();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        json_t *value = json_object_get (row, fields [i]);
        json_array_append_new (canonical, value ? json_incref (value) : json_null ());
    }
    AUTO_FREE char *text = json_dumps (canonical, JSON_COMPACT);
    AUTO_FREE char *all = mem_printf ("%s%s", before, text ? text : "");
    digest_t digest = digest_of (all, strlen (all));
    digest_to_hex (&digest, out);
}
