/* worker.c - a worker's way with a context, step by step, and how long it takes.
 *
 *     worker fill DEPOT TREE               put a tree into a depot; prints its root
 *     worker write DEPOT ROOT FOLDER       check it out, as a change where the folder is there; prints ms and files written
 *     worker fetch JOIN NAME ROOT FOLDER   enrol, print "ready", await a line, fetch and check out below FOLDER; prints ms
 *
 * The times are taken inside, so without the start of a process. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "board.h"
#include "common/file.h"
#include "common/msg.h"
#include "common/scan.h"
#include "tests/unit/trees.h"
#include "worker/checkout.h"
#include "worker/fetch.h"

static double now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec * 1e3 + (double) now.tv_nsec / 1e6;
}

static int open_depot (depot_t **out, const char *folder, err_t *err)
{
    return depot_open (out, folder, err) < 0 ? -1 : depot_relax (*out, err);
}

static int fill (char **words, err_t *err)
{
    AUTO (depot) depot_t *depot = NULL;
    AUTO (scan) scan_t *scan = NULL;
    char hex [DIGEST_HEX_SIZE + 1];
    if (open_depot (&depot, words [0], err) < 0 || scan_context (&scan, words [1], NULL, err) < 0
    ||  tree_store (scan, depot, err) < 0)
        return -1;
    digest_to_hex (scan_root (scan), hex);
    puts (hex);
    return 0;
}

/* -- check out -------------------------------------------------------------------------------------------------- */

static int check_out (supply_t *supply, const digest_t *root, const char *folder, const char *record_path,
                      checkout_stats_t *stats, err_t *err)
{
    AUTO (record) record_t *before = NULL;
    if (file_exists (folder) && record_open (&before, record_path, err) < 0)
        return -1;
    checkout_settings_t settings = {
        .supply = supply, .root = root, .folder = folder, .before = before, .before_fd = -1, .record = record_path,
        .repository = "registry.invalid/bench"
    };
    return checkout_run (&settings, stats, err);
}

static int write_tree (char **words, err_t *err)
{
    AUTO (depot) depot_t *depot = NULL;
    AUTO (supply) supply_t *supply = NULL;
    AUTO_FREE char *record = mem_printf ("%s.record", words [2]);
    checkout_stats_t stats;
    digest_t root;
    if (digest_from_hex (&root, words [1], err) < 0 || open_depot (&depot, words [0], err) < 0)
        return -1;
    supply = supply_new (depot);
    double start = now_ms ();
    if (check_out (supply, &root, words [2], record, &stats, err) < 0)
        return -1;
    printf ("%.3f %llu\n", now_ms () - start, (unsigned long long) stats.written);
    return 0;
}

/* -- fetch ------------------------------------------------------------------------------------------------------ */

typedef struct {
    supply_t *supply;
    digest_t root;
    char *out, *record;
    int rc;
    err_t err;
} writer_t;

static void *run_writer (void *argument)
{
    writer_t *self = argument;
    checkout_stats_t stats;
    self->rc = check_out (self->supply, &self->root, self->out, self->record, &stats, &self->err);
    supply_close (self->supply, &self->err);
    return NULL;
}

/* As attempt_fetch.c does it. */
static int bring (zsock_t *objects, writer_t *writer, err_t *err)
{
    pthread_t thread;
    err_t fetched = { 0 };
    supply_begin (writer->supply);
    if (pthread_create (&thread, NULL, run_writer, writer) != 0)
        return err_set (err, ERR_FARM, "no thread");
    int rc = fetch_tree (objects, writer->supply, &writer->root, NULL, NULL, &fetched);
    supply_end (writer->supply, &fetched);
    if (supply_await (writer->supply)) {        /* a second round has nothing to bring: told as not found */
        supply_begin (writer->supply);
        err_set (&fetched, ERR_NOT_FOUND, "the coordinator lacks something");
        supply_end (writer->supply, &fetched);
    }
    pthread_join (thread, NULL);
    if (rc == 0 && writer->rc < 0)
        *err = writer->err;
    if (rc < 0)
        *err = fetched;
    return rc < 0 ? -1 : writer->rc;
}

static int fetch_and_write (char **words, err_t *err)
{
    invitation_t to;
    keypair_t own;
    AUTO (depot) depot_t *depot = NULL;
    AUTO (supply) supply_t *supply = NULL;
    AUTO_FREE char *cache = file_join (words [3], "cache");
    AUTO_FREE char *out = file_join (words [3], "out");
    AUTO_FREE char *record = file_join (words [3], "record");
    if (board_join (words [0], words [1], &to, &own, err) < 0 || open_depot (&depot, cache, err) < 0)
        return -1;
    AUTO (zsock) zsock_t *control = board_greet (&to, &own, words [1], "linux/amd64", err);
    if (!control || board_await_job (control, err) < 0)         /* a worker is given what its jobs need, and nothing else */
        return -1;
    supply = supply_new (depot);
    writer_t writer = { .supply = supply, .out = out, .record = record };
    if (digest_from_hex (&writer.root, words [2], err) < 0)
        return -1;
    puts ("ready");
    fflush (stdout);
    while (getchar () != '\n')
        ;
    double start = now_ms ();
    AUTO (zsock) zsock_t *objects = msg_connect (to.objects, &own, to.server_key, err);
    if (!objects || bring (objects, &writer, err) < 0)
        return -1;
    printf ("%.3f\n", now_ms () - start);
    return 0;
}

int main (int argc, char **argv)
{
    static const struct { const char *verb; int words; int (*run) (char **words, err_t *err); } verbs [] = {
        { "fill", 2, fill }, { "write", 3, write_tree }, { "fetch", 4, fetch_and_write }
    };
    err_t err = { 0 };
    zsys_handler_set (NULL);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (argc == verbs [i].words + 2 && strcmp (argv [1], verbs [i].verb) == 0) {
            if (verbs [i].run (argv + 2, &err) == 0)
                return 0;
            fprintf (stderr, "worker: %s\n", err.text);
            return 1;
        }
    fputs ("usage: worker fill DEPOT TREE | write DEPOT ROOT FOLDER | fetch JOIN NAME ROOT FOLDER\n", stderr);
    return 2;
}
