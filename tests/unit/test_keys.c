/* test_keys.c - key files and join strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/keys.h"
#include "common/mem.h"

static char folder [] = "/tmp/test_keys.XXXXXX";
static char path [64];

static int make_folder (void **state)
{
    (void) state;
    strcpy (folder, "/tmp/test_keys.XXXXXX");
    assert_non_null (mkdtemp (folder));
    snprintf (path, sizeof path, "%s/some.key", folder);
    return 0;
}

static int remove_folder (void **state)
{
    (void) state;
    return file_remove_tree (folder, NULL);
}

static void a_key_is_the_same_after_save_and_load (void **state)
{
    (void) state;
    keypair_t made, loaded;
    err_t err = { 0 };
    keypair_make (&made);
    assert_int_equal (keypair_save (&made, path, &err), 0);
    assert_int_equal (keypair_load (&loaded, path, &err), 0);
    assert_memory_equal (&made, &loaded, sizeof made);
    struct stat info;
    assert_int_equal (stat (path, &info), 0);
    assert_int_equal (info.st_mode & 07777, 0600);
}

static void a_key_that_others_can_read_is_refused (void **state)
{
    (void) state;
    keypair_t key;
    err_t err = { 0 };
    keypair_make (&key);
    assert_int_equal (keypair_save (&key, path, &err), 0);
    assert_int_equal (chmod (path, 0640), 0);
    assert_int_equal (keypair_load (&key, path, &err), -1);
    assert_int_equal (err.code, ERR_DENIED);
    assert_non_null (strstr (err.text, path));
}

static void a_damaged_key_file_is_refused_and_not_overwritten (void **state)
{
    (void) state;
    static const char *const bad [] = {
        "", "public", "public 00\nsecret 00\n",
        ("public 0000000000000000000000000000000000000000000000000000000000000000\n"
         "secret 0000000000000000000000000000000000000000000000000000000000000001\n"),   /* not its public key */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        keypair_t key;
        err_t err = { 0 };
        assert_int_equal (file_write (path, bad [i], strlen (bad [i]), 0600, &err), 0);
        assert_int_equal (keypair_load_or_make (&key, path, NULL, &err), -1);
        assert_int_equal (err.code, ERR_USAGE);
        AUTO_BUFFER buffer_t after = { 0 };
        assert_int_equal (file_read (path, 4096, &after, &err), 0);
        assert_int_equal (after.size, strlen (bad [i]));
    }
}

static void a_trailing_byte_in_a_key_file_is_refused (void **state)
{
    (void) state;
    keypair_t key;
    err_t err = { 0 };
    keypair_make (&key);
    assert_int_equal (keypair_save (&key, path, &err), 0);
    FILE *file = fopen (path, "a");
    fputs ("x", file);
    fclose (file);
    assert_int_equal (keypair_load (&key, path, &err), -1);
}

static invitation_t some_invitation (void)
{
    invitation_t self = { .control = "tcp://[fe80::1]:5570", .objects = "tcp://farm.lan:5571" };
    memset (self.server_key, 7, KEY_SIZE);
    memset (self.invitation, 9, KEY_SIZE);
    return self;
}

static void a_join_string_carries_all_and_no_shell_character (void **state)
{
    (void) state;
    invitation_t in = some_invitation (), out;
    err_t err = { 0 };
    AUTO_FREE char *text = invitation_encode (&in);
    assert_int_equal (strspn (text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"), strlen (text));
    assert_int_equal (invitation_decode (&out, text, &err), 0);
    assert_string_equal (in.control, out.control);
    assert_string_equal (in.objects, out.objects);
    assert_memory_equal (in.server_key, out.server_key, KEY_SIZE);
    assert_memory_equal (in.invitation, out.invitation, KEY_SIZE);
}

static void a_cut_join_string_is_refused_at_every_length (void **state)
{
    (void) state;
    invitation_t in = some_invitation (), out;
    AUTO_FREE char *text = invitation_encode (&in);
    for (size_t size = strlen (text) - 1; size > 0; size--) {
        err_t err = { 0 };
        text [size] = 0;
        assert_int_equal (invitation_decode (&out, text, &err), -1);
        assert_int_equal (err.code, ERR_USAGE);
    }
}

static void an_address_that_would_be_more_settings_is_refused (void **state)
{
    (void) state;
    static const char *const addresses [] = { "tcp://a:1\"\nbuilder\n    program = \"/tmp/evil", "tcp://a:1\n", "tcp://a b:1", "tcp://a:1\"",
                                              "tcp://a:1'", "tcp://a:1#", "tcp://a:1\x1b[2J", "ipc:///tmp/x", "" };
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        invitation_t in = some_invitation (), out;
        err_t err = { 0 };
        strcpy (in.objects, addresses [i]);
        AUTO_FREE char *text = invitation_encode (&in);
        if (invitation_decode (&out, text, &err) == 0)
            fail_msg ("%s is taken", addresses [i]);
        assert_int_equal (err.code, ERR_USAGE);
    }
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
    const struct CMUnitTest tests [] = {
        cmocka_unit_test_setup_teardown (a_key_is_the_same_after_save_and_load, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown (a_key_that_others_can_read_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown (a_damaged_key_file_is_refused_and_not_overwritten, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown (a_trailing_byte_in_a_key_file_is_refused, make_folder, remove_folder),
        cmocka_unit_test (a_join_string_carries_all_and_no_shell_character),
        cmocka_unit_test (a_cut_join_string_is_refused_at_every_length),
        cmocka_unit_test (an_address_that_would_be_more_settings_is_refused),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
