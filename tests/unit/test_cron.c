/* test_cron.c - coordinator/cron.c against the table of cron.txt; what is refused, with which words; names of zones; that H stays, and spreads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/mem.h"
#include "coordinator/cron.h"

enum { COLUMNS = 5, DUE = 5 };

typedef struct { char *name, *text, *zone, *from, *due; } row_t;

/* "2026-03-29T03:00+02:00", perhaps with seconds. */
static int64_t read_time (const char *text)
{
    struct tm tm = { 0 };
    int hours = 0, minutes = 0;
    const char *rest = strptime (text, "%Y-%m-%dT%H:%M", &tm);
    if (rest && *rest == ':')
        rest = strptime (rest, ":%S", &tm);
    if (!rest || sscanf (rest + 1, "%2d:%2d", &hours, &minutes) != 2)
        fail_msg ("no time: %s", text);
    int64_t offset = hours * 3600 + minutes * 60;
    return (timegm (&tm) - (*rest == '-' ? -offset : offset)) * 1000;
}

static bool read_row (char *line, row_t *out)
{
    char *columns [COLUMNS];
    line [strcspn (line, "\n")] = 0;
    if (*line == '#' || !*line)
        return false;
    for (int i = 0; i < COLUMNS; i++) {
        char *bar = strstr (line, " | ");
        if (!bar && i < COLUMNS - 1)
            fail_msg ("a row of too few columns: %s", line);
        columns [i] = line;
        if (bar) {
            *bar = 0;
            line = bar + 3;
        }
    }
    *out = (row_t) { columns [0], columns [1], columns [2], columns [3], columns [4] };
    return true;
}

/* How many of its five are wrong. */
static int check_row (const row_t *row)
{
    err_t err;
    cron_t cron;
    zone_t *zone = NULL;
    int wrong = 0;
    if (cron_parse (&cron, row->text, row->name, &err) < 0 || zone_new (&zone, row->zone, &err) < 0)
        fail_msg ("%s in %s: %s", row->text, row->zone, err.text);
    int64_t at = read_time (row->from);
    char *due = row->due;
    for (int i = 0; i < DUE; i++) {
        char *word = strsep (&due, " ");
        int64_t expected = read_time (word);
        at = cron_next (&cron, zone, at);
        if (at != expected)
            print_error ("%s | %s | %s | %s: %s expected, found %lld s later\n", row->name, row->text, row->zone, row->from, word,
                         (long long) (at - expected) / 1000);
        wrong += at != expected;
        at = expected;
    }
    zone_destroy (&zone);
    return wrong;
}

static int check_table (int *rows)
{
    AUTO_FREE char *line = NULL;
    size_t capacity = 0;
    int wrong = 0;
    row_t row;
    AUTO_FCLOSE FILE *file = fopen (SOURCE_DIR "/tests/unit/cron.txt", "r");
    if (!file)
        return -1;
    while (getline (&line, &capacity, file) >= 0)
        if (read_row (line, &row)) {
            wrong += check_row (&row);
            ++*rows;
        }
    return wrong;
}

static void the_table (void **state)
{
    (void) state;
    int rows = 0;
    assert_int_equal (check_table (&rows), 0);
    assert_true (rows >= 200);
}

/* Zones of several threads do not know of each other. */
static void *check_in_thread (void *wrong)
{
    int rows = 0;
    *(int *) wrong = check_table (&rows);
    return NULL;
}

