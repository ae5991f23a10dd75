/* test_settings.c - settings: defaults, file, command line, in this order; and nothing misspelt goes by unnoticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <czmq.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/settings.h"

static const setting_def_t table [] = {
    { "control/bind", SETTING_TEXT, "tcp://0.0.0.0:5570", "the control socket" },
    { "control/peers", SETTING_NUMBER, "1000", "connections at most" },
    { "log/limit", SETTING_BYTES, "64M", "bytes of an attempt's log" },
    { "log/colour", SETTING_BOOL, "no", "colours" },
    { "registry/plain-http", SETTING_LIST, NULL, "registries without TLS" },
    { "registry/mirrors", SETTING_LIST, "a.lan,b.lan", "mirrors" },
    { "name", SETTING_TEXT, NULL, "the name" },
    { NULL, SETTING_TEXT, NULL, NULL }
};

static char folder [64], file [96];

static int make_folder (void **state)
{
    strcpy (folder, "/tmp/settings-XXXXXX");
    assert_non_null (mkdtemp (folder));
    snprintf (file, sizeof file, "%s/farm.conf", folder);
    *state = settings_new (table);
    return 0;
}

static int remove_folder (void **state)
{
    settings_t *settings = *state;
    settings_destroy (&settings);
    return file_remove_tree (folder, NULL);
}

static int load_bytes (settings_t *settings, const void *text, size_t size, err_t *err)
{
    assert_int_equal (file_write (file, text, size, 0600, err), 0);
    return settings_load (settings, file, err);
}

static int load (settings_t *settings, const char *text, err_t *err)
{
    return load_bytes (settings, text, strlen (text), err);
}

/* Items of the list, joined with a bar. */
static const char *list (const settings_t *settings, const char *path)
{
    static char joined [512];
    joined [0] = 0;
    for (const char *const *item = settings_list (settings, path); *item; item++)
        snprintf (joined + strlen (joined), sizeof joined - strlen (joined), "%s%s", *joined ? "|" : "", *item);
    return joined;
}

/* -- defaults --------------------------------------------------------------------------------------------------- */

static void defaults_hold_until_something_else_is_said (void **state)
{
    settings_t *settings = *state;
    assert_string_equal (settings_text (settings, "control/bind"), "tcp://0.0.0.0:5570");
    assert_int_equal (settings_number (settings, "control/peers"), 1000);
    assert_int_equal (settings_number (settings, "log/limit"), 64 << 20);
    assert_false (settings_bool (settings, "log/colour"));
    assert_null (settings_text (settings, "name"));
    assert_string_equal (list (settings, "registry/plain-http"), "");
    assert_string_equal (list (settings, "registry/mirrors"), "a.lan|b.lan");
}

/* -- values ----------------------------------------------------------------------------------------------------- */

