/* schema_load.c - compiles a schema: patterns to regex_t, and every keyword looked at, so that a misspelt one, or one whose
 * value would be without effect, is found at load. */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/schema_private.h"

/* What a keyword's value has to be. */
typedef enum { ANYTHING, TEXT, LIMIT, TYPES, CHOICES, NAMES, SCHEMA, SCHEMAS, SCHEMA_OR_BOOL } keyword_type;

static const struct { const char *name; keyword_type type; } keywords [] = {
    { "$schema", TEXT }, { "title", TEXT }, { "description", TEXT }, { "$defs", SCHEMAS }, { "$ref", TEXT },
    { "type", TYPES }, { "const", ANYTHING }, { "enum", CHOICES }, { "minimum", LIMIT }, { "maximum", LIMIT },
    { "minLength", LIMIT }, { "maxLength", LIMIT }, { "pattern", TEXT }, { "items", SCHEMA }, { "minItems", LIMIT },
    { "maxItems", LIMIT }, { "required", NAMES }, { "properties", SCHEMAS }, { "additionalProperties", SCHEMA_OR_BOOL },
    { "propertyNames", SCHEMA }, { "maxProperties", LIMIT },
};

/* -- keywords --------------------------------------------------------------------------------------------------- */

static int is_type (const json_t *value)
{
    static const char *const types [] = { "object", "array", "string", "integer", "number", "boolean", "null" };
    for (size_t i = 0; json_is_string (value) && i < sizeof types / sizeof *types; i++)
        if (strcmp (json_string_value (value), types [i]) == 0)
            return 1;
    return 0;
}

/* An array of at least one, each of them good. */
static int is_array_of (const json_t *value, int (*is_good) (const json_t *item))
{
    size_t good = 0;
    while (good < json_array_size (value) && is_good (json_array_get (value, good)))
        good++;
    return good > 0 && good == json_array_size (value);
}

static int is_text (const json_t *value)
{
    return json_is_string (value);
}

static int is_right (keyword_type type, const json_t *value)
{
    switch (type) {
        case TEXT:           return json_is_string (value);
        case LIMIT:          return json_is_integer (value);
        case TYPES:          return is_type (value) || is_array_of (value, is_type);
        case CHOICES:        return json_array_size (value) > 0;
        case NAMES:          return is_array_of (value, is_text);
        case SCHEMA:
        case SCHEMAS:        return json_is_object (value);
        case SCHEMA_OR_BOOL: return json_is_object (value) || json_is_boolean (value);
        default:             return 1;
    }
}

static int check_keyword (const char *name, const json_t *value, err_t *err)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp (name, keywords [i].name) == 0)
            return is_right (keywords [i].type, value) ? 0
                 : err_set (err, ERR_FARM, "keyword %s has a value that it cannot have", name);
    return err_set (err, ERR_FARM, "keyword %s is not understood here", name);
}

/* -- the document ----------------------------------------------------------------------------------------------- */

static int compile (schema_t *self, const json_t *node, err_t *err);

static int compile_pattern (schema_t *self, const char *text, err_t *err)
{
    const size_t max = sizeof self->patterns / sizeof *self->patterns;
    for (size_t i = 0; i < self->pattern_count; i++)
        if (strcmp (self->patterns [i].text, text) == 0)
            return 0;
    if (self->pattern_count == max)
        return err_set (err, ERR_FARM, "more than %zu patterns", max);
    if (regcomp (&self->patterns [self->pattern_count].regex, text, REG_EXTENDED | REG_NOSUB) != 0)
        return err_set (err, ERR_FARM, "pattern %s is no regular expression", text);
    self->patterns [self->pattern_count++].text = text;
    return 0;
}

static int compile_each (schema_t *self, json_t *named, err_t *err)
{
    const char *name;
    json_t *child;
    json_object_foreach (named, name, child)
        if (compile (self, child, err) < 0)
            return err_wrap (err, "%s", name);
    return 0;
}

/* A $ref is followed to its end: one that comes back to itself would never be. */
static int check_ref (const schema_t *self, const json_t *node, err_t *err)
{
    const char *text;
    for (size_t steps = 0; (text = json_string_value (json_object_get (node, "$ref"))); steps++) {
        if (json_object_size (node) != 1)
            return err_set (err, ERR_FARM, "$ref %s stands with other keywords, which would not be looked at", text);
        node = strncmp (text, REF_PREFIX, strlen (REF_PREFIX)) == 0
             ? json_object_get (self->defs, text + strlen (REF_PREFIX)) : NULL;
        if (!node || steps > json_object_size (self->defs))
            return err_set (err, ERR_FARM, "$ref %s leads nowhere", text);
    }
    return 0;
}

static int compile_keyword (schema_t *self, const char *name, json_t *value, err_t *err)
{
    if (check_keyword (name, value, err) < 0)
        return -1;
    if (strcmp (name, "properties") == 0 || strcmp (name, "$defs") == 0)
        return compile_each (self, value, err);
    if (strcmp (name, "propertyNames") == 0 && (json_object_size (value) != 1 || !json_object_get (value, "maxLength")))
        return err_set (err, ERR_FARM, "keyword propertyNames is understood with maxLength alone");
    if (strcmp (name, "items") == 0 || strcmp (name, "propertyNames") == 0)
        return compile (self, value, err);
    if (strcmp (name, "additionalProperties") == 0 && !json_is_boolean (value))
        return compile (self, value, err);
    if (strcmp (name, "pattern") == 0)
        return compile_pattern (self, json_string_value (value), err);
    return 0;
}

static int compile (schema_t *self, const json_t *node, err_t *err)
{
    if (!json_is_object (node))
        return err_set (err, ERR_FARM, "a schema is an object");
    if (check_ref (self, node, err) < 0)
        return -1;
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *) node, name, value)
        if (compile_keyword (self, name, value, err) < 0)
            return -1;
    return 0;
}

schema_t *schema_load (const char *text, err_t *err)
{
    json_error_t why;
    AUTO (schema) schema_t *self = mem_alloc (sizeof *self);
    self->document = json_loads (text, JSON_REJECT_DUPLICATES, &why);
    if (!self->document) {
        err_set (err, ERR_FARM, "a schema is no JSON: line %d: %s", why.line, why.text);
        return NULL;
    }
    self->defs = json_object_get (self->document, "$defs");
    if (compile (self, self->document, err) < 0)
        return NULL;
    return take (&self);
}

void schema_destroy (schema_t **self_p)
{
    schema_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->pattern_count; i++)
        regfree (&self->patterns [i].regex);
    json_decref (self->document);
    free (self);
    *self_p = NULL;
}