static void several_threads (void **state)
{
    (void) state;
    pthread_t threads [4];
    int wrong [4];
    for (int i = 0; i < 4; i++)
        assert_int_equal (pthread_create (&threads [i], NULL, check_in_thread, &wrong [i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join (threads [i], NULL);
        assert_int_equal (wrong [i], 0);
    }
}

static void refusals (void **state)
{
    (void) state;
    static const struct { const char *text, *words; } cases [] = {
        { "", "there are 0 fields, and not five" }, { "* * * *", "there are 4 fields" }, { "* * * * * *", "there are 6 fields" },
        { "@reboot", "@reboot: a farm's schedule goes by the clock" }, { "@often", "@often is none of @yearly" }, { "@daily 5", "none of @yearly" },
        { "60 * * * *", "minute \"60\": it can be 0 to 59" }, { "* 24 * * *", "hour \"24\": it can be 0 to 23" },
        { "* * 0 * *", "day of the month \"0\": it can be 1 to 31" }, { "* * 32 * *", "day of the month \"32\"" },
        { "* * * 13 *", "month \"13\": it can be 1 to 12, or jan to dec" },
        { "* * * 0 *", "month \"0\"" }, { "* * * * 8", "day of the week \"8\": it can be 0 to 7, or sun to sat" }, { "* * * may-janu *", "month \"may-janu\"" },
        { "mon * * * *", "minute \"mon\"" }, { "* * * * lun", "day of the week \"lun\"" },
        { "5/15 * * * *", "minute \"5/15\": a step stands behind a range or *" },
        { "*/0 * * * *", "minute \"*/0\": behind / stands how many to go on by" }, { "*/ * * * *", "minute \"*/\": behind /" },
        { "*/1001 * * * *", "behind /" },
        { "30-10 * * * *", "minute \"30-10\": the range ends before it begins" }, { "1,,2 * * * *", "minute \"\": there is nothing" }, { "1, * * * *", "there is nothing" },
        { "*5 * * * *", "minute \"*5\": this is no number" }, { "1-2-3 * * * *", "this is no number" }, { "-1 * * * *", "minute \"-1\": it can be" },
        { "99999999999999999999 * * * *", "it can be 0 to 59" }, { "H( * * * *", "minute \"H(\": it can be" }, { "H(5) * * * *", "H takes a range" },
        { "H(5-10 * * * *", "no closing parenthesis" }, { "H(10-5) * * * *", "the range ends" }, { "H(0-60) * * * *", "it can be 0 to 59" },
        { "0 0 H(1-31) * *", "day of the month \"H(1-31)\": H is one of the days that each month has" }, { "h * * * *", "minute \"h\"" }, { "H5 * * * *", "this is no number" },
        { "H/0 * * * *", "behind /" }, { "0 0 30 2 *", "no such day ever comes" }, { "0 0 31 2,4,jun,9,11 *", "no such day ever comes" }, { "0 0 30,31 feb */2", "no such day ever comes" },
        { "* * * * * # nightly", "there are 7 fields" }, { "\n* * * * *", "minute \"\n*\"" }, { "1\x80 * * * *", "minute" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_t err = { 0 };
        cron_t cron;
        if (cron_parse (&cron, cases [i].text, "nightly", &err) == 0)
            fail_msg ("\"%s\" is taken", cases [i].text);
        assert_int_equal (err.code, ERR_USAGE);
        AUTO_FREE char *words = mem_strdup (cases [i].words);
        for (char *at = words; *at; at++)
            *at = *at == '\n' ? ' ' : *at;      /* as err_set has it */
        if (!strstr (err.text, words))
            fail_msg ("\"%s\" gives: %s", cases [i].text, err.text);
    }
    AUTO_FREE char *longest = mem_alloc (CRON_TEXT_MAX + 1);
    memset (longest, '1', CRON_TEXT_MAX);
    cron_t cron;
    assert_int_equal (cron_parse (&cron, longest, "nightly", NULL), -1);
}

static void spaces (void **state)
{
    (void) state;
    cron_t one, other;
    assert_int_equal (cron_parse (&one, "30 2 * * 1-5", "a", NULL), 0);
    assert_int_equal (cron_parse (&other, " \t30\t2  * * 1-5 ", "b", NULL), 0);
    assert_memory_equal (one.sets, other.sets, sizeof one.sets);
}

static void names_of_zones (void **state)
{
    (void) state;
    static const char *const none [] = { "", "Europe", "Europe/", "Europe/berlin", "Berlin", "Mars/Olympus", "/usr/share/zoneinfo/UTC", "../zoneinfo/UTC", "Europe/../UTC",
                                         "right/UTC", "zone.tab", "leapseconds", "+02:00", "CET-1CEST", ":UTC", "Europe//Berlin", "UTC\n", "tzdata.zi",
                                         "A/very/long/name/that/no/zone/of/tzdata/has/and/none/ever/will/I/hope" };
    static const char *const some [] = { "UTC", "Europe/Berlin", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "EST5EDT" };
    zone_t *zone = NULL;
    err_t err;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        if (zone_new (&zone, none [i], &err) == 0)
            fail_msg ("there is a zone \"%s\"", none [i]);
        assert_int_equal (err.code, ERR_USAGE);
        assert_non_null (strstr (err.text, "there is no time zone"));
    }
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        assert_int_equal (zone_new (&zone, some [i], &err), 0);
        zone_destroy (&zone);
    }
}

/* 600 names over 60 minutes: none has nothing, none has far too many. */
static void hashes_spread (void **state)
{
    (void) state;
    int counts [60] = { 0 };
    for (int i = 0; i < 600; i++) {
        char name [16];
        cron_t cron, again;
        snprintf (name, sizeof name, "job-%d", i);
        assert_int_equal (cron_parse (&cron, "H H * * *", name, NULL), 0);
        assert_int_equal (cron_parse (&again, "H H * * *", name, NULL), 0);
        assert_memory_equal (cron.sets, again.sets, sizeof cron.sets);
        counts [__builtin_ctzll (cron.sets [CRON_MINUTE])]++;
    }
    for (int i = 0; i < 60; i++)
        assert_in_range (counts [i], 1, 30);
}

/* All that the farm's clock can say has an answer, and each answer comes behind the question. */
static void far_times (void **state)
{
    (void) state;
    static const int64_t times [] = { 0, -1, -86400000, 1, 253402300799000, 4102444800000, -62135596800000 };
    static const char *const texts [] = { "* * * * *", "30 2 * * *", "0 0 29 2 *", "0 0 29 2 */7" };
    zone_t *zone = NULL;
    assert_int_equal (zone_new (&zone, "Europe/Berlin", NULL), 0);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++) {
            cron_t cron;
            assert_int_equal (cron_parse (&cron, texts [j], "nightly", NULL), 0);
            int64_t next = cron_next (&cron, zone, times [i]);
            assert_true (next > times [i] && next - times [i] < 50ll * 366 * 86400000);
        }
    zone_destroy (&zone);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (the_table), cmocka_unit_test (several_threads), cmocka_unit_test (refusals), cmocka_unit_test (spaces),
        cmocka_unit_test (names_of_zones), cmocka_unit_test (hashes_spread), cmocka_unit_test (far_times),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
