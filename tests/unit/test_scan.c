/* test_scan.c - the tree of a context: what is in it, what is refused, and what names it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/file.h"
#include "trees.h"

static int set_up (void **state)
{
    *state = tree_new ();
    return 0;
}

static int tear_down (void **state)
{
    tree_remove (*state);
    free (*state);
    return 0;
}

static scan_t *scan (const char *folder, const char *ignore_path)
{
    scan_t *self = NULL;
    err_t err = { 0 };
    if (scan_context (&self, folder, ignore_path, &err) < 0)
        fail_msg ("%s", err.text);
    return self;
}

static void assert_refused (const char *folder, const char *ignore_path, const char *says)
{
    scan_t *self = NULL;
    err_t err = { 0 };
    assert_int_equal (scan_context (&self, folder, ignore_path, &err), -1);
    assert_null (self);
    assert_int_equal (err.code, ERR_USAGE);
    if (!strstr (err.text, says))
        fail_msg ("\"%s\" does not say \"%s\"", err.text, says);
}

static void equal_trees_have_equal_names_and_others_have_not (void **state)
{
    AUTO_FREE char *other = tree_new ();
    AUTO_FREE char *file = file_join (other, "a");
    tree_file (*state, "a", 100, 1, 0644);
    tree_file (other, "a", 100, 1, 0644);
    struct stat info;
    assert_int_equal (stat (*state, &info), 0);
    assert_int_equal (chmod (other, info.st_mode & 07777), 0);
    struct timespec times [2] = { info.st_mtim, info.st_mtim };
    assert_int_equal (utimensat (AT_FDCWD, other, times, 0), 0);
    AUTO (scan) scan_t *one = scan (*state, NULL);
    AUTO (scan) scan_t *two = scan (other, NULL);
    assert_true (digest_equal (scan_root (one), scan_root (two)));
    assert_int_equal (scan_files (one), 1);
    assert_int_equal (scan_bytes (one), 100);
    assert_int_equal (chmod (file, 0600), 0);
    AUTO (scan) scan_t *three = scan (other, NULL);
    assert_false (digest_equal (scan_root (one), scan_root (three)));
    tree_remove (other);
}

/* Of the listing of the one folder below the root. */
static size_t count_names (scan_t *self, char *names, size_t size)
{
    scan_object_t top = scan_top (self);
    AUTO_FREE scan_object_t *children = NULL;
    AUTO_BUFFER buffer_t listing = { 0 };
    tree_reader_t reader;
    tree_entry_t entry;
    size_t count = 0, at = 0;
    assert_int_equal (scan_children (self, &top, &children), 1);
    assert_int_equal (scan_read (self, &children [0], &listing, NULL), 0);
    tree_reader_init (&reader, listing.data, listing.size, 0);
    for (; tree_read_entry (&reader, &entry, NULL) == 1; count++) {
        assert_true (at + entry.name_size + 2 < size);
        memcpy (names + at, entry.name, entry.name_size);
        at += entry.name_size;
        names [at++] = ' ';
    }
    names [at] = 0;
    return count;
}

static void what_is_left_out_is_not_there (void **state)
{
    AUTO_FREE char *ignore = file_join (*state, ".dockerignore");
    char names [200];
    const char *text = "*\n!keep\n!sub/deep/*.c\nempty\n";
    tree_file (*state, "keep", 3, 1, 0644);
    tree_file (*state, "drop", 3, 2, 0644);
    tree_folder (*state, "sub", 0755);
    tree_folder (*state, "sub/deep", 0755);
    tree_file (*state, "sub/deep/a.c", 3, 3, 0644);
    tree_file (*state, "sub/deep/a.o", 3, 4, 0644);
    tree_folder (*state, "gone", 0755);
    tree_file (*state, "gone/x", 3, 5, 0644);
    assert_int_equal (file_write (ignore, text, strlen (text), 0644, NULL), 0);
    AUTO (scan) scan_t *self = scan (*state, ignore);
    assert_int_equal (count_names (self, names, sizeof names), 2);
    assert_string_equal (names, "keep sub ");
    assert_int_equal (scan_files (self), 2);
}

/* The folder as a Dockerfile reads it. */
static scan_t *scan_read_by (const char *folder, const char *dockerfile)
{
    scan_t *self = NULL;
    err_t err = { 0 };
    AUTO (reach) reach_t *reach = reach_new (dockerfile, strlen (dockerfile), NULL);
    if (scan_names (&self, folder, NULL, reach, NULL, &err) < 0 || scan_content (self, &err) < 0)
        fail_msg ("%s", err.text);
    return self;
}

static void assert_read_by (const char *folder, const char *dockerfile, uint64_t files, uint64_t unread_folders, uint64_t unread_files)
{
    uint64_t folders_found, files_found;
    AUTO (scan) scan_t *self = scan_read_by (folder, dockerfile);
    scan_unread (self, &folders_found, &files_found);
    if (scan_files (self) != files || folders_found != unread_folders || files_found != unread_files)
        fail_msg ("%s: %d files, left out %d folders and %d files", dockerfile, (int) scan_files (self), (int) folders_found, (int) files_found);
}

