/* test_build_log.c - which logs are kept: the young ones, as many as there is room for, and those that are still written. Each time it is
 * told before what would go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "coordinator/log_retention.h"

typedef struct {
    char folder [64];
    build_logs_t *logs;
} state_t;

static int set_up (void **state)
{
    state_t *self = mem_alloc (sizeof *self);
    err_t err = { 0 };
    strcpy (self->folder, "/tmp/build-log-XXXXXX");
    assert_non_null (mkdtemp (self->folder));
    assert_int_equal (build_logs_new (&self->logs, self->folder, 1 << 20, &err), 0);
    *state = self;
    return 0;
}

static int tear_down (void **state)
{
    state_t *self = *state;
    build_logs_destroy (&self->logs);
    int rc = file_remove_tree (self->folder, NULL);
    free (self);
    return rc;
}

/* A log of 1,000 bytes, written last at that second. */
static void write_log (state_t *self, int64_t job, int64_t attempt, time_t second)
{
    err_t err = { 0 };
    char bytes [1000];
    int64_t end;
    memset (bytes, 'x', sizeof bytes);
    build_logs_open (self->logs, job, attempt, 1);
    assert_int_equal (build_logs_append (self->logs, job, attempt, 1, 0, bytes, sizeof bytes, &end, &err), 0);
    AUTO_FREE char *path = mem_printf ("%s/%lld-%lld.log", self->folder, (long long) job, (long long) attempt);
    const struct timespec times [2] = { { .tv_sec = second }, { .tv_sec = second } };
    assert_int_equal (utimensat (AT_FDCWD, path, times, 0), 0);
}

static void end_log (state_t *self, int64_t job, int64_t attempt, time_t second)
{
    write_log (self, job, attempt, second);
    build_logs_close (self->logs, job, attempt);
}

static bool is_there (state_t *self, int64_t job, int64_t attempt)
{
    AUTO_FREE char *path = mem_printf ("%s/%lld-%lld.log", self->folder, (long long) job, (long long) attempt);
    return file_exists (path);
}

static int64_t apply (state_t *self, log_limits_t limits, uint64_t bytes)
{
    err_t err = { 0 };
    AUTO_BUFFER buffer_t told = { 0 }, gone = { 0 };
    uint64_t told_bytes = 0, gone_bytes = 0;
    limits.is_dry = true;
    assert_int_equal (log_retention_apply (self->logs, &limits, &told, &told_bytes, &err), 0);
    limits.is_dry = false;
    assert_int_equal (log_retention_apply (self->logs, &limits, &gone, &gone_bytes, &err), 0);
    assert_int_equal (gone_bytes, bytes);
    assert_int_equal (told_bytes, bytes);
    assert_int_equal (told.size, gone.size);
    if (gone.size > 0)
        assert_memory_equal (told.data, gone.data, gone.size);
    return (int64_t) (gone.size / sizeof (log_name_t));
}

static int64_t trim (state_t *self, int64_t before_ms, int64_t total_bytes, uint64_t bytes)
{
    return apply (self, (log_limits_t) { .before_ms = before_ms, .total_bytes = total_bytes }, bytes);
}

static void a_log_begins_with_its_first_line (void **state)
{
    state_t *self = *state;
    err_t err = { 0 };
    AUTO_BUFFER buffer_t text = { 0 };
    bool is_ended = true;
    int64_t end;
    build_logs_open (self->logs, 3, 1, 1);
    assert_false (is_there (self, 3, 1));
    assert_int_equal (build_logs_read (self->logs, 3, 1, 0, 100, &text, &is_ended, &err), 0);
    assert_true (text.size == 0 && !is_ended);
    assert_int_equal (build_logs_append (self->logs, 3, 1, 1, 0, "a line\n", 7, &end, &err), 0);
    build_logs_close (self->logs, 3, 1);
    assert_int_equal (build_logs_read (self->logs, 3, 1, 0, 100, &text, &is_ended, &err), 0);
    assert_true (text.size == 7 && is_ended);
    build_logs_open (self->logs, 3, 2, 1);
    build_logs_close (self->logs, 3, 2);
    assert_int_equal (build_logs_read (self->logs, 3, 2, 0, 100, &text, &is_ended, &err), -1);
    assert_int_equal (err.code, ERR_NOT_FOUND);
}

static void old_ones_go (void **state)
{
    state_t *self = *state;
    end_log (self, 1, 1, 100);
    end_log (self, 1, 2, 200);
    write_log (self, 2, 1, 100);
    assert_int_equal (trim (self, 0, 0, 0), 0);
    assert_int_equal (trim (self, 200000, 0, 1000), 1);
    assert_true (!is_there (self, 1, 1) && is_there (self, 1, 2) && is_there (self, 2, 1));
}

static void the_oldest_make_room (void **state)
{
    state_t *self = *state;
    end_log (self, 7, 1, 300);
    end_log (self, 8, 1, 100);
    end_log (self, 9, 1, 200);
    write_log (self, 10, 1, 50);                /* is no part of what can be taken */
    assert_int_equal (trim (self, 0, 3000, 0), 0);
    assert_int_equal (trim (self, 0, 2999, 1000), 1);
    assert_false (is_there (self, 8, 1));
    assert_int_equal (trim (self, 0, 1, 2000), 2);
    assert_true (is_there (self, 10, 1));
}

/* They do not count among those that have to go for their size. */
static void those_of_forgotten_builds_go (void **state)
{
    state_t *self = *state;
    for (int job = 1; job <= 5; job++)
        end_log (self, job, 1, 100 * job);
    write_log (self, 6, 1, 50);
    const log_name_t doomed [] = { { 6, 1 }, { 99, 1 }, { 4, 1 }, { 5, 2 } };
    log_limits_t limits = { .doomed = doomed, .doomed_count = 4, .total_bytes = 3000 };
    assert_int_equal (apply (self, limits, 2000), 2);
    assert_false (is_there (self, 1, 1) || is_there (self, 4, 1));
    assert_true (is_there (self, 2, 1) && is_there (self, 3, 1) && is_there (self, 5, 1) && is_there (self, 6, 1));
    assert_int_equal (build_logs_remove (self->logs, 5, 1), 1000);
    assert_int_equal (build_logs_remove (self->logs, 5, 1), -1);
    assert_int_equal (build_logs_remove (self->logs, 6, 1), -1);
    assert_true (is_there (self, 6, 1) && !is_there (self, 5, 1));
}

static void nothing_else_is_touched (void **state)
{
    state_t *self = *state;
    err_t err = { 0 };
    static const char *const names [] = { "notes", "1-2.log.bak", "a-b.log", "1.log" };
    for (size_t i = 0; i < 4; i++) {
        AUTO_FREE char *path = file_join (self->folder, names [i]);
        assert_int_equal (file_write (path, "x", 1, 0600, &err), 0);
    }
    AUTO_FREE char *link = file_join (self->folder, "3-1.log"), *folder = file_join (self->folder, "4-1.log");
    assert_int_equal (symlink ("/etc/passwd", link), 0);
    assert_int_equal (mkdir (folder, 0700), 0);
    assert_int_equal (trim (self, INT64_MAX, 1, 0), 0);
    for (size_t i = 0; i < 4; i++) {
        AUTO_FREE char *path = file_join (self->folder, names [i]);
        assert_true (file_exists (path));
    }
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)
    const struct CMUnitTest tests [] = {
        TEST (a_log_begins_with_its_first_line),
        TEST (old_ones_go),
        TEST (the_oldest_make_room),
        TEST (those_of_forgotten_builds_go),
        TEST (nothing_else_is_touched),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
