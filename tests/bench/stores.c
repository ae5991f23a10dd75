/* stores.c - which store a depot should stand on: the same work done by each of four, written as one would for that work.
 *
 *     make bench-stores [BENCH="RUNS [small|large]"]
 *
 * Small: 20,000 objects of 10 KB. Large: 4,096 of 256 KiB. Put in commits of some 2 MB, each on the disk before the next
 * begins; read back in the order of the puts with cold pages, then at random; then every second one is deleted, and the
 * blocks that the folder occupies are counted. Each run is a process of its own on an empty folder, in turns. Nothing of the farm is
 * needed, so for 32 bits: cc -m32 -O2 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DHAVE_LMDB stores*.c -lsqlite3 -llmdb */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "stores.h"

static const store_t *const stores [] = {
    &blobs_store, &segments_store,
#ifdef HAVE_LMDB
    &lmdb_store,
#endif
    &files_store
};
enum { STORES = sizeof stores / sizeof *stores, BATCH_BYTES = 2 * 1000 * 1000, RUNS_MAX = 99 };

const char *path_in (const char *folder, const char *name)
{
    static char path [1024];
    snprintf (path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* -- the work --------------------------------------------------------------------------------------------------- */

typedef struct { const char *name; size_t count, size; } work_t;

enum { PUT_MS, ACK_MS, CPU_MS, READ_MS, RANDOM_MS, DELETE_MS, DISK_MB, PEAK_MB, FIGURES };
typedef struct { double values [FIGURES]; } figures_t;

static double now_ms (clockid_t clock)
{
    struct timespec now;
    clock_gettime (clock, &now);
    return (double) now.tv_sec * 1e3 + (double) now.tv_nsec / 1e6;
}

/* splitmix64: the state after i steps is known without taking them, so object i can be made again. */
static uint64_t mix (uint64_t seed)
{
    uint64_t z = seed * 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static key_ key_of (size_t i)
{
    key_ key;
    for (size_t j = 0; j < KEY_SIZE / 8; j++) {
        uint64_t z = mix (4 * i + j + 1);
        memcpy (key.bytes + 8 * j, &z, sizeof z);
    }
    return key;
}

static void check (const uint8_t *data, size_t size, size_t i, const work_t *work)
{
    uint64_t first;
    memcpy (&first, data, sizeof first);
    if (size != work->size || first != i)
        errx (1, "object %zu came back as something else", i);
}

static int compare (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return x < y ? -1 : x > y;
}

static double median (double *values, size_t count)
{
    qsort (values, count, sizeof *values, compare);
    return values [count / 2];
}

static void put_all (const store_t *store, const work_t *work, uint8_t *data, figures_t *out)
{
    double acks [1024], start = now_ms (CLOCK_MONOTONIC), cpu = now_ms (CLOCK_PROCESS_CPUTIME_ID);
    size_t per_batch = BATCH_BYTES / work->size, commits = 0;
    for (size_t i = 0; i < work->count; i++) {
        key_ key = key_of (i);
        uint64_t first = i;
        memcpy (data, &first, sizeof first);
        if (i % per_batch == 0)
            store->begin ();
        store->put (&key, data, work->size);
        if (i % per_batch == per_batch - 1 || i == work->count - 1) {
            double before = now_ms (CLOCK_MONOTONIC);
            store->commit ();
            acks [commits++] = now_ms (CLOCK_MONOTONIC) - before;
        }
    }
    out->values [PUT_MS] = now_ms (CLOCK_MONOTONIC) - start;
    out->values [CPU_MS] = now_ms (CLOCK_PROCESS_CPUTIME_ID) - cpu;
    out->values [ACK_MS] = median (acks, commits);
}

static double read_all (const store_t *store, const work_t *work, uint8_t *data, bool is_random)
{
    double start = now_ms (CLOCK_MONOTONIC);
    for (size_t i = 0; i < work->count; i++) {
        size_t which = is_random ? (size_t) (mix (~(uint64_t) i) % work->count) : i;
        key_ key = key_of (which);
        check (data, store->get (&key, data), which, work);
    }
    return now_ms (CLOCK_MONOTONIC) - start;
}

static double delete_half (const store_t *store, const work_t *work)
{
    double start = now_ms (CLOCK_MONOTONIC);
    for (size_t i = 0; i < work->count; ) {
        store->begin ();
        for (size_t end = i + 1000; i < end && i < work->count; i += 2) {
            key_ key = key_of (i);
            store->del (&key);
        }
        store->commit ();
    }
    store->tidy ();
    return now_ms (CLOCK_MONOTONIC) - start;
}

/* Each file below the folder: its blocks, in bytes; its pages are let go. */
static double visit (const char *folder)
{
    DIR *dir = opendir (folder);
    MUST (dir);
    double bytes = 0;
    for (struct dirent *entry; (entry = readdir (dir)); ) {
        char path [1024];
        struct stat status;
        snprintf (path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name [0] == '.' || lstat (path, &status) < 0)
            continue;
        bytes += (double) status.st_blocks * 512;
        if (S_ISDIR (status.st_mode))
            bytes += visit (path);
        else {
            int fd = open (path, O_RDONLY | O_CLOEXEC);
            MUST (fd >= 0 && fsync (fd) == 0 && posix_fadvise (fd, 0, 0, POSIX_FADV_DONTNEED) == 0 && close (fd) == 0);
        }
    }
    closedir (dir);
    return bytes;
}

static figures_t measure (const store_t *store, const work_t *work, const char *folder)
{
    figures_t out = { 0 };
    static uint8_t data [OBJECT_MAX];
    for (size_t i = 0; i < sizeof data; i += 8) {
        uint64_t z = mix (i + 7);
        memcpy (data + i, &z, sizeof z);
    }
    store->open (folder);
    put_all (store, work, data, &out);
    store->close ();
    visit (folder);
    store->open (folder);
    out.values [READ_MS] = read_all (store, work, data, false);
    out.values [RANDOM_MS] = read_all (store, work, data, true);
    out.values [DELETE_MS] = delete_half (store, work);
    store->close ();
    out.values [DISK_MB] = visit (folder) / 1e6;
    struct rusage usage;
    getrusage (RUSAGE_SELF, &usage);
    out.values [PEAK_MB] = (double) usage.ru_maxrss / 1024;
    return out;
}

static void remove_folder (const char *folder)
{
    pid_t child = fork ();
    if (child == 0)
        execlp ("rm", "rm", "-rf", folder, NULL);
    waitpid (child, NULL, 0);
}

static figures_t measure_apart (const store_t *store, const work_t *work)
{
    char folder [512];
    int ends [2], status;
    figures_t out = { 0 };
    snprintf (folder, sizeof folder, "%s/archfarm-stores.XXXXXX", getenv ("TMPDIR") ? getenv ("TMPDIR") : "/tmp");
    MUST (mkdtemp (folder) && pipe (ends) == 0);
    sync ();
    pid_t child = fork ();
    if (child == 0) {
        out = measure (store, work, folder);
        _exit (write (ends [1], &out, sizeof out) == sizeof out ? 0 : 1);
    }
    close (ends [1]);
    bool is_done = read (ends [0], &out, sizeof out) == sizeof out;
    close (ends [0]);
    waitpid (child, &status, 0);
    remove_folder (folder);
    if (!is_done)
        errx (1, "%s failed", store->name);
    return out;
}

static void measure_work (const work_t *work, size_t runs)
{
    static double values [STORES] [FIGURES] [RUNS_MAX];
    for (size_t run = 0; run < runs; run++)
        for (size_t i = 0; i < STORES; i++) {
            figures_t one = measure_apart (stores [i], work);
            for (size_t j = 0; j < FIGURES; j++)
                values [i] [j] [run] = one.values [j];
        }
    printf ("%-28s %8s %8s %8s %8s %8s %8s %8s %8s\n", work->name, "put ms", "cpu ms", "ack ms", "read ms", "random", "delete", "disk MB",
            "peak MB");
    for (size_t i = 0; i < STORES; i++) {
        static const int order [] = { PUT_MS, CPU_MS, ACK_MS, READ_MS, RANDOM_MS, DELETE_MS, DISK_MB, PEAK_MB };
        printf ("%-28s", stores [i]->name);
        for (size_t j = 0; j < FIGURES; j++)
            printf (order [j] == ACK_MS ? " %8.1f" : " %8.0f", median (values [i] [order [j]], runs));
        printf ("\n");
    }
    fflush (stdout);
}

int main (int argc, char **argv)
{
    static const work_t works [] = { { "20,000 objects of 10 KB", 20000, 10000 }, { "4,096 objects of 256 KiB", 4096, OBJECT_MAX } };
    long runs = argc > 1 ? strtol (argv [1], NULL, 10) : 3;
    if (argc > 3 || runs < 1 || runs > RUNS_MAX)
        errx (2, "usage: stores [RUNS [small|large]]; RUNS is 1 to %d", RUNS_MAX);
    printf ("%zu-bit addresses, medians of %ld\n", 8 * sizeof (void *), runs);
#ifndef HAVE_LMDB
    printf ("without LMDB; on Debian: apt-get install liblmdb-dev\n");
#endif
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        if (argc < 3 || strcmp (argv [2], i == 0 ? "small" : "large") == 0)
            measure_work (&works [i], (size_t) runs);
    return 0;
}
