/* base64.h - bytes within JSON: the index that is to be published, sealed secrets (RFC 4648, section 4). */
#ifndef FARM_BASE64_H
#define FARM_BASE64_H

#include <stddef.h>

#include "common/mem.h"

/* The caller frees. */
char *base64_encode (const void *data, size_t size);

/* Into an empty buffer. -1: it is none. */
int base64_decode (const char *text, buffer_t *out);

#endif