static void make_parts (const char *folder)
{
    tree_file (folder, "README", 10, 1, 0644);
    tree_folder (folder, "a", 0755);
    tree_folder (folder, "a/b", 0755);
    tree_file (folder, "a/b/c", 10, 2, 0644);
    tree_file (folder, "a/d", 10, 3, 0644);
    tree_folder (folder, "unread", 0755);
    tree_file (folder, "unread/x", 10, 4, 0644);
    tree_file (folder, "unread/y", 10, 4, 0644);
}

static void what_is_not_read_is_not_there (void **state)
{
    make_parts (*state);
    assert_read_by (*state, "FROM x\nCOPY a /", 2, 1, 1);
    assert_read_by (*state, "FROM x\nCOPY a/b /", 1, 1, 2);
    assert_read_by (*state, "FROM x\nCOPY a/b/c README /to/", 2, 1, 1);
    assert_read_by (*state, "FROM x\nCOPY a/b*c /", 1, 1, 2);
    assert_read_by (*state, "FROM x", 0, 2, 1);
    assert_read_by (*state, "FROM x\nCOPY . /", 5, 0, 0);
    assert_read_by (*state, "FROM x\nCOPY README a unread /to/", 5, 0, 0);
}

/* Names beside what is read may come and go. */
static void the_time_of_a_folder_on_the_way_says_nothing (void **state)
{
    make_parts (*state);
    AUTO (scan) scan_t *before = scan_read_by (*state, "FROM x\nCOPY a/b /");
    tree_file (*state, "more", 10, 5, 0644);
    tree_file (*state, "a/more", 10, 5, 0644);
    AUTO (scan) scan_t *after = scan_read_by (*state, "FROM x\nCOPY a/b /");
    assert_true (digest_equal (scan_root (before), scan_root (after)));
    tree_file (*state, "a/b/more", 10, 5, 0644);
    AUTO (scan) scan_t *changed = scan_read_by (*state, "FROM x\nCOPY a/b /");
    assert_false (digest_equal (scan_root (before), scan_root (changed)));
}

static void a_context_of_which_all_is_read_is_the_whole_one (void **state)
{
    make_parts (*state);
    AUTO (scan) scan_t *whole = scan (*state, NULL);
    AUTO (scan) scan_t *read = scan_read_by (*state, "FROM x\nCOPY README a unread /to/");
    assert_true (digest_equal (scan_root (whole), scan_root (read)));
}

static void nothing_is_left_out_where_a_link_is_followed (void **state)
{
    make_parts (*state);
    tree_link (*state, "a/b/link", "../../unread");
    assert_read_by (*state, "FROM x\nCOPY a/b /", 1, 1, 2);
    assert_read_by (*state, "FROM x\nCOPY a/b/link /", 5, 0, 0);
    assert_read_by (*state, "FROM x\nCOPY a/b/link/x /", 5, 0, 0);
    assert_read_by (*state, "FROM x\nCOPY a/b a/b/link/x /to/", 5, 0, 0);
    assert_read_by (*state, "FROM x\nCOPY a/b/l* /", 5, 0, 0);
    assert_read_by (*state, "FROM x\nCOPY a/b* /", 1, 1, 2);
    assert_read_by (*state, "FROM x\nCOPY a/*/link /", 5, 0, 0);
}

static void an_unreadable_file_that_is_left_out_does_no_harm (void **state)
{
    AUTO_FREE char *ignore = file_join (*state, ".dockerignore");
    AUTO_FREE char *pipe = file_join (*state, "pipe");
    assert_int_equal (mkfifo (pipe, 0644), 0);
    assert_int_equal (file_write (ignore, "pipe", 4, 0644, NULL), 0);
    assert_refused (*state, NULL, "pipe is a named pipe");
    AUTO (scan) scan_t *self = scan (*state, ignore);
    assert_int_equal (scan_files (self), 1);
}

