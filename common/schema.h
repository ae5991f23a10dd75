/* schema.h - checks JSON against JSON Schema, and the schemas of schema/ that are built into the programs.
 *
 * The subset of JSON Schema 2020-12 that schema/ uses: type, const, enum, required, properties,
 * additionalProperties (false or a schema), items, minItems, maxItems, minimum, maximum, minLength, maxLength (bytes),
 * maxProperties, propertyNames.maxLength, pattern (POSIX extended), $ref to "#/$defs/name" (alone). Limits are
 * integers. A keyword outside it, or a value that it cannot have, is a bug in the schema: schema_load refuses it. */
#ifndef FARM_SCHEMA_H
#define FARM_SCHEMA_H

#include <jansson.h>

#include "common/err.h"

typedef struct schema schema_t;

/* Parse a schema document. ERR_FARM when it uses what is not understood. Ownership to the caller. */
schema_t *schema_load (const char *text, err_t *err);
void schema_destroy (schema_t **self);

/* Check value against $defs/<name>. ERR_PROTOCOL with the place and the rule: "hello.worker.slots: above 1024". */
int schema_check (const schema_t *self, const char *name, const json_t *value, err_t *err);

/* True where the document has $defs/<name>. */
int schema_has (const schema_t *self, const char *name);

/* schema/messages.json, loaded at first use (thread-safe); never NULL: a broken one aborts. */
const schema_t *schema_messages (void);

#endif
