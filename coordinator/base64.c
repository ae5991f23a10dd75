/* base64.c - see base64.h. */
#include "coordinator/base64.h"

#include <sodium.h>
#include <string.h>

char *base64_encode (const void *data, size_t size)
{
    size_t room = sodium_base64_encoded_len (size, sodium_base64_VARIANT_ORIGINAL);
    return sodium_bin2base64 (mem_alloc (room), room, data, size, sodium_base64_VARIANT_ORIGINAL);
}

int base64_decode (const char *text, buffer_t *out)
{
    buffer_reserve (out, strlen (text) + 1);
    return sodium_base642bin (out->data, out->capacity, text, strlen (text), NULL, &out->size, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 ? 0 : -1;
}