static void values_are_read_or_refused (void **state)
{
    settings_t *settings = *state;
    static const struct { const char *path, *text; int64_t number; } good [] = {
        { "control/peers", "0", 0 }, { "control/peers", "1", 1 }, { "control/peers", "007", 7 },
        { "control/peers", "9223372036854775807", INT64_MAX },
        { "log/limit", "0", 0 }, { "log/limit", "512", 512 }, { "log/limit", "1K", 1024 }, { "log/limit", "1k", 1024 },
        { "log/limit", "10M", 10 << 20 }, { "log/limit", "2G", INT64_C (2) << 30 }, { "log/limit", "3t", INT64_C (3) << 40 },
        { "log/limit", "9007199254740991K", INT64_C (9007199254740991) << 10 }, { "log/limit", "8388607T", INT64_C (8388607) << 40 },
        { "log/colour", "yes", 1 }, { "log/colour", "true", 1 }, { "log/colour", "1", 1 },
        { "log/colour", "no", 0 }, { "log/colour", "false", 0 }, { "log/colour", "0", 0 },
    };
    static const struct { const char *path, *text; } bad [] = {
        { "control/peers", "" }, { "control/peers", "-1" }, { "control/peers", "-0" }, { "control/peers", "+1" },
        { "control/peers", " 1" }, { "control/peers", "1 " }, { "control/peers", "1.5" }, { "control/peers", "0x10" },
        { "control/peers", "1e3" }, { "control/peers", "many" }, { "control/peers", "9223372036854775808" },
        { "control/peers", "99999999999999999999999999" }, { "control/peers", "1K" },
        { "log/limit", "" }, { "log/limit", "K" }, { "log/limit", "-1K" }, { "log/limit", "1KB" }, { "log/limit", "1 K" },
        { "log/limit", "1X" }, { "log/limit", "1\xcb" }, { "log/limit", "1.5G" }, { "log/limit", "9007199254740992K" },
        { "log/limit", "8388608T" }, { "log/limit", "9223372036854775808" }, { "log/limit", "00000000000000000000000000000000001" },
        { "log/colour", "" }, { "log/colour", "Yes" }, { "log/colour", "on" }, { "log/colour", "2" }, { "log/colour", "yes " },
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        err_t err = { 0 };
        if (settings_set (settings, good [i].path, good [i].text, &err) < 0)
            fail_msg ("%s", err.text);
        assert_int_equal (settings_number (settings, good [i].path), good [i].number);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err_t err = { 0 };
        int64_t before = settings_number (settings, bad [i].path);
        if (settings_set (settings, bad [i].path, bad [i].text, &err) == 0)
            fail_msg ("%s took \"%s\"", bad [i].path, bad [i].text);
        assert_int_equal (err.code, ERR_USAGE);
        assert_non_null (strstr (err.text, bad [i].path));
        assert_int_equal (settings_number (settings, bad [i].path), before);
    }
}

static void a_list_is_cut_at_commas_and_blanks (void **state)
{
    settings_t *settings = *state;
    static const struct { const char *text, *items; } rows [] = {
        { "", "" }, { ",", "" }, { " , ,\t", "" }, { "a", "a" }, { "a,b", "a|b" }, { "a, b", "a|b" }, { ",a,,b,", "a|b" },
        { "a b\tc", "a|b|c" }, { "localhost:5000,[::1]:5000", "localhost:5000|[::1]:5000" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal (settings_set (settings, "registry/plain-http", rows [i].text, NULL), 0);
        assert_string_equal (list (settings, "registry/plain-http"), rows [i].items);
    }
}

static void a_list_has_1024_items_at_most (void **state)
{
    settings_t *settings = *state;
    AUTO_BUFFER buffer_t text = { 0 };
    err_t err = { 0 };
    for (int i = 0; i < 1024; i++)
        buffer_text (&text, "x,");
    assert_int_equal (settings_set (settings, "registry/mirrors", (const char *) text.data, &err), 0);
    assert_string_equal (settings_list (settings, "registry/mirrors") [1023], "x");
    assert_null (settings_list (settings, "registry/mirrors") [1024]);
    char *words [] = { "p", "--registry-mirrors", (char *) text.data, "--registry-mirrors=y", NULL };
    int argc = 4;
    assert_int_equal (settings_take_options (settings, &argc, words, &err), -1);
    assert_int_equal (err.code, ERR_USAGE);
    assert_non_null (strstr (err.text, "1025"));
}

static void an_unknown_path_is_named (void **state)
{
    settings_t *settings = *state;
    static const char *const paths [] = { "", "control", "control/", "control/binds", "CONTROL/BIND", "control-bind", "bind" };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        err_t err = { 0 };
        assert_int_equal (settings_set (settings, paths [i], "x", &err), -1);
        assert_int_equal (err.code, ERR_USAGE);
        assert_non_null (strstr (err.text, paths [i]));
    }
}

/* -- the file --------------------------------------------------------------------------------------------------- */

