/* test_err.c - error values: the text stays one clean line whatever is put into it, and the table of codes is the one that
 * docs/errors.md shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"

static void a_failure_is_minus_one_and_says_what_with_which_thing (void **state)
{
    (void) state;
    err_t err = { 0 };
    assert_int_equal (err_set (&err, ERR_USAGE, "platform \"%s\": %d", "linux", 7), -1);
    assert_int_equal (err.code, ERR_USAGE);
    assert_string_equal (err.text, "platform \"linux\": 7");
    assert_int_equal (err_wrap (&err, "submit %s", "."), -1);
    assert_int_equal (err.code, ERR_USAGE);
    assert_string_equal (err.text, "submit .: platform \"linux\": 7");
    assert_int_equal (err_set (&err, ERR_BUILD, "again"), -1);
    assert_int_equal (err.code, ERR_BUILD);
    assert_string_equal (err.text, "again");
}

static void nobody_has_to_listen (void **state)
{
    (void) state;
    assert_int_equal (err_set (NULL, ERR_FARM, "%s", "x"), -1);
    assert_int_equal (err_sys (NULL, EIO, "%s", "x"), -1);
    assert_int_equal (err_wrap (NULL, "%s", "x"), -1);
}

static void a_full_disk_is_told_apart_from_other_failed_calls (void **state)
{
    (void) state;
    static const struct { int errnum; err_code code; } table [] = {
        { ENOSPC, ERR_FULL }, { EDQUOT, ERR_FULL }, { EFBIG, ERR_FULL },
        { EIO, ERR_FARM }, { ENOENT, ERR_FARM }, { EACCES, ERR_FARM }, { EMFILE, ERR_FARM }, { 0, ERR_FARM }, { 99999, ERR_FARM },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        err_t err = { 0 };
        AUTO_FREE char *expected = mem_printf ("write /a: %s", strerror (table [i].errnum));
        assert_int_equal (err_sys (&err, table [i].errnum, "write %s", "/a"), -1);
        assert_int_equal (err.code, table [i].code);
        assert_string_equal (err.text, expected);
    }
}

/* A layer may say the same thing under another code. */
static void a_text_may_be_made_from_itself (void **state)
{
    (void) state;
    err_t err = { 0 };
    err_set (&err, ERR_REGISTRY, "token: %s", "no");
    err_set (&err, ERR_REGISTRY_DENIED, "%s, for good", err.text);
    assert_int_equal (err.code, ERR_REGISTRY_DENIED);
    assert_string_equal (err.text, "token: no, for good");
    err_wrap (&err, "%s or", err.text);
    assert_string_equal (err.text, "token: no, for good or: token: no, for good");
    err_sys (&err, EIO, "[%.5s]", err.text);
    assert_memory_equal (err.text, "[token]: ", 9);
}

