/* test_ignore.c - .dockerignore. Each row: the file, a path, and whether Docker leaves the path out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/ignore.h"
#include "common/mem.h"

typedef struct { const char *text, *path; bool is_out; } row_t;

static const row_t rows [] = {
    /* plain names cover themselves and what is below */
    { "a", "a", true }, { "a", "b", false }, { "a", "a/b", true }, { "a", "a/b/c", true }, { "a", "b/a", false },
    { "a", "ab", false }, { "a/b", "a/b", true }, { "a/b", "a", false }, { "a/b", "a/b/c", true }, { "a/b", "x/a/b", false },
    { "node_modules", "node_modules/x/y.js", true }, { "node_modules", "sub/node_modules", false },
    /* cleaning: slashes, dots, space, line ends, comments, BOM */
    { "/a", "a", true }, { "a/", "a", true }, { "a/", "a/b", true }, { "./a", "a", true }, { "a/./b", "a/b", true },
    { "a//b", "a/b", true }, { "a/../b", "b", true }, { "a/../b", "a", false }, { "/../a", "a", true }, { "../a", "a", false },
    { "  a  ", "a", true }, { "\ta\r\n", "a", true }, { "a b", "a b", true }, { "#a", "#a", false }, { "#a\na", "a", true },
    { " #a", "#a", true }, { "\\#a", "#a", true }, { "\xef\xbb\xbf" "a", "a", true }, { "\xef\xbb\xbf#a", "#a", false },
    { "", "a", false }, { "\n\n \n", "a", false }, { ".", "a", false }, { "./", "a/b", false }, { "/", "a", false },
    { "x\n\na", "a", true }, { "x\r\na\r\n", "a", true }, { "..", "a", false }, { "a/..", "a", false },
    /* one star, one question mark: within a part */
    { "*", "a", true }, { "*", ".git", true }, { "*", "a/b", true }, { "*.go", "a.go", true }, { "*.go", "x/a.go", false },
    { "*.go", ".go", true }, { "a*", "abc", true }, { "a*c", "abbc", true }, { "a*c", "ab/c", false }, { "*/b", "a/b", true },
    { "*/b", "b", false }, { "*/b", "x/a/b", false }, { "*/*/b", "x/a/b", true }, { "a?c", "abc", true }, { "a?c", "a/c", false },
    { "a?c", "ac", false }, { "a?c", "a\xc3\xa9" "c", true }, { "?", "\xc3\xa9", true }, { "??", "\xc3\xa9", false },
    { "temp?", "tempa", true }, { "temp?", "temp", false }, { "*.md", "README.md", true }, { "a.b", "axb", false },
    { "a+b", "a+b", true }, { "(a|b)", "(a|b)", true }, { "(a|b)*", "a", false }, { "{a}*", "{a}x", true }, { "a$*", "a$", true },
    { "*a*b", "xaxxab", true }, { "*a*b*c", "aabbab", false },
    /* two stars */
    { "**", "a", true }, { "**", "a/b/c", true }, { "**/a", "a", true }, { "**/a", "b/a", true }, { "**/a", "b/c/a", true },
    { "**/a", "b/ca", false }, { "**/a", "b/a/x", true }, { "**/*.go", "a.go", true }, { "**/*.go", "x/y/a.go", true },
    { "**/*.go", "x/y/a.gox", false }, { "a/**", "a/b", true }, { "a/**", "a/b/c", true }, { "a/**", "a", false },
    { "a/**/b", "a/b", true }, { "a/**/b", "a/x/b", true }, { "a/**/b", "a/x/y/b", true }, { "a/**/b", "a/xb", false },
    { "a/**/b", "xa/b", false }, { "**/x/**", "a/x/b", true }, { "**/x/**", "x/b", true }, { "**/x/**", "a/x", false },
    { "**file", "file", true }, { "**file", "dir/file", true }, { "**file", "dir/afile", true }, { "**file?", "dir/afileb", false },
    { "**/file", "afile", false }, { "a**", "abc", true }, { "a**", "abc/d", true }, { "a**", "ba", false },
    { "**/**/a", "x/a", true }, { "**/a/*/c", "x/a/b/c", true }, { "**/a/*/c", "x/a/b/d/c", false }, { "**/.git", "s/.git/x", true },
    { "/**/a", "x/a", true }, { "**/", "x/a", true },
    /* classes and escapes */
    { "[abc]", "b", true }, { "[abc]", "d", false }, { "[a-c]x", "bx", true }, { "[a-c]x", "dx", false }, { "[^a]x", "bx", true },
    { "[^a]x", "ax", false }, { "[^a-c]", "d", true }, { "[!a]", "!", true }, { "[!a]", "b", false }, { "[\\]]", "]", true },
    { "[\\-]", "-", true }, { "a[0-9][0-9]", "a42", true }, { "a[0-9][0-9]", "a4", false }, { "[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", true },
    { "[^\xc3\xa9]", "\xc3\xa9", false }, { "\\*", "*", true }, { "\\*", "a", false }, { "a\\?", "a?", true }, { "a\\?", "ab", false },
    { "\\[a]", "[a]", true }, { "a\\\\b", "a\\b", true }, { "a]", "a]", true }, { "\\!a", "!a", true }, { "a^b", "a^b", true },
    /* exceptions: the last line that matches wins */
    { "*\n!a", "a", false }, { "*\n!a", "b", true }, { "!a\n*", "a", true }, { "a\n!a/b", "a/b", false }, { "a\n!a/b", "a/c", true },
    { "a\n!a/b", "a", true }, { "a\n!a/b\na/b/c", "a/b/c", true }, { "a\n!a/b\na/b/c", "a/b/d", false }, { "*\n! a ", "a", false },
    { "*\n!/a", "a", false }, { "*\n!a/", "a/b", false }, { "*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true },
    { "*.md\n!README*.md\nREADME-secret.md", "README-x.md", false }, { "**\n!**/*.c", "x/y.c", false }, { "**\n!**/*.c", "x/y.h", true },
    { "*\n!src/**\nsrc/*.o", "src/a.o", true }, { "*\n!src/**\nsrc/*.o", "src/a.c", false }, { "!a", "a", false },
    { "a\n!a\na", "a", true }, { "Dockerfile", "Dockerfile", true }, { ".dockerignore", ".dockerignore", true },
    { "*\n!.", "a", true },
};

