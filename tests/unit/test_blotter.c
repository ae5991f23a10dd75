/* test_blotter.c - what is blotted out of a builder's output, beside a plain search, and how long it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/mem.h"
#include "worker/blotter.h"

enum { LONG = 40000, MANY = 250000, OUTPUT = 16 << 20, LIMIT_MS = 60000 };

static void add_secret (secrets_t *secrets, const char *text, size_t size)
{
    char id [16];
    snprintf (id, sizeof id, "s%zu", secrets->count);
    secret_t *secret = secrets_add (secrets, id, size, NULL);
    assert_non_null (secret);
    if (size)
        memcpy (secret->data, text, size);
}

/* One line that goes in by pieces of so many bytes. */
static void assert_blotted (blotter_t *blotter, const char *line, size_t size, size_t piece, const char *expected)
{
    for (size_t at = 0; at < size; at += piece)
        blotter_add (blotter, line + at, size - at < piece ? size - at : piece);
    size_t shown_size;
    const char *shown = blotter_end (blotter, &shown_size);
    AUTO_FREE char *text = mem_strndup (shown, shown_size);
    assert_string_equal (text, expected);
}

static unsigned random_state = 1;

static unsigned random_below (unsigned count)
{
    random_state = random_state * 1103515245 + 12345;
    return (random_state >> 12) % count;
}

static void fill (char *text, size_t size)
{
    static const char letters [] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i++)
        text [i] = letters [random_below (64)];
}

/* -- lines ---------------------------------------------------------------------------------------------------------- */

static void each_line_of_8_bytes_is_blotted (void **state)
{
    (void) state;
    AUTO_SECRETS secrets_t secrets = { .count = 0 };
    static const char text [] = "first-line\r\nshort\n1234567\n\n\r\nsecond line", prefix [] = "second line and more of it", inner [] = "line and more\nbegin-12\n-12345678";
    add_secret (&secrets, text, strlen (text));
    add_secret (&secrets, "", 0);
    add_secret (&secrets, prefix, strlen (prefix));
    add_secret (&secrets, inner, strlen (inner));
    static const struct { const char *line, *blotted; } rows [] = {
        { "", "" }, { "short", "short" }, { "1234567", "1234567" }, { "first-line", "***" }, { "first-line\r", "***\r" }, { "<first-line>", "<***>" },
        { "first-linefirst-line", "******" }, { "first-lin", "first-lin" }, { "irst-line", "irst-line" }, { "second linefirst-line!", "******!" },
        { "nothing of it", "nothing of it" }, { "second line and more of it", "***" }, { "second line and more of us", "*** of us" },
        { "second line and mere", "*** and mere" }, { "second line and more of it, second line", "***, ***" }, { "a line and more", "a ***" },
        { "begin-12345678", "***" }, { "first-line second line 1234567", "*** *** 1234567" },
    };
    AUTO (blotter) blotter_t *blotter = blotter_new (&secrets);
    for (size_t piece = 1; piece < 100; piece += 7)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            assert_blotted (blotter, rows [i].line, strlen (rows [i].line), piece, rows [i].blotted);
}

static void without_secrets_nothing_is (void **state)
{
    (void) state;
    AUTO_SECRETS secrets_t none = { .count = 0 };
    add_secret (&none, "short\n1234567\r\n", 15);
    AUTO (blotter) blotter_t *blotter = blotter_new (NULL), *other = blotter_new (&none);
    assert_blotted (blotter, "short 1234567", 13, 5, "short 1234567");
    assert_blotted (other, "short 1234567", 13, 5, "short 1234567");
    AUTO_FREE char *line = mem_alloc (LONG);
    memset (line, 'x', LONG);
    AUTO_FREE char *first = mem_strndup (line, 20 * 1024);
    assert_blotted (blotter, line, LONG, LONG, first);
}

