/* test_schema.c - the validator: each keyword lets in what it should, at its limits, and names the place of what it does
 * not; a schema that it would not fully understand does not load; and the schemas that are built in do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/schema.h"

static const char document [] =
    "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\", \"title\": \"t\", \"$defs\": {"
    "\"any\": {},"
    "\"object\": {\"type\": \"object\"}, \"array\": {\"type\": \"array\"}, \"string\": {\"type\": \"string\"},"
    "\"integer\": {\"type\": \"integer\"}, \"number\": {\"type\": \"number\"}, \"boolean\": {\"type\": \"boolean\"},"
    "\"null\": {\"type\": \"null\"}, \"maybe\": {\"type\": [\"string\", \"null\"]},"
    "\"const\": {\"const\": 7}, \"enum\": {\"enum\": [\"a\", 1, null]},"
    "\"range\": {\"type\": \"integer\", \"minimum\": -2, \"maximum\": 3},"
    "\"real\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 1},"
    "\"text\": {\"type\": \"string\", \"minLength\": 2, \"maxLength\": 4},"
    "\"hex\": {\"type\": \"string\", \"pattern\": \"^[0-9a-f]+$\"},"
    "\"part\": {\"type\": \"string\", \"pattern\": \"b\"},"
    "\"few\": {\"type\": \"array\", \"minItems\": 1, \"maxItems\": 2, \"items\": {\"$ref\": \"#/$defs/range\"}},"
    "\"map\": {\"type\": \"object\", \"maxProperties\": 2, \"propertyNames\": {\"maxLength\": 3},"
    "  \"additionalProperties\": {\"type\": \"string\"}},"
    "\"strict\": {\"type\": \"object\", \"required\": [\"id\"], \"additionalProperties\": false,"
    "  \"properties\": {\"id\": {\"$ref\": \"#/$defs/alias\"}, \"list\": {\"$ref\": \"#/$defs/few\"}, \"in\": {\"$ref\": \"#/$defs/strict\"}}},"
    "\"loose\": {\"type\": \"object\", \"properties\": {\"id\": {\"type\": \"integer\"}}},"
    "\"alias\": {\"$ref\": \"#/$defs/range\"}"
    "}}";

typedef struct { const char *name, *value, *says; } row_t;      /* says NULL: it fits */