static void the_text_is_one_line_of_utf8 (void **state)
{
    (void) state;
    static const struct { const char *in, *out; } table [] = {
        { "", "" },
        { "plain", "plain" },
        { "a\nb\r\nc\td", "a b  c d" },
        { "\x01\x1b[31mred\x7f", "  [31mred " },
        /* UTF-8 of two, three and four bytes stays */
        { "caf\xc3\xa9", "caf\xc3\xa9" },
        { "\xe2\x82\xac", "\xe2\x82\xac" },
        { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
        { "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
        { "\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80" },
        /* the control characters above ASCII: a terminal takes U+009B for "escape [" */
        { "\xc2\x9b" "31mred", "  31mred" },
        { "\xc2\x80\xc2\x9f\xc2\xa0", "    \xc2\xa0" },
        /* what is no UTF-8 */
        { "\xff\xfe", "??" },
        { "\x80" "a", "?a" },
        { "\xc3", "?" },
        { "\xc3(", "?(" },
        { "\xe2\x82", "??" },
        { "\xe2(\xac", "?(?" },
        { "\xf0\x9f\x98", "???" },
        { "\xc0\xaf", "??" },                   /* overlong "/" */
        { "\xc1\x81", "??" },
        { "\xe0\x80\xaf", "???" },
        { "\xf0\x80\x80\xaf", "????" },
        { "\xed\xa0\x80", "???" },              /* half of a surrogate pair */
        { "\xf4\x90\x80\x80", "????" },         /* above U+10FFFF */
        { "\xf5\x80\x80\x80", "????" },
        { "latin1 \xe9t\xe9", "latin1 ?t?" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        err_t err = { 0 };
        err_set (&err, ERR_USAGE, "%s", table [i].in);
        assert_string_equal (err.text, table [i].out);
        err_set (&err, ERR_USAGE, "inner");
        err_wrap (&err, "%s", table [i].in);
        assert_memory_equal (err.text, table [i].out, strlen (table [i].out));
        assert_string_equal (err.text + strlen (table [i].out), ": inner");
        err_sys (&err, EIO, "%s", table [i].in);
        assert_memory_equal (err.text, table [i].out, strlen (table [i].out));
    }
}

static void a_text_that_does_not_fit_shows_where_it_was_cut (void **state)
{
    (void) state;
    char big [3 * ERR_TEXT_MAX];
    for (size_t size = ERR_TEXT_MAX - 6; size < ERR_TEXT_MAX + 6; size++) {
        err_t err = { 0 };
        memset (big, 'x', size);
        big [size] = 0;
        err_set (&err, ERR_USAGE, "%s", big);
        if (size < ERR_TEXT_MAX)
            assert_string_equal (err.text, big);
        else {
            assert_int_equal (strlen (err.text), ERR_TEXT_MAX - 1);
            assert_string_equal (err.text + ERR_TEXT_MAX - 5, "x...");
        }
    }
    for (size_t size = 1; size < sizeof big; size += 97) {
        err_t err = { 0 };
        memset (big, 'y', size);
        big [size] = 0;
        err_set (&err, ERR_USAGE, "%s", "the reason");
        for (int layer = 0; layer < 4; layer++)
            err_wrap (&err, "%s", big);
        err_sys (&err, EIO, "%s%s", err.text, big);
        assert_true (strlen (err.text) < ERR_TEXT_MAX);
        if (size > ERR_TEXT_MAX)
            assert_string_equal (err.text + ERR_TEXT_MAX - 4, "...");
    }
}

static void a_cut_leaves_no_half_character (void **state)
{
    (void) state;
    char big [2 * ERR_TEXT_MAX];
    for (size_t shift = 0; shift < 4; shift++) {
        err_t err = { 0 };
        memset (big, 'x', shift);
        for (size_t i = shift; i + 4 < sizeof big; i += 4)
            memcpy (big + i, "\xf0\x9f\x98\x80", 5);
        err_set (&err, ERR_USAGE, "%s", big);
        size_t size = strlen (err.text);
        assert_int_equal (size, ERR_TEXT_MAX - 1);
        assert_string_equal (err.text + size - 3, "...");
        for (size_t i = shift; i < size - 3; i += (unsigned char) err.text [i] == 0xf0 ? 4 : 1)
            assert_true (err.text [i] == '?' || (i + 4 <= size - 3 && memcmp (err.text + i, "\xf0\x9f\x98\x80", 4) == 0));
    }
}

/* -- the table -------------------------------------------------------------------------------------------------- */

static void a_name_on_the_wire_leads_back_to_its_code (void **state)
{
    (void) state;
    for (int code = ERR_NONE + 1; code < ERR_COUNT; code++) {
        assert_true (strlen (err_name ((err_code) code)) > 0);
        assert_int_equal (err_from_name (err_name ((err_code) code)), code);
    }
}

static void what_a_peer_makes_up_is_the_farm_s_fault (void **state)
{
    (void) state;
    static const char *const names [] = { "", "none", "farms", "FARM", "no_worker", " build", "build ", "usage\n", "0" };
    static const int codes [] = { -1, ERR_COUNT, ERR_COUNT + 1, INT32_MAX, INT32_MIN };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal (err_from_name (names [i]), ERR_FARM);
    assert_int_equal (err_from_name (NULL), ERR_FARM);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        err_code code = (err_code) codes [i];
        assert_string_equal (err_name (code), "farm");
        assert_int_equal (err_exit_code (code), 1);
        assert_int_equal (err_http_status (code), 500);
        assert_true (err_is_farm_fault (code));
    }
}

static void success_has_exit_code_0_and_nothing_else_has (void **state)
{
    (void) state;
    assert_int_equal (err_exit_code (ERR_NONE), 0);
    assert_int_equal (err_http_status (ERR_NONE), 200);
    for (int code = ERR_NONE + 1; code < ERR_COUNT; code++) {
        assert_true (err_exit_code ((err_code) code) > 0 && err_exit_code ((err_code) code) < 256);
        assert_true (err_http_status ((err_code) code) >= 400 && err_http_status ((err_code) code) < 600);
    }
}

/* -- docs/errors.md ---------------------------------------------------------------------------------------------- */

enum { CELLS = 7 };

/* Split "| a | b |" in place; the number of cells. */
static int split_row (char *line, char *cells [CELLS])
{
    int count = 0;
    char *at = line + 1, *bar;
    while ((bar = strchr (at, '|')) && count < CELLS) {
        *bar = 0;
        at += strspn (at, " `");
        size_t size = strlen (at);
        while (size && strchr (" `", at [size - 1]))
            at [--size] = 0;
        cells [count++] = at;
        at = bar + 1;
    }
    return count;
}

static void hold_row_against_code (char *cells [CELLS], int code)
{
    err_code own = (err_code) code;
    const char *retried = err_is_farm_fault (own) ? "yes" : "no";
    if (strcmp (cells [0], err_name (own)) != 0 || atoi (cells [1]) != err_exit_code (own)
    ||  atoi (cells [2]) != err_http_status (own) || strcmp (cells [4], retried) != 0)
        fail_msg ("docs/errors.md: row %s: exit %s, HTTP %s, retried %s; common/err.c: row %s: exit %d, HTTP %d, retried %s",
                  cells [0], cells [1], cells [2], cells [4], err_name (own), err_exit_code (own), err_http_status (own), retried);
    assert_true (strlen (cells [3]) > 0 && strlen (cells [5]) > 0 && strlen (cells [6]) > 0);
}

static void the_document_shows_the_table_of_the_code (void **state)
{
    (void) state;
    AUTO_BUFFER buffer_t text = { 0 };
    err_t err;
    assert_int_equal (file_read (SOURCE_DIR "/docs/errors.md", 1 << 20, &text, &err), 0);
    int code = ERR_NONE, is_in_table = 0;
    buffer_append (&text, "", 1);
    for (char *line = strtok ((char *) text.data, "\n"); line; line = strtok (NULL, "\n")) {
        char *cells [CELLS];
        if (strncmp (line, "| name |", 8) == 0)
            is_in_table = 1;
        else if (is_in_table && line [0] != '|')
            is_in_table = 0;
        else if (is_in_table && strncmp (line, "| ---", 5) != 0) {
            if (split_row (line, cells) != CELLS)
                fail_msg ("docs/errors.md: row %s has not %d cells", cells [0], CELLS);
            assert_true (code < ERR_COUNT);
            hold_row_against_code (cells, code++);
        }
    }
    assert_int_equal (code, ERR_COUNT);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (a_failure_is_minus_one_and_says_what_with_which_thing),
        cmocka_unit_test (nobody_has_to_listen),
        cmocka_unit_test (a_full_disk_is_told_apart_from_other_failed_calls),
        cmocka_unit_test (a_text_may_be_made_from_itself),
        cmocka_unit_test (the_text_is_one_line_of_utf8),
        cmocka_unit_test (a_text_that_does_not_fit_shows_where_it_was_cut),
        cmocka_unit_test (a_cut_leaves_no_half_character),
        cmocka_unit_test (a_name_on_the_wire_leads_back_to_its_code),
        cmocka_unit_test (what_a_peer_makes_up_is_the_farm_s_fault),
        cmocka_unit_test (success_has_exit_code_0_and_nothing_else_has),
        cmocka_unit_test (the_document_shows_the_table_of_the_code),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
