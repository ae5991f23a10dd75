/* test_builder_disk.c - what a builder says of a full disk counts where the disk was full, and a look at it is taken in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "worker/builder_command.h"

static const char words [] = "Error: storing layer: write /layer: no space left on device";
static char folder [] = "/tmp/test-builder-disk.XXXXXX";

static bool say (builder_disk_t *disk, const char *line)
{
    builder_disk_hear (disk, line, strlen (line));
    return builder_disk_full (disk) != NULL;
}

/* /proc has no room for anybody. */
static void words_count_where_the_disk_is_full (void **state)
{
    static const struct { const char *line; bool is_it; } lines [] = {
        { words, true },
        { "cp: write error: No space left on device", true },
        { "dd: writing '/x': I/O error", true },
        { "Error: write /layer: disk quota exceeded", true },
        { "STEP 2/2: STOPSIGNAL x: no space left on device", true },
        { "Error: no space", false },
    };
    (void) state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        builder_disk_t roomy = { .folders = { folder } }, full = { .folders = { folder, "/proc" } }, none = { 0 };
        assert_false (say (&roomy, lines [i].line));
        assert_false (say (&none, lines [i].line));
        assert_int_equal (say (&full, lines [i].line), lines [i].is_it);
        if (lines [i].is_it)
            assert_string_equal (builder_disk_full (&full), "/proc");
    }
    builder_disk_t silent = { .folders = { "/proc" } };
    builder_disk_look (&silent);
    assert_null (builder_disk_full (&silent));
}

static void mount_small (const char *options)
{
    if (unshare (CLONE_NEWNS) != 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount ("small", folder, "tmpfs", 0, options) != 0)
        skip ();
}

static void a_disk_without_room_for_files_is_full (void **state)
{
    builder_disk_t disk = { .folders = { folder } };
    (void) state;
    mount_small ("size=400m,nr_inodes=100");
    bool is_full = say (&disk, words);
    umount (folder);
    assert_true (is_full);
}

/* A builder that removes what it has written, before it says why. */
static void on_line (void *argument, char stream, const char *line, size_t size)
{
    (void) argument, (void) stream;
    assert_int_equal (size, strlen ("written"));
    assert_memory_equal (line, "written", size);
    assert_int_equal (unlink ("layer"), 0);
}

static void a_disk_that_was_full_counts_when_there_is_room_again (void **state)
{
    AUTO_WORDS words_t argv = { 0 }, environment = { 0 };
    builder_disk_t disk = { .folders = { folder } }, later = { .folders = { folder } };
    builder_watch_t watch = { .on_line = on_line, .disk = &disk };
    spawner_t *spawner = NULL;
    err_t err = { 0 };
    int status = -1;
    (void) state;
    mount_small ("size=260m");
    words_add (&argv, "sh");
    words_add (&argv, "-c");
    words_add (&argv, "head -c 8000000 /dev/zero > layer; echo written");
    builder_command_add_path (&environment);
    assert_int_equal (chdir (folder) | spawner_start (&spawner, -1, &err), 0);
    int rc = builder_command (spawner, &argv, &environment, folder, NULL, &watch, &status, &err);
    bool was_full = say (&disk, words), is_full = say (&later, words);
    spawner_destroy (&spawner);
    assert_int_equal (chdir ("/") | umount (folder), 0);
    assert_int_equal (rc, 0);
    assert_int_equal (status, 0);
    assert_true (was_full);
    assert_false (is_full);
}

static int make_folder (void **state)
{
    (void) state;
    return mkdtemp (folder) ? 0 : -1;
}

static int remove_folder (void **state)
{
    (void) state;
    return rmdir (folder);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (words_count_where_the_disk_is_full),
        cmocka_unit_test (a_disk_without_room_for_files_is_full),
        cmocka_unit_test (a_disk_that_was_full_counts_when_there_is_room_again),
    };
    return cmocka_run_group_tests (tests, make_folder, remove_folder);
}