static void each_row_is_as_docker_has_it (void **state)
{
    (void) state;
    int failed = 0;
    assert_true (sizeof rows / sizeof *rows >= 80);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err_t err = { 0 };
        AUTO (ignore) ignore_t *ignore = ignore_parse (rows [i].text, strlen (rows [i].text), &err);
        if (ignore && ignore_matches (ignore, rows [i].path) == rows [i].is_out)
            continue;
        print_message ("row %zu: \"%s\" on \"%s\" should be %s%s\n", i, rows [i].text, rows [i].path,
                       rows [i].is_out ? "left out" : "let in", err.text);
        failed++;
    }
    assert_int_equal (failed, 0);
}

/* Each of these took longer than anybody waits, or a stack deeper than there is. */
static void many_stars_take_no_time_and_no_stack (void **state)
{
    (void) state;
    enum { STARS = 100000 };
    static const char *const parts [] = { "*a", "*?", "**/a", "*", "a**" };
    AUTO_BUFFER buffer_t path = { 0 };
    for (int i = 0; i < 2000; i++)
        buffer_text (&path, "a");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        err_t err = { 0 };
        AUTO_BUFFER buffer_t text = { 0 };
        for (int j = 0; j < STARS; j++)
            buffer_text (&text, parts [i]);
        buffer_text (&text, "*b");
        AUTO (ignore) ignore_t *ignore = ignore_parse ((const char *) text.data, text.size, &err);
        assert_non_null (ignore);
        assert_false (ignore_matches (ignore, (const char *) path.data));
    }
}

static void a_bad_pattern_is_named_with_its_line (void **state)
{
    (void) state;
    static const char *const bad [] = { "a\n[", "a\n[]", "a\n[]a]", "a\n[a-]", "a\n[-x]", "a\nx\\", "a\n!", "a\n! ", "a\n!/", "a\n[a",
                                        "a\n[^]", "a\n[\\" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err_t err = { 0 };
        AUTO (ignore) ignore_t *ignore = ignore_parse (bad [i], strlen (bad [i]), &err);
        if (ignore)
            print_message ("\"%s\" was taken\n", bad [i]);
        assert_null (ignore);
        assert_int_equal (err.code, ERR_USAGE);
        assert_non_null (strstr (err.text, "line 2"));
    }
    err_t err = { 0 };
    assert_null (ignore_parse ("a\0b", 3, &err));
}

static void a_folder_is_walked_only_where_a_line_may_let_something_in (void **state)
{
    (void) state;
    static const row_t table [] = {
        { "*", "a", false }, { "*\n!a", "a", true }, { "*\n!a/b", "a", true }, { "*\n!a/b", "b", false }, { "*\n!a/b", "ab", false },
        { "*\n!a", "a/x", true }, { "*\n!**/x", "q", true }, { "*\n!a/*.c", "a", true }, { "*\n!a/*.c", "b", false },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        AUTO (ignore) ignore_t *ignore = ignore_parse (table [i].text, strlen (table [i].text), NULL);
        assert_non_null (ignore);
        assert_int_equal (ignore_may_reenter (ignore, table [i].path), table [i].is_out);
    }
}

static void the_file_beside_the_dockerfile_goes_first (void **state)
{
    (void) state;
    char folder [] = "/tmp/ignore-XXXXXX";
    err_t err = { 0 };
    char *found = NULL;
    assert_non_null (mkdtemp (folder));
    AUTO_FREE char *dockerfile = file_join (folder, "Special");
    AUTO_FREE char *special = file_join (folder, "Special.dockerignore");
    AUTO_FREE char *general = file_join (folder, ".dockerignore");
    assert_int_equal (ignore_find (folder, dockerfile, &found, &err), 0);
    assert_null (found);
    assert_int_equal (file_write (general, "a", 1, 0644, &err), 0);
    assert_int_equal (ignore_find (folder, dockerfile, &found, &err), 0);
    assert_string_equal (found, general);
    free (found);
    assert_int_equal (file_write (special, "a", 1, 0644, &err), 0);
    assert_int_equal (ignore_find (folder, dockerfile, &found, &err), 0);
    assert_string_equal (found, special);
    free (found);
    assert_int_equal (ignore_find (folder, NULL, &found, &err), 0);
    assert_string_equal (found, general);
    free (found);
    assert_int_equal (file_remove_tree (folder, &err), 0);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (each_row_is_as_docker_has_it),
        cmocka_unit_test (many_stars_take_no_time_and_no_stack),
        cmocka_unit_test (a_bad_pattern_is_named_with_its_line),
        cmocka_unit_test (a_folder_is_walked_only_where_a_line_may_let_something_in),
        cmocka_unit_test (the_file_beside_the_dockerfile_goes_first),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
