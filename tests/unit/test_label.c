/* test_label.c - labels of workers, and requirements of builds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/label.h"
#include "common/mem.h"

#define LONG_63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"

static void labels_are_names_and_values (void **state)
{
    (void) state;
    char name [LABEL_PART_MAX + 1], value [LABEL_PART_MAX + 1];
    err_t err = { 0 };
    static const struct { const char *text, *name, *value; } good [] = {
        { "ssd=yes", "ssd", "yes" }, { "ssd", "ssd", "" }, { "ssd=", "ssd", "" }, { "lan/room=1.5_a-b", "lan/room", "1.5_a-b" },
        { LONG_63 "=" LONG_63, LONG_63, LONG_63 },
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal (label_parse (good [i].text, name, value, &err), 0);
        assert_string_equal (name, good [i].name);
        assert_string_equal (value, good [i].value);
    }
    static const char *const bad [] = { "", "=", "=yes", "a b=c", "a=b c", "a=b=c", "!a", "a!=b", "\xc3\xa4=1", LONG_63 "x=1", "a=" LONG_63 "x" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal (label_parse (bad [i], name, value, &err), -1);
        assert_int_equal (err.code, ERR_USAGE);
    }
}

static void requirements_are_met_or_not (void **state)
{
    (void) state;
    AUTO_JSON json_t *labels = json_pack ("{s:s, s:s}", "ssd", "yes", "flag", "");
    err_t err = { 0 };
    static const struct { const char *text; bool holds; } rows [] = {
        { "ssd=yes", true }, { "ssd=no", false }, { "ssd", true }, { "!ssd", false }, { "ssd!=yes", false }, { "ssd!=no", true },
        { "gpu", false }, { "!gpu", true }, { "gpu=1", false }, { "gpu!=1", true }, { "flag", true }, { "flag=", true }, { "ssd=", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal (requirement_check (rows [i].text, &err), 0);
        assert_int_equal (requirement_holds (rows [i].text, labels), rows [i].holds);
    }
    static const char *const bad [] = { "", "!", "!=", "=", "=x", "!a=b", "!a!=b", "a!b", "a==b", "a=b c", "a!", "a=!b", LONG_63 "x" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (requirement_check (bad [i], &err) != -1)
            fail_msg ("\"%s\" is taken", bad [i]);
        assert_false (requirement_holds (bad [i], labels));
    }
}

static void there_is_an_end_to_labels (void **state)
{
    (void) state;
    AUTO_JSON json_t *labels = json_object ();
    err_t err = { 0 };
    for (int i = 0; i < LABELS_MAX; i++) {
        AUTO_FREE char *text = mem_printf ("l%d=%d", i, i);
        assert_int_equal (label_set (labels, text, &err), 0);
    }
    assert_int_equal (label_set (labels, "l0=again", &err), 0);
    assert_int_equal (label_set (labels, "more", &err), -1);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (labels_are_names_and_values),
        cmocka_unit_test (requirements_are_met_or_not),
        cmocka_unit_test (there_is_an_end_to_labels),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
