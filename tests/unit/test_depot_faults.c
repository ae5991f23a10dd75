/* test_depot_faults.c - what goes wrong around a depot: damaged bytes, a full disk, a killed program, a second one on the
 * same folder, many threads at once. What was acknowledged is there, whole; the rest is not there at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "depots.h"

/* -- damage ----------------------------------------------------------------------------------------------------- */

static void tamper (depots_t *self, const char *sql)
{
    depot_destroy (&self->depot);
    depots_run_sql (self->folder, sql);
    assert_int_equal (depot_open (&self->depot, self->folder, NULL), 0);
}

/* The object itself, the folder and the root: each told once, for each what it is. */
static void tells_what_was_lost (depot_t *depot, const small_context_t *bad)
{
    const digest_t root = small_context_root (bad), folder = digest_of (bad->folder.data, bad->folder.size);
    const digest_t file = digest_of (bad->file.data, bad->file.size);
    depot_lost_t lost;
    int seen = 0;
    while (depot_next_lost (depot, &lost)) {
        seen++;
        assert_int_equal (lost.is_root, digest_equal (&lost.digest, &root));
        assert_int_equal (lost.is_damaged, digest_equal (&lost.digest, &file));
        assert_true (lost.is_root || lost.is_damaged || digest_equal (&lost.digest, &folder));
    }
    assert_int_equal (seen, 3);
}

static void a_damaged_object_goes_with_all_that_names_it_and_can_be_sent_again (void **state)
{
    depots_t *self = *state;
    static const char *const damages [] = {
        "UPDATE object SET offset = offset + 1 WHERE raw_bytes > 50000",
        "UPDATE object SET offset = -1 WHERE raw_bytes > 50000",
        "UPDATE object SET offset = 9223372036854775807 - stored_bytes WHERE raw_bytes > 50000",
        "UPDATE object SET segment = 77 WHERE raw_bytes > 50000",
        "UPDATE object SET segment = -77 WHERE raw_bytes > 50000",
        "UPDATE object SET stored_bytes = stored_bytes - 1 WHERE raw_bytes > 50000",
        "UPDATE object SET stored_bytes = 0 WHERE raw_bytes > 50000",
        "UPDATE object SET stored_bytes = -1 WHERE raw_bytes > 50000",
        "UPDATE object SET stored_bytes = 9223372036854775807 WHERE raw_bytes > 50000",
        "UPDATE object SET used = 9223372036854775807, offset = -1 WHERE raw_bytes > 50000",
        "UPDATE object SET is_zstd = 1 WHERE raw_bytes > 50000",
        "UPDATE object SET is_zstd = 1, raw_bytes = 9223372036854775807 WHERE raw_bytes > 50000",
        "UPDATE object SET is_zstd = 1, raw_bytes = -1 WHERE raw_bytes > 50000",
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        small_context_t bad;
        depot_stats_t before, after;
        AUTO_BUFFER buffer_t out = { 0 };
        err_t err = { 0 };
        assert_int_equal (put_context (self->depot, 60000, 1, &err), 0);
        assert_int_equal (put_context (self->depot, 100, 2, &err), 0);
        depot_stats (self->depot, &before);
        tamper (self, damages [i]);
        assert_in_range (depot_mark (self->depot), 1, 1000);
        small_context_make (&bad, 60000, 1);
        digest_t digest = digest_of (bad.file.data, bad.file.size);
        assert_int_equal (depot_get (self->depot, &digest, &out, NULL, &err), -1);
        if (err.code != ERR_NOT_FOUND)                          /* gone when the depot was opened */
            assert_non_null (strstr (err.text, "send the context again"));
        assert_false (has (self->depot, &bad.root) || has (self->depot, &bad.folder) || has (self->depot, &bad.file));
        assert_int_equal (presence (self->depot, 100, 2), 1);
        tells_what_was_lost (self->depot, &bad);
        assert_int_equal (put_context (self->depot, 60000, 1, &err), 0);
        assert_int_equal (presence (self->depot, 60000, 1), 1);
        depot_stats (self->depot, &after);
        assert_int_equal (after.bytes, before.bytes);
        small_context_free (&bad);
    }
}