static void a_file_sets_what_it_names_and_leaves_the_rest (void **state)
{
    settings_t *settings = *state;
    err_t err = { 0 };
    const char *text =
        "# the farm in the cellar\n"
        "name = \"cellar # 2\"\n"
        "\n"
        "control            # the socket\n"
        "    bind = tcp://127.0.0.1:*   # loopback\r\n"
        "log\n"
        "    # limit = 1M\n"
        "registry\n"
        "    plain-http = localhost:5000, r.lan\n"
        "    mirrors\n"
        "        one = c.lan\n"
        "        d.lan\n";
    if (load (settings, text, &err) < 0)
        fail_msg ("%s", err.text);
    assert_string_equal (settings_text (settings, "name"), "cellar # 2");
    assert_string_equal (settings_text (settings, "control/bind"), "tcp://127.0.0.1:*");
    assert_int_equal (settings_number (settings, "control/peers"), 1000);
    assert_int_equal (settings_number (settings, "log/limit"), 64 << 20);
    assert_string_equal (list (settings, "registry/plain-http"), "localhost:5000|r.lan");
    assert_string_equal (list (settings, "registry/mirrors"), "c.lan|d.lan");
    assert_int_equal (load (settings, "control/bind = tcp://a:1\n", &err), 0);
    assert_string_equal (settings_text (settings, "control/bind"), "tcp://a:1");
}

static void a_file_without_settings_changes_nothing (void **state)
{
    settings_t *settings = *state;
    static const char *const texts [] = { "", "\n", "# x", "   \n\n", "\r\n", "control\nlog\nregistry\n" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        err_t err = { 0 };
        if (load (settings, texts [i], &err) < 0)
            fail_msg ("\"%s\": %s", texts [i], err.text);
    }
    assert_string_equal (settings_text (settings, "control/bind"), "tcp://0.0.0.0:5570");
}

