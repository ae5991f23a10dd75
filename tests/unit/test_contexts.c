/* test_contexts.c - contexts as people have them go to the coordinator and on to a worker, and rsync finds no difference. Here stand
 * look-alikes of the large ones; `make check-contexts` brings the real ones (tests/lib/contexts.sh). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "transfers.h"
#include "trees.h"

/* -- there and back ------------------------------------------------------------------------------------------------ */

/* In content, kinds, modes, times or links' targets. What .dockerignore leaves out is to be missing. */
static void assert_no_difference (farm_t *self, const char *folder, bool has_ignore)
{
    AUTO_FREE char *compare = mem_printf ("rsync -rlptni --checksum --delete %s '%s/' '%s/'", has_ignore ? "--exclude='/dev/*'" : "", folder,
                                          self->out);
    AUTO_FREE char *left_out = file_join (self->out, "dev/null");
    char line [1000] = "";
    FILE *differences = popen (compare, "r");
    assert_non_null (differences);
    if (fgets (line, sizeof line, differences))
        fail_msg ("%s differs: %s", folder, line);
    assert_int_equal (pclose (differences), 0);
    assert_false (has_ignore && file_exists (left_out));
}

static void assert_arrives (farm_t *self, const char *folder)
{
    err_t err = { 0 };
    upload_stats_t sent = { 0 };
    fetch_stats_t fetched = { 0 };
    int64_t start = clock_boot_ms ();
    AUTO_FREE char *ignore = file_join (folder, ".dockerignore");
    bool has_ignore = file_exists (ignore);
    AUTO (scan) scan_t *scan = NULL;
    if (scan_context (&scan, folder, has_ignore ? ignore : NULL, &err) < 0 || upload_context (self->client, scan, &sent, &err) < 0)
        fail_msg ("%s", err.text);
    int64_t sent_ms = clock_boot_ms ();
    if (fetch_context (self->objects, self->cache, scan_root (scan), NULL, &fetched, &err) < 0)
        fail_msg ("%s", err.text);
    int64_t fetched_ms = clock_boot_ms ();
    if (tree_check_out (self->cache, scan_root (scan), self->out, NULL, &err) < 0)
        fail_msg ("%s", err.text);
    print_message ("# %s: %llu files, %.1f MB; %llu objects, %.1f MB on the wire; sent in %.1f s, fetched in %.1f s, written in %.1f s\n",
                   folder, (unsigned long long) scan_files (scan), (double) scan_bytes (scan) / 1e6, (unsigned long long) sent.sent_objects,
                   (double) sent.sent_bytes / 1e6, (double) (sent_ms - start) / 1e3, (double) (fetched_ms - sent_ms) / 1e3,
                   (double) (clock_boot_ms () - fetched_ms) / 1e3);
    assert_no_difference (self, folder, has_ignore);
    tree_remove (self->out);
}

static bool has_rsync (void)
{
    bool is_there = system ("rsync --version > /dev/null 2>&1") == 0;
    if (!is_there)
        print_message ("# rsync is not installed: nothing is compared\n");
    return is_there;
}

/* -- small ones that are real -------------------------------------------------------------------------------------- */

/* A checkout of the project with its .git, and Debian's time zones (links and hard links). */
static void small_real_contexts_arrive_as_they_were (void **state)
{
    farm_t *self = *state;
    AUTO_FREE char *clone = mem_printf ("git clone -q --no-hardlinks '%s' '%s' 2> /dev/null", SOURCE_DIR, self->context);
    if (!has_rsync ())
        return;
    if (system (clone) == 0)
        assert_arrives (self, self->context);
    if (file_exists ("/usr/share/zoneinfo"))
        assert_arrives (self, "/usr/share/zoneinfo");
}

/* FARM_TEST_CONTEXTS: folders with ':' between. */
static void named_contexts_arrive_as_they_were (void **state)
{
    const char *named = getenv ("FARM_TEST_CONTEXTS");
    if (!named || !has_rsync ())
        return;
    AUTO_FREE char *folders = mem_strdup (named);
    char *rest = folders;
    for (char *folder = strsep (&rest, ":"); folder; folder = strsep (&rest, ":"))
        assert_arrives (*state, folder);
}

/* -- node_modules -------------------------------------------------------------------------------------------------- */

static void make_folders (const char *folder, const char *path)
{
    AUTO_FREE char *full = file_join (folder, path);
    assert_int_equal (file_make_folders (full, 0755, NULL), 0);
}