static void damage_found_within_a_transaction_is_gone_after_its_end (void **state)
{
    depots_t *self = *state;
    small_context_t bad;
    AUTO_BUFFER buffer_t out = { 0 };
    err_t err = { 0 };
    assert_int_equal (put_context (self->depot, 60000, 1, &err), 0);
    depots_flip (self->folder, 1, 100);
    small_context_make (&bad, 60000, 1);
    digest_t digest = digest_of (bad.file.data, bad.file.size);
    assert_int_equal (depot_begin (self->depot, &err), 0);
    assert_int_equal (depot_get (self->depot, &digest, &out, NULL, &err), -1);
    depot_lost_t lost;
    assert_false (depot_next_lost (self->depot, &lost));
    depot_rollback (self->depot);
    assert_false (has (self->depot, &bad.root) || has (self->depot, &bad.folder) || has (self->depot, &bad.file));
    tells_what_was_lost (self->depot, &bad);
    depot_stats_t stats;
    depot_stats (self->depot, &stats);
    assert_int_equal (stats.damaged_objects, 1);
    depots_reopen (self);
    assert_false (has (self->depot, &bad.root));
    small_context_free (&bad);
}

/* Whatever stands in the file, the program gets an answer; what it gets out has the digest it asked for. */
static void a_file_overwritten_in_places_is_an_error_and_no_crash (void **state)
{
    depots_t *self = *state;
    AUTO_FREE char *path = file_join (self->folder, "objects.db");
    AUTO_BUFFER buffer_t whole = { 0 };
    for (uint64_t seed = 0; seed < 20; seed++)
        assert_int_equal (put_context (self->depot, 5000, seed, NULL), 0);
    depot_destroy (&self->depot);
    assert_int_equal (file_read (path, 1 << 24, &whole, NULL), 0);
    for (size_t round = 0; round < 30; round++) {
        AUTO_BUFFER buffer_t damaged = { 0 }, garbage = { 0 };
        err_t err = { 0 };
        buffer_append (&damaged, whole.data, whole.size);
        noise (&garbage, 3000, round);
        memcpy (damaged.data + (whole.size - garbage.size) * round / 29, garbage.data, garbage.size);
        assert_int_equal (file_write (path, damaged.data, damaged.size, 0600, NULL), 0);
        if (depot_open (&self->depot, self->folder, &err) < 0) {
            assert_int_equal (err.code, ERR_FARM);
            continue;
        }
        for (uint64_t seed = 0; seed < 20; seed++)
            presence (self->depot, 5000, seed);
        put_context (self->depot, 5000, 1000 + round, &err);
        depot_trim (self->depot, 0, &err);
        depot_destroy (&self->depot);
    }
}

