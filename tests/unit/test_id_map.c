/* test_id_map.c - places by number, against an array that is searched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

#include "coordinator/id_map.h"
#include "lib/chance.h"

enum { IDS = 300, ROUNDS = 200000 };

static void what_was_set_is_found_until_it_is_dropped (void **state)
{
    (void) state;
    id_map_t map = { 0 };
    assert_int_equal (id_map_find (&map, 1), -1);
    id_map_drop (&map, 1);
    id_map_set (&map, 1, 0);
    id_map_set (&map, -1, 7);
    id_map_set (&map, INT64_MAX, 8);
    assert_int_equal (id_map_find (&map, 1), 0);
    assert_int_equal (id_map_find (&map, -1), 7);
    assert_int_equal (id_map_find (&map, INT64_MAX), 8);
    assert_int_equal (id_map_find (&map, 0), -1);
    id_map_drop (&map, 1);
    assert_int_equal (id_map_find (&map, 1), -1);
    assert_int_equal (id_map_find (&map, -1), 7);
    id_map_clear (&map);
    assert_int_equal (id_map_find (&map, -1), -1);
}

/* Few numbers, set and dropped again and again: the holes are in each other's way. */
static void it_agrees_with_a_list (void **state)
{
    (void) state;
    id_map_t map = { 0 };
    ptrdiff_t places [IDS];
    uint64_t seed = 1;
    memset (places, -1, sizeof places);
    for (int i = 0; i < ROUNDS; i++) {
        int64_t id = (int64_t) (chance_next (&seed) % IDS);
        bool is_set = chance_next (&seed) % 2;
        places [id] = is_set ? (ptrdiff_t) (chance_next (&seed) % 1000) : -1;
        if (is_set)
            id_map_set (&map, id * 1000003, (size_t) places [id]);
        else
            id_map_drop (&map, id * 1000003);
        int64_t other = (int64_t) (chance_next (&seed) % IDS);
        assert_int_equal (id_map_find (&map, other * 1000003), places [other]);
    }
    for (int id = 0; id < IDS; id++)
        assert_int_equal (id_map_find (&map, id * INT64_C (1000003)), places [id]);
    id_map_clear (&map);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (what_was_set_is_found_until_it_is_dropped),
        cmocka_unit_test (it_agrees_with_a_list),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