static const row_t rows [] = {
    { "any", "{\"a\": [null, 1.5]}", NULL },
    /* types */
    { "object", "{}", NULL }, { "object", "[]", "object: has to be object" }, { "object", "null", "object" },
    { "array", "[]", NULL }, { "array", "{}", "has to be array" },
    { "string", "\"\"", NULL }, { "string", "1", "has to be string" }, { "string", "null", "string" },
    { "integer", "-1", NULL }, { "integer", "1.0", "has to be integer" }, { "integer", "\"1\"", "integer" }, { "integer", "true", "integer" },
    { "number", "1", NULL }, { "number", "1.5", NULL }, { "number", "\"1\"", "number" },
    { "boolean", "true", NULL }, { "boolean", "false", NULL }, { "boolean", "0", "boolean" }, { "boolean", "null", "boolean" },
    { "null", "null", NULL }, { "null", "false", "null" }, { "null", "0", "null" },
    { "maybe", "null", NULL }, { "maybe", "\"x\"", NULL }, { "maybe", "0", "another type" },
    /* const, enum */
    { "const", "7", NULL }, { "const", "8", "the one value" }, { "const", "\"7\"", "the one value" }, { "const", "7.0", "the one value" },
    { "enum", "\"a\"", NULL }, { "enum", "1", NULL }, { "enum", "null", NULL }, { "enum", "\"A\"", "none of the values" },
    { "enum", "[\"a\"]", "none of the values" },
    /* numbers */
    { "range", "-2", NULL }, { "range", "3", NULL }, { "range", "-3", "below" }, { "range", "4", "above" },
    { "range", "9223372036854775807", "above" }, { "range", "-9223372036854775808", "below" },
    { "real", "0", NULL }, { "real", "1.0", NULL }, { "real", "0.5", NULL }, { "real", "2", "above" }, { "real", "1.5", "above" },
    { "real", "-0.5", "below" }, { "real", "1e300", "above" },
    /* strings: bytes, not characters */
    { "text", "\"ab\"", NULL }, { "text", "\"abcd\"", NULL }, { "text", "\"a\"", "too short" }, { "text", "\"abcde\"", "too long" },
    { "text", "\"\xc3\xa9\"", NULL }, { "text", "\"\xc3\xa9\xc3\xa9\"", NULL }, { "text", "\"\xc3\xa9\xc3\xa9x\"", "too long" },
    { "text", "\"a\\u0000\"", "NUL" },
    { "hex", "\"0af\"", NULL }, { "hex", "\"\"", "form" }, { "hex", "\"0AF\"", "form" }, { "hex", "\"0g\"", "form" },
    { "hex", "\"0\\n\"", "form" }, { "hex", "\"0\\nx\"", "form" }, { "hex", "\"\\n0\"", "form" }, { "hex", "\"a\\u0000g\"", "NUL" },
    { "part", "\"abc\"", NULL }, { "part", "\"ac\"", "form" },
    /* arrays */
    { "few", "[0]", NULL }, { "few", "[0, 3]", NULL }, { "few", "[]", "few: has too few" }, { "few", "[0, 0, 0]", "too many" },
    { "few", "[0, 4]", "few[1]: is above" }, { "few", "[\"0\"]", "few[0]: has to be integer" },
    /* objects */
    { "map", "{}", NULL }, { "map", "{\"abc\": \"x\", \"b\": \"\"}", NULL }, { "map", "{\"a\":\"\",\"b\":\"\",\"c\":\"\"}", "too many members" },
    { "map", "{\"abcd\": \"x\"}", "map.abcd: has too long a name" }, { "map", "{\"\": \"x\"}", NULL }, { "map", "{\"a\": 1}", "map.a: has to be string" },
    { "strict", "{\"id\": 1}", NULL }, { "strict", "{}", "strict.id: is missing" }, { "strict", "{\"id\": null}", "strict.id: has to be integer" },
    { "strict", "{\"id\": 9}", "strict.id: is above" }, { "strict", "{\"id\": 1, \"ID\": 1}", "strict.ID: is not known" },
    { "strict", "{\"id\": 1, \"in\": {\"id\": 1, \"in\": {\"id\": 1, \"list\": [1, 9]}}}", "strict.in.in.list[1]: is above" },
    { "strict", "{\"id\": 1, \"in\": {}}", "strict.in.id: is missing" },
    { "loose", "{\"other\": [1]}", NULL }, { "loose", "{\"id\": \"\"}", "loose.id" },
    { "alias", "3", NULL }, { "alias", "4", "above" },
};

