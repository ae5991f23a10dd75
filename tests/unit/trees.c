/* trees.c - trees on disk for tests. */
#include "trees.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "worker/checkout.h"

char *tree_new (void)
{
    char *folder = mem_strdup ("/tmp/farm-tree-XXXXXX");
    if (!mkdtemp (folder))
        abort ();
    return folder;
}

void tree_remove (const char *folder)
{
    err_t err = { 0 };
    if (file_remove_tree (folder, &err) < 0)
        fprintf (stderr, "%s\n", err.text);
}

static void must (int rc, const char *what)
{
    if (rc < 0) {
        perror (what);
        abort ();
    }
}

static void set_time (const char *path, unsigned seed)
{
    struct timespec times [2] = { { 0, UTIME_OMIT }, { 1600000000 + seed, 123456789 + seed } };
    must (utimensat (AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), path);
}

void tree_file (const char *folder, const char *path, size_t size, unsigned seed, mode_t mode)
{
    AUTO_FREE char *full = file_join (folder, path);
    AUTO_FREE uint32_t *data = mem_alloc (size + 4);
    uint32_t state = seed * 2654435761u + 1;
    for (size_t i = 0; i < size / 4 + 1; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        data [i] = state;
    }
    AUTO_CLOSE int fd = open (full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must (fd, full);
    must (file_write_all (fd, data, size, NULL), full);
    must (fchmod (fd, mode), full);
    set_time (full, seed);
}

void tree_folder (const char *folder, const char *path, mode_t mode)
{
    AUTO_FREE char *full = file_join (folder, path);
    must (mkdir (full, 0700), full);
    must (chmod (full, mode), full);
}

void tree_link (const char *folder, const char *path, const char *target)
{
    AUTO_FREE char *full = file_join (folder, path);
    must (symlink (target, full), full);
    set_time (full, 7);
}

static void make_deep (const char *folder)
{
    AUTO_FREE char *path = mem_strdup ("deep");
    tree_folder (folder, path, 0755);
    for (int i = 0; i < 60; i++) {
        char *below = mem_printf ("%s/%d", path, i);
        free (path);
        path = below;
        tree_folder (folder, path, 0755);
    }
    AUTO_FREE char *file = mem_printf ("%s/file", path);
    tree_file (folder, file, 10, 1, 0644);
}

static void make_sparse (const char *folder)
{
    AUTO_FREE char *path = file_join (folder, "sparse");
    tree_file (folder, "sparse", 10, 5, 0644);
    must (truncate (path, 3000000), path);
    set_time (path, 5);
}

void tree_nasty (const char *folder)
{
    tree_file (folder, "empty", 0, 1, 0644);
    tree_file (folder, "one", 1, 2, 0400);
    tree_file (folder, "same", 1, 2, 0644);
    tree_file (folder, "300k", 300 * 1024, 3, 0644);
    tree_file (folder, "256k", 256 * 1024, 4, 0600);
    tree_file (folder, "257k", 256 * 1024 + 1, 4, 0600);
    tree_file (folder, "5M", 5000000, 6, 0644);
    tree_file (folder, "setuid", 100, 7, 06755);
    tree_file (folder, "none", 100, 8, 0);
    tree_file (folder, "name with spaces \n and \x01", 5, 9, 0644);
    tree_file (folder, "\xff\xfe not utf-8", 5, 10, 0644);
    tree_file (folder, "-rf", 5, 11, 0644);
    tree_file (folder, "...", 5, 12, 0644);
    tree_file (folder, "a", 3, 1, 0644);
    tree_file (folder, "A", 4, 30, 0644);
    tree_file (folder, "con.txt", 4, 31, 0644);
    tree_folder (folder, "a.b", 0755);
    tree_folder (folder, "a-b", 01777);
    tree_file (folder, "a-b/x", 3, 1, 0644);
    tree_folder (folder, "hollow", 0711);
    tree_link (folder, "dangling", "nowhere/at/all");
    tree_link (folder, "absolute", "/etc/passwd");
    tree_link (folder, "up", "../../..");
    tree_link (folder, "odd", "\xff\n ");
    make_sparse (folder);
    make_deep (folder);
    tree_folder (folder, "closed", 0755);
    tree_file (folder, "closed/file", 12, 13, 0644);
    AUTO_FREE char *closed = file_join (folder, "closed");
    must (chmod (closed, geteuid () == 0 ? 0 : 0555), closed);
    set_time (closed, 20);
    set_time (folder, 21);
}

/* -- comparing -------------------------------------------------------------------------------------------------- */

static bool differ (const char *path, const char *what)
{
    fprintf (stderr, "%s: %s differs\n", path, what);
    return false;
}

static bool content_equal (const char *a, const char *b)
{
    AUTO_BUFFER buffer_t one = { 0 };
    AUTO_BUFFER buffer_t other = { 0 };
    err_t err = { 0 };
    if (file_read (a, SIZE_MAX / 4, &one, &err) < 0 || file_read (b, SIZE_MAX / 4, &other, &err) < 0)
        return differ (a, err.text);
    return (one.size == other.size && (one.size == 0 || memcmp (one.data, other.data, one.size) == 0)) || differ (a, "content");
}

static bool target_equal (const char *a, const char *b)
{
    char one [5000] = { 0 }, other [5000] = { 0 };
    must ((int) readlink (a, one, sizeof one - 1), a);
    must ((int) readlink (b, other, sizeof other - 1), b);
    return strcmp (one, other) == 0 || differ (a, "target");
}

static bool entries_equal (const char *a, const char *b)
{
    struct dirent **one, **other;
    int one_count = scandir (a, &one, NULL, alphasort), other_count = scandir (b, &other, NULL, alphasort);
    bool is_equal = one_count == other_count || differ (a, "number of entries");
    must (one_count, a);
    must (other_count, b);
    for (int i = 0; is_equal && i < one_count; i++) {
        const char *name = one [i]->d_name;
        AUTO_FREE char *x = file_join (a, name);
        AUTO_FREE char *y = file_join (b, name);
        if (strcmp (name, other [i]->d_name) != 0)
            is_equal = differ (x, "name");
        else if (strcmp (name, ".") != 0 && strcmp (name, "..") != 0)
            is_equal = tree_equal (x, y);
    }
    for (int i = 0; i < one_count; i++)
        free (one [i]);
    for (int i = 0; i < other_count; i++)
        free (other [i]);
    free (one);
    free (other);
    return is_equal;
}

bool tree_equal (const char *a, const char *b)
{
    struct stat one, other;
    must (lstat (a, &one), a);
    must (lstat (b, &other), b);
    if ((one.st_mode & S_IFMT) != (other.st_mode & S_IFMT))
        return differ (a, "kind");
    if (!S_ISLNK (one.st_mode) && one.st_mode != other.st_mode)
        return differ (a, "mode");
    if (one.st_mtim.tv_sec != other.st_mtim.tv_sec || one.st_mtim.tv_nsec != other.st_mtim.tv_nsec)
        return differ (a, "time");
    if (S_ISDIR (one.st_mode))
        return entries_equal (a, b);
    return S_ISLNK (one.st_mode) ? target_equal (a, b) : content_equal (a, b);
}

/* -- storing ---------------------------------------------------------------------------------------------------- */

static int store (scan_t *scan, depot_t *depot, const scan_object_t *object, err_t *err)
{
    AUTO_BUFFER buffer_t data = { 0 };
    AUTO_FREE scan_object_t *children = NULL;
    size_t count = scan_children (scan, object, &children);
    if (depot_has (depot, &object->digest))
        return 0;
    for (size_t i = 0; i < count; i++)
        if (store (scan, depot, &children [i], err) < 0)
            return -1;
    if (scan_read (scan, object, &data, err) < 0)
        return -1;
    return depot_put (depot, object->kind, &object->digest, data.data, data.size, err);
}

int tree_store (scan_t *scan, depot_t *depot, err_t *err)
{
    scan_object_t root = scan_top (scan);
    if (depot_begin (depot, err) < 0)
        return -1;
    if (store (scan, depot, &root, err) < 0) {
        depot_rollback (depot);
        return -1;
    }
    return depot_commit (depot, err);
}

int tree_check_out (depot_t *depot, const digest_t *root, const char *folder, atomic_int *is_cancelled, err_t *err)
{
    AUTO (supply) supply_t *supply = supply_new (depot);
    checkout_settings_t settings = {
        .supply = supply, .root = root, .folder = folder, .before_fd = -1, .is_cancelled = is_cancelled
    };
    return checkout_run (&settings, NULL, err);
}
