/* test_cells.c - what a list's cells take in a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/cells.h"

/* Also where a page would end at another place for one byte more or less. */
static void a_size_is_that_of_the_text (void **state)
{
    static const char *const texts [] = {
        "{}", "[]", "[[]]", "[1]", "[0,-1,9223372036854775807,-9223372036854775808]", "[true,false,null]", "[1.5,-2e300,0.1]", "[\"\"]",
        "[\"plain\",\"\\\"quoted\\\"\",\"back\\\\slash\",\"a/b\"]", "[\"\\b\\f\\n\\r\\t\",\"\\u0001\\u001f\\u007f\"]", "[\"gr\\u00fc\\u00dfe \\ud83d\\ude00\"]",
        "{\"a\":{},\"b\":[],\"c\":{\"d\":[{\"e\":null}]}}", "{\"a key with \\\"\\n\":1,\"b\":\"c\"}",
    };
    (void) state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        AUTO_JSON json_t *value = json_loads (texts [i], 0, NULL);
        AUTO_FREE char *text = json_dumps (value, JSON_COMPACT);
        assert_non_null (text);
        assert_int_equal (cell_size (value), strlen (text));
    }
    assert_int_equal (cell_size (NULL), 0);
}

int main (void)
{
    const struct CMUnitTest tests [] = { cmocka_unit_test (a_size_is_that_of_the_text) };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