static void a_file_that_says_what_nobody_knows_is_refused (void **state)
{
    settings_t *settings = *state;
    static const struct { const char *text, *says; } bad [] = {
        { "nam = x\n", "\"nam\"" },
        { "nam\n", "\"nam\"" },
        { "control\n    bid = x\n", "\"control/bid\"" },
        { "contrl\n    bind = x\n", "\"contrl/bind\"" },
        { "bind = x\n", "\"bind\"" },
        { "control = x\n    bind = tcp://a:1\n", "\"control\"" },
        { "control\n    bind\n        deep = x\n", "\"control/bind/deep\"" },
        { "name = x\n    more = y\n", "\"name/more\"" },
        { "control\n    peers = many\n", "control/peers is \"many\"" },
        { "log\n    limit = 1 GB\n", "log/limit is \"1 GB\"" },
        { "log\n    colour = maybe\n", "log/colour is \"maybe\"" },
        { "control\n    peers =\n", "control/peers is \"\"" },
        /* no ZPL */
        { "{\"name\": \"x\"}\n", "not ZPL" },
        { "name: x\n", "not ZPL" },
        { "name = \"x\n", "not ZPL" },
        { "= x\n", "not ZPL" },
        { "control\n  bind = x\n", "not ZPL" },
        { "control\n        bind = x\n", "not ZPL" },
        { "    name = x\n", "not ZPL" },
        { "control\n\tbind = x\n", "not ZPL" },
        { "\x7f" "ELF\x01\x02\x03", "not ZPL" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err_t err = { 0 };
        if (load (settings, bad [i].text, &err) == 0)
            fail_msg ("\"%s\" was taken", bad [i].text);
        assert_int_equal (err.code, ERR_USAGE);
        assert_non_null (strstr (err.text, file));
        if (!strstr (err.text, bad [i].says))
            fail_msg ("\"%s\": \"%s\" does not say %s", bad [i].text, err.text, bad [i].says);
    }
}

/* Standard output is for what a program was asked for. */
static void a_line_that_is_no_zpl_is_told_by_its_number_in_our_words_alone (void **state)
{
    settings_t *settings = *state;
    err_t err = { 0 };
    AUTO_FREE char *path = file_join (folder, "stdout");
    AUTO_BUFFER buffer_t said = { 0 };
    fflush (stdout);
    int own = dup (STDOUT_FILENO), other = open (path, O_WRONLY | O_CREAT, 0600);
    dup2 (other, STDOUT_FILENO);
    int rc = load (settings, "# a farm\nname = x\nlog: y\n", &err);
    fflush (stdout);
    dup2 (own, STDOUT_FILENO);
    close (own);
    close (other);
    assert_int_equal (rc, -1);
    assert_non_null (strstr (err.text, "farm.conf, line 3: this is not ZPL"));
    assert_int_equal (file_read (path, 1024, &said, NULL), 0);
    assert_int_equal (said.size, 0);
}

static void a_file_that_cannot_be_read_is_an_error (void **state)
{
    settings_t *settings = *state;
    err_t err = { 0 };
    assert_int_equal (settings_load (settings, file, &err), -1);
    assert_int_equal (err.code, ERR_NOT_FOUND);
    assert_non_null (strstr (err.text, file));
    assert_int_equal (settings_load (settings, folder, &err), -1);
    assert_int_equal (err.code, ERR_FARM);
    assert_int_equal (load_bytes (settings, "name = x\0y\n", 11, &err), -1);
    assert_int_equal (err.code, ERR_USAGE);
    assert_non_null (strstr (err.text, "NUL"));
}

static void a_file_has_1_mib_at_most (void **state)
{
    settings_t *settings = *state;
    AUTO_BUFFER buffer_t text = { 0 };
    err_t err = { 0 };
    buffer_text (&text, "name = x\n");
    while (text.size < 1024 * 1024)
        buffer_append (&text, "#\n", text.size == 1024 * 1024 - 1 ? 1 : 2);
    assert_int_equal (load_bytes (settings, text.data, text.size, &err), 0);
    assert_string_equal (settings_text (settings, "name"), "x");
    buffer_append (&text, "#", 1);
    assert_int_equal (load_bytes (settings, text.data, text.size, &err), -1);
    assert_int_equal (err.code, ERR_USAGE);
    assert_non_null (strstr (err.text, file));
}

/* Values are as long as they are written; sections as deep. */
static void long_lines_and_deep_sections_are_read_whole (void **state)
{
    settings_t *settings = *state;
    AUTO_BUFFER buffer_t text = { 0 };
    err_t err = { 0 };
    buffer_text (&text, "name = ");
    for (int i = 0; i < 100000; i++)
        buffer_text (&text, "x");
    assert_int_equal (load_bytes (settings, text.data, text.size, &err), 0);
    assert_int_equal (strlen (settings_text (settings, "name")), 100000);
    buffer_clear (&text);
    for (int level = 0; level < 500; level++)
        buffer_printf (&text, "%*sa\n", 4 * level, "");
    assert_int_equal (load_bytes (settings, text.data, text.size, &err), -1);
    assert_int_equal (err.code, ERR_USAGE);
}

/* -- the command line ------------------------------------------------------------------------------------------- */

static int take_options (settings_t *settings, char *left, err_t *err, ...)
{
    char *argv [16] = { "program" };
    int argc = 1;
    va_list words;
    va_start (words, err);
    while ((argv [argc] = va_arg (words, char *)))
        argc++;
    va_end (words);
    int rc = settings_take_options (settings, &argc, argv, err);
    *left = 0;
    for (int i = 1; rc == 0 && i < argc; i++)
        sprintf (left + strlen (left), "%s%s", i > 1 ? " " : "", argv [i]);
    if (rc == 0)
        assert_null (argv [argc]);
    return rc;
}

static void options_are_taken_off_and_the_rest_stays_in_order (void **state)
{
    settings_t *settings = *state;
    char left [512];
    err_t err = { 0 };
    assert_int_equal (take_options (settings, left, &err, "ls", "--control-bind=tcp://a:1", "-n", "5", "--name", "b", "--all",
                                    "--log-limit", "2K", "--", "--name=not-mine", NULL), 0);
    assert_string_equal (left, "ls -n 5 --all -- --name=not-mine");
    assert_string_equal (settings_text (settings, "control/bind"), "tcp://a:1");
    assert_string_equal (settings_text (settings, "name"), "b");
    assert_int_equal (settings_number (settings, "log/limit"), 2048);
    assert_int_equal (take_options (settings, left, &err, NULL), 0);
    assert_string_equal (left, "");
    assert_int_equal (take_options (settings, left, &err, "--name=", "--namely", "--nam", "-name", "name=x", "--control", NULL), 0);
    assert_string_equal (left, "--namely --nam -name name=x --control");
    assert_string_equal (settings_text (settings, "name"), "");
    assert_int_equal (take_options (settings, left, &err, "--name=a=b", NULL), 0);
    assert_string_equal (settings_text (settings, "name"), "a=b");
}

static void an_option_needs_a_good_value (void **state)
{
    settings_t *settings = *state;
    char left [512];
    err_t err = { 0 };
    assert_int_equal (take_options (settings, left, &err, "ls", "--name", NULL), -1);
    assert_int_equal (err.code, ERR_USAGE);
    assert_non_null (strstr (err.text, "--name"));
    assert_int_equal (take_options (settings, left, &err, "--control-peers=few", NULL), -1);
    assert_int_equal (err.code, ERR_USAGE);
    assert_non_null (strstr (err.text, "control/peers"));
    assert_int_equal (take_options (settings, left, &err, "--log-colour", "ls", NULL), -1);
    assert_int_equal (err.code, ERR_USAGE);
}

static void a_list_on_the_command_line_grows_and_replaces_the_file_s (void **state)
{
    settings_t *settings = *state;
    char left [512];
    err_t err = { 0 };
    assert_int_equal (load (settings, "registry\n    mirrors = f.lan\n", &err), 0);
    assert_int_equal (take_options (settings, left, &err, "--registry-mirrors=x,y", "--registry-mirrors", "z", NULL), 0);
    assert_string_equal (list (settings, "registry/mirrors"), "x|y|z");
    assert_string_equal (settings_text (settings, "registry/mirrors"), "x,y,z");
}

/* -- help ------------------------------------------------------------------------------------------------------- */

static void help_shows_each_setting_with_its_default (void **state)
{
    (void) state;
    AUTO_FREE char *help = settings_help (table);
    assert_non_null (strstr (help, "  --control-bind             the control socket [tcp://0.0.0.0:5570]\n"));
    assert_non_null (strstr (help, "  --registry-plain-http      registries without TLS\n"));
    assert_non_null (strstr (help, "  --name                     the name\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, make_folder, remove_folder)

int main (void)
{
    zsys_init ();
    zsys_handler_set (NULL);
    const struct CMUnitTest tests [] = {
        TEST (defaults_hold_until_something_else_is_said),
        TEST (values_are_read_or_refused),
        TEST (a_list_is_cut_at_commas_and_blanks),
        TEST (a_list_has_1024_items_at_most),
        TEST (an_unknown_path_is_named),
        TEST (a_file_sets_what_it_names_and_leaves_the_rest),
        TEST (a_file_without_settings_changes_nothing),
        TEST (a_file_that_says_what_nobody_knows_is_refused),
        TEST (a_line_that_is_no_zpl_is_told_by_its_number_in_our_words_alone),
        TEST (a_file_that_cannot_be_read_is_an_error),
        TEST (a_file_has_1_mib_at_most),
        TEST (long_lines_and_deep_sections_are_read_whole),
        TEST (options_are_taken_off_and_the_rest_stays_in_order),
        TEST (an_option_needs_a_good_value),
        TEST (a_list_on_the_command_line_grows_and_replaces_the_file_s),
        TEST (help_shows_each_setting_with_its_default),
    };
    int failed = cmocka_run_group_tests (tests, NULL, NULL);
    zsys_shutdown ();
    return failed;
}
