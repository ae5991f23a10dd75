/* schema_private.h - a schema that has been compiled: what schema_load.c makes and schema.c reads. */
#ifndef FARM_SCHEMA_PRIVATE_H
#define FARM_SCHEMA_PRIVATE_H

#include <regex.h>

#include "common/schema.h"

#define REF_PREFIX "#/$defs/"

struct schema {
    json_t *document;
    json_t *defs;               /* borrowed from document */
    size_t pattern_count;
    struct { const char *text; regex_t regex; } patterns [64];
};

#endif
