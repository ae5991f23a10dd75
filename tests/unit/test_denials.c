/* test_denials.c - denials on their way to the audit log: each key's are told, whatever another key does, and none is left out of the sum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "coordinator/denials.h"

enum { NOW_MS = 5000 };

/* What was told: of a key "eve" alone, of no key, and of all. */
typedef struct {
    bool is_full;
    int calls;
    int64_t of_eve, of_nobody, of_all;
    char detail [64];
} told_t;

static bool tell (void *context, const char *key, const char *act, const char *detail, int64_t times)
{
    told_t *told = context;
    if (told->is_full)
        return false;
    assert_true (strcmp (act, "others") == 0 || (*key && strcmp (act, "put") == 0));
    told->calls++;
    told->of_all += times;
    told->of_eve += strcmp (key, "eve") == 0 ? times : 0;
    told->of_nobody += *key ? 0 : times;
    snprintf (told->detail, sizeof told->detail, "%s", detail);
    return true;
}

static void a_flood_of_one_key_hides_no_other (void **state)
{
    (void) state;
    told_t told = { .calls = 0 };
    denials_t *self = denials_new (tell, &told);
    assert_int_equal (denials_tell (self, NOW_MS), -1);
    for (int i = 0; i < 10000; i++)
        denials_add (self, "mallory", "put", "a lie", NOW_MS);
    assert_int_equal (told.calls, 1);
    denials_add (self, "eve", "put", "another", NOW_MS + 10);
    assert_int_equal (told.calls, 2);                           /* at once */
    assert_int_equal (told.of_eve, 1);
    assert_string_equal (told.detail, "another");
    assert_int_equal (denials_tell (self, NOW_MS + 400), 600);
    assert_int_equal (told.calls, 2);
    denials_tell (self, NOW_MS + 1000);
    assert_int_equal (told.calls, 3);
    assert_int_equal (told.of_all, 10001);
    assert_int_equal (denials_tell (self, NOW_MS + 1000), -1);
    denials_add (self, "mallory", "put", "a lie", NOW_MS + 1001);
    assert_int_equal (told.calls, 4);                           /* another second */
    denials_add (self, "mallory", "put", "another lie", NOW_MS + 1002);
    assert_int_equal (told.calls, 5);                           /* another reason */
    denials_destroy (&self);
}

/* Each of a flood may have a reason of its own. */
static void many_reasons_of_one_key_hide_no_other (void **state)
{
    (void) state;
    told_t told = { .calls = 0 };
    denials_t *self = denials_new (tell, &told);
    for (int i = 0; i < 10000; i++) {
        char reason [32];
        snprintf (reason, sizeof reason, "lie %d", i);
        denials_add (self, "mallory", "put", reason, NOW_MS);
    }
    assert_int_equal (told.calls, DENIALS_OF_KEY + 1);
    denials_add (self, "eve", "put", "another", NOW_MS);
    assert_int_equal (told.of_eve, 1);
    denials_tell (self, NOW_MS + 1000);
    assert_int_equal (told.of_nobody, 0);
    assert_int_equal (told.of_all, 10001);
    denials_destroy (&self);
}

static void of_too_many_keys_the_rest_are_a_number (void **state)
{
    (void) state;
    told_t told = { .calls = 0 };
    denials_t *self = denials_new (tell, &told);
    for (int i = 0; i < 3 * DENIALS_APART; i++) {
        char key [16];
        snprintf (key, sizeof key, "stranger%d", i);
        denials_add (self, key, "put", "", NOW_MS);
    }
    assert_int_equal (told.calls, DENIALS_APART + 1);
    denials_tell (self, NOW_MS + 1000);
    assert_int_equal (told.calls, DENIALS_APART + 2);
    assert_int_equal (told.of_nobody, 2 * DENIALS_APART);
    assert_int_equal (told.of_all, 3 * DENIALS_APART);
    denials_destroy (&self);
}

static void what_nobody_takes_is_told_later (void **state)
{
    (void) state;
    told_t told = { .is_full = true };
    denials_t *self = denials_new (tell, &told);
    for (int i = 0; i < 3; i++)
        denials_add (self, "eve", "put", "", NOW_MS);
    assert_int_equal (denials_tell (self, NOW_MS + 1000), 1000);
    told.is_full = false;
    assert_int_equal (denials_tell (self, NOW_MS + 2000), -1);
    assert_int_equal (told.of_eve, 3);
    denials_destroy (&self);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (a_flood_of_one_key_hides_no_other),
        cmocka_unit_test (many_reasons_of_one_key_hide_no_other),
        cmocka_unit_test (of_too_many_keys_the_rest_are_a_number),
        cmocka_unit_test (what_nobody_takes_is_told_later),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