static void a_socket_is_refused_by_its_path (void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf (address.sun_path, sizeof address.sun_path, "%s/door", (char *) *state);
    int fd = socket (AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal (bind (fd, (struct sockaddr *) &address, sizeof address), 0);
    close (fd);
    assert_refused (*state, NULL, "door is a socket");
}

static void a_bad_ignore_file_is_named (void **state)
{
    AUTO_FREE char *ignore = file_join (*state, ".dockerignore");
    assert_int_equal (file_write (ignore, "a\n[", 3, 0644, NULL), 0);
    assert_refused (*state, ignore, ".dockerignore: line 2");
}

static void a_context_that_is_no_folder_is_refused (void **state)
{
    AUTO_FREE char *file = file_join (*state, "file");
    AUTO_FREE char *none = file_join (*state, "none");
    tree_file (*state, "file", 1, 1, 0644);
    assert_refused (file, NULL, "is not a folder");
    assert_refused (none, NULL, "does not exist");
}

/* Run as another user, root may read everything. */
static void an_unreadable_file_is_named_with_advice (void **state)
{
    tree_file (*state, "secret", 1, 1, 0);
    assert_int_equal (chmod (*state, 0755), 0);
    bool is_root = geteuid () == 0;
    if (is_root)
        assert_int_equal (seteuid (65534), 0);
    scan_t *self = NULL;
    err_t err = { 0 };
    int rc = scan_context (&self, *state, NULL, &err);
    if (is_root)
        assert_int_equal (seteuid (0), 0);
    assert_int_equal (rc, -1);
    assert_int_equal (err.code, ERR_USAGE);
    assert_non_null (strstr (err.text, "/secret cannot be read"));
    assert_non_null (strstr (err.text, ".dockerignore"));
}

/* -- files that change ------------------------------------------------------------------------------------------ */

typedef struct { int fd; atomic_bool is_ended; } writer_t;

static void *write_on (void *argument)
{
    writer_t *self = argument;
    while (!atomic_load (&self->is_ended))
        if (write (self->fd, "x", 1) != 1)
            break;
    return NULL;
}

static void a_file_that_changes_while_it_is_read_is_named (void **state)
{
    AUTO_FREE char *path = file_join (*state, "log");
    pthread_t thread;
    tree_file (*state, "log", 20000000, 1, 0644);
    writer_t writer = { .fd = open (path, O_WRONLY | O_APPEND | O_CLOEXEC) };
    assert_true (writer.fd >= 0);
    assert_int_equal (pthread_create (&thread, NULL, write_on, &writer), 0);
    assert_refused (*state, NULL, "log changed while it was being read");
    atomic_store (&writer.is_ended, true);
    pthread_join (thread, NULL);
    close (writer.fd);
}

static void a_file_that_changed_since_is_not_sent (void **state)
{
    AUTO_FREE scan_object_t *children = NULL, *files = NULL;
    AUTO_BUFFER buffer_t data = { 0 };
    err_t err = { 0 };
    tree_file (*state, "file", 100, 1, 0644);
    AUTO (scan) scan_t *self = scan (*state, NULL);
    scan_object_t top = scan_top (self);
    assert_int_equal (scan_children (self, &top, &children), 1);
    assert_int_equal (scan_children (self, &children [0], &files), 1);
    assert_int_equal (scan_read (self, &files [0], &data, &err), 0);
    assert_int_equal (data.size, 100);
    tree_file (*state, "file", 100, 2, 0644);
    assert_int_equal (scan_read (self, &files [0], &data, &err), -1);
    assert_int_equal (err.code, ERR_USAGE);
    assert_non_null (strstr (err.text, "file changed while it was being sent"));
}

static void too_deep_a_folder_is_named (void **state)
{
    AUTO_FREE char *path = mem_strdup ("f");
    tree_folder (*state, path, 0755);
    for (int i = 0; i < TREE_DEPTH_MAX; i++) {
        char *below = mem_printf ("%s/f", path);
        free (path);
        path = below;
        tree_folder (*state, path, 0755);
    }
    assert_refused (*state, NULL, "lies in more than 128 folders");
}

/* 255 bytes each: far beyond PATH_MAX together. */
static void paths_longer_than_the_system_takes_are_read (void **state)
{
    char name [251];
    memset (name, 'n', 250);
    name [250] = 0;
    int fd = open (*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 30; i++) {
        assert_int_equal (mkdirat (fd, name, 0755), 0);
        int below = openat (fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close (fd);
        fd = below;
    }
    int file = openat (fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal (write (file, "x", 1), 1);
    close (file);
    close (fd);
    AUTO (scan) scan_t *self = scan (*state, NULL);
    assert_int_equal (scan_bytes (self), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (equal_trees_have_equal_names_and_others_have_not),
        TEST (what_is_left_out_is_not_there),
        TEST (what_is_not_read_is_not_there),
        TEST (the_time_of_a_folder_on_the_way_says_nothing),
        TEST (a_context_of_which_all_is_read_is_the_whole_one),
        TEST (nothing_is_left_out_where_a_link_is_followed),
        TEST (an_unreadable_file_that_is_left_out_does_no_harm),
        TEST (a_socket_is_refused_by_its_path),
        TEST (a_bad_ignore_file_is_named),
        TEST (a_context_that_is_no_folder_is_refused),
        TEST (an_unreadable_file_is_named_with_advice),
        TEST (a_file_that_changes_while_it_is_read_is_named),
        TEST (a_file_that_changed_since_is_not_sent),
        TEST (too_deep_a_folder_is_named),
        TEST (paths_longer_than_the_system_takes_are_read),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