static void make_file (const char *folder, const char *in, const char *name, size_t size, unsigned seed)
{
    AUTO_FREE char *path = mem_printf ("%s/%s", in, name);
    tree_file (folder, path, size, seed, strcmp (name, "cli.js") == 0 ? 0755 : 0644);
}

/* 27 files. LICENSE and tslib.js are the same everywhere. */
static void make_package (const char *folder, const char *path, unsigned seed)
{
    static const char *const folders [] = { "lib/internal", "dist/esm/helpers", "test/fixtures/empty" };
    static const char *const names [] = { "package.json", "index.js", "index.d.ts", "README.md", "cli.js", "dist/esm/index.mjs", "dist/esm/helpers/a.mjs",
                                          "dist/esm/helpers/a.mjs.map", ".npmignore", "lib/\xc3\xa9t\xc3\xa9.js" };
    for (size_t i = 0; i < 3; i++) {
        AUTO_FREE char *below = mem_printf ("%s/%s", path, folders [i]);
        make_folders (folder, below);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        make_file (folder, path, names [i], (seed * 131 + i * 977) % 5000, seed * 64 + (unsigned) i);
    for (unsigned i = 0; i < 15; i++) {
        char name [64];
        snprintf (name, sizeof name, "lib/internal/%u.js", i);
        make_file (folder, path, name, (seed + i * 37) % 900, seed * 64 + 20 + i);
    }
    make_file (folder, path, "LICENSE", 1100, 1);
    make_file (folder, path, "dist/esm/helpers/tslib.js", 6000, 2);
}

static void make_modules (const char *folder)
{
    make_folders (folder, "node_modules/.bin");
    for (unsigned i = 0; i < 400; i++) {
        char name [64], path [512], link [600], target [600];
        snprintf (name, sizeof name, i % 3 ? "package-%u" : "@scope%u/package", i);
        snprintf (path, sizeof path, "node_modules/%s", name);
        make_package (folder, path, i + 10);
        snprintf (link, sizeof link, "node_modules/.bin/tool-%u", i);
        snprintf (target, sizeof target, "../%s/cli.js", name);
        tree_link (folder, link, target);
        if (i % 40 == 0) {                              /* of other versions, ever deeper */
            for (int deep = 0; deep < 12; deep++)
                snprintf (path + strlen (path), sizeof path - strlen (path), "/node_modules/d%d", deep);
            make_package (folder, path, i + 1000);
        }
    }
    tree_link (folder, "node_modules/workspace", "../packages/workspace");
}

static void modules_arrive_as_they_were (void **state)
{
    farm_t *self = *state;
    AUTO (scan) scan_t *scan = NULL;
    if (!has_rsync ())
        return;
    make_modules (self->context);
    assert_arrives (self, self->context);
    assert_int_equal (scan_context (&scan, self->context, NULL, NULL), 0);
    assert_true (scan_files (scan) > 10000);
}

/* -- a root folder ------------------------------------------------------------------------------------------------- */

static void set_time (const char *folder, const char *path, time_t seconds, long ns)
{
    AUTO_FREE char *full = file_join (folder, path);
    struct timespec times [2] = { { 0, UTIME_OMIT }, { seconds, ns } };
    assert_int_equal (utimensat (AT_FDCWD, full, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void make_sparse (const char *folder, const char *path, off_t size)
{
    AUTO_FREE char *full = file_join (folder, path);
    tree_file (folder, path, 0, 1, 0664);
    AUTO_CLOSE int fd = open (full, O_WRONLY | O_CLOEXEC);
    assert_int_equal (ftruncate (fd, size), 0);
    assert_int_equal (pwrite (fd, "in the middle", 13, size / 2), 13);
}

static void make_hard_links (const char *folder)
{
    AUTO_FREE char *first = file_join (folder, "usr/bin/perl");
    AUTO_FREE char *second = file_join (folder, "usr/bin/perl5.36.0");
    tree_file (folder, "usr/bin/perl", 300000, 3, 0755);
    assert_int_equal (link (first, second), 0);
}

static void make_odd_names (const char *folder)
{
    char longest [256];
    memset (longest, 'x', 255);
    longest [255] = 0;
    const char *const names [] = { longest, "two words", " ", "-n", "--delete", "#", "*", "[", "\\", "\"", "'", "$HOME", "a\nb", "\x7f\x01", "\xff", "\xc3\x28", "caf\xe9",
                                   "e\xcc\x81", "\xc3\xa9", "A", "a", "...", ".hidden", "CON", "aux.", "x.", "~" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        make_file (folder, "usr/share/odd", names [i], i, (unsigned) i);
}

static void make_links (const char *folder)
{
    static const char *const links [] [2] = {
        { "bin", "usr/bin" }, { "lib", "usr/lib" }, { "etc/alternatives/editor", "/usr/bin/vim.basic" }, { "usr/bin/editor", "/etc/alternatives/editor" },
        { "etc/mtab", "../proc/self/mounts" }, { "usr/lib/loop", "loop" }, { "usr/lib/up", "../../../../../.." }, { "usr/share/odd/\xff.link", "\xff" },
        { "usr/lib/libc.so", "libc.so.6" }, { "usr/lib/dangling", "nowhere" }, { "usr/share/folder", "odd/" }
    };
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        tree_link (folder, links [i] [0], links [i] [1]);
    set_time (folder, "bin", 1000000000, 999999999);
}

static void make_modes (const char *folder)
{
    static const struct { const char *path; mode_t mode; } modes [] = {
        { "usr/bin/su", 04755 }, { "usr/bin/wall", 02755 }, { "usr/bin/all", 07777 }, { "etc/shadow", 0640 }, { "etc/none", 0 }, { "etc/write-only", 0200 }
    };
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        tree_file (folder, modes [i].path, i * 1000, (unsigned) i + 50, modes [i].mode);
    tree_folder (folder, "tmp", 01777);
    tree_folder (folder, "var/mail", 02775);
    tree_folder (folder, "root", 0700);
}

static void make_times (const char *folder)
{
    static const struct { const char *path; time_t seconds; long ns; } times [] = {
        { "usr/lib/1970", 0, 0 }, { "usr/lib/before", -1000000000, 1 }, { "usr/lib/2100", 4102444800, 999999999 }, { "usr/lib/2001", 1000000000, 500 }
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        tree_file (folder, times [i].path, 10, (unsigned) i, 0644);
        set_time (folder, times [i].path, times [i].seconds, times [i].ns);
    }
    set_time (folder, "var/empty", -1, 0);
}

/* Devices and pipes are no part of a context: .dockerignore leaves them out. */
static void make_devices (const char *folder)
{
    AUTO_FREE char *pipe = file_join (folder, "dev/pipe");
    AUTO_FREE char *null = file_join (folder, "dev/null");
    AUTO_FREE char *ignore = file_join (folder, ".dockerignore");
    assert_int_equal (mkfifo (pipe, 0600), 0);
    if (mknod (null, S_IFCHR | 0666, makedev (1, 3)) < 0)       /* not root */
        assert_int_equal (mkfifo (null, 0600), 0);
    assert_int_equal (file_write_scratch (ignore, "dev/*\n", 6, 0644, NULL), 0);
}

static void make_root (const char *folder)
{
    static const char *const folders [] = { "usr/bin", "usr/lib", "usr/share/odd", "usr/share/doc", "etc/alternatives", "var/log", "var/empty", "var/cache/apt/archives/partial", "dev",
                                            "proc", "sys", "home" };
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        make_folders (folder, folders [i]);
    for (unsigned i = 0; i < 500; i++) {
        char path [64];
        snprintf (path, sizeof path, "usr/share/doc/file%u", i);
        tree_file (folder, path, i % 7 ? i * 11 : 0, i, 0644);
    }
    make_sparse (folder, "var/log/lastlog", 20 * 1000 * 1000);
    make_hard_links (folder);
    make_odd_names (folder);
    make_links (folder);
    make_modes (folder);
    make_times (folder);
    make_devices (folder);
}

static void a_root_folder_arrives_as_it_was (void **state)
{
    farm_t *self = *state;
    if (!has_rsync ())
        return;
    make_root (self->context);
    assert_arrives (self, self->context);
}

static void a_device_is_refused_by_its_path (void **state)
{
    farm_t *self = *state;
    AUTO (scan) scan_t *scan = NULL;
    err_t err = { 0 };
    make_root (self->context);
    assert_int_equal (scan_context (&scan, self->context, NULL, &err), -1);
    assert_int_equal (err.code, ERR_USAGE);
    assert_non_null (strstr (err.text, "context/dev/"));
    assert_non_null (strstr (err.text, "which cannot be part of a build's context: remove it, or leave it out by a line in .dockerignore"));
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (small_real_contexts_arrive_as_they_were),
        TEST (modules_arrive_as_they_were),
        TEST (a_root_folder_arrives_as_it_was),
        TEST (a_device_is_refused_by_its_path),
        TEST (named_contexts_arrive_as_they_were),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