static void the_last_of_300_lines_is_blotted (void **state)
{
    (void) state;
    AUTO_SECRETS secrets_t secrets = { .count = 0 };
    AUTO_BUFFER buffer_t text = { 0 }, printed = { 0 }, blotted = { 0 };
    for (int i = 1; i <= 300; i++) {
        char word [64];
        fill (word, sizeof word);
        buffer_printf (&text, "%03d%.*s\n", i, (int) sizeof word, word);
        buffer_printf (&printed, "%s%03d%.*s", i > 1 ? " " : "", i, (int) sizeof word, word);
        buffer_text (&blotted, i > 1 ? " ***" : "***");
    }
    add_secret (&secrets, (const char *) text.data, text.size);
    AUTO (blotter) blotter_t *blotter = blotter_new (&secrets);
    for (size_t i = 0; i < 300; i++)
        assert_blotted (blotter, (const char *) text.data + i * 68, 67, 67, "***");
    /* All of them in one line of 20,399 bytes, and cut anywhere */
    assert_blotted (blotter, (const char *) printed.data, printed.size, printed.size, (const char *) blotted.data);
    assert_blotted (blotter, (const char *) printed.data, printed.size, 1000, (const char *) blotted.data);
}

/* What a line of output has of a secret where it is cut does not show either. */
static void no_beginning_stands_where_the_output_is_cut (void **state)
{
    (void) state;
    AUTO_SECRETS secrets_t secrets = { .count = 0 };
    char word [400];
    fill (word, sizeof word);
    add_secret (&secrets, word, sizeof word);
    AUTO (blotter) blotter_t *blotter = blotter_new (&secrets);
    for (size_t before = 20 * 1024 - 410; before < 20 * 1024; before++) {
        AUTO_FREE char *line = mem_alloc (before + sizeof word + 1);
        memset (line, '.', before);
        memcpy (line + before, word, sizeof word);
        AUTO_FREE char *expected = mem_printf ("%.*s%.*s", (int) before, line, (int) (before + 3 > 20 * 1024 ? 20 * 1024 - before : 3), "***");
        assert_blotted (blotter, line, before + sizeof word, 16384, expected);
    }
}

/* -- long lines --------------------------------------------------------------------------------------------------------- */

static void a_piece_of_a_long_line_is_blotted (void **state)
{
    (void) state;
    AUTO_SECRETS secrets_t secrets = { .count = 0 };
    AUTO_FREE char *text = mem_alloc (LONG + 1);
    fill (text, LONG);
    add_secret (&secrets, "another\n", 8);
    add_secret (&secrets, text, LONG);
    AUTO (blotter) blotter_t *blotter = blotter_new (&secrets);
    static const size_t sizes [] = { 32, 33, 47, 100, 4096, 4097, 16384, 20480, 20481, 24576, 30000, LONG }, pieces [] = { 1, 4096, 16384, 20000, LONG };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof pieces / sizeof *pieces; j++)
            for (size_t step = 0, at = 0; step <= 40; step++, at = (LONG - sizes [i]) * step / 40) {
                assert_blotted (blotter, text + at, sizes [i], pieces [j], "***");
                AUTO_FREE char *line = mem_printf ("it is <%.*s>.", (int) sizes [i], text + at);
                assert_blotted (blotter, line, strlen (line), pieces [j], "it is <***>.");
            }
    AUTO_FREE char *twice = mem_printf ("%s and %s", text, text + LONG - 50);
    assert_blotted (blotter, twice, strlen (twice), LONG, "*** and ***");
    AUTO_FREE char *little = mem_strndup (text + 100, 23);
    assert_blotted (blotter, little, 23, 23, little);
}

/* A line as long as may be is found where it stands whole, a byte more makes it one that is found in pieces. */
static void where_long_begins (void **state)
{
    (void) state;
    for (size_t size = 4094; size <= 4099; size++) {
        AUTO_SECRETS secrets_t secrets = { .count = 0 };
        AUTO_FREE char *text = mem_alloc (size + 1);
        fill (text, size);
        add_secret (&secrets, text, size);
        AUTO (blotter) blotter_t *blotter = blotter_new (&secrets);
        AUTO_FREE char *part = mem_strndup (text, size - 1);
        assert_blotted (blotter, text, size, 1000, "***");
        assert_blotted (blotter, part, size - 1, 1000, size > 4096 ? "***" : part);
        for (size_t at = 15000; at < 16500; at += 7) {
            AUTO_FREE char *line = mem_printf ("%*s!%s!", (int) at, "", text), *expected = mem_printf ("%*s!***!", (int) at, "");
            assert_blotted (blotter, line, strlen (line), 16384, expected);
        }
    }
}