static void each_value_fits_or_the_place_is_named (void **state)
{
    (void) state;
    err_t err = { 0 };
    AUTO (schema) schema_t *schema = schema_load (document, &err);
    if (!schema)
        fail_msg ("%s", err.text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_JSON json_t *value = json_loads (rows [i].value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null (value);
        err = (err_t) { 0 };
        int rc = schema_check (schema, rows [i].name, value, &err);
        if ((rc == 0) != !rows [i].says || (rc < 0 && (err.code != ERR_PROTOCOL || !strstr (err.text, rows [i].says))))
            fail_msg ("%s on %s: %s", rows [i].name, rows [i].value, rc == 0 ? "let through" : err.text);
    }
}

static void what_is_not_among_the_definitions_is_refused (void **state)
{
    (void) state;
    AUTO (schema) schema_t *schema = schema_load (document, NULL);
    AUTO_JSON json_t *value = json_object ();
    static const char *const names [] = { "", "anything", "ANY", "$defs", "any " };
    assert_true (schema_has (schema, "any"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        err_t err = { 0 };
        assert_false (schema_has (schema, names [i]));
        assert_int_equal (schema_check (schema, names [i], value, &err), -1);
        assert_int_equal (err.code, ERR_PROTOCOL);
    }
}

/* A place is written into a text of fixed size, whatever the members are called and however deep they are. */
static void a_hostile_member_s_name_does_not_spoil_the_reason (void **state)
{
    (void) state;
    AUTO (schema) schema_t *schema = schema_load (document, NULL);
    char name [4096];
    memset (name, 'n', sizeof name);
    name [sizeof name - 1] = 0;
    AUTO_JSON json_t *value = json_pack ("{s:i, s:i}", "id", 1, name, 1);
    err_t err = { 0 };
    assert_int_equal (schema_check (schema, "strict", value, &err), -1);
    assert_true (strlen (err.text) < 200);
    assert_non_null (strstr (err.text, "is not known"));
    AUTO_JSON json_t *deep = json_pack ("{s:i}", "id", 9);
    for (int i = 0; i < 100; i++) {
        json_t *outer = json_pack ("{s:i, s:o}", "id", 1, "in", deep);
        deep = outer;
    }
    assert_int_equal (schema_check (schema, "strict", deep, &err), -1);
    assert_memory_equal (err.text, "strict.in.in", 12);
}

static void a_schema_that_is_not_understood_does_not_load (void **state)
{
    (void) state;
    static const struct { const char *text, *says; } bad [] = {
        { "", "no JSON" }, { "{", "no JSON" }, { "{\"a\": 1, \"a\": 2}", "no JSON" }, { "[]", "object" }, { "\"x\"", "no JSON" },
        { "{\"tpye\": \"object\"}", "tpye" }, { "{\"$defs\": {\"a\": {\"maxlength\": 1}}}", "a: keyword maxlength" },
        { "{\"$defs\": {\"a\": {\"oneOf\": []}}}", "oneOf" }, { "{\"$defs\": {\"a\": true}}", "object" },
        { "{\"$defs\": {\"a\": {\"properties\": {\"b\": {\"format\": \"uri\"}}}}}", "a: b: keyword format" },
        { "{\"$defs\": {\"a\": {\"items\": {\"uniqueItems\": true}}}}", "uniqueItems" },
        { "{\"$defs\": {\"a\": {\"additionalProperties\": {\"x\": 1}}}}", "keyword x" },
        { "{\"propertyNames\": {\"x\": 1}}", "propertyNames" }, { "{\"propertyNames\": {\"maxLength\": 1, \"pattern\": \"a\"}}", "propertyNames" },
        /* values that the keyword cannot have, and that would be without effect */
        { "{\"type\": \"strng\"}", "type" }, { "{\"type\": []}", "type" }, { "{\"type\": [\"string\", 1]}", "type" }, { "{\"type\": 1}", "type" },
        { "{\"enum\": []}", "enum" }, { "{\"enum\": \"a\"}", "enum" }, { "{\"required\": \"id\"}", "required" }, { "{\"required\": [1]}", "required" },
        { "{\"maxLength\": \"5\"}", "maxLength" }, { "{\"minimum\": 0.5}", "minimum" }, { "{\"maxItems\": null}", "maxItems" },
        { "{\"pattern\": 1}", "pattern" }, { "{\"pattern\": \"[\"}", "regular expression" }, { "{\"pattern\": \"a{2,1}\"}", "regular expression" },
        { "{\"items\": []}", "items" }, { "{\"properties\": []}", "properties" }, { "{\"additionalProperties\": \"no\"}", "additionalProperties" },
        { "{\"$defs\": []}", "$defs" },
        /* references */
        { "{\"$ref\": 1}", "$ref" }, { "{\"$ref\": \"#/$defs/a\"}", "nowhere" }, { "{\"$ref\": \"a\", \"$defs\": {\"a\": {}}}", "other keywords" },
        { "{\"$defs\": {\"a\": {}, \"b\": {\"$ref\": \"a\"}}}", "nowhere" }, { "{\"$defs\": {\"b\": {\"$ref\": \"other.json#/$defs/a\"}}}", "nowhere" },
        { "{\"$defs\": {\"a\": {\"$ref\": \"#/$defs/a\"}}}", "nowhere" },
        { "{\"$defs\": {\"a\": {\"$ref\": \"#/$defs/b\"}, \"b\": {\"$ref\": \"#/$defs/a\"}}}", "nowhere" },
        { "{\"$defs\": {\"a\": {}, \"b\": {\"$ref\": \"#/$defs/a\", \"maxLength\": 5}}}", "other keywords" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err_t err = { 0 };
        AUTO (schema) schema_t *schema = schema_load (bad [i].text, &err);
        if (schema || err.code != ERR_FARM || !strstr (err.text, bad [i].says))
            fail_msg ("%s: %s", bad [i].text, schema ? "loaded" : err.text);
    }
}

static void there_is_room_for_64_patterns (void **state)
{
    (void) state;
    for (int count = 64; count <= 65; count++) {
        AUTO_BUFFER buffer_t text = { 0 };
        buffer_text (&text, "{\"$defs\": {\"twice\": {\"pattern\": \"p0\"}");
        for (int i = 0; i < count; i++)
            buffer_printf (&text, ", \"d%d\": {\"pattern\": \"p%d\"}", i, i);
        buffer_text (&text, "}}");
        err_t err = { 0 };
        AUTO (schema) schema_t *schema = schema_load ((const char *) text.data, &err);
        assert_int_equal (schema != NULL, count == 64);
    }
}

/* -- the schemas of schema/ -------------------------------------------------------------------------------------- */

static void the_schemas_of_the_tree_load (void **state)
{
    (void) state;
    static const char *const files [] = { SOURCE_DIR "/schema/messages.json", SOURCE_DIR "/schema/output.json" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        AUTO_BUFFER buffer_t text = { 0 };
        err_t err = { 0 };
        assert_int_equal (file_read (files [i], 1 << 20, &text, &err), 0);
        AUTO (schema) schema_t *schema = schema_load ((const char *) text.data, &err);
        if (!schema)
            fail_msg ("%s: %s", files [i], err.text);
    }
}

/* A peer's text goes into rows and messages of ours: none may be longer than its schema says, and each must say so. */
static void no_text_of_a_message_is_without_a_limit (void **state)
{
    (void) state;
    AUTO_BUFFER buffer_t text = { 0 };
    assert_int_equal (file_read (SOURCE_DIR "/schema/messages.json", 1 << 20, &text, NULL), 0);
    AUTO_JSON json_t *document = json_loads ((const char *) text.data, JSON_REJECT_DUPLICATES, NULL);
    json_t *todo [4096] = { json_object_get (document, "$defs") };
    size_t count = 1;
    while (count > 0) {
        json_t *node = todo [--count], *child;
        const char *name, *type = json_string_value (json_object_get (node, "type"));
        if (type && strcmp (type, "string") == 0 && !json_object_get (node, "maxLength"))
            fail_msg ("a string without maxLength: %s", json_dumps (node, 0));
        if (type && strcmp (type, "array") == 0 && !json_object_get (node, "maxItems"))
            fail_msg ("an array without maxItems: %s", json_dumps (node, 0));
        json_object_foreach (node, name, child)
            if (json_is_object (child)) {
                assert_true (count < 4096);
                todo [count++] = child;
            }
    }
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (each_value_fits_or_the_place_is_named),
        cmocka_unit_test (what_is_not_among_the_definitions_is_refused),
        cmocka_unit_test (a_hostile_member_s_name_does_not_spoil_the_reason),
        cmocka_unit_test (a_schema_that_is_not_understood_does_not_load),
        cmocka_unit_test (there_is_room_for_64_patterns),
        cmocka_unit_test (the_schemas_of_the_tree_load),
        cmocka_unit_test (no_text_of_a_message_is_without_a_limit),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
