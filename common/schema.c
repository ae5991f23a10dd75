/* schema.c - a validator for the part of JSON Schema that schema/ uses: a value against the rules that schema_load.c compiled. */
#include "common/schema.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/embedded.h"
#include "common/schema_private.h"

/* -- checking --------------------------------------------------------------------------------------------------- */

/* Where in the value we are: a chain on the stack, written out only when something does not fit. */
typedef struct place {
    const struct place *above;
    const char *name;
    size_t index;
} place_t;

static void write_place (const place_t *place, char *out, size_t size)
{
    if (!place)
        return;
    write_place (place->above, out, size);
    size_t used = strlen (out);
    if (place->name)
        snprintf (out + used, size - used, "%s%.64s", used ? "." : "", place->name);
    else
        snprintf (out + used, size - used, "[%zu]", place->index);
}

static int misfit (const place_t *place, err_t *err, const char *rule)
{
    char where [512] = "";
    write_place (place, where, sizeof where);
    return err_set (err, ERR_PROTOCOL, "%s: %s", where, rule);
}

static int check (const schema_t *self, const json_t *rules, const json_t *value, const place_t *place, err_t *err);

static int has_type (const char *type, const json_t *value)
{
    switch (json_typeof (value)) {
        case JSON_OBJECT:  return strcmp (type, "object") == 0;
        case JSON_ARRAY:   return strcmp (type, "array") == 0;
        case JSON_STRING:  return strcmp (type, "string") == 0;
        case JSON_INTEGER: return strcmp (type, "integer") == 0 || strcmp (type, "number") == 0;
        case JSON_REAL:    return strcmp (type, "number") == 0;
        case JSON_NULL:    return strcmp (type, "null") == 0;
        default:           return strcmp (type, "boolean") == 0;
    }
}

static int check_type (const json_t *type, const json_t *value, const place_t *place, err_t *err)
{
    char rule [96] = "";
    if (json_is_string (type) && has_type (json_string_value (type), value))
        return 0;
    for (size_t i = 0; i < json_array_size (type); i++)
        if (has_type (json_string_value (json_array_get (type, i)), value))
            return 0;
    snprintf (rule, sizeof rule, "has to be %s", json_is_string (type) ? json_string_value (type) : "of another type");
    return misfit (place, err, rule);
}

static int check_choice (const json_t *rules, const json_t *value, const place_t *place, err_t *err)
{
    const json_t *only = json_object_get (rules, "const"), *choice = json_object_get (rules, "enum");
    if (only && !json_equal (only, value))
        return misfit (place, err, "is not the one value allowed");
    int found = !choice;
    for (size_t i = 0; !found && i < json_array_size (choice); i++)
        found = json_equal (json_array_get (choice, i), value);
    return found ? 0 : misfit (place, err, "is none of the values allowed");
}

/* Compares with a limit of the rules; absent limits hold. */
static int is_below (const json_t *rules, const char *name, long long value)
{
    const json_t *limit = json_object_get (rules, name);
    return limit && value < json_integer_value (limit);
}

static int is_above (const json_t *rules, const char *name, long long value)
{
    const json_t *limit = json_object_get (rules, name);
    return limit && value > json_integer_value (limit);
}

static int check_integer (const json_t *rules, const json_t *value, const place_t *place, err_t *err)
{
    if (is_below (rules, "minimum", json_integer_value (value)))
        return misfit (place, err, "is below the minimum");
    if (is_above (rules, "maximum", json_integer_value (value)))
        return misfit (place, err, "is above the maximum");
    return 0;
}

static int check_real (const json_t *rules, const json_t *value, const place_t *place, err_t *err)
{
    const json_t *minimum = json_object_get (rules, "minimum"), *maximum = json_object_get (rules, "maximum");
    if (minimum && json_real_value (value) < (double) json_integer_value (minimum))
        return misfit (place, err, "is below the minimum");
    if (maximum && json_real_value (value) > (double) json_integer_value (maximum))
        return misfit (place, err, "is above the maximum");
    return 0;
}

static const regex_t *find_pattern (const schema_t *self, const char *text)
{
    for (size_t i = 0; i < self->pattern_count; i++)
        if (strcmp (self->patterns [i].text, text) == 0)
            return &self->patterns [i].regex;
    return NULL;
}