static void a_file_of_somebody_else_is_left_alone (void **state)
{
    depots_t *self = *state;
    AUTO_FREE char *path = file_join (self->folder, "objects.db");
    depot_destroy (&self->depot);
    static const char *const sql [] = { "PRAGMA application_id = 7", "PRAGMA application_id = 1178887536; PRAGMA user_version = 4" };
    static const char *const says [] = { "no depot", "version 4" };
    for (int i = 0; i < 2; i++) {
        sqlite3 *db = NULL;
        err_t err = { 0 };
        assert_int_equal (sqlite3_open (path, &db), SQLITE_OK);
        assert_int_equal (sqlite3_exec (db, sql [i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close (db);
        assert_int_equal (depot_open (&self->depot, self->folder, &err), -1);
        assert_int_equal (err.code, ERR_FARM);
        assert_non_null (strstr (err.text, says [i]));
    }
    err_t err = { 0 };
    AUTO_BUFFER buffer_t text = { 0 };
    while (text.size < 10000)
        buffer_text (&text, "a letter to a friend\n");
    assert_int_equal (file_write (path, text.data, text.size, 0600, NULL), 0);
    assert_int_equal (depot_open (&self->depot, self->folder, &err), -1);
    assert_int_equal (err.code, ERR_FARM);
    assert_non_null (strstr (err.text, "damaged"));
    AUTO_BUFFER buffer_t after = { 0 };
    assert_int_equal (file_read (path, 1 << 20, &after, NULL), 0);
    assert_int_equal (after.size, text.size);
    assert_memory_equal (after.data, text.data, text.size);
}

/* -- one at a time ---------------------------------------------------------------------------------------------- */

static void a_second_program_on_the_folder_is_refused_by_name (void **state)
{
    depots_t *self = *state;
    char expected [64];
    snprintf (expected, sizeof expected, "in use by process %ld", (long) getpid ());
    pid_t child = fork ();
    if (child == 0) {
        depot_t *second = NULL;
        err_t err = { 0 };
        int rc = depot_open (&second, self->folder, &err);
        _exit (rc == -1 && err.code == ERR_FARM && strstr (err.text, expected) && strstr (err.text, self->folder) ? 0 : 1);
    }
    int status;
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_int_equal (status, 0);
    depot_t *second = NULL;
    assert_int_equal (depot_open (&second, self->folder, NULL), -1);
    assert_null (second);
    assert_int_equal (put_context (self->depot, 100, 1, NULL), 0);
    depots_reopen (self);
    assert_int_equal (presence (self->depot, 100, 1), 1);
}

/* -- threads ---------------------------------------------------------------------------------------------------- */

enum { THREADS = 6, CONTEXTS = 25 };

typedef struct { depot_t *depot; uint64_t first; int failed; } job_t;

static void *work (void *argument)
{
    job_t *job = argument;
    for (uint64_t i = 0; i < CONTEXTS; i++) {
        err_t err = { 0 };
        if (put_context (job->depot, 2000, job->first + i, &err) < 0 || presence (job->depot, 2000, job->first + i) != 1)
            job->failed++;
        if (is_broken (job->depot, 2000, i * 7 % 100))
            job->failed++;
        depot_stats_t stats;
        depot_stats (job->depot, &stats);
    }
    return NULL;
}

/* Neighbours share half of their contexts, so the same objects come from two threads at once. */
static void many_threads_put_and_get_at_once (void **state)
{
    depots_t *self = *state;
    pthread_t threads [THREADS];
    job_t jobs [THREADS];
    for (int i = 0; i < THREADS; i++) {
        jobs [i] = (job_t) { self->depot, (uint64_t) i * CONTEXTS / 2, 0 };
        assert_int_equal (pthread_create (&threads [i], NULL, work, &jobs [i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join (threads [i], NULL);
        assert_int_equal (jobs [i].failed, 0);
    }
    uint64_t contexts = (THREADS - 1) * CONTEXTS / 2 + CONTEXTS;
    depot_stats_t stats;
    depot_stats (self->depot, &stats);
    assert_int_equal (stats.objects, 3 * contexts);
    assert_int_equal (stats.received_objects, 3 * THREADS * CONTEXTS);
    depots_reopen (self);
    for (uint64_t seed = 0; seed < contexts; seed++)
        assert_int_equal (presence (self->depot, 2000, seed), 1);
}

/* One reads what another forgets and stores again: bytes are right, or it is not there. */
static void *read_on (void *argument)
{
    job_t *job = argument;
    for (uint64_t i = 0; i < 2000; i++) {
        AUTO_BUFFER buffer_t file = { 0 }, out = { 0 };
        err_t err = { 0 };
        noise (&file, 2000 + i % CONTEXTS, i % CONTEXTS);
        digest_t digest = digest_of (file.data, file.size);
        if (depot_get (job->depot, &digest, &out, NULL, &err) < 0)
            job->failed += err.code != ERR_NOT_FOUND;
        else
            job->failed += out.size != file.size || memcmp (out.data, file.data, out.size) != 0;
    }
    return NULL;
}

static void readers_beside_a_writer_get_the_right_bytes_or_none (void **state)
{
    depots_t *self = *state;
    pthread_t threads [THREADS];
    job_t jobs [THREADS];
    for (int i = 0; i < THREADS; i++) {
        jobs [i] = (job_t) { self->depot, 0, 0 };
        assert_int_equal (pthread_create (&threads [i], NULL, read_on, &jobs [i]), 0);
    }
    for (int round = 0; round < 20; round++) {
        for (uint64_t seed = 0; seed < CONTEXTS; seed++)
            assert_int_equal (put_context (self->depot, 2000 + seed, seed, NULL), 0);
        assert_true (depot_trim (self->depot, 0, NULL) >= 3 * CONTEXTS);
    }
    depot_stats_t stats;
    for (int i = 0; i < THREADS; i++) {
        pthread_join (threads [i], NULL);
        assert_int_equal (jobs [i].failed, 0);
    }
    depot_stats (self->depot, &stats);
    assert_int_equal (stats.damaged_objects, 0);
}

/* -- kill -9 ---------------------------------------------------------------------------------------------------- */

/* Commit context after context, telling each number once it is committed. */
static void commit_until_killed (const char *folder, uint64_t first, int pipe_end)
{
    depot_t *depot = NULL;
    err_t err = { 0 };
    if (depot_open (&depot, folder, &err) < 0)
        _exit (1);
    for (uint64_t seed = first; ; seed++)
        if (put_context (depot, 30000, seed, &err) < 0 || write (pipe_end, &seed, sizeof seed) != sizeof seed)
            _exit (2);
}

static uint64_t read_until_kill (int pipe_end, pid_t child, int acknowledged, useconds_t delay_us)
{
    uint64_t seed = 0;
    for (int i = 0; i < acknowledged; i++)
        assert_int_equal (read (pipe_end, &seed, sizeof seed), sizeof seed);
    usleep (delay_us);
    kill (child, SIGKILL);
    while (read (pipe_end, &seed, sizeof seed) == sizeof seed)
        ;                       /* what it still told before it died counts too */
    int status;
    waitpid (child, &status, 0);
    assert_true (WIFSIGNALED (status));
    return seed;
}

static void what_was_acknowledged_survives_kill_9 (void **state)
{
    depots_t *self = *state;
    uint64_t next = 0;
    depot_destroy (&self->depot);
    for (int round = 0; round < 25; round++) {
        int ends [2];
        assert_int_equal (pipe (ends), 0);
        pid_t child = fork ();
        if (child == 0) {
            close (ends [0]);
            commit_until_killed (self->folder, next, ends [1]);
        }
        close (ends [1]);
        uint64_t last = read_until_kill (ends [0], child, 1 + round % 4, (useconds_t) (round * 137 % 1500));
        close (ends [0]);
        err_t err = { 0 };
        if (depot_open (&self->depot, self->folder, &err) < 0)
            fail_msg ("round %d: %s", round, err.text);
        for (uint64_t seed = 0; seed <= last; seed++)
            assert_int_equal (presence (self->depot, 30000, seed), 1);
        assert_true (presence (self->depot, 30000, last + 1) >= 0);         /* whole, or not at all */
        assert_int_equal (presence (self->depot, 30000, last + 2), 0);
        next = last + 1;
        depot_destroy (&self->depot);
    }
}

/* -- a full disk ------------------------------------------------------------------------------------------------ */

/* A file system of a few MiB on the depot's folder, for this process alone. */
static int mount_small_disk (const char *folder)
{
    if (geteuid () != 0)
        return print_message ("# skipped: only root can mount a small disk\n"), -1;
    if (unshare (CLONE_NEWNS) != 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0
    ||  mount ("tmpfs", folder, "tmpfs", 0, "size=4m") != 0)
        return print_message ("# skipped: no small disk can be mounted here: %s\n", strerror (errno)), -1;
    return 0;
}

static void fill (const char *path)
{
    AUTO_CLOSE int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    static const char zeros [4096];
    assert_true (fd >= 0);
    while (write (fd, zeros, sizeof zeros) > 0)
        ;
    assert_int_equal (errno, ENOSPC);
}

/* Put contexts until the disk is full; the number of those that were taken. */
static uint64_t put_until_full (depot_t *depot, uint64_t first)
{
    for (uint64_t seed = first; seed < first + 1000; seed++) {
        err_t err = { 0 };
        if (put_context (depot, 50000, seed, &err) == 0)
            continue;
        if (err.code != ERR_FULL)
            fail_msg ("a full disk is told as %s: %s", err_name (err.code), err.text);
        return seed;
    }
    fail_msg ("the disk is never full");
    return 0;
}

static void all_there (depot_t *depot, uint64_t from, uint64_t to)
{
    for (uint64_t seed = from; seed < to; seed++)
        if (presence (depot, 50000, seed) != 1)
            fail_msg ("context %llu is not there", (unsigned long long) seed);
}

static void a_full_disk_loses_nothing_and_passes (void **state)
{
    depots_t *self = *state;
    depot_destroy (&self->depot);
    if (mount_small_disk (self->folder) < 0)
        skip ();
    AUTO_FREE char *filler = file_join (self->folder, "filler");
    assert_int_equal (depot_open (&self->depot, self->folder, NULL), 0);
    assert_int_equal (put_context (self->depot, 50000, 0, NULL), 0);
    fill (filler);
    uint64_t taken = put_until_full (self->depot, 1);           /* the write-ahead log has some room left */
    for (int again = 0; again < 3; again++)
        assert_int_equal (put_until_full (self->depot, taken), taken);
    all_there (self->depot, 0, taken);
    assert_true (presence (self->depot, 50000, taken) >= 0);
    unlink (filler);
    assert_int_equal (put_context (self->depot, 50000, taken, NULL), 0);
    uint64_t more = put_until_full (self->depot, taken + 1);
    all_there (self->depot, 0, more);
    depots_reopen (self);
    all_there (self->depot, 0, more);
    err_t err = { 0 };
    if (depot_trim (self->depot, 0, &err) < 0)                  /* to forget takes some room too */
        assert_int_equal (err.code, ERR_FULL);
    all_there (self->depot, 0, err.code == ERR_FULL ? more : 0);
    depot_destroy (&self->depot);
    assert_int_equal (umount2 (self->folder, MNT_DETACH), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, depots_setup, depots_teardown)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (a_damaged_object_goes_with_all_that_names_it_and_can_be_sent_again),
        TEST (damage_found_within_a_transaction_is_gone_after_its_end),
        TEST (a_file_overwritten_in_places_is_an_error_and_no_crash),
        TEST (a_file_of_somebody_else_is_left_alone),
        TEST (a_second_program_on_the_folder_is_refused_by_name),
        TEST (many_threads_put_and_get_at_once),
        TEST (readers_beside_a_writer_get_the_right_bytes_or_none),
        TEST (what_was_acknowledged_survives_kill_9),
        TEST (a_full_disk_loses_nothing_and_passes),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