/* -- beside a plain search ---------------------------------------------------------------------------------------------- */

static size_t longest_at (const char *const *lines, const size_t *sizes, size_t count, const char *at, size_t left)
{
    size_t best = 0;
    for (size_t i = 0; i < count; i++)
        if (sizes [i] > best && sizes [i] <= left && memcmp (lines [i], at, sizes [i]) == 0)
            best = sizes [i];
    return best;
}

static char *blot_plainly (const char *const *lines, const size_t *sizes, size_t count, const char *text, size_t size)
{
    AUTO_BUFFER buffer_t out = { 0 };
    buffer_text (&out, "");
    size_t covered = 0;
    for (size_t i = 0; i < size; i++) {
        size_t length = longest_at (lines, sizes, count, text + i, size - i);
        if (length > 0 && i >= covered)
            buffer_text (&out, "***");
        if (length > 0 && i + length > covered)
            covered = i + length;
        if (i >= covered)
            buffer_printf (&out, "%c", text [i]);
    }
    return mem_strndup ((const char *) out.data, out.size);
}

static void it_finds_what_a_plain_search_finds (void **state)
{
    (void) state;
    enum { LINES = 24, LINE = 300, TEXT = 600 };
    for (int round = 0; round < 3000; round++) {
        AUTO_SECRETS secrets_t secrets = { .count = 0 };
        char storage [LINES] [LINE], text [TEXT];
        const char *lines [LINES];
        size_t sizes [LINES], count = 1 + random_below (LINES), size = random_below (TEXT);
        unsigned letters = 1 + random_below (3), line_max = 8 + random_below (LINE - 8);
        for (size_t i = 0; i < count; i++) {
            lines [i] = storage [i];
            sizes [i] = 8 + random_below (line_max - 7);
            for (size_t k = 0; k < sizes [i]; k++)
                storage [i] [k] = (char) ('a' + random_below (letters));
            if (i > 0 && random_below (2))      /* one begins with what another begins with */
                memcpy (storage [i], storage [i - 1], sizes [i] < sizes [i - 1] ? sizes [i] : sizes [i - 1]);
            add_secret (&secrets, storage [i], sizes [i]);
        }
        for (size_t i = 0; i < size; i++)
            text [i] = (char) ('a' + random_below (letters));
        for (int i = 0; i < 3; i++) {           /* beginnings of lines, and whole ones */
            size_t which = random_below ((unsigned) count), length = random_below ((unsigned) sizes [which] + 1) | (random_below (2) ? sizes [which] : 0);
            length = length < sizes [which] ? length : sizes [which];
            if (length < size)
                memcpy (text + random_below ((unsigned) (size - length)), lines [which], length);
        }
        AUTO (blotter) blotter_t *blotter = blotter_new (&secrets);
        AUTO_FREE char *expected = blot_plainly (lines, sizes, count, text, size);
        assert_blotted (blotter, text, size, 1 + random_below (TEXT), expected);
    }
}

/* -- time --------------------------------------------------------------------------------------------------------------- */

static int64_t cpu_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 16 MB of output by lines of so many bytes, against these secrets */
static void assert_is_quick (const secrets_t *secrets, const char *output, size_t line_size, const char *what)
{
    int64_t start = cpu_ms (), made;
    AUTO (blotter) blotter_t *blotter = blotter_new (secrets);
    made = cpu_ms ();
    for (size_t at = 0; at < OUTPUT; at += line_size) {
        size_t shown;
        blotter_add (blotter, output + at, OUTPUT - at < line_size ? OUTPUT - at : line_size);
        blotter_end (blotter, &shown);
    }
    printf ("# %s: index %lld ms, 16 MB in lines of %zu %lld ms\n", what, (long long) (made - start), line_size, (long long) (cpu_ms () - made));
    assert_true (cpu_ms () - start < LIMIT_MS);
}