static int check_string (const schema_t *self, const json_t *rules, const json_t *value, const place_t *place, err_t *err)
{
    const char *text = json_string_value (value), *pattern = json_string_value (json_object_get (rules, "pattern"));
    size_t size = json_string_length (value);
    if (strlen (text) != size)
        return misfit (place, err, "holds a NUL character");
    if (is_below (rules, "minLength", (long long) size))
        return misfit (place, err, "is too short");
    if (is_above (rules, "maxLength", (long long) size))
        return misfit (place, err, "is too long");
    if (pattern && (memchr (text, '\n', size) || regexec (find_pattern (self, pattern), text, 0, NULL, 0) != 0))
        return misfit (place, err, "does not have the form asked for");
    return 0;
}

static int check_array (const schema_t *self, const json_t *rules, const json_t *value, const place_t *place, err_t *err)
{
    const json_t *items = json_object_get (rules, "items");
    long long size = (long long) json_array_size (value);
    if (is_below (rules, "minItems", size))
        return misfit (place, err, "has too few items");
    if (is_above (rules, "maxItems", size))
        return misfit (place, err, "has too many items");
    for (size_t i = 0; items && i < json_array_size (value); i++) {
        place_t below = { .above = place, .index = i };
        if (check (self, items, json_array_get (value, i), &below, err) < 0)
            return -1;
    }
    return 0;
}

static int check_member (const schema_t *self, const json_t *rules, const char *name, const json_t *value,
                         const place_t *place, err_t *err)
{
    const json_t *known = json_object_get (json_object_get (rules, "properties"), name);
    const json_t *others = json_object_get (rules, "additionalProperties");
    const json_t *names = json_object_get (rules, "propertyNames");
    place_t below = { .above = place, .name = name };
    if (names && is_above (names, "maxLength", (long long) strlen (name)))
        return misfit (&below, err, "has too long a name");
    if (known)
        return check (self, known, value, &below, err);
    if (json_is_false (others))
        return misfit (&below, err, "is not known here");
    return json_is_object (others) ? check (self, others, value, &below, err) : 0;
}

static int check_object (const schema_t *self, const json_t *rules, const json_t *value, const place_t *place, err_t *err)
{
    const json_t *required = json_object_get (rules, "required");
    if (is_above (rules, "maxProperties", (long long) json_object_size (value)))
        return misfit (place, err, "has too many members");
    for (size_t i = 0; i < json_array_size (required); i++) {
        place_t below = { .above = place, .name = json_string_value (json_array_get (required, i)) };
        if (!json_object_get (value, below.name))
            return misfit (&below, err, "is missing");
    }
    const char *name;
    json_t *member;
    json_object_foreach ((json_t *) value, name, member)
        if (check_member (self, rules, name, member, place, err) < 0)
            return -1;
    return 0;
}

static int check (const schema_t *self, const json_t *rules, const json_t *value, const place_t *place, err_t *err)
{
    const char *ref = json_string_value (json_object_get (rules, "$ref"));
    if (ref)
        return check (self, json_object_get (self->defs, ref + strlen (REF_PREFIX)), value, place, err);
    const json_t *type = json_object_get (rules, "type");
    if (type && check_type (type, value, place, err) < 0)
        return -1;
    if (check_choice (rules, value, place, err) < 0)
        return -1;
    switch (json_typeof (value)) {
        case JSON_INTEGER: return check_integer (rules, value, place, err);
        case JSON_REAL:    return check_real (rules, value, place, err);
        case JSON_STRING:  return check_string (self, rules, value, place, err);
        case JSON_ARRAY:   return check_array (self, rules, value, place, err);
        case JSON_OBJECT:  return check_object (self, rules, value, place, err);
        default:           return 0;
    }
}

int schema_has (const schema_t *self, const char *name)
{
    return json_object_get (self->defs, name) != NULL;
}

int schema_check (const schema_t *self, const char *name, const json_t *value, err_t *err)
{
    const json_t *rules = json_object_get (self->defs, name);
    if (!rules)
        return err_set (err, ERR_PROTOCOL, "there is no schema \"%s\"", name);
    place_t place = { .name = name };
    return check (self, rules, value, &place, err);
}

/* -- the one of the messages ------------------------------------------------------------------------------------ */

static schema_t *messages;
static pthread_once_t messages_once = PTHREAD_ONCE_INIT;

static void load_messages (void)
{
    err_t err;
    messages = schema_load (embedded_messages, &err);
    if (!messages) {
        fprintf (stderr, "schema/messages.json: %s\n", err.text);
        abort ();
    }
}

const schema_t *schema_messages (void)
{
    pthread_once (&messages_once, load_messages);
    return messages;
}
