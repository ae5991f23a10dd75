/* test_quantity.c - sizes, times and cpus: what is read, what is refused, and that what is said is read as the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/quantity.h"

typedef struct {
    const char *text;
    int64_t value;                  /* -1: it is none */
    const char *said;               /* NULL: as text */
} case_t;

typedef int (read_fn) (const char *, int64_t *);
typedef const char *(say_fn) (int64_t, char [QUANTITY_SIZE]);

static void check_all (const case_t *cases, size_t count, read_fn *read, say_fn *say)
{
    char said [QUANTITY_SIZE];
    for (size_t i = 0; i < count; i++) {
        int64_t value = -1;
        int rc = read (cases [i].text, &value);
        if (rc != (cases [i].value < 0 ? -1 : 0))
            fail_msg ("\"%s\" gives %d", cases [i].text, rc);
        if (rc < 0)
            continue;
        assert_int_equal (value, cases [i].value);
        assert_string_equal (say (value, said), cases [i].said ? cases [i].said : cases [i].text);
        if (say == quantity_cpus)
            said [strcspn (said, " ")] = 0;
        assert_int_equal (read (said, &value), 0);
        assert_int_equal (value, cases [i].value);
    }
}
#define CHECK(cases, read, say) check_all (cases, sizeof cases / sizeof *cases, read, say)

static void sizes (void **state)
{
    (void) state;
    static const case_t cases [] = {
        { "0", 0, NULL }, { "4095", 4095, NULL }, { "4096", 4096, "4K" }, { "512M", 512LL << 20, NULL }, { "512m", 512LL << 20, "512M" },
        { "1024M", 1LL << 30, "1G" }, { "1536M", 1536LL << 20, NULL }, { "2T", 2LL << 40, NULL }, { "2048T", 2048LL << 40, NULL },
        { "", -1, NULL }, { "M", -1, NULL }, { "-1M", -1, NULL }, { "1.5G", -1, NULL }, { "1 G", -1, NULL }, { "1GB", -1, NULL },
        { "1X", -1, NULL }, { "9223372036854775808", -1, NULL }, { "8388608T", -1, NULL },
    };
    CHECK (cases, quantity_read_bytes, quantity_bytes);
}

static void times (void **state)
{
    (void) state;
    static const case_t cases [] = {
        { "0", 0, "0s" }, { "90", 90000, "1m30s" }, { "45s", 45000, NULL }, { "30m", 1800000, NULL }, { "90m", 5400000, "1h30m" },
        { "2h", 7200000, NULL }, { "1d", 86400000, NULL }, { "1d2h3m4s", 93784000, NULL },
        { "", -1, NULL }, { "soon", -1, NULL }, { "-5", -1, NULL }, { "1.5h", -1, NULL }, { "30m1h", -1, NULL }, { "1m1m", -1, NULL }, { "1h30", -1, NULL },
        { "5w", -1, NULL }, { "h", -1, NULL }, { "9223372036854775", 9223372036854775000, "106751991167d7h12m55s" }, { "9223372036854776", -1, NULL },
        { "106751991167d8h", -1, NULL },
    };
    CHECK (cases, quantity_read_duration, quantity_duration);
}

static void cpus (void **state)
{
    (void) state;
    static const case_t cases [] = {
        { "0", 0, "0 cpus" }, { "1", 100, "1 cpu" }, { "1.5", 150, "1.5 cpus" }, { "1.50", 150, "1.5 cpus" }, { "0.25", 25, "0.25 cpus" },
        { "64", 6400, "64 cpus" },
        { "", -1, NULL }, { "two", -1, NULL }, { "-1", -1, NULL }, { ".5", -1, NULL }, { "1.", -1, NULL }, { "1.125", -1, NULL }, { "1,5", -1, NULL },
        { "1.5x", -1, NULL }, { "9223372036854775807", -1, NULL }, { "90071992547409.93", 9007199254740993, "90071992547409.93 cpus" },
    };
    CHECK (cases, quantity_read_cpus, quantity_cpus);
}

int main (void)
{
    const struct CMUnitTest tests [] = { cmocka_unit_test (sizes), cmocka_unit_test (times), cmocka_unit_test (cpus) };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