static void many_lines_are_quick (void **state)
{
    (void) state;
    AUTO_SECRETS secrets_t secrets = { .count = 0 };
    AUTO_BUFFER buffer_t text = { 0 };
    AUTO_FREE char *output = mem_alloc (OUTPUT);
    char word [16];
    for (int i = 0; i < MANY; i++) {
        fill (word, sizeof word);
        buffer_append (&text, word, 15);
        buffer_append (&text, "\n", 1);
        if (text.size + 16 > SECRET_BYTES_MAX || i + 1 == MANY) {
            add_secret (&secrets, (const char *) text.data, text.size);
            buffer_clear (&text);
        }
    }
    fill (output, OUTPUT);
    assert_is_quick (&secrets, output, 80, "250,000 lines, none of them printed");
    const secret_t *one = &secrets.items [3];
    for (size_t at = 0; at + one->size <= OUTPUT; at += one->size)
        memcpy (output + at, one->data, one->size);
    assert_is_quick (&secrets, output, 16, "250,000 lines, printed");
}

static void all_that_a_build_may_have_is_quick (void **state)
{
    (void) state;
    AUTO_SECRETS secrets_t lines = { .count = 0 }, pieces = { .count = 0 };
    AUTO_FREE char *output = mem_alloc (OUTPUT);
    fill (output, OUTPUT);
    for (int i = 0; i < SECRETS_MAX; i++) {
        add_secret (&lines, output + i * SECRET_BYTES_MAX, SECRET_BYTES_MAX);
        add_secret (&pieces, output + i * SECRET_BYTES_MAX, SECRET_BYTES_MAX);
        for (size_t at = 8; at < SECRET_BYTES_MAX; at += 9)
            lines.items [i].data [at] = '\n';
    }
    assert_is_quick (&lines, output, 80, "1,800,000 lines of 8 bytes");
    assert_is_quick (&pieces, output, 80, "32 lines of 500 KiB");
    assert_is_quick (&pieces, output, 20000, "32 lines of 500 KiB");
}

static void one_byte_repeated_is_quick (void **state)
{
    (void) state;
    AUTO_SECRETS secrets_t whole = { .count = 0 }, growing = { .count = 0 };
    AUTO_FREE char *output = mem_alloc (OUTPUT);
    memset (output, 'a', OUTPUT);
    AUTO_BUFFER buffer_t text = { 0 };
    add_secret (&whole, output, 500000);
    for (size_t size = 8; size <= 4096; size++) {       /* each line begins with all before it, and ends otherwise or not */
        if (text.size + size + 2 > SECRET_BYTES_MAX) {
            add_secret (&growing, (const char *) text.data, text.size);
            buffer_clear (&text);
        }
        buffer_append (&text, output, size);
        buffer_text (&text, size % 2 ? "b\n" : "\n");
    }
    assert_is_quick (&whole, output, OUTPUT, "one byte 500,000 times");
    assert_is_quick (&whole, output, 16000, "one byte 500,000 times");
    assert_is_quick (&growing, output, 4000, "one byte 8 to 4,096 times");
    for (size_t i = 0; i < OUTPUT; i += 4001)
        output [i] = 'c';
    assert_is_quick (&growing, output, 4001, "one byte 8 to 4,096 times");
}

int main (void)
{
    assert_true (sodium_init () >= 0);
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (each_line_of_8_bytes_is_blotted),
        cmocka_unit_test (without_secrets_nothing_is),
        cmocka_unit_test (the_last_of_300_lines_is_blotted),
        cmocka_unit_test (no_beginning_stands_where_the_output_is_cut),
        cmocka_unit_test (a_piece_of_a_long_line_is_blotted),
        cmocka_unit_test (where_long_begins),
        cmocka_unit_test (it_finds_what_a_plain_search_finds),
        cmocka_unit_test (many_lines_are_quick),
        cmocka_unit_test (all_that_a_build_may_have_is_quick),
        cmocka_unit_test (one_byte_repeated_is_quick),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
